#include "shared/net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOWAT                                                                                      \
	16384 /* bytes in the kernel that are not on their way: the rest of a backlog is ours to count and drop */

int
sock_addr_parse(const char *address, uint16_t port, struct sock_addr *out)
{
	struct sock_addr a = { 0 };

	if (inet_pton(AF_INET, address, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons(port);
		a.len = sizeof(a.in);
	} else if (strcmp(address, "*") == 0 ||
	    inet_pton(AF_INET6, address, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		a.len = sizeof(a.in6);
	} else {
		return -EINVAL;
	}
	*out = a;
	return 0;
}

void
sock_addr_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(out, SOCK_TEXT_MAX, "%s:%u", host, ntohs(a->in.sin_port));
	} else if (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		inet_ntop(AF_INET, &a->in6.sin6_addr.s6_addr[12], host, sizeof(host));
		snprintf(out, SOCK_TEXT_MAX, "%s:%u", host, ntohs(a->in6.sin6_port));
	} else if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		snprintf(out, SOCK_TEXT_MAX, "[%s]:%u", host, ntohs(a->in6.sin6_port));
	} else {
		snprintf(out, SOCK_TEXT_MAX, "local");
	}
}

void
sock_peer_text(int fd, const struct sock_addr *a, char out[SOCK_TEXT_MAX])
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (a->sa.sa_family == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		snprintf(out, SOCK_TEXT_MAX, "unix:%u:%d", who.uid, (int)who.pid);
	else
		sock_addr_text(a, out);
}

struct span
sock_text_host(const char *text)
{
	const char *colon = strrchr(text, ':');

	return colon != NULL ? span_of(text, (size_t)(colon - text)) : span_str(text);
}

uint16_t
sock_addr_port(const struct sock_addr *a)
{
	if (a->sa.sa_family == AF_UNIX)
		return 0;
	return ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port);
}

static bool
is_any6(const struct sock_addr *a)
{
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* A listening socket's options are those of the connections it accepts: no call for each of them. Failure is harmless. */
static void
set_client_options(int fd)
{
	int one = 1, lowat = LOWAT;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

static int
bind_listen(struct sock_addr *a, int backlog, bool reuseport, int *fd_out)
{
	const int how = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int one = 1, zero = 0, err;
	int fd = socket(a->sa.sa_family, how, 0);

	if (fd < 0 && errno == EAFNOSUPPORT && is_any6(a)) {
		/* A kernel without IPv6: "*" is all there is, which is IPv4. */
		in_port_t port = a->in6.sin6_port;

		*a = (struct sock_addr){ .len = sizeof(a->in) };
		a->in.sin_family = AF_INET;
		a->in.sin_port = port;
		fd = socket(AF_INET, how, 0);
	}
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0))
		goto fail;
	if (a->sa.sa_family == AF_INET6) {
		const int *only = is_any6(a) ? &zero : &one;

		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, only, sizeof(*only)) != 0)
			goto fail;
	}
	set_client_options(fd);
	if (bind(fd, &a->sa, a->len) != 0 || listen(fd, backlog) != 0)
		goto fail;
	if (getsockname(fd, &a->sa, &a->len) != 0)
		goto fail;
	*fd_out = fd;
	return 0;
fail:
	err = -errno;
	close(fd);
	return err;
}

int
sock_probe(const struct sock_addr *a)
{
	struct sock_addr copy = *a;
	int fd = -1, err = bind_listen(&copy, 1, false, &fd);

	if (err == 0)
		close(fd);
	return err;
}

int
sock_listen(struct sock_addr *a, int backlog, int *fd_out)
{
	return bind_listen(a, backlog, true, fd_out);
}

int
sock_unix_addr(const char *path, struct sock_addr *out)
{
	struct sock_addr a = { .un = { .sun_family = AF_UNIX }, .len = sizeof(a.un) };

	if (strlen(path) >= sizeof(a.un.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.un.sun_path, path);
	*out = a;
	return 0;
}

static int
unix_connect(const char *path, int how, int *fd_out)
{
	struct sock_addr a;
	int err = sock_unix_addr(path, &a), fd;

	if (err != 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | how, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, &a.sa, a.len) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*fd_out = fd;
	return 0;
}

int
sock_unix_connect(const char *path, int *fd_out)
{
	return unix_connect(path, 0, fd_out);
}

/*
 * A stale socket will never be served again: whether it is that which is removed can be told by its inode once it has been moved aside, where
 * nobody who has just come to its path is hurt.
 */
static int
unix_remove(const char *path, const struct stat *stale)
{
	char aside[PATH_MAX];
	struct stat st;

	snprintf(aside, sizeof(aside), "%s.stale-%d", path, (int)getpid());
	if (rename(path, aside) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (lstat(aside, &st) == 0 && (st.st_dev != stale->st_dev || st.st_ino != stale->st_ino)) {
		(void)renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE);
		return -EADDRINUSE;
	}
	return unlink(aside) == 0 || errno == ENOENT ? 0 : -errno;
}

/* What is at the path may be replaced if it is a socket that nobody listens on, and nothing else. */
static int
unix_clear(const char *path)
{
	struct stat st;
	int fd = -1, err;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	/* -EAGAIN: so many wait for who serves it that there is no room. */
	err = unix_connect(path, SOCK_NONBLOCK, &fd);
	if (err == 0)
		close(fd);
	if (err == 0 || err == -EAGAIN)
		return -EADDRINUSE;
	if (err != -ECONNREFUSED)
		return err == -ENOENT ? 0 : err;
	return unix_remove(path, &st);
}

int
sock_unix_listen(const char *path, unsigned mode, int backlog, int *fd_out)
{
	struct sock_addr a;
	int err = sock_unix_addr(path, &a), fd;
	mode_t old;

	if (err == 0)
		err = unix_clear(path);
	if (err != 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	old = umask((mode_t)(~mode & 0777));
	err = bind(fd, &a.sa, a.len) != 0 || listen(fd, backlog) != 0 ? -errno : 0;
	umask(old);
	if (err != 0) {
		close(fd);
		return err;
	}
	*fd_out = fd;
	return 0;
}
