/*
 * peer.h - workers: what they send, that they come and go
 *
 * Every record is checked here or by the module it is for; one that can't be is -EPROTO, and the
 * link is dropped. What a dead worker's connections held is let go when every peer has seen all
 * that they had published. A persist that follows one that died grants nothing until each live
 * worker has told what it holds.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_PEER_H
#define PERSIST_PEER_H

#include "shared/child/child.h"

int peer_record(void *arg, unsigned from, unsigned type, struct span body);
void peer_up(void *arg, unsigned slot);
void peer_down(void *arg, unsigned slot);
void peer_room(void *arg, unsigned slot);

int peer_go(void);    /* all who live have mapped us. 0; -EAGAIN: they have to register first */
bool peer_turn(void); /* drain is done: apply what waits, commit, answer. True: there is more */
bool peer_after_flush(void);
void peer_before_sleep(void);
void peer_after_sleep(void);
bool peer_is_up(unsigned slot);
uint32_t peer_ups(
    unsigned slot); /* counts the processes that have held the slot: tells one from its successor */
bool peer_registers(unsigned slot); /* it has not told yet all that it held under our predecessor */
bool
peer_has_gone(unsigned slot, uint64_t epoch); /* and what it tells of this one comes too late */
bool peer_is_recovered(void);
bool peer_is_full(void); /* the disk: what would have to be kept is refused */
void peer_conf(void);    /* the configuration is another */
int peer_init(void);
void peer_fini(void);

#endif
