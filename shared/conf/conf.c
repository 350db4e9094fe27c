#include "shared/conf/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/conf/pairs.h"
#include "shared/conf/table.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define VALUE_MAX 560 /* text of a value, quoted */

static void
set_defaults(void *base, const struct conf_key *keys, size_t n)
{
	char why[256];

	for (size_t i = 0; i < n; i++) {
		const struct conf_key *k = &keys[i];

		if (k->type == CONF_STRING) {
			struct conf_string *s = (void *)((uint8_t *)base + k->offset);

			snprintf(s->s, sizeof(s->s), "%s", k->text);
		} else if (k->type == CONF_RATE || k->type == CONF_BYTE_RATE) {
			(void)conf_set(base, k, k->text, 0, why);
		} else {
			const char *choice = k->type >= CONF_LOG_TARGET
			    ? conf_choice(k->type, (unsigned)k->def)
			    : NULL;

			(void)conf_set(base, k, choice, k->def, why);
		}
	}
}

void
conf_listener_defaults(struct conf_listener *l)
{
	memset(l, 0, sizeof(*l));
	set_defaults(l, conf_listener_keys, conf_nlistener_keys);
}

void
conf_defaults(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->abi = CONF_ABI;
	c->size = sizeof(*c);
	set_defaults(c, conf_keys, conf_nkeys);
	c->nlisteners = 1;
	conf_listener_defaults(&c->listener[0]);
	strcpy(c->listener[0].name.s, "default");
}

static bool
is_relative(const struct conf_string *path)
{
	return path->s[0] != '\0' && path->s[0] != '/';
}

static bool
is_address(const char *text)
{
	struct in6_addr a;

	return strcmp(text, "*") == 0 || inet_pton(AF_INET, text, &a) == 1 ||
	    inet_pton(AF_INET6, text, &a) == 1;
}

static int __attribute__((format(printf, 4, 5)))
wrong(struct conf_place *at, int listener, const char *key, const char *fmt, ...)
{
	va_list ap;

	at->listener = listener;
	at->key = key;
	va_start(ap, fmt);
	vsnprintf(at->why, sizeof(at->why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
check_tls(const struct conf *c, int i, struct conf_place *at)
{
	const struct conf_listener *l = &c->listener[i];
	const struct {
		const char *key;
		const struct conf_string *path;
	} file[] = {
		{ "certificate", &l->certificate },
		{ "certificate_key", &l->certificate_key },
		{ "key_password_file", &l->key_password_file },
		{ "client_authorities", &l->client_authorities },
		{ "client_revocations", &l->client_revocations },
		{ "ocsp_response", &l->ocsp_response },
		{ "psk_file", &l->psk_file },
	};

	for (size_t k = 0; k < sizeof(file) / sizeof(file[0]); k++)
		if (is_relative(file[k].path))
			return wrong(at, i, file[k].key, "must be an absolute path");
	if (l->psk_file.s[0] == '\0' && (l->psk_hint.s[0] != '\0' || l->psk_identity_as_username))
		return wrong(at, i,
		    l->psk_hint.s[0] != '\0' ? "psk_hint" : "psk_identity_as_username",
		    "needs psk_file");
	/* Who gives a certificate and forgets the type would serve everybody in the clear. */
	if (!conf_has_tls(l))
		return l->certificate.s[0] != '\0' || l->client_certificate != 0 ||
			l->psk_file.s[0] != '\0'
		    ? wrong(at, i, l->psk_file.s[0] != '\0' ? "psk_file" : "certificate",
			  "needs type = \"tls\" or \"wss\"")
		    : 0;
	if (l->certificate.s[0] == '\0' && l->psk_file.s[0] == '\0')
		return wrong(at, i, "type", "TLS needs a certificate, or psk_file");
	if (l->certificate.s[0] == '\0' && l->client_certificate != CLIENT_CERTIFICATE_none)
		return wrong(at, i, "client_certificate", "needs a certificate of the server");
	if (l->client_certificate != CLIENT_CERTIFICATE_none && l->client_authorities.s[0] == '\0')
		return wrong(at, i, "client_certificate", "needs client_authorities to check it");
	if (l->certificate_user != CERTIFICATE_USER_none &&
	    l->client_certificate == CLIENT_CERTIFICATE_none)
		return wrong(at, i, "certificate_user",
		    "needs client_certificate = \"optional\" or \"required\"");
	return 0;
}

static int
check_unix(const struct conf *c, int i, struct conf_place *at)
{
	const struct conf_listener *l = &c->listener[i];

	if (strspn(l->mode.s, "01234567") != strlen(l->mode.s) ||
	    strtoul(l->mode.s, NULL, 8) > 0777)
		return wrong(
		    at, i, "mode", "\"%.8s\" is none: three octal digits, as \"0660\"", l->mode.s);
	if (l->path.s[0] == '\0')
		return l->type == TRANSPORT_unix
		    ? wrong(at, i, "type", "a unix socket needs a path")
		    : 0;
	if (l->type != TRANSPORT_unix)
		return wrong(at, i, "path", "needs type = \"unix\"");
	if (is_relative(&l->path))
		return wrong(at, i, "path", "must be an absolute path");
	for (int j = 0; j < i; j++)
		if (strcmp(l->path.s, c->listener[j].path.s) == 0)
			return wrong(at, i, "path", "\"%s\" and \"%s\" have the same path",
			    c->listener[j].name.s, l->name.s);
	return 0;
}

static int
check_listener(const struct conf *c, int i, struct conf_place *at)
{
	const struct conf_listener *a = &c->listener[i];

	if (a->name.s[0] == '\0')
		return wrong(at, i, NULL, "number %d has no name", i + 1);
	if (!is_address(a->address.s))
		return wrong(at, i, "address", "\"%.63s\" is no address: IPv4, IPv6, or * for all",
		    a->address.s);
	if (strpbrk(a->mount_point.s, "+#") != NULL)
		return wrong(at, i, "mount_point", "wildcards can't be in a topic");
	if (!a->mqtt_31 && !a->mqtt_311 && !a->mqtt_5)
		return wrong(at, i, NULL, "no version of MQTT is accepted");
	if (check_tls(c, i, at) != 0 || check_unix(c, i, at) != 0)
		return -EINVAL;
	for (int j = 0; j < i; j++) {
		const struct conf_listener *b = &c->listener[j];

		if (strcmp(a->name.s, b->name.s) == 0)
			return wrong(at, i, "name", "\"%s\" is there twice", a->name.s);
		if (a->type != TRANSPORT_unix && b->type != TRANSPORT_unix && a->port != 0 &&
		    a->port == b->port && strcmp(a->address.s, b->address.s) == 0)
			return wrong(at, i, "port",
			    "\"%s\" and \"%s\" have the same address and port", b->name.s,
			    a->name.s);
	}
	return 0;
}

/* What a provider needs, if it is one of those who are asked. */
static int
check_jwt(const struct conf *c, struct conf_place *at)
{
	if (c->jwt_secret_file.s[0] == '\0' && c->jwt_public_key.s[0] == '\0' &&
	    c->jwt_jwks_url.s[0] == '\0')
		return wrong(at, -1, "authentication",
		    "jwt needs jwt_secret_file, jwt_public_key or jwt_jwks_url");
	return 0;
}

/* Whom a client talks us into asking must not be its own choice: a URL's host has no pattern. */
static int
check_url(const char *key, const char *url, const char *letters, struct conf_place *at)
{
	const char *host = strstr(url, "://");
	size_t len = host != NULL ? strcspn(host + 3, "/?#") : 0;

	if (url[0] == '\0')
		return 0;
	if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || len == 0)
		return wrong(at, -1, key, "must be as http://host:port/path, or https://");
	if (memchr(host + 3, '%', len) != NULL || memchr(host + 3, '@', len) != NULL)
		return wrong(at, -1, key, "its host has neither patterns nor a user name");
	if (strpbrk(url, " #") != NULL || !pattern_is_valid(span_str(url), letters))
		return wrong(at, -1, key, "has what can't be in a URL; %%%% is a per cent sign");
	return 0;
}

static int
check_auth(const struct conf *c, const uint8_t *order, size_t n, struct conf_place *at)
{
	int bad = 0;

	if (is_relative(&c->jwt_secret_file))
		return wrong(at, -1, "jwt_secret_file", "must be an absolute path");
	if (is_relative(&c->jwt_public_key))
		return wrong(at, -1, "jwt_public_key", "must be an absolute path");
	if (is_relative(&c->http_headers_file))
		return wrong(at, -1, "http_headers_file", "must be an absolute path");
	if (is_relative(&c->http_authorities))
		return wrong(at, -1, "http_authorities", "must be an absolute path");
	if (!pairs_are_valid(c->http_fields.s, "cuPal"))
		return wrong(at, -1, "http_fields", "must be as \"name=%%u, password=%%P\"");
	if (is_relative(&c->jwt_jwks_authorities))
		return wrong(at, -1, "jwt_jwks_authorities", "must be an absolute path");
	if (check_url("http_url", c->http_url.s, "cuPal", at) != 0 ||
	    check_url("jwt_jwks_url", c->jwt_jwks_url.s, "", at) != 0)
		return -EINVAL;
	if (!pairs_are_valid(c->jwt_verify.s, "cual"))
		return wrong(at, -1, "jwt_verify", "must be as \"sub=%%u, device=%%c\"");
	if (!pairs_are_valid(c->jwt_attributes.s, NULL))
		return wrong(at, -1, "jwt_attributes", "must be names with commas between them");
	for (size_t i = 0; i < n && bad == 0; i++)
		if (order[i] == PROVIDER_jwt)
			bad = check_jwt(c, at);
		else if (order[i] == PROVIDER_http && c->http_url.s[0] == '\0')
			bad = wrong(at, -1, "authentication", "http needs http_url");
	return bad;
}

int
conf_check_at(const struct conf *c, struct conf_place *at)
{
	uint8_t order[CONF_PROVIDERS];
	int bad = 0;
	size_t n;

	if ((c->ring_size & (c->ring_size - 1)) != 0)
		return wrong(at, -1, "ring_size", "must be a power of two");
	if ((c->store_ring_size & (c->store_ring_size - 1)) != 0)
		return wrong(at, -1, "store_ring_size", "must be a power of two");
	/* It would depend on where the broker was started: with another store each time. */
	if (is_relative(&c->backup_dir))
		return wrong(at, -1, "backup_dir", "must be an absolute path");
	if (is_relative(&c->data_dir))
		return wrong(at, -1, "data_dir", "must be an absolute path");
	if (is_relative(&c->log_file))
		return wrong(at, -1, "log_file", "must be an absolute path");
	if (is_relative(&c->acl_file))
		return wrong(at, -1, "acl_file", "must be an absolute path");
	if (!log_modules_are_valid(c->log_modules.s))
		return wrong(at, -1, "log_modules", "must be as \"conn=debug,route=info\"");
	n = conf_providers(c, order);
	if (n == SIZE_MAX)
		return wrong(at, -1, "authentication",
		    "names other providers than basic, scram, x509, jwt and http, or one of them "
		    "twice");
	bad = check_auth(c, order, n, at);
	for (uint32_t i = 0; i < c->nlisteners && bad == 0; i++)
		bad = check_listener(c, (int)i, at);
	return bad;
}

int
conf_check(const struct conf *c, struct conf_error *err)
{
	struct conf_place at;
	int bad = conf_check_at(c, &at);

	if (bad == 0)
		return 0;
	if (at.listener < 0)
		snprintf(err->text, sizeof(err->text), "%s: %s", at.key, at.why);
	else
		snprintf(err->text, sizeof(err->text), "listeners.%s%s%s: %s",
		    c->listener[at.listener].name.s, at.key != NULL ? "." : "",
		    at.key != NULL ? at.key : "", at.why);
	return bad;
}

static const struct conf_listener *
listener_find(const struct conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listener[i].name.s, name) == 0)
			return &c->listener[i];
	return NULL;
}

/* As it is shown. */
static void
key_name(const struct conf_listener *l, const struct conf_key *k, char out[160])
{
	snprintf(out, 160, "%s%.40s%s%s", l != NULL ? "listeners." : "", l != NULL ? l->name.s : "",
	    l != NULL ? "." : "", k->name);
}

/* What an assignment is about, and where in c that is. */
struct target {
	const struct conf_listener *listener; /* NULL: top level */
	const struct conf_key *key;
	const char *value;
};

static int
find_target(
    const struct conf *c, const char *assignment, struct target *out, struct conf_error *err)
{
	const char *eq = strchr(assignment, '='), *key;
	struct target t = { 0 };
	const struct conf_key *keys = conf_keys;
	size_t n = conf_nkeys;
	char name[128];

	if (eq == NULL || (size_t)(eq - assignment) >= sizeof(name)) {
		snprintf(
		    err->text, sizeof(err->text), "\"%.100s\": must be name=value", assignment);
		return -EINVAL;
	}
	memcpy(name, assignment, (size_t)(eq - assignment));
	name[eq - assignment] = '\0';
	key = name;
	if (strncmp(name, "listener.", 9) == 0) {
		char *dot = strrchr(name, '.');

		*dot = '\0';
		t.listener = dot > name + 8 ? listener_find(c, name + 9) : NULL;
		if (t.listener == NULL) {
			snprintf(
			    err->text, sizeof(err->text), "%.100s: no such listener", name + 9);
			return -EINVAL;
		}
		key = dot + 1;
	} else if (strcmp(name, "port") == 0 && c->nlisteners > 0) {
		t.listener = &c->listener[0];
	}
	if (t.listener != NULL) {
		keys = conf_listener_keys;
		n = conf_nlistener_keys;
	}
	t.key = conf_key_find(keys, n, key);
	t.value = eq + 1;
	if (t.key == NULL) {
		const char *near = conf_suggest(keys, n, key);

		snprintf(err->text, sizeof(err->text), "unknown key \"%s\"%s%s%s", key,
		    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
		return -EINVAL;
	}
	*out = t;
	return 0;
}

int
conf_override(struct conf *c, const char *assignment, struct conf_error *err)
{
	struct conf next = *c;
	struct target t;
	char why[256];

	if (find_target(&next, assignment, &t, err) != 0)
		return -EINVAL;
	if (conf_set(t.listener != NULL ? (void *)t.listener : (void *)&next, t.key, t.value, 0,
		why) != 0) {
		snprintf(err->text, sizeof(err->text), "%s: %s", t.key->name, why);
		return -EINVAL;
	}
	*c = next;
	return 0;
}

bool
conf_overrides(const struct conf *c, const char *assignment, const char *key)
{
	struct conf_error err;
	struct target t;
	char name[160];

	if (find_target(c, assignment, &t, &err) != 0)
		return false;
	key_name(t.listener, t.key, name);
	return strcmp(name, key) == 0;
}

/* --- showing ----------------------------------------------------------------------------- */

static unsigned
diff_keys(const void *a, const void *b, const struct conf_key *keys, size_t n, const char *prefix,
    conf_diff_fn *fn, void *arg)
{
	char from[VALUE_MAX], to[VALUE_MAX], name[160];
	unsigned found = 0;

	for (size_t i = 0; i < n; i++) {
		conf_value_text(a, &keys[i], from, sizeof(from));
		conf_value_text(b, &keys[i], to, sizeof(to));
		if (strcmp(from, to) == 0)
			continue;
		snprintf(name, sizeof(name), "%s%s", prefix, keys[i].name);
		fn(arg, name, from, to, keys[i].when);
		found++;
	}
	return found;
}

unsigned
conf_diff(const struct conf *a, const struct conf *b, conf_diff_fn *fn, void *arg)
{
	unsigned found = diff_keys(a, b, conf_keys, conf_nkeys, "", fn, arg);
	char prefix[64];

	for (uint32_t i = 0; i < a->nlisteners; i++) {
		const struct conf_listener *l = &a->listener[i], *now = listener_find(b, l->name.s);

		snprintf(prefix, sizeof(prefix), "listeners.%.40s", l->name.s);
		if (now == NULL) {
			fn(arg, prefix, "present", "removed", CONF_NOW);
			found++;
			continue;
		}
		strcat(prefix, ".");
		found +=
		    diff_keys(l, now, conf_listener_keys, conf_nlistener_keys, prefix, fn, arg);
	}
	for (uint32_t i = 0; i < b->nlisteners; i++) {
		const struct conf_listener *l = &b->listener[i];

		if (listener_find(a, l->name.s) != NULL)
			continue;
		snprintf(prefix, sizeof(prefix), "listeners.%.40s", l->name.s);
		fn(arg, prefix, "absent", "added", CONF_NOW);
		found++;
	}
	return found;
}

void
conf_each(const struct conf *c, conf_each_fn *fn, void *arg)
{
	char value[VALUE_MAX], def[VALUE_MAX], name[160];
	struct conf defaults;

	conf_defaults(&defaults);
	for (size_t i = 0; i < conf_nkeys; i++) {
		conf_value_text(c, &conf_keys[i], value, sizeof(value));
		conf_value_text(&defaults, &conf_keys[i], def, sizeof(def));
		fn(arg, conf_keys[i].name, value, strcmp(value, def) == 0, conf_keys[i].help);
	}
	for (uint32_t l = 0; l < c->nlisteners; l++)
		for (size_t i = 0; i < conf_nlistener_keys; i++) {
			const struct conf_key *k = &conf_listener_keys[i];

			conf_value_text(&c->listener[l], k, value, sizeof(value));
			conf_value_text(&defaults.listener[0], k, def, sizeof(def));
			key_name(&c->listener[l], k, name);
			fn(arg, name, value, strcmp(value, def) == 0, k->help);
		}
}

/* Words of a comment, wrapped. */
static void
write_comment(FILE *to, const char *indent, const char *text)
{
	size_t col = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (col == 0 || col + 1 + len > 96) {
			fprintf(to, "%s%s# ", col == 0 ? "" : "\n", indent);
			col = strlen(indent) + 2;
		} else {
			fputc(' ', to);
			col++;
		}
		fwrite(text, 1, len, to);
		col += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void
write_key(
    FILE *to, const void *base, const void *defaults, const struct conf_key *k, const char *indent)
{
	char value[VALUE_MAX], def[VALUE_MAX], text[CONF_SAYS_MAX];

	conf_value_text(base, k, value, sizeof(value));
	conf_value_text(defaults, k, def, sizeof(def));
	conf_key_says(k, text);
	write_comment(to, indent, text);
	fprintf(to, "%s%s%s = %s;\n\n", indent, strcmp(value, def) == 0 ? "#" : "", k->name, value);
}

int
conf_write(const struct conf *c, FILE *to)
{
	struct conf defaults;

	conf_defaults(&defaults);
	fprintf(to,
	    "# Configuration of TBMQ. Keys that are commented out have the values shown.\n"
	    "# Check a change with `tbmqctl config check FILE`, apply it with `tbmqctl reload`.\n"
	    "# Other files are read in with: @include \"file.conf\"\n\n");
	for (size_t i = 0; i < conf_nkeys; i++)
		write_key(to, c, &defaults, &conf_keys[i], "");
	fprintf(to,
	    "# Where clients connect. Each has a name; a reload adds and removes listeners without "
	    "disconnecting anybody.\n"
	    "# As shipped that is loopback only, where everybody may do everything. Before you "
	    "give one "
	    "an address that others\n"
	    "# reach, say above who may come in and what they may do, and in the listener that "
	    "anonymous "
	    "clients may not.\n"
	    "# `tbmqctl config check` and the log warn of one that is open.\n"
	    "listeners = (\n");
	for (uint32_t l = 0; l < c->nlisteners; l++) {
		fprintf(to, "\t{\n");
		for (size_t i = 0; i < conf_nlistener_keys; i++) {
			const struct conf_key *k = &conf_listener_keys[i];
			bool always = strcmp(k->name, "name") == 0 ||
			    strcmp(k->name, "address") == 0 || strcmp(k->name, "port") == 0;
			struct conf_listener other = defaults.listener[0];

			if (always) { /* shown even if it is the default */
				memset(&other, 0, sizeof(other));
				other.port = c->listener[l].port + 1;
			}
			write_key(to, &c->listener[l], &other, k, "\t\t");
		}
		fprintf(to, "\t}%s\n", l + 1 < c->nlisteners ? "," : "");
	}
	fprintf(to, ");\n");
	return ferror(to) ? -EIO : 0;
}

/* --- snapshots --------------------------------------------------------------------------- */

int
conf_snapshot(const struct conf *c)
{
	int fd = memfd_create("tbmq:conf", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	if (write(fd, c, sizeof(*c)) == (ssize_t)sizeof(*c) && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	err = errno != 0 ? -errno : -ENOSPC;
	close(fd);
	return err;
}

/* Bounds of everything: it may be another process's invention. */
static bool
keys_are_valid(const void *base, const struct conf_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct conf_key *k = &keys[i];

		if (k->type == CONF_STRING) {
			const struct conf_string *s =
			    (const void *)((const uint8_t *)base + k->offset);

			if (memchr(s->s, '\0', sizeof(s->s)) == NULL || strlen(s->s) < k->min ||
			    strlen(s->s) > k->max)
				return false;
		} else if (k->type == CONF_RATE || k->type == CONF_BYTE_RATE) {
			if (!rate_is_valid(conf_get_rate(base, k), k->max))
				return false;
		} else if (k->type >= CONF_LOG_TARGET) {
			if (conf_choice(k->type, (unsigned)conf_get(base, k)) == NULL)
				return false;
		} else if (conf_get(base, k) < k->min || conf_get(base, k) > k->max) {
			return false;
		}
	}
	return true;
}

int
conf_load(int fd, struct conf *out)
{
	struct conf_error err;
	struct conf c;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 ||
	    st.st_size != (off_t)sizeof(c))
		return -EPROTO;
	if (pread(fd, &c, sizeof(c), 0) != (ssize_t)sizeof(c))
		return -EIO;
	if (c.abi != CONF_ABI || c.size != sizeof(c) || c.nlisteners > CONF_LISTENERS ||
	    !keys_are_valid(&c, conf_keys, conf_nkeys))
		return -EPROTO;
	for (uint32_t i = 0; i < c.nlisteners; i++)
		if (!keys_are_valid(&c.listener[i], conf_listener_keys, conf_nlistener_keys))
			return -EPROTO;
	if (conf_check(&c, &err) != 0)
		return -EPROTO;
	*out = c;
	return 0;
}

enum conf_durability
conf_durability_of(const struct conf_listener *l, enum conf_durability broker)
{
	static const enum conf_durability of[] = {
		[LISTENER_DURABILITY_power] = DURABILITY_power,
		[LISTENER_DURABILITY_process] = DURABILITY_process,
		[LISTENER_DURABILITY_memory] = DURABILITY_memory,
	};

	return l->durability == LISTENER_DURABILITY_default ? broker : of[l->durability];
}

const char *
conf_durability_name(enum conf_durability d)
{
	return conf_choice(CONF_DURABILITY, d);
}

enum conf_rate_action
conf_rate_action_of(const struct conf_listener *l, enum conf_rate_action broker)
{
	static const enum conf_rate_action of[] = {
		[LISTENER_RATE_ACTION_wait] = RATE_ACTION_wait,
		[LISTENER_RATE_ACTION_refuse] = RATE_ACTION_refuse,
		[LISTENER_RATE_ACTION_drop_qos0] = RATE_ACTION_drop_qos0,
		[LISTENER_RATE_ACTION_disconnect] = RATE_ACTION_disconnect,
	};

	return l->client_rate_action == LISTENER_RATE_ACTION_default ? broker
								     : of[l->client_rate_action];
}

const char *
conf_transport_name(const struct conf_listener *l)
{
	return conf_choice(CONF_TRANSPORT, l->type);
}

bool
conf_has_tls(const struct conf_listener *l)
{
	return l->type == TRANSPORT_tls || l->type == TRANSPORT_wss;
}

bool
conf_has_ws(const struct conf_listener *l)
{
	return l->type == TRANSPORT_ws || l->type == TRANSPORT_wss;
}

size_t
conf_providers(const struct conf *c, uint8_t order_out[CONF_PROVIDERS])
{
	static const char *const name[CONF_PROVIDERS] = {
		[PROVIDER_basic] = "basic",
		[PROVIDER_scram] = "scram",
		[PROVIDER_x509] = "x509",
		[PROVIDER_jwt] = "jwt",
		[PROVIDER_http] = "http",
	};
	const char *text = c->authentication.s;
	bool has[CONF_PROVIDERS] = { false };
	size_t n = 0;

	for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
		size_t len = strcspn(text, ", "), p = 0;

		while (p < CONF_PROVIDERS &&
		    (strlen(name[p]) != len || memcmp(text, name[p], len) != 0))
			p++;
		if (p == CONF_PROVIDERS || has[p])
			return SIZE_MAX;
		has[p] = true;
		order_out[n++] = (uint8_t)p;
		text += len;
		text += strspn(text, " ");
		if (*text == ',' && text[1 + strspn(text + 1, " ")] != '\0')
			text++;
		else if (*text != '\0')
			return SIZE_MAX;
	}
	return n;
}

bool
conf_has_provider(const struct conf *c, enum conf_provider p)
{
	uint8_t order[CONF_PROVIDERS];
	size_t n = conf_providers(c, order);

	for (size_t i = 0; n <= CONF_PROVIDERS && i < n; i++)
		if (order[i] == p)
			return true;
	return false;
}

int
conf_log_level_of(uint8_t level)
{
	static const int of[] = {
		[LOG_LEVEL_err] = LOG_ERR,
		[LOG_LEVEL_warning] = LOG_WARNING,
		[LOG_LEVEL_notice] = LOG_NOTICE,
		[LOG_LEVEL_info] = LOG_INFO,
		[LOG_LEVEL_debug] = LOG_DEBUG,
	};

	return level < sizeof(of) / sizeof(of[0]) ? of[level] : LOG_NOTICE;
}
