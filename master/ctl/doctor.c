/*
 * `doctor`: does the machine have what the configuration takes? Of a running broker the configuration in force and the limits that its
 * processes really have, else those of the file and of a start from here or by the service manager.
 */
#include "master/ctl/doctor.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "master/ctl/ctl.h"
#include "master/ctl/fit.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/ipc/proc.h"
#include "shared/net/conf_files.h"
#include "shared/net/exposed.h"

#define EXPECTED                                                                                   \
	100000 /* connections, where neither max_connections nor --connections says how many */
#define CONNECTIONS_MAX 100000000

static int examine(json_t *findings, long connections);
static int read_configuration(json_t *findings, bool runs, struct conf *out, const char **file_out);
static int in_force(struct conf *out, struct conf_error *err);
static void look_at_strangers(json_t *findings, const struct conf *c);
static int look_at_processes(json_t *findings, struct need *n, pid_t *master_out);
static void look_at_kernel(json_t *findings, const struct conf *c);
static int say(json_t *findings);

int
cmd_doctor(int argc, char **argv)
{
	const char *given = ctl_option("--connections");
	json_t *findings;
	long asked = 0;
	int code;

	(void)argc;
	(void)argv;
	if (given != NULL && !ctl_number(given, 1, CONNECTIONS_MAX, &asked))
		return ctl_bad_usage("--connections takes a number of 1 to 100000000");
	clock_init(); /* there are files that hold for a time */
	findings = json_array();
	code = examine(findings, asked);
	if (code == DONE)
		code = say(findings);
	json_decref(findings);
	return code;
}

static int
examine(json_t *findings, long connections)
{
	static struct machine m;
	static struct conf c;
	struct need n = { .conf = &c, .descriptors = UNKNOWN };
	struct household house = { .is_private = ctl.dirs.is_private, .conf = &c };
	bool runs = ctl_is_running();
	const char *file;
	pid_t master = 0;
	int code = read_configuration(findings, runs, &c, &file);

	if (code != DONE)
		return code;
	look_at_strangers(findings, &c);
	if (connections == 0)
		connections = c.max_connections;
	n.is_firm = connections > 0;
	n.connections = connections > 0 ? connections : EXPECTED;
	n.conf_file = file;
	n.workers = proc_workers(c.workers);
	n.by_unit = ctl_has_service();
	if (runs) {
		code = look_at_processes(findings, &n, &master);
		if (code != DONE)
			return code;
	} else {
		if (n.by_unit)
			n.descriptors = machine_descriptors_by_unit("", CTL_UNIT);
		if (n.descriptors == UNKNOWN)
			n.descriptors = machine_descriptors_of("", 0);
		fit_add(findings, FIT_OK, "broker", NULL, "it does not run");
	}
	machine_read("", master, &m);
	fit_numbers(findings, &m, &n);
	look_at_kernel(findings, &c);
	house.conf_file = access(file, F_OK) == 0 ? file : "";
	house.data_dir = c.data_dir.s[0] != '\0' ? c.data_dir.s : ctl.dirs.data;
	doctor_files(findings, &house);
	return DONE;
}

/* --- the configuration ---------------------------------------------------------------------- */

static int
read_configuration(json_t *findings, bool runs, struct conf *out, const char **file_out)
{
	struct conf_error err = { "" };
	int code;

	*file_out = ctl.dirs.conf;
	conf_defaults(out);
	if (geteuid() != 0 && !ctl.dirs.is_private)
		fit_add(findings, FIT_ADVICE, "rights", "sudo tbmqctl doctor",
		    "files that only root may look at are not looked at");
	if (runs) {
		code = in_force(out, &err);
		if (code != DONE)
			return code;
	} else if (access(ctl.dirs.conf, F_OK) != 0 && ctl.dirs.is_private) {
		fit_add(findings, FIT_OK, "configuration", NULL,
		    "there is no file yet: as a start makes it");
		return DONE;
	} else if (conf_parse(ctl.dirs.conf, out, &err) != 0) {
		fit_add(
		    findings, FIT_PROBLEM, "configuration", "tbmqctl config check", "%s", err.text);
		return DONE;
	}
	if (err.text[0] != '\0' || conf_files_check(out, &err) != 0)
		fit_add(
		    findings, FIT_PROBLEM, "configuration", "tbmqctl config check", "%s", err.text);
	else if (err.text[0] != '\0')
		fit_add(
		    findings, FIT_ADVICE, "configuration", "tbmqctl config check", "%s", err.text);
	else
		fit_add(findings, FIT_OK, "configuration", NULL, "%s",
		    runs ? "that in force" : log_esc(span_str(ctl.dirs.conf)));
	return DONE;
}

/* What `config show` says is a file again, once listeners have their braces. */
static char *
as_file(const json_t *keys)
{
	static const char listeners[] = "listeners.";
	char *text = NULL, name[64], last[64] = "";
	const json_t *k;
	size_t i, len;
	FILE *f = open_memstream(&text, &len);
	bool inside = false;

	if (f == NULL)
		return NULL;
	json_array_foreach(keys, i, k) {
		const char *key = json_string_value(json_object_get(k, "key"));
		const char *value = json_string_value(json_object_get(k, "value")), *dot;

		if (key == NULL || value == NULL)
			continue;
		dot = strrchr(key, '.');
		if (dot != NULL && strncmp(key, listeners, sizeof(listeners) - 1) == 0) {
			snprintf(name, sizeof(name), "%.*s", (int)(dot - key), key);
			if (strcmp(name, last) != 0)
				fprintf(f, "%s", inside ? "}, {" : "listeners = ( {");
			snprintf(last, sizeof(last), "%s", name);
			inside = true;
			key = dot + 1;
		}
		fprintf(f, "%s = %s;\n", key, value);
	}
	fprintf(f, "%s", inside ? "} );\n" : "");
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static int
in_force(struct conf *out, struct conf_error *err)
{
	int code;
	json_t *answer = ctl_answer(ctl_request("show", "config"), &code);
	char *text = answer != NULL ? as_file(json_object_get(answer, "keys")) : NULL;

	if (text != NULL)
		conf_parse_string(text, out, err);
	else if (answer != NULL)
		code = ctl_complain(FAILED, "no memory");
	free(text);
	json_decref(answer);
	return code;
}

static void
look_at_strangers(json_t *findings, const struct conf *c)
{
	char text[EXPOSED_TEXT_MAX];

	for (uint32_t i = 0; exposed_next(c, &i, text);)
		fit_add(findings, FIT_ADVICE, "strangers",
		    "authentication = \"basic\" and tbmqctl auth add, or address = \"127.0.0.1\"",
		    "%s", text);
}

/* --- the processes -------------------------------------------------------------------------- */

/* The least that one of them may have counts. */
static int
look_at_processes(json_t *findings, struct need *n, pid_t *master_out)
{
	int code;
	json_t *status = ctl_answer(ctl_request("status", "broker"), &code), *p;
	unsigned ready = 0;
	size_t i;

	if (status == NULL)
		return code;
	json_array_foreach(json_object_get(status, "processes"), i, p) {
		json_int_t pid = json_integer_value(json_object_get(p, "pid"));
		const char *state = json_string_value(json_object_get(p, "state"));
		int64_t has = UNKNOWN;

		if (pid > 0 && pid <= INT32_MAX)
			has = machine_descriptors_of("", (pid_t)pid);
		if (has != UNKNOWN && (n->descriptors == UNKNOWN || has < n->descriptors))
			n->descriptors = has;
		if (i == 0)
			*master_out = (pid_t)pid;
		ready += state != NULL && strcmp(state, "ready") == 0;
	}
	i = json_array_size(json_object_get(status, "processes"));
	if (ready < i)
		fit_add(findings, FIT_ADVICE, "broker", "tbmqctl status, and its log",
		    "%u of %zu processes are ready", ready, i);
	else
		fit_add(findings, FIT_OK, "broker", NULL, "it runs, %u processes", ready);
	json_decref(status);
	return DONE;
}

/* --- the kernel ----------------------------------------------------------------------------- */

static bool
shares_ports(void)
{
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0;

	if (fd >= 0)
		close(fd);
	return can;
}

static bool
seals_memory(void)
{
	int fd = memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool can = fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_GROW) == 0;

	if (fd >= 0)
		close(fd);
	return can;
}

static void
look_at_kernel(json_t *findings, const struct conf *c)
{
	const uint32_t trap = SECCOMP_RET_TRAP;
	long landlock =
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	bool ports = shares_ports(), seals = seals_memory();
	bool filters = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trap) == 0;
	struct timex now = { 0 };
	int state = adjtimex(&now);

	if (!ports || !seals)
		fit_add(findings, FIT_PROBLEM, "kernel", "a kernel of 5.1 or later",
		    "it has no %s, without which nothing starts",
		    ports ? "memory that is sealed against writing" : "ports with several sockets");
	if (!filters && c->sandbox)
		fit_add(findings, FIT_PROBLEM, "kernel",
		    "a kernel with CONFIG_SECCOMP_FILTER, or sandbox = false",
		    "it takes no filters of system calls, which sandbox asks for");
	if (landlock < 1 && c->sandbox)
		fit_add(findings, FIT_ADVICE, "kernel",
		    "a kernel of 5.13 or later with lsm=landlock,... on its command line",
		    "it has no Landlock: what files the store's process opens is bounded by their "
		    "permissions only");
	if (ports && seals && (!c->sandbox || (filters && landlock >= 1)))
		fit_add(findings, FIT_OK, "kernel", NULL,
		    "it has what is used: shared ports, sealed memory%s",
		    c->sandbox ? ", filters of system calls, Landlock" : "");
	if (state == TIME_ERROR || (now.status & STA_UNSYNC) != 0)
		fit_add(findings, FIT_ADVICE, "clock",
		    "systemctl enable --now systemd-timesyncd, or chronyd",
		    "nobody sets it: certificates, tokens and what expires go by it");
	else if (state >= 0)
		fit_add(findings, FIT_OK, "clock", NULL, "it is set by others");
}

/* --- what is said --------------------------------------------------------------------------- */

static int
say(json_t *findings)
{
	unsigned problems = 0;
	char error[64];
	json_t *f, *all;
	size_t i;

	json_array_foreach(findings, i, f) {
		const char *verdict = json_string_value(json_object_get(f, "verdict"));
		const char *remedy = json_string_value(json_object_get(f, "remedy"));

		problems += strcmp(verdict, verdict_name[FIT_PROBLEM]) == 0;
		if (!ctl.json)
			printf("%-8s %s: %s%s%s\n", verdict,
			    json_string_value(json_object_get(f, "about")),
			    json_string_value(json_object_get(f, "text")),
			    remedy != NULL ? " -> " : "", remedy != NULL ? remedy : "");
	}
	snprintf(error, sizeof(error), "%u problem%s", problems, problems == 1 ? "" : "s");
	if (ctl.json) {
		all = json_pack("{s:b, s:s*, s:O}", "ok", problems == 0, "error",
		    problems > 0 ? error : NULL, "findings", findings);
		ctl_print_json(all);
		json_decref(all);
	}
	return problems > 0 ? FAILED : DONE;
}
