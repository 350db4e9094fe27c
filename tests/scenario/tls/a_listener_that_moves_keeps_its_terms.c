/*
 * Listeners have their places in a list, and those before it come and go: who connects to one that wants certificates must at no moment be
 * taken for a client of another.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define RELOADS 30

/* In the clear, until it is ended; or gets in, which it never does. */
static _Noreturn void
knock(int port)
{
	static const uint8_t connect[] = { 0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 2,
		'i', 'n' };
	struct packet p;

	for (;;) {
		struct mq *m = mq_open(port);

		mq_bytes(m, connect, sizeof(connect));
		if (mq_read(m, &p, 20) && p.type == 2 && p.body[1] == 0)
			_exit(1);
		mq_close(m);
	}
}

SCENARIO(1, 4)
{
	int port, status;
	pid_t pid;

	broker_start("max_half_open_address=100000");
	tls_listener_of("tcp", "other", "/* here */");
	port = tls_listener("mutual",
	    "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "
	    "client_authorities = \"$CA/ca.crt\"; client_certificate = \"required\"; ");
	pid = scenario_helper = fork();
	if (pid == 0)
		knock(port);
	for (int i = 0; i < many(RELOADS); i++) {
		broker_reload("/* here */",
		    ", { name = \"a\"; port = 0; }, { name = \"b\"; port = 0; } /* here */");
		broker_reload("/* here */", "/* here */");
	}
	check(waitpid(pid, &status, WNOHANG) == 0);
	kill(pid, SIGKILL);
	check(waitpid(pid, &status, 0) == pid);
	scenario_helper = 0;
	check(broker_counter("accepted") > 0);
	broker_stop();
}
