/*
 * sub.h - subscriptions of durable sessions, by filter
 *
 * A node is one filter, or one filter and group. Those that persist has to deliver for, at QoS 1
 * and 2 (with queue_qos0 at QoS 0 too), show in our interest table: workers ask us to store what
 * matches them, and only that.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_SUB_H
#define PERSIST_SUB_H

#include <assert.h>

#include "shared/mqtt/index.h"
#include "worker/persist/queue.h"

struct subnode;

struct sub {
	struct subnode *node;
	struct durable *durable;
	uint32_t at : 30; /* place with the filter */
	uint32_t handling : 2;
	uint32_t id : 28;     /* subscription identifier, 3.8.2.1.2; 0: none */
	uint32_t options : 4; /* as in SUBSCRIBE, 3.8.3.1, but for retain handling */
	uint32_t nth;         /* place with the session */
};
#define SUB_PLACES (UINT32_C(1) << 30)
static_assert(SESSION_NUMBERS <= SUB_PLACES, "a session is in a node once");

struct subnode {
	struct index_node n;
	union subs subs;
	struct group *group;    /* share.c; NULL: plain */
	uint32_t nsubs, nshown; /* nshown: those that show in the interest table */
};

#define SUB_QOS(s) ((s)->options & 3u)
#define SUB_NO_LOCAL(s) ((s)->options & 4u)
#define SUB_AS_PUBLISHED(s) ((s)->options & 8u)
#define SUB_OPTIONS(s) ((uint8_t)((s)->options | (s)->handling << 4)) /* all of them */

int sub_init(void);
void sub_fini(void);
/* filter as in records: with $share/NAME/ if it was, valid. */
enum mqtt_reason
sub_put(struct durable *d, struct span filter, uint8_t options, uint32_t id, bool *existed_out);
bool sub_remove(struct durable *d, struct span filter); /* false: there was none */
struct sub *sub_find(struct durable *d, struct span filter);
void sub_load(struct durable *d);                  /* its subscriptions, from the store */
void sub_drop_all(struct durable *d, bool forget); /* forget: in the store too */
bool sub_is_shown(const struct sub *s);
void sub_show_all(void); /* queue_qos0 has changed */
size_t sub_count(void);

/* Nodes whose filter matches; borrowed until the next call or change. */
size_t sub_match(struct span topic, const struct topic_hash *t, struct subnode ***out);

/* The filter as it came; buf has SUB_TEXT_MAX bytes. */
#define SUB_TEXT_MAX (UINT16_MAX + 1)
struct span sub_text(const struct sub *s, char *buf);

#endif
