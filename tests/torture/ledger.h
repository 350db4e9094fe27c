/*
 * ledger.h - what was published and acknowledged, what came, and whether that is as promised
 *
 * A stream is what one publisher sends on one topic with one QoS; its messages are numbered from 0.
 *
 *   - Acknowledged means that each subscriber gets it: ledger_close() finds what is missing.
 *   - First arrivals of a stream come in order at each subscriber.
 *   - QoS 2 comes once. Whether a packet repeats one that is still under way is for the caller to know.
 *   - QoS 1 without DUP comes at most as often as the publisher sent it, QoS 2 once.
 *
 * A group of shared subscriptions is a subscriber for which order and repetitions of QoS 1 don't count:
 * what a member had not acknowledged goes to another.
 *
 * A fault is printed with what was expected, what came and the kills around it; after FAULTS_SHOWN of a
 * kind they are only counted.
 */
#ifndef TORTURE_LEDGER_H
#define TORTURE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define FAULTS_SHOWN 8

enum fault {
	FAULT_LOST,
	FAULT_DISORDER,
	FAULT_TWICE,     /* QoS 2 */
	FAULT_UNDUPPED,  /* a packet again, without DUP */
	FAULT_SPOILT,    /* a message that nobody sent like that */
	FAULT_FORGOTTEN, /* a session */
	FAULT_STALE,     /* retained: an older one, or none */
	FAULTS
};

extern const char *const fault_name[FAULTS];

struct ledger_totals {
	uint64_t published, sent_again, acknowledged, refused;
	uint64_t arrived, dup; /* packets; dup: with the flag */
	uint64_t tolerated;    /* see ledger_init() */
	uint64_t fault[FAULTS];
};

/*
 * tolerated: names of kills, with commas, around which a packet may come again without DUP: one of these
 * between both, or the last before the first, which may have been on its way already. NULL: none.
 */
void ledger_init(uint32_t streams, uint32_t subscribers, const char *tolerated, FILE *report);
void ledger_fini(void);
/* How a stream is called in reports, and the QoS it has. */
void ledger_stream(uint32_t stream, uint32_t publisher, uint32_t topic, unsigned qos);

void ledger_group(uint32_t subscriber); /* it is one */

void ledger_kill(const char *what, uint64_t now_ns); /* what: borrowed for ever */
uint64_t ledger_publish(uint32_t stream);            /* the number of the new message */
void ledger_sent_again(uint32_t stream, uint64_t seq);
void ledger_acknowledged(uint32_t stream, uint64_t seq, uint64_t now_ns);
void ledger_refused(uint32_t stream, uint64_t seq);
/* A message that the subscriber takes; false: there is no such message. */
bool ledger_arrived(
    uint32_t subscriber, uint32_t stream, uint64_t seq, unsigned qos, bool dup, uint64_t now_ns);
/* A packet of QoS 2 that has come and is still under way comes again. */
void ledger_repeated(uint32_t subscriber, uint32_t stream, uint64_t seq, bool dup, uint64_t now_ns);
uint64_t ledger_behind(uint32_t subscriber); /* messages published and not there yet */
bool ledger_has_last(uint32_t subscriber); /* of each stream; a group: all that was acknowledged */
/* One above the newest message that was acknowledged; 0: none was. */
uint64_t ledger_acknowledged_next(uint32_t stream);
void ledger_close(void); /* all has come that will: looks for what is lost */

/* Found by others: what goes behind the name of the fault. */
void ledger_fault(enum fault f, uint64_t now_ns, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct ledger_totals ledger_totals(void);
bool ledger_is_good(void);

#endif
