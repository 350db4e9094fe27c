/*
 * sandbox.h - what a child may ask of the kernel once it serves
 *
 * A list of system calls for each kind of process; anything else ends it with SIGSYS, and its last words name the call.
 * Who may open files may do so beneath its own directories only. README.md has the reasons.
 *
 * Runs in: children, from child_main(), which knows when. What was entered can't be left again.
 * Errors:  -errno, said in the log with what can be done.
 */
#ifndef CHILD_SANDBOX_H
#define CHILD_SANDBOX_H

#include <stddef.h>

#include "shared/ipc/proc.h"

/* Files only beneath these from now on ("" is none): of this thread and those it makes, so before any other is there. */
int sandbox_files(const char *const *dir, size_t n);
/* Only calls of this kind's list from now on, in all threads. */
int sandbox_calls(enum proc_kind kind);

#endif
