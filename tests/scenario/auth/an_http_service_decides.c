/*
 * With its yes, no or neither; what can't be an answer is none; and what a client shows is a value and nothing more where it is said.
 */
#include "tests/lib/http.h"

static int
told(const char *user)
{
	struct mq *m = mq_try((struct mq_opts){ .id = "c", .user = user, .password = "p" });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

SCENARIO(1, 4)
{
	static const char *const none[] = { "garbage", "nonsense", "500", "503", "redirect",
		"close", "half", "huge", "endless_headers", "no_http", "never", "199" };
	char url[64], file[160];
	int port;

	check(broker_sh("printf 'X-Key: open sesame\\r\\nX-Other: y\\n' >$DIR/headers") == 0);
	port = http_start(NULL, NULL);
	snprintf(url, sizeof(url), "http_url=http://127.0.0.1:%d/by_user", port);
	snprintf(file, sizeof(file), "http_headers_file=%s/headers", broker.dir);
	broker_start(url, file, "http_timeout=1", "authentication=http, basic");
	/* Yes, in each way to say so. */
	check(told("allow") == 0 && told("rich") == 0 && told("plain") == 0 && told("empty") == 0);
	check(broker_sh("mosquitto_pub -p $BROKER_PORT -u allow -P x -t t -m x") == 0);
	check(http_asked("\"key\": \"open sesame\"") == 5);
	check(broker_counter("http_logins__answered") == 5);
	/* They share a connection. */
	check(http_asked("\"connection\": 1,") == 5);
	check(told("deny") == 0x86 && told("hidden") == 0x86 && told("403") == 0x86 &&
	    told("404") == 0x86);
	check(broker_sh("mosquitto_pub -p $BROKER_PORT -u deny -P x -t t -m x") == 4);
	/* Neither: another may know. */
	check(told("ignore") == 0x86);
	check(
	    broker_sh("echo p | $CTL auth add ignore --cost 10; echo p | $CTL auth add 403 --cost "
		      "10; echo p | $CTL auth add 500 --cost 10") == 0);
	check(told("ignore") == 0 && told("403") == 0x86 && told("500") == 0x89);
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (told(none[i]) != 0x89)
			fail("%s", none[i]);
	check(http_asked("\"target\": \"/allow\"") == 0);
	broker_reload("http_unavailable =", "http_unavailable = \"ignore\";");
	broker_reload("http_denied =", "http_denied = \"ignore\";");
	check(told("500") == 0 && told("503") == 0x86 && told("403") == 0 && told("404") == 0x86);
	broker_reload("http_unavailable =", "http_unavailable = \"deny\";");
	check(told("500") == 0x86);
	/* As JSON, as a form, in the URL. */
	check(told("a\"},{\\\n\x7f\xc3\xa4") == 0x86);
	check(http_asked("a\\\\u0022},{\\\\u005c\\\\u000a\\\\u007f\\u00c3\\u00a4\\\"") == 1);
	check(http_asked("\"type\": \"application/json\"") > 10 &&
	    http_asked("application/x-www-form-urlencoded") == 0);
	broker_reload("http_body =", "http_body = \"form\";");
	broker_reload("http_fields =", "http_fields = \"u=<%%u>&, id=%%c@%%a/%%l\";");
	(void)told("a&b=c d+\n%");
	check(http_asked("application/x-www-form-urlencoded") >= 1);
	check(http_asked("u=%3Ca%26b%3Dc%20d%2B%0A%25%3E%26&id=c%40127.0.0.1%2Fdefault\"") >= 1);
	broker_reload("http_method =", "http_method = \"GET\";");
	(void)told("x");
	check(http_asked(
		  "\"target\": \"/by_user?u=%3Cx%3E%26&id=c%40127.0.0.1%2Fdefault\", \"body\": "
		  "\"\"") >= 1);
	broker_stop();
	http_end();
}
