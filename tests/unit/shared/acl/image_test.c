#include "shared/acl/image.h"

#include <errno.h>

#include "tests/unit/shared/acl/lib.h"

static const char text[] = "group g user a, ~^b\n"
			   "allow user u publish a/b/%c/#\n"
			   "deny all subscribe +/b/+\n"
			   "allow client ~x all ~^a/.*\n"
			   "deny group g receive a/%u-%c\n"
			   "allow all all $SYS/#\n";

static void
use(const struct acl_image *im)
{
	static const char *const topic[] = { "a/b/c", "a/b/c/d", "$SYS/x", "+/b/#", "#", "a/+/+",
		"a/a-c" };
	struct acl_image *copy = (struct acl_image *)(uintptr_t)im;
	struct acl_set set = { .refs = 100, .n = 1, .image = { copy } };
	struct acl_who who = who_of("c", "a", "n");
	struct acl_bound *b = acl_bind(&set, &who);

	must(b != NULL);
	for (unsigned a = 0; a < ACL_ACTIONS; a++)
		for (size_t i = 0; i < sizeof(topic) / sizeof(topic[0]); i++)
			(void)acl_decide(b, &who, a, span_str(topic[i]));
	for (uint32_t i = 0; i < acl_image_rules(im); i++)
		(void)acl_image_rule(im, i);
	acl_unbind(&b);
}

/* Each byte wrong in several ways, with what there is in a copy of its very size: a sanitizer sees who looks beyond. */
static void
damage_is_refused_or_harmless(void)
{
	static const uint8_t with[] = { 0x01, 0x80, 0xff, 0x7f };
	struct rules r = rules_of(text);
	unsigned refused = 0;

	for (size_t at = 0; at < r.len; at++)
		for (size_t i = 0; i < sizeof(with); i++) {
			uint8_t *p = malloc(r.len);
			struct acl_image *im = NULL;
			int err;

			must(p != NULL);
			memcpy(p, r.bytes, r.len);
			p[at] ^= with[i];
			err = acl_image_new(span_of(p, r.len), &im);
			CU_ASSERT_TRUE(err == 0 || err == -EPROTO || err == -ENOMEM);
			if (err == 0)
				use(im);
			else
				refused++;
			acl_image_free(im);
			free(p);
		}
	CU_ASSERT_TRUE(refused > r.len / 2);
	rules_free(&r);
}

static void
what_is_cut_off_or_has_more_is_refused(void)
{
	struct rules r = rules_of(text);
	uint8_t *longer = calloc(1, r.len + 8);
	struct acl_image *im = NULL;

	must(longer != NULL);
	memcpy(longer, r.bytes, r.len);
	for (size_t n = 0; n < r.len; n++) {
		uint8_t *p = malloc(n > 0 ? n : 1);

		must(p != NULL);
		memcpy(p, r.bytes, n);
		CU_ASSERT_EQUAL(acl_image_new(span_of(p, n), &im), -EPROTO);
		free(p);
	}
	CU_ASSERT_EQUAL(acl_image_new(span_of(longer, r.len + 8), &im), -EPROTO);
	free(longer);
	rules_free(&r);
}

static void
a_node_that_leads_back_is_refused(void)
{
	struct rules r = rules_of(text);
	struct acl_node *n = (struct acl_node *)(uintptr_t)acl_part(r.image, ACL_PART_NODES);
	struct acl_image *im = NULL;
	uint32_t i = 0;

	while (n[i].parent == ACL_NONE || n[i].child == ACL_NONE)
		i++;
	n[i].child = n[i].parent;
	CU_ASSERT_EQUAL(acl_image_new(span_of(r.bytes, r.len), &im), -EPROTO);
	n[i].child = i;
	CU_ASSERT_EQUAL(acl_image_new(span_of(r.bytes, r.len), &im), -EPROTO);
	n[i].child = ACL_NONE;
	CU_ASSERT_EQUAL(acl_image_new(span_of(r.bytes, r.len), &im), 0);
	acl_image_free(im);
	n[i].next = i;
	CU_ASSERT_EQUAL(acl_image_new(span_of(r.bytes, r.len), &im), -EPROTO);
	rules_free(&r);
}

UNIT_MAIN("shared/acl/image", TEST(damage_is_refused_or_harmless),
    TEST(what_is_cut_off_or_has_more_is_refused), TEST(a_node_that_leads_back_is_refused))
