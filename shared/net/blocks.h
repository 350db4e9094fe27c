/*
 * blocks.h - who is not served: clients, users and addresses that an administrator has blocked, each for a time or for good
 *
 * The same set is kept by the master, which also keeps it on disk, and by each worker, which asks it at every connection. A client
 * identifier, a user name or an address is found by its hash, a prefix by one look-up for each length in use; expressions are tried one by one,
 * so there may be few. A block whose time is over matches nobody any more, whether it is still there or not.
 * Between processes and on disk a change is a line: '+' and a block, or '-' and what is blocked no longer, as JSON.
 *
 * Runs in: master, workers. Owns: its blocks.
 * Trusts:  no line: what can't be is -EINVAL with the reason.
 */
#ifndef NET_BLOCKS_H
#define NET_BLOCKS_H

#include <jansson.h>

#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/list.h"
#include "shared/net/cidr.h"

#define BLOCKS_MAX 1000000
#define BLOCKS_REGEX_MAX 100
#define BLOCK_VALUE_MAX 1024 /* bytes; what is longer can be blocked by an expression */
#define BLOCK_REASON_MAX 256

enum block_kind {
	BLOCK_CLIENT,
	BLOCK_USER,
	BLOCK_ADDRESS,
	BLOCK_CLIENT_REGEX,
	BLOCK_USER_REGEX,
	BLOCK_KINDS
};

extern const char *const block_kind_name[BLOCK_KINDS];

struct block {
	struct list link;    /* of all */
	struct list regexes; /* of those with one */
	uint64_t hash;
	uint64_t number;   /* in the order they came */
	uint64_t since_ms; /* wall clock */
	uint64_t until_ms; /* 0: for good */
	enum block_kind kind;
	struct cidr cidr;
	struct regex *regex;
	char *reason; /* may be empty */
	char value[]; /* of an address as cidr_text() has it */
};

struct blocks {
	struct hash_key key;
	struct htab table;
	struct list all; /* the oldest first */
	struct list regexes;
	size_t n, nregex;
	uint64_t numbers, next_until_ms; /* 0: none has an end */
	uint32_t lengths[2][129];        /* addresses by version and bits */
};

/* Whom it is about; spans without a pointer and version 0 are not known. */
struct blocked_who {
	struct span client, user;
	struct cidr address;
};

void blocks_init(struct blocks *b, const struct hash_key *key);
void blocks_fini(struct blocks *b);

/* A new one, the caller's; NULL with the reason. until_ms 0: for good. */
struct block *block_new(enum block_kind kind, const char *value, const char *reason,
    uint64_t since_ms, uint64_t until_ms, char why[256]);
void block_free(struct block *x);
int block_kind_of(const char *name); /* or -EINVAL */
bool block_is_about(const struct block *x, const struct blocked_who *who);

/* Could it be put? 0, or -ENOSPC with the reason: there are too many. */
int blocks_room(const struct blocks *b, const struct block *x, char why[256]);
/* Takes x, which comes in place of one that is about the same. -ENOSPC, -ENOMEM with the reason: it is the caller's still. */
int blocks_put(struct blocks *b, struct block *x, char why[256]);
struct block *blocks_find(const struct blocks *b, enum block_kind kind, const char *value);
void blocks_del(struct blocks *b, struct block *x);
/* Removes those whose time is over; how many. Cheap when there are none. */
size_t blocks_expire(struct blocks *b, uint64_t now_ms);
/* Who is it that blocks them? Or NULL. */
const struct block *
blocks_match(const struct blocks *b, const struct blocked_who *who, uint64_t now_ms);

/* Lines, NUL terminated, without their end; the caller's; NULL: no memory. */
char *block_line(const struct block *x, bool is_removed);
/* What a line does. *added_out: the block that is new, or NULL. 0, -EINVAL, -ENOSPC, -ENOMEM with the reason. */
int blocks_apply(
    struct blocks *b, const char *line, size_t len, const struct block **added_out, char why[256]);

#endif
