/*
 * What clients have shown is kept until auth answers: in all no more than overflow_size, whatever they send.
 */
#include <signal.h>

#include "tests/lib/scenario.h"

enum { PASSWORD = 60000, FIT = 17 }; /* of 1 MiB */

static struct mq *
show(int i)
{
	static uint8_t packet[PASSWORD + 64];
	struct mq *m = mq_open(broker.port);
	size_t left = 10 + 5 + 3 + 2 + PASSWORD, n = 0;
	const uint8_t head[] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 0, 0, 3, 'c',
		(uint8_t)('0' + i / 10), (uint8_t)('0' + i % 10), 0, 1, 'u', PASSWORD >> 8,
		PASSWORD & 0xff };

	m->version = 4;
	packet[n++] = 0x10;
	for (; left > 0; left /= 128)
		packet[n++] = (uint8_t)(left % 128 | (left >= 128 ? 128 : 0));
	memcpy(packet + n, head, sizeof(head));
	memset(packet + n + sizeof(head), 'p', PASSWORD);
	mq_bytes(m, packet, n + sizeof(head) + PASSWORD);
	return m;
}

SCENARIO(1)
{
	struct mq *m[FIT], *more;

	broker_start("authentication=basic", "overflow_size=1048576");
	kill(broker_pid_of("auth/0"), SIGSTOP);
	for (int i = 0; i < FIT; i++)
		m[i] = show(i);
	more = show(FIT);
	check(mq_need(more, 2).body[1] == 3);
	mq_close(more);
	kill(broker_pid_of("auth/0"), SIGCONT);
	for (int i = 0; i < FIT; i++) {
		check(mq_need(m[i], 2).body[1] == 4);
		mq_close(m[i]);
	}
	/* What has its answer makes room. */
	more = show(FIT);
	check(mq_need(more, 2).body[1] == 4);
	mq_close(more);
	broker_stop();
}
