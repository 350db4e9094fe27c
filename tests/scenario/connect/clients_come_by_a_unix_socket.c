#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/proc.h"
#include "tests/lib/scenario.h"

#define MANY 24

static char path[160];

static int
worker_of(const char *id)
{
	char *at = strstr(ctl_text("--json", "client", "show", id), "\"mqtt/");

	check(at != NULL);
	return at[6] - '0';
}

/* In turns: few busy clients must not all be one worker's. Who dies takes its own along. */
static void
workers_share_it(void)
{
	struct mq *m[MANY];
	int of[MANY], n[8] = { 0 };
	char id[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		m[i] = mq_connect(.id = id, .path = path);
		of[i] = worker_of(id);
		n[of[i]]++;
	}
	for (int w = 0; w < workers(); w++)
		if (n[w] < MANY / workers() / 4)
			fail("mqtt/%d has %d of %d clients", w, n[w], MANY);
	broker_kill("mqtt/0", SIGKILL);
	for (int i = 0; i < MANY; i++) {
		if (of[i] == 0)
			mq_need_close(m[i]);
		else
			mq_quiet(m[i]);
		mq_close(m[i]);
	}
	/* With one, those who come meanwhile wait for its successor. */
	for (int i = 0; i < workers(); i++)
		mq_disconnect(mq_connect(.id = "after", .path = path));
	broker_wait_ready();
}

/* A header that has come in part must not keep the worker busy, though the socket stays readable. */
static void
balancers_may_use_it(void)
{
	static const char text[] = "PROXY TCP4 192.0.2.7 192.0.2.2 5555 1883\r\n";
	uint64_t before, after;
	struct mq *m, *other;

	broker_reload("name = \"local\"",
	    ", { name = \"local\"; type = \"unix\"; path = \"%s\"; "
	    "proxy_protocol = true; } );",
	    path);
	m = mq_open_unix(path);
	mq_bytes(m, text, 20);
	other = mq_connect(.id = "other");
	mq_quiet(other);
	check(proc_cpu_ns(broker_pid_of("mqtt/0"), &before));
	for (int i = 0; i < 20; i++)
		nap();
	check(proc_cpu_ns(broker_pid_of("mqtt/0"), &after));
	check(workers() > 1 || after - before < UINT64_C(20000000));
	mq_bytes(m, text + 20, strlen(text) - 20);
	mq_hex(m, "100e 0004 4d515454 05 02 0000 00 0001 70");
	check(mq_need(m, 2).reason == 0);
	check(strstr(ctl_text("--json", "client", "show", "p"), "\"peer\":\"192.0.2.7:5555\""));
	mq_disconnect(m);
	mq_disconnect(other);
}

SCENARIO(1, 3)
{
	struct mq *m;
	char text[300];
	struct stat st;

	broker_start();
	snprintf(path, sizeof(path), "%s/mqtt.sock", broker.dir);
	broker_reload(");",
	    ", { name = \"local\"; type = \"unix\"; path = \"%s\"; mode = \"0600\"; } );", path);
	check(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
	snprintf(text, sizeof(text), "listener local: unix %s\n", path);
	check(strstr(ctl_text("status"), text) != NULL);

	m = mq_connect(.id = "me", .path = path);
	check(mq_subscribe(m, "t", 1) == 1);
	snprintf(text, sizeof(text), "\"peer\":\"unix:%u:%d\"", geteuid(), (int)getpid());
	check(strstr(ctl_text("--json", "client", "show", "me"), text) != NULL);
	snprintf(text, sizeof(text), "timeout 60 mosquitto_pub --unix %s -V mqttv5 -t t -m x -q 1",
	    path);
	check(broker_sh(text) == 0);
	mq_need_publish(m, "t", "x");
	mq_disconnect(m);

	/* Limits are those of the user. */
	broker_reload("max_half_open_address =", "max_half_open_address = 2;");
	for (int i = 0; i < 3 * workers(); i++)
		mq_open_unix(path);
	wait_for(broker_counter("refused__half_open") >= workers());
	broker_reload("max_half_open_address =", "max_half_open_address = 100;");

	workers_share_it();
	balancers_may_use_it();
	broker_stop();
	check(lstat(path, &st) != 0);
}
