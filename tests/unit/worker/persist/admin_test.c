#include "tests/unit/worker/persist/fake.h"

#include "shared/child/request.h"
#include "worker/persist/admin.h"
#include "worker/persist/store_dump.h"

/*
 * The answer as text, sorted and compact; "!" and the reason if it was refused. Borrowed until
 * the next.
 */
static const char *
ask(const char *text)
{
	static char out[65536];
	const char *why = NULL;
	struct request r;
	json_t *j;
	char *s;

	if (request_parse(text, strlen(text), &r, &why) != 0) {
		snprintf(out, sizeof(out), "!%s", why);
		return out;
	}
	j = admin_answer(&r, &why);
	if (j == NULL) {
		snprintf(out, sizeof(out), "!%s", why != NULL ? why : "no reason");
	} else {
		s = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
		snprintf(out, sizeof(out), "%s", s);
		free(s);
		json_decref(j);
	}
	request_fini(&r);
	return out;
}

static bool
says(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static void
what_cannot_be_is_answered_with_the_reason(void)
{
	fake_start();
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"eat\",\"resource\":\"client\"}"), "!persist does not know"));
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"show\",\"resource\":\"client\"}"), "!client_id is missing"));
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"kick\",\"resource\":\"client\",\"parameters\":{\"client_id\":\"x\"}}"),
	    "!no such client"));
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"list\",\"resource\":\"client\",\"parameters\":{"
				"\"worker\":\"persist/0\"}}"),
	    "!worker"));
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"list\",\"resource\":\"retained\",\"parameters\":{\"filter\":\"a#\"}}"),
	    "!filter"));
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"clear\",\"resource\":\"retained\"}"), "!filter"));
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"show\",\"resource\":\"retained\",\"parameters\":{\"topic\":\"a\"}}"),
	    "!no retained"));
	fake_stop();
}

static void
clients_come_in_pages(void)
{
	char text[256], id[16];
	struct client c = { .clean = true };
	unsigned n = 0, pages = 0;
	const char *a, *next_at;
	char after[32] = "";

	fake_start();
	for (uint32_t i = 0; i < 25; i++) {
		snprintf(id, sizeof(id), "c%02u", i);
		c.id = id;
		c.handle = i;
		c.slot = i % 2;
		c.expiry = i == 7 ? 100 : 0;
		join(&c);
		if (i == 7)
			leave(&c, 0, 0);
	}
	do {
		snprintf(text, sizeof(text),
		    "{\"verb\":\"list\",\"resource\":\"client\",\"page\":{\"after\":\"%s\","
		    "\"limit\":10}}",
		    after);
		a = ask(text);
		for (const char *p = a; (p = strstr(p, "client_id")) != NULL; p++)
			n++;
		next_at = strstr(a, "\"next\":\"");
		after[0] = '\0';
		if (next_at != NULL)
			sscanf(next_at, "\"next\":\"%31[^\"]", after);
		pages++;
	} while (after[0] != '\0' && pages < 10);
	CU_ASSERT_EQUAL(n, 25);
	CU_ASSERT_EQUAL(pages, 3);
	a = ask("{\"verb\":\"list\",\"resource\":\"client\",\"parameters\":{\"connected\":false}}");
	CU_ASSERT_TRUE(says(a, "c07") && !says(a, "c08"));
	a = ask("{\"verb\":\"list\",\"resource\":\"client\",\"parameters\":{\"prefix\":\"c1\","
		"\"worker\":\"mqtt/1\"}}");
	CU_ASSERT_TRUE(says(a, "c11") && !says(a, "c12") && !says(a, "c21"));
	a = ask("{\"verb\":\"list\",\"resource\":\"client\",\"parameters\":{\"filter\":\"24\"}}");
	CU_ASSERT_TRUE(says(a, "c24") && !says(a, "c23"));
	fake_stop();
}

static void
a_client_is_shown_kicked_and_cleared(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_let_go l;
	const char *a;

	fake_start();
	join(&c);
	subscribe(&c, "a/+", 1, 3);
	subscribe(&c, "$share/g/b", 1, 0);
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"show\",\"resource\":\"client\",\"parameters\":{\"client_id\":\"d\"}}"),
	    "\"subscriptions\":2"));
	CU_ASSERT_STRING_EQUAL(/* it is connected: its worker lists them */
	    ask("{\"verb\":\"list\",\"resource\":\"subscription\"}"), "{\"items\":[],\"ok\":true}");
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"kick\",\"resource\":\"client\",\"parameters\":{\"client_id\":\"d\"}}"),
	    "true"));
	turn();
	CU_ASSERT_TRUE(TAKE(&l, 0, REC_LET_GO));
	leave(&c, 0, 0);
	a = ask("{\"verb\":\"list\",\"resource\":\"subscription\"}");
	CU_ASSERT_TRUE(says(a,
	    "\"filter\":\"a/+\",\"no_local\":false,\"qos\":1,\"retain_as_published\":false,"
	    "\"retain_handling\":0,\"share\":null,\"subscription_id\":3"));
	CU_ASSERT_TRUE(says(a, "\"filter\":\"$share/g/b\"") && says(a, "\"share\":\"g\""));
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"kick\",\"resource\":\"client\",\"parameters\":{\"client_id\":\"d\"}}"),
	    "!this client is not"));
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"clear-session\",\"resource\":\"client\","
				"\"parameters\":{\"client_id\":\"d\"}}"),
	    "true"));
	CU_ASSERT_EQUAL(directory_count(), 0);
	CU_ASSERT_STRING_EQUAL(
	    ask("{\"verb\":\"list\",\"resource\":\"subscription\"}"), "{\"items\":[],\"ok\":true}");
	fake_stop();
}

static void
subscriptions_of_one_session_may_fill_pages(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	char filter[16], text[128], after[32] = "";
	unsigned n = 0, pages = 0;
	const char *a, *next_at;

	fake_start();
	join(&c);
	for (unsigned i = 0; i < 25; i++) {
		snprintf(filter, sizeof(filter), "f%u", i);
		subscribe(&c, filter, 1, 0);
	}
	leave(&c, 0, 0);
	do {
		snprintf(text, sizeof(text),
		    "{\"verb\":\"list\",\"resource\":\"subscription\",\"page\":{\"after\":\"%s\","
		    "\"limit\":10}}",
		    after);
		a = ask(text);
		for (const char *p = a; (p = strstr(p, "\"filter\"")) != NULL; p++)
			n++;
		next_at = strstr(a, "\"next\":\"");
		after[0] = '\0';
		if (next_at != NULL)
			sscanf(next_at, "\"next\":\"%31[^\"]", after);
	} while (after[0] != '\0' && ++pages < 10);
	CU_ASSERT_EQUAL(n, 25);
	fake_stop();
}

static void
retained_messages_are_listed_shown_and_cleared(void)
{
	fake_start();
	store_full(NULL, 1, "a/1", "x", 1, STORE_RETAIN, 0, 0, NULL, NULL, NULL);
	store_full(NULL, 1, "a/2", "\xff\x01", 1, STORE_RETAIN, 0, 0, NULL, NULL, NULL);
	store_full(NULL, 1, "b", "y", 0, STORE_RETAIN, 0, 0, NULL, NULL, NULL);
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"list\",\"resource\":\"retained\",\"page\":{\"limit\":2}}"),
		"\"next\":\"a/2\""));
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"list\",\"resource\":\"retained\",\"page\":{\"limit\":"
				"2,\"after\":\"a/2\"}}"),
	    "\"topic\":\"b\""));
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"show\",\"resource\":\"retained\",\"parameters\":{\"topic\":\"b\"}}"),
	    "\"payload\":\"y\""));
	CU_ASSERT_TRUE(says(
	    ask("{\"verb\":\"show\",\"resource\":\"retained\",\"parameters\":{\"topic\":\"a/2\"}}"),
	    "\"payload_base64\":\"/wE=\""));
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"clear\",\"resource\":\"retained\",\"parameters\":{"
				"\"filter\":\"a/+\"}}"),
	    "\"cleared\":2"));
	CU_ASSERT_EQUAL(counted(CNT_retained), 1);
	fake_stop();
}

static void
the_store_tells_its_state_and_how_far_its_work_is(void)
{
	const char *answer;

	fake_start();
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"status\",\"resource\":\"store\"}"), "\"durability\":\"power\""));
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"job\",\"resource\":\"store\",\"parameters\":{\"job\":0}}"),
		"!the job is not known"));
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"backup\",\"resource\":\"store\",\"parameters\":{"
				"\"directory\":\"here\"}}"),
	    "!directory"));
	CU_ASSERT_STRING_EQUAL(
	    ask("{\"verb\":\"verify\",\"resource\":\"store\"}"), "{\"job\":1,\"ok\":true}");
	do
		answer =
		    ask("{\"verb\":\"job\",\"resource\":\"store\",\"parameters\":{\"job\":1}}");
	while (says(answer, "\"running\":true"));
	CU_ASSERT_TRUE(says(answer, "{\"damaged\":false,"));
	CU_ASSERT_TRUE(says(answer, "{\"damaged\":false,\"file\":\"journal\"}"));
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"job\",\"resource\":\"store\",\"parameters\":{\"job\":2}}"),
		"!the job is not known"));
	fake_stop();
}

static void
the_store_is_dumped_in_pages(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	char text[512], after[201] = "";
	unsigned n = 0, pages = 0;
	const char *a, *next_at;

	fake_start();
	join(&c);
	subscribe(&c, "a/#", 1, 0);
	leave(&c, 0, 0);
	for (unsigned i = 0; i < 25; i++)
		store("a/1", "x", 1);
	CU_ASSERT_TRUE(says(ask("{\"verb\":\"dump\",\"resource\":\"store\",\"parameters\":{"
				"\"table\":\"users\"}}"),
	    "!table: meta"));
	CU_ASSERT_TRUE(
	    says(ask("{\"verb\":\"dump\",\"resource\":\"store\",\"page\":{\"after\":\"queue\"}}"),
		"!page.after"));
	do {
		snprintf(text, sizeof(text),
		    "{\"verb\":\"dump\",\"resource\":\"store\",\"parameters\":{\"table\":"
		    "\"queue\"},\"page\":{\"after\":\"%s\",\"limit\":10}}",
		    after);
		a = ask(text);
		CU_ASSERT_FALSE(says(a, "payload"));
		for (const char *p = a; (p = strstr(p, "\"table\":\"queue\"")) != NULL; p++)
			n++;
		next_at = strstr(a, "\"next\":\"");
		after[0] = '\0';
		if (next_at != NULL)
			sscanf(next_at, "\"next\":\"%200[^\"]", after);
		pages++;
	} while (after[0] != '\0' && pages < 10);
	CU_ASSERT_EQUAL(n, 25);
	CU_ASSERT_EQUAL(pages, 3);
	a = ask("{\"verb\":\"dump\",\"resource\":\"store\",\"parameters\":{\"payload\":true},"
		"\"page\":{\"limit\":1000}}");
	CU_ASSERT_TRUE(says(a, "\"table\":\"meta\"") && says(a, "\"table\":\"sub\"") &&
	    says(a, "\"payload\":\"x\""));
	CU_ASSERT_FALSE(says(a, "\"next\""));
	fake_stop();
}

UNIT_MAIN("worker/persist/admin", TEST(what_cannot_be_is_answered_with_the_reason),
    TEST(clients_come_in_pages), TEST(a_client_is_shown_kicked_and_cleared),
    TEST(subscriptions_of_one_session_may_fill_pages),
    TEST(retained_messages_are_listed_shown_and_cleared), TEST(the_store_is_dumped_in_pages),
    TEST(the_store_tells_its_state_and_how_far_its_work_is))
