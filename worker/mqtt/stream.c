#include "worker/mqtt/stream.h"

#include <errno.h>
#include <sys/socket.h>

#include "worker/mqtt/secure.h"
#include "worker/mqtt/ws.h"

#define GATHER 16384 /* bytes of small chunks that share a record, or a system call */

static struct {
	bool is_ws; /* whose the last -EPROTO was */
	uint8_t gathered[GATHER];
} the;

int
stream_open(struct conn *c, int fd, unsigned listener)
{
	if (conf_has_tls(&self.conf.listener[listener]) &&
	    (c->tls = secure_accept(listener, fd)) == NULL)
		return -ENOMEM;
	if (conf_has_ws(&self.conf.listener[listener]) && (c->ws = ws_new()) == NULL)
		return -ENOMEM;
	return 0;
}

ssize_t
stream_read(struct conn *c, void *p, size_t len)
{
	ssize_t n;

	if (c->tls != NULL) {
		n = secure_read(c->tls, p, len);
		c->unread = n == (ssize_t)len;
	} else {
		n = recv(c->fd, p, len, 0);
		if (n < 0)
			n = errno == EINTR ? -EAGAIN : -errno;
	}
	the.is_ws = false;
	if (n <= 0)
		return n;
	count_add(CNT_bytes_received, (uint64_t)n);
	if (c->ws != NULL) {
		n = ws_input(c->ws, p, (size_t)n);
		the.is_ws = true;
		if (ws_has_own(c->ws))
			conn_dirty(c);
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
	return the.is_ws ? CNT_ends__websocket : CNT_ends__tls;
}

const char *
stream_why(void)
{
	return the.is_ws ? ws_why() : tls_why();
}
