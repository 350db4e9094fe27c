/*
 * conn.h - a client's connection, and with it the worker's part of its session
 *
 * A clean session lives here and ends here. Of a durable session persist owns the state that must outlive us (queue, packet ids, QoS 2
 * ids); here are its subscriptions, because QoS 0 messages go straight, and the deliveries under way.
 *
 * Life: NEW (accepted) → ASKED (CONNECT read, auth and persist are asked; nothing is read but what auth asks for) → OPEN → ENDED: what it still has
 * to say is written with the turn's flush, then it is closed, and freed once persist has read of its end (gone.h). A connection that ends
 * while it is ASKED stays as GHOST, without socket, until the answer comes and can be given back.
 * An idle connection owns no buffer: input is decoded in the worker's scratch and only an incomplete packet is kept, output chunks
 * go back to the pool once written, tables of packet identifiers are dropped when they are empty at a PINGREQ.
 *
 * Runs in: worker's loop. Others refer to a connection by handle and serial, never by pointer across turns.
 */
#ifndef MQTT_CONN_H
#define MQTT_CONN_H

#include "shared/child/child.h"
#include "shared/mqtt/packet.h"
#include "worker/mqtt/inflight.h"
#include "worker/mqtt/out.h"
#include "worker/mqtt/terms.h"

#define CONN_SCRATCH 65536 /* bytes read at once */
#define CONN_NO_LISTENER UINT16_MAX
#define CONN_REASON_MAX 64 /* a Reason String, and what is around it */

enum conn_state { CONN_NEW, CONN_ASKED, CONN_OPEN, CONN_ENDED, CONN_GHOST, CONN_STATES };

/* Why a connection isn't read. Its keep alive stands still meanwhile. */
enum {
	PAUSE_ASKED = 1,  /* until persist answers */
	PAUSE_PEER = 2,   /* a ring it publishes to is full */
	PAUSE_RATE = 4,   /* a rate of it, its user or the broker: limit.h */
	PAUSE_OUTPUT = 8, /* it does not read our answers */
	PAUSE_STORE =
	    16, /* too many of its messages wait for persist, or one for room on the disk */
};

struct conn_input {              /* an incomplete packet */
	uint32_t len, cap, need; /* need: bytes of the whole packet, 0: header incomplete */
	uint8_t data[];
};

struct conn_alias { /* either direction */
	uint16_t n, max;
	struct conn_topic {
		char *p;
		uint16_t len;
	} topic[]; /* [alias - 1] */
};

struct waiting; /* deliver.c: a QoS 1/2 message that waits for the window */

struct conn {
	struct watch watch;
	int fd;
	struct timer timer; /* connect timeout, then keep alive */
	uint64_t serial;    /* never used twice */
	uint64_t epoch;
	uint64_t last_seq; /* of what persist has delivered */
	uint64_t seen_ms;
	uint32_t handle, session;
	uint8_t state, version, pause;
	uint8_t durability; /* enum conf_durability: what answers to it wait for */
	bool durable : 1, clean_start : 1, problem_info : 1, half_open : 1, dirty : 1;
	bool published : 1; /* something of it may be under way to others */
	bool proxied : 1;   /* who it is comes first: proxy.h */
	bool answered : 1;  /* persist has said yes or no */
	bool lost : 1;      /* its socket has ended: there is nobody to say a last word to */
	bool untold : 1;    /* ended, and persist may not know it yet */
	bool
	    unread : 1; /* there may be more of it than what was read last, and the socket doesn't know */
	bool assigned : 1, server_keep_alive : 1, expiry_given : 1; /* CONNACK says so */
	uint16_t keep_alive;    /* seconds, as it counts; 0: off */
	uint16_t listener;      /* index in the snapshot; CONN_NO_LISTENER: it was removed */
	uint16_t window;        /* QoS 1/2 we may have under way */
	uint16_t alias_max;     /* as announced: topic aliases of the client's */
	uint16_t stores;        /* its QoS 1 publishes that persist has not answered */
	uint16_t storing;       /* likewise QoS 2; they are in rx too */
	uint16_t pages;         /* of retained messages that persist was asked for */
	uint32_t max_packet;    /* client's; UINT32_MAX: none */
	uint32_t expiry;        /* session expiry interval in force */
	uint32_t mark, mark_at; /* deliver.c: merging overlapping subscriptions */
	uint32_t nsubs, nwaiting;
	uint32_t nseen; /* subscribe.c: topics remembered */
	uint64_t waiting_bytes;
	char *id;                  /* client identifier, NUL terminated */
	char *user;                /* user name or NULL */
	char *mount;               /* mount point or NULL */
	struct login *login;       /* while auth is asked, or says more than one thing */
	char *method;              /* of authentication; NULL: none */
	struct identity *identity; /* what auth said of it; NULL: nothing beyond yes */
	uint16_t id_len, user_len, mount_len, alias_out_max;
	const struct terms *terms;
	struct acl_bound *acl; /* access.h */
	struct conn_input *in;
	struct conn *dirty_next;
	struct list resumed; /* in the list of those to go on with */
	struct out out;
	struct list subs;        /* struct sub */
	struct suback *partly;   /* subscribe.c: not all of its filters are done */
	struct list gets;        /* struct retain_get: pages of retained messages under way */
	struct inflights tx, rx; /* packet identifiers: ours under way; QoS 2 of the client's */
	struct waiting *wait_first, *wait_last;
	struct conn_alias *alias_in, *alias_out;
	struct limits *limits; /* limit.h; NULL: there are none */
	struct ssl_st *tls;    /* secure.h; NULL: in the clear */
	struct ws *ws;         /* NULL: no WebSocket */
	char *peer;            /* its address as text */
	struct msg *will;      /* persist publishes it; here for a persist that starts anew */
	uint32_t will_delay;   /* seconds */
	uint32_t store_bytes;  /* of its publishes that persist has not answered */
};

/* Why connections end: the counter tells. */
void conn_end(struct conn *c, enum counter why, enum mqtt_reason reason, const char *text);
/* False: the packet was not decoded, for this reason, and the connection has been ended. */
bool conn_decoded(struct conn *c, enum mqtt_reason reason, const char *why);
/* False: more user properties than the client may send in a packet, it has been ended. */
bool conn_users_fit(struct conn *c, const struct props *p);
/* The client has said goodbye, or the network did: no DISCONNECT is sent. will: publish it. */
void conn_gone(struct conn *c, enum counter why, enum mqtt_reason reason, bool will);

int conn_accept(int fd, unsigned listener, const char *peer);
struct conn *conn_find(uint32_t handle, uint64_t serial); /* or NULL; GHOSTs are found */
struct conn *conn_find_low(uint32_t handle, uint32_t serial_low);
struct conn *conn_find_epoch(uint32_t handle, uint64_t epoch);
struct conn *conn_next(uint32_t *handle); /* walks all; *handle starts at 0 */
void conn_answered(struct conn *c);       /* a GHOST's answer has come: it can go */
void conn_told(struct conn *c);           /* persist has read of its end: it can go */
size_t conn_count(void);                  /* with a socket */
size_t conn_half_open(void);

void conn_enter(struct conn *c, enum conn_state s);
void conn_pause(struct conn *c, unsigned why);
void conn_resume(struct conn *c, unsigned why); /* goes on with what is buffered */
void conn_dirty(struct conn *c);                /* has output: flush after this turn */
bool conn_flush_all(void); /* after the rings' heads are stored; true: take another turn */
/* Goes on at once with what has come from one that was resumed. */
void conn_serve(struct conn *c);
bool conn_turn(void); /* frees what ended, goes on with those that were resumed; true: more */
const char *conn_name(const struct conn *c); /* for the log */
uint64_t conn_token(const struct conn *c);   /* names it for conn_find_low(), for a short time */
struct span conn_id(const struct conn *c);

/* Room in the output for a packet of len; NULL: no memory, the connection has been ended. Sent with this turn's flush. */
uint8_t *conn_room(struct conn *c, size_t len);
/* Properties of an answer to what is refused: the reason in words, where the client wants to be told. Borrowed: in buf. */
struct span conn_reason_props(const struct conn *c, uint8_t reason, uint8_t buf[CONN_REASON_MAX]);
/* Sends an encoded packet that isn't a PUBLISH. */
void conn_send(struct conn *c, const void *packet, size_t len);

/* After a reload: listeners have other places, or have gone. Clients of one that has gone stay. */
void conn_conf(const struct conf *was, const struct conf *now);
const char *conn_listener_name(const struct conn *c);
uint16_t conn_listener_index(const struct conf *c, const char *name); /* or CONN_NO_LISTENER */

void conn_init(void);
void conn_fini(void);

/* Handlers of packets, in connect.c, publish.c, subscribe.c. */
typedef void conn_packet_fn(struct conn *c, struct span body, uint8_t flags);
conn_packet_fn on_connect, on_publish, on_puback, on_pubrec, on_pubrel, on_pubcomp, on_subscribe,
    on_unsubscribe, on_pingreq, on_disconnect, on_auth;

#endif
