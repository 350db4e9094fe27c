#include "worker/mqtt/peer.h"

#include <errno.h>

#include "shared/ipc/proc.h"
#include "shared/ipc/rec.h"
#include "tests/unit/unit.h"

#define ROOM 256

/* Of just its length, so that the sanitizer sees a look beyond. */
static int
record(unsigned from, unsigned type, const void *body, size_t len)
{
	uint8_t *p = malloc(len > 0 ? len : 1);
	int err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	if (len > 0)
		memcpy(p, body, len);
	err = peer_record(NULL, from, type, span_of(p, len));
	free(p);
	return err;
}

static const struct {
	unsigned type;
	size_t fixed;
} persists[] = {
	{ REC_STORED, sizeof(struct rec_stored) },
	{ REC_RELEASED, sizeof(struct rec_stored) },
	{ REC_RESUME, sizeof(struct rec_resume) },
	{ REC_GRANT, sizeof(struct rec_grant) },
	{ REC_LET_GO, sizeof(struct rec_let_go) },
	{ REC_SUBBED, sizeof(struct rec_subbed) },
	{ REC_UNSUBBED, sizeof(struct rec_subbed) },
	{ REC_RETAINED, sizeof(struct rec_retained) },
	{ REC_RETAIN_END, sizeof(struct rec_retain_end) },
	{ REC_DELIVER, sizeof(struct rec_deliver) },
};
#define PERSISTS (sizeof(persists) / sizeof(persists[0]))

static void
a_record_of_another_length_is_refused(void)
{
	static const uint8_t zero[ROOM];

	for (size_t i = 0; i < PERSISTS; i++) {
		for (size_t len = 0; len < persists[i].fixed; len++)
			CU_ASSERT_EQUAL(record(SLOT_PERSIST, persists[i].type, zero, len), -EPROTO);
		CU_ASSERT_EQUAL(
		    record(SLOT_PERSIST, persists[i].type, zero, persists[i].fixed + 1), -EPROTO);
	}
}

static void
a_record_that_is_not_the_senders_is_refused(void)
{
	static const uint8_t zero[ROOM];

	for (size_t i = 0; i < PERSISTS; i++)
		CU_ASSERT_EQUAL(record(0, persists[i].type, zero, persists[i].fixed), -EPROTO);
	for (unsigned type = 0; type <= REC_TYPES; type++) {
		bool is_known = type == REC_FWD;

		for (size_t i = 0; i < PERSISTS; i++)
			is_known |= persists[i].type == type;
		if (!is_known)
			CU_ASSERT_EQUAL(record(SLOT_PERSIST, type, zero, ROOM), -EPROTO);
	}
}

/* A message, and what was sent in its place. */
static void
a_message_that_cannot_be_is_refused(void)
{
	struct {
		struct rec_msg m;
		uint8_t rest[8];
	} good = { .m = { .topic_len = 3, .payload_len = 5 }, .rest = "t/1hello" }, bad;

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		CU_ASSERT_EQUAL(record(1, REC_FWD, &bad, sizeof(bad)), -EPROTO);                   \
	} while (0)

	CU_ASSERT_EQUAL(record(1, REC_FWD, &good, sizeof(good)), 0); /* for nobody: not plain */
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_FWD, &good, sizeof(good)), 0);
	REFUSED(bad.m.qos = 3);
	REFUSED(bad.m.topic_len = 0);
	REFUSED(bad.m.payload_len = 6);
	REFUSED(bad.m.payload_len = 4);
	REFUSED(bad.m.props_len = UINT32_MAX);
	REFUSED(bad.m.ngroups = 1);
	REFUSED(bad.rest[1] = '#');
	REFUSED(bad.rest[1] = 0xff);
}

static void
a_delivery_has_an_identifier_if_and_only_if_it_needs_one(void)
{
	struct {
		struct rec_deliver r;
		uint8_t topic[8]; /* no padding behind it */
	} body = { .r.m.topic_len = 8, .topic = "t/123456" };

	/* There is no such connection, which is no fault of the record. */
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body)), 0);
	body.r.packet_id = 1;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body)), -EPROTO);
	body.r.m.qos = 1;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body)), 0);
	body.r.packet_id = 0;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body)), -EPROTO);
	body.r.packet_id = 1;
	body.r.nsubids = 2;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body)), -EPROTO);

	body.r = (struct rec_deliver){ .what = DELIVER_PUBREL, .packet_id = 1 };
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body.r)), 0);
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body)), -EPROTO);
	body.r.packet_id = 0;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_DELIVER, &body, sizeof(body.r)), -EPROTO);
}

static void
a_filter_is_text_of_the_length_told(void)
{
	struct {
		struct rec_resume r;
		uint8_t filter[4];
	} body = { .r.filter_len = 4, .filter = "t/12" };

	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_RESUME, &body, sizeof(body.r) + 4), 0);
	body.filter[3] = 0xff;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_RESUME, &body, sizeof(body.r) + 4), -EPROTO);
	body.filter[3] = '2';
	body.r.filter_len = 5;
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_RESUME, &body, sizeof(body.r) + 4), -EPROTO);
}

static void
an_answer_to_nobody_is_passed_over(void)
{
	struct rec_stored stored = { .token = 77 };
	struct rec_subbed subbed = { .token = 77 };
	struct rec_retain_end end = { .token = 77 };

	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_STORED, &stored, sizeof(stored)), 0);
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_RELEASED, &stored, sizeof(stored)), 0);
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_SUBBED, &subbed, sizeof(subbed)), 0);
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_UNSUBBED, &subbed, sizeof(subbed)), 0);
	CU_ASSERT_EQUAL(record(SLOT_PERSIST, REC_RETAIN_END, &end, sizeof(end)), 0);
}

UNIT_MAIN("worker/mqtt/peer", TEST(a_record_of_another_length_is_refused),
    TEST(a_record_that_is_not_the_senders_is_refused), TEST(a_message_that_cannot_be_is_refused),
    TEST(a_delivery_has_an_identifier_if_and_only_if_it_needs_one),
    TEST(a_filter_is_text_of_the_length_told), TEST(an_answer_to_nobody_is_passed_over))
