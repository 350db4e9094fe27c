/*
 * packet.h - MQTT packets: bytes to struct and back
 *
 * Decoders are pure and strict. They get the body of a packet (what follows the fixed header) and
 * borrow from it: every span in the struct points into the body. They answer MQTT_OK, or the reason to end the
 * connection with, and then what is in *out means nothing (a copy to spare it would cost each PUBLISH). What depends on the connection's state (packet identifiers in
 * use, aliases, limits) is the caller's. An optional `why` receives a constant text for the Reason String.
 *
 * Encoders write into the caller's memory and answer the length, or 0 when room is too small or a length above what MQTT can
 * say; then what was written means nothing. X_len() tells how much room. Reason String and properties are left out by the
 * caller when they don't fit the client's Maximum Packet Size.
 *
 * Runs in: any process.
 */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H

#include "shared/mqtt/mqtt.h"

/* --- fixed header, 2.1 ------------------------------------------------------------------ */

struct packet {
	uint8_t type, flags;
	uint32_t header_len; /* 2 to 5 */
	uint32_t body_len;
};

/*
 * 1: complete header in *out (the body may still be missing); 0: more bytes are needed;
 * -1: malformed (length of five bytes or not in the shortest form, reserved type, flags that can't be in this version).
 * version 0: nothing known yet, only CONNECT can come.
 */
int packet_peek(struct span in, enum mqtt_version v, struct packet *out);

/* --- properties, 2.2.2 ------------------------------------------------------------------ */

/* Where properties stand: which are allowed differs. One bit each, as in props.def. */
enum props_in {
	IN_CONNECT = 1 << 0,
	IN_WILL = 1 << 1,
	IN_CONNACK = 1 << 2,
	IN_PUBLISH_C = 1 << 3, /* from a client */
	IN_PUBLISH_S = 1 << 4,
	IN_ACK = 1 << 5, /* PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK */
	IN_SUBSCRIBE = 1 << 6,
	IN_UNSUBSCRIBE = 1 << 7,
	IN_DISCONNECT_C = 1 << 8,
	IN_DISCONNECT_S = 1 << 9,
	IN_AUTH = 1 << 10,
};

enum prop_id {
	PROP_PAYLOAD_FORMAT = 0x01,
	PROP_MESSAGE_EXPIRY = 0x02,
	PROP_CONTENT_TYPE = 0x03,
	PROP_RESPONSE_TOPIC = 0x08,
	PROP_CORRELATION_DATA = 0x09,
	PROP_SUBSCRIPTION_ID = 0x0b,
	PROP_SESSION_EXPIRY = 0x11,
	PROP_ASSIGNED_CLIENT_ID = 0x12,
	PROP_SERVER_KEEP_ALIVE = 0x13,
	PROP_AUTH_METHOD = 0x15,
	PROP_AUTH_DATA = 0x16,
	PROP_REQUEST_PROBLEM = 0x17,
	PROP_WILL_DELAY = 0x18,
	PROP_REQUEST_RESPONSE = 0x19,
	PROP_RESPONSE_INFO = 0x1a,
	PROP_SERVER_REFERENCE = 0x1c,
	PROP_REASON_STRING = 0x1f,
	PROP_RECEIVE_MAX = 0x21,
	PROP_TOPIC_ALIAS_MAX = 0x22,
	PROP_TOPIC_ALIAS = 0x23,
	PROP_MAX_QOS = 0x24,
	PROP_RETAIN_AVAILABLE = 0x25,
	PROP_USER_PROPERTY = 0x26,
	PROP_MAX_PACKET_SIZE = 0x27,
	PROP_WILDCARD_AVAILABLE = 0x28,
	PROP_SUBSCRIPTION_ID_AVAILABLE = 0x29,
	PROP_SHARED_AVAILABLE = 0x2a,
};

#define PROP_BIT(id) (UINT64_C(1) << (id))

/*
 * A checked set of properties. has says which are there; the fields of others are not set. User properties, and
 * subscription identifiers of a PUBLISH from a server, stay in raw: props_next() walks it.
 */
struct props {
	uint64_t has;
	struct span raw; /* without the length that stands before it */
	uint32_t message_expiry, session_expiry, will_delay, max_packet_size, subscription_id;
	uint16_t server_keep_alive, receive_max, topic_alias_max, topic_alias;
	uint8_t payload_format, request_problem, request_response, max_qos, retain_available,
	    wildcard_available, subscription_id_available, shared_available;
	struct span content_type, response_topic, correlation_data, assigned_client_id, auth_method,
	    auth_data, response_info, server_reference, reason_string;
};

static inline bool
props_has(const struct props *p, enum prop_id id)
{
	return p->has & PROP_BIT(id);
}

struct prop {
	enum prop_id id;
	uint32_t num;           /* numbers */
	struct span str, value; /* strings and data: str; pairs: str is the name */
};

/* One property after the other of a checked set; *at starts at 0. False at the end. */
bool props_next(struct span raw, size_t *at, struct prop *out);
size_t props_users(const struct props *p); /* how many user properties */

/*
 * What a server passes on unchanged of a PUBLISH's or will's properties, in the order they came: all but Message Expiry, Topic
 * Alias, Will Delay. buf has room for raw.len; answers the length. When nothing has to be left out (see props_is_forwardable)
 * the caller can use raw as it is.
 */
size_t props_forward(const struct props *p, uint8_t *buf);
bool props_is_forwardable(const struct props *p);

/* --- CONNECT, 3.1 ------------------------------------------------------------------------ */

struct connect {
	enum mqtt_version version;
	bool clean_start, has_will, has_user_name, has_password;
	uint16_t keep_alive; /* seconds, 0: off */
	struct props props;  /* MQTT 5; else has is 0 */
	struct span client_id;
	struct span user_name, password;
	struct {
		uint8_t qos;
		bool retain;
		struct props props;
		struct span topic, payload; /* topic checked: valid name, not empty */
	} will;
};

/*
 * MQTT_UNSUPPORTED_PROTOCOL_VERSION if name or level is another; then *version_out, if given, tells how to answer: MQTT_5 for an unknown level of "MQTT"
 * above 5, else MQTT_3_1_1. On any other error *version_out is the version the client spoke if that could be read, else 0.
 */
enum mqtt_reason connect_decode(
    struct span body, struct connect *out, enum mqtt_version *version_out, const char **why);

/* --- PUBLISH, 3.3 ------------------------------------------------------------------------ */

struct publish {
	struct span topic; /* checked UTF-8 without wildcards; empty only with an alias (5) */
	struct span payload;
	uint16_t id; /* 0 at QoS 0 */
	uint8_t qos;
	bool dup, retain;
	struct props props; /* has == 0: raw is empty too */
};

/* in: IN_PUBLISH_C, or IN_PUBLISH_S for clients of ours (tests, bridges). */
enum mqtt_reason publish_decode(struct span body, uint8_t flags, enum mqtt_version v,
    enum props_in in, struct publish *out, const char **why);

/* --- acknowledgements, 3.4 to 3.7 -------------------------------------------------------- */

struct ack {
	uint16_t id;
	uint8_t reason;
	struct props props;
};

/* type: PUBACK, PUBREC, PUBREL, PUBCOMP; only codes listed for the type pass. */
enum mqtt_reason
ack_decode(struct span body, unsigned type, enum mqtt_version v, struct ack *out, const char **why);

/* --- SUBSCRIBE, UNSUBSCRIBE, 3.8, 3.10 --------------------------------------------------- */

struct subscribe {
	uint16_t id;
	struct props props;
	unsigned count;   /* of filters, at least 1 */
	struct span rest; /* the filters, checked: subscribe_next() walks them */
};

struct filter {
	struct span filter; /* checked UTF-8, not empty; whether it is a valid filter: topic.h */
	uint8_t qos, retain_handling;
	bool no_local, retain_as_published;
};

enum mqtt_reason
subscribe_decode(struct span body, enum mqtt_version v, struct subscribe *out, const char **why);
enum mqtt_reason
unsubscribe_decode(struct span body, enum mqtt_version v, struct subscribe *out, const char **why);
bool subscribe_next(struct span *rest, enum mqtt_version v, struct filter *out);
bool unsubscribe_next(struct span *rest, struct span *filter_out);

/* --- DISCONNECT, AUTH, 3.14, 3.15 -------------------------------------------------------- */

struct disconnect {
	uint8_t reason;
	struct props props;
};

enum mqtt_reason disconnect_decode(struct span body, enum mqtt_version v, enum props_in in,
    struct disconnect *out, const char **why);
enum mqtt_reason auth_decode(struct span body, struct disconnect *out, const char **why);

/* --- encoding ---------------------------------------------------------------------------- */

/* Values are appended, each whole or not at all; once one does not fit, `over` is set and nothing more is written. */
struct wr {
	uint8_t *p, *end;
	bool over;
};

static inline struct wr
wr_of(void *p, size_t room)
{
	return (struct wr){ .p = p, .end = (uint8_t *)p + room };
}

void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_varint(struct wr *w, uint32_t v); /* over if above MQTT_LEN_MAX */
void wr_raw(struct wr *w, struct span s);
void wr_str(struct wr *w, struct span s); /* u16 length, bytes; over if longer than 65,535 */
unsigned varint_len(uint32_t v);          /* 1 to 4 */

/* Properties to send, written one by one with these into a buffer of the caller, then given to an encoder. */
void
wr_prop_num(struct wr *w, enum prop_id id, uint32_t v); /* byte, u16, u32 or varint: by the id */
void wr_prop_str(struct wr *w, enum prop_id id, struct span s);
void wr_prop_user(struct wr *w, struct span name, struct span value);

/*
 * A PUBLISH to be sent. props is what props_forward() left; the others are added here, in MQTT 5 only. 3.x gets none.
 */
struct publish_out {
	struct span topic, props, payload;
	uint16_t id, alias; /* alias 0: none; with an alias the topic may be empty */
	uint8_t qos;
	bool dup, retain, has_expiry;
	uint32_t expiry;        /* seconds left */
	const uint32_t *subids; /* nsubids of them */
	unsigned nsubids;
};

/* The whole packet's length. SIZE_MAX: it can't be sent, since it, its topic or a subscription identifier is above the maximum. */
size_t publish_len(const struct publish_out *p, enum mqtt_version v);
/* Everything up to the payload; the packet is this and then payload. id_at_out (may be NULL): offset of the packet identifier. */
size_t publish_encode_head(
    const struct publish_out *p, enum mqtt_version v, void *buf, size_t room, size_t *id_at_out);
size_t publish_encode(const struct publish_out *p, enum mqtt_version v, void *buf, size_t room);

/* props: encoded properties without their length. Ignored (must be empty) in 3.x. */
size_t connack_encode(enum mqtt_version v, bool session_present, uint8_t reason, struct span props,
    void *buf, size_t room);
/* The shortest form; a reason of 0 without properties has two bytes. 3.x: reason is not sent. */
size_t ack_encode(unsigned type, uint16_t id, enum mqtt_version v, uint8_t reason,
    struct span props, void *buf, size_t room);
size_t suback_encode(unsigned type, uint16_t id, enum mqtt_version v, struct span reasons,
    struct span props, void *buf, size_t room);
size_t pingresp_encode(void *buf, size_t room);
size_t
disconnect_encode(uint8_t reason, struct span props, void *buf, size_t room); /* MQTT 5 only */
size_t auth_encode(uint8_t reason, struct span props, void *buf, size_t room);

#endif
