/*
 * power_journal.h - what a broker does to the files of its store, as told by the preloaded library
 *
 * The library (tests/preload/power.c) is in every process of the broker. Each change below the store's directory
 * becomes a record here, in the order in which the changes were made: the lock is held from before a
 * record is written until the system call has returned. Whoever kills a process takes the lock first, so
 * that no change is ever cut off between the two. power.c reads it when all processes are dead.
 *
 * It is a file that all map, for writing: tests may trust what they test that far.
 */
#ifndef TORTURE_POWER_JOURNAL_H
#define TORTURE_POWER_JOURNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>

/* In the environment of the broker's processes: real paths. */
#define POWER_STORE "TBMQ_POWER_STORE"     /* the store's directory */
#define POWER_JOURNAL "TBMQ_POWER_JOURNAL" /* the file */

enum power_kind {
	POWER_WRITE, /* at: offset; data: the bytes */
	POWER_SIZE,  /* at: the new size of the file */
	POWER_SYNC, /* at: what was in the journal before this is on the disk as far as node goes */
	POWER_CREATE, /* node in dir; data: its name */
	POWER_UNLINK, /* in dir; data: the name */
	POWER_RENAME, /* from dir to to_dir; data: both names, each with its NUL */
};

/* Nodes are inodes. A directory's own changes are its entries. */
struct power_op {
	uint32_t kind, data_len;
	uint64_t node, dir, to_dir, at;
	uint8_t is_dir;   /* what is created */
	uint8_t is_dsync; /* a write that was on the disk when it returned */
	alignas(8) uint8_t data[];
};

enum power_trouble {
	POWER_FINE,
	POWER_FULL, /* the journal */
	POWER_DIED, /* a process that was changing something, and not by our hand */
};

struct power_journal {
	pthread_mutex_t lock; /* shared by processes, and survives them */
	uint64_t used, room;  /* bytes of ops */
	uint32_t trouble;
	alignas(64) uint8_t ops[];
};

static inline uint64_t
power_op_size(uint64_t data_len)
{
	return (sizeof(struct power_op) + data_len + 7) & ~(uint64_t)7;
}

static inline void
power_lock(struct power_journal *j)
{
	if (pthread_mutex_lock(&j->lock) == EOWNERDEAD) {
		j->trouble = POWER_DIED;
		pthread_mutex_consistent(&j->lock);
	}
}

static inline void
power_unlock(struct power_journal *j)
{
	pthread_mutex_unlock(&j->lock);
}

#endif
