#include <signal.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

#if defined(__SANITIZE_ADDRESS__) || defined(TBMQ_COVERAGE)
#define IS_WATCHED 1 /* by a runtime that needs some of it */
#else
#define IS_WATCHED 0
#endif

static const struct {
	const char *call, *name; /* name: where the kernel's is another */
	bool also_watched;
} attempts[] = {
	{ "open", "openat", false },
	{ "socket", NULL, true },
	{ "connect", NULL, true },
	{ "execve", NULL, true },
	{ "clone", NULL, false },
	{ "ptrace", NULL, false },
	{ "process_vm_writev", NULL, true },
	{ "mmap", NULL, true },
	{ "mprotect", NULL, true },
	{ "kill", NULL, true },
	{ "tgkill", NULL, true },
	{ "prctl", NULL, false },
	{ "prlimit64", NULL, false },
	{ "ioctl", NULL, true },
	{ "rt_sigaction", NULL, true },
	{ "io_uring_setup", NULL, true },
};

enum { ATTEMPTS = sizeof(attempts) / sizeof(attempts[0]) };

/* Each by a worker of its own, as one that dies again and again is started ever later. The last is what they are after. */
SCENARIO(ATTEMPTS + 1)
{
	struct mq *other, *intruder;
	char title[32], topic[64], text[128];
	int victim;

	broker_preload("mqtt", "intruder");
	broker_start("quarantine_deaths=0");
	other = mq_on_worker(ATTEMPTS, (struct mq_opts){ .id = "other" });
	check(mq_subscribe(other, "t", 0) == 0);
	snprintf(title, sizeof(title), "mqtt/%d", ATTEMPTS);
	victim = broker_pid_of(title);
	for (int i = 0; i < ATTEMPTS; i++) {
		if (IS_WATCHED && !attempts[i].also_watched)
			continue;
		intruder = mq_on_worker(i, (struct mq_opts){ .id = "intruder" });
		snprintf(topic, sizeof(topic), "intruder/%s/%d/", attempts[i].call, victim);
		broker_expect_death();
		mq_send_publish(intruder, topic, "x", 1, 0, false, NULL);
		mq_need_close(intruder);
		mq_close(intruder);
		snprintf(title, sizeof(title), "mqtt/%d", i);
		wait_for(broker_generation(title) > ATTEMPTS + 2);
		/* Whose packet it was is known as well. */
		snprintf(text, sizeof(text),
		    " %s client=\"intruder\" from=127.0.0.1 packet=PUBLISH",
		    attempts[i].name != NULL ? attempts[i].name : attempts[i].call);
		check(broker_log_has(text));
		mq_send_publish(
		    other, "t", attempts[i].call, strlen(attempts[i].call), 0, false, NULL);
		mq_need_publish(other, "t", attempts[i].call);
	}
	check(!broker_log_has("intruder: "));
	check(strstr(ctl_text("status"), "(Bad system call) sandbox: forbidden system call ") !=
	    NULL);
	check(kill(victim, 0) == 0);
	mq_close(other);
}
