/*
 * who.h - a client as it is known when its process has died: by name and by address
 *
 * Texts, NUL terminated: the worker writes them before each packet into its flight recorder, the master keeps them and tells the other
 * workers. Neither may be what it says: a process that died may have written anything.
 */
#ifndef IPC_WHO_H
#define IPC_WHO_H

#include <stdbool.h>

#include "shared/base/span.h"

#define WHO_CLIENT_MAX 257 /* what max_client_id allows for by default; longer ones are cut */
#define WHO_FROM_MAX 63    /* an address of IPv6 in brackets has 47 bytes at most */

struct who {
	char client[WHO_CLIENT_MAX]; /* identifier; "": none yet, or whoever it is */
	char from[WHO_FROM_MAX]; /* address without port, as sock_text_host() has it; "": nobody */
};

static inline void
who_put(char *to, size_t room, struct span text)
{
	size_t n = text.len < room ? text.len : room - 1;

	if (n > 0)
		memcpy(to, text.p, n);
	to[n] = '\0';
}

static inline void
who_set(struct who *w, struct span client, struct span from)
{
	who_put(w->client, sizeof(w->client), client);
	who_put(w->from, sizeof(w->from), from);
}

/* Of one copied from shared memory. */
static inline void
who_end(struct who *w)
{
	w->client[sizeof(w->client) - 1] = w->from[sizeof(w->from) - 1] = '\0';
}

static inline bool
who_eq(const struct who *a, const struct who *b)
{
	return strcmp(a->from, b->from) == 0 && strcmp(a->client, b->client) == 0;
}

#endif
