#include <stdlib.h>

#include "tests/lib/attack.h"

#define MANY 149000 /* smallest user properties, in less than max_packet_size */
#define MAX 64      /* max_user_properties */

static struct load props; /* of MANY, with their length in front */

static void
user_properties(struct load *l, int n, size_t value)
{
	static char text[65536];
	size_t at = l->n;
	struct load all = { 0 };

	memset(text, 'v', value);
	for (int i = 0; i < n; i++) {
		load_num(&all, 1, 0x26);
		load_text(&all, "k", 1);
		load_text(&all, text, value);
	}
	load_varint(l, all.n);
	load_add(l, all.p, all.n);
	load_free(&all);
	check(l->n - at < 1048000);
}

static void
publish(struct mq *m, const struct load *p, unsigned first)
{
	struct load l = { 0 };

	load_text(&l, "bomb", 4);
	load_add(&l, p->p, p->n);
	load_packet(&l, 0, first);
	mq_load(m, &l);
	load_free(&l);
}

/* CONNACK's code of a CONNECT with these properties, and these of a will if there is to be one. */
static int
connect_with(const struct load *p, const struct load *will)
{
	struct mq *m = mq_open(0);
	struct load l = { 0 };
	struct packet k;

	load_text(&l, "MQTT", 4);
	load_num(&l, 1, 5);
	load_num(&l, 1, will != NULL ? 6 : 2);
	load_num(&l, 2, 0);
	load_add(&l, p->p, p->n);
	load_text(&l, "bomber", 6);
	if (will != NULL) {
		load_add(&l, will->p, will->n);
		load_text(&l, "will", 4);
		load_text(&l, "w", 1);
	}
	load_packet(&l, 0, 0x10);
	mq_load(m, &l);
	load_free(&l);
	k = mq_need(m, 2);
	mq_close(m);
	return k.reason;
}

static void
in_publish(void)
{
	struct load large = { 0 };
	struct mq *m = mq_connect(.id = "bomber"), *sub = mq_connect(.id = "target");

	publish(m, &props, 0x30);
	check(mq_need(m, 14).reason == 0x97);
	mq_need_close(m);
	mq_close(m);
	/* As many as may be, each as large as may be: retained, and replaced again and again. */
	user_properties(&large, MAX, 3000);
	m = mq_connect(.id = "bomber");
	mq_subscribe(sub, "bomb", 0);
	for (int i = 0; i < 50 * scale(); i++) {
		publish(m, &large, 0x31);
		check(mq_need(sub, 3).props_len > MAX * 3000);
	}
	mq_send_publish(m, "bomb", "", 0, 0, true, NULL);
	mq_need_publish(sub, "bomb", "");
	mq_disconnect(m);
	mq_disconnect(sub);
	load_free(&large);
}

static void
in_connect(void)
{
	struct load none = { 0 };

	load_num(&none, 1, 0);
	for (int i = 0; i < 10; i++)
		check(connect_with(&props, NULL) == 0x97);
	check(connect_with(&none, &none) == 0);
	check(connect_with(&none, &props) == 0x97);
	load_free(&none);
}

/* SUBSCRIBE or UNSUBSCRIBE, with the options of a filter or without. */
static void
in_subscribe(unsigned first)
{
	struct mq *m = mq_connect(.id = "bomber");
	struct load l = { 0 };

	load_num(&l, 2, 1);
	load_add(&l, props.p, props.n);
	load_text(&l, "t", 1);
	if (first == 0x82)
		load_num(&l, 1, 0);
	load_packet(&l, 0, first);
	mq_load(m, &l);
	check(mq_need(m, 14).reason == 0x97);
	mq_need_close(m);
	mq_close(m);
	load_free(&l);
}

/* Where they mean nothing: read and forgotten. */
static void
elsewhere(void)
{
	struct mq *m = mq_connect(.id = "bomber");
	struct load l = { 0 };

	for (unsigned id = 1; id <= 10; id++) {
		load_num(&l, 2, id); /* PUBREL of nothing */
		load_num(&l, 1, 0);
		load_add(&l, props.p, props.n);
		load_packet(&l, 0, 0x62);
		mq_load(m, &l);
		mq_need(m, 7);
	}
	load_num(&l, 1, 0);
	load_add(&l, props.p, props.n);
	load_packet(&l, 0, 0xe0);
	mq_load(m, &l);
	mq_need_close(m);
	mq_close(m);
	load_free(&l);
}

SCENARIO(1, 2)
{
	user_properties(&props, MANY, 1);
	attack_start();
	in_publish();
	in_connect();
	for (int i = 0; i < 10; i++) {
		in_subscribe(0x82);
		in_subscribe(0xa2);
	}
	elsewhere();
	load_free(&props);
	attack_end(16 * MIB, 4 * MIB);
}
