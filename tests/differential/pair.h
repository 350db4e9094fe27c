/*
 * pair.h - clients that do the same to two brokers, and what differs in what they get
 *
 * A peer is one client with a connection to each broker: what it sends, it sends to both. After each word of a script both are asked (by PINGREQ,
 * until nothing new comes) whether that was all, and what came is compared: for each peer what concerns the connection, acknowledgements by type
 * in their order, messages by topic in theirs. What differs has patience_ms to become equal. Then it is a difference: either an explained one, see
 * explained.h, or a failure, which is printed with the step.
 *
 * Topics and client identifiers are the script's own: "a/b" is sent as "PREFIX/a/b", and the prefix is taken off all that comes. Packet
 * identifiers that a broker chooses are not compared, but whether a message comes again under the one it had.
 *
 * Runs in: one process, one script after the other; pair_begin() and pair_end() are around each.
 */
#ifndef DIFFERENTIAL_PAIR_H
#define DIFFERENTIAL_PAIR_H

#include "tests/lib/wire.h"

enum side { OURS, THEIRS, SIDES };

struct pair {
	const char *host;
	int port[SIDES];
	int patience_ms;
	const char *script; /* that runs: "5/will/delay" */
	int version;        /* of clients that connect from now on */
};

extern struct pair pair;

void pair_begin(const char *script, int version);
/* True: nothing differed but what is explained. what: the first that did; borrowed until the next begins. */
bool pair_end(const char **what);

bool pair_differs(void); /* already */

struct peer;

/* --- words of scripts -------------------------------------------------------------------- */

const char *own(const char *name); /* as it is sent */
const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct peer *dial(const char *name); /* TCP only */
struct peer *join_with(const char *name, struct wire_connect o);
#define join(name, ...) join_with(name, (struct wire_connect){ __VA_ARGS__ })
/* The same, in a session that outlives the connection and is resumed if it is there. */
struct peer *session_with(const char *name, struct wire_connect o);
#define session(name, ...) session_with(name, (struct wire_connect){ __VA_ARGS__ })

void send_bytes(struct peer *p, struct span bytes);
void publish_message(struct peer *p, struct wire_message m);
#define publish(p, ...) publish_message(p, (struct wire_message){ __VA_ARGS__ })
void subscribe_with(struct peer *p, const char *filter, unsigned options, struct span props);
void subscribe(struct peer *p, const char *filter, unsigned options);
void unsubscribe(struct peer *p, const char *filter);

void hold(struct peer *p);          /* acknowledges no message any more but by answer() */
void release(struct peer *p);       /* what comes from now on is acknowledged again */
void hold_releases(struct peer *p); /* what it publishes with QoS 2 is released by answer() only */
/* For a message by its payload, or of ours by its identifier if payload is NULL. */
void answer(struct peer *p, enum wire_type type, const char *payload, uint16_t id, unsigned reason);

void leave_with(struct peer *p, unsigned reason, struct span props); /* DISCONNECT */
void leave(struct peer *p);
void lose(struct peer *p); /* the network: RST, without a word */
void pass_time(int ms);    /* in which nobody sends anything */

void together(void); /* what follows is one step, */
void as_one(void);   /* that ends here */
void any_of(struct peer *p,
    const char
	*group); /* which peer of the group a message goes to, and in what order, is left open */

#endif
