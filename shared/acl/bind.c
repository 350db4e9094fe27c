/* Which rules are about a client: found once, and shared by all of whom the same is found. */
#include <stdlib.h>

#include "shared/acl/bind.h"
#include "shared/base/htab.h"
#include "shared/base/must.h"
#include "shared/mqtt/topic.h"

static struct {
	struct htab all;
	struct acl_ref *ref; /* of the one that is being found */
	size_t n, cap;
	bool no_memory;
} the;

struct key { /* the rest is in the.ref */
	const struct acl_set *set;
	struct span cert;
};

static void find_all(const struct acl_set *s, const struct acl_who *who);

static uint64_t
bound_hash(const void *entry)
{
	return ((const struct acl_bound *)entry)->hash;
}

static bool
bound_eq(const void *entry, const void *key)
{
	const struct acl_bound *a = entry;
	const struct key *k = key;

	return a->set == k->set && a->n == the.n && span_eq(a->cert, k->cert) &&
	    (a->n == 0 || memcmp(a->ref, the.ref, a->n * sizeof(a->ref[0])) == 0);
}

struct acl_bound *
acl_bind(struct acl_set *s, const struct acl_who *who)
{
	struct key key = { s, acl_set_uses_cert(s) ? who->cert : span_of(NULL, 0) };
	struct acl_bound *b;
	uint64_t hash;

	if (the.all.hash_of == NULL)
		htab_init(&the.all, bound_hash);
	find_all(s, who);
	if (the.no_memory)
		return NULL;
	hash = hash_mix((uintptr_t)s) ^ hash_mix(acl_text_hash(key.cert)) ^
	    acl_text_hash(span_of(the.ref, the.n * sizeof(the.ref[0])));
	b = htab_find(&the.all, hash, bound_eq, &key);
	if (b != NULL) {
		b->refs++;
		return b;
	}
	b = malloc(sizeof(*b) + the.n * sizeof(b->ref[0]) + key.cert.len);
	if (b == NULL)
		return NULL;
	*b = (struct acl_bound){ .refs = 1, .n = (uint32_t)the.n, .hash = hash, .set = s };
	if (the.n > 0)
		memcpy(b->ref, the.ref, the.n * sizeof(b->ref[0]));
	if (key.cert.len > 0)
		memcpy(b->ref + the.n, key.cert.p, key.cert.len);
	b->cert = span_of(b->ref + the.n, key.cert.len);
	if (htab_add(&the.all, hash, b) != 0) {
		free(b);
		return NULL;
	}
	s->refs++;
	return b;
}

void
acl_unbind(struct acl_bound **b)
{
	struct acl_bound *x = *b;

	*b = NULL;
	if (x == NULL || --x->refs > 0)
		return;
	must(htab_del(&the.all, x->hash, x));
	acl_set_unref(&x->set);
	free(x);
}

const struct acl_set *
acl_bound_set(const struct acl_bound *b)
{
	return b->set;
}

struct acl_set *
acl_set_new(struct acl_image *const *image, unsigned n, bool allow)
{
	struct acl_set *s = calloc(1, sizeof(*s));

	must(n <= ACL_IMAGES);
	if (s == NULL)
		return NULL;
	s->refs = 1;
	s->n = n;
	s->allow = allow;
	for (unsigned i = 0; i < n; i++)
		s->image[i] = image[i];
	return s;
}

bool
acl_set_uses_cert(const struct acl_set *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->image[i]->head->flags & ACL_USES_CERT)
			return true;
	return false;
}

void
acl_set_unref(struct acl_set **s)
{
	struct acl_set *x = *s;

	*s = NULL;
	if (x == NULL || --x->refs > 0)
		return;
	for (unsigned i = 0; i < x->n; i++)
		acl_image_free(x->image[i]);
	free(x);
}

/* --- finding ----------------------------------------------------------------------------- */

static void
found(unsigned image, uint32_t root, bool deny_only)
{
	for (size_t i = 0; i < the.n; i++)
		if (the.ref[i].image == image && the.ref[i].root == root) {
			the.ref[i].deny_only &= deny_only;
			return;
		}
	if (the.n == the.cap) {
		size_t cap = the.cap > 0 ? the.cap * 2 : 16;
		struct acl_ref *ref = realloc(the.ref, cap * sizeof(*ref));

		if (ref == NULL) {
			the.no_memory = true;
			return;
		}
		the.ref = ref;
		the.cap = cap;
	}
	the.ref[the.n++] = (struct acl_ref){ root, (uint8_t)image, deny_only, { 0 } };
}

/* What a subject of this kind is called here; no bytes at NULL: there is no such thing. */
static struct span
name_of(const struct acl_who *who, uint32_t kind)
{
	switch (kind) {
	case ACL_USER:
		return who->user;
	case ACL_CLIENT:
		return who->client;
	case ACL_CERT:
		return who->cert;
	default:
		return span_of(NULL, 0);
	}
}

/* All of this kind and name among the subjects, or the members, which may be in several groups. */
static void
find_named(const struct acl_image *im, unsigned image, enum acl_part_kind part, uint32_t kind,
    struct span name)
{
	const struct acl_subject_rec *s = acl_part(im, part);
	uint32_t low = 0, high = acl_count(im, part);

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int c = s[mid].kind != kind ? (s[mid].kind > kind) - (s[mid].kind < kind)
					    : span_cmp(acl_text_of(im, s[mid].text), name);

		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (high = acl_count(im, part);
	     low < high && s[low].kind == kind && span_eq(acl_text_of(im, s[low].text), name);
	     low++)
		found(image, s[low].root, false);
}

/* Of mosquitto's patterns none is about such a client, be there a placeholder or not. */
static bool
has_wildcard(const struct acl_who *who)
{
	return (who->client.len > 0 && filter_has_wildcard(who->client)) ||
	    (who->user.len > 0 && filter_has_wildcard(who->user));
}

static void
find_in(const struct acl_image *im, unsigned image, const struct acl_who *who)
{
	const struct acl_pattern_rec *p = acl_part(im, ACL_PART_PATTERNS);

	if (!(im->head->flags & ACL_ANY_FILTER) || !has_wildcard(who))
		find_named(im, image, ACL_PART_SUBJECTS, ACL_ALL, span_str(""));
	if (who->user.len == 0)
		find_named(im, image, ACL_PART_SUBJECTS, ACL_ANONYMOUS, span_str(""));
	for (uint32_t kind = ACL_USER; kind <= ACL_CERT; kind++) {
		struct span name = name_of(who, kind);

		if (name.len == 0)
			continue;
		find_named(im, image, ACL_PART_SUBJECTS, kind, name);
		find_named(im, image, ACL_PART_MEMBERS, kind, name);
	}
	for (size_t i = 0; i < who->ngroups; i++)
		find_named(im, image, ACL_PART_SUBJECTS, ACL_GROUP, who->groups[i]);
	for (uint32_t i = 0; i < acl_count(im, ACL_PART_PATTERNS); i++) {
		struct span name = name_of(who, p[i].kind);
		int n = name.len > 0 ? regex_find(im->regex[p[i].regex], name) : 0;

		if (n < 0)
			acl_gave_up();
		if (n != 0)
			found(image, p[i].root, n < 0);
	}
}

static int
ref_cmp(const void *a, const void *b)
{
	const struct acl_ref *x = a, *y = b;

	return x->image != y->image ? x->image - y->image
				    : (x->root > y->root) - (x->root < y->root);
}

static void
find_all(const struct acl_set *s, const struct acl_who *who)
{
	the.n = 0;
	the.no_memory = false;
	for (unsigned i = 0; i < s->n; i++)
		find_in(s->image[i], i, who);
	if (the.n > 1)
		qsort(the.ref, the.n, sizeof(the.ref[0]), ref_cmp);
}
