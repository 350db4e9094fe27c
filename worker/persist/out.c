#include "worker/persist/out.h"

#include <stdlib.h>

#include "shared/base/log.h"
#include "worker/persist/store.h"

#define KEEP 65536 /* bytes of a buffer that stay with an idle worker */

struct answer { /* before each in the buffer; aligned to 8 */
	uint64_t batch;
	uint32_t len;
	uint32_t type;
};

static struct {
	struct to {
		struct owed {
			uint8_t *p;
			size_t len, cap, sent;
		} owed[OUT_KINDS];
		bool is_stuck; /* one that is due found no room */
	} to[SLOTS];
} the;

static void make_room(struct owed *o);
static bool send_due(unsigned slot, struct owed *o, uint64_t safe);

static size_t
padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

void
out_answer(unsigned slot, enum out_kind kind, unsigned type, const struct iovec *iov, int n)
{
	struct owed *o = &the.to[slot].owed[kind];
	size_t body = 0, need;
	struct answer a;
	uint8_t *p;

	for (int i = 0; i < n; i++)
		body += iov[i].iov_len;
	need = sizeof(a) + padded(body);
	if (o->cap - o->len < need) {
		size_t cap = o->cap ? o->cap : 4096;

		while (cap - o->len < need)
			cap *= 2;
		p = realloc(o->p, cap);
		if (p == NULL) {
			count(CNT_dropped__no_memory);
			log_every(
			    10, LOG_ERR, "out: no memory for an answer to=%s", proc_title(slot));
			return;
		}
		o->p = p;
		o->cap = cap;
	}
	a = (struct answer){ .batch = store_batch(), .len = (uint32_t)body, .type = type };
	p = o->p + o->len;
	memcpy(p, &a, sizeof(a));
	p += sizeof(a);
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > 0)
			memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	o->len += need;
}

void
out_commit(void)
{
	const uint64_t safe[OUT_KINDS] = {
		[OUT_NOTHING] = UINT64_MAX,
		[OUT_POWER] = store_safe(DURABILITY_power),
		[OUT_PROCESS] = store_safe(DURABILITY_process),
		[OUT_MEMORY] = store_safe(DURABILITY_memory),
	};

	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct to *t = &the.to[slot];
		bool has_room = mesh_is_open(self.mesh, slot);

		for (unsigned kind = 0; kind < OUT_KINDS && has_room; kind++)
			if (t->owed[kind].len > 0)
				has_room = send_due(slot, &t->owed[kind], safe[kind]);
		t->is_stuck = !has_room;
	}
}

/* False: there was no room for one that is due. */
static bool
send_due(unsigned slot, struct owed *o, uint64_t safe)
{
	bool has_room = true;
	struct answer a;

	while (o->sent < o->len) {
		struct iovec iov;

		memcpy(&a, o->p + o->sent, sizeof(a));
		if (a.batch > safe)
			break;
		iov = (struct iovec){ o->p + o->sent + sizeof(a), a.len };
		has_room = mesh_send(self.mesh, slot, a.type, &iov, 1) != MESH_FULL;
		if (!has_room)
			break; /* next turn */
		o->sent += sizeof(a) + padded(a.len);
	}
	make_room(o);
	return has_room;
}

/* What has been sent goes from the front of the buffer, seldom enough to cost little. */
static void
make_room(struct owed *o)
{
	if (o->sent == o->len) {
		o->len = o->sent = 0;
		if (o->cap > KEEP) {
			free(o->p);
			o->p = NULL;
			o->cap = 0;
		}
	} else if (o->sent >= o->len / 2 && o->sent >= KEEP) {
		memmove(o->p, o->p + o->sent, o->len - o->sent);
		o->len -= o->sent;
		o->sent = 0;
	}
}

bool
out_is_clear(unsigned slot)
{
	return !the.to[slot].is_stuck && mesh_is_open(self.mesh, slot) &&
	    !mesh_waits(self.mesh, slot);
}

bool
out_is_answered(uint64_t batch)
{
	for (unsigned slot = 0; slot < SLOTS; slot++)
		for (unsigned kind = OUT_NOTHING + 1; kind < OUT_KINDS; kind++) {
			const struct owed *o = &the.to[slot].owed[kind];
			struct answer a;

			if (o->sent == o->len)
				continue;
			memcpy(&a, o->p + o->sent, sizeof(a));
			if (a.batch <= batch)
				return false;
		}
	return true;
}

void
out_down(unsigned slot)
{
	for (unsigned kind = 0; kind < OUT_KINDS; kind++)
		free(the.to[slot].owed[kind].p);
	the.to[slot] = (struct to){ 0 };
}

void
out_fini(void)
{
	for (unsigned slot = 0; slot < SLOTS; slot++)
		out_down(slot);
}

enum mesh_sent
out_send(unsigned slot, unsigned type, const struct iovec *iov, int n)
{
	return mesh_send(self.mesh, slot, type, iov, n);
}

enum mesh_sent
out_message(
    unsigned slot, unsigned type, struct span fixed, struct span extra, const struct msg_view *v)
{
	struct iovec iov[5] = {
		{ (void *)fixed.p, fixed.len },
		{ (void *)extra.p, extra.len },
		{ (void *)v->topic.p, v->topic.len },
		{ (void *)v->props.p, v->props.len },
		{ (void *)v->payload.p, v->payload.len },
	};
	enum mesh_sent sent = mesh_send(self.mesh, slot, type, iov, 5);

	if (sent == MESH_FULL)
		count(CNT_dropped__overflow);
	else if (sent == MESH_NO_PEER)
		count(CNT_dropped__peer_gone);
	return sent;
}
