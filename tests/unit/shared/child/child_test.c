#include "shared/child/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define DEADLINE_MS 60000
#define SLOT 3

/*
 * We are the master: `chan` is our end of the control socket of a child, in which child_main() runs with callbacks that write one letter each into
 * `told`.
 */
static int chan, told;
static pid_t pid;

/* --- in the child ------------------------------------------------------------------------ */

static int tell_fd;
static int start_err, go_err;

static void
tell(char what)
{
	if (write(tell_fd, &what, 1) != 1)
		abort();
}

static int
do_start(void)
{
	tell('s');
	return start_err;
}

static int
do_go(void)
{
	tell('g');
	return go_err;
}

static bool
do_turn(void)
{
	return false;
}

static int
do_check(const struct conf *next, char why[256])
{
	tell('?');
	if (next->inflight_max != 13)
		return 0;
	strcpy(why, "thirteen");
	return -EINVAL;
}

static void
do_commit(const struct conf *was)
{
	tell(was->number != self.conf.number ? 'c' : 'x');
}

static void
do_withdraw(void)
{
	tell('w');
}

static int
do_listener(const struct msg_listener *l, int fd)
{
	close(fd);
	tell(strlen(l->name) < sizeof(l->name) ? 'l' : 'x');
	return 0;
}

/* A test's way to have child_ready() called later. */
static void
do_listener_gone(uint32_t id)
{
	(void)id;
	child_ready();
}

static void
do_quarantine(const struct msg_quarantine *q)
{
	tell(q->n == 1 && strcmp(q->of[0].from, "::1") == 0 ? 'q' : 'x');
}

static void
do_blocks(int fd)
{
	close(fd);
	tell('b');
}

static void
do_block(const char *line, size_t len)
{
	tell(len == 3 && memcmp(line, "+{}", 3) == 0 ? 'k' : 'x');
}

static void
do_drain(const struct msg_drain *d)
{
	(void)d;
	tell('d');
}

static void
do_stop(void)
{
	tell('e');
	child_exit(0);
}

static void
do_request(const char *text, size_t len, int fd)
{
	close(fd);
	tell(len == 2 && memcmp(text, "{}", 2) == 0 ? 'r' : 'x');
}

static int
on_record(void *arg, unsigned from, unsigned type, struct span body)
{
	(void)arg;
	(void)from;
	(void)type;
	(void)body;
	return -EPROTO;
}

static void
on_slot(void *arg, unsigned slot)
{
	(void)arg;
	(void)slot;
}

static char exe[] = "tbmq-test", title[] = "test/3";
static char *args[] = { exe, title, NULL };

static const struct child kind = {
	.kind = PROC_MQTT,
	.mesh = { .on_record = on_record,
	    .on_up = on_slot,
	    .on_down = on_slot,
	    .on_room = on_slot },
	.start = do_start,
	.go = do_go,
	.on_turn = do_turn,
	.conf_check = do_check,
	.conf_commit = do_commit,
	.conf_withdraw = do_withdraw,
	.listener = do_listener,
	.listener_gone = do_listener_gone,
	.quarantine = do_quarantine,
	.blocks = do_blocks,
	.block = do_block,
	.drain = do_drain,
	.stop = do_stop,
	.request = do_request,
};

/* --- in the master ----------------------------------------------------------------------- */

static void
spawn(void)
{
	int sock[2], pipes[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int sock_fd = fcntl(sock[1], F_DUPFD_CLOEXEC, 10), code;

		tell_fd = fcntl(pipes[1], F_DUPFD_CLOEXEC, 10);
		close_range(3, 9, 0);
		if (dup2(sock_fd, CHILD_CHAN_FD) < 0 ||
		    dup2(open("/dev/null", O_RDWR), CHILD_LOCK_FD) < 0)
			_exit(99);
		close_range(sock_fd, sock_fd, 0);
		close_range((unsigned)tell_fd + 1, ~0u, 0);
		fcntl(CHILD_CHAN_FD, F_SETFL, O_NONBLOCK);
		code = child_main(&kind, 2, args);
		child_fini();
		_exit(code);
	}
	close(sock[1]);
	close(pipes[1]);
	chan = sock[0];
	told = pipes[0];
}

static int
exit_code(void)
{
	int status = 0;

	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	close(chan);
	close(told);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool
is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, DEADLINE_MS) == 1;
}

/* The next callback; '.' once the child has ended. */
static char
callback(void)
{
	char what;

	CU_ASSERT_TRUE_FATAL(is_readable(told));
	return read(told, &what, 1) == 1 ? what : '.';
}

static void
send_msg(enum ipc_type type, const void *body, size_t len, int fd)
{
	struct ipc_hdr h = { .abi = IPC_ABI, .type = (uint16_t)type, .len = (uint32_t)len };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)body, len } };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		mh.msg_control = c.buf;
		mh.msg_controllen = sizeof(c.buf);
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&c.align), &fd, sizeof(int));
	}
	CU_ASSERT_TRUE(sendmsg(chan, &mh, MSG_NOSIGNAL) > 0);
}

static void
send_none(enum ipc_type type)
{
	send_msg(type, &(struct msg_none){ 0 }, sizeof(struct msg_none), -1);
}

/* Type of the child's next message, IPC_TYPES at the end; its descriptors are closed. */
static unsigned
receive(void *body, size_t len)
{
	struct ipc_hdr h;
	struct iovec iov[2] = { { &h, sizeof(h) }, { body, len } };
	union {
		char buf[CMSG_SPACE(IPC_FDS * sizeof(int))];
		struct cmsghdr align;
	} c;
	struct msghdr mh = { .msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = c.buf,
		.msg_controllen = sizeof(c.buf) };
	struct cmsghdr *cmsg;

	CU_ASSERT_TRUE_FATAL(is_readable(chan));
	if (recvmsg(chan, &mh, MSG_CMSG_CLOEXEC) < (ssize_t)sizeof(h))
		return IPC_TYPES;
	cmsg = CMSG_FIRSTHDR(&mh);
	if (cmsg != NULL)
		for (size_t i = 0; i < (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
			close(((const int *)(const void *)CMSG_DATA(cmsg))[i]);
	return h.type;
}

static unsigned
receive_none(void)
{
	struct msg_none none;

	return receive(&none, sizeof(none));
}

static int
snapshot(uint64_t number, uint32_t inflight)
{
	struct conf c;
	int fd;

	conf_defaults(&c);
	c.number = number;
	c.inflight_max = inflight;
	fd = conf_snapshot(&c);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	return fd;
}

static void
send_start(uint32_t abi, uint32_t slot, int fd)
{
	struct msg_start m = { .abi = abi, .slot = slot, .gen = 1 };

	send_msg(IPC_START, &m, sizeof(m), fd);
	close(fd);
}

/* Until its segment has come and start() was called. */
static void
start(void)
{
	spawn();
	send_start(IPC_ABI, SLOT, snapshot(1, 100));
	CU_ASSERT_EQUAL(receive_none(), IPC_SEGMENT);
	CU_ASSERT_EQUAL(callback(), 's');
}

static void
offer(uint64_t number, int fd, struct msg_vote *vote)
{
	send_msg(IPC_CONF_OFFER, &(struct msg_conf){ number }, sizeof(struct msg_conf), fd);
	close(fd);
	memset(vote, 0, sizeof(*vote));
	CU_ASSERT_EQUAL(receive(vote, sizeof(*vote)), IPC_CONF_VOTE);
	CU_ASSERT_EQUAL(vote->number, number);
}

/* --- tests ------------------------------------------------------------------------------- */

static void
started_by_hand_it_says_so_and_ends_with_1(void)
{
	for (unsigned how = 0; how < 3; how++) {
		int err[2];
		char text[256] = "";

		CU_ASSERT_EQUAL_FATAL(pipe(err), 0);
		pid = fork();
		if (pid == 0) {
			int sock[2] = { -1, -1 };

			dup2(err[1], STDERR_FILENO);
			close_range(3, ~0u, 0);
			if (how > 0 &&
			    socketpair(AF_UNIX, how == 1 ? SOCK_STREAM : SOCK_SEQPACKET, 0, sock) !=
				0)
				_exit(99);
			_exit(child_main(&kind, how == 2 ? 1 : 2, args));
		}
		close(err[1]);
		chan = err[0];
		told = dup(err[0]);
		CU_ASSERT_TRUE(is_readable(err[0]));
		CU_ASSERT_TRUE(read(err[0], text, sizeof(text) - 1) > 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "is started by tbmqd"));
		CU_ASSERT_EQUAL(exit_code(), 1);
	}
}

static void
master_that_goes_ends_it_with_2(void)
{
	spawn();
	shutdown(chan, SHUT_RDWR);
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 2);

	start();
	shutdown(chan, SHUT_RDWR);
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 2);
}

static void
start_that_can_not_be_meant_ends_it(void)
{
	static const struct {
		uint32_t abi, slot;
	} wrong[] = { { IPC_ABI + 1, SLOT }, { IPC_ABI, SLOT_PERSIST }, { IPC_ABI, SLOTS },
		{ IPC_ABI, UINT32_MAX } };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		spawn();
		send_start(wrong[i].abi, wrong[i].slot, snapshot(1, 100));
		CU_ASSERT_EQUAL(callback(), '.');
		CU_ASSERT_EQUAL(exit_code(), 2);
	}
	start();
	send_start(IPC_ABI, SLOT, snapshot(1, 100)); /* a second one */
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 2);
}

static void
snapshot_that_can_not_be_used_ends_it_with_1(void)
{
	spawn();
	send_start(IPC_ABI, SLOT, open("/dev/null", O_RDONLY));
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 1);
}

static void
kind_that_can_not_start_or_go_ends_it_with_1(void)
{
	start_err = -ENOMEM;
	start();
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 1);
	start_err = 0;

	go_err = -EIO;
	start();
	send_none(IPC_GO);
	CU_ASSERT_EQUAL(callback(), 'g');
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 1);
	go_err = 0;
}

static void
stop_before_start_ends_it_with_0(void)
{
	spawn();
	send_none(IPC_STOP);
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 0);
}

static void
what_comes_before_start_is_let_go(void)
{
	struct msg_listener l = { .id = 1 };

	spawn();
	send_msg(IPC_LISTENER, &l, sizeof(l), STDIN_FILENO);
	send_msg(IPC_REQUEST, "{}", 2, STDIN_FILENO);
	send_none(IPC_STOP);
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 0);
}

static void
only_term_and_int_are_a_stop(void)
{
	static const int sig[] = { SIGTERM, SIGINT };

	for (unsigned i = 0; i < 2; i++) {
		start();
		kill(pid, SIGHUP);
		kill(pid, SIGUSR1);
		send_msg(IPC_REQUEST, "{}", 2, STDIN_FILENO);
		CU_ASSERT_EQUAL(callback(), 'r'); /* it lives */
		kill(pid, sig[i]);
		CU_ASSERT_EQUAL(callback(), 'e');
		CU_ASSERT_EQUAL(exit_code(), 0);
	}
}

static void
ready_is_said_once_it_serves_and_not_before(void)
{
	go_err = -EAGAIN;
	start();
	send_none(IPC_GO);
	CU_ASSERT_EQUAL(callback(), 'g');
	send_msg(
	    IPC_LOG_LEVEL, &(struct msg_log_level){ .level = 3 }, sizeof(struct msg_log_level), -1);
	send_msg(IPC_REQUEST, "{}", 2, STDIN_FILENO);
	CU_ASSERT_EQUAL(callback(), 'r');
	CU_ASSERT_EQUAL(poll(&(struct pollfd){ .fd = chan, .events = POLLIN }, 1, 0), 0);
	send_msg(IPC_LISTENER_GONE, &(struct msg_listener){ 0 }, sizeof(struct msg_listener), -1);
	CU_ASSERT_EQUAL(receive_none(), IPC_READY);
	send_none(IPC_STOP);
	CU_ASSERT_EQUAL(callback(), 'e');
	CU_ASSERT_EQUAL(exit_code(), 0);
	go_err = 0;
}

static void
offers_are_voted_on_and_only_the_one_committed_is_switched_to(void)
{
	struct msg_vote vote;

	start();
	send_none(IPC_GO);
	CU_ASSERT_EQUAL(callback(), 'g');
	CU_ASSERT_EQUAL(receive_none(), IPC_READY);

	offer(2, open("/dev/null", O_RDONLY), &vote);
	CU_ASSERT_FALSE(vote.yes);
	CU_ASSERT_PTR_NOT_NULL(strstr(vote.why, "snapshot"));
	send_msg(IPC_CONF_COMMIT, &(struct msg_conf){ 2 }, sizeof(struct msg_conf), -1);

	offer(3, snapshot(3, 13), &vote);
	CU_ASSERT_EQUAL(callback(), '?');
	CU_ASSERT_FALSE(vote.yes);
	CU_ASSERT_STRING_EQUAL(vote.why, "thirteen");

	offer(4, snapshot(4, 50), &vote);
	CU_ASSERT_EQUAL(callback(), '?');
	CU_ASSERT_TRUE(vote.yes);
	send_msg(IPC_CONF_COMMIT, &(struct msg_conf){ 3 }, sizeof(struct msg_conf), -1);
	send_none(IPC_GO); /* a turn */
	offer(5, snapshot(5, 50), &vote);
	CU_ASSERT_EQUAL(callback(), 'w'); /* an offer ends the one before */
	CU_ASSERT_EQUAL(callback(), '?');
	send_msg(IPC_CONF_WITHDRAW, &(struct msg_conf){ 5 }, sizeof(struct msg_conf), -1);
	CU_ASSERT_EQUAL(callback(), 'w');

	offer(6, snapshot(6, 50), &vote);
	CU_ASSERT_EQUAL(callback(), '?');
	send_msg(IPC_CONF_COMMIT, &(struct msg_conf){ 6 }, sizeof(struct msg_conf), -1);
	CU_ASSERT_EQUAL(callback(), 'c');
	send_none(IPC_STOP);
	CU_ASSERT_EQUAL(callback(), 'e');
	CU_ASSERT_EQUAL(exit_code(), 0);
}

static void
what_is_for_workers_reaches_them(void)
{
	struct msg_listener l = { .id = 1, .index = CONF_LISTENERS };
	static const struct msg_quarantine q = { .n = 1, .of = { { .from = "::1" } } };
	struct msg_drain d = { .rate_milli = 1 };

	start();
	send_msg(IPC_LISTENER, &l, sizeof(l), STDIN_FILENO); /* no such listener: closed */
	l.index = 0;
	memset(l.name, 'n', sizeof(l.name)); /* without an end */
	send_msg(IPC_LISTENER, &l, sizeof(l), STDIN_FILENO);
	CU_ASSERT_EQUAL(callback(), 'l');
	send_msg(IPC_QUARANTINE, &q, sizeof(q), -1);
	CU_ASSERT_EQUAL(callback(), 'q');
	send_msg(IPC_BLOCKS, &(struct msg_none){ 0 }, sizeof(struct msg_none), STDIN_FILENO);
	CU_ASSERT_EQUAL(callback(), 'b');
	send_msg(IPC_BLOCK, "+{}", 3, -1);
	CU_ASSERT_EQUAL(callback(), 'k');
	send_msg(IPC_DRAIN, &d, sizeof(d), -1);
	CU_ASSERT_EQUAL(callback(), 'd');
	send_none(IPC_STOP);
	send_none(IPC_STOP); /* twice is once */
	CU_ASSERT_EQUAL(callback(), 'e');
	CU_ASSERT_EQUAL(callback(), '.');
	CU_ASSERT_EQUAL(exit_code(), 0);
}

UNIT_MAIN("shared/child/child", TEST(started_by_hand_it_says_so_and_ends_with_1),
    TEST(master_that_goes_ends_it_with_2), TEST(start_that_can_not_be_meant_ends_it),
    TEST(snapshot_that_can_not_be_used_ends_it_with_1),
    TEST(kind_that_can_not_start_or_go_ends_it_with_1), TEST(stop_before_start_ends_it_with_0),
    TEST(what_comes_before_start_is_let_go), TEST(only_term_and_int_are_a_stop),
    TEST(ready_is_said_once_it_serves_and_not_before),
    TEST(offers_are_voted_on_and_only_the_one_committed_is_switched_to),
    TEST(what_is_for_workers_reaches_them))
