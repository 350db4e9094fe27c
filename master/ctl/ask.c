#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/ctl/ctl.h"
#include "shared/net/sock.h"

#define ANSWER_MS 30000

bool
ctl_is_running(void)
{
	int fd;

	if (sock_unix_connect(ctl.dirs.control, &fd) != 0)
		return false;
	close(fd);
	return true;
}

static int
read_all(int fd, char **out)
{
	size_t len = 0, cap = 65536;
	char *text = malloc(cap), *more;

	while (text != NULL) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (len + 1 == cap) {
			cap *= 2;
			more = realloc(text, cap);
			if (more == NULL)
				break;
			text = more;
		}
		if (poll(&p, 1, ANSWER_MS) == 0) {
			free(text);
			return 4;
		}
		n = read(fd, text + len, cap - 1 - len);
		if (n == 0) {
			text[len] = '\0';
			*out = text;
			return 0;
		}
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	free(text);
	return 1;
}

int
ctl_ask(const char *text, json_t **out)
{
	int fd, err = sock_unix_connect(ctl.dirs.control, &fd);
	json_error_t why;
	char *answer;

	if (err != 0) {
		errno = -err;
		return err == -ENOENT || err == -ECONNREFUSED ? 3 : 1;
	}
	err = send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0
	    ? 1
	    : read_all(fd, &answer);
	close(fd);
	/* One that was just ending takes who waits in its backlog along. */
	if (err == 1 && (errno == ECONNRESET || errno == EPIPE) && !ctl_is_running())
		return 3;
	if (err != 0)
		return err;
	*out = json_loads(answer, 0, &why);
	free(answer);
	if (*out != NULL)
		return 0;
	errno = EPROTO;
	return 1;
}

void
ctl_find(const char *exe, char out[PATH_MAX])
{
	static const char *const places[] = { "", "../sbin/" };
	char self[PATH_MAX], *dir;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		dir = dirname(self);
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			snprintf(out, PATH_MAX, "%.3900s/%s%s", dir, places[i], exe);
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(out, PATH_MAX, "%s", exe);
}
