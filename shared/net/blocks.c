#include "shared/net/blocks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/regex.h"

const char *const block_kind_name[BLOCK_KINDS] = {
	[BLOCK_CLIENT] = "client",
	[BLOCK_USER] = "user",
	[BLOCK_ADDRESS] = "address",
	[BLOCK_CLIENT_REGEX] = "client_regex",
	[BLOCK_USER_REGEX] = "user_regex",
};

struct key {
	enum block_kind kind;
	struct span text;
};

static bool
has_regex(enum block_kind kind)
{
	return kind == BLOCK_CLIENT_REGEX || kind == BLOCK_USER_REGEX;
}

static struct key
key_of(const struct block *x)
{
	return (struct key){ x->kind,
		x->kind == BLOCK_ADDRESS ? span_of(&x->cidr, sizeof(x->cidr))
					 : span_str(x->value) };
}

static uint64_t
hash_of(const void *entry)
{
	return ((const struct block *)entry)->hash;
}

static uint64_t
key_hash(const struct blocks *b, const struct key *k)
{
	return hash_bytes(&b->key, k->text) + k->kind;
}

static bool
key_eq(const void *entry, const void *key)
{
	const struct key have = key_of(entry), *k = key;

	return have.kind == k->kind && span_eq(have.text, k->text);
}

static struct block *
find(const struct blocks *b, const struct key *k)
{
	return htab_find(&b->table, key_hash(b, k), key_eq, k);
}

void
blocks_init(struct blocks *b, const struct hash_key *key)
{
	*b = (struct blocks){ .key = *key };
	htab_init(&b->table, hash_of);
	list_init(&b->all);
	list_init(&b->regexes);
}

void
blocks_fini(struct blocks *b)
{
	struct block *x, *tmp;

	LIST_FOREACH(x, tmp, &b->all, struct block, link)
		blocks_del(b, x);
	htab_fini(&b->table);
}

/* --- one ---------------------------------------------------------------------------------- */

int
block_kind_of(const char *name)
{
	for (int k = 0; k < BLOCK_KINDS; k++)
		if (strcmp(block_kind_name[k], name) == 0)
			return k;
	return -EINVAL;
}

struct block *
block_new(enum block_kind kind, const char *value, const char *reason, uint64_t since_ms,
    uint64_t until_ms, char why[256])
{
	char text[CIDR_TEXT_MAX];
	struct cidr cidr = { 0 };
	struct regex *re = NULL;
	struct block *x;

	if (value[0] == '\0' || strlen(value) > BLOCK_VALUE_MAX) {
		snprintf(why, 256, "what is blocked must have 1 to %d bytes", BLOCK_VALUE_MAX);
		return NULL;
	}
	if (strlen(reason) > BLOCK_REASON_MAX) {
		snprintf(why, 256, "a reason has at most %d bytes", BLOCK_REASON_MAX);
		return NULL;
	}
	if (kind == BLOCK_ADDRESS) {
		if (cidr_parse(value, &cidr, why) != 0)
			return NULL;
		cidr_text(&cidr, text);
		value = text;
	}
	if (has_regex(kind) && (re = regex_new(span_str(value), why)) == NULL)
		return NULL;
	x = calloc(1, sizeof(*x) + strlen(value) + 1);
	if (x == NULL || (x->reason = strdup(reason)) == NULL) {
		snprintf(why, 256, "no memory");
		free(x);
		regex_free(re);
		return NULL;
	}
	list_init(&x->link);
	list_init(&x->regexes);
	x->since_ms = since_ms;
	x->until_ms = until_ms;
	x->kind = kind;
	x->cidr = cidr;
	x->regex = re;
	strcpy(x->value, value);
	return x;
}

void
block_free(struct block *x)
{
	if (x == NULL)
		return;
	regex_free(x->regex);
	free(x->reason);
	free(x);
}

bool
block_is_about(const struct block *x, const struct blocked_who *who)
{
	switch (x->kind) {
	case BLOCK_CLIENT:
		return who->client.p != NULL && span_eq(who->client, span_str(x->value));
	case BLOCK_USER:
		return who->user.p != NULL && span_eq(who->user, span_str(x->value));
	case BLOCK_ADDRESS:
		return who->address.version != 0 && cidr_holds(&x->cidr, &who->address);
	case BLOCK_CLIENT_REGEX: /* what can't be told is not let in */
		return who->client.p != NULL && regex_find(x->regex, who->client) != 0;
	default:
		return who->user.p != NULL && regex_find(x->regex, who->user) != 0;
	}
}

/* --- the set ------------------------------------------------------------------------------ */

int
blocks_room(const struct blocks *b, const struct block *x, char why[256])
{
	struct key k = key_of(x);
	bool is_new = find(b, &k) == NULL;

	if (is_new && b->n >= BLOCKS_MAX) {
		snprintf(why, 256, "there are %d blocks already", BLOCKS_MAX);
		return -ENOSPC;
	}
	if (is_new && has_regex(x->kind) && b->nregex >= BLOCKS_REGEX_MAX) {
		snprintf(
		    why, 256, "there are %d with regular expressions already", BLOCKS_REGEX_MAX);
		return -ENOSPC;
	}
	return 0;
}

int
blocks_put(struct blocks *b, struct block *x, char why[256])
{
	struct key k = key_of(x);
	struct block *was = find(b, &k);
	int err = blocks_room(b, x, why);

	if (err != 0)
		return err;
	x->hash = key_hash(b, &k);
	if (htab_add(&b->table, x->hash, x) != 0) {
		snprintf(why, 256, "no memory");
		return -ENOMEM;
	}
	if (was != NULL)
		blocks_del(b, was);
	b->n++;
	b->nregex += has_regex(x->kind);
	if (x->kind == BLOCK_ADDRESS)
		b->lengths[x->cidr.version == 6][x->cidr.bits]++;
	if (has_regex(x->kind))
		list_add_tail(&b->regexes, &x->regexes);
	x->number = ++b->numbers;
	list_add_tail(&b->all, &x->link);
	if (x->until_ms != 0 && (b->next_until_ms == 0 || x->until_ms < b->next_until_ms))
		b->next_until_ms = x->until_ms;
	return 0;
}

struct block *
blocks_find(const struct blocks *b, enum block_kind kind, const char *value)
{
	struct key k = { kind, span_str(value) };
	struct cidr cidr;
	char why[256];

	if (kind == BLOCK_ADDRESS) {
		if (cidr_parse(value, &cidr, why) != 0)
			return NULL;
		k.text = span_of(&cidr, sizeof(cidr));
	}
	return find(b, &k);
}

void
blocks_del(struct blocks *b, struct block *x)
{
	htab_del(&b->table, x->hash, x);
	b->n--;
	b->nregex -= has_regex(x->kind);
	if (x->kind == BLOCK_ADDRESS)
		b->lengths[x->cidr.version == 6][x->cidr.bits]--;
	list_del(&x->regexes);
	list_del(&x->link);
	block_free(x);
}

static bool
is_over(const struct block *x, uint64_t now_ms)
{
	return x->until_ms != 0 && x->until_ms <= now_ms;
}

size_t
blocks_expire(struct blocks *b, uint64_t now_ms)
{
	struct block *x, *tmp;
	uint64_t next = 0;
	size_t n = 0;

	if (b->next_until_ms == 0 || now_ms < b->next_until_ms)
		return 0;
	LIST_FOREACH(x, tmp, &b->all, struct block, link) {
		if (is_over(x, now_ms)) {
			blocks_del(b, x);
			n++;
		} else if (x->until_ms != 0 && (next == 0 || x->until_ms < next)) {
			next = x->until_ms;
		}
	}
	b->next_until_ms = next;
	return n;
}

static const struct block *
match_key(const struct blocks *b, enum block_kind kind, struct span text, uint64_t now_ms)
{
	struct key k = { kind, text };
	const struct block *x = find(b, &k);

	return x != NULL && !is_over(x, now_ms) ? x : NULL;
}

static const struct block *
match_address(const struct blocks *b, const struct cidr *address, uint64_t now_ms)
{
	for (int bits = address->bits; bits >= 0; bits--) {
		const struct block *x;
		struct cidr cut;

		if (b->lengths[address->version == 6][bits] == 0)
			continue;
		cut = cidr_cut(*address, (unsigned)bits);
		x = match_key(b, BLOCK_ADDRESS, span_of(&cut, sizeof(cut)), now_ms);
		if (x != NULL)
			return x;
	}
	return NULL;
}

const struct block *
blocks_match(const struct blocks *b, const struct blocked_who *who, uint64_t now_ms)
{
	const struct block *x = NULL, *tmp;

	if (b->n == 0)
		return NULL;
	if (who->address.version != 0)
		x = match_address(b, &who->address, now_ms);
	if (x == NULL && who->client.p != NULL)
		x = match_key(b, BLOCK_CLIENT, who->client, now_ms);
	if (x == NULL && who->user.p != NULL)
		x = match_key(b, BLOCK_USER, who->user, now_ms);
	if (x != NULL)
		return x;
	LIST_FOREACH(x, tmp, &b->regexes, struct block, regexes)
		if (!is_over(x, now_ms) && block_is_about(x, who))
			return x;
	return NULL;
}

/* --- lines -------------------------------------------------------------------------------- */

char *
block_line(const struct block *x, bool is_removed)
{
	json_t *j = json_pack("{s:s, s:s}", "kind", block_kind_name[x->kind], "value", x->value);
	char *json, *line = NULL;

	if (!is_removed)
		json_object_update_new(j,
		    json_pack("{s:I, s:I, s:s}", "since", (json_int_t)x->since_ms, "until",
			(json_int_t)x->until_ms, "reason", x->reason));
	json = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	if (json != NULL && asprintf(&line, "%c%s", is_removed ? '-' : '+', json) < 0)
		line = NULL;
	free(json);
	return line;
}

static struct block *
block_of(const json_t *j, enum block_kind kind, const char *value, char why[256])
{
	const json_t *since = json_object_get(j, "since"), *until = json_object_get(j, "until");
	const char *reason = json_string_value(json_object_get(j, "reason"));

	if (!json_is_integer(since) || !json_is_integer(until) || reason == NULL ||
	    json_integer_value(since) < 0 || json_integer_value(until) < 0) {
		snprintf(why, 256, "since and until must be times, reason a text");
		return NULL;
	}
	return block_new(kind, value, reason, (uint64_t)json_integer_value(since),
	    (uint64_t)json_integer_value(until), why);
}

int
blocks_apply(
    struct blocks *b, const char *line, size_t len, const struct block **added_out, char why[256])
{
	json_t *j = len > 0 ? json_loadb(line + 1, len - 1, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *name = json_string_value(json_object_get(j, "kind")),
		   *value = json_string_value(json_object_get(j, "value"));
	int kind = name != NULL ? block_kind_of(name) : -EINVAL, err = -EINVAL;
	struct block *x;

	*added_out = NULL;
	snprintf(why, 256, "no block");
	if (kind < 0 || value == NULL)
		goto out;
	if (line[0] == '+') {
		x = block_of(j, (enum block_kind)kind, value, why);
		if (x == NULL)
			goto out;
		err = blocks_put(b, x, why);
		if (err != 0)
			block_free(x);
		else
			*added_out = x;
	} else if (line[0] == '-') {
		x = blocks_find(b, (enum block_kind)kind, value);
		if (x != NULL)
			blocks_del(b, x);
		err = 0;
	}
out:
	json_decref(j);
	return err;
}
