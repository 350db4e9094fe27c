/*
 * client.h - MQTT connections, as many as there are descriptors, on one epoll
 *
 * A client opens, sends CONNECT and calls on_up() when it was accepted. It owns memory only while
 * a packet has come or gone in part. Whatever a broker does wrong with a connection ends that
 * connection and is counted in clients.dropped.
 *
 * Owns:   its descriptor and buffers; the caller has the struct, zeroed, index and hooks set.
 * Hooks:  may send on and close any client, but open none: the caller of clients_turn() does.
 */
#ifndef LIB_CLIENT_H
#define LIB_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/mqtt/packet.h"

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_SHAKING, CLIENT_ASKING, CLIENT_UP };

extern const char *const client_state_name[];

struct client;

struct client_will {
	char topic[64];
	struct span payload; /* until CONNECT is sent */
	unsigned qos;
};

struct client_hooks {
	const char *role; /* a part of the client id */
	bool durable;     /* the session outlives the connection and is asked for again */
	void (*will)(struct client *c, struct client_will *out); /* CONNECT is to have one */
	void (*on_up)(struct client *c);
	void (*on_suback)(struct client *c);
	void (*on_message)(struct client *c, const struct publish *m); /* without properties */
	/* PUBACK, PUBREC, PUBCOMP; PUBREL has one of its own, and all are answered already. */
	void (*on_ack)(struct client *c, unsigned type, uint16_t id, uint8_t reason);
	void (*on_release)(struct client *c, uint16_t id);
	void (*on_sent)(struct client *c); /* a backlog is written */
};

struct backlog {
	uint8_t *p;
	uint32_t len, at, cap;
};

struct client {
	const struct client_hooks *hooks; /* those that can't be called may be NULL */
	enum client_state state;
	uint32_t index, user;
	int fd;
	uint16_t receive_max; /* the broker's, since CONNACK */
	bool present;         /* likewise: there was a session */
	struct backlog in, out;
	struct tls_client *tls; /* NULL: in the clear */
};

struct clients {
	uint64_t opened, up, dropped; /* dropped: refused or lost, not closed by us */
	uint64_t reads;               /* that brought something: a sign of life */
	uint64_t resumed;             /* of those that were up, with a TLS session of before */
	uint64_t refused;             /* filters and messages answered with an error */
	uint64_t now;                 /* when the last turn woke */
	char why[128];                /* of the first that was dropped */
};

extern struct clients clients;

struct client_options {
	const char *host, *name; /* name: the beginning of client ids */
	uint16_t port, keep_alive;
	enum mqtt_version version;
	size_t payload_max;
	uint16_t receive_max; /* to be said in CONNECT; 0: nothing is, nor can be to MQTT 3 */
	const char
	    *authority; /* TLS: file of who signs the broker's certificate; NULL: in the clear */
	bool resumes;   /* TLS: sessions of connections before */
	uint32_t
	    users; /* one after the other is u0, u1, … with password p0, p1, …; 0: nobody says who it is */
};

/* Once; raises the limit of descriptors. */
void clients_init(const struct client_options *o);
void client_open(struct client *c);
void client_close(struct client *c); /* sends DISCONNECT if it is up; closed already is fine */
void client_cut(struct client *c);   /* closes without a word */
void client_send(struct client *c, const void *data, size_t len);
void client_subscribe(struct client *c, const char *const *filters, unsigned count, unsigned qos);
static inline bool
client_is_behind(const struct client *c)
{
	return c->out.len > c->out.at;
}

/* Waits at most wait_ns for events and handles them. */
void clients_turn(uint64_t wait_ns);

/*
 * Opens count clients, OPEN_MAX_UNDER_WAY at a time, and calls more() each turn until it answers
 * true. Fails if one is dropped, or if nothing has happened for TIMEOUT_NS.
 */
#define OPEN_MAX_UNDER_WAY 64
#define TIMEOUT_NS UINT64_C(10000000000)
void clients_open(struct client *first, uint32_t count, bool (*more)(void));

#endif
