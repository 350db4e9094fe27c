/*
 * verify.h - does a password fit what is kept of it? In threads, for it takes long on purpose
 *
 * Answers that were yes are remembered for auth_cache, as digests under a secret of this process's life, so a client that comes again costs nothing. Who asks the
 * same while it is being worked out waits for the same answer. Threads run at a lower priority than any event loop: a storm of clients with passwords must not be felt
 * by those who are connected.
 *
 * Runs in: auth's loop; the threads see copies only.
 */
#ifndef AUTH_VERIFY_H
#define AUTH_VERIFY_H

#include "shared/base/list.h"
#include "shared/base/span.h"

struct verify { /* a question, the caller's storage until it has its answer or is taken back */
	struct list link;
	struct verify_job *job; /* NULL: it is not asked */
	void (*done)(struct verify *v, bool fits);
};

enum verified {
	VERIFY_FITS,
	VERIFY_LATER,
	VERIFY_BUSY
}; /* LATER: done() is called in another turn */

int verify_init(void); /* 0, -errno */
void verify_fini(void);
void verify_conf(void); /* auth_threads, auth_cache may be others */
enum verified verify_ask(struct verify *v, const char *text, struct span password);
void verify_take_back(struct verify *v); /* one that is not asked is fine */

#endif
