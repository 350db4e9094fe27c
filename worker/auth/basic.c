/*
 * Credentials of client identifier, user name and password. What names both is looked at before what names one of them, and the user name before the
 * identifier. One that has another password leaves it to the next; if none fits, the client is refused.
 */
#include "worker/auth/credential.h"
#include "worker/auth/login.h"

#define WAYS 3 /* to name a client */

static void on_verified(struct verify *v, bool fits);

static struct credential *
candidate(const struct login *l, unsigned way)
{
	const char *id = (const char *)l->client_id.p, *user = (const char *)l->user_name.p;

	if (way < 2 && !(l->flags & LOGIN_USER))
		return NULL;
	return credential_match(way == 1 ? NULL : id, way == 2 ? NULL : user);
}

static enum verdict
lets_in(struct login *l, const struct credential *c)
{
	if (c->groups != NULL)
		l->found.groups = span_str(c->groups);
	return VERDICT_ALLOW;
}

static enum verdict
try_rest(struct login *l, bool one_was_known)
{
	for (; l->basic.way < WAYS; l->basic.way++) {
		const struct credential *c = candidate(l, l->basic.way);

		if (c == NULL || c->is_disabled || !credential_is_plain(c))
			continue;
		one_was_known = true;
		if (c->password != NULL && !(l->flags & LOGIN_PASSWORD))
			continue;
		l->basic.serial = c->serial;
		switch (c->password != NULL ? verify_ask(&l->basic.verify, c->password, l->password)
					    : VERIFY_FITS) {
		case VERIFY_FITS:
			return lets_in(l, c);
		case VERIFY_LATER:
			return VERDICT_LATER;
		case VERIFY_BUSY:
			return VERDICT_BUSY;
		}
	}
	return one_was_known ? VERDICT_DENY : VERDICT_UNKNOWN;
}

static enum verdict
basic_ask(struct login *l)
{
	l->basic.verify.done = on_verified;
	l->basic.way = 0;
	return try_rest(l, false);
}

/* Meanwhile the credential may have changed, or gone. */
static void
on_verified(struct verify *v, bool fits)
{
	struct login *l = container_of(v, struct login, basic.verify);
	const struct credential *c = candidate(l, l->basic.way);
	enum verdict said;

	if (fits && c != NULL && c->serial == l->basic.serial) {
		said = lets_in(l, c);
	} else {
		l->basic.way++;
		said = try_rest(l, true);
	}
	if (said != VERDICT_LATER)
		login_verdict(l, said);
}

static void
basic_take_back(struct login *l)
{
	verify_take_back(&l->basic.verify);
}

const struct provider basic = { .ask = basic_ask, .take_back = basic_take_back };
