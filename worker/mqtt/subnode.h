/*
 * subnode.h - subscriptions of this worker's clients, by filter
 *
 * A node is one filter (or one filter and group) with its subscriptions. The first that comes shows the filter in our interest table, the last that leaves takes it out,
 * so every other process sends us each message once, whatever the number of subscribers here.
 *
 * Runs in: worker's loop. Errors: NULL: no memory.
 */
#ifndef MQTT_SUBNODE_H
#define MQTT_SUBNODE_H

#include "shared/mqtt/index.h"
#include "worker/mqtt/conn.h"

struct subnode;

struct sub {
	struct subnode *node;
	struct conn *conn;
	struct list link; /* in conn->subs */
	uint32_t at;      /* place in the node */
	uint32_t id;      /* subscription identifier; 0: none */
	uint8_t qos, retain_handling;
	bool no_local : 1, retain_as_published : 1;
	bool is_clean : 1; /* no message for it goes through the store */
	bool checked : 1;  /* access rules have a say in each of its messages */
	uint16_t nth; /* of this process, in turns: after an end and a new begin it is another */
};

struct subnode {
	struct index_node n;
	union {
		struct sub *one; /* cap is 0 */
		struct sub **many;
	};
	uint32_t nsubs, cap;
	uint32_t nclean; /* of a group */
	uint64_t group;  /* name of the group in records; 0: plain */
	uint32_t turn;   /* round robin */
};

int subnode_init(void);
void subnode_fini(void);
struct index *subnode_index(void);

struct sub *sub_find(struct conn *c, struct span filter, struct span group);
struct sub *
sub_add(struct conn *c, struct span filter, struct span group); /* options are the caller's */
/* Its session and QoS are known now, or others. */
void sub_count(struct sub *s, bool is_durable);
void sub_del(struct sub *s);

static inline struct sub *
subnode_at(const struct subnode *n, uint32_t i)
{
	return n->cap == 0 ? n->one : n->many[i];
}

/* Members of the group that are here, on any filter of that name. */
struct subnode *subnode_group(uint64_t group);

#endif
