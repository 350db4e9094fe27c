/*
 * paho_c.c PORT VERSION - shows with Eclipse Paho's C client what README.md lists
 *
 * It uses the library's synchronous client without callbacks for messages: then nothing of it has a thread, and no connection
 * is opened while a thread waits on all of them, which the library doesn't survive. Pings are sent whenever it is called,
 * and DISCONNECT's reason is lost, as is that of CONNACK in words. The server's keep alive is its user's to heed.
 * It doesn't let go of its socket, so who is to be cut off is a process of its own, killed. In MQTT 5 it doesn't tell whether
 * there is a session: there it shows by what still arrives. Aliases towards it are its user's to resolve.
 */
#include <MQTTClient.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_S 60
#define MESSAGES 20
#define LARGE 1000000
/* The broker's longest keep alive is 4 s, and it waits half as long again. */
#define KEEPALIVE_S 4
#define QUIET_S 7

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail(__LINE__, #cond);                                                     \
	} while (0)

struct client {
	MQTTClient handle;
	int ack_reason;        /* MQTT 5: of the last publish */
	bool resumed, present; /* present: MQTT 3 only */
	double since_s;
	MQTTProperties connack;
};

struct terms {
	const char *id; /* whole, if it isn't to be made of the role */
	bool resume;
	int expiry, aliases;
	const char *will;
};

static int version;
static const char *transport;
static char uri[64];

static void fail(int line, const char *what) __attribute__((noreturn));
static struct client *client_start(const char *role, const struct terms *t, MQTTResponse *out);
static struct client *client_new(const char *role, const struct terms *t);
static void client_leave(struct client *c);
static double now_s(void);
static void yield_until(struct client *c, bool has_to_hold, double end_s);
static void subscribe(struct client *c, const char *filter, int qos, int id);
static int subscribe_answer(struct client *c, const char *filter, int qos, int id);
static void publish_with(struct client *c, const char *topic, const void *payload, int len, int qos,
    bool retain, MQTTProperties *props);
static void publish(struct client *c, const char *topic, const char *text, int qos);
static void publish_expiring(struct client *c, const char *topic, const char *text, int seconds);
static MQTTClient_message *next(struct client *c, const char *topic, const char *text);
static void expect(struct client *c, const char *topic, const char *text, int qos, bool retain);
static const char *name(const char *rest);
static void number(MQTTProperties *props, enum MQTTPropertyCodes id, unsigned value);
static void text(MQTTProperties *props, enum MQTTPropertyCodes id, const char *s);
static void pair(MQTTProperties *props, const char *key, const char *value);
static bool has_text(MQTTProperties *props, enum MQTTPropertyCodes id, const char *s);
static bool has_pair(MQTTProperties *props, int nth, const char *key, const char *value);

static void
shown(const char *row)
{
	printf("shown %s\n", row);
}

/* A session that isn't there doesn't get what the one before it had subscribed to. */
static void
check_fresh(struct client *c, struct client *pub, const char *subscribed)
{
	check(!c->present);
	subscribe(c, name("fresh"), 1, 0);
	publish(pub, name(subscribed), "no", 1);
	publish(pub, name("fresh"), "yes", 1);
	expect(c, name("fresh"), "yes", 1, false);
}

/* --- both versions ------------------------------------------------------------------------ */

static void
show_qos(struct client *pub)
{
	static const char *const row[] = { "qos0", "qos1", "qos2" };
	struct client *sub = client_new("qos", NULL);
	char number_text[16];

	check(!sub->present);
	for (int qos = 0; qos < 3; qos++) {
		subscribe(sub, name(row[qos]), qos, 0);
		for (int i = 0; i < MESSAGES; i++) {
			snprintf(number_text, sizeof(number_text), "%d", i);
			publish(pub, name(row[qos]), number_text, qos);
		}
		for (int i = 0; i < MESSAGES; i++) {
			snprintf(number_text, sizeof(number_text), "%d", i);
			expect(sub, name(row[qos]), number_text, qos, false);
		}
		shown(row[qos]);
	}
	client_leave(sub);
	shown("connect");
}

static void
show_filters(struct client *pub)
{
	struct client *sub = client_new("filters", NULL);

	subscribe(sub, name("f/+/c"), 1, 0);
	subscribe(sub, name("g/#"), 1, 0);
	publish(pub, name("f/b/d"), "no", 1);
	publish(pub, name("f/b/b/c"), "no", 1);
	publish(pub, name("f/b/c"), "plus", 1);
	publish(pub, name("g"), "parent", 1);
	publish(pub, name("g/x/y"), "hash", 1);
	expect(sub, name("f/b/c"), "plus", 1, false);
	expect(sub, name("g"), "parent", 1, false);
	expect(sub, name("g/x/y"), "hash", 1, false);
	shown("wildcards");

	check(MQTTClient_unsubscribe(sub->handle, name("g/#")) == MQTTCLIENT_SUCCESS);
	publish(pub, name("g/x/y"), "no", 1);
	publish(pub, name("f/b/c"), "after", 1);
	expect(sub, name("f/b/c"), "after", 1, false);
	shown("unsubscribe");
	client_leave(sub);
}

static void
show_retained(struct client *pub)
{
	struct client *sub = client_new("retained", NULL);

	publish_with(pub, name("kept"), "kept", 4, 1, true, NULL);
	subscribe(sub, name("kept"), 1, 0);
	expect(sub, name("kept"), "kept", 1, true);
	publish_with(pub, name("kept"), "", 0, 1, true, NULL);
	expect(sub, name("kept"), "", 1, false);
	subscribe(sub, name("kept"), 1, 0); /* again: it would come now */
	publish(pub, name("kept"), "plain", 1);
	expect(sub, name("kept"), "plain", 1, false);
	client_leave(sub);
	shown("retained");
}

static void
show_will(const char *self, const char *port)
{
	struct client *sub = client_new("heir", NULL);
	char version_text[2] = { (char)('0' + version), '\0' };
	char *argv[] = { (char *)self, (char *)port, version_text, (char *)"victim", NULL };
	pid_t victim;

	subscribe(sub, name("will"), 1, 0);
	subscribe(sub, name("alive"), 1, 0);
	check(posix_spawn(&victim, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
	expect(sub, name("alive"), "yes", 1, false);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	expect(sub, name("will"), "gone", 1, false);
	client_leave(sub);
	shown("will");
}

/* The process that is killed: connected, with a will. */
static void
be_victim(void)
{
	struct client *c = client_new("victim", &(struct terms){ .will = name("will") });

	publish(c, name("alive"), "yes", 1);
	for (;;)
		pause();
}

static void
show_takeover(void)
{
	struct client *older = client_new("same", NULL);
	struct client *newer = client_new("same", NULL);

	yield_until(older, false, now_s() + DEADLINE_S);
	client_leave(older);
	client_leave(newer);
	shown("takeover");
}

static void
show_resume(struct client *pub)
{
	const struct terms kept = { .resume = true, .expiry = 1000 };
	struct client *c = client_new("keeper", &kept);
	char number_text[16];

	check(!c->present);
	subscribe(c, name("queue"), 2, 0);
	client_leave(c);
	/* QoS 2 comes to its user when released, so the two may not be mixed. */
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(number_text, sizeof(number_text), "%d", i);
		publish(pub, name("queue"), number_text, i < MESSAGES / 2 ? 1 : 2);
	}
	c = client_new("keeper", &kept);
	check(c->present || version == 5);
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(number_text, sizeof(number_text), "%d", i);
		expect(c, name("queue"), number_text, i < MESSAGES / 2 ? 1 : 2, false);
	}
	client_leave(c);
	c = client_new("keeper", NULL);
	check_fresh(c, pub, "queue");
	client_leave(c);
	shown("resume");
}

static void
show_shared(struct client *pub)
{
	struct client *member[2];
	char filter[128], number_text[16];
	bool seen[MESSAGES] = { false };
	int count[2] = { 0 };

	snprintf(filter, sizeof(filter), "$share/g/%s", name("shared"));
	for (int i = 0; i < 2; i++) {
		member[i] = client_new(i == 0 ? "member0" : "member1", NULL);
		subscribe(member[i], filter, 1, 0);
		subscribe(member[i], name("end"), 1, 0);
	}
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(number_text, sizeof(number_text), "%d", i);
		publish(pub, name("shared"), number_text, 1);
	}
	publish(pub, name("end"), "end", 1);
	for (int i = 0; i < 2; i++) {
		for (;;) {
			MQTTClient_message *m = next(member[i], NULL, NULL);
			bool is_last = m->payloadlen == 3 && memcmp(m->payload, "end", 3) == 0;
			int n = atoi(strndupa(m->payload, (size_t)m->payloadlen));

			MQTTClient_freeMessage(&m);
			if (is_last)
				break;
			check(n >= 0 && n < MESSAGES && !seen[n]);
			seen[n] = true;
			count[i]++;
		}
		client_leave(member[i]);
	}
	check(count[0] > 0 && count[1] > 0 && count[0] + count[1] == MESSAGES);
	shown("shared");
}

static void
show_large(struct client *pub)
{
	struct client *sub = client_new("large", NULL);
	char *payload = malloc(LARGE);
	MQTTClient_message *m;

	check(payload != NULL);
	for (int i = 0; i < LARGE; i++)
		payload[i] = (char)(i * 31 + i / 257);
	subscribe(sub, name("large"), 1, 0);
	publish_with(pub, name("large"), payload, LARGE, 1, false, NULL);
	m = next(sub, name("large"), NULL);
	check(m->payloadlen == LARGE && memcmp(m->payload, payload, LARGE) == 0);
	MQTTClient_freeMessage(&m);
	free(payload);
	client_leave(sub);
	shown("large");
}

static void
show_refused(struct client *pub)
{
	char id[301], deep[301];
	MQTTResponse r = MQTTResponse_initializer;
	struct client *c;

	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	c = client_start("", &(struct terms){ .id = id }, &r);
	check((int)r.reasonCode == (version == 5 ? 0x85 : 2));
	MQTTResponse_free(r);
	client_leave(c);

	memset(deep, '/', sizeof(deep) - 1); /* more levels than max_topic_levels */
	deep[sizeof(deep) - 1] = '\0';
	check(subscribe_answer(pub, deep, 1, 0) == (version == 5 ? 0x8f : 0x80));
	if (version == 5) {
		publish(pub, name("nobody"), "?", 1);
		check(pub->ack_reason == MQTTREASONCODE_NO_MATCHING_SUBSCRIBERS);
	}
	shown("refused");
}

/* --- MQTT 5 ------------------------------------------------------------------------------- */

static void
show_properties(struct client *pub)
{
	struct client *sub = client_new("properties", NULL);
	MQTTProperties props = MQTTProperties_initializer;
	MQTTClient_message *m;

	number(&props, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, 1);
	text(&props, MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain");
	text(&props, MQTTPROPERTY_CODE_RESPONSE_TOPIC, "answer/here");
	text(&props, MQTTPROPERTY_CODE_CORRELATION_DATA, "\x01\xff\x02");
	pair(&props, "a", "1");
	pair(&props, "b", "2");
	pair(&props, "a", "3");
	subscribe(sub, name("properties"), 2, 0);
	for (int qos = 0; qos < 3; qos++) {
		publish_with(pub, name("properties"), "text", 4, qos, false, &props);
		m = next(sub, name("properties"), "text");
		check(MQTTProperties_getNumericValue(
			  &m->properties, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR) == 1);
		check(has_text(&m->properties, MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain"));
		check(has_text(&m->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, "answer/here"));
		check(has_text(&m->properties, MQTTPROPERTY_CODE_CORRELATION_DATA, "\x01\xff\x02"));
		check(has_pair(&m->properties, 0, "a", "1"));
		check(has_pair(&m->properties, 1, "b", "2"));
		check(has_pair(&m->properties, 2, "a", "3"));
		MQTTClient_freeMessage(&m);
	}
	MQTTProperties_free(&props);
	client_leave(sub);
	shown("properties");
}

static void
show_subscription_id(struct client *pub)
{
	struct client *sub = client_new("ids", NULL);
	MQTTClient_message *m;
	int a, b;

	subscribe(sub, name("id/#"), 1, 7);
	publish(pub, name("id/1"), "one", 1);
	m = next(sub, name("id/1"), "one");
	check(MQTTProperties_propertyCount(
		  &m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER) == 1);
	check(MQTTProperties_getNumericValue(
		  &m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER) == 7);
	MQTTClient_freeMessage(&m);

	/* Of two that overlap both are named, in one message or in two. */
	subscribe(sub, name("id/2"), 1, 268435455);
	publish(pub, name("id/2"), "two", 1);
	m = next(sub, name("id/2"), "two");
	a = MQTTProperties_getNumericValueAt(
	    &m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, 0);
	if (MQTTProperties_propertyCount(
		&m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER) == 1) {
		MQTTClient_freeMessage(&m);
		m = next(sub, name("id/2"), "two");
		b = MQTTProperties_getNumericValue(
		    &m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER);
	} else {
		b = MQTTProperties_getNumericValueAt(
		    &m->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, 1);
	}
	MQTTClient_freeMessage(&m);
	check(a + b == 7 + 268435455 && a != b);
	client_leave(sub);
	shown("subscription-id");
}

static void
show_aliases(void)
{
	struct client *pub = client_new("aliases", NULL);
	struct client *sub = client_new("aliased", &(struct terms){ .aliases = 4 });
	char number_text[16];

	subscribe(sub, name("alias"), 1, 0);
	for (int i = 0; i < 3; i++) {
		MQTTProperties props = MQTTProperties_initializer;

		snprintf(number_text, sizeof(number_text), "%d", i);
		number(&props, MQTTPROPERTY_CODE_TOPIC_ALIAS, 2);
		publish_with(pub, i == 0 ? name("alias") : "", number_text, 1, 1, false, &props);
		MQTTProperties_free(&props);
	}
	/* The library leaves aliases to its user: the first message tells which topic it is. */
	for (int i = 0; i < 3; i++) {
		MQTTClient_message *m;

		snprintf(number_text, sizeof(number_text), "%d", i);
		m = next(sub, i == 0 ? name("alias") : "", number_text);
		check(MQTTProperties_getNumericValue(
			  &m->properties, MQTTPROPERTY_CODE_TOPIC_ALIAS) == 1);
		MQTTClient_freeMessage(&m);
	}
	client_leave(sub);
	client_leave(pub);
	shown("alias-out");
	shown("alias-in");
}

static void
show_assigned_id(void)
{
	struct client *c = client_new("", &(struct terms){ .id = "" });
	const MQTTProperty *id =
	    MQTTProperties_getProperty(&c->connack, MQTTPROPERTY_CODE_ASSIGNED_CLIENT_IDENTIFER);

	check(id != NULL && id->value.data.len > 0);
	client_leave(c);
	shown("assigned-id");
}

/* --- what takes time ---------------------------------------------------------------------- */

static struct client *
slow_start(struct client *pub)
{
	struct client *quiet = client_new("quiet", NULL);
	struct client *c;

	subscribe(quiet, name("quiet"), 1, 0);
	if (version == 5) {
		c = client_new("brief", &(struct terms){ .resume = true, .expiry = 1 });
		subscribe(c, name("brief"), 1, 0);
		client_leave(c);
		/* Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire. */
		c = client_new("away",
		    &(struct terms){ .resume = true, .expiry = 1000, .will = name("left") });
		subscribe(c, name("away"), 1, 0);
		subscribe(quiet, name("left"), 1, 0);
		check(MQTTClient_disconnect5(c->handle, DEADLINE_S * 1000,
			  MQTTREASONCODE_DISCONNECT_WITH_WILL_MESSAGE, NULL) == MQTTCLIENT_SUCCESS);
		client_leave(c);
		expect(quiet, name("left"), "gone", 1, false);
		publish_expiring(pub, name("away"), "short", 1);
		publish_expiring(pub, name("away"), "long", 1000);
	}
	return quiet;
}

static void
slow_end(struct client *quiet, struct client *pub)
{
	MQTTClient_message *m;
	struct client *c;
	int left;

	yield_until(quiet, true, quiet->since_s + QUIET_S);
	publish(pub, name("quiet"), "still here", 1);
	expect(quiet, name("quiet"), "still here", 1, false);
	client_leave(quiet);
	shown("keepalive");
	if (version != 5)
		return;

	c = client_new("brief", &(struct terms){ .resume = true, .expiry = 1 });
	check_fresh(c, pub, "brief");
	client_leave(c);
	shown("session-expiry");

	c = client_new("away", &(struct terms){ .resume = true, .expiry = 1000 });
	m = next(c, name("away"), "long");
	left = MQTTProperties_getNumericValue(
	    &m->properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL);
	check(left > 0 && left <= 1000 - QUIET_S + 1);
	MQTTClient_freeMessage(&m);
	client_leave(c);
	shown("message-expiry");
}

int
main(int argc, char **argv)
{
	struct client *pub, *quiet;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	transport = getenv("TRANSPORT");
	check(transport != NULL);
	snprintf(uri, sizeof(uri), "%s://127.0.0.1:%s",
	    strcmp(transport, "tls") == 0 ? "ssl" : transport, argv[1]);
	version = atoi(argv[2]);
	if (argc > 3)
		be_victim();

	pub = client_new("pub", NULL);
	quiet = slow_start(pub);
	show_qos(pub);
	show_filters(pub);
	show_retained(pub);
	show_will(argv[0], argv[1]);
	show_takeover();
	show_resume(pub);
	show_shared(pub);
	show_large(pub);
	show_refused(pub);
	if (version == 5) {
		show_properties(pub);
		show_subscription_id(pub);
		show_aliases();
		show_assigned_id();
	}
	slow_end(quiet, pub);
	client_leave(pub);
	return 0;
}

/* --- clients ------------------------------------------------------------------------------ */

static void
fail(int line, const char *what)
{
	printf("%s:%d: %s\n", __FILE__, line, what);
	exit(1);
}

/* Under this client's and version's own prefix. Valid for a few calls. */
static const char *
name(const char *rest)
{
	static _Thread_local char buf[4][128];
	static _Thread_local unsigned turn;
	char *b = buf[turn++ % 4];

	snprintf(b, sizeof(buf[0]), "paho-c/%d/%s/%s", version, transport, rest);
	return b;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Lets the library work: until the connection is lost, or as long as it has to hold. */
static void
yield_until(struct client *c, bool has_to_hold, double end_s)
{
	while (now_s() < end_s && MQTTClient_isConnected(c->handle))
		MQTTClient_yield();
	check((MQTTClient_isConnected(c->handle) != 0) == has_to_hold);
}

static void
on_published(void *of, int token, int type, MQTTProperties *props, enum MQTTReasonCodes reason)
{
	struct client *c = of;

	(void)token;
	(void)type;
	(void)props;
	c->ack_reason = (int)reason;
}

static struct client *
client_start(const char *role, const struct terms *t, MQTTResponse *out)
{
	static const struct terms plain;
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions v3 = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
	MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
	MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
	MQTTClient_connectOptions *o = version == 5 ? &v5 : &v3;
	MQTTProperties props = MQTTProperties_initializer;
	struct client *c = calloc(1, sizeof(*c));
	char id[64];

	check(c != NULL);
	c->since_s = now_s();
	if (t == NULL)
		t = &plain;
	c->resumed = t->resume;
	snprintf(id, sizeof(id), "paho-c-%d-%s-%s", version, transport, role);
	create.MQTTVersion = version;
	check(MQTTClient_createWithOptions(&c->handle, uri, t->id != NULL ? t->id : id,
		  MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) == MQTTCLIENT_SUCCESS);
	MQTTClient_setCommandTimeout(c->handle, DEADLINE_S * 1000);
	o->MQTTVersion = version;
	o->connectTimeout = DEADLINE_S;
	o->keepAliveInterval = KEEPALIVE_S;
	if (strcmp(transport, "tls") == 0 || strcmp(transport, "wss") == 0) {
		ssl.trustStore = getenv("CAFILE");
		o->ssl = &ssl;
	}
	if (t->will != NULL) {
		will.topicName = t->will;
		will.message = "gone";
		will.qos = 1;
		o->will = &will;
	}
	if (version != 5) {
		o->cleansession = !t->resume;
		*out = (MQTTResponse)MQTTResponse_initializer;
		out->reasonCode = (enum MQTTReasonCodes)MQTTClient_connect(c->handle, o);
		c->present = o->returned.sessionPresent != 0;
		return c;
	}
	check(MQTTClient_setPublished(c->handle, c, on_published) == MQTTCLIENT_SUCCESS);
	o->cleanstart = !t->resume;
	if (t->expiry > 0)
		number(&props, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, (unsigned)t->expiry);
	if (t->aliases > 0)
		number(&props, MQTTPROPERTY_CODE_TOPIC_ALIAS_MAXIMUM, (unsigned)t->aliases);
	*out = MQTTClient_connect5(c->handle, o, &props, NULL);
	c->present = o->returned.sessionPresent != 0;
	MQTTProperties_free(&props);
	return c;
}

/* A client that is connected. */
static struct client *
client_new(const char *role, const struct terms *t)
{
	MQTTResponse r;
	struct client *c = client_start(role, t, &r);

	check((int)r.reasonCode == 0);
	if (r.properties != NULL)
		c->connack = MQTTProperties_copy(r.properties);
	MQTTResponse_free(r);
	return c;
}

static void
client_leave(struct client *c)
{
	MQTTClient_disconnect(c->handle, DEADLINE_S * 1000);
	MQTTClient_destroy(&c->handle);
	MQTTProperties_free(&c->connack);
	free(c);
}

static int
subscribe_answer(struct client *c, const char *filter, int qos, int id)
{
	MQTTProperties props = MQTTProperties_initializer;
	MQTTResponse r;
	int reason;

	if (version != 5)
		return MQTTClient_subscribe(c->handle, filter, qos);
	if (id > 0)
		number(&props, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, (unsigned)id);
	r = MQTTClient_subscribe5(c->handle, filter, qos, NULL, &props);
	reason = (int)r.reasonCode;
	MQTTResponse_free(r);
	MQTTProperties_free(&props);
	return reason;
}

static void
subscribe(struct client *c, const char *filter, int qos, int id)
{
	int granted = subscribe_answer(c, filter, qos, id);

	check(granted == (version == 5 ? qos : MQTTCLIENT_SUCCESS));
}

/* Returns when it is acknowledged. */
static void
publish_with(struct client *c, const char *topic, const void *payload, int len, int qos,
    bool retain, MQTTProperties *props)
{
	MQTTClient_message m = MQTTClient_message_initializer;
	MQTTClient_deliveryToken token;

	m.struct_version = 1;
	m.payload = (void *)payload;
	m.payloadlen = len;
	m.qos = qos;
	m.retained = retain;
	if (props != NULL)
		m.properties = *props;
	if (version == 5) {
		MQTTResponse r = MQTTClient_publishMessage5(c->handle, topic, &m, &token);

		check(r.reasonCode == MQTTREASONCODE_SUCCESS);
		MQTTResponse_free(r);
	} else {
		check(
		    MQTTClient_publishMessage(c->handle, topic, &m, &token) == MQTTCLIENT_SUCCESS);
	}
	if (qos > 0)
		check(MQTTClient_waitForCompletion(c->handle, token, DEADLINE_S * 1000) ==
		    MQTTCLIENT_SUCCESS);
}

static void
publish(struct client *c, const char *topic, const char *text_sent, int qos)
{
	publish_with(c, topic, text_sent, (int)strlen(text_sent), qos, false, NULL);
}

static void
publish_expiring(struct client *c, const char *topic, const char *text_sent, int seconds)
{
	MQTTProperties props = MQTTProperties_initializer;

	number(&props, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, (unsigned)seconds);
	publish_with(c, topic, text_sent, (int)strlen(text_sent), 1, false, &props);
	MQTTProperties_free(&props);
}

/* The caller frees it. A topic or text of NULL may be any. */
static MQTTClient_message *
next(struct client *c, const char *topic, const char *payload)
{
	MQTTClient_message *m = NULL;
	char *got = NULL;
	int len;

	check(
	    MQTTClient_receive(c->handle, &got, &len, &m, DEADLINE_S * 1000) == MQTTCLIENT_SUCCESS);
	check(got != NULL && m != NULL);
	if (topic != NULL && strcmp(topic, got) != 0)
		printf("expected %s, got %s\n", topic, got);
	check(topic == NULL || strcmp(topic, got) == 0);
	check(payload == NULL ||
	    (strlen(payload) == (size_t)m->payloadlen &&
		memcmp(payload, m->payload, strlen(payload)) == 0));
	MQTTClient_free(got);
	return m;
}

/* What was on its way when a client left comes again in its session. */
static void
expect(struct client *c, const char *topic, const char *payload, int qos, bool retain)
{
	MQTTClient_message *m = next(c, topic, payload);

	check(m->qos == qos && m->retained == retain && (!m->dup || c->resumed));
	MQTTClient_freeMessage(&m);
}

/* --- properties --------------------------------------------------------------------------- */

static void
number(MQTTProperties *props, enum MQTTPropertyCodes id, unsigned value)
{
	MQTTProperty p = { .identifier = id };

	switch (MQTTProperty_getType(id)) {
	case MQTTPROPERTY_TYPE_BYTE:
		p.value.byte = (unsigned char)value;
		break;
	case MQTTPROPERTY_TYPE_TWO_BYTE_INTEGER:
		p.value.integer2 = (unsigned short)value;
		break;
	default:
		p.value.integer4 = value;
	}
	check(MQTTProperties_add(props, &p) == 0);
}

static void
text(MQTTProperties *props, enum MQTTPropertyCodes id, const char *s)
{
	MQTTProperty p = { .identifier = id };

	p.value.data = (MQTTLenString){ (int)strlen(s), (char *)s };
	check(MQTTProperties_add(props, &p) == 0);
}

static void
pair(MQTTProperties *props, const char *key, const char *value)
{
	MQTTProperty p = { .identifier = MQTTPROPERTY_CODE_USER_PROPERTY };

	p.value.data = (MQTTLenString){ (int)strlen(key), (char *)key };
	p.value.value = (MQTTLenString){ (int)strlen(value), (char *)value };
	check(MQTTProperties_add(props, &p) == 0);
}

static bool
is_text(const MQTTLenString *got, const char *s)
{
	return (size_t)got->len == strlen(s) && memcmp(got->data, s, strlen(s)) == 0;
}

static bool
has_text(MQTTProperties *props, enum MQTTPropertyCodes id, const char *s)
{
	const MQTTProperty *p = MQTTProperties_getProperty(props, id);

	return p != NULL && is_text(&p->value.data, s);
}

static bool
has_pair(MQTTProperties *props, int nth, const char *key, const char *value)
{
	const MQTTProperty *p =
	    MQTTProperties_getPropertyAt(props, MQTTPROPERTY_CODE_USER_PROPERTY, nth);

	return p != NULL && is_text(&p->value.data, key) && is_text(&p->value.value, value);
}
