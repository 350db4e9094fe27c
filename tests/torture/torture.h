/*
 * torture.h - what the user asked for, and what the parts of the tool say to each other
 *
 * tbmq-torture is one process and one thread, so it has its state in the modules: main.c goes through
 * the rounds, victim.c starts and kills the broker, publish.c and subscribe.c are the clients, ledger.c
 * knows what was promised and judges what came.
 */
#ifndef TORTURE_TORTURE_H
#define TORTURE_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/span.h"
#include "tests/lib/client.h"

/* All that is a number is a uint64_t: main.c has them in a table. */
struct options {
	const char *start, *store, *kills, *tolerated, *host;
	uint64_t port, version, seed, rounds;
	uint64_t publishers, topics, online, offline, members, retained, wills;
	uint64_t inflight, size, backlog;
	uint64_t calm_min, calm_max; /* ms of full load before a kill */
	uint64_t deadline;           /* seconds */
};

extern struct options opt;
extern unsigned run_id; /* in topics, so that runs don't meet */

/* --- kept.c: a connection that is kept up ------------------------------------------------ */

struct kept {
	struct client client;
	uint64_t again_ns; /* when it is opened or cut next; 0: not yet drawn */
	bool was_closed;
	bool had_session; /* a CONNACK has come */
};

/* Opens what is closed, cuts what is open now and then. */
void kept_turn(struct kept *k);
/* On CONNACK. False, and a fault: a session that had been there is gone. */
bool kept_is_resumed(struct kept *k);

/* --- victim.c: the broker, which is all descendants of ours ------------------------------ */

void victim_init(void);
void victim_turn(void);  /* starts it when nothing of it lives */
bool victim_is_up(void); /* the command has started it, and it has not been killed whole since */
/*
 * SIGKILL for "all", for "master" (what has become a child of ours), or for one of the processes of that
 * name; "power": for all, and what was not synced is lost. False: there is no such process now.
 */
bool victim_kill(const char *what);
bool victim_end(void); /* in order; false: it had to be killed */

/* --- publish.c --------------------------------------------------------------------------- */

void publishers_init(void);
/* Keeps them connected; may_publish: new messages too, besides those under way. */
void publishers_turn(bool may_publish);
bool publishers_say_last(void);    /* one more message on each stream; true: all are sent */
bool publishers_are_done(void);    /* nothing is under way */
bool publishers_had_answers(void); /* each, since publishers_mark() */
void publishers_mark(void);
uint64_t publishers_answers(void); /* a sign of life */
void publishers_explain(void);     /* prints who waits for what */

/* What a message says: made anew when it is sent again, and compared when it comes. Borrowed until the next call. */
struct span message_of(uint32_t stream, uint64_t seq);
/* False: it is none of ours. */
bool message_parse(struct span payload, uint32_t *stream_out, uint64_t *seq_out);

/* --- subscribe.c ------------------------------------------------------------------------- */

void subscribers_init(void);
void subscribers_turn(bool may_leave); /* else they all come, and stay */
bool subscribers_are_ready(void);      /* all are subscribed */
bool subscribers_had_messages(void);   /* each that stays online, since subscribers_mark() */
void subscribers_mark(void);
bool subscribers_are_far_behind(void); /* publishing pauses */
bool subscribers_have_all(void);       /* the last of each stream */
uint64_t subscribers_messages(void);   /* a sign of life */
void subscribers_explain(void);

/* --- will.c ------------------------------------------------------------------------------ */

void wills_init(void); /* their streams come behind those of the publishers */
void wills_turn(void);
bool wills_say_last(void); /* each is cut off a last time; true: all were */

/* --- retained.c -------------------------------------------------------------------------- */

void retained_init(void);
void retained_turn(void);
uint64_t retained_rounds(void); /* how often all had come */
bool is_retained(uint32_t stream);

#endif
