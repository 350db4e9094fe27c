/*
 * suspects.h - clients that workers died of, and which of them are kept out
 *
 * A death counts for as long as a client would be kept out. As many as the limit with the same identifier and address keep that pair
 * out; three times as many with the same address keep the address out, whoever comes from there: a client may call itself otherwise
 * each time, or kill a worker before it has said who it is. Another death begins the time anew.
 *
 * Runs in: master. Pure: no log, no clock. What there is of it is bounded, the oldest goes.
 * Trusts:  not what is in a struct who, except that it is terminated.
 */
#ifndef MASTER_SUSPECTS_H
#define MASTER_SUSPECTS_H

#include <stdint.h>

#include "shared/base/log.h"
#include "shared/ipc/chan.h"
#include "shared/ipc/who.h"

#define SUSPECT_DEATHS 64 /* quarantine_deaths is at most 20 */
#define SUSPECT_ADDRESS_FACTOR 3
#define SUSPECT_TEXT_MAX (LOG_ESC_MAX * 4 + WHO_FROM_MAX * 4 + 64)

struct suspect { /* is kept out */
	struct who who;
	uint8_t packet; /* the type that the last worker died of */
	uint32_t deaths;
	uint64_t since_ms;
};

struct suspects {
	struct {
		uint64_t at_ms;
		struct who who; /* from "": none */
	} death[SUSPECT_DEATHS];
	unsigned next;
	unsigned nout;
	struct suspect out[QUARANTINE_CLIENTS]; /* the oldest first */
};

/*
 * A worker has died of a packet. Who is to be kept out for it, from now on or longer than before: the client, its address, both or none;
 * how many. Borrowed until the next call.
 */
unsigned suspects_died(struct suspects *t, const struct who *who, uint8_t packet, uint32_t limit,
    uint64_t now_ms, uint64_t time_ms, const struct suspect *out[2]);
/* Takes one out of the table whose time is over. */
bool suspects_over(struct suspects *t, uint64_t now_ms, uint64_t time_ms, struct suspect *out);
/* Takes one out whose identifier or address this is, NULL: any. Its deaths are forgotten. */
bool suspects_clear(struct suspects *t, const char *id, struct suspect *out);

/* `client="x" from=10.0.0.1 packet=PUBLISH`, fit for a line of the log. */
void suspect_text(const struct who *who, uint8_t packet, char out[SUSPECT_TEXT_MAX]);

#endif
