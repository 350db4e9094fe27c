#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

/* Below those that the kernel hands out: the broker has to get it again after each kill. */
static int
free_port(void)
{
	for (int i = 0; i < 100; i++) {
		int port = 10000 + (int)((unsigned)(getpid() + i * 211) % 20000);
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

		check(fd >= 0);
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		err = bind(fd, (struct sockaddr *)&a, sizeof(a));
		close(fd);
		if (err == 0)
			return port;
	}
	fail("no free port");
}

int
torture(const char *settings, const char *options)
{
	char command[900], line[1000], path[200];
	int port = free_port(), status;
	FILE *f;

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-torture --start \"$CTL start --port %d --workers %d %s\" --port %d "
	    "--deadline %d %s >$DIR/torture 2>&1",
	    port, workers(), settings, port, deadline_ms() / 1000, options);
	status = broker_sh(command);
	snprintf(path, sizeof(path), "%s/torture", broker.dir);
	f = fopen(path, "r");
	check(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		printf("    %s", line);
	fclose(f);
	return status;
}
