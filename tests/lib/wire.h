/*
 * wire.h - raw MQTT over TCP, TLS and WebSocket, for tests that have to be able to break every rule
 *
 * Bytes are made from a format and sent as they are: nothing here keeps a caller from sending nonsense. What comes is read with a deadline and
 * decoded strictly, by the standard's tables and with no code of the broker, so that an error there is no error here. A packet that no server may
 * send has `bad` set.
 *
 * Memory: all that is made or read stays until wire_forget(). Errors of the machine end the program; what the other side does is answered.
 */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/bytes.h"

enum wire_type {
	CONNECT = 1,
	CONNACK,
	PUBLISH,
	PUBACK,
	PUBREC,
	PUBREL,
	PUBCOMP,
	SUBSCRIBE,
	SUBACK,
	UNSUBSCRIBE,
	UNSUBACK,
	PINGREQ,
	PINGRESP,
	DISCONNECT,
	AUTH
};

extern const char *const wire_type_name[16];

enum wire_prop_id {
	PAYLOAD_FORMAT = 0x01,
	MESSAGE_EXPIRY = 0x02,
	CONTENT_TYPE = 0x03,
	RESPONSE_TOPIC = 0x08,
	CORRELATION_DATA = 0x09,
	SUBSCRIPTION_ID = 0x0b,
	SESSION_EXPIRY = 0x11,
	ASSIGNED_ID = 0x12,
	SERVER_KEEP_ALIVE = 0x13,
	AUTH_METHOD = 0x15,
	AUTH_DATA = 0x16,
	REQUEST_PROBLEM = 0x17,
	WILL_DELAY = 0x18,
	REQUEST_RESPONSE = 0x19,
	RESPONSE_INFORMATION = 0x1a,
	SERVER_REFERENCE = 0x1c,
	REASON_STRING = 0x1f,
	RECEIVE_MAX = 0x21,
	ALIAS_MAX = 0x22,
	TOPIC_ALIAS = 0x23,
	MAX_QOS = 0x24,
	RETAIN_AVAILABLE = 0x25,
	USER_PROPERTY = 0x26,
	MAX_PACKET = 0x27,
	WILDCARD_AVAILABLE = 0x28,
	SUBSCRIPTION_ID_AVAILABLE = 0x29,
	SHARED_AVAILABLE = 0x2a
};

/* --- making ------------------------------------------------------------------------------ */

/*
 * One letter for each field, with its arguments:
 *   1 2 4  unsigned: as many bytes          v  unsigned: variable byte integer
 *   s      const char *: length and text    b  struct span: length and bytes
 *   r      struct span: bytes alone         x  const char *: bytes in hexadecimal
 *   p      struct span: properties behind their length; nothing at all below MQTT 5
 * Blanks are for the eye.
 */
struct span wire_bytes(int version, const char *format, ...);
/* A whole packet: the first byte, the right length, then the fields. */
struct span wire_make(int version, unsigned first, const char *format, ...);
/* Properties one behind the other, each as its id ("1") and its value: wire_props("14 1ss", SESSION_EXPIRY, 60, USER_PROPERTY, "a", "b"). */
#define wire_props(...) wire_bytes(5, __VA_ARGS__)
#define NO_PROPS ((struct span){ 0 })

/* A CONNECT that is right unless asked otherwise. */
struct wire_connect {
	const char *name; /* NULL: the version's */
	unsigned level;   /* 0: the version's */
	unsigned flip;    /* connect flags that are turned over in the end */
	unsigned keep_alive;
	struct span props;
	const char *id;         /* NULL: empty */
	bool resume;            /* clean start 0 */
	const char *will_topic; /* NULL: no will */
	struct span will_payload, will_props;
	unsigned will_qos;
	bool will_retain;
	const char *user, *password; /* NULL: none */
};

struct span wire_make_connect(int version, const struct wire_connect *o);

struct wire_message {
	const char *topic;
	const char *text; /* or payload */
	struct span payload;
	unsigned qos;
	bool retain, dup;
	uint16_t id; /* 0: what the maker chooses */
	struct span props;
};

/* Options of a subscription, beside its QoS; MQTT 5 only. */
enum { NO_LOCAL = 4, AS_PUBLISHED = 8, RETAIN_IF_NEW = 16, RETAIN_NEVER = 32 };

struct span wire_make_publish(int version, uint16_t id, const struct wire_message *m);
struct span wire_make_subscribe(
    int version, uint16_t id, struct span props, const char *filter, unsigned options);
struct span wire_make_unsubscribe(int version, uint16_t id, const char *filter);
/* PUBACK, PUBREC, PUBREL or PUBCOMP. */
struct span wire_make_ack(int version, enum wire_type type, uint16_t id, unsigned reason);

void wire_forget(void); /* all that was made or read */

/* --- packets ----------------------------------------------------------------------------- */

#define WIRE_PROPS_MAX 64

struct wire_prop {
	enum wire_prop_id id;
	uint32_t number;
	struct span text, value; /* value: of a user property, whose name is the text */
	struct span raw;         /* identifier and value as they came */
};

struct wire_packet {
	enum wire_type type;
	unsigned flags;        /* of the fixed header */
	struct span raw, body; /* the whole packet; what is behind its length */
	const char *bad;       /* why no server may send it so; NULL: all is right */

	uint16_t id;
	int reason;         /* 0 where it is left out; -1: the packet has none */
	unsigned ack_flags; /* CONNACK; bit 0 is session present */
	unsigned qos;
	bool dup, retain;
	struct span topic, payload;
	struct span codes; /* SUBACK, UNSUBACK */
	size_t nprops;
	struct wire_prop prop[WIRE_PROPS_MAX];
	struct span props; /* as they came */
};

/* Of packets a server sends. Bytes that are no packet at all have bad set too. */
void wire_decode(int version, struct span raw, struct wire_packet *out);
const struct wire_prop *
wire_find(const struct wire_packet *k, enum wire_prop_id id); /* the first */
/* Length of the packet at the beginning; 0: there is more to come; SIZE_MAX: its length is malformed. */
size_t wire_length(struct span bytes);
/* What it is, for people: "SUBACK id=1 codes=00 01". */
const char *wire_describe(const struct wire_packet *k);

/* --- connections ------------------------------------------------------------------------- */

struct wire {
	int fd; /* -1: closed */
	int version;
	struct bytes in;        /* MQTT that was not read yet */
	struct tls_client *tls; /* NULL: none */
	struct websocket *ws;   /* likewise */
	const char *bad;        /* why no server may send what came, beside packets; read next */
};

/*
 * For all that are opened from then on: tcp, as at first, tls, ws or wss. False: no such thing. cafile: who signs servers, for tls and wss.
 * Behind it nobody has to know: bytes are sent in one binary frame, pings and Close are answered, and what no server may send below MQTT is a packet
 * that is bad, of no type.
 */
bool wire_transport(const char *name, const char *cafile);
bool wire_is_websocket(void);

int64_t wire_now_ms(void); /* monotonic */
/* NULL: refused, no such host, or not as the transport wants it: wire_trouble() says why. */
struct wire *wire_open(const char *host, int port, int version);
/* Over WebSocket, with another subprotocol than the version's; NULL: none. */
struct wire *wire_open_as(const char *host, int port, int version, const char *protocol);
const char *wire_trouble(void);
/* In order, as far as the transport knows: FIN, close_notify, Close; frees it; NULL is fine. */
void wire_close(struct wire *w);
void wire_reset(struct wire *w);    /* the same with RST, as a lost network */
void wire_shutdown(struct wire *w); /* nothing more will be sent; reading goes on */
/* False: the other side had closed, or takes nothing for 10 s. */
bool wire_send(struct wire *w, struct span bytes);
/* In pieces of so many bytes, each a segment, record or frame of its own with a moment between them. */
bool wire_send_pieces(struct wire *w, struct span bytes, size_t piece);
/* Over WebSocket: a frame with that first byte, see websocket.h. */
bool wire_send_frame(struct wire *w, unsigned first, struct span bytes);

/* WIRE_CLOSED: the other side has, and all it sent was read; or what it sent is no packet. */
enum wire_got { WIRE_CLOSED = -1, WIRE_NOTHING, WIRE_PACKET };
enum wire_got wire_read(struct wire *w, int ms, struct wire_packet *out);

/* What is read next, before all that has come. */
void wire_unread(struct wire *w, struct span bytes);

/* Reads until the connection is closed: how it ended. */
struct wire_end {
	bool closed;         /* within that time */
	enum wire_type last; /* the last packet before; 0: none */
	int reason;          /* of that, if it is CONNACK or DISCONNECT; else -1 */
	unsigned others;     /* packets before that */
	const char *bad;     /* of the first that no server may send; NULL: none */
};
struct wire_end wire_read_end(struct wire *w, int ms);

#endif
