/*
 * proc.h - the processes of a broker, and what they have used
 *
 * All processes below a root are one broker. CPU time is the kernel's exact clock of each process,
 * threads that ended included. Children that were reaped count in their parents in clock ticks.
 */
#ifndef LIB_PROC_H
#define LIB_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of root and all its descendants, since each began. False: root is gone. */
bool proc_cpu_ns(pid_t root, uint64_t *out);
/* User memory, what is shared divided among those who share it. False: it can't be read. */
bool proc_pss(pid_t root, uint64_t *out);

struct proc {
	pid_t pid, parent;
	uint64_t reaped_ns; /* CPU time of children it waited for */
	char name[16];
	bool is_ended; /* waits for its parent to take notice */
};

/* root and its descendants; the caller frees *out. 0: root is gone. */
size_t proc_tree(pid_t root, struct proc **out);

#endif
