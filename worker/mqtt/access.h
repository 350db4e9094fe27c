/*
 * access.h - what clients may do, by the access rules (shared/acl)
 *
 * The master hands us the rules of a configuration before the configuration itself; they are checked while we vote on it. Whatever a client asks
 * for is decided by the rules in force. What it was granted before (subscriptions, its will) is looked at again after a change, some clients in a
 * turn: what is not allowed any more ends, and marks of subscriptions whose messages have to be checked are set anew.
 *
 * Topics are as they are routed: with the mount point of the client's listener. Without rules there is nothing to decide, and nothing is kept
 * for a client. Who can't be told apart for want of memory may do nothing.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_ACCESS_H
#define MQTT_ACCESS_H

#include <jansson.h>

#include "shared/child/request.h"
#include "worker/mqtt/conn.h"

struct sub;

void access_rules(unsigned from, int fd); /* of the configuration that comes next; fd is taken */
int access_start(void);                   /* for self.conf; -errno: said in the log */
int access_check(const struct conf *next, char why[256]);
void access_commit(void);
void access_withdraw(void);
bool access_turn(void); /* looks at clients again after a change; true: there are more */
void access_fini(void);

bool access_publish(struct conn *c, struct span topic); /* false: it is counted and logged */
bool access_will(struct conn *c);                       /* the one of its CONNECT, if it has any */
/* A filter without $share/NAME/; false: it is logged. checked_out: access_receive() has to be asked of each message. */
bool access_subscribe(struct conn *c, struct span filter, bool *checked_out);
/* The same of all that persist brings for a durable session: what has waited there may have been allowed when it came. */
bool access_receive(struct conn *c, struct span topic);

/* Who it is, for persist to ask again (who.h) when what it retains is given out, or when its will is due; empty: nobody wants to know. Lent until the next call. */
struct span access_source(const struct conn *c);
struct span access_will_source(const struct conn *c);

/* Answers to administrators: the rules, and how often each has decided here; what would be decided, and why. */
json_t *access_list(const struct request *r);
json_t *access_explain(const struct request *r, const char **why_out); /* NULL: why not */

void access_review(struct conn *c); /* all that it has, before it is told that it is connected */
void access_leave(struct conn *c);  /* it is gone */

#endif
