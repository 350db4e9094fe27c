/*
 * source.h - may what is retained still be given out, by who had published it?
 *
 * With check_retain_source the worker says who a publisher is, and that stays with the retained message. Whenever it is about to be given to a
 * subscriber, the access rules in force (shared/acl) are asked whether that client might still publish to its topic. What has no known source
 * ($SYS, and what came while there were no rules) is given out. A will's source is its client by identifier and user name.
 *
 * Runs in: persist's loop. The master hands over rules as it does to workers.
 */
#ifndef PERSIST_SOURCE_H
#define PERSIST_SOURCE_H

#include "shared/conf/conf.h"
#include "worker/persist/directory.h"
#include "worker/persist/store.h"

void source_rules(unsigned from, int fd); /* of the configuration that comes next; fd is taken */
int source_start(void);                   /* for self.conf */
int source_check(const struct conf *next, char why[256]);
void source_commit(void);
void source_withdraw(void);
void source_fini(void);

bool source_may(const struct store_retained *r);
/* Of a will; empty: none is wanted. Lent until the next call. */
struct span source_of(const struct session *s);

#endif
