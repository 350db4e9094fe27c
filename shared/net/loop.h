/*
 * loop.h - event loop: epoll, level triggered, one thread, in turns
 *
 * A turn: wait (not at all if there is work left), tick the clock, call what is ready, expire timers, then the hooks in order.
 * What is queued for the end of a turn leaves there, once.
 *
 * Runs in: every process. A watch is embedded in its owner, who may delete itself or any other watch in a call.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "shared/net/timer.h"

struct watch {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*fn)(struct watch *w, uint32_t events);
};

struct loop_ops {
	bool (*on_turn)(
	    void *arg); /* after events and timers; true: there is more work, don't sleep */
	int (*on_sleep)(void *arg); /* before waiting; for how many milliseconds at most, -1: any */
	void (*on_woken)(void *arg); /* after waiting, if on_sleep was called */
};

struct loop;

int loop_new(struct loop **out);
void loop_free(struct loop *l);
void loop_ops(
    struct loop *l, const struct loop_ops *ops, void *arg); /* optional; may be NULL functions */
struct timers *loop_timers(struct loop *l);

int
loop_add(struct loop *l, struct watch *w, int fd, uint32_t events); /* w->fn is set by the caller */
int
loop_mod(struct loop *l, struct watch *w, uint32_t events); /* no system call if nothing changes */
void
loop_del(struct loop *l, struct watch *w); /* fd stays open; pending events of it are forgotten */

void loop_run(struct loop *l); /* until loop_stop() */
bool loop_turn(
    struct loop *l, int max_wait_ms); /* one turn, for tests and masters; false after loop_stop() */
void loop_stop(struct loop *l);

#endif
