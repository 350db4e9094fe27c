#include "tests/lib/scenario.h"

/* Each changed key is told with the time from which it holds; those of the next start are in nobody's way until then. */
SCENARIO(2)
{
	struct mq *m, *pub;
	int pid;

	broker_start();
	m = mq_on_worker(1, (struct mq_opts){ .id = "m" });
	check(mq_subscribe(m, "t", 1) == 1);
	broker_conf("ring_size", "ring_size = \"512 KiB\";");
	broker_conf("data_dir", "data_dir = \"/nonexistent/x\";");
	broker_conf("user =", "user = \"nobody\";");
	broker_conf("log_level", "log_level = \"info\";");
	broker_conf("inflight_max", "inflight_max = 7;");
	check(broker_sh("cat >$DIR/expected <<END\n"
			"data_dir: \"\" -> \"/nonexistent/x\" (after restart)\n"
			"inflight_max: 100 -> 7 (for new connections)\n"
			"log_level: \"notice\" -> \"info\" (applied now)\n"
			"ring_size: \"256 KiB\" -> \"512 KiB\" (after restart)\n"
			"user: \"tbmq\" -> \"nobody\" (after restart)\n"
			"END\n"
			"$CTL reload | sort | diff - $DIR/expected") == 0);
	check(
	    broker_sh(
		"$CTL reload | sort | diff - $DIR/expected | grep -c '^> [il]' | grep -x 2") == 0);
	check(broker_sh("$CTL config show | grep 'ring_size = .256 KiB.$'") == 0);

	/* One that is born now speaks with those that were there before. */
	pid = broker_pid_of("mqtt/0");
	check(ctl("worker", "restart", "0") == 0);
	wait_for(broker_pid_of("mqtt/0") != pid);
	broker_wait_ready();
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	check(mq_publish(pub, "t", "x", 1, false) == 0);
	mq_need_publish(m, "t", "x");
	mq_disconnect(pub);
	mq_disconnect(m);
	check(ctl("restart", "--port", "0", "--workers", "2") == 1); /* now data_dir counts */
	broker_conf("data_dir", "");
	check(ctl("start", "--port", "0", "--workers", "2") == 0);
	broker_adopt();
	check(broker_sh("$CTL config show | grep 'ring_size = .512 KiB. '") == 0);
}
