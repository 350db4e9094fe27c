#include "shared/base/rate.h"

#include <errno.h>

#include "tests/unit/unit.h"

#define MOST 10000000
#define DAY_MS UINT64_C(86400000)

static char why[256];

static int
parse(const char *text, enum rate_unit unit, struct rate *out)
{
	why[0] = '\0';
	return rate_parse(text, unit, unit == RATE_BYTES ? RATE_AMOUNT_MAX : MOST, out, why);
}

static struct rate
rate_of(const char *text)
{
	struct rate r = { 0 };

	CU_ASSERT_EQUAL_FATAL(parse(text, RATE_THINGS, &r), 0);
	return r;
}

static void
texts_that_are_no_windows_are_refused_with_the_reason(void)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "10 in 1 second" },
		{ "10", "10 in 1 second" },
		{ "10:", "10 in 1 second" },
		{ ":1", "10 in 1 second" },
		{ "10:1,", "10 in 1 second" },
		{ ",10:1", "10 in 1 second" },
		{ "10:1;300:60", "10 in 1 second" },
		{ "-10:1", "10 in 1 second" },
		{ "10:-1", "10 in 1 second" },
		{ "10: 1", "10 in 1 second" },
		{ "0x10:1", "10 in 1 second" },
		{ "10:1s", "10 in 1 second" },
		{ "1 KiB:1", "10 in 1 second" },
		{ "None", "10 in 1 second" },
		{ "none,10:1", "10 in 1 second" },
		{ "0:1", "an amount must be 1 to 10000000" },
		{ "10000001:1", "an amount must be 1 to 10000000" },
		{ "99999999999999999999999:1", "an amount must be 1 to 10000000" },
		{ "10:0", "1 to 86400 seconds" },
		{ "10:86401", "1 to 86400 seconds" },
		{ "10:99999999999999999999999", "1 to 86400 seconds" },
		{ "1:1,2:2,3:3,4:4,5:5", "more than 4 windows" },
		{ "1:60,2:60", "two windows have the same seconds" },
	};
	struct rate r = { .n = 7 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(parse(bad[i].text, RATE_THINGS, &r), -EINVAL);
		if (strstr(why, bad[i].why) == NULL)
			printf("\n    \"%s\": %s ", bad[i].text, why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].why));
	}
	CU_ASSERT_EQUAL(parse("99999999999 GiB:1", RATE_BYTES, &r), -EINVAL);
	CU_ASSERT_EQUAL(parse("17179869184 GiB:1", RATE_BYTES, &r), -EINVAL); /* 2^64 */
	CU_ASSERT_EQUAL(parse("1 kib:1", RATE_BYTES, &r), -EINVAL);
	CU_ASSERT_EQUAL(r.n, 7); /* untouched */
}

static void
texts_come_back_as_they_were_meant(void)
{
	char text[RATE_TEXT_MAX];
	struct rate r;

	CU_ASSERT_EQUAL(parse("none", RATE_THINGS, &r), 0);
	CU_ASSERT(r.n == 0 && !r.inherits);
	CU_ASSERT_EQUAL(parse("default", RATE_THINGS, &r), 0);
	CU_ASSERT(r.n == 0 && r.inherits);
	rate_text(&r, RATE_THINGS, text);
	CU_ASSERT_STRING_EQUAL(text, "default");
	r = rate_of("10:1, 300:60 ,1024:3600");
	CU_ASSERT(r.n == 3 && r.window[1].amount == 300 && r.window[1].seconds == 60);
	rate_text(&r, RATE_THINGS, text);
	CU_ASSERT_STRING_EQUAL(text, "10:1,300:60,1024:3600");
	CU_ASSERT_EQUAL(parse("64 GiB:86400,1KiB:1,3 MiB:2,1025:3", RATE_BYTES, &r), 0);
	CU_ASSERT(r.window[0].amount == RATE_AMOUNT_MAX && r.window[1].amount == 1024);
	rate_text(&r, RATE_BYTES, text);
	CU_ASSERT_STRING_EQUAL(text, "64 GiB:86400,1 KiB:1,3 MiB:2,1025:3");
	CU_ASSERT_EQUAL(
	    parse("67108863 KiB:86400,67108863 KiB:86399,67108863 KiB:86398,67108863 KiB:86397",
		RATE_BYTES, &r),
	    0);
	rate_text(&r, RATE_BYTES, text);
	CU_ASSERT_STRING_EQUAL(
	    text, "67108863 KiB:86400,67108863 KiB:86399,67108863 KiB:86398,67108863 KiB:86397");
}

static void
what_another_process_made_is_checked(void)
{
	struct rate r = rate_of("10:1");

	CU_ASSERT(rate_is_valid(&r, MOST));
	CU_ASSERT_FALSE(rate_is_valid(&r, 9));
	r.window[0].seconds = 0;
	CU_ASSERT_FALSE(rate_is_valid(&r, MOST));
	r.window[0].seconds = RATE_SECONDS_MAX + 1;
	CU_ASSERT_FALSE(rate_is_valid(&r, MOST));
	r = rate_of("10:1");
	r.n = RATE_WINDOWS + 1;
	CU_ASSERT_FALSE(rate_is_valid(&r, MOST));
}

/* Asked each millisecond from then on: how many pass until the end. */
static unsigned
pass(struct bucket *b, const struct rate *r, uint64_t from_ms, uint64_t to_ms)
{
	unsigned n = 0;

	for (uint64_t now = from_ms; now < to_ms; now++)
		for (; bucket_wait_ms(b, r, now) == 0; n++)
			bucket_take(b, r, 1);
	return n;
}

static void
every_window_must_have_room(void)
{
	struct rate r = rate_of("10:1,300:60");
	struct bucket b = { 0 };

	CU_ASSERT_EQUAL(pass(&b, &r, 5000, 5001), 10);
	CU_ASSERT_EQUAL(bucket_wait_ms(&b, &r, 5001), 99);
	CU_ASSERT_EQUAL(pass(&b, &r, 5001, 5100), 0);
	CU_ASSERT_EQUAL(pass(&b, &r, 5100, 5101), 1);
	/* Of the minute there were 300, and 5 a second come back: 580 until here, just not 675 until 80 s. */
	CU_ASSERT_EQUAL(pass(&b, &r, 5101, 61000), 558);
	CU_ASSERT_EQUAL(pass(&b, &r, 70000, 80000), 674 - 569);
	CU_ASSERT_EQUAL(pass(&b, &r, 80000, 90000), 50);
}

static void
a_long_pause_fills_it_and_no_more(void)
{
	struct rate r = rate_of("10:1,300:60,1000:86400");
	struct bucket b = { 0 };

	CU_ASSERT_EQUAL(pass(&b, &r, 1, 2), 10);
	CU_ASSERT(!bucket_is_full(&b, &r, DAY_MS / 2000));
	CU_ASSERT_EQUAL(pass(&b, &r, 2 * DAY_MS, 2 * DAY_MS + 1), 10);
	CU_ASSERT(bucket_is_full(&b, &r, 4 * DAY_MS));
	CU_ASSERT_EQUAL(pass(&b, &r, UINT64_MAX / 2, UINT64_MAX / 2 + 1), 10);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, UINT64_MAX - 1), 10);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, 1), 10); /* time that goes back changes nothing */
}

static void
nothing_is_lost_to_rounding(void)
{
	struct rate r = rate_of("7:3");
	struct bucket b = { 0 };

	CU_ASSERT_EQUAL(pass(&b, &r, 0, 300000), 700 + 6);
}

static void
a_debt_is_paid_before_the_next(void)
{
	struct bucket b = { 0 };
	struct rate r;

	CU_ASSERT_EQUAL(parse("100000:1", RATE_BYTES, &r), 0);
	CU_ASSERT_EQUAL(bucket_wait_ms(&b, &r, 10), 0);
	bucket_take(&b, &r, 200000);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, 10), 0);
	CU_ASSERT_EQUAL(bucket_wait_ms(&b, &r, 10), 1001);
	CU_ASSERT_EQUAL(bucket_wait_ms(&b, &r, 1010), 1);
	CU_ASSERT_EQUAL(bucket_wait_ms(&b, &r, 1011), 0);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, 1011), 100);
}

static void
the_largest_numbers_do_not_overflow(void)
{
	struct bucket b = { 0 };
	struct rate r;

	CU_ASSERT_EQUAL(parse("64 GiB:86400", RATE_BYTES, &r), 0);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, 1), RATE_AMOUNT_MAX);
	for (int i = 0; i < 10; i++)
		bucket_take(&b, &r, UINT64_MAX);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, 1), 0);
	CU_ASSERT(bucket_wait_ms(&b, &r, 1) > 2 * DAY_MS);
	CU_ASSERT(bucket_is_full(&b, &r, 5 * DAY_MS));
}

static void
no_window_is_no_limit(void)
{
	struct rate r = rate_of("none");
	struct bucket b = { 0 };

	bucket_take(&b, &r, UINT64_MAX);
	CU_ASSERT_EQUAL(bucket_wait_ms(&b, &r, 0), 0);
	CU_ASSERT_EQUAL(bucket_room(&b, &r, 0), UINT64_MAX);
}

UNIT_MAIN("shared/base/rate", TEST(texts_that_are_no_windows_are_refused_with_the_reason),
    TEST(what_another_process_made_is_checked), TEST(the_largest_numbers_do_not_overflow),
    TEST(every_window_must_have_room), TEST(a_long_pause_fills_it_and_no_more),
    TEST(nothing_is_lost_to_rounding), TEST(a_debt_is_paid_before_the_next),
    TEST(texts_come_back_as_they_were_meant), TEST(no_window_is_no_limit))
