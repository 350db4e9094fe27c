#include <signal.h>

#include "tests/lib/scenario.h"

SCENARIO(2)
{
	static const char text[1000];
	struct mq *sub, *pub;
	int pid;

	broker_start("hang_timeout=600");
	sub = mq_on_worker(1, (struct mq_opts){ .id = "sub" });
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	check(mq_subscribe(sub, "t", 0) == 0);
	pid = broker_pid_of("mqtt/1");
	wait_for(broker_sh("$CTL status | grep '^mqtt/0 .* 0%$'") == 0);
	check(kill(pid, SIGSTOP) == 0);
	for (int i = 0; i < 100; i++)
		mq_send_publish(pub, "t", text, sizeof(text), 0, false, NULL);
	wait_for(broker_sh("$CTL status | grep '^mqtt/0 .* [1-9][0-9]%$'") == 0);
	check(broker_sh("$CTL status | grep '^persist/0 .* 0%$'") == 0);
	check(kill(pid, SIGCONT) == 0);
	for (int i = 0; i < 100; i++)
		mq_need(sub, 3);
	wait_for(broker_sh("$CTL status | grep '^mqtt/0 .* 0%$'") == 0);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
