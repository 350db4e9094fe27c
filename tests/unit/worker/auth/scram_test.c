#include <stdio.h>
#include <stdlib.h>

#include "shared/base/scram.h"
#include "shared/child/child.h"
#include "tests/unit/unit.h"
#include "worker/auth/login.h"

struct self self;

#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define KEYS                                                                                       \
	"SCRAM-SHA-256$4096:" SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define KEYS_512                                                                                   \
	"SCRAM-SHA-512$4096:" SALT                                                                 \
	"$6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/"                     \
	"60dzj9DoO5DvVkOHbvg=="                                                                    \
	":jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/"                                         \
	"0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA=="

/* RFC 7677, section 3. */
#define FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define TOLD "r=" NONCE ",s=" SALT ",i=4096"
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define FINAL "c=biws,r=" NONCE ",p=" PROOF
#define SIGNATURE "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
/* Worked out by scramp 1.5. */
#define FINAL_512                                                                                  \
	"c=biws,r=" NONCE ",p=gMGXRcevScNtxZ6/"                                                    \
	"8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ=="
#define SIGNATURE_512                                                                              \
	"v=ZQnYEgWQMFmmsM8aQMF0nDDCy/"                                                             \
	"AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="

static struct credential *
known(const char *client_id, const char *user_name, const char *keys)
{
	struct credential *c = credential_new();

	CU_ASSERT_TRUE_FATAL(c != NULL && credential_set(&c->name, span_str("name")) &&
	    credential_set(&c->client_id, span_str(client_id)) &&
	    credential_set(&c->user_name, span_str(user_name)) &&
	    credential_set(&c->scram, span_str(keys)) &&
	    credential_set(&c->groups, span_str("a,b")));
	CU_ASSERT_PTR_NULL(credential_wrong(c));
	CU_ASSERT_EQUAL_FATAL(credential_put(c), 0);
	return c;
}

static struct login
login_of(const char *method, const char *data)
{
	return (struct login){
		.client_id = span_str("id"),
		.user_name = span_str(""),
		.method = span_str(method),
		.data = span_str(data),
	};
}

static enum verdict
begin(const char *data, struct login_found *out)
{
	struct login l = login_of("SCRAM-SHA-256", data);
	enum verdict v = scram.ask(&l);

	*out = l.found;
	return v;
}

/* The second step: as if that had been said and told in the first. */
static enum verdict
end_of(const char *method, const char *first, const char *told, const char *data,
    struct login_found *out)
{
	static char state[10000];
	struct login l = login_of(method, data);
	size_t len = (size_t)snprintf(state, sizeof(state), "%s", first) + 1;
	enum verdict v;

	len += (size_t)snprintf(state + len, sizeof(state) - len, "%s", told);
	l.state = span_of(state, len);
	v = scram.ask(&l);
	if (out != NULL)
		*out = l.found;
	return v;
}

static enum verdict
end(const char *first, const char *told, const char *data)
{
	return end_of("SCRAM-SHA-256", first, told, data, NULL);
}

static void
rfc_exchange_is_answered_as_it_says(void)
{
	struct login_found f;

	credential_init();
	known("", "user", KEYS " " KEYS_512);
	CU_ASSERT_EQUAL(end_of("SCRAM-SHA-256", FIRST, TOLD, FINAL, &f), VERDICT_ALLOW);
	CU_ASSERT_TRUE(span_eq(f.data, span_str(SIGNATURE)));
	CU_ASSERT_TRUE(span_eq(f.groups, span_str("a,b")));
	CU_ASSERT_TRUE(span_eq(f.user_name, span_str("user")));
	CU_ASSERT_EQUAL(end_of("SCRAM-SHA-512", FIRST, TOLD, FINAL_512, &f), VERDICT_ALLOW);
	CU_ASSERT_TRUE(span_eq(f.data, span_str(SIGNATURE_512)));
	CU_ASSERT_EQUAL(end_of("SCRAM-SHA-512", FIRST, TOLD, FINAL, &f), VERDICT_DENY);
	credential_fini();
}

static void
whatever_is_tampered_with_is_refused(void)
{
	static const struct {
		const char *first, *told, *final;
	} bad[] = {
		{ FIRST, TOLD, "" },
		{ FIRST, TOLD,
		    "c=biws,r=" NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=" },
		{ FIRST, TOLD,
		    "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndQ==" },
		{ FIRST, TOLD, "c=biws,r=" NONCE ",p=" },
		{ FIRST, TOLD, "c=biws,r=" NONCE ",p=!!!!" },
		{ FIRST, TOLD, "c=biws,r=" NONCE "," PROOF },
		{ FIRST, TOLD, "c=biws,r=" NONCE "x,p=" PROOF },
		{ FIRST, TOLD, "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF },
		{ FIRST, TOLD, "r=" NONCE ",c=biws,p=" PROOF },
		{ FIRST, TOLD, "c=eSws,r=" NONCE ",p=" PROOF }, /* y,, */
		{ FIRST, TOLD, "c=biws,r=" NONCE ",x=y,p=" PROOF },
		{ FIRST, TOLD, FINAL "," },
		{ "y,,n=user,r=rOprNGfwEbeRWgbNEkqO", TOLD, FINAL },
		{ "n,,n=user,r=rOprNGfwEbeRWgbNEkqP", TOLD, FINAL },
		{ "n,,n=nobody,r=rOprNGfwEbeRWgbNEkqO", TOLD, FINAL },
		{ FIRST, "r=" NONCE ",s=" SALT ",i=4097", FINAL },
		{ FIRST, "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gg==,i=4096", FINAL },
		{ FIRST, "", FINAL },
		{ "", TOLD, FINAL },
		{ "", "", FINAL },
	};

	credential_init();
	known("", "user", KEYS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(end(bad[i].first, bad[i].told, bad[i].final), VERDICT_DENY);
	CU_ASSERT_EQUAL(end(FIRST, TOLD, FINAL), VERDICT_ALLOW);
	credential_fini();
}

static void
state_that_cannot_be_is_refused(void)
{
	static const struct span bad[] = { { (const uint8_t *)"x", 1 }, { (const uint8_t *)"", 1 },
		{ (const uint8_t *)FIRST, sizeof(FIRST) - 1 },
		{ (const uint8_t *)FIRST, sizeof(FIRST) } };

	credential_init();
	known("", "user", KEYS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct login l = login_of("SCRAM-SHA-256", FINAL);

		l.state = bad[i];
		CU_ASSERT_EQUAL(scram.ask(&l), VERDICT_DENY);
	}
	credential_fini();
}

static void
first_step_tells_what_is_kept_and_a_fresh_nonce(void)
{
	char last[1000] = "";

	credential_init();
	known("", "user", KEYS);
	for (int i = 0; i < 3; i++) {
		struct login_found f;
		char told[1000];

		CU_ASSERT_EQUAL_FATAL(begin(FIRST, &f), VERDICT_GO_ON);
		snprintf(told, sizeof(told), "%.*s", (int)f.data.len, (const char *)f.data.p);
		CU_ASSERT_EQUAL(strncmp(told, "r=rOprNGfwEbeRWgbNEkqO", 22), 0);
		CU_ASSERT_EQUAL(strcspn(told, ","), 22 + 24);
		CU_ASSERT_STRING_EQUAL(told + 46, ",s=" SALT ",i=4096");
		CU_ASSERT_STRING_NOT_EQUAL(told, last);
		CU_ASSERT_TRUE(f.state.len == sizeof(FIRST) + f.data.len);
		strcpy(last, told);
	}
	CU_ASSERT_EQUAL(
	    begin("p=tls-unique,,n=user,r=abc", &(struct login_found){ 0 }), VERDICT_DENY);
	CU_ASSERT_EQUAL(begin("", &(struct login_found){ 0 }), VERDICT_DENY);
	credential_fini();
}

/* What is behind the nonce. */
static void
tail_of(const char *first, char out[1000])
{
	struct login_found f;

	out[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(begin(first, &f), VERDICT_GO_ON);
	snprintf(out, 1000, "%.*s", (int)f.data.len, (const char *)f.data.p);
	memmove(out, out + strcspn(out, ","), strlen(out + strcspn(out, ",")) + 1);
}

static void
who_is_not_known_is_asked_likewise_and_always_the_same(void)
{
	char a[1000], b[1000], shape[1000];

	credential_init();
	tail_of("n,,n=user,r=abc", a);
	tail_of("n,,n=user,r=def", b);
	CU_ASSERT_STRING_EQUAL(a, b);
	tail_of("n,,n=other,r=abc", b);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	/* As one that tbmqctl makes. */
	snprintf(shape, sizeof(shape), ",i=%d", SCRAM_ITERATIONS);
	CU_ASSERT_STRING_EQUAL(a + 27, shape);
	/* Who is there, but not for this method, or not now, is nobody. */
	known("", "user", KEYS_512);
	tail_of("n,,n=user,r=abc", b);
	CU_ASSERT_STRING_EQUAL(a, b);
	known("", "user", KEYS)->is_disabled = true;
	tail_of("n,,n=user,r=abc", b);
	CU_ASSERT_STRING_EQUAL(a, b);
	CU_ASSERT_EQUAL(end(FIRST, TOLD, FINAL), VERDICT_DENY);
	known("other", "user", KEYS);
	tail_of("n,,n=user,r=abc", b);
	CU_ASSERT_STRING_EQUAL(a, b);
	known("id", "user", KEYS);
	CU_ASSERT_EQUAL(end(FIRST, TOLD, FINAL), VERDICT_ALLOW);
	credential_fini();
}

static void
user_name_of_connect_is_the_same_one(void)
{
	static const char *const other[] = { "User", "", "user " };
	struct login l;

	credential_init();
	known("", "user", KEYS);
	for (size_t i = 0; i < 3; i++) {
		l = login_of("SCRAM-SHA-256", FIRST);
		l.flags = LOGIN_USER;
		l.user_name = span_str(other[i]);
		CU_ASSERT_EQUAL(scram.ask(&l), VERDICT_DENY);
	}
	l = login_of("SCRAM-SHA-256", FINAL);
	l.flags = LOGIN_USER;
	l.user_name = span_str("user");
	l.state = span_of(FIRST "\0" TOLD, sizeof(FIRST "\0" TOLD) - 1);
	CU_ASSERT_EQUAL(scram.ask(&l), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(l.found.user_name.len, 0);
	credential_fini();
}

static void
other_methods_are_not_ours(void)
{
	static const char *const other[] = { "", "SCRAM-SHA-1", "scram-sha-256",
		"SCRAM-SHA-256-PLUS", "SCRAM-SHA-25" };

	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		CU_ASSERT_FALSE(scram.has_method(span_str(other[i])));
	CU_ASSERT_TRUE(scram.has_method(span_str("SCRAM-SHA-256")));
	CU_ASSERT_TRUE(scram.has_method(span_str("SCRAM-SHA-512")));
}

UNIT_MAIN("worker/auth/scram", TEST(rfc_exchange_is_answered_as_it_says),
    TEST(whatever_is_tampered_with_is_refused), TEST(state_that_cannot_be_is_refused),
    TEST(first_step_tells_what_is_kept_and_a_fresh_nonce),
    TEST(who_is_not_known_is_asked_likewise_and_always_the_same),
    TEST(user_name_of_connect_is_the_same_one), TEST(other_methods_are_not_ours))
