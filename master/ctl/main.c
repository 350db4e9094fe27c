/*
 * tbmqctl - starts, stops, watches and changes a broker; see its --help
 *
 * Every command is a row of commands.def, which tells what it takes (args.c) and from which help is made (help.c). Most
 * are requests on the broker's control socket (shared/child/request.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "master/ctl/ctl.h"
#include "master/ctl/machine.h"
#include "shared/ipc/proc.h"
#include "shared/net/conf_files.h"
#include "shared/net/exposed.h"
#include "shared/base/clock.h"

#define STOP_MS 30000 /* children have 10 s each: workers, then persist */
#define NAP_MS 20

struct ctl ctl;

static command_fn cmd_start, cmd_stop, cmd_restart, cmd_status, cmd_reload, cmd_version,
    cmd_config_check, cmd_config_show, cmd_config_diff, cmd_config_apply, cmd_config_confirm,
    cmd_config_rollback, cmd_config_sample, cmd_log_level, cmd_worker_restart, cmd_drain,
    cmd_client_list, cmd_client_show, cmd_client_kick, cmd_client_clear, cmd_subscription_list,
    cmd_retained_list, cmd_retained_show, cmd_retained_clear, cmd_quarantine_list,
    cmd_quarantine_clear;

static command_fn *const run_command[COMMANDS] = {
#define C(id, ...) [CMD_##id] = cmd_##id,
#include "master/ctl/commands.def"
};

/* --- life -------------------------------------------------------------------------------- */

bool
ctl_has_service(void)
{
	return !ctl.dirs.is_private && access("/run/systemd/system", F_OK) == 0 &&
	    machine_has_unit("", CTL_UNIT);
}

static int
run(char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return FAILED;
	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) != NULL) /* it is for our own answer */
			execvp(argv[0], argv);
		fprintf(stderr, "tbmqctl: cannot run %s: %s\n", argv[0], strerror(errno));
		_exit(FAILED);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

/* Its exit codes are others than ours. */
static int
service(const char *verb)
{
	char *const argv[] = { (char *)"systemctl", (char *)verb, (char *)CTL_UNIT, NULL };

	return run(argv) == 0
	    ? DONE
	    : ctl_complain(FAILED,
		  "the service manager could not %s tbmq.service; see `journalctl -u tbmq.service`",
		  verb);
}

/* The lock is held by the master and all its children. */
static bool
has_ended(void)
{
	int fd = open(ctl.dirs.lock, O_RDONLY | O_CLOEXEC);
	bool free_now = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (fd >= 0)
		close(fd);
	return free_now;
}

static int
say_running(const char *how)
{
	json_t *answer, *broker;
	int code;

	answer = ctl_answer(ctl_request("status", "broker"), &code);
	if (answer == NULL)
		return code;
	broker = json_object_get(answer, "broker");
	if (ctl.json)
		ctl_print_json(answer);
	else
		printf("tbmq %s %s: pid %d, port %d, workers %d, %s\n",
		    json_string_value(json_object_get(broker, "version")), how,
		    (int)json_integer_value(json_object_get(broker, "pid")),
		    (int)json_integer_value(json_object_get(broker, "port")),
		    (int)json_integer_value(json_object_get(broker, "workers")),
		    json_string_value(json_object_get(broker, "configuration_file")));
	json_decref(answer);
	return DONE;
}

/* tbmqd with what `start` was given; check: only looks whether it could. */
static int
run_master(int argc, char **argv, bool check)
{
	char exe[PATH_MAX];
	char **args = calloc((size_t)argc + 5, sizeof(*args));
	int n = 0, code;

	if (args == NULL)
		return ctl_complain(FAILED, "no memory");
	ctl_find("tbmqd", exe);
	args[n++] = exe;
	if (ctl.dirs.is_private) {
		args[n++] = (char *)"--dir";
		args[n++] = ctl.dirs.dir;
	}
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];
	if (check)
		args[n++] = (char *)"-t";
	code = run(args);
	free(args);
	if (code != DONE) /* it has said why */
		ctl_complain(code,
		    check ? "the broker could not start so, and was left alone"
			  : "the broker did not start");
	return code;
}

static int
can_start(int argc)
{
	return !ctl_has_service() || argc == 0
	    ? DONE
	    : ctl_complain(USAGE,
		  "the service manager starts the installed broker, without options: set them in "
		  "%s, or use --dir DIR for a broker of your own",
		  ctl.dirs.conf);
}

static int
cmd_start(int argc, char **argv)
{
	int code = can_start(argc);

	if (code == DONE && ctl_is_running())
		code = ctl_complain(FAILED, "a broker runs in %s already; see `tbmqctl%s%s status`",
		    ctl.dirs.run, ctl.dirs.is_private ? " --dir " : "", ctl.dirs.dir);
	if (code == DONE)
		code = ctl_has_service() ? service("start") : run_master(argc, argv, false);
	return code == DONE ? say_running("runs") : code;
}

static int
stop(void)
{
	json_t *answer;
	int code;

	if (ctl_has_service()) {
		code = service("stop");
		if (code != DONE || !ctl_is_running()) /* it may have been started without */
			return code;
	}
	answer = ctl_answer(ctl_request("stop", "broker"), &code);
	json_decref(answer);
	if (answer == NULL)
		return code;
	for (int i = 0; i < STOP_MS / NAP_MS; i++) {
		if (has_ended())
			return DONE;
		poll(NULL, 0, NAP_MS);
	}
	return ctl_complain(TIMEOUT, "the broker does not end; look into its log");
}

static int
cmd_stop(int argc, char **argv)
{
	int code = stop();

	(void)argc;
	(void)argv;
	return code == DONE ? ctl_done() : code;
}

static int
cmd_restart(int argc, char **argv)
{
	int code = can_start(argc);

	if (code == DONE && ctl_is_running()) {
		code = run_master(argc, argv, true);
		if (code == DONE)
			code = stop();
	}
	return code == DONE ? cmd_start(argc, argv) : code;
}

static void
print_status(const json_t *answer)
{
	json_t *p;
	size_t i;

	printf("%-11s %-19s %7s %4s %9s %8s %8s %9s %8s %11s %11s %5s\n", "process", "state", "pid",
	    "gen", "uptime s", "restarts", "cpu s", "memory", "clients", "in", "out", "rings");
	json_array_foreach(json_object_get(answer, "processes"), i, p) {
		const char *words = json_string_value(json_object_get(p, "last_words"));

		printf("%-11s %-19s %7d %4d %9.0f %8d %8.2f %7lld K %8lld %11lld %11lld %4lld%%\n",
		    json_string_value(json_object_get(p, "name")),
		    json_string_value(json_object_get(p, "state")),
		    (int)json_integer_value(json_object_get(p, "pid")),
		    (int)json_integer_value(json_object_get(p, "generation")),
		    json_number_value(json_object_get(p, "uptime_s")),
		    (int)json_integer_value(json_object_get(p, "restarts")),
		    json_number_value(json_object_get(p, "cpu_s")),
		    json_integer_value(json_object_get(p, "memory_bytes")) / 1024,
		    json_integer_value(json_object_get(p, "clients")),
		    json_integer_value(json_object_get(p, "messages_in")),
		    json_integer_value(json_object_get(p, "messages_out")),
		    json_integer_value(json_object_get(p, "ring_percent")));
		if (words != NULL && words[0] != '\0')
			printf("            last end: %s\n", words);
	}
	if (json_is_false(json_object_get(json_object_get(answer, "broker"), "sandbox")))
		printf("sandbox: off\n");
	json_array_foreach(json_object_get(answer, "listeners"), i, p) {
		const char *path = json_string_value(json_object_get(p, "path"));

		printf("listener %s: %s %s", json_string_value(json_object_get(p, "name")),
		    json_string_value(json_object_get(p, "type")),
		    path != NULL ? path : json_string_value(json_object_get(p, "address")));
		if (path == NULL)
			printf(" port %d", (int)json_integer_value(json_object_get(p, "port")));
		printf("\n");
	}
	json_array_foreach(json_object_get(answer, "quarantine"), i, p) {
		printf("quarantine: ");
		ctl_print_row(p);
	}
}

static int
cmd_status(int argc, char **argv)
{
	bool counters = ctl_option("--counters") != NULL;
	json_t *r, *answer, *v;
	const char *key;
	int code;

	if (argc > 0 && !counters)
		return ctl_bad_usage("status takes a process with --counters only");
	r = ctl_request(counters ? "counters" : "status", "broker");
	ctl_parameter(r, "process", argc > 0 ? argv[0] : NULL);
	answer = ctl_answer(r, &code);
	if (answer == NULL)
		return code;
	if (ctl.json)
		ctl_print_json(answer);
	else if (!counters)
		print_status(answer);
	else
		json_object_foreach(json_object_get(answer, "counters"), key, v)
			printf("%-32s %lld\n", key, json_integer_value(v));
	json_decref(answer);
	return DONE;
}

static int
cmd_version(int argc, char **argv)
{
	json_t *answer;
	int code;

	(void)argc;
	(void)argv;
	answer = ctl_answer(ctl_request("version", "broker"), &code);
	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	else if (answer != NULL)
		printf("%s\n", json_string_value(json_object_get(answer, "version")));
	json_decref(answer);
	return code;
}

/* --- configuration ----------------------------------------------------------------------- */

static int
print_changes(json_t *r)
{
	json_t *answer, *c;
	int code;
	size_t i;

	answer = ctl_answer(r, &code);
	if (answer == NULL)
		return code;
	if (ctl.json) {
		ctl_print_json(answer);
	} else {
		json_array_foreach(json_object_get(answer, "changes"), i, c)
			printf("%s: %s -> %s (%s)\n", json_string_value(json_object_get(c, "key")),
			    json_string_value(json_object_get(c, "from")),
			    json_string_value(json_object_get(c, "to")),
			    json_string_value(json_object_get(c, "when")));
		if (json_array_size(json_object_get(answer, "changes")) == 0)
			printf("no changes\n");
		json_array_foreach(json_object_get(answer, "overridden"), i, c)
			printf("%s: %s in the file, but %s by %s of the start\n",
			    json_string_value(json_object_get(c, "key")),
			    json_string_value(json_object_get(c, "file")),
			    json_string_value(json_object_get(c, "value")),
			    json_string_value(json_object_get(c, "by")));
	}
	json_decref(answer);
	return DONE;
}

static int
cmd_reload(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print_changes(ctl_request("reload", "broker"));
}

static int
cmd_config_check(int argc, char **argv)
{
	const char *file = argc > 0 ? argv[0] : ctl.dirs.conf;
	struct conf_error err = { "" };
	static struct conf c;
	char text[EXPOSED_TEXT_MAX];

	clock_init(); /* there are files that hold for a time */
	if (conf_parse(file, &c, &err) != 0 || conf_files_check(&c, &err) != 0)
		return ctl_complain(FAILED, "%s", err.text);
	if (err.text[0] != '\0')
		fprintf(stderr, "tbmqctl: warning: %s\n", err.text);
	for (uint32_t i = 0; exposed_next(&c, &i, text);)
		fprintf(stderr, "tbmqctl: warning: %s\n", text);
	if (!ctl.json)
		printf("%s: ok\n", file);
	return ctl_done();
}

static void
print_key(const json_t *k)
{
	const char *by = json_string_value(json_object_get(k, "by"));

	printf("%s = %s", json_string_value(json_object_get(k, "key")),
	    json_string_value(json_object_get(k, "value")));
	if (!json_is_true(json_object_get(k, "default")))
		printf("    # changed");
	if (by != NULL)
		printf("%s by %s of the start, whatever the file says",
		    json_is_true(json_object_get(k, "default")) ? "    # given" : "", by);
	putchar('\n');
}

static int
cmd_config_show(int argc, char **argv)
{
	json_t *answer, *k;
	int code;
	size_t i;

	(void)argc;
	(void)argv;
	answer = ctl_answer(ctl_request("show", "config"), &code);
	if (answer == NULL)
		return code;
	if (ctl.json)
		ctl_print_json(answer);
	else
		json_array_foreach(json_object_get(answer, "keys"), i, k)
			print_key(k);
	json_decref(answer);
	return DONE;
}

static int
cmd_config_diff(int argc, char **argv)
{
	return print_changes(
	    ctl_with_file(ctl_request("diff", "config"), argc > 0 ? argv[0] : NULL));
}

static int
cmd_config_apply(int argc, char **argv)
{
	const char *confirm = ctl_option("--confirm");
	long seconds = 0;
	json_t *r;

	(void)argc;
	if (confirm != NULL && !ctl_number(confirm, 1, 86400, &seconds))
		return ctl_bad_usage("--confirm takes 1 to 86400 seconds");
	r = ctl_with_file(ctl_request("apply", "config"), argv[0]);
	if (confirm != NULL)
		ctl_parameter_number(r, "confirm_s", seconds);
	return print_changes(r);
}

static int
cmd_config_confirm(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_simple(ctl_request("confirm", "config"));
}

static int
cmd_config_rollback(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print_changes(ctl_request("rollback", "config"));
}

static int
cmd_config_sample(int argc, char **argv)
{
	static struct conf c;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int err;

	(void)argc;
	(void)argv;
	if (f == NULL)
		return ctl_complain(FAILED, "no memory");
	conf_defaults(&c);
	err = conf_write(&c, f);
	if (fclose(f) != 0 || err != 0) {
		free(text);
		return ctl_complain(FAILED, "no memory");
	}
	ctl_print_text("sample", text);
	free(text);
	return DONE;
}

/* --- the rest ---------------------------------------------------------------------------- */

static int
cmd_log_level(int argc, char **argv)
{
	json_t *r = ctl_request("log-level", "broker");

	ctl_parameter(r, "level", argv[0]);
	ctl_parameter(r, "module", argc > 1 ? argv[1] : NULL);
	return ctl_simple(r);
}

static int
cmd_worker_restart(int argc, char **argv)
{
	char name[32];
	long n;
	json_t *r;

	(void)argc;
	if (!ctl_number(argv[0], 0, SLOT_MQTT_MAX - 1, &n))
		return ctl_bad_usage("worker restart takes a number, as 0 for mqtt/0");
	snprintf(name, sizeof(name), "mqtt/%ld", n);
	r = ctl_request("restart", "worker");
	ctl_parameter(r, "name", name);
	return ctl_simple(r);
}

static int
cmd_drain(int argc, char **argv)
{
	const char *given = ctl_option("--rate");
	long rate;
	json_t *r;

	(void)argc;
	(void)argv;
	if (given == NULL || !ctl_number(given, 0, 1000000, &rate))
		return ctl_bad_usage("drain needs --rate N: 1 to 1000000, or 0 for all at once");
	r = ctl_request("drain", "broker");
	ctl_parameter_number(r, "rate", rate);
	ctl_parameter(r, "server_reference", ctl_option("--server-reference"));
	return ctl_simple(r);
}

static int
cmd_client_list(int argc, char **argv)
{
	json_t *r = ctl_request("list", "client");
	const char *worker = ctl_option("--worker");
	char name[32];

	(void)argc;
	(void)argv;
	if (ctl_option("--connected") != NULL)
		json_object_set_new(json_object_get(r, "parameters"), "connected", json_true());
	ctl_parameter(r, "prefix", ctl_option("--prefix"));
	ctl_parameter(r, "filter", ctl_option("--filter"));
	if (worker != NULL) {
		snprintf(name, sizeof(name), "mqtt/%.20s", worker);
		ctl_parameter(r, "worker", name);
	}
	return ctl_print_list(r, "persist/0");
}

/*
 * What only its worker knows of a client that is connected, by the pages of the worker's list. It may
 * have left meanwhile, or its worker: then that is all.
 */
static void
add_live(json_t *client)
{
	const char *worker = json_string_value(json_object_get(client, "worker"));
	json_t *answer = NULL, *live = NULL;
	char after[64] = "";

	while (worker != NULL && live == NULL) {
		json_t *r = json_pack("{s:s, s:s, s:s, s:{s:O}, s:{s:s}}", "verb", "list",
		    "resource", "client", "at", worker, "parameters", "client_id",
		    json_object_get(client, "client_id"), "page", "after", after);
		char *text = json_dumps(r, JSON_COMPACT);
		const char *next;
		int code = ctl_ask(text, &answer);

		free(text);
		json_decref(r);
		if (code != DONE)
			return;
		live = json_incref(json_array_get(json_object_get(answer, "items"), 0));
		next = json_string_value(json_object_get(answer, "next"));
		if (next == NULL)
			worker = NULL;
		else
			snprintf(after, sizeof(after), "%s", next);
		json_decref(answer);
	}
	json_object_update_missing(client, live);
	json_decref(live);
}

static int
on_client(const char *verb, int argc, char **argv)
{
	json_t *r, *answer;
	int code;

	(void)argc;
	r = ctl_request(verb, "client");
	ctl_parameter(r, "client_id", argv[0]);
	answer = ctl_answer(r, &code);
	if (answer == NULL)
		return code;
	add_live(json_object_get(answer, "client"));
	if (ctl.json)
		ctl_print_json(answer);
	else if (json_object_get(answer, "client") != NULL)
		ctl_print_row(json_object_get(answer, "client"));
	json_decref(answer);
	return DONE;
}

static int
cmd_client_show(int argc, char **argv)
{
	return on_client("show", argc, argv);
}

static int
cmd_client_kick(int argc, char **argv)
{
	return on_client("kick", argc, argv);
}

static int
cmd_client_clear(int argc, char **argv)
{
	return on_client("clear-session", argc, argv);
}

static int
cmd_subscription_list(int argc, char **argv)
{
	json_t *status, *p;
	int code;
	size_t i;

	(void)argc;
	(void)argv;
	status = ctl_answer(ctl_request("status", "broker"), &code);
	if (status == NULL)
		return code;
	json_array_foreach(json_object_get(status, "processes"), i, p) {
		const char *name = json_string_value(json_object_get(p, "name"));
		json_t *r;

		if (strncmp(name, "mqtt/", 5) != 0 && strcmp(name, "persist/0") != 0)
			continue;
		r = ctl_request("list", "subscription");
		ctl_parameter(r, "client_id", ctl_option("--client"));
		code = ctl_print_list(r, name);
		if (code != DONE)
			break;
	}
	json_decref(status);
	return code;
}

static int
cmd_retained_list(int argc, char **argv)
{
	json_t *r = ctl_request("list", "retained");

	ctl_parameter(r, "filter", argc > 0 ? argv[0] : NULL);
	return ctl_print_list(r, "persist/0");
}

/* A request whose answer is a row. */
static int
print_answer(json_t *r)
{
	int code;
	json_t *answer = ctl_answer(r, &code);

	if (answer != NULL) {
		json_object_del(answer, "ok");
		ctl_print_row(answer);
	}
	json_decref(answer);
	return code;
}

static int
cmd_retained_show(int argc, char **argv)
{
	json_t *r = ctl_request("show", "retained");

	(void)argc;
	ctl_parameter(r, "topic", argv[0]);
	return print_answer(r);
}

static int
cmd_retained_clear(int argc, char **argv)
{
	json_t *r = ctl_request("clear", "retained"), *answer, *sum;
	bool shows = isatty(STDERR_FILENO);
	json_int_t cleared = 0;
	int code;

	(void)argc;
	ctl_parameter(r, "filter", argv[0]);
	while ((answer = ctl_page(r, &code)) != NULL) {
		cleared += json_integer_value(json_object_get(answer, "cleared"));
		json_decref(answer);
		if (shows)
			fprintf(stderr, "\rcleared %lld" CLEAR_LINE, (long long)cleared);
	}
	if (shows)
		fputs("\r" CLEAR_LINE, stderr);
	if (code != DONE && cleared > 0)
		fprintf(stderr, "tbmqctl: %lld were cleared before\n", (long long)cleared);
	sum = code == DONE ? json_pack("{s:I}", "cleared", cleared) : NULL;
	if (sum != NULL)
		ctl_print_row(sum);
	json_decref(sum);
	json_decref(r);
	return code;
}

static int
cmd_quarantine_list(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_print_list(ctl_request("list", "quarantine"), NULL);
}

static int
cmd_quarantine_clear(int argc, char **argv)
{
	json_t *r = ctl_request("clear", "quarantine");

	ctl_parameter(r, "id", argc > 0 ? argv[0] : NULL);
	return print_answer(r);
}

/* --- main -------------------------------------------------------------------------------- */

static int
command(int n, char **words)
{
	int used = 0, code;
	const struct command *c = command_find(n, words, &used);

	if (ctl_option("--help") != NULL)
		return cmd_help(n, words);
	if (c == NULL && n > 0)
		return ctl_bad_usage("no such command");
	code = args_check(c, n - used);
	if (code != DONE)
		return code;
	if (ctl_option("--version") != NULL) {
		printf("tbmqctl %s\n", TBMQ_VERSION);
		return DONE;
	}
	if (c == NULL)
		return ctl_bad_usage("a command is missing");
	if (dirs_init(&ctl.dirs, ctl_option("--dir"), NULL) != 0)
		return ctl_complain(FAILED, "the path of the directory is too long");
	words += used;
	n -= used;
	if (command_hands_on(c))
		n = args_hand_on(words, n);
	return run_command[c - commands](n, words);
}

int
main(int argc, char **argv)
{
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	int n = words != NULL ? args_split(argc - 1, argv + 1, words) : -1;
	int code;

	if (n < 0)
		return ctl_complain(FAILED, "no memory");
	ctl.json = ctl_option("--json") != NULL;
	code = command(n, words);
	args_free();
	free(words);
	return code;
}
