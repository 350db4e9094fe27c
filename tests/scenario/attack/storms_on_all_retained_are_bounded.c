#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/lib/attack.h"

/*
 * All that is retained, wanted by many again and again. Some never read, some subscribe and unsubscribe in a loop, reading or not, by filters that
 * match everything or nothing. Each costs no more than its output, whoever comes for one message gets it meanwhile, and who wants all gets all.
 */
#define RETAINED 100000
#define PORTION 50000 /* of them, put before it is waited for */
#define OUTPUT 262144 /* output_max_bytes */
#define LONG 3000     /* bytes of a filter that matches nothing */
#define LONGS 300     /* of those, until the first is used again */
#define SETS 8        /* of attackers, each of all kinds */
#define CHUNK 16384   /* bytes that an attacker sends or reads in turn */
#define ALONE_MS 1500 /* the first set; a process counts its heap each second */
#define STORM_MS ((uint64_t)3000 * (uint64_t)scale())
#define COMES_MS ((uint64_t)deadline_ms() / 6) /* for one message */
#define POOLS (16 * MIB)                       /* what a worker keeps for the output of others */
#define STORE (48 * MIB) /* what the store keeps at hand, and gives back as it likes */

struct kind {
	const char *id; /* NULL: the session ends with the connection */
	int qos;
	bool loops, reads;
	void (*fill)(struct load *l, int qos);
};

/* --- what they send ---------------------------------------------------------------------- */

static void
subscribe(struct load *l, const char *filter, size_t len, int qos)
{
	size_t at = l->n;

	load_num(l, 2, 1);
	load_varint(l, 0);
	load_text(l, filter, len);
	load_num(l, 1, (unsigned)qos);
	load_packet(l, at, 0x82);
}

static void
unsubscribe(struct load *l, const char *filter, size_t len)
{
	size_t at = l->n;

	load_num(l, 2, 2);
	load_varint(l, 0);
	load_text(l, filter, len);
	load_packet(l, at, 0xa2);
}

static void
once(struct load *l, int qos)
{
	subscribe(l, "#", 1, qos);
}

static void
on_and_off(struct load *l, int qos)
{
	static const char *const filters[] = { "#", "all/#", "+/#", "all/+/of/+" };

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		subscribe(l, filters[i], strlen(filters[i]), qos);
		unsubscribe(l, filters[i], strlen(filters[i]));
		subscribe(l, filters[i], strlen(filters[i]), qos);
	}
}

/* Each begins at every topic that is retained. */
static void
in_vain(struct load *l, int qos)
{
	char filter[LONG];

	memset(filter, 'x', sizeof(filter));
	for (int i = 0; i < LONGS; i++) {
		int n = snprintf(filter, sizeof(filter), "all/+/%d", i);

		filter[n] = '/';
		subscribe(l, filter, sizeof(filter), qos);
		unsubscribe(l, filter, sizeof(filter));
	}
}

static const struct kind kinds[] = {
	{ NULL, 0, false, false, once },
	{ NULL, 1, false, false, once },
	{ "kept", 1, false, false, once },
	{ NULL, 0, true, true, on_and_off },
	{ NULL, 1, true, false, on_and_off },
	{ NULL, 0, true, true, in_vain },
	{ NULL, 0, true, false, in_vain },
};

#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* --- attackers --------------------------------------------------------------------------- */

static struct attacker {
	const struct kind *kind;
	struct mq *m;
	struct load load;
	size_t at; /* of the load: sent; in a loop from its beginning again */
} attackers[SETS * KINDS];

static int nattackers;
static uint64_t slowest_ms; /* until one message had come */

static void
enter(const struct kind *k)
{
	struct attacker *a = &attackers[nattackers];
	char id[32];

	snprintf(id, sizeof(id), "%s-%d", k->id != NULL ? k->id : "", nattackers++);
	a->kind = k;
	a->m = mq_connect(.id = k->id != NULL ? id : NULL, .expiry = k->id != NULL ? 1 : 0);
	k->fill(&a->load, k->qos);
}

static void
enter_set(void)
{
	for (int i = 0; i < KINDS; i++)
		enter(&kinds[i]);
}

static void
act(struct attacker *a, short events)
{
	static char sink[CHUNK];
	size_t left = a->load.n - a->at;
	ssize_t n = 0;

	check(!(events & (POLLERR | POLLHUP)));
	if (events & POLLIN)
		check(recv(a->m->fd, sink, sizeof(sink), MSG_DONTWAIT) != 0);
	if (events & POLLOUT)
		n = send(a->m->fd, a->load.p + a->at, left < CHUNK ? left : CHUNK,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		a->at += (size_t)n;
	if (a->at == a->load.n && a->kind->loops)
		a->at = 0;
}

/* Whatever each can do now. */
static void
turn(int wait_ms)
{
	struct pollfd p[SETS * KINDS];

	for (int i = 0; i < nattackers; i++) {
		const struct attacker *a = &attackers[i];

		p[i] = (struct pollfd){ .fd = a->m->fd,
			.events = (short)((a->kind->reads ? POLLIN : 0) |
			    (a->at < a->load.n ? POLLOUT : 0)) };
	}
	poll(p, (nfds_t)nattackers, wait_ms);
	for (int i = 0; i < nattackers; i++)
		act(&attackers[i], p[i].revents);
}

/* Somebody comes for one of them while it goes on. */
static void
one_comes(void)
{
	struct mq *m = mq_connect(.keep_alive = 0);
	struct packet k;
	uint64_t from = now_ms();

	mq_hex(m, "8210 0001 00 000a 616c6c2f312f6f662f31 00"); /* all/1/of/1 */
	mq_need(m, 9);
	while (!mq_read(m, &k, 0)) {
		check(m->fd >= 0 && now_ms() - from < (uint64_t)deadline_ms());
		turn(1);
	}
	check(k.type == 3 && k.retain);
	if (now_ms() - from > slowest_ms)
		slowest_ms = now_ms() - from;
	mq_disconnect(m);
}

static void
storm(uint64_t ms)
{
	for (uint64_t until = now_ms() + ms; now_ms() < until;) {
		for (int i = 0; i < 20; i++)
			turn(10);
		one_comes();
	}
}

static void
leave(void)
{
	for (int i = 0; i < nattackers; i++) {
		mq_close(attackers[i].m);
		load_free(&attackers[i].load);
	}
}

/* --- what is retained -------------------------------------------------------------------- */

static void
retain_all(struct mq *m, int n, size_t payload)
{
	struct load l = { 0 };

	for (int i = 1; i <= n; i++) {
		char topic[64];

		load_publish(&l, topic,
		    (size_t)snprintf(topic, sizeof(topic), "all/%d/of/%d", i % 100, i), 0, 0, true,
		    payload);
		if (l.n > 60000 || i % PORTION == 0)
			mq_load(m, &l);
		if (i % PORTION == 0)
			wait_for(broker_counter("retained") == (payload > 0 ? i : n - i));
	}
	load_free(&l);
}

static void
everything_comes(int n)
{
	struct mq *m = mq_connect(.id = "good");
	int got = 0;

	mq_hex(m, "8207 0001 00 0001 23 00");
	mq_need(m, 9);
	while (got < n)
		if (mq_need(m, 3).retain)
			got++;
	mq_disconnect(m);
}

SCENARIO(1, 2)
{
	int n = RETAINED * scale();
	uint64_t before;
	struct mq *pub;
	long heap;

	attack_start("output_max_bytes=262144");
	pub = mq_connect(.id = "pub");
	retain_all(pub, n, 50);
	before = attack_memory();
	enter_set();
	storm(ALONE_MS);
	heap = broker_counter("heap");
	for (int i = 1; i < SETS; i++)
		enter_set();
	storm(STORM_MS);
	check(attack_memory() <= before + OUTPUT * SETS * KINDS);
	check(slowest_ms <= COMES_MS);
	everything_comes(n);
	attack_look();
	leave();
	wait_for(broker_counter("heap") <= heap + (long)(POOLS * (unsigned)workers()));
	retain_all(pub, n, 0);
	mq_disconnect(pub);
	attack_end(STORE + OUTPUT * SETS * KINDS, STORE);
}
