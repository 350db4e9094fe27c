#include "master/ctl/mosquitto.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct conf c;
static char told[16384]; /* "LINE OPTION FATE TEXT", a line each */

static void
on_said(void *arg, const struct mosquitto_said *s)
{
	size_t len = strlen(told);

	(void)arg;
	snprintf(told + len, sizeof(told) - len, "%u %s %d %s\n", s->line, s->option, (int)s->fate,
	    s->text);
}

static int
import(const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int bad;

	told[0] = '\0';
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	bad = mosquitto_read(in, "m.conf", true, on_said, NULL, &c);
	fclose(in);
	return bad;
}

static bool
was_told(unsigned line, const char *option, enum mosquitto_fate fate)
{
	char text[100];

	snprintf(text, sizeof(text), "%u %s %d ", line, option, (int)fate);
	return strstr(told, text) != NULL;
}

static bool
is_wrong(const char *text, unsigned line, const char *option)
{
	return import(text) == -EINVAL && was_told(line, option, MOSQUITTO_WRONG);
}

static void
what_mosquitto_does_not_know_is_wrong(void)
{
	CU_ASSERT_TRUE(is_wrong("port 1\nnonsense 1\n", 2, "nonsense"));
	CU_ASSERT_TRUE(is_wrong(" # x\n", 1, "#"));
	CU_ASSERT_TRUE(is_wrong("auth_opt_ x\n", 1, "auth_opt_"));
	CU_ASSERT_TRUE(is_wrong("Port 1\n", 1, "Port"));
}

static void
every_mistake_is_told(void)
{
	CU_ASSERT_TRUE(is_wrong("nonsense\n\nport x\n", 1, "nonsense"));
	CU_ASSERT_TRUE(was_told(3, "port", MOSQUITTO_WRONG));
}

static void
values_that_cannot_be_are_wrong(void)
{
	static const struct {
		const char *text, *option;
	} bad[] = { { "port", "port" }, { "port ", "port" }, { "port 0", "port" },
		{ "port 65536", "port" }, { "port 1 2", "port" },
		{ "port 99999999999999999999", "port" },
		{ "allow_anonymous yes", "allow_anonymous" },
		{ "allow_anonymous true false", "allow_anonymous" }, { "max_qos 3", "max_qos" },
		{ "max_qos -1", "max_qos" }, { "listener", "listener" },
		{ "listener x", "listener" }, { "listener 0", "listener" },
		{ "listener 0 run/sock", "listener" },
		{ "listener 0 /run/sock\nprotocol websockets", "listener" },
		{ "listener 65536", "listener" }, { "max_keepalive 9", "max_keepalive" },
		{ "max_packet_size 19", "max_packet_size" },
		{ "persistent_client_expiration 3x", "persistent_client_expiration" },
		{ "persistent_client_expiration 0d", "persistent_client_expiration" },
		{ "persistent_client_expiration -1d", "persistent_client_expiration" },
		{ "persistent_client_expiration 3dd", "persistent_client_expiration" },
		{ "log_type loud", "log_type" }, { "protocol mqttsn", "protocol" },
		{ "socket_domain ipv5", "socket_domain" },
		{ "bind_address nowhere", "bind_address" } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!is_wrong(bad[i].text, 1, bad[i].option))
			CU_FAIL("not refused");
	CU_ASSERT_TRUE(is_wrong("listener 1\nmount_point a/+\n", 0, "file"));
	CU_ASSERT_TRUE(is_wrong("listener 1\nlistener 1\n", 0, "file"));
	CU_ASSERT_TRUE(is_wrong("password_file /a\npassword_file /b\n", 2, "password_file"));
}

static void
tls_by_halves_is_wrong(void)
{
	CU_ASSERT_TRUE(is_wrong("listener 1\ncertfile /c\n", 2, "certfile"));
	CU_ASSERT_TRUE(is_wrong("listener 1\nkeyfile /k\n", 2, "keyfile"));
	CU_ASSERT_TRUE(is_wrong("listener 1\ncertfile /c\nkeyfile /k\nrequire_certificate true\n",
	    4, "require_certificate"));
	CU_ASSERT_TRUE(is_wrong("listener 1\ncertfile /c\nkeyfile /k\nuse_identity_as_username 1\n",
	    4, "use_identity_as_username"));
	CU_ASSERT_TRUE(
	    is_wrong("listener 1\ncertfile /c\nkeyfile /k\ntls_version 1.2\n", 4, "tls_version"));
}

static void
more_than_there_is_room_for_is_wrong(void)
{
	static char text[70000];

	text[0] = '\0';
	for (int i = 0; i < CONF_LISTENERS + 1; i++)
		sprintf(text + strlen(text), "listener %d\n", i + 1);
	CU_ASSERT_TRUE(is_wrong(text, CONF_LISTENERS + 1, "listener"));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_TRUE(is_wrong(text, 1, "line"));
	CU_ASSERT_TRUE(strlen(told) < 4000);
}

static void
secrets_are_not_told(void)
{
	CU_ASSERT_EQUAL(import("connection b\nremote_password geheim\nbridge_psk geheim\n"
			       "auth_opt_pw geheim\n"),
	    0);
	CU_ASSERT_TRUE(was_told(2, "remote_password", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_TRUE(was_told(4, "auth_opt_pw", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_PTR_NULL(strstr(told, "geheim"));
}

static void
unix_sockets_are_listeners(void)
{
	CU_ASSERT_EQUAL(
	    import("listener 0 /run/a\nmax_connections 3\nlistener 0 /run/b\nlistener 1\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 3);
	CU_ASSERT_EQUAL(c.listener[0].type, TRANSPORT_unix);
	CU_ASSERT_STRING_EQUAL(c.listener[0].name.s, "unix");
	CU_ASSERT_STRING_EQUAL(c.listener[0].path.s, "/run/a");
	CU_ASSERT_EQUAL(c.listener[0].max_connections, 3);
	CU_ASSERT_STRING_EQUAL(c.listener[1].name.s, "unix-2");
	CU_ASSERT_STRING_EQUAL(c.listener[1].path.s, "/run/b");
	CU_ASSERT_EQUAL(c.listener[2].type, TRANSPORT_tcp);
	CU_ASSERT_TRUE(was_told(1, "listener", MOSQUITTO_DIFFERS));
}

/* A listener that would be less safe than it was is not made. */
static void
what_is_not_supported_is_left_out(void)
{
	CU_ASSERT_EQUAL(import("listener 1\nlistener 8883\npsk_hint h\nmax_connections 3\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 1);
	CU_ASSERT_TRUE(was_told(3, "psk_hint", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_TRUE(was_told(4, "max_connections", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_EQUAL(import("allow_zero_length_clientid false\nhttp_dir /x\n"), 0);
	CU_ASSERT_TRUE(was_told(1, "allow_zero_length_clientid", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_EQUAL(import("listener 1\nmax_qos 1\nlistener 2\n"), 0);
	CU_ASSERT_TRUE(was_told(2, "max_qos", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_EQUAL(c.max_qos, 2);
	CU_ASSERT_EQUAL(import("listener 1\nmax_connections 0\n"), 0);
	CU_ASSERT_TRUE(was_told(2, "max_connections", MOSQUITTO_UNSUPPORTED));
}

static void
an_empty_file_is_for_this_machine(void)
{
	CU_ASSERT_EQUAL(import("# nothing\n\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 1);
	CU_ASSERT_STRING_EQUAL(c.listener[0].address.s, "127.0.0.1");
	CU_ASSERT_EQUAL(c.listener[0].port, 1883);
	CU_ASSERT_TRUE(c.listener[0].allow_anonymous);
	CU_ASSERT_STRING_EQUAL(c.authentication.s, "");
	CU_ASSERT_EQUAL(c.inflight_max, 20);
	CU_ASSERT_EQUAL(c.receive_max, 20);
	CU_ASSERT_EQUAL(c.topic_alias_max, 10);
	CU_ASSERT_EQUAL(c.max_packet_size, 268435460);
	CU_ASSERT_EQUAL(c.queue_max_bytes, 0);
	CU_ASSERT_EQUAL(c.queue_max_messages, 1000);
}

/* As mosquitto does: who names one, or whatever else of the old one, gets it on all addresses. */
static void
listeners_are_those_that_mosquitto_opens(void)
{
	CU_ASSERT_EQUAL(import("listener 1884 # c\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 1);
	CU_ASSERT_STRING_EQUAL(c.listener[0].address.s, "*");
	CU_ASSERT_FALSE(c.listener[0].allow_anonymous);
	CU_ASSERT_TRUE(was_told(0, "allow_anonymous", MOSQUITTO_TAKEN));
	CU_ASSERT_EQUAL(import("max_connections 5\nlistener 1884 ::1\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 2);
	CU_ASSERT_EQUAL(c.listener[0].port, 1884);
	CU_ASSERT_STRING_EQUAL(c.listener[0].address.s, "::1");
	CU_ASSERT_EQUAL(c.listener[1].port, 1883);
	CU_ASSERT_EQUAL(c.listener[1].max_connections, 5);
	CU_ASSERT_EQUAL(import("max_connections -1\nmax_qos 2\nlistener 1884\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 1);
	CU_ASSERT_TRUE(was_told(1, "max_connections", MOSQUITTO_NOTHING));
	CU_ASSERT_EQUAL(import("listener 1884\nport 1885\nbind_address 127.0.0.1\n"), 0);
	CU_ASSERT_EQUAL(c.nlisteners, 2);
	CU_ASSERT_EQUAL(c.listener[1].port, 1885);
	CU_ASSERT_STRING_EQUAL(c.listener[1].address.s, "127.0.0.1");
	CU_ASSERT_EQUAL(
	    import("listener 1\nsocket_domain ipv4\nlistener 2\nsocket_domain ipv6\n"), 0);
	CU_ASSERT_STRING_EQUAL(c.listener[0].address.s, "0.0.0.0");
	CU_ASSERT_STRING_EQUAL(c.listener[1].address.s, "::");
	CU_ASSERT_EQUAL(import("listener 1 127.0.0.1\nlistener 1 ::1\n"), 0);
	CU_ASSERT_STRING_EQUAL(c.listener[0].name.s, "tcp-1");
	CU_ASSERT_STRING_EQUAL(c.listener[1].name.s, "tcp-1-2");
}

static void
who_may_come_in_is_who_might(void)
{
	CU_ASSERT_EQUAL(import("port 1\nallow_anonymous true\n"), 0);
	CU_ASSERT_TRUE(c.listener[0].allow_anonymous);
	CU_ASSERT_STRING_EQUAL(c.authentication.s, "");
	CU_ASSERT_EQUAL(import("port 1\nallow_anonymous true\npassword_file /p\n"), 0);
	CU_ASSERT_TRUE(c.listener[0].allow_anonymous);
	CU_ASSERT_STRING_EQUAL(c.authentication.s, "basic");
	CU_ASSERT_TRUE(was_told(3, "password_file", MOSQUITTO_STEP));
	CU_ASSERT_EQUAL(import("per_listener_settings true\nlistener 1\nallow_anonymous true\n"
			       "listener 2\npassword_file /p\nacl_file /a\n"),
	    0);
	CU_ASSERT_TRUE(c.listener[0].allow_anonymous);
	CU_ASSERT_FALSE(c.listener[1].allow_anonymous);
	CU_ASSERT_TRUE(was_told(3, "allow_anonymous", MOSQUITTO_DIFFERS));
	CU_ASSERT_TRUE(was_told(5, "password_file", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_TRUE(was_told(6, "acl_file", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_STRING_EQUAL(c.acl_file.s, "");
	CU_ASSERT_EQUAL(import("per_listener_settings true\nlistener 1\nacl_file /a\nlistener 2\n"
			       "acl_file /a\n"),
	    0);
	CU_ASSERT_STRING_EQUAL(c.acl_file.s, "/a");
	CU_ASSERT_EQUAL(c.acl_format, ACL_FORMAT_mosquitto);
	CU_ASSERT_EQUAL(import("clientid_prefixes dev-\n"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(told, "--client-regex '^(?!\\Qdev-\\E)'"));
}

#define TLS "listener 1\ncertfile /c\nkeyfile /k\n"

static void
certificates_are_asked_for_as_they_were(void)
{
	CU_ASSERT_EQUAL(import(TLS "cafile /ca\n"), 0);
	CU_ASSERT_EQUAL(c.listener[0].type, TRANSPORT_tls);
	CU_ASSERT_EQUAL(c.listener[0].client_certificate, CLIENT_CERTIFICATE_none);
	CU_ASSERT_STRING_EQUAL(c.listener[0].client_authorities.s, "");
	CU_ASSERT_EQUAL(import(TLS "cafile /ca\nrequire_certificate true\ncrlfile /r\n"
				   "use_subject_as_username true\nuse_identity_as_username true\n"
				   "protocol websockets\ntls_version tlsv1.3\n"),
	    0);
	CU_ASSERT_EQUAL(c.listener[0].type, TRANSPORT_wss);
	CU_ASSERT_EQUAL(c.listener[0].client_certificate, CLIENT_CERTIFICATE_required);
	CU_ASSERT_EQUAL(c.listener[0].certificate_user, CERTIFICATE_USER_common_name);
	CU_ASSERT_EQUAL(c.listener[0].tls_version, TLS_VERSION_1_3);
	CU_ASSERT_STRING_EQUAL(c.listener[0].client_authorities.s, "/ca");
	CU_ASSERT_STRING_EQUAL(c.listener[0].client_revocations.s, "/r");
	CU_ASSERT_TRUE(was_told(6, "crlfile", MOSQUITTO_DIFFERS));
	/* A password beside the certificate is not asked for: that has to be wanted. */
	CU_ASSERT_EQUAL(
	    import("password_file /p\n" TLS "cafile /ca\nrequire_certificate true\n"), 0);
	CU_ASSERT_TRUE(was_told(6, "require_certificate", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_EQUAL(c.listener[0].client_certificate, CLIENT_CERTIFICATE_required);
}

static void
numbers_are_those_of_mosquitto(void)
{
	CU_ASSERT_EQUAL(
	    import("max_inflight_messages 0\nmax_queued_messages 7 # c\nmax_keepalive 60\n"
		   "message_size_limit 1000\npersistent_client_expiration 2w\n"
		   "sys_interval 0\nqueue_qos0_messages 1\nmax_topic_alias 3\n"
		   "max_queued_bytes 4611686018427387904\n"),
	    0);
	CU_ASSERT_EQUAL(c.inflight_max, 65535);
	CU_ASSERT_EQUAL(c.receive_max, 65535);
	CU_ASSERT_EQUAL(c.queue_max_messages, 7);
	CU_ASSERT_EQUAL(c.max_keepalive, 60);
	CU_ASSERT_EQUAL(c.max_packet_size, 1000 + 65536);
	CU_ASSERT_EQUAL(c.session_expiry_max, 1209600);
	CU_ASSERT_EQUAL(c.session_expiry_v3, 1209600);
	CU_ASSERT_EQUAL(c.sys_interval, 0);
	CU_ASSERT_TRUE(c.queue_qos0);
	CU_ASSERT_EQUAL(c.queue_max_bytes, 1099511627776);
	CU_ASSERT_TRUE(was_told(9, "max_queued_bytes", MOSQUITTO_DIFFERS));
	CU_ASSERT_EQUAL(import("max_packet_size 2000\nmessage_size_limit 1000\n"), 0);
	CU_ASSERT_EQUAL(c.max_packet_size, 2000);
	CU_ASSERT_EQUAL(import("sys_interval 1\nsys_interval 2\n"), 0);
	CU_ASSERT_EQUAL(c.sys_interval, 2);
	CU_ASSERT_TRUE(was_told(1, "sys_interval", MOSQUITTO_NOTHING));
}

static void
the_log_goes_to_the_best_place(void)
{
	CU_ASSERT_EQUAL(import("log_dest stderr\nlog_dest file /l\nlog_dest topic\nlog_type error\n"
			       "log_type notice\nlog_type subscribe\n"),
	    0);
	CU_ASSERT_EQUAL(c.log_target, LOG_TARGET_file);
	CU_ASSERT_STRING_EQUAL(c.log_file.s, "/l");
	CU_ASSERT_EQUAL(c.log_level, LOG_LEVEL_notice);
	CU_ASSERT_TRUE(was_told(1, "log_dest", MOSQUITTO_DIFFERS));
	CU_ASSERT_TRUE(was_told(3, "log_dest", MOSQUITTO_UNSUPPORTED));
	CU_ASSERT_EQUAL(import("log_dest syslog\nconnection_messages false\n"), 0);
	CU_ASSERT_EQUAL(c.log_target, LOG_TARGET_syslog);
	CU_ASSERT_EQUAL(c.log_level, LOG_LEVEL_info);
	CU_ASSERT_STRING_EQUAL(c.log_modules.s, "conn=notice");
}

UNIT_MAIN("master/ctl/mosquitto", TEST(what_mosquitto_does_not_know_is_wrong),
    TEST(every_mistake_is_told), TEST(values_that_cannot_be_are_wrong),
    TEST(tls_by_halves_is_wrong), TEST(more_than_there_is_room_for_is_wrong),
    TEST(secrets_are_not_told), TEST(unix_sockets_are_listeners),
    TEST(what_is_not_supported_is_left_out), TEST(an_empty_file_is_for_this_machine),
    TEST(listeners_are_those_that_mosquitto_opens), TEST(who_may_come_in_is_who_might),
    TEST(certificates_are_asked_for_as_they_were), TEST(numbers_are_those_of_mosquitto),
    TEST(the_log_goes_to_the_best_place))
