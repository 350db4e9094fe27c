/*
 * source.h - may what is kept still be published, by who has left it with us?
 *
 * With check_retain_source the worker says who a publisher is, and that stays with the retained message. Whenever it is about to be given to a
 * subscriber, the access rules in force (shared/acl) are asked whether that client might still publish to its topic. What has no known source
 * ($SYS, and what came while there were no rules) is given out. Likewise a will is published only if its client might publish it when it is due.
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

bool source_may_give(const struct store_retained *r);
bool source_may_will(const struct store_will *w); /* false: it is counted and logged */

#endif
