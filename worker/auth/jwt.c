#include "worker/auth/jwt.h"

#include <errno.h>
#include <math.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"
#include "shared/conf/pairs.h"
#include "worker/auth/found.h"
#include "worker/auth/jwks.h"
#include "worker/auth/text.h"
#include "worker/auth/token.h"

static struct {
	struct jwt_keys *keys, *next; /* of files */
	struct found found;           /* of the last token that was good */
	struct list waiting;          /* logins, for keys from a URL */
} the;

static void on_news(void);
static const char *look_at_claims(struct login *l, const json_t *claims);
static const char *look_at_time(struct login *l, const json_t *claims);
static bool is_for(const json_t *claims, const char *name, const char *wanted);
static bool is_as_verified(const struct login *l, const json_t *claims);

void
jwt_init(void)
{
	list_init(&the.waiting);
	jwks_init(on_news);
}

int
jwt_prepare(const struct conf *next, const struct auth_files *files, char why[256])
{
	int err;

	jwt_withdraw();
	err = auth_files_keys(next, files, &the.next, why);
	return err == 0 ? jwks_prepare(next, files, why) : err;
}

void
jwt_commit(void)
{
	jwt_keys_free(the.keys);
	the.keys = the.next;
	the.next = NULL;
	jwks_commit();
}

void
jwt_withdraw(void)
{
	jwt_keys_free(the.next);
	the.next = NULL;
	jwks_withdraw();
}

void
jwt_fini(void)
{
	jwt_keys_free(the.keys);
	jwt_withdraw();
	jwks_fini();
	the.keys = NULL;
}

static enum verdict
refused(const struct login *l, enum counter why, const char *text)
{
	count(why);
	log_info("jwt: refused client=%s peer=%s: %s", log_esc(l->client_id),
	    (const char *)l->peer.p, text);
	return VERDICT_DENY;
}

/* Can the key it names be one that has come to be since the set was read? */
static bool
may_be_new(const struct token *t)
{
	const struct jwt_keys *set = jwks_keys();

	return set == NULL || (t->kid[0] != '\0' && !jwt_keys_has(set, t->kid));
}

static enum verdict
look(struct login *l, bool may_wait)
{
	const struct jwt_keys *const sets[] = { the.keys, jwks_keys() };
	struct span text = self.conf.jwt_from == JWT_FROM_password ? l->password : l->user_name;
	struct token t;
	const char *wrong;

	switch (token_check(text, sets, 2, &t)) {
	case TOKEN_NONE:
		return VERDICT_UNKNOWN;
	case TOKEN_NO_KEY:
	case TOKEN_BAD:
		if (may_wait && may_be_new(&t) && jwks_ask()) {
			list_add_tail(&the.waiting, &l->jwt.link);
			return VERDICT_LATER;
		}
		/* Nobody can say yet whether it is good. */
		if (self.conf.jwt_jwks_url.s[0] != '\0' && jwks_keys() == NULL)
			return VERDICT_BUSY;
		return refused(l, CNT_jwt__signature, t.why);
	case TOKEN_GOOD:
		break;
	}
	wrong = look_at_claims(l, t.claims);
	json_decref(t.claims);
	if (wrong != NULL)
		return refused(l, CNT_jwt__claims, wrong);
	count(CNT_jwt__accepted);
	return VERDICT_ALLOW;
}

static enum verdict
jwt_ask(struct login *l)
{
	return look(l, true);
}

/* Whatever has come: nobody waits twice. */
static void
on_news(void)
{
	while (!list_is_empty(&the.waiting)) {
		struct login *l = container_of(the.waiting.next, struct login, jwt.link);

		list_del(&l->jwt.link);
		login_verdict(l, look(l, false));
	}
}

/* What is wrong with them, or NULL, and what they tell is in l->found. */
static const char *
look_at_claims(struct login *l, const json_t *claims)
{
	struct span rest = span_str(self.conf.jwt_attributes.s), name, none;
	const char *wrong = look_at_time(l, claims);

	if (wrong != NULL)
		return wrong;
	if (!is_for(claims, "iss", self.conf.jwt_issuer.s))
		return "it is of another issuer";
	if (!is_for(claims, "aud", self.conf.jwt_audience.s))
		return "it is for another audience";
	if (!is_as_verified(l, claims))
		return "it is not for who shows it: jwt_verify";
	the.found.groups_len = the.found.attributes_len = the.found.ngroups = 0;
	if (self.conf.jwt_groups.s[0] != '\0' &&
	    !found_groups(&the.found, json_object_get(claims, self.conf.jwt_groups.s)))
		return "its groups can't be kept";
	while (pairs_next(&rest, &name, &none) == 1) {
		char text[CONF_STRING_MAX];

		memcpy(text, name.p, name.len);
		text[name.len] = '\0';
		if (!found_attribute(&the.found, text, json_object_get(claims, text)))
			return "its attributes can't be kept";
	}
	found_tell(&the.found, l);
	return NULL;
}

/* Seconds since the epoch, RFC 7519, 2; fractions are allowed. */
static bool
time_of(const json_t *claims, const char *name, double *out)
{
	const json_t *v = json_object_get(claims, name);

	*out = json_number_value(v);
	return json_is_number(v) && isfinite(*out) && fabs(*out) < 1e12;
}

static const char *
look_at_time(struct login *l, const json_t *claims)
{
	double now = (double)clock_wall_ms() / 1000, leeway = self.conf.jwt_leeway, at;

	l->found.expires_ms = 0;
	if (json_object_get(claims, "exp") != NULL) {
		if (!time_of(claims, "exp", &at))
			return "its time can't be one";
		if (at + leeway <= now)
			return "it has expired";
		l->found.expires_ms = (uint64_t)((at + leeway) * 1000);
	} else if (self.conf.jwt_need_expiry) {
		return "it never expires: jwt_need_expiry";
	}
	if (json_object_get(claims, "nbf") != NULL) {
		if (!time_of(claims, "nbf", &at))
			return "its time can't be one";
		if (at - leeway > now)
			return "its time has not come";
	}
	return NULL;
}

/* A string, or an array with it; wanted empty: whatever it is. */
static bool
is_for(const json_t *claims, const char *name, const char *wanted)
{
	const json_t *v = json_object_get(claims, name), *one;
	size_t i;

	if (wanted[0] == '\0' || (json_is_string(v) && strcmp(json_string_value(v), wanted) == 0))
		return true;
	json_array_foreach(v, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), wanted) == 0)
			return true;
	return false;
}

static bool
is_as_verified(const struct login *l, const json_t *claims)
{
	struct span rest = span_str(self.conf.jwt_verify.s), name, pattern;
	bool fits = true;

	while (fits && pairs_next(&rest, &name, &pattern) == 1) {
		const json_t *v = json_object_getn(claims, (const char *)name.p, name.len);
		struct text t = { 0 };
		char number[32];

		text_add_pattern(&t, pattern, l, TEXT_PLAIN);
		if (json_is_integer(v))
			snprintf(
			    number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		else if (!json_is_string(v))
			fits = false;
		/* A client that shows nothing is not meant by a claim that is empty. */
		fits = fits && !t.is_bad && !t.no_memory && t.len > 0 &&
		    strcmp(t.p, json_is_integer(v) ? number : json_string_value(v)) == 0;
		text_free(&t);
	}
	return fits;
}

static void
jwt_take_back(struct login *l)
{
	list_del(&l->jwt.link);
}

const struct provider jwt = { .ask = jwt_ask, .take_back = jwt_take_back };
