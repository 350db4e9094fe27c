/*
 * sock.h - sockets: addresses, listening, options
 *
 * Errors: -errno; texts for people through sock_strerror() of the caller's errno.
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/base/span.h"

#define SOCK_TEXT_MAX 80 /* "[2001:db8::1]:1883", "unix:1000:4321" */

struct sock_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage ss;
	};
	socklen_t len;
};

int sock_addr_parse(const char *address, uint16_t port,
    struct sock_addr *out); /* IPv4, IPv6, "*" (dual stack); no names: -EINVAL */
void sock_addr_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX]);
/* Who is at the other end, which has come from a: of a unix socket user and process, "unix:UID:PID". */
void sock_peer_text(int fd, const struct sock_addr *a, char out[SOCK_TEXT_MAX]);
/* Of such a text, without the port or process; borrowed. */
struct span sock_text_host(const char *text);
uint16_t sock_addr_port(const struct sock_addr *a);

/* Is the address free? Binds and listens without SO_REUSEPORT, then closes: -EADDRINUSE also when another instance of ours has it. */
int sock_probe(const struct sock_addr *a);
/*
 * Bound and listening, non-blocking, CLOEXEC, SO_REUSEPORT. a gets the port if it was 0, and for "*" becomes IPv4 on a kernel without IPv6.
 * What it accepts has TCP_NODELAY and TCP_NOTSENT_LOWAT.
 */
int sock_listen(struct sock_addr *a, int backlog, int *fd_out);
int sock_unix_addr(const char *path, struct sock_addr *out); /* -ENAMETOOLONG */
/*
 * SOCK_STREAM; replaces a stale socket that nobody listens on, and nothing else: -EADDRINUSE; -EEXIST: what is there is no socket. The file has
 * this mode from the beginning.
 */
int sock_unix_listen(const char *path, unsigned mode, int backlog, int *fd_out);
int sock_unix_connect(const char *path, int *fd_out);

#endif
