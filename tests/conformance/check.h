/*
 * check.h - what a check is, and the words it is written in
 *
 * CHECK("5:3.8.4-2 4:3.8.4-2", "ack-id") { … } shows the statements named there, each as a run of its own with `version` set. It runs in a process
 * of its own beside many others, so it may wait, leave things behind, and end with wrong() or not_applicable() wherever it is. The rules named last
 * are those of broken.c that make it fail: without one nobody knows that it can.
 *
 * Client ids and topics come from id() and T(), so that no two checks meet. All that is read has to come within patience_ms and to be a packet
 * that a server may send: need() looks.
 */
#ifndef CONFORMANCE_CHECK_H
#define CONFORMANCE_CHECK_H

#include "tests/lib/wire.h"

struct check {
	const char *ids, *rules, *file;
	void (*run)(void);
	struct check *next;
};

void check_add(struct check *c);
extern struct check *checks;

#define CHECK(ids, rules) CHECK_COUNTED(ids, rules, __COUNTER__)
#define CHECK_COUNTED(ids, rules, n) CHECK_NUMBERED(ids, rules, n) /* n is a number now */
#define CHECK_NUMBERED(ids, rules, n) CHECK_NAMED(ids, rules, check_##n, entry_##n, add_##n)
#define CHECK_NAMED(ids, rules, function, entry, add)                                              \
	static void function(void);                                                                \
	static struct check entry = { ids, rules, __FILE__, function, NULL };                      \
	__attribute__((constructor)) static void add(void)                                         \
	{                                                                                          \
		check_add(&entry);                                                                 \
	}                                                                                          \
	static void function(void)

extern int version; /* 5, 4 or 3 */
extern const char *target_host;
extern int target_port;
extern int patience_ms;
extern struct wire_packet connack; /* the last that accepted */

void
check_begin(unsigned number, int result_fd); /* in the check's process: names, where to report */
_Noreturn void check_end(void);              /* it has passed */
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void not_applicable(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define demand(cond, ...) ((cond) ? (void)0 : wrong(__VA_ARGS__))
void pass_time(int ms);

/* Borrowed for good: "c7k3a" for "a", "t/7k3/a" for "a". */
const char *id(const char *suffix);
const char *T(const char *suffix);
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- connections ------------------------------------------------------------------------- */

struct wire *dial(void); /* nothing is sent yet */
/* Connected and accepted, the CONNACK in connack. */
struct wire *join_with(const struct wire_connect *o);
#define join(...) join_with(&(struct wire_connect){ __VA_ARGS__ })
/* The same, in a session that outlives the connection and is resumed if it is there. */
struct wire *session_with(struct wire_connect o);
#define session(...) session_with((struct wire_connect){ .id = __VA_ARGS__ })
/* A CONNECT by hand: its flags, and its payload. */
struct span make_connect(unsigned flags, struct span payload);
void leave(struct wire *w); /* DISCONNECT; comes back when the server has closed */

/* --- reading ----------------------------------------------------------------------------- */

struct wire_packet need(struct wire *w, enum wire_type type); /* the next packet, of this type */
void quiet(struct wire *w);                                   /* nothing but a PINGRESP comes */
/*
 * The connection is closed. If DISCONNECT or CONNACK told why, the code is one of these. MQTT 3 has only CONNACK; its codes 1 to 5 are
 * those of MQTT 5 that mean the same.
 */
void ended(struct wire *w, const int *codes);
#define must_end(w, ...) ended(w, (const int[]){ __VA_ARGS__, -1 })
/* A new client sends this and has to be closed. */
#define offends(bytes, ...)                                                                        \
	do {                                                                                       \
		struct wire *offender_ = join(.id = id("offender"));                               \
		wire_send(offender_, bytes);                                                       \
		must_end(offender_, __VA_ARGS__);                                                  \
		wire_close(offender_);                                                             \
	} while (0)
/* Likewise, as the first thing on a connection. */
#define refuses(bytes, ...)                                                                        \
	do {                                                                                       \
		struct wire *stranger_ = dial();                                                   \
		wire_send(stranger_, bytes);                                                       \
		must_end(stranger_, __VA_ARGS__);                                                  \
		wire_close(stranger_);                                                             \
	} while (0)
#define MALFORMED 0x81, 0x82 /* where the standard leaves it open, or is read both ways */

/* --- messages ---------------------------------------------------------------------------- */

uint16_t new_id(void);
struct span make_message(uint16_t packet_id, const struct wire_message *m);
uint16_t send_message(struct wire *w, const struct wire_message *m); /* its identifier */
/* Waits for the answers; the reason code. */
int publish_message(struct wire *w, const struct wire_message *m);
#define put_out(w, ...) send_message(w, &(struct wire_message){ __VA_ARGS__ })
#define publish(w, ...) publish_message(w, &(struct wire_message){ __VA_ARGS__ })

struct span
make_subscribe(uint16_t packet_id, struct span props, const char *filter, unsigned options);
struct span make_unsubscribe(uint16_t packet_id, const char *filter);
/* The code of the SUBACK. Options that the version lacks are left out. */
int ask(struct wire *w, const char *filter, unsigned options, struct span props);
/* Granted with the QoS that the options ask for. */
void subscribe(struct wire *w, const char *filter, unsigned options);
int unsubscribe(struct wire *w, const char *filter); /* the code; 0 in MQTT 3 */

/* The next packet is this message; not yet answered. */
struct wire_packet arrives(struct wire *w, const char *topic, const char *text);
/* The same, and answered as its QoS wants. */
struct wire_packet gets(struct wire *w, const char *topic, const char *text);
void answer(struct wire *w, enum wire_type type, uint16_t packet_id, unsigned reason);
/* What `from` has published until now with this QoS brings nothing more: the next that comes is a mark published now. */
void gets_no_more(struct wire *w, struct wire *from, unsigned qos);
/* A new client that subscribes gets this as a retained message; text NULL: nothing. */
void is_retained(const char *topic, const char *text);

#endif
