#include "worker/mqtt/gone.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "worker/mqtt/connect.h"

#define BATCH 64
/* What we wait for happens in other processes, which don't tell: clients wait for the first, only memory for the second. */
#define UNSENT_MS 1
#define UNREAD_MS 100

struct gone {
	struct conn *conn; /* untold */
	struct connect_subs *subs;
	uint8_t reason;
	bool will;
};

struct batch { /* of one turn */
	struct batch *next;
	struct mesh_mark mark; /* unsent: all peers have to consume it; sent: persist has to */
	bool marked, sent;     /* only the last may be unmarked */
	uint32_t n;
	struct gone gone[BATCH];
};

static struct {
	struct batch *first, *last;
	struct batch *unsent; /* the first of those, which are last */
	struct timer timer;
} the;

static void gone_send(const struct rec_gone *g);
static void gone_tell(const struct gone *g);
static struct batch *batch_for(bool sent);
static void batch_mark(struct batch *b);
static void batch_free(struct batch *b);
static void forget(void);
static void look_again(void);

void
gone_add(struct conn *c, enum mqtt_reason reason, bool will)
{
	bool now = !c->published && the.unsent == NULL;
	struct gone g = { .conn = c, .reason = (uint8_t)reason, .will = will };
	struct batch *b = batch_for(now);

	if (now || b == NULL) /* out of order beats never */
		gone_tell(&g);
	if (b == NULL)
		return;
	g.subs = connect_subs_new(c);
	c->untold = true;
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

	if (the.first == NULL)
		return;
	if (!the.last->marked)
		batch_mark(the.last);
	for (; (b = the.unsent) != NULL; the.unsent = b->next) {
		if (!mesh_is_consumed(self.mesh, &b->mark))
			break;
		for (uint32_t i = 0; i < b->n; i++)
			gone_tell(&b->gone[i]);
		b->sent = true;
		batch_mark(b);
	}
	forget();
	look_again();
}

void
gone_persist_down(void)
{
	forget();
}

void
gone_register(void)
{
	for (struct batch *b = the.first; b != NULL; b = b->next) {
		for (uint32_t i = 0; i < b->n; i++)
			(void)connect_register(b->gone[i].conn, b->gone[i].subs);
		b->sent = false;
		batch_mark(b);
	}
	the.unsent = the.first;
}

bool
gone_is_waiting(void)
{
	return the.first != NULL;
}

void
gone_fini(void)
{
	struct batch *b;

	while ((b = the.first) != NULL) {
		the.first = b->next;
		batch_free(b);
	}
}

static void
gone_tell(const struct gone *g)
{
	const struct conn *c = g->conn;

	gone_send(&(struct rec_gone){
	    .epoch = c->epoch,
	    .last_seq = c->last_seq,
	    .session = c->session,
	    .expiry = c->expiry,
	    .flags = (uint8_t)((g->will ? GONE_WILL : 0) | GONE_EXPIRY),
	    .reason = g->reason,
	});
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
batch_for(bool sent)
{
	struct batch *b = the.last;

	if (b != NULL && !b->marked) {
		if (b->sent == sent && b->n < BATCH)
			return b;
		batch_mark(b);
	}
	b = malloc(sizeof(*b));
	if (b == NULL)
		return NULL;
	b->next = NULL;
	b->sent = sent;
	b->marked = false;
	b->n = 0;
	if (the.first == NULL)
		the.first = b;
	else
		the.last->next = b;
	the.last = b;
	if (!sent && the.unsent == NULL)
		the.unsent = b;
	return b;
}

static void
batch_mark(struct batch *b)
{
	mesh_mark(self.mesh, &b->mark);
	b->marked = true;
}

static void
batch_free(struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		free(b->gone[i].subs);
	free(b);
}

/* Those whose GONE persist has read: if it dies now, what came of them has left it. */
static void
forget(void)
{
	struct batch *b;

	while ((b = the.first) != NULL && b->sent && b->marked) {
		if (!mesh_has_consumed(self.mesh, SLOT_PERSIST, &b->mark))
			return;
		for (uint32_t i = 0; i < b->n; i++)
			conn_told(b->gone[i].conn);
		the.first = b->next;
		if (the.first == NULL)
			the.last = NULL;
		batch_free(b);
	}
}

static void
on_timer(struct timer *t)
{
	(void)t; /* the turn itself is what it is for */
}

static void
look_again(void)
{
	if (the.timer.fn == NULL)
		timer_init(&the.timer, on_timer);
	if (the.first == NULL)
		timer_del(&the.timer);
	else
		timer_set(loop_timers(self.loop), &the.timer,
		    clock_ms() + (the.unsent != NULL ? UNSENT_MS : UNREAD_MS));
}
