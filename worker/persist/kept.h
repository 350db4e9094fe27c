/*
 * kept.h - what other processes have on disk with us: bytes under a name, which only they understand
 *
 * Each kind of process has names of its own. What is written replaces what was there, so a successor of persist that reads a record once more does no harm. The
 * answer leaves when the disk has it, whatever the broker's durability: it is an administrator's word.
 *
 * Runs in: persist's loop.
 * Errors:  -EPROTO: a record that can't be; the link is dropped.
 */
#ifndef PERSIST_KEPT_H
#define PERSIST_KEPT_H

#include "shared/child/child.h"

int kept_put(unsigned slot, struct span body); /* REC_KEEP */
int kept_get(unsigned slot, struct span body); /* REC_KEPT_GET */

#endif
