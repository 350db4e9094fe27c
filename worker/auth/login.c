#include "worker/auth/login.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"
#include "worker/auth/http.h"
#include "worker/auth/jwt.h"

#define PARTS 9 /* of a record, each with a NUL behind it */
#define LOGINS_MAX 100000
#define BYTES_MAX (UINT64_C(64) << 20)

static const struct provider *const providers[CONF_PROVIDERS] = {
	[PROVIDER_basic] = &basic,
	[PROVIDER_scram] = &scram,
	[PROVIDER_x509] = &x509,
	[PROVIDER_jwt] = &jwt,
	[PROVIDER_http] = &http,
};

static struct {
	struct list all;
	struct timer timer; /* of the first */
	size_t n;
	uint64_t bytes;
	bool is_begun;
} the;

static void on_late(struct timer *t);
static void ask(struct login *l);
static void say(struct login *l, enum verdict v);
static void finish(struct login *l, enum verdict v);

void
login_init(void)
{
	list_init(&the.all);
	timer_init(&the.timer, on_late);
}

static void
login_free(struct login *l)
{
	list_del(&l->link);
	the.n--;
	the.bytes -= l->size;
	OPENSSL_cleanse(l->kept, l->size - sizeof(*l));
	free(l);
}

static void
answer(unsigned slot, uint64_t token, uint32_t turn, enum mqtt_reason reason,
    const struct login_found *found)
{
	struct rec_login_done rec = {
		.token = token,
		.turn = turn,
		.expires_ms = found->expires_ms,
		.groups_len = (uint16_t)found->groups.len,
		.attributes_len = (uint16_t)found->attributes.len,
		.data_len = (uint16_t)found->data.len,
		.state_len = (uint16_t)found->state.len,
		.user_name_len = (uint16_t)found->user_name.len,
		.reason = (uint8_t)reason,
	};

	/* No room: the client's time runs out at its worker. */
	if (mesh_send(self.mesh, slot, REC_LOGIN_DONE,
		(struct iovec[]){ { &rec, sizeof(rec) },
		    { (void *)found->groups.p, found->groups.len },
		    { (void *)found->attributes.p, found->attributes.len },
		    { (void *)found->data.p, found->data.len },
		    { (void *)found->state.p, found->state.len },
		    { (void *)found->user_name.p, found->user_name.len } },
		6) >= MESH_FULL)
		count(CNT_dropped__no_memory);
}

static struct span
keep(char **at, struct span text)
{
	char *p = *at;

	if (text.len > 0)
		memcpy(p, text.p, text.len);
	p[text.len] = '\0';
	*at = p + text.len + 1;
	return span_of(p, text.len);
}

int
login_record(unsigned slot, struct span body)
{
	struct span id, user, password, names, method, data, state, peer, listener;
	struct rec_login rec;
	struct login *l;
	size_t size;
	char *at;

	if (!rec_take(&body, &rec, sizeof(rec)))
		return -EPROTO;
	size = sizeof(*l) + body.len + PARTS;
	if (!rec_span(&body, rec.client_id_len, &id) ||
	    !rec_span(&body, rec.user_name_len, &user) ||
	    !rec_span(&body, rec.password_len, &password) ||
	    !rec_span(&body, rec.names_len, &names) || !rec_span(&body, rec.method_len, &method) ||
	    !rec_span(&body, rec.data_len, &data) || !rec_span(&body, rec.state_len, &state) ||
	    !rec_span(&body, rec.peer_len, &peer) ||
	    !rec_span(&body, rec.listener_len, &listener) || body.len != 0)
		return -EPROTO;
	if (the.n >= LOGINS_MAX || the.bytes + size > BYTES_MAX || (l = malloc(size)) == NULL) {
		count(CNT_logins__busy);
		answer(slot, rec.token, rec.turn, MQTT_SERVER_BUSY, &(struct login_found){ 0 });
		return 0;
	}
	*l = (struct login){
		.token = rec.token,
		.turn = rec.turn,
		.until_ms = clock_ms() + self.conf.auth_timeout * UINT64_C(1000),
		.slot = (uint8_t)slot,
		.flags = rec.flags,
		.version = rec.version,
		.size = size,
	};
	at = l->kept;
	l->client_id = keep(&at, id);
	l->user_name = keep(&at, user);
	l->password = keep(&at, password);
	l->names = keep(&at, names);
	l->method = keep(&at, method);
	l->data = keep(&at, data);
	l->state = keep(&at, state);
	l->peer = keep(&at, peer);
	l->listener = keep(&at, listener);
	list_add_tail(&the.all, &l->link);
	the.n++;
	the.bytes += size;
	if (!timer_is_set(&the.timer))
		timer_set(loop_timers(self.loop), &the.timer, l->until_ms);
	if (the.is_begun)
		ask(l);
	return 0;
}

void
login_begin(void)
{
	struct login *l, *tmp;

	the.is_begun = true;
	LIST_FOREACH(l, tmp, &the.all, struct login, link)
		ask(l);
}

static bool
is_for(const struct provider *p, const struct login *l)
{
	return l->method.len == 0 ? p->has_method == NULL
				  : p->has_method != NULL && p->has_method(l->method);
}

/* The next ones, until one knows. */
static void
ask(struct login *l)
{
	enum verdict v = VERDICT_UNKNOWN;
	uint8_t order[CONF_PROVIDERS];
	size_t n = conf_providers(&self.conf, order);

	while (l->nth < n && v == VERDICT_UNKNOWN) {
		const struct provider *p = providers[order[l->nth++]];

		if (!is_for(p, l))
			continue;
		l->with = p;
		v = p->ask(l);
	}
	if (v != VERDICT_LATER)
		say(l, v);
}

void
login_verdict(struct login *l, enum verdict v)
{
	if (v == VERDICT_UNKNOWN)
		ask(l);
	else
		say(l, v);
}

/* Whom nobody knows. */
static enum mqtt_reason
stranger(const struct login *l)
{
	if (l->method.len > 0)
		return MQTT_BAD_AUTHENTICATION_METHOD;
	if (l->flags & (LOGIN_USER | LOGIN_PASSWORD))
		return MQTT_BAD_USER_NAME_OR_PASSWORD;
	/* A certificate of nobody's is something to show, too. */
	return (l->flags & (LOGIN_ANONYMOUS | LOGIN_CERTIFICATE)) == LOGIN_ANONYMOUS
	    ? MQTT_OK
	    : MQTT_NOT_AUTHORIZED;
}

static void
say(struct login *l, enum verdict v)
{
	if (v != VERDICT_GO_ON) {
		finish(l, v);
		return;
	}
	count(CNT_login_steps);
	answer(l->slot, l->token, l->turn, MQTT_CONTINUE_AUTHENTICATION, &l->found);
	login_free(l);
}

static void
finish(struct login *l, enum verdict v)
{
	enum mqtt_reason reason = v == VERDICT_ALLOW ? MQTT_OK
	    : v == VERDICT_DENY && l->method.len > 0 ? MQTT_NOT_AUTHORIZED
	    : v == VERDICT_DENY                      ? MQTT_BAD_USER_NAME_OR_PASSWORD
	    : v == VERDICT_BUSY                      ? MQTT_SERVER_BUSY
						     : stranger(l);

	count(reason == MQTT_OK              ? CNT_logins__allowed
		: reason == MQTT_SERVER_BUSY ? CNT_logins__busy
					     : CNT_logins__denied);
	answer(l->slot, l->token, l->turn, reason,
	    reason == MQTT_OK ? &l->found : &(struct login_found){ 0 });
	login_free(l);
}

static void
give_up(struct login *l)
{
	if (l->with != NULL && l->with->take_back != NULL)
		l->with->take_back(l);
}

/* All have the same time, but for a change of auth_timeout: the first is late first. */
static void
on_late(struct timer *t)
{
	while (!list_is_empty(&the.all)) {
		struct login *l = LIST_FIRST(&the.all, struct login, link);

		if (clock_ms() < l->until_ms) {
			timer_set(loop_timers(self.loop), t, l->until_ms);
			break;
		}
		give_up(l);
		finish(l, VERDICT_BUSY);
	}
}

void
login_down(unsigned slot)
{
	struct login *l, *tmp;

	LIST_FOREACH(l, tmp, &the.all, struct login, link)
		if (l->slot == slot) {
			give_up(l);
			login_free(l);
		}
}

void
login_fini(void)
{
	timer_del(&the.timer);
	while (!list_is_empty(&the.all)) {
		struct login *l = LIST_FIRST(&the.all, struct login, link);

		give_up(l);
		login_free(l);
	}
}
