#include "tests/unit/worker/persist/fake.h"

#include "worker/persist/sys.h"

static const char *
value_of(const char *topic)
{
	static char text[64];
	struct store_retained r;
	struct msg_view v;

	if (!store_retained_get(span_str(topic), &r))
		return "none";
	v = r.v;
	snprintf(text, sizeof(text), "%.*s", (int)v.payload.len, v.payload.p);
	return text;
}

static void
all_processes(void)
{
	while (sys_turn())
		;
}

static void
nothing_is_published_with_an_interval_of_0(void)
{
	fake_start();
	self.conf.sys_interval = 0;
	sys_init();
	sys_start();
	pass_ms(100000);
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/version"), "none");
	sys_fini();
	fake_stop();
}

static void
sums_and_counters_are_retained_and_go_out_when_they_change(void)
{
	unsigned n;

	fake_start();
	fake.wants[1] = true;
	atomic_store(&fake.seg[0]->counter[CNT_publish_received], 5);
	atomic_store(&fake.seg[1]->counter[CNT_publish_received], 7);
	atomic_store(&fake.seg[0]->counter[CNT_heap], 1000);
	atomic_store(&fake.seg[1]->counter[CNT_heap], 500);
	sys_init();
	sys_start();
	pass_ms(1000);
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/version"), "tbmq version " TBMQ_VERSION);
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "12");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/0/publish_received"), "5");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/1/publish_received"), "7");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/persist/0/retained"), "0");
	CU_ASSERT_EQUAL(counted(CNT_retained), 0); /* its own are not counted */
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/heap/current"), "1500");
	CU_ASSERT_TRUE(wills_seen() > COUNTERS);
	atomic_store(&fake.seg[0]->counter[CNT_heap], 100);
	pass_ms(10000);
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/heap/current"), "600");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/heap/maximum"), "1500");
	wills_seen();
	atomic_store(&fake.seg[0]->counter[CNT_publish_received], 6);
	pass_ms(10000);
	all_processes();
	n = wills_seen();
	CU_ASSERT_TRUE(n > 1 && n < 30);
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "13");
	sys_fini();
	fake_stop();
}

static void
sums_go_on_when_a_process_is_replaced(void)
{
	fake_start();
	atomic_store(&fake.seg[0]->counter[CNT_publish_received], 5);
	atomic_store(&fake.seg[0]->counter[CNT_clients], 3);
	sys_init();
	sys_start();
	pass_ms(1000);
	fake.open[0] = false;
	pass_ms(10000);
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "5");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/0/clients"), "none");
	fake.seg[0]->gen = 2;
	atomic_store(&fake.seg[0]->counter[CNT_publish_received], 2);
	fake.open[0] = true;
	pass_ms(10000);
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "7");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/0/publish_received"), "2");
	sys_fini();
	fake_stop();
}

static void
loads_are_averages_a_minute(void)
{
	fake_start();
	self.conf.sys_interval = 10;
	sys_init();
	sys_start();
	pass_ms(1000);
	for (unsigned i = 1; i <= 120; i++) {
		atomic_store(&fake.seg[0]->counter[CNT_publish_received], i * 100);
		pass_ms(10000);
	}
	/* 100 in 10 s are 600 a minute; a little less in 10.02 s. */
	CU_ASSERT_TRUE(strtod(value_of("$SYS/broker/load/publish/received/1min"), NULL) > 590);
	CU_ASSERT_TRUE(strtod(value_of("$SYS/broker/load/publish/received/1min"), NULL) < 601);
	CU_ASSERT_TRUE(strtod(value_of("$SYS/broker/load/publish/received/15min"), NULL) < 500);
	sys_fini();
	fake_stop();
}

static void
an_interval_of_0_takes_away_what_was_retained(void)
{
	fake_start();
	sys_init();
	sys_start();
	pass_ms(1000);
	all_processes();
	store_full(NULL, 1, "kept", "x", 1, STORE_RETAIN, 0, 0, NULL, NULL, NULL);
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "0");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/0/clients"), "0");
	self.conf.sys_interval = 0;
	sys_start();
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "none");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/0/clients"), "none");
	CU_ASSERT_STRING_EQUAL(value_of("kept"), "x");
	pass_ms(100000);
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/version"), "none");
	self.conf.sys_interval = 10;
	sys_start();
	pass_ms(1000);
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/publish/messages/received"), "0");
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/processes/mqtt/0/clients"), "0");
	sys_fini();
	/* Nor is there any of an instance before. */
	self.conf.sys_interval = 0;
	sys_init();
	sys_start();
	all_processes();
	CU_ASSERT_STRING_EQUAL(value_of("$SYS/broker/version"), "none");
	sys_fini();
	fake_stop();
}

UNIT_MAIN("worker/persist/sys", TEST(nothing_is_published_with_an_interval_of_0),
    TEST(an_interval_of_0_takes_away_what_was_retained),
    TEST(sums_and_counters_are_retained_and_go_out_when_they_change),
    TEST(sums_go_on_when_a_process_is_replaced), TEST(loads_are_averages_a_minute))
