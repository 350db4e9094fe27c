/*
 * clock.h - what time it is, once a turn
 *
 * Two clocks: monotonic for intervals, wall for what outlives the machine's start. Both are read
 * by clock_tick(), at the start of a loop turn, and stand still until the next.
 *
 * Tests move both together: if the environment names a file in TBMQ_TEST_CLOCK, its first 8 bytes
 * (int64, milliseconds, host order) are mapped and added to both clocks. Children inherit the name.
 *
 * Runs in: any process; not thread safe, each thread that needs time asks the kernel.
 * Units:   milliseconds.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

void clock_init(void); /* maps the test clock if there is one, then ticks; once a process */
void clock_tick(void);
uint64_t clock_ms(void);      /* monotonic, as of the last tick; never goes back */
uint64_t clock_wall_ms(void); /* since the epoch, as of the last tick */
uint64_t clock_now_us(void);  /* monotonic, read now, for measuring; test offset not added */
bool clock_is_moved(void);    /* a test clock is mapped: sleep in short naps */

#endif
