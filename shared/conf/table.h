/*
 * table.h - keys.def as data, for the modules of this folder
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include <stddef.h>

#include "shared/conf/conf.h"

enum conf_type {
	CONF_BOOL,
	CONF_UINT,
	CONF_SIZE,
	CONF_SECONDS,
	CONF_STRING,
	CONF_RATE,
	CONF_BYTE_RATE,
	CONF_LOG_TARGET, /* from here on: choices */
	CONF_LOG_LEVEL,
	CONF_DROP,
	CONF_SHARE,
	CONF_TRANSPORT,
	CONF_CLIENT_CERTIFICATE,
	CONF_CERTIFICATE_USER,
	CONF_TLS_VERSION,
	CONF_DURABILITY,
	CONF_LISTENER_DURABILITY,
	CONF_DAMAGE,
	CONF_ACL_FORMAT,
	CONF_ACL_DEFAULT,
	CONF_RATE_ACTION,
	CONF_LISTENER_RATE_ACTION,
	CONF_JWT_FROM,
	CONF_HTTP_METHOD,
	CONF_HTTP_BODY,
	CONF_HTTP_DENIED,
	CONF_HTTP_UNAVAILABLE,
	CONF_TYPES
};

struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset; /* in struct conf or struct conf_listener */
	uint64_t def;
	const char *text; /* default of a string or a rate */
	uint64_t min, max;
	enum conf_when when;
	const char *help;
};

extern const struct conf_key conf_keys[], conf_listener_keys[];
extern const size_t conf_nkeys, conf_nlistener_keys;

const struct conf_key *conf_key_find(const struct conf_key *keys, size_t n, const char *name);
const char *
conf_suggest(const struct conf_key *keys, size_t n, const char *name); /* nearest, or NULL */
/* The i-th choice of an enumeration; NULL past the last. */
const char *conf_choice(enum conf_type type, unsigned i);

#define CONF_SAYS_MAX 1024
/* All there is to say of a key but its default: help, bounds or choices, and when a change of it is applied. */
void conf_key_says(const struct conf_key *k, char out[CONF_SAYS_MAX]);

/* Values by offset; base is the struct the key is of. */
uint64_t conf_get(const void *base, const struct conf_key *k); /* not strings, nor rates */
const struct rate *conf_get_rate(const void *base, const struct conf_key *k);
/* Checks bounds and sets. text: for strings and choices, and numbers with units; NULL: num is the value. */
int conf_set(void *base, const struct conf_key *k, const char *text, uint64_t num, char why[256]);
/* As in the file. */
void conf_value_text(const void *base, const struct conf_key *k, char *buf, size_t room);

/* What no single key can tell is wrong, and where. */
struct conf_place {
	int listener;    /* its number; -1: top level */
	const char *key; /* NULL: of the listener as a whole */
	char why[200];
};
int conf_check_at(const struct conf *c, struct conf_place *at); /* 0, -EINVAL */

#endif
