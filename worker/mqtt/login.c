#include "worker/mqtt/login.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/net/tls.h"

#define LATER_MS 2000 /* than auth itself gives up */

struct login {
	size_t len;
	uint8_t rec[]; /* struct rec_login with what follows it */
};

bool
login_is_needed(const struct conn *c)
{
	uint8_t order[CONF_PROVIDERS];

	/* Who has shown a certificate of an authority that the listener trusts has said who it is. */
	return conf_providers(&self.conf, order) > 0 &&
	    (c->tls == NULL || !tls_has_certificate(c->tls));
}

static enum mesh_sent
send_login(const struct login *l)
{
	return mesh_send(
	    self.mesh, SLOT_AUTH, REC_LOGIN, &(struct iovec){ (void *)l->rec, l->len }, 1);
}

bool
login_ask(struct conn *c, const struct connect *p)
{
	const char *listener = conn_listener_name(c);
	struct rec_login rec = {
		.token = conn_token(c),
		.client_id_len = c->id_len,
		.user_name_len = c->user_len,
		.password_len = (uint16_t)(p->has_password ? p->password.len : 0),
		.peer_len = (uint8_t)strlen(c->peer),
		.listener_len = (uint8_t)strlen(listener),
		.flags = (uint8_t)((c->user != NULL ? LOGIN_USER : 0) |
		    (p->has_password ? LOGIN_PASSWORD : 0) |
		    (self.conf.listener[c->listener].allow_anonymous ? LOGIN_ANONYMOUS : 0)),
		.version = c->version,
	};
	const struct span part[] = {
		span_of(&rec, sizeof(rec)),
		conn_id(c),
		span_of(c->user, c->user_len),
		span_of(p->password.p, rec.password_len),
		span_of(c->peer, rec.peer_len),
		span_of(listener, rec.listener_len),
	};
	size_t len = 0;
	struct login *l;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		len += part[i].len;
	l = malloc(sizeof(*l) + len);
	if (l == NULL)
		return false;
	l->len = 0;
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (part[i].len > 0)
			memcpy(l->rec + l->len, part[i].p, part[i].len);
		l->len += part[i].len;
	}
	c->login = l;
	timer_set(loop_timers(self.loop), &c->timer,
	    clock_ms() + self.conf.auth_timeout * UINT64_C(1000) + LATER_MS);
	return send_login(l) != MESH_FULL; /* no auth: it is asked when it comes */
}

struct conn *
login_answered(uint64_t token)
{
	struct conn *c = conn_find_low((uint32_t)(token >> 32), (uint32_t)token);

	if (c == NULL || c->state != CONN_ASKED || c->login == NULL)
		return NULL;
	login_drop(c);
	timer_del(&c->timer);
	return c;
}

void
login_ask_all(void)
{
	uint32_t handle = 0;
	struct conn *c;

	while ((c = conn_next(&handle)) != NULL)
		if (c->login != NULL)
			(void)send_login(c->login); /* no room: its time runs out */
}

void
login_drop(struct conn *c)
{
	if (c->login == NULL)
		return;
	OPENSSL_cleanse(c->login->rec, c->login->len);
	free(c->login);
	c->login = NULL;
}
