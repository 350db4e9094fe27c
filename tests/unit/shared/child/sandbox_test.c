#include "shared/child/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/must.h"
#include "tests/unit/unit.h"

static char *words; /* the last of a child */
static pid_t parent;

/* In a process of its own that has entered the sandbox; the status of its end. */
static int
in_sandbox(enum proc_kind kind, void (*fn)(void))
{
	int status = 0;

	if (words == NULL)
		words = mmap(
		    NULL, MUST_TEXT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(words, 0, MUST_TEXT_MAX);
	parent = getpid();
	if (fork() == 0) {
		must_sink(words);
		if (sandbox_calls(kind) != 0)
			_exit(2);
		fn();
		_exit(0);
	}
	wait(&status);
	return status;
}

static bool
is_forbidden(enum proc_kind kind, void (*fn)(void), const char *call)
{
	int status = in_sandbox(kind, fn);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS &&
	    strstr(words, "forbidden system call") != NULL && strstr(words, call) != NULL;
}

static bool
is_allowed(enum proc_kind kind, void (*fn)(void))
{
	int status = in_sandbox(kind, fn);

	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
make_socket(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static void
kill_parent(void)
{
	kill(parent, 0);
}

static void
kill_itself(void)
{
	kill(getpid(), SIGKILL);
}

static void
execute_memory(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
take_the_handler_away(void)
{
	signal(SIGSYS, SIG_IGN);
	make_socket();
}

static void
hold_the_signal(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	make_socket();
}

static void *
socket_of_a_thread(void *unused)
{
	make_socket();
	return unused;
}

static void
work_in_memory(void)
{
	void *p = malloc(1 << 20);
	int fds[2] = { -1, -1 };

	free(p);
	if (p == NULL || dup2(0, 20) != 20 || fcntl(20, F_GETFL) < 0 || close(20) != 0 ||
	    write(fds[0], "x", 1) == 0)
		_exit(1);
}

static void
make_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, socket_of_a_thread, NULL) == 0)
		pthread_join(t, NULL);
}

static void
what_is_not_on_the_list_ends_it_with_its_name(void)
{
	CU_ASSERT_TRUE(is_forbidden(PROC_MQTT, make_socket, "socket"));
	CU_ASSERT_TRUE(is_forbidden(PROC_PERSIST, make_socket, "socket"));
}

static void
of_some_calls_some_uses_are_forbidden(void)
{
	int status;

	CU_ASSERT_TRUE(is_forbidden(PROC_MQTT, execute_memory, "mmap"));
	CU_ASSERT_TRUE(is_forbidden(PROC_MQTT, kill_parent, "kill"));
	status = in_sandbox(PROC_MQTT, kill_itself);
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
the_end_can_not_be_put_off(void)
{
	int status;

	CU_ASSERT_TRUE(is_forbidden(PROC_MQTT, take_the_handler_away, "rt_sigaction"));
	status = in_sandbox(PROC_MQTT, hold_the_signal); /* then it says nothing */
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void
threads_are_for_who_needs_them_and_bound_too(void)
{
	CU_ASSERT_TRUE(is_forbidden(PROC_PERSIST, make_thread, "socket"));
#if !defined(__SANITIZE_ADDRESS__) && !defined(TBMQ_COVERAGE)
	int status = in_sandbox(PROC_MQTT, make_thread); /* the library holds signals back there */

	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
#endif
}

static void
work_goes_on(void)
{
	CU_ASSERT_TRUE(is_allowed(PROC_MQTT, work_in_memory));
	CU_ASSERT_TRUE(is_allowed(PROC_PERSIST, work_in_memory));
}

static char inside[64], outside[64];

static void
use_files(void)
{
	const char *const dir[] = { inside, "", "/none/of/that" };
	char path[80];

	if (sandbox_files(dir, 3) != 0)
		_exit(1);
	snprintf(path, sizeof(path), "%s/file", inside);
	if (open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) < 0 || unlink(path) != 0)
		_exit(2);
	snprintf(path, sizeof(path), "%s/file", outside);
	if (open(path, O_RDWR | O_CREAT, 0600) >= 0 || errno != EACCES)
		_exit(3);
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		_exit(4);
	_exit(0);
}

static void
files_are_beneath_its_directories(void)
{
	int status = -1;

#if defined(__SANITIZE_ADDRESS__) || defined(TBMQ_COVERAGE)
	return; /* their runtime reads and writes what it likes */
#endif
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
		return;
	strcpy(inside, "/tmp/sandbox-XXXXXX");
	strcpy(outside, "/tmp/sandbox-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(inside));
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(outside));
	if (fork() == 0)
		use_files();
	wait(&status);
	CU_ASSERT_EQUAL(status, 0);
	rmdir(inside);
	CU_ASSERT_EQUAL(rmdir(outside), 0);
}

UNIT_MAIN("shared/child/sandbox", TEST(what_is_not_on_the_list_ends_it_with_its_name),
    TEST(of_some_calls_some_uses_are_forbidden), TEST(the_end_can_not_be_put_off),
    TEST(threads_are_for_who_needs_them_and_bound_too), TEST(work_goes_on),
    TEST(files_are_beneath_its_directories))
