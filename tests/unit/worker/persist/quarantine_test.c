#include "worker/persist/quarantine.h"

#include <sys/stat.h>

#include "tests/unit/worker/persist/fake.h"

/* What the dead left in the flight recorder comes with the birth of the third successor. */
static void
name_deadly(unsigned at, unsigned slot, unsigned type, struct span body)
{
	self.birth.quarantine[at] = rec_id_of(slot, mesh_gen(NULL, slot), 4711, type, body);
}

static void
start(void)
{
	fake_start();
	snprintf(self.birth.data_dir, sizeof(self.birth.data_dir), "%s", fake.dir);
}

static unsigned
files(void)
{
	DIR *d = opendir(fake.dir);
	struct dirent *e;
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += strncmp(e->d_name, "quarantine-", 11) == 0;
	closedir(d);
	return n;
}

/* A STORE of 600 bytes to "t", told from others by its token. */
static struct span
store_of(uint64_t token, uint8_t want)
{
	static uint8_t body[sizeof(struct rec_store) + 600];
	struct msg_view v = { .topic = span_str("t"), .payload = span_of(body, 599), .qos = 1 };
	struct rec_store rec = {
		.token = token,
		.session = UINT32_MAX,
		.want = want,
		.m = rec_msg_of(&v, 0, true),
	};

	memset(body, 'x', sizeof(body));
	memcpy(body, &rec, sizeof(rec));
	body[sizeof(rec)] = 't';
	return span_of(body, sizeof(body));
}

static void
a_deadly_store_is_refused_kept_and_not_applied(void)
{
	struct rec_stored answer = { .reason = 0 };
	struct store_retained r;
	uint64_t before;
	struct stat st;
	char path[128];

	start();
	before = counted(CNT_quarantined);
	name_deadly(0, 1, REC_STORE, store_of(7, STORE_ANSWER | STORE_RETAIN));
	CU_ASSERT_EQUAL(
	    peer_record(NULL, 1, REC_STORE, store_of(7, STORE_ANSWER | STORE_RETAIN)), 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&answer, 1, REC_STORED));
	CU_ASSERT_TRUE(answer.token == 7 && answer.reason == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	CU_ASSERT_FALSE(store_retained_get(span_str("t"), &r));
	CU_ASSERT_EQUAL(counted(CNT_quarantined), before + 1);
	snprintf(path, sizeof(path), "%s/quarantine-STORE-1-1-0", fake.dir);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL((size_t)st.st_size, sizeof(struct rec_store) + 600);
	/* Just that one. */
	CU_ASSERT_EQUAL(
	    peer_record(NULL, 0, REC_STORE, store_of(7, STORE_ANSWER | STORE_RETAIN)), 0);
	CU_ASSERT_EQUAL(
	    peer_record(NULL, 1, REC_STORE, store_of(8, STORE_ANSWER | STORE_RETAIN)), 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&answer, 0, REC_STORED) && answer.reason == 0);
	CU_ASSERT_TRUE(TAKE(&answer, 1, REC_STORED) && answer.reason == 0 && answer.token == 8);
	CU_ASSERT_TRUE(store_retained_get(span_str("t"), &r));
	fake_stop();
}

static void
whoever_waits_for_an_answer_is_refused(void)
{
	struct client c = { .id = "c", .handle = 3, .expiry = 50 };
	struct rec_connect connect = { .token = 21, .handle = 9, .client_id_len = 1 };
	struct rec_release release;
	struct rec_retain_get get = { .token = 22 };
	struct rec_sub sub = { .token = 23 }, unsub = { .token = 24 };
	struct rec_acked acked = { .seq = 5 };
	struct rec_grant grant;
	struct rec_subbed subbed;
	struct rec_retain_end end;
	struct rec_let_go go;
	struct part {
		unsigned type;
		const void *p;
		size_t len;
	};

	start();
	join(&c);
	release = (struct rec_release){ .token = 25, .epoch = c.epoch, .session = c.session };
	for (unsigned i = 0; i < 6; i++) {
		const struct part part[] = {
			{ REC_CONNECT, &connect, sizeof(connect) },
			{ REC_RETAIN_GET, &get, sizeof(get) },
			{ REC_SUB, &sub, sizeof(sub) },
			{ REC_UNSUB, &unsub, sizeof(unsub) },
			{ REC_RELEASE, &release, sizeof(release) },
			{ REC_ACKED, &acked, sizeof(acked) },
		};
		struct span body = span_of(part[i].p, part[i].len);

		name_deadly(i, 0, part[i].type, body);
		CU_ASSERT_EQUAL(peer_record(NULL, 0, part[i].type, body), 0);
	}
	turn();
	CU_ASSERT_TRUE(TAKE(&grant, 0, REC_GRANT) && grant.token == 21 &&
	    grant.reason == MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
	CU_ASSERT_TRUE(TAKE(&end, 0, REC_RETAIN_END) && end.token == 22 && end.cursor_len == 0);
	CU_ASSERT_TRUE(TAKE(&subbed, 0, REC_SUBBED) && subbed.token == 23 && subbed.reason >= 0x80);
	CU_ASSERT_TRUE(
	    TAKE(&subbed, 0, REC_UNSUBBED) && subbed.token == 24 && subbed.reason >= 0x80);
	CU_ASSERT_TRUE(TAKE(&go, 0, REC_LET_GO) && go.epoch == c.epoch && go.handle == 3);
	CU_ASSERT_FALSE(has(0, REC_RELEASED));
	fake_stop();
}

static void
a_client_whose_registration_is_deadly_loses_its_connection(void)
{
	struct rec_connect rec = { .token = 77, .handle = 9, .client_id_len = 1 };
	struct rec_let_go go;

	start();
	name_deadly(0, 0, REC_REGISTER, span_of(&rec, sizeof(rec)));
	CU_ASSERT_EQUAL(peer_record(NULL, 0, REC_REGISTER, span_of(&rec, sizeof(rec))), 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&go, 0, REC_LET_GO) && go.epoch == 77 && go.handle == 9);
	fake_stop();
}

static void
the_end_of_registrations_is_always_heeded(void)
{
	const struct rec_registered rec = { .gen = 2 };

	start();
	fake_end();
	fake_restart(2, 1);
	for (unsigned slot = 0; slot < 2; slot++)
		name_deadly(slot, slot, REC_REGISTERED, span_of(&rec, sizeof(rec)));
	registered();
	CU_ASSERT_TRUE(peer_is_recovered());
	fake_stop();
}

static void
the_recorder_names_a_record_only_while_it_is_applied(void)
{
	const struct rec_id *at;

	start();
	at = &mesh_segment(NULL)->flight.record;
	CU_ASSERT_EQUAL(at->type, REC_NONE);
	CU_ASSERT_FALSE(quarantine_begin(1, REC_STORE, store_of(7, STORE_ANSWER)));
	CU_ASSERT_EQUAL(at->type, REC_STORE);
	CU_ASSERT_TRUE(at->slot == 1 && at->gen == 1 && at->len == sizeof(struct rec_store) + 600);
	quarantine_end();
	CU_ASSERT_EQUAL(at->type, REC_NONE);
	CU_ASSERT_EQUAL(peer_record(NULL, 1, REC_STORE, store_of(7, STORE_ANSWER)), 0);
	CU_ASSERT_EQUAL(at->type, REC_NONE);
	fake_stop();
}

static void
files_are_few(void)
{
	start();
	for (uint64_t token = 1; token <= 30; token++) {
		fake.position = token * 8;
		name_deadly(0, 1, REC_STORE, store_of(token, STORE_ANSWER));
		CU_ASSERT_EQUAL(peer_record(NULL, 1, REC_STORE, store_of(token, STORE_ANSWER)), 0);
	}
	CU_ASSERT_EQUAL(files(), 16);
	fake_stop();
}

UNIT_MAIN("worker/persist/quarantine", TEST(a_deadly_store_is_refused_kept_and_not_applied),
    TEST(whoever_waits_for_an_answer_is_refused),
    TEST(a_client_whose_registration_is_deadly_loses_its_connection),
    TEST(the_end_of_registrations_is_always_heeded),
    TEST(the_recorder_names_a_record_only_while_it_is_applied), TEST(files_are_few))
