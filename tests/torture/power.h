/*
 * power.h - power cuts: what a store's directory may look like after one
 *
 * A library preloaded into the broker tells of all changes to files below the store's directory, and of
 * what was synced (power_journal.h). After a cut
 *
 *   - of what was written to a file since its last fsync() or fdatasync(), each sector has any of the
 *     contents that it had since, and the file any of its sizes. Sectors are of 512 bytes to 4 KiB;
 *   - an entry of a directory that was created, renamed or removed since the directory's last fsync() has
 *     been or has not. fsync() of the file itself does nothing for its entry;
 *   - sync_file_range() and close() promise nothing.
 *
 * How much survives is drawn for each cut, nothing at all often.
 *
 * Owns:   the journal's file, outside of the store, and a copy of the store's files in memory.
 * Fails:  by fail(), also if the files are not as the journal has it: something escaped the library then.
 */
#ifndef TORTURE_POWER_H
#define TORTURE_POWER_H

#include <stdint.h>

#include "tests/torture/power_journal.h"

/*
 * The store need not be there yet, the directory above it must. It is read as what is on the disk.
 * library: where libpower.so is as seen from the directory of this executable.
 */
void power_init(const char *store, const char *library);
void power_fini(void);
void power_env(void); /* in a child that becomes the broker */

/* Held while processes are killed, until they are dead. Nothing without power_init(). */
void power_hold(void);
void power_let_go(void);
/* All processes are dead: makes the directory one that a power cut could have left. In between both. */
void power_cut(void);

struct power_totals {
	uint64_t cuts, sectors, sectors_lost, entries, entries_lost; /* not synced, at cuts */
};

struct power_totals power_totals(void);

#endif
