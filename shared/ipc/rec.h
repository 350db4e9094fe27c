/*
 * rec.h - records on the rings: types and fixed parts, from recs.def
 *
 * A record is its fixed part and then the parts that its lengths name, in the order they are listed, without padding. Integers in host order.
 * Readers copy the fixed part out (rec_take) and check lengths with rec_span before use.
 *
 * Who is meant: `session` is persist's index of a session, `handle` the worker's index of a connection; each comes with the epoch, and one
 * whose epoch is not the current is ignored. So a record about a session that has moved on does nothing.
 * `token` is the asker's own and comes back in the answer.
 *
 * Runs in: workers, persist and auth.
 */
#ifndef IPC_REC_H
#define IPC_REC_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/span.h"
#include "shared/mqtt/msg.h"

enum rec_type {
	REC_NONE, /* ring padding */
#define R(name, from, to, fixed) REC_##name,
#include "shared/ipc/recs.def"
#undef R
	REC_TYPES
};

/* A message of the largest packet, with its topic and properties once more beside it. */
#define RECORD_MAX ((UINT64_C(1) << 28) + (UINT64_C(1) << 20))

struct rec_registered {
	uint32_t gen,
	    spare; /* of the persist it is meant for: a successor that finds it is told again */
};

/*
 * A message. Followed by: ngroups u64 names of groups of shared subscriptions; topic; props (as props_forward()); payload.
 */
struct rec_msg {
	uint64_t publish_ms; /* wall clock, when it reached the broker */
	uint32_t expiry;     /* seconds, with REC_HAS_EXPIRY */
	uint32_t props_len, payload_len;
	uint16_t topic_len, ngroups;
	uint8_t qos, flags, plain; /* plain: for plain subscriptions too, not just the groups */
	uint8_t hops;              /* processes that had no member of the group any more */
	uint8_t spare[4];
};

#define REC_RETAIN 1u
#define REC_HAS_EXPIRY 2u
#define REC_DUP 4u

#define REC_HOPS_MAX 3u /* then it is given up, or waits in the group's queue at persist */

#define STORE_DURABLE 1u /* durable sessions match */
#define STORE_RETAIN 2u  /* update the retained message (an empty payload removes it) */
#define STORE_QOS2 4u    /* publisher's session is durable: have we got this packet id already? */
#define STORE_ANSWER 8u  /* STORED is wanted */

/* Followed by: with STORE_RETAIN who has published it (acl/who.h), source_len bytes, 0: nobody wants to know; then what follows m. */
struct rec_store {
	uint64_t token;
	uint64_t epoch;     /* of the publisher's session */
	uint32_t session;   /* of the publisher; for no local and QoS 2 */
	uint16_t packet_id; /* with STORE_QOS2 */
	uint8_t want, spare;
	uint32_t source_len, spare2;
	struct rec_msg m; /* groups: those that belong to persist */
};

#define STORED_DUPLICATE 1u /* STORE_QOS2: had it before; deliver nothing, send PUBREC */
#define STORED_FOUND 2u     /* RELEASED: the packet id was known */
#define STORED_MATCHED 4u   /* a durable session got it */

struct rec_stored {
	uint64_t token;
	uint8_t reason; /* enum mqtt_reason: 0 or what to answer the publisher with */
	uint8_t flags, spare[6];
};

struct rec_release {
	uint64_t token, epoch;
	uint32_t session;
	uint16_t packet_id, spare;
};

#define CONNECT_CLEAN 1u
#define CONNECT_WILL 2u
#define CONNECT_MQTT3 4u
#define CONNECT_QUEUE 8u  /* REGISTER: session was durable before */
#define CONNECT_AGAIN 16u /* asked of a persist that died; unless it is in the ring still */

/*
 * Followed by: client id; user name; peer address; listener's name; then, with CONNECT_WILL, the will's topic, props and payload.
 */
struct rec_connect {
	uint64_t token;           /* REGISTER: the epoch */
	uint64_t last_seq;        /* REGISTER: of the last DELIVER that has come; 0: none */
	uint32_t handle, session; /* session: REGISTER only */
	uint32_t expiry;          /* session expiry interval, seconds; MQTT_EXPIRY_NEVER */
	uint16_t window; /* QoS 1/2 messages under way at most: receive maximum and inflight_max */
	uint16_t keep_alive;
	uint32_t max_packet; /* client's maximum packet size; 0: none */
	uint16_t client_id_len, user_name_len;
	uint8_t peer_len, listener_len, flags, version;
	uint32_t will_delay;   /* seconds */
	uint64_t connected_ms; /* wall clock */
	uint8_t durability;    /* enum conf_durability: what its answers wait for */
	uint8_t spare[3];
	uint32_t
	    source_len; /* with a will: who its client is to the access rules (shared/acl/who.h); 0: nobody wants to know */
	struct rec_msg will; /* lengths of the will; ngroups 0 */
};

/* Followed by: the filter, with $share/NAME/ if it was. */
struct rec_resume {
	uint64_t token;
	uint32_t subid; /* 0: none */
	uint16_t filter_len;
	uint8_t options; /* as in SUBSCRIBE, 3.8.3.1 */
	uint8_t spare;
};

#define GRANT_PRESENT 1u /* a session was there */
#define GRANT_DURABLE                                                                              \
	2u /* persist keeps this session: subscribe, publish QoS 2 and acknowledge through persist */

struct rec_grant {
	uint64_t token, epoch;
	uint32_t session;
	uint32_t expiry;
	uint8_t reason, flags, spare[6];
};

struct rec_let_go {
	uint64_t epoch;
	uint32_t handle;
	uint8_t reason; /* of the DISCONNECT: 0x8E, 0x98, … */
	uint8_t spare[3];
};

#define GONE_WILL 1u   /* publish the will, if there is one */
#define GONE_EXPIRY 2u /* expiry overrides */
#define GONE_TAKEN 4u  /* answers LET_GO */

struct rec_gone {
	uint64_t epoch;
	uint64_t last_seq; /* of the last DELIVER that came to it; 0: none */
	uint32_t session, expiry;
	uint8_t flags, reason, spare[6];
};

/* SUB, UNSUB. Followed by: the filter. token 0: no answer is wanted. */
struct rec_sub {
	uint64_t token, epoch;
	uint32_t session, subid;
	uint16_t filter_len;
	uint8_t options, spare[5];
};

#define SUBBED_EXISTED 1u

struct rec_subbed {
	uint64_t token;
	uint64_t
	    since; /* last update of a retained message before the subscription: for RETAIN_GET */
	uint8_t reason, flags, spare[6];
};

/* Followed by: the filter (never shared), the cursor of the last RETAIN_END (empty: from the start). */
struct rec_retain_get {
	uint64_t token, epoch;
	uint64_t since; /* durable sessions: what is later went to them live */
	uint32_t
	    session; /* durable sessions: QoS 1/2 goes to the session's queue, only QoS 0 comes as RETAINED */
	uint32_t subid;
	uint32_t max,
	    max_bytes; /* messages of this page, bytes of them: it ends with the one that reaches either */
	uint16_t filter_len, cursor_len;
	uint8_t options, durable, spare[6];
};

struct rec_retained { /* then what follows m */
	uint64_t token;
	struct rec_msg m;
};

/* Followed by: the cursor for the next page (empty: that was all). */
struct rec_retain_end {
	uint64_t token;
	uint32_t count;
	uint16_t cursor_len, spare;
};

#define DELIVER_PUBREL 1u /* no message: send PUBREL for packet_id */
#define DELIVER_PUBACK_LOST 2u

/* Followed by: nsubids u32 subscription identifiers; then what follows m (ngroups 0). m.qos is the effective QoS. */
struct rec_deliver {
	uint64_t epoch, seq; /* seq: names the delivery in ACKED */
	uint32_t handle;
	uint16_t packet_id, nsubids;
	uint8_t what, spare[7];
	struct rec_msg m; /* REC_DUP, REC_RETAIN as they are to be sent */
};

struct rec_acked {
	uint64_t epoch, seq;
	uint32_t session;
	uint16_t packet_id;
	uint8_t
	    packet; /* PKT_PUBACK, PKT_PUBREC, PKT_PUBCOMP; 0: dropped by the worker (too large, expired) */
	uint8_t reason;
};

#define LOGIN_USER 1u     /* there is a user name, maybe an empty one */
#define LOGIN_PASSWORD 2u /* likewise a password */
#define LOGIN_ANONYMOUS                                                                            \
	4u             /* the listener lets in who has neither, unless something is known of them */
#define LOGIN_AGAIN 8u /* it is connected, and shows itself anew (4.12.1) */
#define LOGIN_CERTIFICATE 16u /* it has shown a good one */
#define LOGIN_DATA_MAX 4096u

/*
 * Followed by: client id, user name, password, names in the certificates it has shown, authentication method and data, state, peer
 * address, listener's name.
 *
 * An exchange of several steps is one LOGIN for each, and auth remembers nothing between them: what it needs to know of those before
 * comes back as state. So it makes no difference which auth is asked.
 */
struct rec_login {
	uint64_t token;
	uint32_t turn; /* which question it is about this client: comes back in the answer */
	uint16_t client_id_len, user_name_len, password_len;
	uint16_t names_len;            /* struct rec_name with its text, one behind the other */
	uint16_t method_len, data_len; /* method_len 0: none */
	uint16_t state_len;            /* 0: the first step */
	uint8_t peer_len, listener_len, flags, version, spare[2];
};

enum rec_name_kind { NAME_COMMON, NAME_SUBJECT, NAME_DNS, NAME_EMAIL, NAME_URI, NAME_KINDS };

struct rec_name {
	uint8_t depth; /* in the chain; 0: the client's own */
	uint8_t kind;
	uint16_t len;
};

/*
 * Followed by: names of groups, with commas between them; attributes, each a name, a NUL, its value, a NUL; authentication data for the
 * client; state for the next step; user name that it turned out to have, where CONNECT had none. reason 0x18: it is to go on, with an
 * AUTH packet that has the data.
 */
struct rec_login_done {
	uint64_t token;
	uint64_t expires_ms; /* wall clock: when it has to be shown anew; 0: never */
	uint32_t turn;       /* as it was asked */
	uint16_t groups_len, attributes_len, data_len, state_len, user_name_len;
	uint8_t reason; /* enum mqtt_reason */
	uint8_t spare;
};

#define KEEP_DEL 1u   /* KEEP: there is to be nothing under that name */
#define KEEP_FRESH 2u /* KEEP: only if there is nothing yet */
#define KEEP_NAME_MAX 512u
#define KEEP_VALUE_MAX 65535u

/* Followed by: the name, at least a byte; the value. */
struct rec_keep {
	uint64_t token;
	uint16_t name_len, flags;
	uint32_t value_len;
};

struct rec_kept {
	uint64_t token;
	int32_t err; /* 0, -EEXIST, -errno: nothing has changed */
	uint32_t spare;
};

/* Followed by: the name behind which the page begins. */
struct rec_kept_get {
	uint64_t token;
	uint16_t after_len, spare[3];
};

struct rec_kept_end {
	uint64_t token;
	uint32_t count, more; /* more: there is another page */
};

struct rec_will_end {
	uint64_t epoch;
	uint32_t session, spare;
};

struct rec_rule {
	const char *name;
	uint32_t from, to; /* P_… kinds */
	uint32_t fixed;    /* bytes of the fixed part */
};

extern const struct rec_rule rec_rule[REC_TYPES];

/*
 * Which record it was. Where it ended in its ring is for people: one that came in pieces comes again somewhere else. It begins with its token, epoch and
 * the like, of which no two are the same.
 */
struct rec_id {
	uint64_t position;
	uint32_t gen, len;            /* gen: of who sent it */
	uint8_t slot, type, spare[6]; /* type REC_NONE: no record */
	uint8_t start[32];
};

struct rec_id
rec_id_of(unsigned slot, uint32_t gen, uint64_t position, unsigned type, struct span body);
bool rec_id_eq(const struct rec_id *a, const struct rec_id *b);

/* The one gate before a handler: known type, right sender and receiver, at least the fixed part. from, to: kinds' bits. */
bool rec_may(unsigned type, uint32_t from, uint32_t to, struct span body);

/* Cuts len bytes off the front of *rest; false if there are fewer: the record can't be. */
bool rec_span(struct span *rest, size_t len, struct span *out);
/* Copies the fixed part and cuts it off. */
bool rec_take(struct span *rest, void *out, size_t len);

/* A message as it travels. parts: groups, topic, props, payload are to follow the fixed part in this order. */
struct rec_msg rec_msg_of(const struct msg_view *v, unsigned ngroups, bool plain);
/* Checks everything: QoS, lengths add up to rest exactly, topic valid UTF-8 without wildcards. groups_out may be unaligned. */
bool rec_msg_parse(
    const struct rec_msg *m, struct span rest, struct msg_view *out, struct span *groups_out);

#endif
