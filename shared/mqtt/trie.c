#include "shared/mqtt/trie.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"

struct end {
	uint64_t id;
	uint32_t count; /* 0: no filter ends here */
};

struct trie_node {
	struct trie_node *up; /* NULL: the root, which has no levels */
	struct trie_node *plus;
	uintptr_t
	    words; /* addresses of the children in the table, XORed: the last one left is told by it */
	uint32_t nwords;
	uint32_t depth;        /* levels from the root to the end of this node */
	uint64_t hash;         /* in the table: parent and first level */
	struct end end, multi; /* multi: "/#" follows */
	char *text;            /* its levels; no '/' in front, nor behind */
	uint16_t len;
};

/* A level of the topic that is being matched. */
struct level {
	struct span text;
	uint64_t hash; /* 0: not needed yet */
};

struct trie {
	struct hash_key key;
	struct htab words; /* nodes that begin with a word */
	struct trie_node root;
	size_t nodes;
	struct level *level; /* as many as the deepest filter has had since the trie was empty */
	uint32_t levels;
};

struct word_key {
	const struct trie_node *up;
	struct span level;
};

/* How far a topic has been cut into levels. */
struct walk {
	const struct trie *trie;
	struct span topic;
	unsigned levels; /* of the topic */
	unsigned cut;
	size_t at;
};

static struct span filter_levels(struct span filter, bool *multi_out);
static struct trie_node *node_new(struct trie *t, struct span text, uint32_t depth);
static void node_free(struct trie *t, struct trie_node *n);
static bool is_plus(const struct trie_node *n);
static struct trie_node *child(const struct trie *t, const struct trie_node *n, struct span level);
static int link_child(struct trie *t, struct trie_node *up, struct trie_node *n);
static void unlink_child(struct trie *t, struct trie_node *n);
static void take_place(struct trie *t, struct trie_node *n, struct trie_node *by);
static size_t common(const struct trie_node *n, struct span rest);
static struct trie_node *split(struct trie *t, struct trie_node *n, size_t len);
static void merge(struct trie *t, struct trie_node *n);
static void tidy(struct trie *t, struct trie_node *n);
static struct level *level_at(struct walk *w, unsigned i);
static bool enters(struct walk *w, const struct trie_node *n);
static struct trie_node *enter_word(struct walk *w, const struct trie_node *n);
static struct trie_node *enter_plus(struct walk *w, const struct trie_node *n);

static uint64_t
node_hash(const void *entry)
{
	return ((const struct trie_node *)entry)->hash;
}

static struct span
node_text(const struct trie_node *n)
{
	return span_of(n->text, n->len);
}

static bool
node_eq(const void *entry, const void *key)
{
	const struct trie_node *n = entry;
	const struct word_key *k = key;

	return n->up == k->up && n->len >= k->level.len &&
	    (n->len == k->level.len || n->text[k->level.len] == '/') &&
	    span_eq(span_of(n->text, k->level.len), k->level);
}

static uint64_t
word_hash(const struct trie_node *up, uint64_t level)
{
	return level ^ hash_mix((uintptr_t)up);
}

struct trie *
trie_new(const struct hash_key *key)
{
	struct trie *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->key = *key;
	htab_init(&t->words, node_hash);
	return t;
}

void
trie_free(struct trie *t)
{
	if (t == NULL)
		return;
	must(t->nodes == 0 && t->root.multi.count == 0);
	htab_fini(&t->words);
	free(t);
}

size_t
trie_nodes(const struct trie *t)
{
	return t->nodes;
}

int
trie_add(struct trie *t, struct span filter, uint64_t id)
{
	struct trie_node *n = &t->root, *c;
	struct span rest, level;
	struct level *more;
	struct end *end;
	uint32_t levels;
	bool multi;
	size_t at;

	rest = filter_levels(filter, &multi);
	levels = rest.p != NULL ? topic_levels(rest) : 0;
	if (levels > t->levels) {
		more = realloc(t->level, levels * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		t->level = more;
		t->levels = levels;
	}
	while (n->depth < levels) {
		at = 0;
		topic_next_level(rest, &at, &level);
		c = child(t, n, level);
		if (c == NULL) {
			c = node_new(t, rest, levels);
			if (c == NULL)
				goto no_memory;
			if (link_child(t, n, c) != 0) {
				node_free(t, c);
				goto no_memory;
			}
			n = c;
			break;
		}
		at = common(c, rest);
		if (at < c->len) {
			c = split(t, c, at);
			if (c == NULL)
				goto no_memory;
		}
		n = c;
		if (n->depth < levels)
			rest = span_of(rest.p + at + 1, rest.len - at - 1);
	}
	end = multi ? &n->multi : &n->end;
	end->id = id;
	end->count++;
	return 0;
no_memory:
	tidy(t, n);
	return -ENOMEM;
}

void
trie_del(struct trie *t, struct span filter)
{
	struct trie_node *n = &t->root;
	struct span rest, level;
	struct end *end;
	bool multi;

	rest = filter_levels(filter, &multi);
	for (size_t at = rest.p != NULL ? 0 : 1; at <= rest.len; at += n->len + 1u) {
		size_t next = at;

		topic_next_level(rest, &next, &level);
		n = child(t, n, level);
		must(n != NULL);
	}
	end = multi ? &n->multi : &n->end;
	must(end->count > 0);
	if (--end->count == 0)
		tidy(t, n);
}

/* Depth first; a word goes before '+', so the node one comes back from tells what is left to try. */
void
trie_match(
    const struct trie *t, struct span topic, const struct topic_hash *h, trie_fn *found, void *arg)
{
	struct walk w = { .trie = t, .topic = topic, .levels = h->levels };
	const struct trie_node *n = &t->root, *next;

	for (;;) {
		bool wild = !(h->dollar && n->depth == 0); /* [MQTT-4.7.2-1] */

		if (n->multi.count > 0 && wild)
			found(arg, n->multi.id);
		if (n->end.count > 0 && n->depth == w.levels)
			found(arg, n->end.id);
		next = enter_word(&w, n);
		if (next == NULL && wild)
			next = enter_plus(&w, n);
		while (next == NULL && n->up != NULL) {
			bool was_word = !is_plus(n);

			n = n->up;
			if (was_word && !(h->dollar && n->depth == 0))
				next = enter_plus(&w, n);
		}
		if (next == NULL)
			return;
		n = next;
	}
}

/* Without "/#" at its end; of "#" nothing is left, not even an empty level: NULL. */
static struct span
filter_levels(struct span filter, bool *multi_out)
{
	*multi_out = filter.p[filter.len - 1] == '#';
	if (!*multi_out)
		return filter;
	return filter.len == 1 ? span_of(NULL, 0) : span_of(filter.p, filter.len - 2);
}

/* --- nodes ------------------------------------------------------------------------------- */

static struct trie_node *
node_new(struct trie *t, struct span text, uint32_t depth)
{
	struct trie_node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->text = malloc(text.len + 1); /* an empty level is memory too */
	if (n->text == NULL) {
		free(n);
		return NULL;
	}
	memcpy(n->text, text.p, text.len);
	n->len = (uint16_t)text.len;
	n->depth = depth;
	t->nodes++;
	return n;
}

static void
node_free(struct trie *t, struct trie_node *n)
{
	t->nodes--;
	free(n->text);
	free(n);
}

static bool
is_plus(const struct trie_node *n)
{
	return n->len > 0 && n->text[0] == '+';
}

static struct trie_node *
child(const struct trie *t, const struct trie_node *n, struct span level)
{
	struct word_key key = { n, level };

	if (level.len == 1 && level.p[0] == '+')
		return n->plus;
	return htab_find(&t->words, word_hash(n, hash_bytes(&t->key, level)), node_eq, &key);
}

static int
link_child(struct trie *t, struct trie_node *up, struct trie_node *n)
{
	struct span level;
	size_t at = 0;
	int err;

	n->up = up;
	if (is_plus(n)) {
		up->plus = n;
		return 0;
	}
	topic_next_level(node_text(n), &at, &level);
	n->hash = word_hash(up, hash_bytes(&t->key, level));
	err = htab_add(&t->words, n->hash, n);
	if (err != 0)
		return err;
	up->words ^= (uintptr_t)n;
	up->nwords++;
	return 0;
}

static void
unlink_child(struct trie *t, struct trie_node *n)
{
	if (is_plus(n)) {
		n->up->plus = NULL;
		return;
	}
	must(htab_del(&t->words, n->hash, n));
	n->up->words ^= (uintptr_t)n;
	n->up->nwords--;
}

/* Both begin with the same level. */
static void
take_place(struct trie *t, struct trie_node *n, struct trie_node *by)
{
	by->up = n->up;
	by->hash = n->hash;
	if (is_plus(n)) {
		n->up->plus = by;
		return;
	}
	htab_replace(&t->words, n->hash, n, by);
	n->up->words ^= (uintptr_t)n ^ (uintptr_t)by;
}

/* Bytes of the levels that the node and what is left of a filter begin with; the first level is common. */
static size_t
common(const struct trie_node *n, struct span rest)
{
	size_t len = n->len < rest.len ? n->len : rest.len, i = 0;

	while (i < len && (uint8_t)n->text[i] == rest.p[i])
		i++;
	if ((i == n->len || n->text[i] == '/') && (i == rest.len || rest.p[i] == '/'))
		return i;
	return (size_t)((char *)memrchr(n->text, '/', i) - n->text);
}

/* A node of the first len bytes comes between n and its parent. NULL: no memory, nothing changed. */
static struct trie_node *
split(struct trie *t, struct trie_node *n, size_t len)
{
	struct span first = span_of(n->text, len),
		    rest = span_of(n->text + len + 1, n->len - len - 1);
	struct trie_node *top = node_new(t, first, n->depth - topic_levels(rest));
	struct trie_node old = *n;
	char *text = malloc(rest.len + 1);

	if (top == NULL || text == NULL)
		goto no_memory;
	memcpy(text, rest.p, rest.len);
	take_place(t, n, top);
	n->text = text;
	n->len = (uint16_t)rest.len;
	if (link_child(t, top, n) == 0) {
		free(old.text);
		return top;
	}
	n->text = old.text;
	n->len = old.len;
	take_place(t, top, n);
no_memory:
	free(text);
	if (top != NULL)
		node_free(t, top);
	return NULL;
}

/* n has one child and ends nothing: the child gets its levels and its place. Without memory it stays as it is, which only costs a node. */
static void
merge(struct trie *t, struct trie_node *n)
{
	struct trie_node *c = n->plus != NULL ? n->plus : (struct trie_node *)n->words;
	size_t len = n->len + 1u + c->len;
	char *text = malloc(len);

	if (text == NULL)
		return;
	memcpy(text, n->text, n->len);
	text[n->len] = '/';
	memcpy(text + n->len + 1, c->text, c->len);
	unlink_child(t, c);
	free(c->text);
	c->text = text;
	c->len = (uint16_t)len;
	take_place(t, n, c);
	node_free(t, n);
}

/* n may have lost an end or a child. */
static void
tidy(struct trie *t, struct trie_node *n)
{
	while (n->up != NULL && n->end.count == 0 && n->multi.count == 0) {
		struct trie_node *up = n->up;
		uint32_t children = n->nwords + (n->plus != NULL);

		if (children == 1)
			merge(t, n);
		if (children > 0)
			return;
		unlink_child(t, n);
		node_free(t, n);
		n = up;
	}
	if (t->nodes == 0) {
		free(t->level);
		t->level = NULL;
		t->levels = 0;
	}
}

/* --- matching ---------------------------------------------------------------------------- */

static struct level *
level_at(struct walk *w, unsigned i)
{
	for (; w->cut <= i; w->cut++) {
		struct level *l = &w->trie->level[w->cut];

		topic_next_level(w->topic, &w->at, &l->text);
		l->hash = 0;
	}
	return &w->trie->level[i];
}

/* Does the topic go on with the levels of this node? It has those of the parent. */
static bool
enters(struct walk *w, const struct trie_node *n)
{
	struct span level;
	size_t at = 0;

	if (n->depth > w->levels)
		return false;
	for (unsigned i = n->up->depth; topic_next_level(node_text(n), &at, &level); i++)
		if (!(level.len == 1 && level.p[0] == '+') && !span_eq(level, level_at(w, i)->text))
			return false;
	return true;
}

static struct trie_node *
enter_word(struct walk *w, const struct trie_node *n)
{
	struct word_key key = { .up = n };
	struct trie_node *c;
	struct level *l;

	if (n->nwords == 0 || n->depth >= w->levels)
		return NULL;
	l = level_at(w, n->depth);
	if (l->hash == 0)
		l->hash = hash_bytes(&w->trie->key, l->text);
	key.level = l->text;
	c = htab_find(&w->trie->words, word_hash(n, l->hash), node_eq, &key);
	return c != NULL && enters(w, c) ? c : NULL;
}

static struct trie_node *
enter_plus(struct walk *w, const struct trie_node *n)
{
	return n->plus != NULL && enters(w, n->plus) ? n->plus : NULL;
}
