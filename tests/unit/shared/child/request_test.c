#include "shared/child/request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/net/loop.h"

#include "tests/unit/unit.h"

static const char *
refusal(const char *text)
{
	struct request r;
	const char *why = NULL;

	CU_ASSERT_EQUAL(request_parse(text, strlen(text), &r, &why), -EINVAL);
	return why != NULL ? why : "";
}

static void
each_mistake_is_named(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "no JSON object" },
		{ "{", "no JSON object" },
		{ "[]", "no JSON object" },
		{ "\"list\"", "no JSON object" },
		{ "{\"verb\":\"a\",\"resource\":\"b\"} x", "no JSON object" },
		{ "{\"verb\":\"a\",\"verb\":\"b\",\"resource\":\"b\"}", "no JSON object" },
		{ "{\"verb\":\"\xff\",\"resource\":\"b\"}", "no JSON object" },
		{ "{\"verb\":\"a\\u0000b\",\"resource\":\"b\"}", "no JSON object" },
		{ "{\"verb\":\"a\"}", "verb and resource" },
		{ "{\"verb\":1,\"resource\":\"b\"}", "verb and resource" },
		{ "{\"verb\":\"a\",\"resource\":null}", "verb and resource" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"parameters\":[]}", "must be objects" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"parameters\":null}", "must be objects" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":5}", "must be objects" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"limit\":0}}", "page.limit" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"limit\":-1}}", "page.limit" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"limit\":1001}}", "page.limit" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"limit\":4294967297}}",
		    "page.limit" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"limit\":1.5}}", "page.limit" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"limit\":\"9\"}}", "page.limit" },
		{ "{\"verb\":\"a\",\"resource\":\"b\",\"page\":{\"after\":7}}", "page.after" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = refusal(bad[i].text);

		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].says));
		if (strstr(why, bad[i].says) == NULL)
			printf("\n    %s: \"%s\" ", bad[i].text, why);
	}
}

static void
too_long_or_too_deep_is_refused(void)
{
	static char text[REQUEST_TEXT_MAX + 2];
	struct request r;
	const char *why = NULL;
	int n = sprintf(text, "{\"verb\":\"a\",\"resource\":\"b\",\"parameters\":{\"x\":");

	memset(text + n, '[', REQUEST_TEXT_MAX - (size_t)n);
	CU_ASSERT_EQUAL(request_parse(text, REQUEST_TEXT_MAX, &r, &why), -EINVAL);
	n = sprintf(text, "{\"verb\":\"a\",\"resource\":\"b\"}");
	memset(text + n, ' ', sizeof(text) - (size_t)n);
	CU_ASSERT_EQUAL(request_parse(text, REQUEST_TEXT_MAX + 1, &r, &why), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(why);
	CU_ASSERT_EQUAL_FATAL(request_parse(text, REQUEST_TEXT_MAX, &r, &why), 0);
	request_fini(&r);
}

static void
what_is_not_given_has_a_default(void)
{
	static const char text[] = "{\"verb\":\"list\",\"resource\":\"client\"}";
	struct request r;
	const char *why;
	double num;

	CU_ASSERT_EQUAL_FATAL(request_parse(text, sizeof(text) - 1, &r, &why), 0);
	CU_ASSERT_STRING_EQUAL(r.verb, "list");
	CU_ASSERT_STRING_EQUAL(r.resource, "client");
	CU_ASSERT_STRING_EQUAL(r.after, "");
	CU_ASSERT_EQUAL(r.limit, REQUEST_LIMIT);
	CU_ASSERT_PTR_NULL(request_str(&r, "name"));
	CU_ASSERT_FALSE(request_num(&r, "rate", &num));
	request_fini(&r);
	request_fini(&r); /* once more does no harm */
}

static void
parameters_are_found_by_name_and_type(void)
{
	static const char text[] =
	    "{\"verb\":\"drain\",\"resource\":\"process\",\"at\":\"mqtt/0\",\"parameters\":"
	    "{\"name\":\"\xc3\xa4\",\"rate\":50,\"part\":0.5,\"on\":true},"
	    "\"page\":{\"after\":\"c 7\",\"limit\":1000}}";
	struct request r;
	const char *why;
	double num = 0;

	CU_ASSERT_EQUAL_FATAL(request_parse(text, sizeof(text) - 1, &r, &why), 0);
	CU_ASSERT_STRING_EQUAL(r.after, "c 7");
	CU_ASSERT_EQUAL(r.limit, 1000);
	CU_ASSERT_STRING_EQUAL(request_str(&r, "name"), "\xc3\xa4");
	CU_ASSERT_PTR_NULL(request_str(&r, "rate"));
	CU_ASSERT_TRUE(request_num(&r, "rate", &num) && num == 50);
	CU_ASSERT_TRUE(request_num(&r, "part", &num) && num == 0.5);
	CU_ASSERT_FALSE(request_num(&r, "name", &num));
	CU_ASSERT_FALSE(request_num(&r, "on", &num));
	request_fini(&r);
}

/* --- answers ----------------------------------------------------------------------------- */

static struct loop *loop;
static int ours, theirs;

static void
open_both(void)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(loop_new(&loop), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	ours = fd[0];
	theirs = fd[1];
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* All that comes until the other end closes; the caller's. Empty if it doesn't close. */
static char *
read_answer(size_t *len_out)
{
	size_t room = 1 << 22, len = 0;
	char *text = malloc(room + 1);

	for (int i = 0; i < 20000 && len < room; i++) {
		ssize_t n = recv(theirs, text + len, room - len, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else
			loop_turn(loop, 1);
	}
	CU_ASSERT_FALSE(is_open(ours));
	text[len] = '\0';
	*len_out = len;
	close(theirs);
	loop_free(loop);
	return text;
}

static void
a_client_that_has_gone_is_forgotten(void)
{
	open_both();
	close(theirs);
	request_answer(loop, ours, json_pack("{s:b}", "ok", 1));
	loop_turn(loop, 0);
	CU_ASSERT_FALSE(is_open(ours));
	loop_free(loop);
}

static void
a_client_that_does_not_read_is_given_up_in_time(void)
{
	json_t *list = json_array();
	struct timers *timers;

	open_both();
	timers = loop_timers(loop);
	for (int i = 0; i < 200000; i++)
		json_array_append_new(list, json_string("an item"));
	request_answer(loop, ours, json_pack("{s:o}", "items", list));
	for (int i = 0; i < 20; i++)
		loop_turn(loop, 0); /* it doesn't hold the loop */
	CU_ASSERT_TRUE(is_open(ours));
	timers_run(timers, clock_ms() + 9000);
	CU_ASSERT_TRUE(is_open(ours));
	timers_run(timers, clock_ms() + 11000);
	CU_ASSERT_FALSE(is_open(ours));
	close(theirs);
	loop_free(loop);
}

static void
without_an_answer_the_connection_is_closed(void)
{
	open_both();
	request_answer(loop, ours, NULL);
	CU_ASSERT_FALSE(is_open(ours));
	close(theirs);
	loop_free(loop);
}

static void
an_error_is_told_whatever_is_in_its_text(void)
{
	char name[1200], *text;
	size_t len;
	json_t *j;

	/* Cut in the middle of a character, and no text at all. */
	for (unsigned shift = 0; shift < 4; shift++) {
		memset(name, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(name); i += 3)
			memcpy(name + i, "\xe2\x82\xac", 4);
		open_both();
		request_error(loop, ours, "no client \"%s\"", name);
		text = read_answer(&len);
		CU_ASSERT_TRUE(len > 400);
		j = json_loadb(text, len, 0, NULL);
		CU_ASSERT_PTR_NOT_NULL(j);
		CU_ASSERT_TRUE(json_is_false(json_object_get(j, "ok")));
		CU_ASSERT_TRUE(json_is_string(json_object_get(j, "error")));
		json_decref(j);
		free(text);
	}
	open_both();
	request_error(loop, ours, "bad \"%s\"\n", "\xff\xfe");
	text = read_answer(&len);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"error\":\"bad \\\""));
	free(text);
}

static void
an_answer_is_one_line_and_whole(void)
{
	json_t *list = json_array();
	size_t len;
	char *text;

	for (int i = 0; i < 100000; i++)
		json_array_append_new(list, json_pack("{s:s, s:i}", "id", "a\nb", "n", i));
	open_both();
	request_answer(loop, ours, json_pack("{s:b, s:o}", "ok", 1, "items", list));
	text = read_answer(&len);
	CU_ASSERT_TRUE_FATAL(len > 1 << 20);
	CU_ASSERT_EQUAL(text[len - 1], '\n');
	CU_ASSERT_PTR_EQUAL(memchr(text, '\n', len), text + len - 1);
	CU_ASSERT_PTR_NULL(memchr(text, '\0', len));
	list = json_loadb(text, len, 0, NULL);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(list, "items")), 100000);
	json_decref(list);
	free(text);
}

UNIT_MAIN("shared/child/request", TEST(each_mistake_is_named),
    TEST(too_long_or_too_deep_is_refused), TEST(what_is_not_given_has_a_default),
    TEST(parameters_are_found_by_name_and_type), TEST(a_client_that_has_gone_is_forgotten),
    TEST(a_client_that_does_not_read_is_given_up_in_time),
    TEST(without_an_answer_the_connection_is_closed),
    TEST(an_error_is_told_whatever_is_in_its_text), TEST(an_answer_is_one_line_and_whole))
