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

#include "shared/base/span.h"

#define SOCK_TEXT_MAX 80 /* "[2001:db8::1]:1883", "unix:/path" */

struct sock_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage ss;
	};
	socklen_t len;
};

int sock_addr_parse(const char *address, uint16_t port,
    struct sock_addr *out); /* IPv4, IPv6, "*" (dual stack); no names: -EINVAL */
void sock_addr_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX]);
struct span sock_text_host(const char *text); /* of such a text, without the port; borrowed */
uint16_t sock_addr_port(const struct sock_addr *a);

/* Is the address free? Binds and listens without SO_REUSEPORT, then closes: -EADDRINUSE also when another instance of ours has it. */
int sock_probe(const struct sock_addr *a);
/*
 * Bound and listening, non-blocking, CLOEXEC, SO_REUSEPORT. a gets the port if it was 0, and for "*" becomes IPv4 on a kernel without IPv6.
 * What it accepts has TCP_NODELAY and TCP_NOTSENT_LOWAT.
 */
int sock_listen(struct sock_addr *a, int backlog, int *fd_out);
int sock_unix_listen(const char *path, unsigned mode,
    int *
	fd_out); /* SOCK_STREAM; replaces a stale socket nobody listens on; -EADDRINUSE; -EEXIST: no socket */
int sock_unix_connect(const char *path, int *fd_out);

#endif
