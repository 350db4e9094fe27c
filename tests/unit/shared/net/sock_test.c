#include "shared/net/sock.h"

#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct sock_addr
addr(const char *text, uint16_t port)
{
	struct sock_addr a;

	CU_ASSERT_EQUAL_FATAL(sock_addr_parse(text, port, &a), 0);
	return a;
}

static int
connect_to(const struct sock_addr *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, &a->sa, a->len) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool
has_ipv6(void)
{
	struct sock_addr a = addr("::1", 0);

	return sock_probe(&a) == 0;
}

static void
names_and_rubbish_are_no_addresses(void)
{
	static const char *const texts[] = { "", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.4 ",
		"256.1.1.1", "::1%lo", "[::1]", "**", ":::" };
	struct sock_addr a = { .len = 7 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_EQUAL(sock_addr_parse(texts[i], 1883, &a), -EINVAL);
	CU_ASSERT_EQUAL(a.len, 7); /* written only on success */
}

static void
addresses_print_as_they_are_written(void)
{
	static const char *const texts[][2] = { { "127.0.0.1", "127.0.0.1:1883" },
		{ "0.0.0.0", "0.0.0.0:1883" }, { "::1", "[::1]:1883" }, { "*", "[::]:1883" },
		{ "2001:db8::1", "[2001:db8::1]:1883" }, { "::ffff:1.2.3.4", "1.2.3.4:1883" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1883" } };
	char out[SOCK_TEXT_MAX];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sock_addr a = addr(texts[i][0], 1883);

		sock_addr_text(&a, out);
		CU_ASSERT_STRING_EQUAL(out, texts[i][1]);
		CU_ASSERT_EQUAL(sock_addr_port(&a), 1883);
	}
}

/* SO_REUSEPORT alone would let two brokers of one user share a port without a word. */
static void
a_port_that_another_instance_has_is_not_free(void)
{
	struct sock_addr a = addr("127.0.0.1", 0), b;
	int fd, more, status = 1;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &fd), 0);
	CU_ASSERT_NOT_EQUAL(sock_addr_port(&a), 0);
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(sock_probe(&a) == -EADDRINUSE ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(sock_probe(&a), -EADDRINUSE);
	/* By another name neither. */
	b = addr("0.0.0.0", sock_addr_port(&a));
	CU_ASSERT_EQUAL(sock_probe(&b), -EADDRINUSE);
	if (has_ipv6()) {
		b = addr("*", sock_addr_port(&a));
		CU_ASSERT_EQUAL(sock_probe(&b), -EADDRINUSE);
	}
	/* The next worker's socket goes beside it. */
	CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &more), 0);
	close(more);
	close(fd);
	CU_ASSERT_EQUAL(sock_probe(&a), 0);
	CU_ASSERT_EQUAL(sock_probe(&a), 0); /* and holds nothing itself */
}

static void
a_port_bound_by_any_other_program_is_not_free(void)
{
	struct sock_addr a = addr("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;

	CU_ASSERT_EQUAL_FATAL(bind(fd, &a.sa, a.len), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, &a.sa, &a.len), 0);
	CU_ASSERT_EQUAL(sock_probe(&a), -EADDRINUSE);
	CU_ASSERT_EQUAL(sock_listen(&a, 1, &other), -EADDRINUSE);
	close(fd);
}

/* The side that closes first keeps the address for a minute: a restart must not wait for that. */
static void
connections_of_the_past_do_not_occupy_a_port(void)
{
	struct sock_addr a = addr("127.0.0.1", 0);
	int fd, client, server;
	char byte;

	CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &fd), 0);
	client = connect_to(&a);
	CU_ASSERT_TRUE_FATAL(client >= 0);
	server = accept(fd, NULL, NULL);
	CU_ASSERT_TRUE_FATAL(server >= 0);
	close(server);
	CU_ASSERT_EQUAL(read(client, &byte, 1), 0);
	close(client);
	close(fd);
	CU_ASSERT_EQUAL(sock_probe(&a), 0);
	CU_ASSERT_EQUAL(sock_listen(&a, 16, &fd), 0);
	close(fd);
}

static void
an_address_of_another_machine_is_refused(void)
{
	struct sock_addr a = addr("192.0.2.1", 0); /* reserved for documentation */
	int fd = -7;

	CU_ASSERT_EQUAL(sock_probe(&a), -EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(sock_listen(&a, 16, &fd), -EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(fd, -7);
}

static void
a_listening_socket_is_as_promised(void)
{
	struct sock_addr a = addr("127.0.0.1", 0);
	int fd, on = 0;
	socklen_t n = sizeof(on);

	CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &fd), 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT_EQUAL(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &n), 0);
	CU_ASSERT_EQUAL(on, 1);
	CU_ASSERT_TRUE(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
	close(fd);
}

static void
the_star_takes_both_families_and_an_address_one(void)
{
	struct sock_addr a = addr("*", 0), v4, v6;
	int fd, client;

	CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &fd), 0);
	v4 = addr("127.0.0.1", sock_addr_port(&a));
	v6 = addr("::1", sock_addr_port(&a));
	CU_ASSERT_TRUE((client = connect_to(&v4)) >= 0);
	close(client);
	if (has_ipv6()) {
		CU_ASSERT_TRUE((client = connect_to(&v6)) >= 0);
		close(client);
		close(fd);
		a = addr("::1", 0);
		CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &fd), 0);
		v4 = addr("127.0.0.1", sock_addr_port(&a));
		CU_ASSERT_TRUE(connect_to(&v4) < 0);
	}
	close(fd);
}

static void
clients_send_at_once_and_leave_little_in_the_kernel(void)
{
	struct sock_addr a = addr("127.0.0.1", 0);
	struct pollfd p = { .events = POLLIN };
	int fd, far, client, v = 0;
	socklen_t n = sizeof(v);

	CU_ASSERT_EQUAL_FATAL(sock_listen(&a, 16, &fd), 0);
	far = connect_to(&a);
	p.fd = fd;
	CU_ASSERT_EQUAL(poll(&p, 1, 5000), 1);
	client = accept(fd, NULL, NULL);
	CU_ASSERT_EQUAL(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &v, &n), 0);
	CU_ASSERT_EQUAL(v, 1);
	CU_ASSERT_EQUAL(getsockopt(client, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &v, &n), 0);
	CU_ASSERT_TRUE(v > 0 && v <= 32768);
	close(far);
	close(client);
	close(fd);
}

/* --- local sockets ----------------------------------------------------------------------- */

static char dir[] = "/tmp/sock_test.XXXXXX";

static void
a_path_that_is_too_long_is_refused(void)
{
	char path[300];
	int fd;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(sock_unix_listen(path, 0600, 8, &fd), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(sock_unix_connect(path, &fd), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(sock_unix_connect("/nonexistent/socket", &fd), -ENOENT);
}

static void
what_is_no_socket_is_left_alone(void)
{
	char path[64];
	struct stat st;
	int fd;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(write(fd, "precious", 8), 8);
	close(fd);
	CU_ASSERT_EQUAL(sock_unix_listen(path, 0600, 8, &fd), -EEXIST);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 8);
	unlink(path);
}

static void
a_live_socket_is_refused_and_a_stale_one_replaced(void)
{
	mode_t mask = umask(022);
	char path[64];
	struct stat st;
	int fd, other, client;

	snprintf(path, sizeof(path), "%s/socket", dir);
	CU_ASSERT_EQUAL_FATAL(sock_unix_listen(path, 0660, 8, &fd), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0660);
	CU_ASSERT_EQUAL(umask(mask), 022); /* as it was */
	CU_ASSERT_EQUAL(sock_unix_listen(path, 0660, 8, &other), -EADDRINUSE);
	CU_ASSERT_EQUAL_FATAL(sock_unix_connect(path, &client), 0);
	CU_ASSERT_EQUAL(fcntl(client, F_GETFD), FD_CLOEXEC);
	close(client);
	close(fd); /* as a killed process leaves it: the file stays */
	CU_ASSERT_EQUAL(sock_unix_connect(path, &client), -ECONNREFUSED);
	CU_ASSERT_EQUAL_FATAL(sock_unix_listen(path, 0600, 8, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(sock_unix_connect(path, &client), 0);
	close(client);
	close(fd);
	unlink(path);
}

/* Who serves it is so slow that nobody more may wait: that must not be waited for, nor taken for nobody. */
static void
a_socket_with_a_full_backlog_is_served(void)
{
	int fd, other, client[20];
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/socket", dir);
	CU_ASSERT_EQUAL_FATAL(sock_unix_listen(path, 0600, 1, &fd), 0);
	for (; n < 20; n++) {
		struct sock_addr a;

		CU_ASSERT_EQUAL_FATAL(sock_unix_addr(path, &a), 0);
		client[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(client[n], &a.sa, a.len) != 0)
			break;
	}
	CU_ASSERT_TRUE_FATAL(n < 20 && errno == EAGAIN);
	CU_ASSERT_EQUAL(sock_unix_listen(path, 0600, 1, &other), -EADDRINUSE);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	for (size_t i = 0; i <= n; i++)
		close(client[i]);
	close(fd);
	unlink(path);
}

static void
a_peer_of_a_unix_socket_is_its_user_and_process(void)
{
	char path[64], text[SOCK_TEXT_MAX], want[SOCK_TEXT_MAX];
	struct sock_addr from = { .len = sizeof(from.ss) };
	int fd, client, far;

	snprintf(path, sizeof(path), "%s/socket", dir);
	CU_ASSERT_EQUAL_FATAL(sock_unix_listen(path, 0600, 1, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(sock_unix_connect(path, &client), 0);
	far = accept4(fd, &from.sa, &from.len, SOCK_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(far >= 0);
	sock_peer_text(far, &from, text);
	snprintf(want, sizeof(want), "unix:%u:%d", geteuid(), (int)getpid());
	CU_ASSERT_STRING_EQUAL(text, want);
	CU_ASSERT_EQUAL(sock_addr_port(&from), 0);
	close(far);
	close(client);
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void
the_host_of_a_text_is_what_is_before_the_port(void)
{
	static const char *const texts[][2] = {
		{ "127.0.0.1:1883", "127.0.0.1" },
		{ "[2001:db8::1]:1883", "[2001:db8::1]" },
		{ "local", "local" },
		{ "unix:1000:4321", "unix:1000" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_TRUE(span_eq(sock_text_host(texts[i][0]), span_str(texts[i][1])));
}

UNIT_MAIN("shared/net/sock", TEST(the_host_of_a_text_is_what_is_before_the_port),
    TEST(names_and_rubbish_are_no_addresses), TEST(addresses_print_as_they_are_written),
    TEST(a_port_that_another_instance_has_is_not_free),
    TEST(a_port_bound_by_any_other_program_is_not_free),
    TEST(connections_of_the_past_do_not_occupy_a_port),
    TEST(an_address_of_another_machine_is_refused), TEST(a_listening_socket_is_as_promised),
    TEST(the_star_takes_both_families_and_an_address_one),
    TEST(clients_send_at_once_and_leave_little_in_the_kernel),
    TEST(a_path_that_is_too_long_is_refused), TEST(what_is_no_socket_is_left_alone),
    TEST(a_live_socket_is_refused_and_a_stale_one_replaced),
    TEST(a_socket_with_a_full_backlog_is_served),
    TEST(a_peer_of_a_unix_socket_is_its_user_and_process))
