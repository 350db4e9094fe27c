#include "shared/ipc/proc.h"

#include <errno.h>

#include "tests/unit/unit.h"

static void
what_names_no_process_has_no_slot(void)
{
	static const char *const names[] = { "", "?", "mqtt", "mqtt/", "mqtt/64", "mqtt/-1",
		"mqtt/01", "mqtt/1 ", "persist/1", "master" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CU_ASSERT_EQUAL(proc_slot_of(names[i]), -EINVAL);
	CU_ASSERT_STRING_EQUAL(proc_title(SLOTS), "?");
	CU_ASSERT_STRING_EQUAL(proc_title(SLOTS - 1), "?");
	CU_ASSERT_EQUAL(proc_kind_of(~0u), PROC_KINDS);
}

static void
each_slot_has_one_kind_and_its_own_title(void)
{
	unsigned used = 0, all = 0;

	for (unsigned slot = 0; slot < SLOTS; slot++) {
		enum proc_kind k = proc_kind_of(slot);

		if (k == PROC_KINDS)
			continue;
		used++;
		CU_ASSERT_TRUE(
		    slot >= proc_info[k].first && slot < proc_info[k].first + proc_info[k].slots);
		CU_ASSERT_EQUAL(proc_slot_of(proc_title(slot)), (int)slot);
	}
	for (unsigned k = 0; k < PROC_KINDS; k++)
		all += proc_info[k].slots;
	CU_ASSERT_EQUAL(used, all);
	CU_ASSERT_STRING_EQUAL(proc_title(3), "mqtt/3");
	CU_ASSERT_STRING_EQUAL(proc_title(SLOT_PERSIST), "persist/0");
	CU_ASSERT_EQUAL(proc_kind_of(SLOT_MQTT_MAX - 1), PROC_MQTT);
	CU_ASSERT_EQUAL(proc_kind_of(SLOT_PERSIST), PROC_PERSIST);
}

static void
sets_of_kinds_do_not_overlap(void)
{
	CU_ASSERT_EQUAL(P_MQTT & P_PERSIST, 0);
	CU_ASSERT_EQUAL((P_MQTT | P_PERSIST) & P_AUTH, 0);
	CU_ASSERT_EQUAL(P_MASTER & P_ANY, 0);
	CU_ASSERT_EQUAL(P_MQTT | P_PERSIST | P_AUTH, P_ANY);
}

UNIT_MAIN("shared/ipc/proc", TEST(what_names_no_process_has_no_slot),
    TEST(each_slot_has_one_kind_and_its_own_title), TEST(sets_of_kinds_do_not_overlap))
