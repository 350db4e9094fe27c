#include "shared/conf/conf.h"

#include <errno.h>
#include <unistd.h>

#include "shared/conf/table.h"

#include "tests/unit/unit.h"

static unsigned changes;

static void
on_change(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	(void)arg;
	(void)from;
	(void)to;
	changes++;
	if (strstr(key, "ring_size") != NULL)
		CU_ASSERT_EQUAL(when, CONF_RESTART);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{ "inflght_max = 3;", "did you mean \"inflight_max\"" },
	{ "inflight_max = 70000;", "70000 is more than 65535" },
	{ "inflight_max = 0;", "0 is less than 1" },
	{ "inflight_max = -1;", "must not be negative" },
	{ "inflight_max = \"5\";", "must be a number, without quotes" },
	{ "retain_available = 1;", "must be true or false" },
	{ "retain_available = \"true\";", "without quotes" },
	{ "max_packet_size = \"64 parsecs\";", "is no size" },
	{ "session_expiry_max = \"soon\";", "is no time" },
	{ "log_level = \"loud\";", "is none of" },
	{ "ring_size = 100000;", "ring_size: must be a power of two" },
	{ "store_ring_size = 100000;", "store_ring_size: must be a power of two" },
	{ "log_modules = \"a\";", "log_modules: must be as" },
	{ "authentication = \"jwt\";", "authentication: jwt needs" },
	{ "authentication = \"http\";", "authentication: http needs http_url" },
	{ "jwt_jwks_url = \"http://a/%u\";", "jwt_jwks_url: has what can't be" },
	{ "http_url = \"ftp://a/\";", "http_url: must be as" },
	{ "http_url = \"http://\";", "http_url: must be as" },
	{ "http_url = \"http:///x\";", "http_url: must be as" },
	{ "http_url = \"http://%u/\";", "http_url: its host has neither" },
	{ "http_url = \"https://u:p@a/\";", "http_url: its host has neither" },
	{ "http_url = \"http://a/%x\";", "http_url: has what can't be" },
	{ "http_url = \"http://a/%\";", "http_url: has what can't be" },
	{ "http_url = \"http://a/ b\";", "http_url: has what can't be" },
	{ "http_fields = \"a\";", "http_fields: must be as" },
	{ "http_headers_file = \"a\";", "http_headers_file: must be an absolute path" },
	{ "jwt_public_key = \"a.pem\";", "jwt_public_key: must be an absolute path" },
	{ "jwt_verify = \"sub\";", "jwt_verify: must be as" },
	{ "jwt_verify = \"sub=%P\";", "jwt_verify: must be as" },
	{ "jwt_attributes = \"a=b\";", "jwt_attributes: must be names" },
	{ "workers = \"x\";", "\"x\" is no number, nor auto" },
	{ "data_dir = \"store\";", "data_dir: must be an absolute path" },
	{ "log_file = \"./log\";", "log_file: must be an absolute path" },
	{ "workers = 65;", "65 is more than 64" },
	{ "user = \"a\\nb\";", "control character" },
	{ "listeners = 5;", "must be a list" },
	{ "listeners = ( 5 );", "must be a group" },
	{ "listeners = ( { port = 1; } );", "needs a name" },
	{ "listeners = ( { name = \"a\"; prt = 1; } );", "did you mean \"port\"" },
	{ "listeners = ( { name = \"a\"; port = 1; }, { name = \"a\"; port = 2; } );",
	    "is there twice" },
	{ "listeners = ( { name = \"a\"; port = 1; }, { name = \"b\"; port = 1; } );",
	    "same address and port" },
	{ "listeners = ( { name = \"a\"; address = \"foo\"; } );",
	    "address: \"foo\" is no address" },
	{ "listeners = ( { name = \"a\"; mount_point = \"a/#/\"; } );", "mount_point: wildcards" },
	{ "listeners = ( { name = \"a\"; mqtt_31 = false; mqtt_311 = false; mqtt_5 = false; } );",
	    "no version of MQTT" },
	{ "listeners = ( { name = \"a\"; type = \"unix\"; } );",
	    "type: a unix socket needs a path" },
	{ "listeners = ( { name = \"a\"; path = \"/a\"; } );", "path: needs type = \"unix\"" },
	{ "listeners = ( { name = \"a\"; type = \"unix\"; path = \"/a\"; mode = \"1777\"; } );",
	    "mode: \"1777\"" },
	{ "listeners = ( { name = \"a\"; type = \"unix\"; path = \"/a\"; },"
	  " { name = \"b\"; type = \"unix\"; path = \"/a\"; } );",
	    "path: \"a\" and \"b\" have the same path" },
	{ "listeners = ( { name = \"a\"; psk_file = \"/p\"; } );", "psk_file: needs type" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; psk_file = \"p\"; } );", "absolute path" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; certificate = \"/c\"; psk_hint = \"h\"; } "
	  ");",
	    "psk_hint: needs psk_file" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; psk_file = \"/p\"; "
	  "client_authorities = \"/a\"; client_certificate = \"required\"; } );",
	    "client_certificate: needs a certificate" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; } );", "type: TLS needs a certificate" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; certificate = \"c.pem\"; } );",
	    "certificate: must be an absolute path" },
	{ "listeners = ( { name = \"a\"; certificate = \"/c.pem\"; } );",
	    "certificate: needs type = \"tls\"" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; certificate = \"/c.pem\"; "
	  "client_certificate = \"required\"; } );",
	    "needs client_authorities" },
	{ "listeners = ( { name = \"a\"; type = \"tls\"; certificate = \"/c.pem\"; "
	  "certificate_user = \"dns\"; } );",
	    "certificate_user: needs client_certificate" },
	{ "inflight_max = ;", "syntax error" },
};

static void
each_mistake_is_named_with_its_line(void)
{
	struct conf_error err;
	struct conf c;
	char text[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "# a comment\n\n%s", bad[i].text);
		err.text[0] = '\0';
		CU_ASSERT_EQUAL(conf_parse_string(text, &c, &err), -22);
		if (strstr(err.text, bad[i].says) == NULL)
			printf("\n    %s: \"%s\" ", bad[i].text, err.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].says));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ":3: "));
	}
}

static void
a_refused_text_changes_nothing(void)
{
	struct conf_error err;
	struct conf c, was;

	conf_defaults(&c);
	c.inflight_max = 7;
	was = c;
	CU_ASSERT_NOT_EQUAL(
	    conf_parse_string("queue_max_messages = 5; nonsense = 1;", &c, &err), 0);
	CU_ASSERT_EQUAL(conf_diff(&c, &was, on_change, NULL), 0);
}

static void
units_and_words_are_understood(void)
{
	struct conf_error err;
	struct conf c;

	CU_ASSERT_EQUAL(
	    conf_parse_string(
		"workers = \"auto\"; max_packet_size = \"64 KiB\"; session_expiry_max = \"10m\";"
		"session_expiry_v3 = \"never\"; queue_drop = \"oldest\"; message_expiry_max = 30;",
		&c, &err),
	    0);
	CU_ASSERT_EQUAL(c.workers, 0);
	CU_ASSERT_EQUAL(c.max_packet_size, 65536);
	CU_ASSERT_EQUAL(c.session_expiry_max, 600);
	CU_ASSERT_EQUAL(c.session_expiry_v3, UINT32_MAX);
	CU_ASSERT_EQUAL(c.queue_drop, DROP_oldest);
	CU_ASSERT_EQUAL(c.message_expiry_max, 30);
	CU_ASSERT_EQUAL(c.inflight_max, 100);
}

static void
overrides_are_checked_like_the_file(void)
{
	struct conf_error err;
	struct conf c;

	conf_defaults(&c);
	CU_ASSERT_EQUAL(conf_override(&c, "port=1999", &err), 0);
	CU_ASSERT_EQUAL(c.listener[0].port, 1999);
	CU_ASSERT_EQUAL(conf_override(&c, "listener.default.backlog=7", &err), 0);
	CU_ASSERT_EQUAL(c.listener[0].backlog, 7);
	CU_ASSERT_NOT_EQUAL(conf_override(&c, "listener.other.backlog=7", &err), 0);
	CU_ASSERT_NOT_EQUAL(conf_override(&c, "inflight_max=many", &err), 0);
	CU_ASSERT_NOT_EQUAL(conf_override(&c, "inflight_max", &err), 0);
	CU_ASSERT_NOT_EQUAL(conf_override(&c, "=", &err), 0);
}

static void
the_sample_is_what_the_defaults_write(void)
{
	char *text = NULL, *sample;
	size_t len = 0, n;
	struct conf c;
	FILE *f = open_memstream(&text, &len);

	conf_defaults(&c);
	CU_ASSERT_EQUAL(conf_write(&c, f), 0);
	fclose(f);
	f = fopen("etc/tbmq.conf", "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	sample = calloc(1, len + 2);
	n = fread(sample, 1, len + 1, f);
	fclose(f);
	CU_ASSERT_EQUAL(n, len); /* else: tbmqctl config sample >etc/tbmq.conf */
	CU_ASSERT_STRING_EQUAL(sample, text);
	free(sample);
	free(text);
}

static void
snapshots_are_sealed_and_checked(void)
{
	struct conf c, got;
	int fd;

	conf_defaults(&c);
	fd = conf_snapshot(&c);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(conf_load(fd, &got), 0);
	CU_ASSERT_EQUAL(conf_diff(&c, &got, on_change, NULL), 0);
	c.inflight_max = 0; /* below its bound */
	fd = conf_snapshot(&c);
	CU_ASSERT_EQUAL(conf_load(fd, &got), -71);
	conf_defaults(&c);
	memset(c.user.s, 'x', sizeof(c.user.s)); /* no end */
	fd = conf_snapshot(&c);
	CU_ASSERT_EQUAL(conf_load(fd, &got), -71);
	CU_ASSERT_NOT_EQUAL(conf_load(0, &got), 0);
}

static void
differences_are_listed_with_when_they_apply(void)
{
	struct conf a, b;

	conf_defaults(&a);
	b = a;
	CU_ASSERT_EQUAL(conf_diff(&a, &b, on_change, NULL), 0);
	b.ring_size = 131072;
	b.listener[0].port = 5;
	b.nlisteners = 2;
	conf_listener_defaults(&b.listener[1]);
	strcpy(b.listener[1].name.s, "second");
	changes = 0;
	CU_ASSERT_EQUAL(conf_diff(&a, &b, on_change, NULL), 3);
	CU_ASSERT_EQUAL(changes, 3);
}

/* --- files ------------------------------------------------------------------------------- */

static char dir[64];

static const char *
put(const char *name, const char *text)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static void
dir_new(void)
{
	strcpy(dir, "/tmp/tbmq-conf-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void
dir_free(void)
{
	static const char *const names[] = { "a.conf", "b.conf" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
a_file_that_cannot_be_read_is_named(void)
{
	struct conf_error err;
	struct conf c;
	char path[128];

	dir_new();
	snprintf(path, sizeof(path), "%s/a.conf", dir);
	CU_ASSERT_EQUAL(conf_parse(path, &c, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a.conf: cannot be read: No such file"));
	CU_ASSERT_EQUAL(conf_parse(dir, &c, &err), -EINVAL); /* a directory */
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be read: it is no file"));
	CU_ASSERT_EQUAL(conf_parse("", &c, &err), -EINVAL);
	dir_free();
}

static void
a_mistake_in_an_included_file_is_named_there(void)
{
	struct conf_error err;
	struct conf c;
	const char *path;

	dir_new();
	put("b.conf", "# more\ninflght_max = 3;\n");
	path = put("a.conf", "workers = 2;\n@include \"b.conf\"\n");
	CU_ASSERT_EQUAL(conf_parse(path, &c, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "b.conf:2: inflght_max: unknown key"));
	put("b.conf", "\n\ninflight_max = ;\n");
	path = put("a.conf", "@include \"b.conf\"\n");
	CU_ASSERT_EQUAL(conf_parse(path, &c, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "b.conf:3: "));
	path = put("a.conf", "workers = 2;\n@include \"none.conf\"\n");
	CU_ASSERT_EQUAL(conf_parse(path, &c, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a.conf:2: "));
	put("b.conf", "inflight_max = 3;\n");
	path = put("a.conf", "workers = 2;\n@include \"b.conf\"\n");
	CU_ASSERT_EQUAL(conf_parse(path, &c, &err), 0);
	CU_ASSERT_TRUE(c.workers == 2 && c.inflight_max == 3);
	dir_free();
}

static void
files_that_include_each_other_are_refused(void)
{
	struct conf_error err;
	struct conf c;
	const char *path;

	dir_new();
	put("b.conf", "@include \"a.conf\"\n");
	path = put("a.conf", "@include \"b.conf\"\n");
	CU_ASSERT_EQUAL(conf_parse(path, &c, &err), -EINVAL);
	CU_ASSERT_NOT_EQUAL(err.text[0], '\0');
	dir_free();
}

/* --- what is written is read as the same ------------------------------------------------- */

/* Each value another one than the default, in one of several ways. */
static void
change_all(void *base, const struct conf_key *keys, size_t n, unsigned way)
{
	static const char *const strings[] = { "/x", "/a \"b\" \\ c/d", "/\xc3\xa4" };
	static const char *const rates[] = { "7:3", "none", "10:1,300:60,1:2,2048:86400" };
	char why[256];

	for (size_t i = 0; i < n; i++) {
		const struct conf_key *k = &keys[i];
		uint64_t value = way == 0 ? k->min
		    : way == 1            ? k->max
					  : k->min + (k->max - k->min) / 3;
		const char *text = NULL;

		if (k->type == CONF_STRING)
			text = strings[way];
		else if (k->type == CONF_RATE || k->type == CONF_BYTE_RATE)
			text = rates[way];
		else if (k->type >= CONF_LOG_TARGET)
			text = conf_choice(k->type, conf_choice(k->type, way) != NULL ? way : 0);
		if (strstr(k->name, "ring_size") != NULL)
			value = UINT64_C(65536) << way;
		if (strcmp(k->name, "address") == 0)
			text = way == 0 ? "*" : way == 1 ? "::1" : "10.0.0.1";
		if (strcmp(k->name, "type") == 0) /* the other keys fit */
			text = way == 0 ? "tcp" : "tls";
		if (strcmp(k->name, "path") == 0)
			text = "";
		if (strcmp(k->name, "mode") == 0)
			text = way == 0 ? "600" : "0777";
		if (strcmp(k->name, "mqtt_5") == 0)
			value = 1;
		if (strcmp(k->name, "log_modules") == 0)
			text = "conn=debug,route=info";
		if (strcmp(k->name, "authentication") == 0)
			text = way == 0 ? "" : " basic";
		if (strcmp(k->name, "jwt_verify") == 0)
			text = way == 0 ? "" : "sub=%u, device=%c";
		if (strcmp(k->name, "jwt_jwks_url") == 0)
			text = way == 0 ? "" : "http://a/%%20";
		if (strcmp(k->name, "http_url") == 0)
			text = way == 0 ? "" : "https://[::1]:8080/a/%u?p=%P&x=%%20";
		if (strcmp(k->name, "http_fields") == 0)
			text = way == 0 ? "" : "u=%u";
		CU_ASSERT_EQUAL(conf_set(base, k, text, value, why), 0);
	}
}

static void
what_is_written_is_read_as_the_same(void)
{
	static struct conf c, again;
	struct conf_error err;

	for (unsigned way = 0; way < 3; way++) {
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		conf_defaults(&c);
		change_all(&c, conf_keys, conf_nkeys, way);
		c.nlisteners = way == 0 ? 0 : way == 1 ? CONF_LISTENERS : 1;
		for (unsigned i = 0; i < c.nlisteners; i++) {
			conf_listener_defaults(&c.listener[i]);
			change_all(&c.listener[i], conf_listener_keys, conf_nlistener_keys, way);
			snprintf(c.listener[i].name.s, 32, "n%u", i);
			c.listener[i].port = (c.listener[i].port + i) & 0xffff;
		}
		CU_ASSERT_EQUAL(conf_write(&c, f), 0);
		fclose(f);
		err.text[0] = '\0';
		CU_ASSERT_EQUAL(conf_parse_string(text, &again, &err), 0);
		if (err.text[0] != '\0')
			printf("\n    %s ", err.text);
		changes = 0;
		CU_ASSERT_EQUAL(conf_diff(&c, &again, on_change, NULL), 0);
		CU_ASSERT_EQUAL(c.nlisteners, again.nlisteners);
		free(text);
	}
}

static void
one_listener_more_than_there_is_room_for_is_refused(void)
{
	char text[4096] = "listeners = (";
	struct conf_error err;
	struct conf c;

	for (unsigned i = 0; i <= CONF_LISTENERS; i++)
		sprintf(text + strlen(text), "%s{ name = \"%u\"; port = %u; }", i > 0 ? ", " : "",
		    i, i + 1);
	strcat(text, ");");
	CU_ASSERT_EQUAL(conf_parse_string(text, &c, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "too many listeners"));
}

UNIT_MAIN("shared/conf/parse", TEST(each_mistake_is_named_with_its_line),
    TEST(a_refused_text_changes_nothing), TEST(units_and_words_are_understood),
    TEST(overrides_are_checked_like_the_file), TEST(the_sample_is_what_the_defaults_write),
    TEST(snapshots_are_sealed_and_checked), TEST(differences_are_listed_with_when_they_apply),
    TEST(a_file_that_cannot_be_read_is_named), TEST(a_mistake_in_an_included_file_is_named_there),
    TEST(files_that_include_each_other_are_refused), TEST(what_is_written_is_read_as_the_same),
    TEST(one_listener_more_than_there_is_room_for_is_refused))
