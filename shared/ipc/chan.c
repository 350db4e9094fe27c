#include "shared/ipc/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/ipc/counter.h"

#define QUEUE_MAX (1u << 20) /* bytes that may wait for a peer that doesn't read */
#define READS 64             /* messages of one turn */

static const struct ipc_rule {
	const char *name;
	uint32_t from, to;
	size_t len;
	unsigned fds;
} rule[IPC_TYPES] = {
#define M(n, f, t, payload, k) [IPC_##n] = { #n, (f), (t), sizeof(struct payload), (k) },
#include "shared/ipc/msgs.def"
#undef M
};

struct queued {
	struct list link;
	size_t len;
	int fd[IPC_FDS];
	unsigned nfds;
	uint8_t data[];
};

static void on_ready(struct watch *w, uint32_t events);
static void chan_end(struct chan *ch, int err);

const char *
ipc_name(enum ipc_type type)
{
	return type < IPC_TYPES ? rule[type].name : "?";
}

int
chan_open(struct chan *ch, struct loop *l, int fd, uint32_t self, uint32_t peer,
    ipc_fn *const on_msg[], void (*on_end)(struct chan *, int))
{
	*ch = (struct chan){
		.watch = { .fd = -1, .fn = on_ready },
		.loop = l,
		.fd = fd,
		.peer = peer,
		.self = self,
		.on_msg = on_msg,
		.on_end = on_end,
	};
	list_init(&ch->queue);
	return loop_add(l, &ch->watch, fd, EPOLLIN);
}

static void
queued_free(struct queued *q)
{
	for (unsigned i = 0; i < q->nfds; i++)
		close(q->fd[i]);
	list_del(&q->link);
	free(q);
}

void
chan_close(struct chan *ch)
{
	if (ch->fd < 0)
		return;
	loop_del(ch->loop, &ch->watch);
	close(ch->fd);
	ch->fd = -1;
	while (!list_is_empty(&ch->queue))
		queued_free(LIST_FIRST(&ch->queue, struct queued, link));
	ch->queued = 0;
}

/* 0, -EAGAIN, or an error that ends the channel. */
static int
send_now(const struct chan *ch, const void *data, size_t len, const int *fds, unsigned nfds)
{
	union {
		char buf[CMSG_SPACE(IPC_FDS * sizeof(int))];
		struct cmsghdr align;
	} c = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds > 0) {
		struct cmsghdr *h;

		mh.msg_control = c.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		h = CMSG_FIRSTHDR(&mh);
		must(h != NULL);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, nfds * sizeof(int));
	}
	if (sendmsg(ch->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
}

int
chan_send(
    struct chan *ch, enum ipc_type type, const void *body, size_t len, const int *fds, int nfds)
{
	struct ipc_hdr h = { .abi = IPC_ABI, .type = (uint16_t)type, .len = (uint32_t)len };
	struct queued *q;
	int err;

	if (ch->fd < 0)
		return -EPIPE;
	q = malloc(sizeof(*q) + sizeof(h) + len);
	if (q == NULL)
		return -ENOMEM;
	*q = (struct queued){ .len = sizeof(h) + len };
	list_init(&q->link);
	memcpy(q->data, &h, sizeof(h));
	if (len > 0)
		memcpy(q->data + sizeof(h), body, len);
	if (list_is_empty(&ch->queue)) {
		err = send_now(ch, q->data, q->len, fds, (unsigned)nfds);
		if (err != -EAGAIN) {
			free(q);
			return err;
		}
	}
	if (ch->queued + q->len > QUEUE_MAX) {
		free(q);
		return -ENOBUFS;
	}
	for (int i = 0; i < nfds; i++) {
		q->fd[i] = dup(fds[i]);
		if (q->fd[i] < 0) {
			err = -errno;
			queued_free(q);
			return err;
		}
		q->nfds++;
	}
	list_add_tail(&ch->queue, &q->link);
	ch->queued += q->len;
	return loop_mod(ch->loop, &ch->watch, EPOLLIN | EPOLLOUT);
}

static void
chan_end(struct chan *ch, int err)
{
	if (ch->fd < 0)
		return;
	chan_close(ch);
	ch->on_end(ch, err);
}

static void
chan_flush(struct chan *ch)
{
	while (!list_is_empty(&ch->queue)) {
		struct queued *q = LIST_FIRST(&ch->queue, struct queued, link);
		int err = send_now(ch, q->data, q->len, q->fd, q->nfds);

		if (err == -EAGAIN)
			return;
		ch->queued -= q->len;
		queued_free(q);
		if (err != 0) {
			chan_end(ch, err);
			return;
		}
	}
	loop_mod(ch->loop, &ch->watch, EPOLLIN);
}

/* The one gate before any handler: known type, right sender, exact size, descriptors as declared. */
static int
dispatch(
    struct chan *ch, const struct ipc_hdr *h, const void *body, size_t len, int *fd, unsigned nfds)
{
	const struct ipc_rule *r = h->type < IPC_TYPES ? &rule[h->type] : NULL;
	bool any_len = r != NULL && r->len == sizeof(struct msg_text);

	if (h->abi == IPC_ABI && r != NULL && ch->on_msg[h->type] != NULL && (r->from & ch->peer) &&
	    (r->to & ch->self) && h->len == len && (any_len ? len <= r->len : len == r->len) &&
	    nfds == r->fds)
		return ch->on_msg[h->type](ch, body, len, fd);
	count(CNT_ipc_refused);
	log_every(10, LOG_ERR, "chan: message refused type=%u length=%zu descriptors=%u", h->type,
	    len, nfds);
	for (unsigned i = 0; i < nfds; i++)
		close(fd[i]);
	return 0;
}

/* One message; false: there is none, or the channel has ended. */
static bool
read_one(struct chan *ch)
{
	static struct {
		struct ipc_hdr h;
		alignas(16) uint8_t body[sizeof(struct msg_text)];
	} m;
	union {
		char buf[CMSG_SPACE(IPC_FDS * sizeof(int))];
		struct cmsghdr align;
	} c;
	struct iovec iov[2] = { { &m.h, sizeof(m.h) }, { m.body, sizeof(m.body) } };
	struct msghdr mh = { .msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = c.buf,
		.msg_controllen = sizeof(c.buf) };
	ssize_t n = recvmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd[IPC_FDS] = { -1, -1 }, err;
	unsigned nfds = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		chan_end(ch, -errno);
		return false;
	}
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h != NULL; h = CMSG_NXTHDR(&mh, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			nfds = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fd, CMSG_DATA(h), nfds * sizeof(int));
		}
	if (n == 0 && nfds == 0) {
		chan_end(ch, 0);
		return false;
	}
	if ((size_t)n < sizeof(m.h) || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		m.h.type = UINT16_MAX;
		n = sizeof(m.h);
	}
	err = dispatch(ch, &m.h, m.body, (size_t)n - sizeof(m.h), fd, nfds);
	if (err != 0)
		chan_end(ch, err);
	return ch->fd >= 0;
}

static void
on_ready(struct watch *w, uint32_t events)
{
	struct chan *ch = container_of(w, struct chan, watch);

	if (events & EPOLLOUT)
		chan_flush(ch);
	for (int i = 0; i < READS && ch->fd >= 0 && read_one(ch); i++)
		;
}

void
chan_read(struct chan *ch)
{
	while (ch->fd >= 0 && read_one(ch))
		;
}
