#include "worker/auth/credential.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/regex.h"
#include "shared/base/scram.h"
#include "shared/child/child.h"
#include "shared/mqtt/packet.h"
#include "shared/mqtt/rd.h"
#include "shared/mqtt/topic.h"
#include "worker/auth/certificate.h"

#define RECORD_VERSION 1

enum field {
	FIELD_CLIENT_ID = 1,
	FIELD_USER_NAME,
	FIELD_PASSWORD,
	FIELD_GROUPS,
	FIELD_DISABLED,
	FIELD_SCRAM,
	FIELD_CERTIFICATE,
	FIELD_CLIENT_PATTERN
};

struct shown { /* by a client */
	const char *client_id, *user_name, *certificate;
};

static uint64_t name_hash(const void *entry);
static uint64_t shown_hash(const void *entry);

static struct {
	struct htab by_name, by_shown;
	struct list patterns;
	uint64_t serial;
} the;

void
credential_init(void)
{
	htab_init(&the.by_name, name_hash);
	htab_init(&the.by_shown, shown_hash);
	list_init(&the.patterns);
}

static uint64_t
text_hash(const char *text)
{
	return text != NULL ? hash_bytes(&self.key, span_str(text)) : 0;
}

static uint64_t
hash_of_name(struct span name)
{
	return hash_bytes(&self.key, name);
}

static uint64_t
hash_of_shown(const struct shown *s)
{
	return hash_mix(text_hash(s->client_id) +
	    hash_mix(text_hash(s->user_name) + hash_mix(text_hash(s->certificate))));
}

static uint64_t
name_hash(const void *entry)
{
	return hash_of_name(span_str(((const struct credential *)entry)->name));
}

static uint64_t
shown_hash(const void *entry)
{
	const struct credential *c = entry;

	return hash_of_shown(&(struct shown){ c->client_id, c->user_name, c->certificate });
}

static bool
name_eq(const void *entry, const void *key)
{
	return span_eq(
	    span_str(((const struct credential *)entry)->name), *(const struct span *)key);
}

static bool
text_eq(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
shown_eq(const void *entry, const void *key)
{
	const struct credential *c = entry;
	const struct shown *s = key;

	return text_eq(c->client_id, s->client_id) && text_eq(c->user_name, s->user_name) &&
	    text_eq(c->certificate, s->certificate);
}

bool
credential_is_plain(const struct credential *c)
{
	return c->password != NULL || c->scram == NULL;
}

bool
credential_shows_same(const struct credential *a, const struct credential *b)
{
	return text_eq(a->client_id, b->client_id) && text_eq(a->user_name, b->user_name) &&
	    text_eq(a->certificate, b->certificate);
}

struct credential *
credential_new(void)
{
	struct credential *c = calloc(1, sizeof(*c));

	if (c != NULL)
		list_init(&c->link);
	return c;
}

struct credential *
credential_dup(const struct credential *c)
{
	const char *const from[] = { c->name, c->client_id, c->user_name, c->password, c->groups,
		c->scram, c->certificate, c->client_pattern };
	struct credential *d = credential_new();
	bool good = d != NULL;

	if (good)
		d->is_disabled = c->is_disabled;
	for (size_t i = 0; good && i < sizeof(from) / sizeof(from[0]); i++) {
		char **const to[] = { &d->name, &d->client_id, &d->user_name, &d->password,
			&d->groups, &d->scram, &d->certificate, &d->client_pattern };

		good = from[i] == NULL || credential_set(to[i], span_str(from[i]));
	}
	if (good)
		return d;
	credential_free(d);
	return NULL;
}

void
credential_free(struct credential *c)
{
	if (c == NULL)
		return;
	if (c->password != NULL)
		OPENSSL_cleanse(c->password, strlen(c->password));
	if (c->scram != NULL)
		OPENSSL_cleanse(c->scram, strlen(c->scram));
	free(c->password);
	free(c->scram);
	free(c->certificate);
	free(c->client_pattern);
	list_del(&c->link);
	regex_free(c->name_regex);
	regex_free(c->client_regex);
	free(c->name);
	free(c->client_id);
	free(c->user_name);
	free(c->groups);
	free(c);
}

bool
credential_set(char **text, struct span to)
{
	char *p = NULL;

	if (to.len > 0) {
		p = malloc(to.len + 1);
		if (p == NULL)
			return false;
		memcpy(p, to.p, to.len);
		p[to.len] = '\0';
	}
	free(*text);
	*text = p;
	return true;
}

static bool
is_text(const char *text, size_t most)
{
	return text == NULL || (strlen(text) <= most && utf8_is_valid(span_str(text)));
}

static bool
can_be_pattern(struct span text)
{
	char why[256];
	struct regex *re = regex_new(text, why);

	regex_free(re);
	return re != NULL;
}

static const char *
certificate_wrong(const struct credential *c)
{
	struct certificate_rule r;

	if (c->certificate == NULL || c->user_name != NULL || c->password != NULL ||
	    c->scram != NULL)
		return "a credential is about certificates, or about a user name and passwords";
	if (!is_text(c->certificate, CERTIFICATE_RULE_MAX) ||
	    !certificate_parse(c->certificate, &r))
		return "a certificate is named as KIND=TEXT or KIND~PATTERN, where KIND is "
		       "common_name, "
		       "subject, dns, email or uri, with @any or @1 to @9 behind it for those that "
		       "signed";
	if (!is_text(c->client_id, 4096) || !is_text(c->client_pattern, 4096))
		return "a client identifier or a pattern for it has at most 4096 bytes of UTF-8";
	if ((r.is_pattern && !can_be_pattern(r.text)) ||
	    (c->client_pattern != NULL && !can_be_pattern(span_str(c->client_pattern))))
		return "a pattern is no regular expression";
	return is_text(c->groups, CREDENTIAL_GROUPS_MAX) ? NULL : "groups have at most 1024 bytes";
}

const char *
credential_wrong(const struct credential *c)
{
	if (c->name == NULL || !is_text(c->name, CREDENTIAL_NAME_MAX))
		return "a credential needs a name of 1 to 256 bytes";
	if (c->certificate != NULL || c->client_pattern != NULL)
		return certificate_wrong(c);
	if (c->client_id == NULL && c->user_name == NULL)
		return "a credential needs a client identifier, a user name, or both";
	/* A name shorter than what MQTT allows would do as well, but these are hashed at each CONNECT. */
	if (!is_text(c->client_id, 4096) || !is_text(c->user_name, 4096))
		return "client identifier and user name have at most 4096 bytes of UTF-8";
	if (c->password != NULL && !password_text_is_valid(c->password))
		return "what is kept of a password is scrypt, or as mosquitto_passwd writes it";
	if (c->scram != NULL && (c->user_name == NULL || !scram_text_is_valid(c->scram)))
		return "what is kept for SCRAM is as PostgreSQL has it, and needs a user name";
	if (!is_text(c->groups, CREDENTIAL_GROUPS_MAX))
		return "groups have at most 1024 bytes";
	return NULL;
}

/* --- records ------------------------------------------------------------------------------ */

static void
write_field(struct wr *w, enum field field, const char *text)
{
	if (text == NULL)
		return;
	wr_u8(w, field);
	wr_str(w, span_str(text));
}

size_t
credential_encode(const struct credential *c, uint8_t *to, size_t room)
{
	struct wr w = wr_of(to, room);

	wr_u8(&w, RECORD_VERSION);
	write_field(&w, FIELD_CLIENT_ID, c->client_id);
	write_field(&w, FIELD_USER_NAME, c->user_name);
	write_field(&w, FIELD_PASSWORD, c->password);
	write_field(&w, FIELD_GROUPS, c->groups);
	write_field(&w, FIELD_SCRAM, c->scram);
	write_field(&w, FIELD_CERTIFICATE, c->certificate);
	write_field(&w, FIELD_CLIENT_PATTERN, c->client_pattern);
	write_field(&w, FIELD_DISABLED, c->is_disabled ? "" : NULL);
	return w.over ? 0 : (size_t)(w.p - to);
}

static bool
read_field(struct credential *c, enum field field, struct span value)
{
	switch (field) {
	case FIELD_CLIENT_ID:
		return credential_set(&c->client_id, value);
	case FIELD_USER_NAME:
		return credential_set(&c->user_name, value);
	case FIELD_PASSWORD:
		return credential_set(&c->password, value);
	case FIELD_GROUPS:
		return credential_set(&c->groups, value);
	case FIELD_SCRAM:
		return credential_set(&c->scram, value);
	case FIELD_CERTIFICATE:
		return credential_set(&c->certificate, value);
	case FIELD_CLIENT_PATTERN:
		return credential_set(&c->client_pattern, value);
	case FIELD_DISABLED:
		c->is_disabled = true;
		return true;
	}
	return false; /* of a newer version: what it says must not be left out */
}

struct credential *
credential_decode(struct span name, struct span record)
{
	struct credential *c = credential_new();
	struct rd r = rd_of(record);
	bool good = c != NULL && memchr(name.p, '\0', name.len) == NULL &&
	    credential_set(&c->name, name) && rd_u8(&r) == RECORD_VERSION;

	while (good && rd_left(&r) > 0) {
		enum field field = rd_u8(&r);
		struct span value = rd_bin(&r);

		good = !r.bad && (value.len == 0 || memchr(value.p, '\0', value.len) == NULL) &&
		    read_field(c, field, value);
	}
	if (good && credential_wrong(c) == NULL)
		return c;
	credential_free(c);
	return NULL;
}

/* --- the table ---------------------------------------------------------------------------- */

struct credential *
credential_find(struct span name)
{
	return htab_find(&the.by_name, hash_of_name(name), name_eq, &name);
}

struct credential *
credential_match(const char *client_id, const char *user_name)
{
	struct shown s = { client_id, user_name, NULL };

	return htab_find(&the.by_shown, hash_of_shown(&s), shown_eq, &s);
}

struct credential *
credential_match_certificate(const char *client_id, const char *certificate)
{
	struct shown s = { client_id, NULL, certificate };

	return htab_find(&the.by_shown, hash_of_shown(&s), shown_eq, &s);
}

struct credential *
credential_match_same(const struct credential *c)
{
	struct shown s = { c->client_id, c->user_name, c->certificate };

	return htab_find(&the.by_shown, hash_of_shown(&s), shown_eq, &s);
}

struct credential *
credential_next_pattern(const struct credential *c)
{
	struct list *next = c != NULL ? c->link.next : the.patterns.next;

	return next != &the.patterns ? container_of(next, struct credential, link) : NULL;
}

static bool
compile(struct regex **re, struct span pattern)
{
	char why[256];

	if (*re == NULL)
		*re = regex_new(pattern, why);
	return *re != NULL;
}

/* False: no memory. */
static bool
compile_patterns(struct credential *c)
{
	struct certificate_rule r;

	if (c->client_pattern != NULL && !compile(&c->client_regex, span_str(c->client_pattern)))
		return false;
	return c->certificate == NULL || !certificate_parse(c->certificate, &r) || !r.is_pattern ||
	    compile(&c->name_regex, r.text);
}

static void
list_pattern(struct credential *c)
{
	struct credential *before = NULL;

	if (c->name_regex == NULL)
		return;
	while ((before = credential_next_pattern(before)) != NULL)
		if (strcmp(before->name, c->name) > 0)
			break;
	list_add_tail(before != NULL ? &before->link : &the.patterns, &c->link);
}

int
credential_put(struct credential *c)
{
	struct credential *was = credential_find(span_str(c->name)),
			  *other = credential_match_same(c);

	c->serial = ++the.serial;
	if (other != NULL && other != was)
		return -EEXIST;
	if (!compile_patterns(c))
		return -ENOMEM;
	if (other == NULL && htab_add(&the.by_shown, shown_hash(c), c) != 0)
		return -ENOMEM;
	if (was == NULL && htab_add(&the.by_name, name_hash(c), c) != 0) {
		htab_del(&the.by_shown, shown_hash(c), c);
		return -ENOMEM;
	}
	list_pattern(c);
	if (was == NULL)
		return 0;
	htab_replace(&the.by_name, name_hash(c), was, c);
	if (other == was)
		htab_replace(&the.by_shown, shown_hash(c), was, c);
	else
		htab_del(&the.by_shown, shown_hash(was), was);
	credential_free(was);
	return 0;
}

static void
credential_drop(struct credential *c)
{
	htab_del(&the.by_name, name_hash(c), c);
	htab_del(&the.by_shown, shown_hash(c), c);
	credential_free(c);
}

bool
credential_del(struct span name)
{
	struct credential *c = credential_find(name);

	if (c != NULL)
		credential_drop(c);
	return c != NULL;
}

struct credential *
credential_next(uint64_t *pos)
{
	return htab_next(&the.by_name, pos);
}

size_t
credential_count(void)
{
	return htab_count(&the.by_name);
}

void
credential_fini(void)
{
	struct credential *c;
	uint64_t pos = 0;

	while ((c = credential_next(&pos)) != NULL)
		credential_drop(c);
	htab_fini(&the.by_name);
	htab_fini(&the.by_shown);
}
