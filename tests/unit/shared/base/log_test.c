#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/log_test.XXXXXX";
static char text[64 * 1024];

/* A new, empty log file. */
static void
start(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	log_init("mqtt/3");
	log_level_set(NULL, LOG_LEVEL_UNSET);
	log_to(LOG_TO_FD, fd);
}

static const char *
written(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static unsigned
lines(void)
{
	unsigned n = 0;

	for (const char *p = written(); (p = strchr(p, '\n')) != NULL; p++)
		n++;
	return n;
}

static void
client_text_cannot_forge_a_line(void)
{
	CU_ASSERT_STRING_EQUAL(
	    log_esc(span_str("a\nb\r\t\x1b[2J\x7f")), "a\\x0ab\\x0d\\x09\\x1b[2J\\x7f");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\"'\\")), "\\x22\\x27\\x5c");
	CU_ASSERT_STRING_EQUAL(log_esc(span_of("\0x", 2)), "\\x00x");
	/* A control character, a line separator, a change of direction. */
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xc2\x85")), "\\xc2\\x85");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xe2\x80\xa8")), "\\xe2\\x80\\xa8");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xe2\x80\xae")), "\\xe2\\x80\\xae");
}

static void
bytes_that_are_not_utf8_are_escaped(void)
{
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\x80")), "\\x80");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xc0\xaf")), "\\xc0\\xaf");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xe0\x80\x80")), "\\xe0\\x80\\x80");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xed\xa0\x80")), "\\xed\\xa0\\x80");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xf0\x80\x80\x80")), "\\xf0\\x80\\x80\\x80");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xf4\x90\x80\x80")), "\\xf4\\x90\\x80\\x80");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xf8")), "\\xf8");
	CU_ASSERT_STRING_EQUAL(log_esc(span_of("\xe2\x82\xac", 2)), "\\xe2\\x82");
	CU_ASSERT_STRING_EQUAL(log_esc(span_str("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")),
	    "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void
long_client_text_is_cut_at_a_whole_character(void)
{
	char in[LOG_ESC_MAX + 10];
	const char *out;

	memset(in, 1, sizeof(in));
	out = log_esc(span_of(in, sizeof(in)));
	CU_ASSERT_EQUAL(strlen(out), LOG_ESC_MAX * 4 + strlen("…"));
	memset(in, 'a', sizeof(in));
	memcpy(in + LOG_ESC_MAX - 1, "é", 2);
	out = log_esc(span_of(in, sizeof(in)));
	CU_ASSERT_EQUAL(strlen(out), LOG_ESC_MAX - 1 + strlen("…"));
	CU_ASSERT_STRING_EQUAL(out + LOG_ESC_MAX - 1, "…");
	out = log_esc(span_of(in, LOG_ESC_MAX - 1));
	CU_ASSERT_EQUAL(strlen(out), LOG_ESC_MAX - 1);
	CU_ASSERT_STRING_EQUAL(log_esc(span_of(NULL, 0)), "");
}

static void
eight_escaped_texts_live_side_by_side(void)
{
	const char *s[8];
	char in[2] = "0";

	for (int i = 0; i < 8; i++, in[0]++)
		s[i] = log_esc(span_str(in));
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(s[i][0], '0' + i);
}

static void
the_last_error_is_left_where_it_is_wanted(void)
{
	char last[12] = "";

	start();
	log_err_sink(last, sizeof(last));
	log_warning("conn: no error");
	CU_ASSERT_STRING_EQUAL(last, "");
	log_err("conn: first");
	log_err("conn: %s", "what is too long");
	CU_ASSERT_STRING_EQUAL(last, "conn: what ");
	log_err_sink(NULL, 0);
	log_err("conn: third");
	CU_ASSERT_STRING_EQUAL(last, "conn: what ");
	CU_ASSERT_EQUAL(lines(), 4);
}

static void
control_characters_in_a_message_become_blanks(void)
{
	start();
	log_notice("conn: first\nsecond\x1b");
	CU_ASSERT_EQUAL(lines(), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "first second \n"));
}

static void
line_too_long_is_cut_and_still_a_line(void)
{
	char long_text[LOG_LINE_MAX * 2];

	start();
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_notice("conn: %s", long_text);
	CU_ASSERT_EQUAL(lines(), 1);
	CU_ASSERT(strlen(text) <= LOG_LINE_MAX && strlen(text) > LOG_LINE_MAX - 8);
	/* Two-byte characters, once from an even and once from an odd place: none is cut in two. */
	for (size_t i = 0; i + 2 < sizeof(long_text); i += 2)
		memcpy(long_text + i, "é", 2);
	start();
	log_notice("conn: %s", long_text);
	log_notice("conn: x%s", long_text);
	CU_ASSERT_EQUAL(lines(), 2);
	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		CU_ASSERT_EQUAL((uint8_t)p[-1], 0xa9);
}

static void
full_pipe_is_counted_and_not_waited_for(void)
{
	int fds[2];
	uint64_t before = log_lost();
	unsigned n;

	start();
	CU_ASSERT_EQUAL(pipe2(fds, O_CLOEXEC), 0);
	log_to(LOG_TO_FD, fds[1]);
	for (n = 0; n < 100000 && log_lost() < before + 10; n++)
		log_notice("conn: more");
	CU_ASSERT_EQUAL(log_lost(), before + 10);
	close(fds[0]);
	start();
	log_notice("conn: again");
	CU_ASSERT_EQUAL(lines(), 1);
	CU_ASSERT_EQUAL(log_lost(), before + 10);
}

static void
bad_levels_are_refused(void)
{
	int level = 99;
	char name[16];

	CU_ASSERT_EQUAL(log_level_parse("Debug", &level), -EINVAL);
	CU_ASSERT_EQUAL(log_level_parse("", &level), -EINVAL);
	CU_ASSERT_EQUAL(log_level_parse("emerg", &level), -EINVAL);
	CU_ASSERT_EQUAL(level, 99);
	CU_ASSERT_EQUAL(log_level_parse("debug", &level), 0);
	CU_ASSERT_EQUAL(level, LOG_DEBUG);
	CU_ASSERT_EQUAL(log_level_set("conn", LOG_CRIT), -EINVAL);
	CU_ASSERT_EQUAL(log_level_set("conn", 8), -EINVAL);
	CU_ASSERT_EQUAL(log_level_set("a-module-name-of-24-bytes", LOG_ERR), -EINVAL);

	log_level_set(NULL, LOG_LEVEL_UNSET);
	for (int i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		CU_ASSERT_EQUAL(log_level_set(name, LOG_ERR), 0);
	}
	CU_ASSERT_EQUAL(log_level_set("one-more", LOG_ERR), -ENOSPC);
	CU_ASSERT_EQUAL(log_level_set("m7", LOG_DEBUG), 0);
	CU_ASSERT_EQUAL(log_level_set("m8", LOG_LEVEL_UNSET), 0);
	CU_ASSERT_EQUAL(log_level_set("one-more", LOG_ERR), 0);
	log_level_set(NULL, LOG_LEVEL_UNSET);
}

static void
say_all(void)
{
	log_debug("conn: debug of conn");
	log_debug("connect: debug of connect");
	log_info("route: info of route");
	log_notice("ring: notice of ring");
	log_err("ring: err of ring");
}

static void
levels_are_by_module_and_change_at_run_time(void)
{
	start();
	say_all();
	CU_ASSERT_EQUAL(lines(), 2);

	start();
	log_level_set("conn", LOG_DEBUG);
	log_level_set("ring", LOG_ERR);
	say_all();
	CU_ASSERT_EQUAL(lines(), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "debug of conn\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "err of ring\n"));

	start();
	log_level_set(NULL, LOG_DEBUG);
	say_all();
	CU_ASSERT_EQUAL(lines(), 5);

	start();
	log_level_set("conn", LOG_DEBUG);
	log_level_set("conn", LOG_LEVEL_UNSET);
	log_level_set("route-cache", LOG_DEBUG);
	say_all();
	CU_ASSERT_EQUAL(lines(), 2);
}

static void
arguments_of_a_call_that_is_off_are_not_evaluated(void)
{
	int n = 0;

	start();
	log_debug("conn: %d", ++n);
	CU_ASSERT_EQUAL(n, 0);
}

static void
log_every_holds_lines_back_and_tells_how_many(void)
{
	struct timespec nap = { .tv_sec = 1, .tv_nsec = 50000000 };

	start();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++)
			log_every(1, LOG_WARNING, "ring: full round=%d", round);
		if (round == 0)
			nanosleep(&nap, NULL);
	}
	CU_ASSERT_EQUAL(lines(), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ring: full round=0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ring: full round=1 held=4\n"));
}

static void
line_has_time_level_and_ident(void)
{
	int year, month, day, hour, minute, second, ms, at = 0;

	start();
	log_notice("conn: accepted id=%d", 7);
	CU_ASSERT_EQUAL(sscanf(written(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day,
			    &hour, &minute, &second, &ms, &at),
	    7);
	CU_ASSERT_EQUAL(at, 25);
	CU_ASSERT_STRING_EQUAL(text + at, "notice mqtt/3: conn: accepted id=7\n");
}

static void
errno_is_kept_and_can_be_shown(void)
{
	start();
	errno = ENOENT;
	log_err("conf: %m");
	CU_ASSERT_EQUAL(errno, ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(written(), "conf: No such file or directory\n"));
	errno = EPERM;
	start();
	CU_ASSERT_EQUAL(errno, EPERM);
}

static void *
log_a_thousand(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		log_notice("t: %s", (const char *)arg);
		if (i % 100 == 0)
			log_level_set("t", i % 200 == 0 ? LOG_DEBUG : LOG_NOTICE);
	}
	return NULL;
}

static void
lines_of_threads_stay_whole_while_the_log_is_reopened(void)
{
	static char a[] = "aaaaaaaaaaaaaaaa", b[] = "bbbbbbbbbbbbbbbb";
	pthread_t t[2];
	unsigned whole = 0;

	start();
	pthread_create(&t[0], NULL, log_a_thousand, a);
	pthread_create(&t[1], NULL, log_a_thousand, b);
	for (int i = 0; i < 50; i++)
		log_to(LOG_TO_FD, open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	CU_ASSERT_EQUAL(log_lost(), 10); /* from the full pipe above */
	/* Only the first part of the file is read back: every line of it is one of two. */
	written();
	for (char *p = text, *end; (end = strchr(p, '\n')) != NULL; p = end + 1, whole++) {
		*end = '\0';
		if (strlen(p) < 20 || (strcmp(end - 16, a) != 0 && strcmp(end - 16, b) != 0))
			CU_FAIL("a mixed line");
	}
	CU_ASSERT(whole > 500);
	unlink(path);
}

static void
stderr_is_the_default(void)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char line[256] = "";

	CU_ASSERT_EQUAL(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	log_init("master");
	log_notice("main: hello");
	dup2(saved, STDERR_FILENO);
	CU_ASSERT(read(fds[0], line, sizeof(line) - 1) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "Z notice master: main: hello\n"));
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void
journal_gets_the_priority_and_no_time(void)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char line[256] = "", name[64];
	struct stat st;

	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	dup2(fds[1], STDERR_FILENO);
	fstat(STDERR_FILENO, &st);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_init("master");
	log_warning("main: hello");
	dup2(saved, STDERR_FILENO);
	CU_ASSERT(read(fds[0], line, sizeof(line) - 1) > 0);
	CU_ASSERT_STRING_EQUAL(line, "<4>master: main: hello\n");
	unsetenv("JOURNAL_STREAM");
	log_init("master");
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void
list_of_modules_that_is_none_is_refused(void)
{
	static const char *const bad[] = { "conn", "conn=", "=info", "conn=loud", "conn=info,route",
		"conn=debugging-it-all", "a-module-name-of-24-bytes=info", "conn=info=debug" };
	char many[33 * 8] = "";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(!log_modules_are_valid(bad[i]));
	for (unsigned i = 0; i < 33; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "m%u=err ", i);
	CU_ASSERT(!log_modules_are_valid(many));
	CU_ASSERT(log_modules_are_valid(""));
	CU_ASSERT(log_modules_are_valid(" conn=debug, route=info,"));
}

static void
list_of_modules_replaces_all_levels(void)
{
	const char *module;
	int level;

	start();
	log_level_set("old", LOG_DEBUG);
	log_levels_set(LOG_WARNING, "conn=debug,route=info");
	CU_ASSERT(log_level_get(0, &module, &level));
	CU_ASSERT_STRING_EQUAL(module, "");
	CU_ASSERT_EQUAL(level, LOG_WARNING);
	CU_ASSERT(log_level_get(1, &module, &level));
	CU_ASSERT_STRING_EQUAL(module, "conn");
	CU_ASSERT_EQUAL(level, LOG_DEBUG);
	CU_ASSERT(log_level_get(2, &module, &level));
	CU_ASSERT_STRING_EQUAL(module, "route");
	CU_ASSERT(!log_level_get(3, &module, &level));
	log_debug("conn: yes");
	log_info("old: no");
	CU_ASSERT_EQUAL(lines(), 1);
}

UNIT_MAIN("shared/base/log", TEST(stderr_is_the_default),
    TEST(journal_gets_the_priority_and_no_time), TEST(client_text_cannot_forge_a_line),
    TEST(bytes_that_are_not_utf8_are_escaped), TEST(long_client_text_is_cut_at_a_whole_character),
    TEST(eight_escaped_texts_live_side_by_side), TEST(the_last_error_is_left_where_it_is_wanted),
    TEST(control_characters_in_a_message_become_blanks),
    TEST(line_too_long_is_cut_and_still_a_line), TEST(full_pipe_is_counted_and_not_waited_for),
    TEST(bad_levels_are_refused), TEST(list_of_modules_that_is_none_is_refused),
    TEST(list_of_modules_replaces_all_levels), TEST(levels_are_by_module_and_change_at_run_time),
    TEST(arguments_of_a_call_that_is_off_are_not_evaluated),
    TEST(log_every_holds_lines_back_and_tells_how_many), TEST(line_has_time_level_and_ident),
    TEST(errno_is_kept_and_can_be_shown),
    TEST(lines_of_threads_stay_whole_while_the_log_is_reopened))
