/*
 * proc.h - what the processes of a broker have used
 *
 * All processes below a root are one broker. CPU time is the kernel's exact clock of each process,
 * threads that ended included. Children that were reaped count in their parents in clock ticks.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of root and all its descendants, since each began. False: root is gone. */
bool proc_cpu_ns(pid_t root, uint64_t *out);
/* User memory, what is shared divided among those who share it. False: it can't be read. */
bool proc_pss(pid_t root, uint64_t *out);

#endif
