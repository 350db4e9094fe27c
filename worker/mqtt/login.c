#include "worker/mqtt/login.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/net/psk.h"
#include "shared/net/tls.h"
#include "worker/mqtt/connect.h"

#define LATER_MS 2000 /* than auth itself gives up */
#define AGAIN_MS 1000 /* when auth had no time */

enum what { A_QUESTION, A_STATE, AN_ANSWER };

struct login {
	struct timer timer;
	struct conn *conn;
	uint64_t until_ms;
	uint32_t turn;
	uint8_t what;
	size_t len;
	uint8_t data
	    []; /* struct rec_login with what follows it; what auth has to know; what is to be said to the client */
};

static size_t
    held; /* bytes, of all connections: what they may send while there is no auth has a limit, too */

static void on_late(struct timer *t);

bool
login_has_methods(void)
{
	return conf_has_provider(&self.conf, PROVIDER_scram);
}

bool
login_is_needed(const struct conn *c)
{
	uint8_t order[CONF_PROVIDERS];

	/* Who is done has said who it is, unless somebody looks at what its certificate says. */
	return c->method != NULL ||
	    (conf_providers(&self.conf, order) > 0 &&
		(!login_is_done(c) ||
		    (tls_has_certificate(c->tls) && conf_has_provider(&self.conf, PROVIDER_x509))));
}

/* Who has shown a certificate of an authority that the listener trusts has said who it is; so has who has a key, if that is to be its name. */
bool
login_is_done(const struct conn *c)
{
	char name[PSK_IDENTITY_MAX + 1];

	return c->tls != NULL &&
	    (tls_has_certificate(c->tls) ||
		(c->listener != CONN_NO_LISTENER &&
		    self.conf.listener[c->listener].psk_identity_as_username &&
		    tls_psk_identity(c->tls, name, sizeof(name)) > 0));
}

/* In the place of what there was, of which part may be made. False: no memory, or too much is held. */
static bool
hold(struct conn *c, enum what what, const struct span part[], size_t n, uint64_t until_ms)
{
	static uint32_t turn;
	struct login *l;
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += part[i].len;
	l = held + len <= self.conf.overflow_size ? malloc(sizeof(*l) + len) : NULL;
	if (l == NULL)
		return false;
	turn++;
	*l = (struct login){ .conn = c, .until_ms = until_ms, .turn = turn, .what = what };
	for (size_t i = 0; i < n; i++) {
		if (part[i].len > 0)
			memcpy(l->data + l->len, part[i].p, part[i].len);
		l->len += part[i].len;
	}
	if (what == A_QUESTION)
		memcpy(l->data + offsetof(struct rec_login, turn), &l->turn, sizeof(l->turn));
	login_drop(c);
	held += l->len;
	c->login = l;
	timer_init(&l->timer, on_late);
	if (what != AN_ANSWER)
		timer_set(loop_timers(self.loop), &l->timer, until_ms);
	return true;
}

static bool
send_question(const struct login *l)
{
	/* Without an auth it is asked when it comes. */
	return mesh_send(self.mesh, SLOT_AUTH, REC_LOGIN,
		   &(struct iovec){ (void *)l->data, l->len }, 1) != MESH_FULL;
}

struct question {
	bool has_password;
	struct span password, data, state;
};

static bool
ask(struct conn *c, const struct question *q, uint64_t until_ms)
{
	static uint8_t names[TLS_NAMES_MAX];
	const char *listener = conn_listener_name(c);
	size_t names_len = c->tls != NULL && conf_has_provider(&self.conf, PROVIDER_x509)
	    ? tls_names(c->tls, names)
	    : 0;
	struct span method = c->method != NULL ? span_str(c->method) : span_of(NULL, 0);
	bool is_open = c->state == CONN_OPEN;
	struct rec_login rec = {
		.token = conn_token(c),
		.client_id_len = c->id_len,
		.user_name_len = c->user_len,
		.password_len = (uint16_t)q->password.len,
		.names_len = (uint16_t)names_len,
		.method_len = (uint16_t)method.len,
		.data_len = (uint16_t)q->data.len,
		.state_len = (uint16_t)q->state.len,
		.peer_len = (uint8_t)strlen(c->peer),
		.listener_len = (uint8_t)strlen(listener),
		.flags = (uint8_t)((c->user != NULL ? LOGIN_USER : 0) |
		    (q->has_password ? LOGIN_PASSWORD : 0) | (is_open ? LOGIN_AGAIN : 0) |
		    (c->tls != NULL && tls_has_certificate(c->tls) ? LOGIN_CERTIFICATE : 0) |
		    (c->listener != CONN_NO_LISTENER &&
				self.conf.listener[c->listener].allow_anonymous
			    ? LOGIN_ANONYMOUS
			    : 0)),
		.version = c->version,
	};
	const struct span part[] = {
		span_of(&rec, sizeof(rec)),
		conn_id(c),
		span_of(c->user, c->user_len),
		q->password,
		span_of(names, names_len),
		method,
		q->data,
		q->state,
		span_of(c->peer, rec.peer_len),
		span_of(listener, rec.listener_len),
	};

	/* One that is connected can wait: it is asked again when the time is over. */
	return hold(c, A_QUESTION, part, sizeof(part) / sizeof(part[0]), until_ms) &&
	    (send_question(c->login) || is_open);
}

static uint64_t
patience_ms(void)
{
	return clock_ms() + self.conf.auth_timeout * UINT64_C(1000) + LATER_MS;
}

bool
login_ask(struct conn *c, const struct connect *p)
{
	struct question q = { .has_password = p->has_password };

	if (p->has_password)
		q.password = p->password;
	if (props_has(&p->props, PROP_AUTH_DATA))
		q.data = p->props.auth_data;
	timer_del(&c->timer);
	return ask(c, &q, patience_ms());
}

bool
login_ask_anew(struct conn *c, struct span data)
{
	return ask(c, &(struct question){ .data = data }, patience_ms());
}

/* All steps together have the time of one. */
bool
login_go_on(struct conn *c, struct span data)
{
	const struct login *l = c->login;

	return ask(
	    c, &(struct question){ .data = data, .state = span_of(l->data, l->len) }, l->until_ms);
}

struct conn *
login_answered(const struct rec_login_done *r)
{
	struct conn *c = conn_find_low((uint32_t)(r->token >> 32), (uint32_t)r->token);

	return c != NULL && (c->state == CONN_ASKED || c->state == CONN_OPEN) && c->login != NULL &&
		c->login->what == A_QUESTION && c->login->turn == r->turn
	    ? c
	    : NULL;
}

bool
login_wait(struct conn *c, struct span state)
{
	return hold(c, A_STATE, &state, 1, c->login->until_ms);
}

void
login_ask_later(struct conn *c)
{
	timer_set(loop_timers(self.loop), &c->login->timer, clock_ms() + AGAIN_MS);
}

bool
login_keep(struct conn *c, struct span data)
{
	return hold(c, AN_ANSWER, &data, 1, 0);
}

bool
login_is_clients_turn(const struct conn *c)
{
	return c->login != NULL && c->login->what == A_STATE;
}

struct span
login_kept(const struct conn *c)
{
	return c->login != NULL && c->login->what == AN_ANSWER
	    ? span_of(c->login->data, c->login->len)
	    : span_of(NULL, 0);
}

static void
on_late(struct timer *t)
{
	struct login *l = container_of(t, struct login, timer);

	if (l->conn->state != CONN_OPEN || l->what != A_QUESTION) {
		connect_late(l->conn);
		return;
	}
	(void)send_question(l);
	l->until_ms = patience_ms();
	timer_set(loop_timers(self.loop), t, l->until_ms);
}

void
login_ask_all(void)
{
	uint32_t handle = 0;
	struct conn *c;

	while ((c = conn_next(&handle)) != NULL)
		if (c->login != NULL && c->login->what == A_QUESTION)
			(void)send_question(c->login); /* no room: its time runs out */
}

void
login_drop(struct conn *c)
{
	if (c->login == NULL)
		return;
	timer_del(&c->login->timer);
	held -= c->login->len;
	OPENSSL_cleanse(c->login->data, c->login->len);
	free(c->login);
	c->login = NULL;
}
