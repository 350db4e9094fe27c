/*
 * lib.h - rules from a string, for the tests of this folder
 */
#ifndef UNIT_ACL_LIB_H
#define UNIT_ACL_LIB_H

#include <stdlib.h>

#include "shared/acl/acl.h"
#include "shared/base/must.h"
#include "tests/unit/unit.h"

struct rules {
	void *bytes;
	size_t len;
	struct acl_image *image;
	struct acl_set *set;
};

static inline int
compile(const char *text, enum acl_format f, void **out, size_t *len, struct acl_error *err)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int bad;

	must(in != NULL);
	bad = acl_compile(in, "rules", f, out, len, err);
	fclose(in);
	return bad;
}

static inline struct rules
rules_in(enum acl_format f, const char *text, bool allow)
{
	struct acl_error err;
	struct rules r;
	int bad = compile(text, f, &r.bytes, &r.len, &err);

	if (bad != 0)
		fprintf(stderr, "%s\n", err.text);
	must(bad == 0);
	must(acl_image_new(span_of(r.bytes, r.len), &r.image) == 0);
	r.set = acl_set_new(&r.image, 1, allow);
	must(r.set != NULL);
	return r;
}

static inline struct rules
rules_of(const char *text)
{
	return rules_in(ACL_TBMQ, text, false);
}

static inline void
rules_free(struct rules *r)
{
	acl_set_unref(&r->set);
	free(r->bytes);
}

static inline struct acl_who
who_of(const char *client, const char *user, const char *cert)
{
	return (struct acl_who){ .client = span_str(client),
		.user = user != NULL ? span_str(user) : span_of(NULL, 0),
		.cert = cert != NULL ? span_str(cert) : span_of(NULL, 0) };
}

static inline struct acl_verdict
decide(const struct rules *r, struct acl_who who, enum acl_action a, const char *topic)
{
	struct acl_bound *b = acl_bind(r->set, &who);
	struct acl_verdict v;

	must(b != NULL);
	who.cert = span_of(NULL, 0);
	v = acl_decide(b, &who, a, span_str(topic));
	acl_unbind(&b);
	return v;
}

#endif
