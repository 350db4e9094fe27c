/*
 * keep.h - what auth has on disk, by way of persist
 *
 * At the start all of it is read; later, what changes is written as one set after the other, and each is in force here when persist has all of it on disk. If persist
 * dies meanwhile its successor finds what was asked in the ring.
 *
 * Runs in: auth's loop.
 */
#ifndef AUTH_KEEP_H
#define AUTH_KEEP_H

#include "worker/auth/credential.h"

#define KEEP_SECRET_LEN 32

/* What becomes of a name: this credential, or none. */
struct keep_change {
	struct credential *to; /* NULL: it goes */
	char name[CREDENTIAL_NAME_MAX + 1];
	bool is_done; /* persist has answered */
	int err;      /* afterwards: 0, or why it is as it was */
};

struct keep_set {
	size_t n, left; /* left: of those that persist has not answered */
	uint64_t first; /* token of the first */
	struct keep_set *next;
	void (*done)(struct keep_set *s); /* takes it */
	int fd;                           /* who asked */
	struct keep_change change[];
};

void keep_init(void (*loaded)(void)); /* called once all of it has been read */
void keep_fini(void);

struct keep_set *keep_set_new(size_t n); /* NULL: no memory */
void keep_set_free(struct keep_set *s);  /* with the credentials it has still */
/* Takes s, until done() gets it; credentials that are in force are the table's then. */
void keep_write(struct keep_set *s);

void keep_up(void); /* persist can be written to */
bool keep_is_loaded(void);
/* Random, the same for the store's life, known to nobody else. Once it is loaded. */
const uint8_t *keep_secret(void);
int keep_item(struct span body); /* REC_KEPT_ITEM */
int keep_end(struct span body);  /* REC_KEPT_END */
int keep_kept(struct span body); /* REC_KEPT */

#endif
