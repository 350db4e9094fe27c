/*
 * timer.h - timers on a hierarchical wheel, 10 ms apart
 *
 * Adding and deleting is O(1); a timer fires at or up to 10 ms (one wheel step) after it is due, never before. A timer is embedded in its owner. It fires
 * once; its function may add it again.
 */
#ifndef NET_TIMER_H
#define NET_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/list.h"

struct timer {
	struct list link;
	uint64_t due_ms; /* clock_ms() */
	void (*fn)(struct timer *t);
};

struct timers;

struct timers *timers_new(void);
void timers_free(struct timers *w);
void timer_init(struct timer *t, void (*fn)(struct timer *t));
void timer_set(struct timers *w, struct timer *t, uint64_t due_ms); /* moves it if it is set */
void timer_del(struct timer *t);
bool timer_is_set(const struct timer *t);
void timers_run(struct timers *w, uint64_t now_ms);    /* fires what is due */
int timers_wait_ms(struct timers *w, uint64_t now_ms); /* until the next may be due; -1: none */

#endif
