#include "tests/lib/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 10000
#define PORTS 20000
#define TRIES 100

/* 0: any. The port that is bound for a moment, or -errno. */
static int
bound(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;
	socklen_t len = sizeof(a);

	if (fd < 0)
		return -errno;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&a, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		err = -errno;
	close(fd);
	return err != 0 ? err : ntohs(a.sin_port);
}

int
port_free(void)
{
	return bound(0);
}

int
port_to_keep(void)
{
	int port = -EADDRINUSE;

	for (int i = 0; i < TRIES && port < 0; i++)
		port = bound(FIRST + (int)((unsigned)(getpid() + i * 211) % PORTS));
	return port;
}
