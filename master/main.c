/*
 * tbmqd - the supervisor; see master.h
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/net/forwarded.h"
#include "shared/net/conf_files.h"
#include "shared/net/exposed.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

#include "shared/base/secrets.h"

#define TICK_MS 500

struct master master = { .lock = -1, .snapshot = -1, .ready_pipe = -1 };

static struct {
	struct watch signals;
	struct timer tick;
	char error[600]; /* why it could not start */
	int code;
} me;

static void
usage(FILE *to)
{
	fprintf(to,
	    "Usage: tbmqd [OPTION]...\n"
	    "TBMQ, an MQTT broker. Usually started by `tbmqctl start` or the service manager.\n\n"
	    "  --dir DIR         a private instance: configuration, sockets, data and log below "
	    "DIR\n"
	    "  --config FILE     configuration file\n"
	    "  --foreground      stay in the foreground, log to stderr\n"
	    "  --port N          port of the first listener; 0 picks a free one\n"
	    "  --workers N       worker processes: 1 to 64, or auto (0): one a core\n"
	    "  --data-dir DIR    directory of the store\n"
	    "  --set KEY=VALUE   any key of the configuration; listener.NAME.KEY=VALUE for "
	    "listeners\n"
	    "  -t                check the configuration and exit\n"
	    "  --version         print the version and exit\n"
	    "  --help            print this and exit\n\n"
	    "Environment: TBMQ_PORT, TBMQ_WORKERS, TBMQ_DATA_DIR, as the options.\n"
	    "Signals: TERM and INT stop, HUP reloads, USR1 opens the log file anew.\n"
	    "Exit codes: 0 ended as asked, 1 could not start or run, 2 usage.\n");
}

static int
bad_usage(const char *unexpected)
{
	if (unexpected != NULL)
		fprintf(stderr, "tbmqd: unexpected argument \"%s\"\n", unexpected);
	fprintf(stderr, "tbmqd: see tbmqd --help\n");
	return 2;
}

static void
add_override(const char *from, const char *key, const char *value)
{
	struct override o = { .from = from };

	master.overrides =
	    realloc(master.overrides, (size_t)(master.noverrides + 1) * sizeof(*master.overrides));
	if (master.overrides == NULL ||
	    asprintf(&o.text, "%s%s%s", key, key[0] != '\0' ? "=" : "", value) < 0) {
		fprintf(stderr, "tbmqd: no memory\n");
		exit(1);
	}
	master.overrides[master.noverrides++] = o;
}

/* To whoever waits for us in the foreground. */
static void
tell_starter(const char *text)
{
	if (master.ready_pipe < 0)
		return;
	(void)!write(master.ready_pipe, text, strlen(text));
	close(master.ready_pipe);
	master.ready_pipe = -1;
}

/* The same, if it was never told that we serve. */
static void
tell_end(void)
{
	char text[PATH_MAX + sizeof(me.error)];
	bool file = master.conf.log_target == LOG_TARGET_file;

	snprintf(text, sizeof(text), "%s%s%s",
	    me.error[0] != '\0' ? me.error : "stopped while starting",
	    file ? "; the log says more: " : "", file ? logfile_path(&master.conf) : "");
	tell_starter(text);
}

void
master_ready(void)
{
	FILE *f;

	/* When one has failed to start, the others may come to it all the same. */
	if (master.ready || master.stopping)
		return;
	master.ready = true;
	f = fopen(master.dirs.pid, "we");
	if (f != NULL) {
		fprintf(f, "%d\n", (int)getpid());
		fclose(f);
	}
	notify_ready();
	listen_tell();
	log_notice("main: ready version=%s pid=%d workers=%u", TBMQ_VERSION, (int)getpid(),
	    master.workers);
	tell_starter("ok");
}

void
master_failed(const char *fmt, ...)
{
	va_list ap;

	if (master.stopping)
		return;
	va_start(ap, fmt);
	vsnprintf(me.error, sizeof(me.error), fmt, ap);
	va_end(ap);
	log_err("main: %s", me.error);
	me.code = 1;
	master_stop();
}

void
master_stop(void)
{
	if (master.stopping)
		return;
	log_notice("main: stopping");
	notify_stopping();
	master.stopping = true;
	slots_stop();
}

static void
on_signal(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(w->fd, &info, sizeof(info)) == sizeof(info))
		switch (info.ssi_signo) {
		case SIGCHLD:
			slots_reap();
			break;
		case SIGHUP:
			control_reload();
			break;
		case SIGUSR1:
			(void)logfile_open();
			break;
		default:
			master_stop();
		}
}

static void
on_tick(struct timer *t)
{
	slots_tick();
	quarantine_tick();
	block_tick();
	notify_watchdog();
	timer_set(loop_timers(master.loop), t, clock_ms() + TICK_MS);
}

static int
signals_open(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	me.signals.fn = on_signal;
	return loop_add(master.loop, &me.signals, fd, EPOLLIN);
}

/* In the parent: waits for the child's word, says it, and exits. */
static int
daemonise(void)
{
	char text[PATH_MAX + 700] = "";
	size_t len = 0;
	ssize_t n;
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(fd[0]);
		master.ready_pipe = fd[1];
		setsid();
		return 0;
	}
	close(fd[1]);
	while (len < sizeof(text) - 1 && (n = read(fd[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	if (strcmp(text, "ok") == 0)
		exit(0);
	fprintf(stderr, "tbmqd: %s\n", len > 0 ? text : "ended while starting; see the log");
	exit(1);
}

static void
to_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, 0);
	dup2(fd, 1);
	/* Whoever waits for the end of our output must not wait for the end of the broker. */
	if (master.conf.log_target == LOG_TARGET_syslog)
		dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

static void
limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	/* It has the keys of TLS in its hands. */
	secrets_keep(master.conf.sandbox);
}

/* What the file says, and what follows from it at once. False: it can't be, which has been said. */
static bool
take_conf(void)
{
	struct conf_error err;

	if (reload_parse(master.dirs.conf, &master.conf, NULL, &err) != 0) {
		fprintf(stderr, "tbmqd: %s\n", err.text);
		return false;
	}
	if (spawn_init() != 0)
		return false;
	if (logfile_check(&master.conf, &err) != 0) {
		fprintf(stderr, "tbmqd: %s\n", err.text);
		return false;
	}
	if (master.conf.data_dir.s[0] != '\0')
		snprintf(master.dirs.data, sizeof(master.dirs.data), "%s", master.conf.data_dir.s);
	return dirs_make_data(master.dirs.data) == 0;
}

/* All that the configuration names: files, then sockets. */
static int
prepare(struct conf_error *err)
{
	int bad = forwarded_check(&master.conf, err);

	if (bad == 0)
		bad = tls_prepare(&master.conf, err);
	if (bad == 0)
		bad = acl_prepare(&master.conf, err);
	if (bad == 0)
		bad = authfiles_prepare(&master.conf, err);
	return bad != 0 ? bad : listen_bind(&master.conf, master.listener, err);
}

static int
run(bool stay)
{
	struct conf_error err;
	bool went_back;
	int bad;

	log_init("master");
	clock_init();
	if (dirs_make(&master.dirs) != 0)
		return 1;
	master.lock = dirs_lock(&master.dirs);
	if (master.lock < 0)
		return 1;
	/* Only now: before, it may be on trial with another master. */
	went_back = conffile_is_unconfirmed();
	bad = went_back ? conffile_go_back() : 0;
	if (bad != 0) {
		fprintf(stderr,
		    "tbmqd: %s was never confirmed, and cannot go back to %s.previous: %s; restore "
		    "it, or "
		    "remove %s.unconfirmed to keep what was applied\n",
		    master.dirs.conf, master.dirs.conf, strerror(-bad), master.dirs.conf);
		return 1;
	}
	if (!take_conf())
		return 1;
	master.conf.number = ++master.numbers;
	master.start_ms = clock_wall_ms();
	if (prepare(&err) != 0) {
		fprintf(stderr, "tbmqd: %s\n", err.text);
		return 1;
	}
	if (!stay && (bad = daemonise()) != 0) {
		fprintf(stderr, "tbmqd: cannot start in the background: %s\n", strerror(-bad));
		return 1;
	}
	limits();
	bad = loop_new(&master.loop);
	if (bad == 0)
		bad = signals_open();
	slots_init();
	tls_commit();
	acl_commit();
	authfiles_commit();
	if (bad == 0)
		tls_start();
	master.snapshot = conf_snapshot(&master.conf);
	if (bad == 0 && master.snapshot < 0)
		bad = master.snapshot;
	if (bad == 0)
		bad = logfile_apply();
	if (bad == 0)
		bad = block_open();
	if (bad == 0)
		bad = control_open();
	if (bad != 0) {
		snprintf(me.error, sizeof(me.error), "cannot start: %s", strerror(-bad));
		log_err("main: %s", me.error);
		tell_starter(me.error);
		return 1;
	}
	if (!stay)
		to_null();
	log_notice("main: starting version=%s configuration=%s", TBMQ_VERSION, master.dirs.conf);
	if (!master.conf.sandbox)
		log_warning("main: sandbox is off: processes that go astray are not held back, and "
			    "memory with keys may end up in cores");
	if (went_back)
		log_warning("main: configuration was not confirmed before the broker ended, went "
			    "back to the previous one");
	timer_init(&me.tick, on_tick);
	timer_set(loop_timers(master.loop), &me.tick, clock_ms() + TICK_MS);
	slots_start();
	loop_run(master.loop);

	timer_del(&me.tick);
	tell_end();
	control_close();
	listen_close_all();
	block_close();
	unlink(master.dirs.pid);
	close(master.snapshot);
	close(me.signals.fd);
	loop_free(master.loop);
	log_notice("main: stopped");
	close(master.lock);
	return me.code;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "port", required_argument, NULL, 'p' },
		{ "workers", required_argument, NULL, 'w' },
		{ "data-dir", required_argument, NULL, 'D' },
		{ "set", required_argument, NULL, 's' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static const struct {
		const char *env, *key;
	} from_env[] = { { "TBMQ_PORT", "port" }, { "TBMQ_WORKERS", "workers" },
		{ "TBMQ_DATA_DIR", "data_dir" } };
	const char *dir = NULL, *conf = NULL;
	bool stay = false, check = false;
	struct conf_error err;
	int o, code;

	for (size_t i = 0; i < sizeof(from_env) / sizeof(from_env[0]); i++)
		if (getenv(from_env[i].env) != NULL)
			add_override(from_env[i].env, from_env[i].key, getenv(from_env[i].env));
	while ((o = getopt_long(argc, argv, "t", options, NULL)) != -1)
		switch (o) {
		case 'd':
			dir = optarg;
			break;
		case 'c':
			conf = optarg;
			break;
		case 'f':
			stay = true;
			add_override("--foreground", "log_target", "stderr");
			break;
		case 'p':
			add_override("--port", "port", optarg);
			break;
		case 'w':
			add_override("--workers", "workers", optarg);
			break;
		case 'D':
			add_override("--data-dir", "data_dir", optarg);
			break;
		case 's':
			add_override("--set", "", optarg);
			break;
		case 't':
			check = true;
			break;
		case 'V':
			printf("tbmqd %s\n", TBMQ_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default: /* getopt has said what is wrong */
			return bad_usage(NULL);
		}
	if (optind != argc)
		return bad_usage(argv[optind]);
	if (dirs_init(&master.dirs, dir, conf) != 0) {
		fprintf(stderr, "tbmqd: the path of the directory is too long\n");
		return 1;
	}
	if (check) {
		static struct conf c;
		char path[PATH_MAX], text[EXPOSED_TEXT_MAX];

		clock_init(); /* there are files that hold for a time */
		conffile_path(conffile_is_unconfirmed() ? ".previous" : "", path); /* as a start */
		code = reload_parse(path, &c, NULL, &err) == 0 && conf_files_check(&c, &err) == 0
		    ? 0
		    : 1;
		for (uint32_t i = 0; code == 0 && exposed_next(&c, &i, text);)
			fprintf(stderr, "tbmqd: warning: %s\n", text);
		if (code == 0)
			printf("%s: ok\n", path);
		else
			fprintf(stderr, "%s\n", err.text);
	} else {
		code = run(stay);
	}
	for (int i = 0; i < master.noverrides; i++)
		free(master.overrides[i].text);
	free(master.overrides);
	return code;
}
