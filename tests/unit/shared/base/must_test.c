#include "shared/base/must.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Runs must(false) in a child; its stderr goes to err. Gives the signal that ended it. */
static int
fail_in_child(char *sink, char *err, size_t room)
{
	int fds[2], status = 0;
	ssize_t n;

	if (pipe(fds) != 0)
		return -1;
	if (fork() == 0) {
		dup2(fds[1], STDERR_FILENO);
		if (sink != NULL)
			must_sink(sink);
		must(1 + 1 == 3);
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], err, room - 1);
	err[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	wait(&status);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
failing_ends_the_process_and_says_where_and_what(void)
{
	char err[512];

	CU_ASSERT_EQUAL(fail_in_child(NULL, err, sizeof(err)), SIGABRT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "must_test.c:"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "must(1 + 1 == 3)\n"));
}

static void
text_is_in_the_sink_after_the_end(void)
{
	char err[512];
	char *sink =
	    mmap(NULL, MUST_TEXT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_EQUAL(fail_in_child(sink, err, sizeof(err)), SIGABRT);
	CU_ASSERT_PTR_NOT_NULL(strstr(sink, "must(1 + 1 == 3)"));
	CU_ASSERT_EQUAL(strlen(sink) + 1, strlen(err));
	munmap(sink, MUST_TEXT_MAX);
}

static void
long_text_is_cut_to_the_room_of_the_sink(void)
{
	char name[600];
	char *sink = mmap(
	    NULL, MUST_TEXT_MAX * 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	if (fork() == 0) {
		close(STDERR_FILENO);
		must_sink(sink);
		must_failed("f.c", 1, name);
	}
	wait(&status);
	CU_ASSERT_EQUAL(strlen(sink), MUST_TEXT_MAX - 1);
	CU_ASSERT_EQUAL(sink[MUST_TEXT_MAX], 0);
	munmap(sink, MUST_TEXT_MAX * 2);
}

static void
holding_costs_nothing(void)
{
	int evaluated = 0;

	must(++evaluated == 1);
	CU_ASSERT_EQUAL(evaluated, 1);
}

UNIT_MAIN("shared/base/must", TEST(failing_ends_the_process_and_says_where_and_what),
    TEST(text_is_in_the_sink_after_the_end), TEST(long_text_is_cut_to_the_room_of_the_sink),
    TEST(holding_costs_nothing))
