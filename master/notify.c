/*
 * The service manager's protocol: datagrams to the socket named in NOTIFY_SOCKET, sd_notify(3).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/clock.h"

static void
tell(const char *text)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	socklen_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(a.sun_path))
		return;
	memcpy(a.sun_path, path, strlen(path));
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@') /* abstract */
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(
	    fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a, len);
	close(fd);
}

void
notify_ready(void)
{
	char text[160];

	snprintf(text, sizeof(text),
	    "READY=1\nMAINPID=%d\nSTATUS=%u workers, configuration number %" PRIu64, (int)getpid(),
	    master.workers, master.conf.number);
	tell(text);
}

void
notify_reloading(void)
{
	char text[80];

	snprintf(
	    text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)clock_now_us());
	tell(text);
}

void
notify_stopping(void)
{
	tell("STOPPING=1");
}

/* 0: nobody watches. */
static uint64_t
watchdog_us(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (usec == NULL || (pid != NULL && atol(pid) != getpid()))
		return 0;
	return strtoull(usec, NULL, 10);
}

void
notify_watchdog(void)
{
	static uint64_t told_us;
	uint64_t limit = watchdog_us(), now = clock_now_us();

	if (limit == 0 || now - told_us < limit / 3)
		return;
	tell("WATCHDOG=1");
	told_us = now;
}
