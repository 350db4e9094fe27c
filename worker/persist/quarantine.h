/*
 * quarantine.h - a record that persist dies of again and again is set aside
 *
 * What is about to be applied stands in our flight recorder, where the master finds it when we die. It
 * names to a successor what persist has died of three times: that is not applied but kept in a file
 * "quarantine-…" of the data directory, and who waits for its answer is refused.
 *
 * Runs in: persist's loop. Costs a record no system call, and no lock.
 */
#ifndef PERSIST_QUARANTINE_H
#define PERSIST_QUARANTINE_H

#include "shared/child/child.h"

/* Before a record is applied. True: it is not to be, and has been answered. */
bool quarantine_begin(unsigned slot, unsigned type, struct span body);
void quarantine_end(void); /* it was applied */

#endif
