/*
 * One file, two brokers: mosquitto reads it, and ours what `config import` makes of it. Clients are treated alike.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/port.h"
#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

enum { PLAIN, TLS, WS, MOUNTED, FEW, PORTS };

/* @0 to @4: ports. */
static const char conf[] = "user root\n"
			   "allow_anonymous false\n"
			   "password_file @D/passwd\n"
			   "acl_file @D/acl\n"
			   "max_packet_size 2000\n"
			   "max_inflight_messages 3\n"
			   "max_queued_messages 5\n"
			   "max_keepalive 60\n"
			   "persistent_client_expiration 1d\n"
			   "queue_qos0_messages true\n"
			   "upgrade_outgoing_qos true\n"
			   "sys_interval 1\n"
			   "persistence false\n"
			   "log_dest stderr\n"
			   "include_dir @D/conf.d\n"
			   "listener @0 127.0.0.1\n"
			   "listener @1 127.0.0.1\n"
			   "cafile @D/ca/ca.crt\n"
			   "certfile @D/ca/server.crt\n"
			   "keyfile @D/ca/server.key\n"
			   "crlfile @D/ca/crl.pem\n"
			   "require_certificate true\n"
			   "use_identity_as_username true\n"
			   "listener @2 127.0.0.1\n"
			   "protocol websockets\n";
static const char more[] = "listener @3 127.0.0.1\nmount_point m/\nlistener @4 "
			   "127.0.0.1\nmax_connections 2\n";
static const char acl[] = "topic read $SYS/#\nuser anna\ntopic readwrite a/#\ntopic readwrite "
			  "m/a/#\ntopic read $SYS/#\nuser alice\ntopic readwrite alice/#\n";

static const char *whose;
static const int *port;

#define so(cond) ((cond) ? (void)0 : fail_at(__FILE__, __LINE__, "%s: not so: %s", whose, #cond))

static void
write_file(const char *name, const char *text, const int *ports)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", broker.dir, name);
	f = fopen(path, "w");
	check(f != NULL);
	for (; *text != '\0'; text++)
		if (text[0] == '@' && text[1] == 'D') {
			fputs(broker.dir, f);
			text++;
		} else if (text[0] == '@') {
			fprintf(f, "%d", ports[*++text - '0']);
		} else {
			fputc(*text, f);
		}
	check(fclose(f) == 0);
}

static void
write_conf(const int *ports)
{
	write_file("mosquitto.conf", conf, ports);
	write_file("conf.d/more.conf", more, ports);
}

static struct mq *
anna(int at, const char *id, bool resume)
{
	return mq_connect(.port = port[at], .id = id, .user = "anna", .password = "secret",
	    .resume = resume, .expiry = resume ? 1000 : 0);
}

static void
who_comes_in(void)
{
	struct mq *m = mq_try((struct mq_opts){ .port = port[PLAIN] });

	so(m->reason != 0);
	mq_close(m);
	m = mq_try((struct mq_opts){ .port = port[PLAIN], .user = "anna", .password = "wrong" });
	so(m->reason != 0);
	mq_close(m);
	m = mq_try((struct mq_opts){ .port = port[PLAIN], .user = "bob", .password = "secret" });
	so(m->reason != 0);
	mq_close(m);
	mq_disconnect(anna(PLAIN, "a", false));
}

/* A property of CONNACK with a number; -1: it isn't there. */
static long
announced(int wanted)
{
	static const struct {
		int id, size;
	} props[] = { { 0x11, 4 }, { 0x13, 2 }, { 0x21, 2 }, { 0x22, 2 }, { 0x24, 1 }, { 0x25, 1 },
		{ 0x27, 4 }, { 0x28, 1 }, { 0x29, 1 }, { 0x2a, 1 } };
	struct mq *m = mq_open(port[PLAIN]);
	struct packet p;
	long found = -1;

	/* keep alive 1000, user name and password */
	mq_hex(m, "10 1d 0004 4d515454 05 c2 03e8 00 0002 7170 0004 616e6e61 0006 736563726574");
	p = mq_need(m, 2);
	for (size_t at = 3, i; at < p.len; at += (size_t)props[i].size + 1) {
		long n = 0;

		for (i = 0; i < sizeof(props) / sizeof(props[0]) && props[i].id != p.body[at]; i++)
			;
		check(i < sizeof(props) / sizeof(props[0]));
		for (int k = 0; k < props[i].size; k++)
			n = n << 8 | p.body[at + 1 + (size_t)k];
		if (props[i].id == wanted)
			found = n;
	}
	mq_close(m);
	return found;
}

static void
what_is_announced(void)
{
	so(announced(0x13) == 60);
	so(announced(0x21) == 3);
	so(announced(0x22) == 10);
	so(announced(0x27) == 2000);
}

static void
who_may_do_what(void)
{
	struct mq *pub = anna(PLAIN, "pub", false), *sub = anna(PLAIN, "sub", false);

	so(mq_subscribe(sub, "+/x", 1) == 1);
	so(mq_publish(pub, "b/x", "x", 1, false) == 0x87);
	so(mq_publish(pub, "a/x", "x", 1, false) < 0x80);
	mq_need_publish(sub, "a/x", "x");
	mq_disconnect(sub);
	mq_disconnect(pub);
}

static void
packets_too_large_end_it(void)
{
	static const char large[3000];
	struct mq *m = anna(PLAIN, "a", false);

	mq_send_publish(m, "a/x", large, sizeof(large), 0, false, NULL);
	mq_need_close(m);
	mq_close(m);
}

/* Those that come without an acknowledgement, and are there for who was away. */
static void
windows_and_queues(void)
{
	struct mq *m = anna(PLAIN, "away", true), *pub;
	struct packet p;
	char text[16];
	int n = 0;

	so(mq_subscribe(m, "a/q", 1) == 1);
	pub = anna(PLAIN, "pub", false);
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "%d", i);
		so(mq_publish(pub, "a/q", text, 1, false) < 0x80);
	}
	for (; n < 3; n++)
		(void)mq_need(m, 3);
	mq_quiet(m);
	mq_close(m);
	m = anna(PLAIN, "away", true);
	so(m->present);
	for (n = 0; n < 5; n++) {
		p = mq_need(m, 3);
		mq_ack(m, 4, p.id, 0);
	}
	mq_quiet(m);
	mq_disconnect(m);
	/* QoS 0 too, at the QoS of the subscription. */
	mq_send_publish(pub, "a/q", "zero", 4, 0, false, NULL);
	mq_quiet(pub);
	m = anna(PLAIN, "away", true);
	p = mq_need_publish(m, "a/q", "zero");
	so(p.qos == 1);
	mq_disconnect(m);
	mq_disconnect(
	    mq_connect(.port = port[PLAIN], .id = "away", .user = "anna", .password = "secret"));
	mq_disconnect(pub);
}

static void
topics_are_mounted(void)
{
	struct mq *in = anna(MOUNTED, "in", false), *out = anna(PLAIN, "out", false);

	so(mq_subscribe(out, "m/a/x", 1) == 1);
	so(mq_publish(in, "a/x", "x", 1, false) < 0x80);
	mq_need_publish(out, "m/a/x", "x");
	mq_disconnect(in);
	mq_disconnect(out);
}

static void
connections_are_counted(void)
{
	struct mq *a = anna(FEW, "1", false), *b = anna(FEW, "2", false), *c;

	c = mq_try((struct mq_opts){ .port = port[FEW], .user = "anna", .password = "secret" });
	so(c->reason != 0);
	mq_close(c);
	mq_disconnect(a);
	mq_disconnect(b);
}

static void
certificates_are_asked_for(void)
{
	so(tls_sh(port[TLS], "timeout 60 mosquitto_pub $TLS -u anna -P secret -t a/x -m x") != 0);
	so(tls_sh(port[TLS],
	       "timeout 60 mosquitto_pub $TLS --cert $CA/revoked.crt --key $CA/revoked.key -t "
	       "alice/x -m x") != 0);
	so(tls_sh(port[TLS],
	       "timeout 60 mosquitto_sub $TLS -i reader --cert $CA/alice.crt --key $CA/alice.key "
	       "-V 5 -t alice/x -q 1 -C 1 >$DIR/got & it=$!\n"
	       "until timeout 60 mosquitto_pub $TLS -V 5 --cert $CA/alice.crt --key "
	       "$CA/alice.key -t alice/x -q 1 -m hello 2>&1 && ! kill -0 $it; do :; done\n"
	       "wait $it && grep -q hello $DIR/got") == 0);
}

static void
websockets_are_spoken(void)
{
	static const char ask[] =
	    "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
	    "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "
	    "13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
	struct mq *m = mq_open(port[WS]);
	char got[13] = "";

	mq_bytes(m, ask, sizeof(ask) - 1);
	so(recv(m->fd, got, 12, MSG_WAITALL) == 12);
	so(strcmp(got, "HTTP/1.1 101") == 0);
	mq_close(m);
}

static void
the_broker_tells_of_itself(void)
{
	struct mq *m = anna(PLAIN, "sys", false);
	struct packet p;

	so(mq_subscribe(m, "$SYS/broker/uptime", 0) == 0);
	do /* what is retained, and what comes then */
		p = mq_need(m, 3);
	while (p.retain);
	mq_disconnect(m);
}

static void
look(const char *name, const int *ports)
{
	whose = name;
	port = ports;
	who_comes_in();
	what_is_announced();
	who_may_do_what();
	packets_too_large_end_it();
	windows_and_queues();
	topics_are_mounted();
	connections_are_counted();
	certificates_are_asked_for();
	websockets_are_spoken();
	the_broker_tells_of_itself();
}

static bool
listens(int at)
{
	char command[100];

	snprintf(command, sizeof(command), "bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d'", at);
	return broker_sh(command) == 0;
}

static void
mosquitto_start(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/mosquitto.conf", broker.dir);
	scenario_helper = fork();
	if (scenario_helper == 0) {
		execl("/usr/sbin/mosquitto", "mosquitto", "-c", path, (char *)NULL);
		_exit(127);
	}
	check(scenario_helper > 0);
}

SCENARIO(1, 2)
{
	int theirs[PORTS], ours[PORTS];
	char command[100];

	for (int i = 0; i < PORTS; i++) {
		theirs[i] = port_free();
		ours[i] = port_free();
	}
	check(broker_sh("mkdir -p $DIR/conf.d && mosquitto_passwd -c -b $DIR/passwd anna secret") ==
	    0);
	check(tls_sh(0, ":") == 0);
	write_file("acl", acl, theirs);
	write_conf(theirs);
	mosquitto_start();
	wait_for(listens(theirs[WS]));
	look("mosquitto", theirs);
	check(kill(scenario_helper, SIGTERM) == 0);
	check(waitpid(scenario_helper, NULL, 0) == scenario_helper);
	scenario_helper = 0;

	write_conf(ours);
	check(broker_sh("$CTL config import $DIR/mosquitto.conf --output $DIR/tbmq.conf && $CTL "
			"config check $DIR/tbmq.conf") == 0);
	/* Each option is told with its place. */
	check(broker_sh(
		  "grep -q 'mosquitto.conf:6: max_inflight_messages: taken: inflight_max = 3' "
		  "$DIR/err && grep -q 'conf.d/more.conf:2: mount_point: taken' $DIR/err && grep "
		  "-q \"mosquitto.conf:3: password_file: to be done: .*tbmqctl auth import "
		  "$DIR/passwd\" $DIR/err") == 0);
	snprintf(command, sizeof(command),
	    "$CTL start --workers %d && $CTL auth import $DIR/passwd", workers());
	check(broker_sh(command) == 0);
	broker_adopt();
	look("tbmq", ours);

	/* What is there stays whole, and what would be lost has to be said. */
	check(broker_sh("$CTL config import $DIR/mosquitto.conf --output $DIR/tbmq.conf") == 1);
	check(broker_sh("echo 'connection b' >>$DIR/mosquitto.conf; $CTL config import "
			"$DIR/mosquitto.conf --output $DIR/new") == 1);
	check(broker_sh("test ! -e $DIR/new && $CTL config import $DIR/mosquitto.conf --output "
			"$DIR/new --force && cmp $DIR/new $DIR/tbmq.conf") == 0);
	check(broker_sh("echo nonsense >>$DIR/mosquitto.conf; $CTL config import "
			"$DIR/mosquitto.conf --force --replace --output $DIR/new") == 1);
	check(broker_sh("grep -q 'mosquitto.conf:27: nonsense: wrong' $DIR/err && cmp $DIR/new "
			"$DIR/tbmq.conf") == 0);
	check(broker_sh("for f in /etc/mosquitto/mosquitto.conf "
			"/usr/share/doc/mosquitto/examples/mosquitto.conf; do test ! -e $f || "
			"$CTL config import $f --replace --output $DIR/new && $CTL config check "
			"$DIR/new || exit 1; done") == 0);
	broker_stop();
}
