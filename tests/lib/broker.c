#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

#define RESTS 40 /* polls that a counter has not changed in */

struct broker broker;

static int64_t *moved;

static void
dir_make(void)
{
	const char *tmp = getenv("TMPDIR"), *bin = getenv("TBMQ_BIN");

	if (broker.dir[0] != '\0')
		return;
	snprintf(broker.dir, sizeof(broker.dir), "%s/tbmq-scenario-XXXXXX",
	    tmp != NULL && strlen(tmp) < 80 ? tmp : "/tmp");
	check(mkdtemp(broker.dir) != NULL);
	snprintf(broker.bin, sizeof(broker.bin), "%s", bin != NULL ? bin : "build/bin");
}

int
broker_ctl(const char *out_file, const char *const *args)
{
	char exe[300], err[200];
	const char *argv[64] = { exe, "--dir", broker.dir };
	int n = broker.installed ? 1 : 3, status;
	pid_t pid;

	dir_make();
	snprintf(exe, sizeof(exe), "%s/tbmqctl", broker.bin);
	snprintf(err, sizeof(err), "%s/err", broker.dir);
	while (*args != NULL && n < 63)
		argv[n++] = *args++;
	argv[n] = NULL;
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		int fd = open(out_file != NULL ? out_file : err,
		    O_WRONLY | O_CREAT | (out_file != NULL ? O_TRUNC : O_APPEND), 0600);
		int errfd = open(err, O_WRONLY | O_CREAT | O_APPEND, 0600);

		alarm(0);
		dup2(fd, 1);
		dup2(errfd, 2);
		execv(exe, (char *const *)argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

char *
broker_ctl_text(const char *const *args)
{
	static char *text;
	char path[200];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/out", broker.dir);
	check(broker_ctl(path, args) == 0);
	f = fopen(path, "r");
	free(text);
	text = malloc(1 << 22);
	check(f != NULL && text != NULL);
	n = fread(text, 1, (1 << 22) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

int
broker_sh(const char *commands)
{
	char ctl[460], text[1200], port[16];
	int status;

	dir_make();
	snprintf(ctl, sizeof(ctl), "%s/tbmqctl%s%s", broker.bin, broker.installed ? "" : " --dir ",
	    broker.installed ? "" : broker.dir);
	snprintf(text, sizeof(text), "exec >>$DIR/err 2>&1\n%s", commands);
	check(strlen(text) < sizeof(text) - 1);
	setenv("DIR", broker.dir, 1);
	setenv("BIN", broker.bin, 1);
	setenv("CTL", ctl, 1);
	snprintf(port, sizeof(port), "%d", broker.port);
	setenv("BROKER_PORT", port, 1);
	status = system(text);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static json_t *
status_json_text(const char *const *args)
{
	char *text = broker_ctl_text(args);
	json_t *j = json_loads(text, 0, NULL);

	check(j != NULL);
	return j;
}

static json_t *
status(void)
{
	return status_json_text((const char *[]){ "status", "--json", NULL });
}

void
broker_start_with(int n, const char *const *settings)
{
	const char *args[60] = { "start", "--port", "0" };
	char count[16];
	int a = 3;

	dir_make();
	snprintf(count, sizeof(count), "%d", n);
	if (n > 0) {
		args[a++] = "--workers";
		args[a++] = count;
	}
	for (; settings != NULL && *settings != NULL && a < 57; settings++) {
		args[a++] = "--set";
		args[a++] = *settings;
	}
	args[a] = NULL;
	if (broker_ctl(NULL, args) != 0)
		fail("the broker does not start");
	broker_adopt();
}

void
broker_preload(const char *kind, const char *library)
{
	char commands[900];

	snprintf(commands, sizeof(commands),
	    "mkdir $DIR/bin && cp $BIN/tbmq* $BIN/../lib%s.so $DIR/bin && cd $DIR/bin\n"
	    "mv tbmq-%s %s\n"
	    "echo '#!/bin/sh' >tbmq-%s\n"
	    "echo export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 >>tbmq-%s\n"
	    "echo export LD_PRELOAD=$PWD/lib%s.so >>tbmq-%s\n"
	    "echo exec $PWD/%s '\"$@\"' >>tbmq-%s\n"
	    "chmod +x tbmq-%s",
	    library, kind, kind, kind, kind, library, kind, kind, kind, kind);
	check(broker_sh(commands) == 0);
	snprintf(broker.bin, sizeof(broker.bin), "%s/bin", broker.dir);
}

void
broker_adopt(void)
{
	json_t *j = status();

	broker.runs = true;
	broker.port =
	    (int)json_integer_value(json_object_get(json_object_get(j, "broker"), "port"));
	broker.pid = (int)json_integer_value(json_object_get(json_object_get(j, "broker"), "pid"));
	json_decref(j);
	check(broker.port > 0 && broker.pid > 0);
}

static bool
file_has(const char *path, const char *text)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen(path, "r");

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

bool
broker_log_has(const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/log/tbmq.log", broker.dir);
	return file_has(path, text);
}

static void
look_for_reports(void)
{
	static const char *const bad[] = { "must(", "AddressSanitizer", "LeakSanitizer",
		"runtime error:", "did not end when asked" };
	static const char *const file[] = { "log/tbmq.log", "err" };
	char path[200];

	for (size_t f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			snprintf(path, sizeof(path), "%s/%s", broker.dir, file[f]);
			if (file_has(path, bad[i]))
				fail("%s says \"%s\"", path, bad[i]);
		}
}

void
broker_stop(void)
{
	json_t *j = status(), *p;
	int restarts = 0;
	size_t i;

	json_array_foreach(json_object_get(j, "processes"), i, p)
		restarts += (int)json_integer_value(json_object_get(p, "restarts"));
	json_decref(j);
	if (restarts != broker.deaths)
		fail("%d processes died, %d were expected to", restarts, broker.deaths);
	if (ctl("stop") != 0)
		fail("the broker does not stop");
	broker.runs = false;
	broker.deaths = 0;
	look_for_reports();
}

void
broker_expect_death(void)
{
	broker.deaths++;
}

/* The caller's reference; NULL if there is no such process. */
static json_t *
process_field(const char *title, const char *field)
{
	json_t *j = status(), *p, *v = NULL;
	size_t i;

	json_array_foreach(json_object_get(j, "processes"), i, p)
		if (strcmp(json_string_value(json_object_get(p, "name")), title) == 0)
			v = json_incref(json_object_get(p, field));
	json_decref(j);
	return v;
}

static int
process_number(const char *title, const char *field)
{
	json_t *v = process_field(title, field);
	int n = (int)json_integer_value(v);

	json_decref(v);
	return n;
}

int
broker_pid_of(const char *title)
{
	return process_number(title, "pid");
}

int
broker_generation(const char *title)
{
	return process_number(title, "generation");
}

bool
broker_is(const char *title, const char *state)
{
	json_t *v = process_field(title, "state");
	bool is = v != NULL && strcmp(json_string_value(v), state) == 0;

	json_decref(v);
	return is;
}

long
broker_counter(const char *name)
{
	json_t *j = status_json_text((const char *[]){ "status", "--counters", "--json", NULL });
	json_t *v = json_object_get(json_object_get(j, "counters"), name);
	long n;

	if (v == NULL)
		fail("no counter %s", name);
	n = (long)json_integer_value(v);
	json_decref(j);
	return n;
}

void
broker_counter_rests(const char *name)
{
	long last = -1;
	int same = 0;

	while (same < RESTS) {
		long now = broker_counter(name);

		same = now == last && now > 0 ? same + 1 : 0;
		last = now;
		nap();
	}
}

void
broker_kill(const char *title, int sig)
{
	int pid = broker_pid_of(title);

	check(pid > 0);
	broker_expect_death();
	check(kill(pid, sig) == 0);
	wait_for(broker_pid_of(title) != pid);
}

static bool
all_ready(void)
{
	json_t *j = status(), *p;
	bool ready = true;
	size_t i;

	json_array_foreach(json_object_get(j, "processes"), i, p)
		ready &= strcmp(json_string_value(json_object_get(p, "state")), "ready") == 0;
	json_decref(j);
	return ready;
}

void
broker_kill_all(void)
{
	json_t *j = status(), *p;
	size_t i;
	int pid[128], n = 0;

	json_array_foreach(json_object_get(j, "processes"), i, p)
		pid[n++] = (int)json_integer_value(json_object_get(p, "pid"));
	json_decref(j);
	while (n > 0)
		if (pid[--n] > 0)
			kill(pid[n], SIGKILL);
	broker.runs = false;
	wait_for(ctl("status") == 3);
}

void
broker_wait_ready(void)
{
	wait_for(all_ready());
}

void
broker_conf(const char *from, const char *to)
{
	char path[200], next[220], line[4096];
	FILE *in, *out;
	bool found = false;

	snprintf(path, sizeof(path), "%s/tbmq.conf", broker.dir);
	snprintf(next, sizeof(next), "%s.edit", path);
	in = fopen(path, "r");
	out = fopen(next, "w");
	check(in != NULL && out != NULL);
	while (fgets(line, sizeof(line), in) != NULL) {
		if (!found && strstr(line, from) != NULL) {
			fprintf(out, "%s\n", to);
			found = true;
		} else {
			fputs(line, out);
		}
	}
	fclose(in);
	fclose(out);
	if (!found)
		fail("no line with \"%s\" in the configuration", from);
	check(rename(next, path) == 0);
}

void
broker_reload(const char *from, const char *fmt, ...)
{
	char to[256];
	va_list ap;

	va_start(ap, fmt);
	check((size_t)vsnprintf(to, sizeof(to), fmt, ap) < sizeof(to));
	va_end(ap);
	broker_conf(from, to);
	check(ctl("reload") == 0);
}

void
broker_rules(const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/acl", broker.dir);
	f = fopen(path, "we");
	check(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
	broker_reload("acl_file =", "acl_file = \"%s\";", path);
}

void
clock_move(int64_t ms)
{
	char path[200];
	int fd;

	dir_make();
	if (moved == NULL) {
		snprintf(path, sizeof(path), "%s/clock", broker.dir);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		check(fd >= 0 && ftruncate(fd, sizeof(*moved)) == 0);
		moved = mmap(NULL, sizeof(*moved), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		check(moved != MAP_FAILED);
		close(fd);
		setenv("TBMQ_TEST_CLOCK", path, 1);
	}
	__atomic_add_fetch(moved, ms, __ATOMIC_SEQ_CST);
}
