#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

#define ADDRESSES 100
#define EACH 3 /* one more than is allowed */

static int
open_from(unsigned last)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)broker.port) },
			   from = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + last);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	check(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

/* Whoever has too many keeps nobody out who comes from elsewhere, and when they have gone he may come again. */
SCENARIO(1)
{
	int fd[ADDRESSES * EACH];

	broker_start("max_half_open_address=2");
	for (int round = 1; round <= 2; round++) {
		for (unsigned i = 0; i < ADDRESSES * EACH; i++)
			fd[i] = open_from(1 + i % ADDRESSES);
		wait_for(broker_counter("refused__half_open") == round * ADDRESSES);
		for (int i = 0; i < ADDRESSES * EACH; i++)
			close(fd[i]);
		wait_for(broker_counter("ends__closed") == round * ADDRESSES * (EACH - 1));
	}
	mq_disconnect(mq_connect(.id = "good"));
}
