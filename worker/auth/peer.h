/*
 * peer.h - workers and persist: what they send, that they come and go
 *
 * Runs in: auth's loop. Trusts: no record; one that can't be is -EPROTO, and the link is dropped.
 */
#ifndef AUTH_PEER_H
#define AUTH_PEER_H

#include "shared/base/span.h"

int peer_record(void *arg, unsigned from, unsigned type, struct span body);
void peer_up(void *arg, unsigned slot);
void peer_down(void *arg, unsigned slot);
void peer_room(void *arg, unsigned slot);

#endif
