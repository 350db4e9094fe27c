#include "worker/auth/verify.h"

#include "shared/base/clock.h"
#include "shared/base/password.h"
#include "shared/child/child.h"
#include "tests/unit/unit.h"

#define TRIES 20000 /* turns of at most 10 ms: a slow machine has time */

struct self self;

static char kept[PASSWORD_TEXT_MAX];
static unsigned fits, differs;

static void
on_answer(struct verify *v, bool it_fits)
{
	(void)v;
	if (it_fits)
		fits++;
	else
		differs++;
}

static void
begin(unsigned threads, unsigned cache)
{
	fits = differs = 0;
	self.conf.auth_threads = threads;
	self.conf.auth_cache = cache;
	CU_ASSERT_EQUAL_FATAL(loop_new(&self.loop), 0);
	CU_ASSERT_EQUAL_FATAL(verify_init(), 0);
	if (kept[0] == '\0')
		CU_ASSERT_EQUAL_FATAL(password_hash(span_str("right"), PASSWORD_COST_MIN, kept), 0);
}

static void
end(void)
{
	verify_fini();
	loop_free(self.loop);
}

static void
answers(unsigned n)
{
	for (unsigned i = 0; fits + differs < n && i < TRIES; i++)
		loop_turn(self.loop, 10);
	CU_ASSERT_EQUAL(fits + differs, n);
}

static uint64_t
hashed(void)
{
	return counters[CNT_auth_verified__hashed];
}

static void
another_password_is_never_remembered(void)
{
	struct verify v = { .done = on_answer };
	uint64_t before;

	begin(1, 600);
	before = hashed();
	for (unsigned i = 1; i <= 2; i++) {
		CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("wrong")), VERIFY_LATER);
		answers(i);
	}
	CU_ASSERT_EQUAL(differs, 2);
	CU_ASSERT_EQUAL(hashed() - before, 2);
	end();
}

static void
the_right_one_is_remembered_for_its_own_text_only(void)
{
	struct verify v = { .done = on_answer };
	char other[PASSWORD_TEXT_MAX];

	begin(2, 600);
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_LATER);
	answers(1);
	CU_ASSERT_EQUAL(fits, 1);
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_FITS);
	CU_ASSERT_EQUAL(password_hash(span_str("right"), PASSWORD_COST_MIN, other), 0);
	CU_ASSERT_EQUAL(verify_ask(&v, other, span_str("right")), VERIFY_LATER);
	answers(2);
	end();
}

static void
nothing_is_remembered_without_auth_cache(void)
{
	struct verify v = { .done = on_answer };

	begin(1, 0);
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_LATER);
	answers(1);
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_LATER);
	answers(2);
	/* What was remembered before is forgotten with it. */
	self.conf.auth_cache = 600;
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_LATER);
	answers(3);
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_FITS);
	self.conf.auth_cache = 0;
	verify_conf();
	self.conf.auth_cache = 600;
	CU_ASSERT_EQUAL(verify_ask(&v, kept, span_str("right")), VERIFY_LATER);
	answers(4);
	end();
}

static void
all_who_ask_the_same_get_one_answer(void)
{
	struct verify v[50];
	uint64_t before;

	begin(2, 0);
	before = hashed();
	for (unsigned i = 0; i < 50; i++) {
		v[i] = (struct verify){ .done = on_answer };
		CU_ASSERT_EQUAL(verify_ask(&v[i], kept, span_str("right")), VERIFY_LATER);
	}
	answers(50);
	CU_ASSERT_EQUAL(fits, 50);
	CU_ASSERT_EQUAL(hashed() - before, 1);
	end();
}

static void
what_is_taken_back_is_not_answered(void)
{
	struct verify v[20], last = { .done = on_answer };
	char password[16];
	uint64_t before;

	begin(1, 0);
	before = hashed();
	for (unsigned i = 0; i < 20; i++) {
		snprintf(password, sizeof(password), "p%u", i);
		v[i] = (struct verify){ .done = on_answer };
		CU_ASSERT_EQUAL(verify_ask(&v[i], kept, span_str(password)), VERIFY_LATER);
	}
	for (unsigned i = 0; i < 20; i++)
		verify_take_back(&v[i]);
	verify_take_back(&v[0]); /* again, which does nothing */
	CU_ASSERT_EQUAL(verify_ask(&last, kept, span_str("right")), VERIFY_LATER);
	answers(1);
	CU_ASSERT_EQUAL(fits, 1);
	/* The thread was at one of them, at most; the others were not worked out. */
	CU_ASSERT(hashed() - before <= 2);
	end();
}

static void
there_is_an_end_to_what_may_wait(void)
{
	static struct verify v[20001];
	char password[16];
	unsigned later = 0, busy = 0;

	begin(1, 0);
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		snprintf(password, sizeof(password), "p%u", i);
		v[i].done = on_answer;
		if (verify_ask(&v[i], kept, span_str(password)) == VERIFY_LATER)
			later++;
		else
			busy++;
	}
	CU_ASSERT_EQUAL(later, 20000);
	CU_ASSERT_EQUAL(busy, 1);
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		verify_take_back(&v[i]);
	end();
}

static void
threads_come_and_go_with_the_configuration(void)
{
	struct verify v[8];
	char password[16];

	begin(1, 0);
	for (unsigned turn = 0; turn < 4; turn++) {
		self.conf.auth_threads = turn % 2 == 0 ? 4 : 1;
		verify_conf();
		for (unsigned i = 0; i < 8; i++) {
			snprintf(password, sizeof(password), "p%u", i);
			v[i] = (struct verify){ .done = on_answer };
			CU_ASSERT_EQUAL(verify_ask(&v[i], kept, span_str(password)), VERIFY_LATER);
		}
		answers(8 * (turn + 1));
	}
	end();
}

UNIT_MAIN("worker/auth/verify", TEST(another_password_is_never_remembered),
    TEST(the_right_one_is_remembered_for_its_own_text_only),
    TEST(nothing_is_remembered_without_auth_cache), TEST(all_who_ask_the_same_get_one_answer),
    TEST(what_is_taken_back_is_not_answered), TEST(there_is_an_end_to_what_may_wait),
    TEST(threads_come_and_go_with_the_configuration))
