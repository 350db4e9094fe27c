/*
 * expiry.h - messages whose time has passed, in queues and retained
 *
 * They go within a second, some in each turn; none is delivered meanwhile. One timer is set for the first that will be due, so those
 * that are not cost nothing, however many there are.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_EXPIRY_H
#define PERSIST_EXPIRY_H

#include <stdbool.h>

int expiry_init(void);
void expiry_fini(void);
bool expiry_turn(void); /* true: there is more to do */

#endif
