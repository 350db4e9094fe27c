#include "worker/mqtt/gone.h"

#include <stdlib.h>

#include "shared/base/log.h"

struct batch { /* of one turn */
	struct batch *next;
	struct mesh_mark mark;
	bool marked;
	uint32_t n, cap;
	struct rec_gone gone[];
};

static struct {
	struct batch *first, *last;
} waiting;

static void gone_send(const struct rec_gone *g);
static struct batch *batch_room(void);

void
gone_add(struct conn *c, enum mqtt_reason reason, bool will)
{
	struct rec_gone g = {
		.epoch = c->epoch,
		.session = c->session,
		.expiry = c->expiry,
		.flags = (uint8_t)((will ? GONE_WILL : 0) | GONE_EXPIRY),
		.reason = (uint8_t)reason,
	};
	struct batch *b;

	if (!c->published && waiting.first == NULL) {
		gone_send(&g);
		return;
	}
	b = batch_room();
	if (b == NULL) { /* out of order beats never */
		gone_send(&g);
		return;
	}
	b->gone[b->n++] = g;
}

void
gone_unwanted(uint32_t session, uint64_t epoch)
{
	gone_send(&(struct rec_gone){ .epoch = epoch, .session = session });
}

void
gone_turn(void)
{
	struct batch *b;

	while ((b = waiting.first) != NULL) {
		if (!b->marked) {
			mesh_mark(self.mesh, &b->mark);
			b->marked = true;
		}
		if (!mesh_is_consumed(self.mesh, &b->mark))
			return;
		for (uint32_t i = 0; i < b->n; i++)
			gone_send(&b->gone[i]);
		waiting.first = b->next;
		if (waiting.first == NULL)
			waiting.last = NULL;
		free(b);
	}
}

bool
gone_is_waiting(void)
{
	return waiting.first != NULL;
}

void
gone_fini(void)
{
	struct batch *b;

	while ((b = waiting.first) != NULL) {
		waiting.first = b->next;
		free(b);
	}
}

/* Persist may be restarting: what is sent meanwhile waits in its ring. */
static void
gone_send(const struct rec_gone *g)
{
	struct iovec iov = { .iov_base = (void *)g, .iov_len = sizeof(*g) };

	if (mesh_send(self.mesh, SLOT_PERSIST, REC_GONE, &iov, 1) >= MESH_FULL)
		log_every(10, LOG_ERR,
		    "gone: persist is away and its ring is full: sessions stay marked as connected "
		    "until it is back");
}

static struct batch *
batch_room(void)
{
	struct batch *b = waiting.last;
	struct batch *next;

	if (b != NULL && !b->marked && b->n < b->cap)
		return b;
	next = malloc(sizeof(*next) + 64 * sizeof(next->gone[0]));
	if (next == NULL)
		return NULL;
	next->next = NULL;
	next->marked = false;
	next->n = 0;
	next->cap = 64;
	if (b != NULL)
		b->next = next;
	else
		waiting.first = next;
	waiting.last = next;
	return next;
}
