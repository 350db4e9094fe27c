#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

#define N 8000
#define TOPIC 200
#define LEVELS 13 /* of one letter, before a long one: as many filters match it as there are bits */

static char topic[TOPIC + 1];

/* All at once, by a process of its own, since the broker stops to read them. */
static pid_t
flood(struct mq *m)
{
	size_t len = 8 + TOPIC;
	uint8_t *all = malloc(N * len), *p = all;
	pid_t pid;

	check(all != NULL);
	for (int i = 1; i <= N; i++, p += len) {
		const uint8_t head[] = { 0x82, 0x80 | ((TOPIC + 5) & 0x7f), (TOPIC + 5) >> 7,
			(uint8_t)(i >> 8), (uint8_t)i, 0, TOPIC };

		memcpy(p, head, sizeof(head));
		memcpy(p + sizeof(head), topic, TOPIC);
		for (int bit = 0; bit < LEVELS; bit++)
			if (i >> bit & 1)
				p[sizeof(head) + 2 * (size_t)bit] = '+';
		p[len - 1] = 0;
	}
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		for (const uint8_t *at = all; at < p;) {
			ssize_t n = write(m->fd, at, (size_t)(p - at));

			if (n <= 0)
				_exit(1);
			at += n;
		}
		_exit(0);
	}
	free(all);
	return pid;
}

SCENARIO(1)
{
	int persist, status, acks = 0, messages = 0;
	struct mq *pub, *m, *other;
	pid_t writer;

	memset(topic, 'x', TOPIC);
	for (int i = 0; i < LEVELS; i++)
		topic[2 * i + 1] = '/';
	broker_start("hang_timeout=120", "ring_size=65536", "store_ring_size=65536",
	    "overflow_size=1048576", "max_subscriptions=0");
	pub = mq_connect(.id = "pub");
	check(mq_publish(pub, topic, "kept", 1, true) == 0);
	m = mq_connect(.id = "m", .version = 4);
	persist = broker_pid_of("persist/0");
	check(kill(persist, SIGSTOP) == 0);
	writer = flood(m);
	broker_counter_rests("subscribes");
	other = mq_open(broker.port);
	mq_hex(other, "10 0d 0004 4d515454 04 02 003c 0001 6f");
	check(kill(persist, SIGCONT) == 0);
	mq_need(other, 2);
	while (acks < N || messages < N) {
		struct packet k;

		check(mq_read(m, &k, deadline_ms()));
		acks += k.type == 9;
		messages += k.type == 3;
	}
	mq_quiet(m);
	check(waitpid(writer, &status, 0) == writer && status == 0);
	check(broker_counter("connects__refused_no_memory") == 0);
	check(broker_counter("dropped__overflow") == 0);
	mq_disconnect(other);
	mq_disconnect(m);
	mq_disconnect(pub);
	broker_stop();
}
