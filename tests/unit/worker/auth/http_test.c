#include "worker/auth/http.h"

#include "shared/child/child.h"
#include "tests/unit/unit.h"

struct self self;

static struct login l;

static enum verdict
said(long status, const char *type, const char *body)
{
	return http_verdict(&l,
	    &(struct fetch_answer){
		.status = status, .type = type, .why = "why", .body = span_str(body) });
}

#define JSON "application/json; charset=utf-8"

static void
what_is_no_answer_lets_nobody_in(void)
{
	static const long status[] = { 0, 100, 199, 300, 301, 399, 500, 503, 999 };
	static const char *const bad[] = { "{", "{\"result\":\"allow\"", "{\"result\":1}",
		"{\"result\":null}", "{\"result\":\"Allow\"}", "{\"result\":\"allow\"} x",
		"{\"result\":\"allow\",\"result\":\"deny\"}",
		"{\"result\":\"allow\",\"groups\":[1]}", "{\"result\":\"allow\",\"attributes\":[]}",
		"{\"result\":\"allow\",\"attributes\":{\"\":1}}",
		"{\"result\":\"allow\",\"expires\":-1}", "{\"result\":\"allow\",\"expires\":0}",
		"{\"result\":\"allow\",\"expires\":\"soon\"}" };

	self.conf.http_unavailable = HTTP_UNAVAILABLE_busy;
	for (unsigned i = 0; i < sizeof(status) / sizeof(status[0]); i++)
		CU_ASSERT_EQUAL(said(status[i], JSON, "{\"result\":\"allow\"}"), VERDICT_BUSY);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(said(200, JSON, bad[i]), VERDICT_BUSY);
		CU_ASSERT_EQUAL(said(200, "text/plain", bad[i]), VERDICT_BUSY);
	}
	CU_ASSERT_EQUAL(said(200, JSON, "[]"), VERDICT_BUSY);
	CU_ASSERT_EQUAL(said(200, JSON, "\"allow\""), VERDICT_BUSY);
	self.conf.http_unavailable = HTTP_UNAVAILABLE_deny;
	CU_ASSERT_EQUAL(said(0, "", ""), VERDICT_DENY);
	self.conf.http_unavailable = HTTP_UNAVAILABLE_ignore;
	CU_ASSERT_EQUAL(said(0, "", ""), VERDICT_UNKNOWN);
}

static void
no_is_no_however_it_is_said(void)
{
	self.conf.http_denied = HTTP_DENIED_deny;
	CU_ASSERT_EQUAL(said(400, JSON, "{\"result\":\"allow\"}"), VERDICT_DENY);
	CU_ASSERT_EQUAL(said(499, "", ""), VERDICT_DENY);
	CU_ASSERT_EQUAL(said(200, JSON, "{\"result\":\"deny\"}"), VERDICT_DENY);
	CU_ASSERT_EQUAL(said(200, "", " \r\n\t{\"result\":\"deny\"}"), VERDICT_DENY);
	CU_ASSERT_EQUAL(said(200, JSON, "{\"result\":\"ignore\"}"), VERDICT_UNKNOWN);
	self.conf.http_denied = HTTP_DENIED_ignore;
	CU_ASSERT_EQUAL(said(403, "", ""), VERDICT_UNKNOWN);
}

static void
yes_brings_what_is_known(void)
{
	static const char attributes[] = "a\0"
					 "1";

	CU_ASSERT_EQUAL(
	    said(200, JSON,
		"{\"result\":\"allow\",\"groups\":[\"x\",\"y\"],\"attributes\":{\"a\":1},"
		"\"expires\":60}"),
	    VERDICT_ALLOW);
	CU_ASSERT_TRUE(span_eq(l.found.groups, span_str("x,y")));
	CU_ASSERT_TRUE(span_eq(l.found.attributes, span_of(attributes, sizeof(attributes))));
	CU_ASSERT_EQUAL(l.found.expires_ms, 60000);
	/* And nothing of the one before. */
	CU_ASSERT_EQUAL(said(204, "", ""), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(l.found.groups.len + l.found.attributes.len + l.found.expires_ms, 0);
	CU_ASSERT_EQUAL(said(200, "text/plain", "ok"), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(said(200, JSON, "{\"expires\":null}"), VERDICT_ALLOW);
	CU_ASSERT_EQUAL(l.found.expires_ms, 0);
	CU_ASSERT_EQUAL(said(299, JSON, ""), VERDICT_ALLOW);
}

UNIT_MAIN("worker/auth/http", TEST(what_is_no_answer_lets_nobody_in),
    TEST(no_is_no_however_it_is_said), TEST(yes_brings_what_is_known))
