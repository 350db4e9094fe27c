#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

/* Exit code, and a text that says where and what to do. */
static const struct {
	const char *environment, *arguments;
	int code;
	const char *text;
} wrong[] = {
	{ "TBMQ_PORT=abc", "", 1, "port: .abc. is no number" },
	{ "TBMQ_PORT=70000", "", 1, "port: 70000 is more than 65535" },
	{ "TBMQ_WORKERS=65", "", 1, "workers: 65 is more than 64" },
	{ "TBMQ_DATA_DIR=/nonexistent/x", "", 1, "/nonexistent/x: No such file.*set data_dir" },
	{ "A=", "--workers many", 1, "workers: .many. is no number" },
	{ "A=", "--set inflght_max=3", 1, "did you mean .inflight_max" },
	{ "A=", "--set inflight_max", 1, "must be name=value" },
	{ "A=", "--set listener.other.port=3", 1, "other: no such listener" },
	{ "A=", "--data-dir store", 1, "data_dir: must be an absolute path" },
	{ "TBMQ_DATA_DIR=./store", "", 1, "data_dir: must be an absolute path" },
	{ "A=", "--set log_file=x.log", 1, "log_file: must be an absolute path" },
	{ "A=", "--config $DIR/typo.conf", 1, "typo.conf: cannot be read: No such file" },
	{ "A=", "--set ring_size=70000", 1, "ring_size: must be a power of two" },
	{ "A=", "--set log_file=/nonexistent/x", 1, "/nonexistent/x: No such file.*set log_file" },
	{ "A=", "--nonsense", 2, "nonsense.*see tbmqd --help" },
	{ "A=", "extra", 2, "unexpected argument .extra..*see tbmqd --help" },
};

static void
refused(const char *environment, const char *arguments, int code, const char *text)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd),
	    "%s $CTL start %s >$DIR/out 2>&1; test $? = %d && tr '\\n' ' ' <$DIR/out | tee -a "
	    "$DIR/err |"
	    " grep -q '%s'",
	    environment, arguments, code, text);
	if (broker_sh(cmd) != 0)
		fail("%s start %s: not code %d and \"%s\"", environment, arguments, code, text);
	check(ctl("status") == 3);
}

/* Whether it would share the port or not. */
static void
refused_where_another_listens(bool shares)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	char arguments[40], text[80];

	check(!shares || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	check(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 1) == 0);
	check(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	snprintf(arguments, sizeof(arguments), "--port %d", ntohs(a.sin_port));
	snprintf(
	    text, sizeof(text), "127.0.0.1:%d: the address is in use.*--port", ntohs(a.sin_port));
	refused("A=", arguments, 1, text);
	close(fd);
}

SCENARIO(1)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(wrong[i].environment, wrong[i].arguments, wrong[i].code, wrong[i].text);
	check(broker_sh("! test -e $DIR/typo.conf") == 0);
	refused_where_another_listens(false);
	refused_where_another_listens(true);

	/* Nor are the children to be started so: they say it, and that is all. */
	check(
	    broker_sh(
		"for f in mqtt persist; do $BIN/tbmq-$f 2>$DIR/out; test $? = 1 || exit 1\n"
		"cat $DIR/out; grep -q 'started by tbmqd, not by hand' $DIR/out || exit 1; done") ==
	    0);

	/* The environment comes before the file, the command line before both. */
	check(broker_sh("TBMQ_PORT=0 TBMQ_WORKERS=3 $CTL start") == 0);
	broker_adopt();
	check(broker_pid_of("mqtt/2") != 0);
	check(broker_sh("$CTL start 2>&1 | grep \"a broker runs in $DIR/run already; see .tbmqctl "
			"--dir $DIR status\"") == 0);
	broker_stop();
	check(broker_sh("TBMQ_PORT=1 TBMQ_WORKERS=3 $CTL start --port 0 --workers 1") == 0);
	broker_adopt();
	check(broker_pid_of("mqtt/0") != 0 && broker_pid_of("mqtt/1") == 0);
}
