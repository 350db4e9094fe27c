#include <stdio.h>

#include "tests/lib/attack.h"

#define RETAINED 5000
#define RETAINED_MAX 1000
#define RETAINED_BYTES 2097152
#define PAYLOAD 4000
#define WILLS 200
#define WILL 60000 /* bytes of each */

static void
retain(struct mq *m, int n, size_t payload)
{
	struct load l = { 0 };

	for (int i = 0; i < n; i++) {
		char topic[32];

		load_publish(&l, topic, (size_t)snprintf(topic, sizeof(topic), "left/%d", i), 0, 0,
		    true, payload);
		mq_load(m, &l);
	}
	load_free(&l);
}

/* Their bytes are too many, then their number; then they go, and there is room again. */
static void
retained(struct mq *pub)
{
	int n = RETAINED * scale();
	long dropped;

	retain(pub, n, PAYLOAD);
	wait_for(broker_counter("dropped__retained_full") == n - broker_counter("retained"));
	check(broker_counter("retained_bytes") <= RETAINED_BYTES);
	check(broker_counter("retained") < RETAINED_MAX);
	dropped = broker_counter("dropped__retained_full");
	attack_look();
	retain(pub, n, 1);
	wait_for(broker_counter("dropped__retained_full") == dropped + n - RETAINED_MAX);
	check(broker_counter("retained") == RETAINED_MAX);
	retain(pub, n, 0);
	wait_for(broker_counter("retained") == 0);
	check(mq_publish(pub, "left/one/more", "x", 1, true) == 0);
	check(mq_publish(pub, "left/one/more", "", 1, true) == 0);
}

/* Large ones that wait for their delay; then all come at once, retained. */
static void
wills(struct mq *pub)
{
	static char payload[WILL + 1];
	struct mq *m[WILLS];
	char id[32];

	memset(payload, 'w', WILL);
	for (int i = 0; i < WILLS; i++) {
		snprintf(id, sizeof(id), "dying-%d", i);
		m[i] = mq_connect(.id = id, .expiry = 1000, .will_topic = "left/will",
		    .will_payload = payload, .will_delay = 500, .will_retain = true, .will_qos = 1);
	}
	attack_look();
	mq_close_all(m, WILLS);
	wait_for(broker_counter("wills_pending") == WILLS);
	attack_look();
	clock_move(501000);
	wait_for(broker_counter("wills_pending") == 0);
	check(broker_counter("retained") == 1);
	clock_move(500000);
	wait_for(broker_counter("sessions") == 3); /* the witness's, and pub's */
	check(mq_publish(pub, "left/will", "", 1, true) == 0);
}

SCENARIO(1, 2)
{
	struct mq *pub;

	clock_move(0);
	attack_start("retained_max_messages=1000", "retained_max_bytes=2097152");
	pub = mq_connect(.id = "attack-pub");
	retained(pub);
	wills(pub);
	mq_disconnect(pub);
	attack_end(2 * WILLS * WILL + 24 * MIB, MIB * 12 * (unsigned)workers());
}
