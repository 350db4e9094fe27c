#include <signal.h>
#include <sys/wait.h>

#include "tests/lib/scenario.h"

#define N 10

static struct mq *sub, *m[N];

static void
all_leave(const char *say)
{
	long ended = broker_counter("ends__closed");

	for (int i = 0; i < N; i++) {
		if (say != NULL)
			mq_send_publish(m[i], "t", say, strlen(say), 0, false, NULL);
		mq_close(m[i]);
	}
	wait_for(broker_counter("ends__closed") == ended + N);
}

static void
all_come(void)
{
	char id[16];

	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_on_worker(0,
		    (struct mq_opts){ .id = id,
			.resume = true,
			.expiry = i % 2 ? 1000 : 0,
			.will_topic = "will",
			.will_payload = id,
			.will_qos = 1 });
	}
}

/* Each will once, in any order. */
static void
need_wills(void)
{
	unsigned seen = 0;
	int n;

	for (int i = 0; i < N; i++) {
		struct packet k = mq_need(sub, 3);

		check(sscanf((const char *)k.payload, "m%d", &n) == 1 && n < N);
		check(!(seen & 1u << n));
		seen |= 1u << n;
		mq_ack(sub, 4, k.id, 0);
	}
	mq_quiet(sub);
}

/* What a durable session had subscribed to is still there. */
static void
need_sessions(struct mq *pub)
{
	char id[16];

	for (int i = 1; i < N; i += 2) {
		struct mq *back;

		snprintf(id, sizeof(id), "m%d", i);
		check(mq_publish(pub, "queue", id, 1, false) == 0);
		back = mq_connect(.id = id, .resume = true);
		check(back->present == 1);
		for (int k = 1; k <= i; k += 2) {
			char want[16];

			snprintf(want, sizeof(want), "m%d", k);
			mq_need_publish(back, "queue", want);
		}
		mq_quiet(back);
		mq_disconnect(back);
	}
}

static void
persist_dies(int sig)
{
	int pid = broker_pid_of("persist/0");

	broker_expect_death();
	check(kill(pid, sig) == 0);
	wait_for(broker_pid_of("persist/0") != pid && broker_pid_of("persist/0") != 0);
}

static void
stopped(int pid)
{
	char path[64], text[256] = "";
	FILE *f;

	check(kill(pid, SIGSTOP) == 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	do {
		f = fopen(path, "r");
		check(f != NULL && fgets(text, sizeof(text), f) != NULL);
		fclose(f);
	} while (strstr(text, ") T ") == NULL);
}

SCENARIO(2)
{
	struct mq *pub;
	int pid;

	broker_start("hang_timeout=120");
	sub = mq_on_worker(1, (struct mq_opts){ .id = "sub" });
	check(mq_subscribe(sub, "will", 1) == 1 && mq_subscribe(sub, "t", 0) == 0);
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });

	/* Worker 0 can't tell before worker 1 has seen what they said last. */
	all_come();
	for (int i = 1; i < N; i += 2)
		check(mq_subscribe(m[i], "queue", 1) == 1);
	pid = broker_pid_of("mqtt/1");
	stopped(pid);
	all_leave("last words");
	persist_dies(SIGKILL);
	check(kill(pid, SIGCONT) == 0);
	for (int i = 0; i < N; i++)
		mq_need_publish(sub, "t", "last words");
	need_wills();
	broker_wait_ready();
	need_sessions(pub);

	/* Worker 0 has told, persist dies before it has read it. */
	all_come();
	for (int i = 1; i < N; i += 2)
		check(mq_subscribe(m[i], "queue", 1) == 1);
	pid = broker_pid_of("persist/0");
	stopped(pid);
	all_leave(NULL);
	persist_dies(SIGKILL);
	need_wills();
	broker_wait_ready();
	need_sessions(pub);

	/* Persist has read it, and worker 0 sleeps: nothing of them comes again. */
	all_come();
	all_leave(NULL);
	need_wills();
	persist_dies(SIGKILL);
	broker_wait_ready();
	mq_quiet(sub);
	check(broker_counter("sessions") - broker_counter("sessions_offline") == 2);
	mq_disconnect(pub);
	mq_disconnect(sub);
}
