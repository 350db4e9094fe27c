/*
 * sys.h - the $SYS topics: counters of all processes, as retained messages
 *
 * The names are those known from mosquitto; below $SYS/broker/processes/ is every counter of
 * every process. Only what has changed is published, at QoS 0.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_SYS_H
#define PERSIST_SYS_H

#include <stdbool.h>

int sys_init(void);
void sys_start(void); /* serving; or sys_interval has changed */
bool sys_turn(void);  /* true: there is more to publish */
void sys_fini(void);

#endif
