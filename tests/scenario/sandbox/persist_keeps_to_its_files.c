#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

enum { IMPLEMENTATION_SPECIFIC_ERROR = 0x83, DEATHS = 3, TEXT = 600 };

static char *
topic_of(const char *attempt)
{
	static char topic[TEXT + 1];
	int len = snprintf(topic, sizeof(topic), "intruder/%s/%d/", attempt, broker.pid);

	memset(topic + len, 'x', (size_t)(TEXT - len));
	return topic;
}

/* The store's process dies of what it tries, and goes on without the record that made it do so. */
static void
is_forbidden(struct mq *m, const char *attempt)
{
	char text[80];

	for (int i = 0; i < DEATHS; i++)
		broker_expect_death();
	check(mq_publish(m, topic_of(attempt), "x", 1, true) == IMPLEMENTATION_SPECIFIC_ERROR);
	snprintf(text, sizeof(text), " %s", attempt);
	check(broker_log_has("sandbox: forbidden system call ") && broker_log_has(text));
	broker_wait_ready();
}

/* Not where the sanitizers' runtime reads what it likes. */
static bool
has_landlock(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(TBMQ_COVERAGE)
	return false;
#else
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
#endif
}

SCENARIO(1)
{
	static const char *const attempts[] = { "execve", "socket", "mmap", "kill" };
	struct mq *m;

	broker_preload("persist", "intruder");
	broker_start();
	m = mq_connect(.id = "m");
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		is_forbidden(m, attempts[i]);
	check(!broker_log_has("intruder: "));

	/* It opens files all its life, so others are not there. */
	if (has_landlock()) {
		check(mq_publish(m, topic_of("open"), "x", 1, true) < 0x80);
		check(broker_log_has("intruder: open: Permission denied"));
		check(mq_publish(m, topic_of("write"), "x", 1, true) < 0x80);
		check(broker_log_has("intruder: write: Permission denied"));
		check(access("/tmp/intruder", F_OK) != 0);
		check(broker_sh(
			  "$CTL store backup /tmp/intruder 2>&1 | grep 'beneath backup_dir'") == 0);
	}
	check(broker_sh("$CTL store backup $DIR/copy") == 0);
	mq_quiet(m);
	mq_close(m);
}
