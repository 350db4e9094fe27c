#include "worker/mqtt/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/base/log.h"
#include "shared/net/forwarded.h"
#include "worker/mqtt/accept.h"
#include "worker/mqtt/proxy.h"
#include "worker/mqtt/secure.h"
#include "worker/mqtt/ws.h"

#define GATHER 16384 /* bytes of small chunks that share a record, or a system call */

static struct {
	enum counter fault; /* of the last -EPROTO */
	uint8_t gathered[GATHER];
} the;

static ssize_t read_proxy(struct conn *c);
static int take_forwarded(struct conn *c);
static int move(struct conn *c, const char *peer);

int
stream_open(struct conn *c, int fd, unsigned listener)
{
	if (listener == CONN_NO_LISTENER) /* it was removed, as CONNECT will be told */
		return 0;
	c->proxied = self.conf.listener[listener].proxy_protocol;
	if (conf_has_tls(&self.conf.listener[listener]) &&
	    (c->tls = secure_accept(listener, fd)) == NULL)
		return -ENOMEM;
	if (conf_has_ws(&self.conf.listener[listener]) &&
	    (c->ws = ws_new(self.conf.listener[listener].trusted_proxies.s[0] != '\0')) == NULL)
		return -ENOMEM;
	return 0;
}

ssize_t
stream_read(struct conn *c, void *p, size_t len)
{
	bool more;
	ssize_t n;
	int err;

	if (c->ws != NULL && ws_has_ended(c->ws)) {
		the.fault = CNT_ends__websocket;
		return ws_input(c->ws, p, 0);
	}
	if (c->proxied && (n = read_proxy(c)) <= 0)
		return n;
	the.fault = CNT_ends__tls;
	if (c->tls != NULL) {
		n = secure_read(c->tls, p, len, &more);
		c->unread = more;
	} else {
		n = recv(c->fd, p, len, 0);
		if (n < 0)
			n = errno == EINTR ? -EAGAIN : -errno;
	}
	if (n <= 0)
		return n;
	count_add(CNT_bytes_received, (uint64_t)n);
	if (c->ws != NULL) {
		n = ws_input(c->ws, p, (size_t)n);
		the.fault = CNT_ends__websocket;
		if (ws_has_own(c->ws))
			conn_dirty(c);
		c->unread |= n > 0 && ws_has_ended(c->ws);
		err = take_forwarded(c);
		if (err != 0)
			return err;
	}
	return n;
}

int
stream_write(struct conn *c, size_t *sent_out)
{
	struct out *o = &c->out;

	if (c->tls == NULL && c->ws == NULL)
		return out_write(o, c->fd, sent_out);
	*sent_out = 0;
	for (;;) {
		struct span some = c->ws != NULL ? ws_output(c->ws, o, the.gathered, GATHER)
						 : out_some(o, the.gathered, GATHER);
		ssize_t n;

		if (some.len == 0)
			return 0;
		n = c->tls != NULL ? tls_write(c->tls, some.p, some.len)
				   : send(c->fd, some.p, some.len, MSG_NOSIGNAL);
		if (n < 0 && c->tls == NULL)
			n = -errno;
		if (n < 0)
			return n == -EAGAIN || n == -EINTR ? 1 : (int)n;
		if (c->ws != NULL)
			ws_sent(c->ws, o, (size_t)n);
		else
			out_sent(o, (size_t)n);
		*sent_out += (size_t)n;
	}
}

bool
stream_wants_out(const struct conn *c)
{
	return c->tls != NULL && tls_wants_out(c->tls);
}

bool
stream_has_ended(const struct conn *c)
{
	return (c->ws != NULL && ws_has_ended(c->ws)) || (c->tls != NULL && tls_has_ended(c->tls));
}

void
stream_bye(struct conn *c)
{
	size_t sent;

	if (c->ws != NULL) {
		ws_bye(c->ws);
		(void)stream_write(c, &sent);
	}
	if (c->tls != NULL)
		tls_bye(c->tls);
}

void
stream_close(struct conn *c)
{
	tls_free(c->tls);
	ws_free(c->ws);
	c->tls = NULL;
	c->ws = NULL;
}

enum counter
stream_fault(void)
{
	return the.fault;
}

const char *
stream_why(void)
{
	switch (the.fault) {
	case CNT_ends__proxy:
		return "no header of the PROXY protocol";
	case CNT_ends__websocket:
		return ws_why();
	default:
		return tls_why();
	}
}

/*
 * What follows is for others to read from the socket, so the header is looked at before it is taken, and the socket, which stays readable, is only
 * told of again when more has come. (SO_RCVLOWAT would do for TCP, but poll() of unix sockets doesn't know it.) 1: taken; else as stream_read().
 */
static ssize_t
read_proxy(struct conn *c)
{
	char peer[SOCK_TEXT_MAX];
	uint8_t buf[PROXY_MAX];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_PEEK);
	int used, err;

	if (n <= 0)
		return n == 0 ? 0 : errno == EINTR ? -EAGAIN : -errno;
	the.fault = CNT_ends__proxy;
	used = proxy_parse(span_of(buf, (size_t)n), peer);
	if (used < 0)
		return used;
	loop_mod(self.loop, &c->watch,
	    used == 0 ? c->watch.events | EPOLLET : c->watch.events & ~(uint32_t)EPOLLET);
	if (used == 0)
		return -EAGAIN;
	if (recv(c->fd, buf, (size_t)used, 0) != used)
		return -EIO;
	c->proxied = false;
	if (peer[0] == '\0')
		return 1;
	err = move(c, peer);
	return err != 0 ? err : 1;
}

/* Of a request that has just been answered; what comes behind it is the client's already. */
static int
take_forwarded(struct conn *c)
{
	char *list = ws_take_forwarded(c->ws), who[SOCK_TEXT_MAX];
	int err = 0;

	if (list != NULL && c->listener != CONN_NO_LISTENER) {
		forwarded_client(
		    self.conf.listener[c->listener].trusted_proxies.s, c->peer, list, who);
		if (strcmp(who, c->peer) != 0)
			err = move(c, who);
	}
	free(list);
	return err;
}

/* It is from elsewhere: a balancer says so. */
static int
move(struct conn *c, const char *peer)
{
	char *copy = strdup(peer);

	if (copy == NULL || !accept_half_open_moves(c->peer, peer)) {
		free(copy);
		return copy == NULL ? -ENOMEM : -ECONNREFUSED;
	}
	log_info("conn: proxied peer=%s by=%s", peer, c->peer);
	free(c->peer);
	c->peer = copy;
	return 0;
}
