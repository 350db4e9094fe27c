/*
 * fetch.h - HTTP requests to others, in the loop: libcurl's multi interface on our descriptors and timers
 *
 * Nothing here waits: sockets are watched by the loop, and names are resolved in threads of libcurl's (fetch_init() sees to it that it was built so). Connections are kept
 * and used again. An answer is bounded, redirections are not followed, no proxy of the environment is used, and a certificate has to be good and to be that of the host.
 *
 * Runs in: auth's loop.
 * Trusts:  no answer; the caller reads it as it would a client's bytes.
 */
#ifndef AUTH_FETCH_H
#define AUTH_FETCH_H

#include "shared/base/span.h"

struct fetch;
struct fetch_terms; /* what requests of one configuration have in common; counted */

struct fetch_ask {
	const char *url;
	bool is_post; /* with body, which is borrowed until it is done */
	struct span body;
	uint32_t timeout_ms;
	size_t max; /* bytes of an answer */
	struct fetch_terms *terms;
};

struct fetch_answer {     /* borrowed until done() has returned */
	long status;      /* 0: there is none */
	const char *why;  /* then: in words, without anything of the request */
	const char *type; /* of its content; "" if it doesn't say */
	struct span body;
};

typedef void fetch_done_fn(void *arg, const struct fetch_answer *a);

int fetch_init(void);  /* 0, -errno */
void fetch_fini(void); /* none may be under way */
/* headers: a line each. type: of what is posted, NULL: nothing is. authorities: PEM, empty: those of the system. NULL: no memory. */
struct fetch_terms *fetch_terms_new(struct span headers, const char *type, struct span authorities);
struct fetch_terms *fetch_terms_ref(struct fetch_terms *t);
void fetch_terms_unref(struct fetch_terms **t);

/* done() is called in another turn, unless it is cancelled. NULL: no memory. */
struct fetch *fetch_begin(const struct fetch_ask *a, fetch_done_fn *done, void *arg);
void fetch_cancel(struct fetch *f);
bool fetch_turn(void); /* what has been begun goes out; true: there is more to do */

#endif
