#include "shared/ipc/chan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/ipc/counter.h"

#include "tests/unit/unit.h"

#define CHILD P_MQTT

/* Our end is a channel, the other is a bare socket that may send anything. */
static struct loop *loop;
static struct chan chan;
static int other;
static unsigned calls, ends;
static int end_err, answer;
static size_t body_len;
static uint8_t body_first;
static int fd_got;

static int
on_body(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)fd;
	CU_ASSERT_EQUAL((uintptr_t)body % 16, 0);
	calls++;
	body_len = len;
	body_first = len > 0 ? *(const uint8_t *)body : 0;
	return answer;
}

static int
on_one_fd(struct chan *ch, const void *body, size_t len, const int *fd)
{
	fd_got = fd[0];
	return on_body(ch, body, len, fd);
}

static int
on_closing(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)on_body(ch, body, len, fd);
	chan_close(ch);
	return 0;
}

static void
on_end(struct chan *ch, int err)
{
	CU_ASSERT_EQUAL(ch->fd, -1);
	ends++;
	end_err = err;
}

static ipc_fn *const on_msg[IPC_TYPES] = {
	[IPC_PEER_DOWN] = on_body,
	[IPC_PEER_UP] = on_body,
	[IPC_GO] = on_body,
	[IPC_LISTENER] = on_one_fd,
	[IPC_REQUEST] = on_one_fd,
	[IPC_STOP] = on_closing,
	[IPC_READY] = on_body, /* the rule says that it never comes from the master */
};

static void
open_both(void)
{
	int fd[2];

	calls = ends = 0;
	answer = end_err = 0;
	fd_got = -1;
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(&loop), 0);
	CU_ASSERT_EQUAL_FATAL(chan_open(&chan, loop, fd[0], CHILD, P_MASTER, on_msg, on_end), 0);
	other = fd[1];
}

static void
close_both(void)
{
	chan_close(&chan);
	if (other >= 0)
		close(other);
	loop_free(loop);
}

static unsigned
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static uint64_t
refused(void)
{
	return atomic_load(&counters[CNT_ipc_refused]);
}

/* len: what the header says; size: what is really there. */
static void
send_raw(
    uint32_t abi, unsigned type, uint32_t len, const void *body, size_t size, const int *fds, int n)
{
	struct ipc_hdr h = { .abi = abi, .type = (uint16_t)type, .len = len };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)body, size } };
	union {
		char buf[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} c = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	if (n > 0) {
		mh.msg_control = c.buf;
		mh.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(&c.align), fds, (size_t)n * sizeof(int));
	}
	CU_ASSERT_TRUE_FATAL(sendmsg(other, &mh, MSG_NOSIGNAL) >= 0);
}

static void
a_message_that_does_not_fit_its_rule_is_refused_and_counted(void)
{
	static uint8_t big[sizeof(struct msg_text) + 1];
	const struct {
		uint32_t abi;
		unsigned type;
		uint32_t len;
		size_t size;
		int fds;
	} bad[] = {
		{ IPC_ABI + 1, IPC_GO, 4, 4, 0 },
		{ IPC_ABI, IPC_TYPES, 4, 4, 0 },
		{ IPC_ABI, UINT16_MAX, 4, 4, 0 },
		{ IPC_ABI, IPC_READY, 4, 4, 0 },     /* not the master's to send */
		{ IPC_ABI, IPC_LOG_LEVEL, 4, 4, 0 }, /* nobody here takes it */
		{ IPC_ABI, IPC_GO, 3, 3, 0 },        /* too short */
		{ IPC_ABI, IPC_GO, 5, 5, 0 },        /* too long */
		{ IPC_ABI, IPC_GO, 5, 4, 0 },        /* a lie */
		{ IPC_ABI, IPC_GO, UINT32_MAX, 4, 0 },
		{ IPC_ABI, IPC_GO, 4, 4, 1 }, /* a descriptor that nobody asked for */
		{ IPC_ABI, IPC_LISTENER, sizeof(struct msg_listener), sizeof(struct msg_listener),
		    0 },
		{ IPC_ABI, IPC_LISTENER, sizeof(struct msg_listener), sizeof(struct msg_listener),
		    2 },
		{ IPC_ABI, IPC_LISTENER, sizeof(struct msg_listener), sizeof(struct msg_listener),
		    8 },
		{ IPC_ABI, IPC_PEER_UP, sizeof(struct msg_peer), sizeof(struct msg_peer), 8 },
		{ IPC_ABI, IPC_REQUEST, sizeof(big), sizeof(big), 1 },
	};
	const int fds[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
	unsigned before;

	open_both();
	before = open_fds();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t was = refused();

		send_raw(bad[i].abi, bad[i].type, bad[i].len, big, bad[i].size, fds, bad[i].fds);
		loop_turn(loop, 0);
		CU_ASSERT_EQUAL(refused(), was + 1);
		if (refused() != was + 1)
			printf("\n    number %zu ", i);
	}
	CU_ASSERT_EQUAL(send(other, "abc", 3, 0), 3); /* less than a header */
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 0);
	CU_ASSERT_EQUAL(ends, 0);
	CU_ASSERT_EQUAL(open_fds(), before); /* none of the descriptors has stayed */
	send_raw(IPC_ABI, IPC_GO, 4, big, 4, NULL, 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 1); /* and it goes on */
	close_both();
}

static void
only_the_master_is_obeyed(void)
{
	static uint8_t none[4];
	uint64_t was = refused();

	open_both();
	chan.peer = P_PERSIST; /* what is meant for us, from one who has nothing to say here */
	send_raw(IPC_ABI, IPC_GO, 4, none, 4, NULL, 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 0);
	CU_ASSERT_EQUAL(refused(), was + 1);
	close_both();
}

static void
descriptors_of_an_empty_message_are_closed(void)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c = { 0 };
	struct iovec iov = { NULL, 0 };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.buf,
		.msg_controllen = sizeof(c.buf) };
	unsigned before;

	c.align.cmsg_level = SOL_SOCKET;
	c.align.cmsg_type = SCM_RIGHTS;
	c.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.align), &(int){ 0 }, sizeof(int));
	open_both();
	before = open_fds();
	CU_ASSERT_EQUAL(sendmsg(other, &mh, 0), 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 0);
	CU_ASSERT_EQUAL(ends, 0);
	CU_ASSERT_EQUAL(open_fds(), before);
	close_both();
}

static void
a_peer_that_does_not_read_costs_a_bounded_queue(void)
{
	static struct msg_text text;
	unsigned before, n = 0;
	int err;

	open_both();
	before = open_fds();
	while ((err = chan_send(&chan, IPC_REQUEST, &text, sizeof(text), &(int){ 0 }, 1)) == 0)
		if (++n > 10000)
			break;
	CU_ASSERT_EQUAL(err, -ENOBUFS);
	CU_ASSERT_TRUE(chan.queued > 0 && chan.queued <= 1 << 20);
	CU_ASSERT_TRUE(n > 1 && n < 200);
	CU_ASSERT_EQUAL(ends, 0); /* what to do with it is the owner's decision */
	chan_close(&chan);
	CU_ASSERT_EQUAL(open_fds(), before - 1); /* descriptors that waited are closed */
	close_both();
}

static void
what_waited_arrives_in_order_with_its_descriptors(void)
{
	static struct msg_text text, in;
	unsigned sent = 0, got = 0, with_fd = 0;
	struct ipc_hdr h;

	open_both();
	while (sent < 60) {
		text.text[0] = (char)sent++;
		CU_ASSERT_EQUAL_FATAL(
		    chan_send(&chan, IPC_REQUEST, &text, 20000, &(int){ 0 }, 1), 0);
	}
	CU_ASSERT_TRUE(chan.queued > 0);
	for (int i = 0; i < 1000 && got < sent; i++) {
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} c;
		struct iovec iov[2] = { { &h, sizeof(h) }, { &in, sizeof(in) } };
		struct msghdr mh = { .msg_iov = iov,
			.msg_iovlen = 2,
			.msg_control = c.buf,
			.msg_controllen = sizeof(c.buf) };
		struct cmsghdr *cm;
		ssize_t n = recvmsg(other, &mh, MSG_DONTWAIT);

		if (n < 0) {
			CU_ASSERT_EQUAL_FATAL(errno, EAGAIN);
			loop_turn(loop, 10);
			continue;
		}
		CU_ASSERT_EQUAL(n, sizeof(h) + 20000);
		CU_ASSERT_EQUAL(in.text[0], (char)got++);
		cm = CMSG_FIRSTHDR(&mh);
		if (cm != NULL) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
			with_fd += close(fd) == 0;
		}
	}
	CU_ASSERT_EQUAL(got, sent);
	CU_ASSERT_EQUAL(with_fd, sent);
	CU_ASSERT_EQUAL(chan.queued, 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(chan.watch.events, EPOLLIN); /* nobody is woken for nothing */
	close_both();
}

static void
the_end_is_told_once_after_all_that_was_sent(void)
{
	static uint8_t none[4];

	open_both();
	send_raw(IPC_ABI, IPC_GO, 4, none, 4, NULL, 0);
	send_raw(IPC_ABI, IPC_GO, 4, none, 4, NULL, 0);
	close(other);
	other = -1;
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 2);
	CU_ASSERT_EQUAL(ends, 1);
	CU_ASSERT_EQUAL(end_err, 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(ends, 1);
	CU_ASSERT_EQUAL(chan_send(&chan, IPC_READY, none, 4, NULL, 0), -EPIPE);
	close_both();
}

static void
a_handler_can_end_the_channel(void)
{
	static uint8_t none[4];

	open_both();
	answer = -EPROTO;
	send_raw(IPC_ABI, IPC_GO, 4, none, 4, NULL, 0);
	send_raw(IPC_ABI, IPC_GO, 4, none, 4, NULL, 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(ends, 1);
	CU_ASSERT_EQUAL(end_err, -EPROTO);
	close_both();
}

static void
a_handler_that_closes_the_channel_hears_no_more_of_it(void)
{
	static uint8_t none[4];

	open_both();
	send_raw(IPC_ABI, IPC_STOP, 4, none, 4, NULL, 0);
	send_raw(IPC_ABI, IPC_GO, 4, none, 4, NULL, 0);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(ends, 0);
	close_both();
}

static void
the_handler_gets_body_and_descriptors(void)
{
	char text[] = "{\"verb\":\"list\"}";
	int p[2];

	open_both();
	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	send_raw(IPC_ABI, IPC_REQUEST, sizeof(text), text, sizeof(text), p + 1, 1);
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(body_len, sizeof(text));
	CU_ASSERT_EQUAL(body_first, '{');
	CU_ASSERT_TRUE_FATAL(fd_got >= 0);
	CU_ASSERT_NOT_EQUAL(fcntl(fd_got, F_GETFD) & FD_CLOEXEC, 0);
	CU_ASSERT_EQUAL(write(fd_got, "x", 1), 1);
	close(fd_got);
	close(p[0]);
	close(p[1]);
	send_raw(IPC_ABI, IPC_REQUEST, 0, NULL, 0, &(int){ 0 }, 1); /* a text may be empty */
	loop_turn(loop, 0);
	CU_ASSERT_EQUAL(calls, 2);
	CU_ASSERT_EQUAL(body_len, 0);
	close(fd_got);
	close_both();
}

static void
types_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(ipc_name(IPC_START), "START");
	CU_ASSERT_STRING_EQUAL(ipc_name(IPC_LEFT), "LEFT");
	CU_ASSERT_STRING_EQUAL(ipc_name(IPC_TYPES), "?");
}

UNIT_MAIN("shared/ipc/chan", TEST(a_message_that_does_not_fit_its_rule_is_refused_and_counted),
    TEST(only_the_master_is_obeyed), TEST(descriptors_of_an_empty_message_are_closed),
    TEST(a_peer_that_does_not_read_costs_a_bounded_queue),
    TEST(what_waited_arrives_in_order_with_its_descriptors),
    TEST(the_end_is_told_once_after_all_that_was_sent), TEST(a_handler_can_end_the_channel),
    TEST(a_handler_that_closes_the_channel_hears_no_more_of_it),
    TEST(the_handler_gets_body_and_descriptors), TEST(types_have_names))
