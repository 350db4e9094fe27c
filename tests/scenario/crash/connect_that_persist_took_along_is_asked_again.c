#include <signal.h>
#include <sys/socket.h>

#include "tests/lib/scenario.h"

/* A socket of worker 0, while worker 1 hangs and accepts nothing. */
static struct mq *
at_the_other(void)
{
	long accepted = broker_counter("accepted");

	for (int i = 0; i < 300; i++) {
		struct mq *m = mq_open(0);

		for (int k = 0; k < 10; k++, nap())
			if (broker_counter("accepted") > accepted)
				return m;
		mq_close(m);
	}
	fail("worker 0 accepts nothing");
}

/* Persist waits for the old owner of a session, which hangs, and dies: who had asked for it is not forgotten. */
SCENARIO(2)
{
	struct mq *owner, *other, *m;
	int worker, persist;

	broker_start("hang_timeout=120", "connect_timeout=300");
	for (int round = 0; round < 4; round++) {
		bool leaves = round % 2;
		long takeovers;

		owner = mq_on_worker(1, (struct mq_opts){ .id = "same", .expiry = 100 });
		other = mq_on_worker(0, (struct mq_opts){ .id = "other" });
		worker = broker_pid_of("mqtt/1");
		persist = broker_pid_of("persist/0");
		check(kill(worker, SIGSTOP) == 0);
		takeovers = broker_counter("takeovers");
		m = at_the_other();
		mq_hex(m, "10 11 0004 4d515454 05 00 003c 00 0004 73616d65");
		wait_for(broker_counter("takeovers") == takeovers + 1);
		if (leaves) {
			long ended = broker_counter("ends__error");
			struct linger reset = { .l_onoff = 1 };

			setsockopt(m->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			mq_close(m); /* nobody reads it: only a reset shows */
			wait_for(broker_counter("ends__error") == ended + 1);
		}
		broker_expect_death();
		check(kill(persist, SIGKILL) == 0);
		wait_for(broker_pid_of("persist/0") != persist && broker_pid_of("persist/0") != 0);
		check(kill(worker, SIGCONT) == 0);
		mq_need_close(owner);
		mq_close(owner);
		if (!leaves) {
			check(mq_need(m, 2).reason == 0);
			mq_quiet(m);
			mq_disconnect(m);
		}
		broker_wait_ready();
		mq_quiet(other);
		mq_disconnect(other);
		m = mq_connect(.id = "same", .version = 4);
		mq_disconnect(m);
		wait_for(broker_counter("sessions") == 0);
	}
}
