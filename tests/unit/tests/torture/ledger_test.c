#include "tests/torture/ledger.h"
#include "tests/unit/unit.h"

#define MS UINT64_C(1000000)

static char *report;
static size_t report_len;
static FILE *file;

/* Streams 0 of QoS 1 and 1 of QoS 2, two subscribers, three messages published on each stream. */
static void
begin(const char *tolerated)
{
	file = open_memstream(&report, &report_len);
	ledger_init(2, 2, tolerated, file);
	for (unsigned i = 0; i < 2; i++) {
		ledger_stream(i, 7, i, i + 1);
		for (int n = 0; n < 3; n++)
			ledger_publish(i);
	}
}

static void
end(void)
{
	ledger_fini();
	fclose(file);
	free(report);
}

static uint64_t
faults(enum fault f)
{
	return ledger_totals().fault[f];
}

static bool
says(const char *text)
{
	fflush(file);
	return strstr(report, text) != NULL;
}

static void
arrive(uint32_t subscriber, uint32_t stream, uint64_t seq, bool dup)
{
	CU_ASSERT(ledger_arrived(subscriber, stream, seq, stream + 1, dup, 100 * MS));
}

static void
acknowledged_and_missing_at_one_subscriber_is_lost(void)
{
	begin(NULL);
	ledger_kill("all", 10 * MS);
	ledger_acknowledged(0, 1, 12 * MS);
	ledger_kill("master", 20 * MS);
	arrive(0, 0, 0, false);
	arrive(0, 0, 1, false);
	arrive(1, 0, 0, false);
	arrive(1, 0, 2, false);
	ledger_close();
	CU_ASSERT_EQUAL(faults(FAULT_LOST), 1);
	CU_ASSERT(says("lost: subscriber 1, publisher 7 topic 0 QoS 1 message 1: 2 came instead"));
	CU_ASSERT(says("2 ms after kill 1 (all), 8 ms before kill 2 (master)"));
	end();
}

static void
neither_acknowledged_nor_there_is_no_fault(void)
{
	begin(NULL);
	ledger_refused(0, 0);
	ledger_close();
	CU_ASSERT(ledger_is_good());
	end();
}

static void
first_arrivals_have_an_order(void)
{
	begin(NULL);
	arrive(0, 0, 1, false);
	arrive(1, 0, 0, false);
	arrive(1, 0, 1, false);
	arrive(1, 0, 0, true);
	CU_ASSERT_EQUAL(faults(FAULT_DISORDER), 0);
	arrive(0, 0, 0, false);
	CU_ASSERT_EQUAL(faults(FAULT_DISORDER), 1);
	CU_ASSERT(says("message 0: came behind 1"));
	end();
}

static void
qos_2_comes_once_whatever_its_flag(void)
{
	begin("all");
	ledger_kill("all", MS);
	arrive(0, 1, 0, false);
	arrive(0, 1, 0, true);
	CU_ASSERT_EQUAL(faults(FAULT_TWICE), 1);
	end();
}

static void
again_needs_dup_or_a_publisher_that_sent_again(void)
{
	begin(NULL);
	arrive(0, 0, 0, false);
	arrive(0, 0, 0, true);
	ledger_sent_again(0, 0);
	arrive(0, 0, 0, false);
	CU_ASSERT(ledger_is_good());
	arrive(0, 0, 0, false);
	CU_ASSERT_EQUAL(faults(FAULT_UNDUPPED), 1);
	arrive(0, 1, 0, false);
	ledger_repeated(0, 1, 0, true, 0);
	CU_ASSERT_EQUAL(faults(FAULT_UNDUPPED), 1);
	ledger_repeated(0, 1, 0, false, 0);
	CU_ASSERT_EQUAL(faults(FAULT_UNDUPPED), 2);
	end();
}

static void
only_named_kills_excuse_what_has_no_dup(void)
{
	begin("persist,all");
	arrive(0, 0, 0, false);
	ledger_kill("master", MS);
	arrive(0, 0, 0, false);
	CU_ASSERT_EQUAL(faults(FAULT_UNDUPPED), 1);
	ledger_kill("pers", 2 * MS); /* a part of a name is none */
	arrive(0, 0, 1, false);
	arrive(0, 0, 1, false);
	CU_ASSERT_EQUAL(faults(FAULT_UNDUPPED), 2);
	ledger_kill("all", 3 * MS);
	arrive(0, 0, 1, false);
	CU_ASSERT_EQUAL(faults(FAULT_UNDUPPED), 2);
	CU_ASSERT_EQUAL(ledger_totals().tolerated, 1);
	end();
}

static void
what_nobody_sent_is_not_taken(void)
{
	begin(NULL);
	CU_ASSERT_FALSE(ledger_arrived(0, 2, 0, 1, false, 0));
	CU_ASSERT_FALSE(ledger_arrived(0, 0, 3, 1, false, 0));
	CU_ASSERT_FALSE(ledger_arrived(0, 0, 0, 2, false, 0));
	end();
}

static void
behind_counts_and_last_closes(void)
{
	begin(NULL);
	CU_ASSERT_EQUAL(ledger_behind(0), 6);
	arrive(0, 0, 2, false);
	arrive(0, 0, 2, true);
	CU_ASSERT_EQUAL(ledger_behind(0), 5);
	CU_ASSERT_FALSE(ledger_has_last(0));
	arrive(0, 1, 2, false);
	CU_ASSERT(ledger_has_last(0));
	CU_ASSERT_FALSE(ledger_has_last(1));
	end();
}

static void
of_a_group_neither_order_nor_qos_1_again_counts(void)
{
	begin(NULL);
	ledger_group(1);
	arrive(1, 0, 2, false);
	arrive(1, 0, 1, false);
	arrive(1, 0, 1, false);
	arrive(1, 0, 1, true);
	CU_ASSERT(ledger_is_good());
	arrive(0, 0, 2, false);
	arrive(0, 0, 1, false);
	CU_ASSERT_EQUAL(faults(FAULT_DISORDER), 1);
	end();
}

static void
in_a_group_qos_2_comes_once_to_whom_ever(void)
{
	begin(NULL);
	ledger_group(1);
	arrive(1, 1, 0, false);
	CU_ASSERT(ledger_is_good());
	arrive(1, 1, 0, true);
	CU_ASSERT_EQUAL(faults(FAULT_TWICE), 1);
	CU_ASSERT(says("QoS 2 twice: group 1, publisher 7 topic 1 QoS 2 message 0"));
	end();
}

static void
a_group_waits_for_all_that_was_acknowledged(void)
{
	begin(NULL);
	ledger_group(1);
	ledger_acknowledged(0, 0, 10 * MS);
	ledger_acknowledged(0, 2, 11 * MS);
	arrive(1, 0, 2, false);
	CU_ASSERT_FALSE(ledger_has_last(1));
	ledger_close();
	CU_ASSERT_EQUAL(faults(FAULT_LOST), 3); /* both at subscriber 0 */
	arrive(1, 0, 0, false);
	CU_ASSERT(ledger_has_last(1));
	end();
}

static void
the_newest_acknowledged_is_known_in_whatever_order(void)
{
	begin(NULL);
	CU_ASSERT_EQUAL(ledger_acknowledged_next(0), 0);
	ledger_acknowledged(0, 1, 10 * MS);
	ledger_acknowledged(0, 0, 11 * MS);
	CU_ASSERT_EQUAL(ledger_acknowledged_next(0), 2);
	CU_ASSERT_EQUAL(ledger_acknowledged_next(1), 0);
	end();
}

UNIT_MAIN("tests/torture/ledger", TEST(acknowledged_and_missing_at_one_subscriber_is_lost),
    TEST(neither_acknowledged_nor_there_is_no_fault), TEST(first_arrivals_have_an_order),
    TEST(qos_2_comes_once_whatever_its_flag), TEST(again_needs_dup_or_a_publisher_that_sent_again),
    TEST(only_named_kills_excuse_what_has_no_dup), TEST(what_nobody_sent_is_not_taken),
    TEST(behind_counts_and_last_closes), TEST(of_a_group_neither_order_nor_qos_1_again_counts),
    TEST(in_a_group_qos_2_comes_once_to_whom_ever),
    TEST(a_group_waits_for_all_that_was_acknowledged),
    TEST(the_newest_acknowledged_is_known_in_whatever_order))
