/*
 * bdb_sanitized.h - what sanitizers are to overlook in Berkeley DB
 *
 * Included once in a test, which is one file.
 */
#ifndef BDB_SANITIZED_H
#define BDB_SANITIZED_H

/* It lets go of an environment that has panicked, but not of its memory. */
const char *__lsan_default_suppressions(void);
/* It latches pages in the order of its trees, which differ. */
const char *__tsan_default_options(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libdb-5.3";
}

const char *
__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}

#endif
