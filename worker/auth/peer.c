#include "worker/auth/peer.h"

#include <errno.h>

#include "shared/child/child.h"
#include "worker/auth/keep.h"
#include "worker/auth/login.h"

int
peer_record(void *arg, unsigned from, unsigned type, struct span body)
{
	(void)arg;
	if (from >= SLOTS || !rec_may(type, 1u << proc_kind_of(from), P_AUTH, body))
		return -EPROTO;
	switch (type) {
	case REC_LOGIN:
		return login_record(from, body);
	case REC_KEPT:
		return keep_kept(body);
	case REC_KEPT_ITEM:
		return keep_item(body);
	case REC_KEPT_END:
		return keep_end(body);
	default:
		return -EPROTO;
	}
}

void
peer_up(void *arg, unsigned slot)
{
	(void)arg;
	if (slot == SLOT_PERSIST)
		keep_up();
}

/* What persist was asked its successor finds in the ring. */
void
peer_down(void *arg, unsigned slot)
{
	(void)arg;
	if (slot < SLOT_MQTT_MAX)
		login_down(slot);
}

void
peer_room(void *arg, unsigned slot)
{
	(void)arg;
	(void)slot;
}
