/*
 * route.h - who wants a topic: subscriptions here, other processes, groups
 *
 * The answer for recent topics is cached. It holds as long as the interest versions of all processes (ours too) are what they
 * were when it was worked out: a hit is one lookup and a compare per process. A node in it can't be freed without its process's
 * version changing. Routes take some hundred bytes each for usual topics; a topic that thousands of filters match has a long list, so the
 * cache is bounded by bytes, too.
 *
 * Runs in: worker's loop. Errors: NULL: no memory.
 */
#ifndef MQTT_ROUTE_H
#define MQTT_ROUTE_H

#include "worker/mqtt/subnode.h"

struct route_group {
	uint64_t group;
	bool durable;    /* persist has members: QoS 1 and 2 are its */
	uint32_t weight; /* of all workers */
	uint32_t turn;
	uint16_t first, n; /* its members in route.member */
};

struct route_member {
	uint16_t slot;
	uint32_t weight;
};

struct route {
	uint64_t hash;
	uint64_t workers; /* bit for each other worker that wants it */
	uint64_t first;   /* of the topic: picks the versions */
	uint32_t plain;   /* plain nodes: the first of node[] */
	uint32_t nnodes, ngroups, nmembers, nversions;
	uint32_t topic_len, size; /* size: bytes of it all */
	bool persist, dollar;
	struct subnode **node;
	struct route_group *group;
	struct route_member *member;
	struct route_version {
		const struct interest_head *head;
		uint64_t version;
	} * version;
	char *topic;
};

const struct route *
route_find(struct span topic); /* borrowed until the next call; NULL: no memory */
void route_flush(void);        /* a peer came or went */
void route_fini(void);
void route_peer(unsigned slot, bool up);

#endif
