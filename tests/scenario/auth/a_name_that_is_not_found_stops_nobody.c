/*
 * Whoever resolves names may take its time: libcurl's threads wait for that, also when the request is given up, and the loop does not.
 */
#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *m, *waits;
	uint64_t began;

	broker_preload("auth", "slowname");
	broker_start("auth_timeout=2", "http_timeout=1");
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	broker_conf("http_url =", "http_url = \"http://slow.example/\";");
	broker_reload("authentication =", "authentication = \"basic, http\";");
	began = now_ms();
	for (int i = 0; i < 3; i++) {
		waits = mq_try((struct mq_opts){ .id = "w", .user = "w", .password = "w" });
		check(waits->reason == 0x89);
		mq_close(waits);
		m = mq_connect(.id = "m", .user = "anna", .password = "secret");
		mq_disconnect(m);
	}
	/* One look-up takes a minute. */
	check(now_ms() - began < 50000);
	check(broker_log_has("http: no answer from the service"));
	broker_stop();
}
