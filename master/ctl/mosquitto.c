#include "master/ctl/mosquitto.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/list.h"
#include "shared/base/must.h"
#include "shared/conf/table.h"

#define LINE_MAX_BYTES 65535
#define USES_MAX 10000
#define ADDRESSES_MAX 4 /* of one name */
#define NAME_ROOM 32    /* of a listener */
#define BESIDE_PAYLOAD 65536
#define LOCAL "localhost"

enum option_id {
#define O(id, name, scope, syntax, min, max, unset, starts, take, key, says) OPTION_##id,
#include "master/ctl/mosquitto.def"
#undef O
	OPTIONS
};

enum scope { GLOBAL, SECURITY, LISTENER, BRIDGE };
enum syntax { SWITCH, NUMBER, TEXT, WORDS };

struct use;
struct import;
typedef void take_fn(struct import *im, const struct use *u);

struct option {
	const char *name;
	enum scope scope;
	enum syntax syntax;
	long long min, max;
	const char *unset, *starts;
	take_fn *take;
	const char *key, *says;
};

/* What options are collected of: the whole, a listener. */
struct part {
	struct list link;
	const struct use *of[OPTIONS]; /* the last one; NULL: none */
	bool starts, left_out;
	char host[256]; /* "": all addresses */
	unsigned port;
	uint32_t first, n; /* its listeners in the configuration: one for each address */
};

struct use { /* of an option, in a line */
	struct list link;
	enum option_id id;
	const char *file;
	unsigned line;
	struct part *part;
	char *name;   /* as it is written */
	char value[]; /* of switches: true or false */
};

struct file {
	struct list link;
	char path[PATH_MAX];
};

struct import {
	mosquitto_said_fn *said;
	void *arg;
	bool is_alone, is_wrong, per_listener;
	bool is_local;                      /* nothing says where to listen */
	struct list uses, files, listeners; /* of struct use, file, part */
	unsigned nuses;
	struct part all, *first; /* first: the one of options before any listener */
	struct conf conf;
};

static take_fn take_value, take_nothing, take_unsupported, take_only, take_prefixes,
    take_connection_messages, take_include, take_log_dest, take_log_type, take_inflight,
    take_packet_size, take_expiry, take_acl_file, take_anonymous, take_password_file, take_listener,
    take_connections, take_highest, take_authorities, take_tls_file, take_tls_value,
    take_revocations, take_require, take_tls_version, take_certificate_user;

static const struct option option[OPTIONS] = {
#define O(id, name, scope, syntax, min, max, unset, starts, take, key, says)                       \
	[OPTION_##id] = { name, scope, syntax, min, max, unset, starts, take, key, says },
#include "master/ctl/mosquitto.def"
#undef O
};

static void read_file(struct import *im, FILE *in, const char *path, bool is_main);
static void make_listeners(struct import *im);
static void take_all(struct import *im);

/* --- saying ------------------------------------------------------------------------------ */

static void
say_v(struct import *im, const char *file, unsigned line, const char *name,
    enum mosquitto_fate fate, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	im->is_wrong |= fate == MOSQUITTO_WRONG;
	im->said(im->arg,
	    &(struct mosquitto_said){
		.file = file, .line = line, .option = name, .fate = fate, .text = text });
}

static void __attribute__((format(printf, 4, 5)))
say(struct import *im, const struct use *u, enum mosquitto_fate fate, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(im, u->file, u->line, u->name, fate, fmt, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 5, 6)))
wrong(struct import *im, const char *file, unsigned line, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(im, file, line, name, MOSQUITTO_WRONG, fmt, ap);
	va_end(ap);
}

/* --- reading ----------------------------------------------------------------------------- */

static const char *
keep_path(struct import *im, const char *path)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return "";
	snprintf(f->path, sizeof(f->path), "%s", path);
	list_add_tail(&im->files, &f->link);
	return f->path;
}

static struct part *
part_new(struct import *im)
{
	struct part *p = calloc(1, sizeof(*p));

	if (p != NULL)
		list_add_tail(&im->listeners, &p->link);
	return p;
}

static enum option_id
find(const char *name)
{
	unsigned i = 0;

	for (; i < OPTIONS; i++) {
		size_t len = strlen(option[i].name);

		if (option[i].name[len - 1] == '*'
			? strncmp(name, option[i].name, len - 1) == 0 && name[len - 1] != '\0'
			: strcmp(name, option[i].name) == 0)
			break;
	}
	return (enum option_id)i;
}

/* Behind a switch or a number there may be a comment only. */
static bool
is_one_word(const char *value)
{
	const char *next = value + strcspn(value, " \t");

	next += strspn(next, " \t");
	return *next == '\0' || *next == '#';
}

/* Is the value one? A switch becomes true or false, a number stands alone. */
static bool
tidy(const struct option *o, char *value, char why[256])
{
	long long n;
	char *end;

	if (value[0] == '\0') {
		snprintf(why, 256, "has no value");
		return false;
	}
	if (o->syntax == TEXT || o->syntax == WORDS)
		return true;
	if (!is_one_word(value)) {
		snprintf(why, 256, "has more than one value");
		return false;
	}
	value[strcspn(value, " \t")] = '\0';
	if (o->syntax == SWITCH) {
		bool is_true = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

		if (!is_true && strcmp(value, "false") != 0 && strcmp(value, "0") != 0) {
			snprintf(why, 256, "is neither true nor false");
			return false;
		}
		strcpy(value, is_true ? "true" : "false"); /* read_line() has left room */
		return true;
	}
	errno = 0;
	n = strtoll(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || n < o->min || n > o->max) {
		snprintf(why, 256, "must be a number from %lld to %lld", o->min, o->max);
		return false;
	}
	snprintf(value, strlen(value) + 1, "%lld", n);
	return true;
}

static struct part *
part_of(struct import *im, const struct option *o, struct part *current)
{
	if (o->scope == LISTENER || (o->scope == SECURITY && im->per_listener))
		return current;
	return &im->all;
}

/* Notes the option with its part. NULL: it is wrong, or there is no memory. */
static struct use *
note(struct import *im, enum option_id id, const char *file, unsigned line, struct part *part,
    const char *name, const char *value)
{
	size_t len = strlen(value) + sizeof("false");
	const struct option *o = &option[id];
	char why[256];
	struct use *u = calloc(1, sizeof(*u) + len + strlen(name) + 1);

	if (u == NULL || ++im->nuses > USES_MAX) {
		wrong(im, file, line, name, u == NULL ? "no memory" : "too many options");
		free(u);
		return NULL;
	}
	*u = (struct use){ .id = id, .file = file, .line = line, .part = part };
	strcpy(u->value, value);
	u->name = u->value + len;
	strcpy(u->name, name);
	if (!tidy(o, u->value, why)) {
		wrong(im, file, line, name, "%s", why);
		free(u);
		return NULL;
	}
	if (o->syntax == TEXT && part->of[id] != NULL)
		wrong(im, file, line, name, "is there twice: see %s:%u", part->of[id]->file,
		    part->of[id]->line);
	list_add_tail(&im->uses, &u->link);
	part->of[id] = u;
	if (o->starts != NULL && strcmp(u->value, o->starts) != 0)
		part->starts = true;
	return u;
}

/* Upper case goes before lower case, letter by letter. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	const char *x = (*a)->d_name, *y = (*b)->d_name;

	while (*x != '\0' && *x == *y) {
		x++;
		y++;
	}
	if (toupper((unsigned char)*x) != toupper((unsigned char)*y))
		return toupper((unsigned char)*x) - toupper((unsigned char)*y);
	return (unsigned char)*x - (unsigned char)*y;
}

static int
is_conf(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > 5 && strcmp(d->d_name + len - 5, ".conf") == 0;
}

static void
include(struct import *im, const struct use *u)
{
	struct dirent **names;
	int n = im->is_alone ? 0 : scandir(u->value, &names, is_conf, by_name);

	if (n < 0)
		say(im, u, MOSQUITTO_WRONG, "%s cannot be read: %s", u->value, strerror(errno));
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		FILE *in = NULL;

		if ((size_t)snprintf(path, sizeof(path), "%s%s%s", u->value,
			u->value[strlen(u->value) - 1] == '/' ? "" : "/",
			names[i]->d_name) < sizeof(path))
			in = fopen(path, "re");
		if (in == NULL)
			say(im, u, MOSQUITTO_WRONG, "%s cannot be read: %s", path, strerror(errno));
		else
			read_file(im, in, path, false);
		if (in != NULL)
			fclose(in);
		free(names[i]);
	}
	if (n >= 0 && !im->is_alone)
		free(names);
}

/* A new part, with what stands behind `listener`. */
static struct part *
begin_listener(struct import *im, const char *file, unsigned line, char *value)
{
	char *host, *save, *port = strtok_r(value, " \t", &save), *end;
	struct part *p = part_new(im);
	long n;

	if (p == NULL) {
		wrong(im, file, line, "listener", "no memory");
		return NULL;
	}
	errno = 0;
	n = port != NULL ? strtol(port, &end, 10) : -1;
	host = strtok_r(NULL, " \t", &save);
	if (host != NULL && host[0] == '#')
		host = NULL;
	if (n < 0 || n > 65535 || end == port || *end != '\0' || (n == 0 && host == NULL))
		wrong(im, file, line, "listener", "must be a port, and what to bind to behind it");
	else if (host != NULL && strlen(host) >= sizeof(p->host))
		wrong(im, file, line, "listener", "the address is too long");
	else if (host != NULL)
		strcpy(p->host, host);
	p->port = n >= 0 && n <= 65535 ? (unsigned)n : 0;
	p->starts = true;
	im->is_local = false;
	return p;
}

/* current_io: the listener that options are about. */
static void
read_line(struct import *im, const char *path, unsigned line, char *text, bool is_main,
    struct part **current_io)
{
	char *name = text + strspn(text, " \t"), *value = name + strcspn(name, " \t");
	char why[64] = "";
	enum option_id id;
	struct use *u;
	bool is_old;

	if (text[0] == '#' || name[0] == '\0')
		return;
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, " \t");
	id = find(name);
	if (id == OPTIONS) {
		if (name[0] == '#')
			snprintf(why, sizeof(why), ": a comment begins with the line");
		wrong(im, path, line, name, "mosquitto has no such option%s", why);
		return;
	}
	if (id == OPTION_ONE) {
		char *copy = strdup(value);
		struct part *p = copy != NULL ? begin_listener(im, path, line, copy) : NULL;

		free(copy);
		if (p == NULL)
			return;
		*current_io = p;
	}
	/* These are of the listener before any other, wherever they stand. */
	is_old = id == OPTION_PORT || id == OPTION_BIND_ADDRESS;
	u = note(im, id, path, line, is_old ? im->first : part_of(im, &option[id], *current_io),
	    name, value);
	if (u == NULL)
		return;
	im->is_local &= !is_old;
	if (id == OPTION_PER_LISTENER_SETTINGS)
		im->per_listener = strcmp(u->value, "true") == 0;
	if (id == OPTION_INCLUDE_DIR && is_main)
		include(im, u);
}

/* Options of an included file are about no listener of the file that includes it. */
static void
read_file(struct import *im, FILE *in, const char *path, bool is_main)
{
	const char *kept = keep_path(im, path);
	struct part *current = im->first;
	unsigned line = 0;
	char *text = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&text, &room, in)) >= 0) {
		line++;
		while (len > 0 && strchr("\r\n \t", text[len - 1]) != NULL)
			text[--len] = '\0';
		if (len > LINE_MAX_BYTES || strlen(text) != (size_t)len)
			wrong(im, kept, line, "line", "%s",
			    len > LINE_MAX_BYTES ? "is too long" : "has a NUL");
		else
			read_line(im, kept, line, text, is_main, &current);
	}
	if (ferror(in))
		wrong(im, kept, line, "file", "cannot be read: %s", strerror(errno));
	free(text);
}

int
mosquitto_read(
    FILE *in, const char *path, bool is_alone, mosquitto_said_fn *said, void *arg, struct conf *out)
{
	struct import im = { .said = said, .arg = arg, .is_alone = is_alone, .is_local = true };
	struct conf_error err;
	struct file *f;
	struct list *l;
	struct part *p;
	struct use *u;

	list_init(&im.uses);
	list_init(&im.files);
	list_init(&im.listeners);
	conf_defaults(&im.conf);
	im.conf.nlisteners = 0;
	im.first = part_new(&im);
	if (im.first == NULL)
		wrong(&im, path, 0, "file", "no memory");
	else
		read_file(&im, in, path, true);
	/* Mosquitto has it behind all others. */
	if (im.first != NULL) {
		list_del(&im.first->link);
		list_add_tail(&im.listeners, &im.first->link);
	}
	if (!im.is_wrong)
		make_listeners(&im);
	if (!im.is_wrong)
		take_all(&im);
	if (!im.is_wrong && conf_check(&im.conf, &err) != 0)
		wrong(&im, path, 0, "file", "%s", err.text);
	if (!im.is_wrong)
		*out = im.conf;
	while (!list_is_empty(&im.uses)) {
		l = im.uses.next;
		u = container_of(l, struct use, link);
		list_del(l);
		free(u);
	}
	while (!list_is_empty(&im.listeners)) {
		l = im.listeners.next;
		p = container_of(l, struct part, link);
		list_del(l);
		free(p);
	}
	while (!list_is_empty(&im.files)) {
		l = im.files.next;
		f = container_of(l, struct file, link);
		list_del(l);
		free(f);
	}
	return im.is_wrong ? -EINVAL : 0;
}

/* --- listeners --------------------------------------------------------------------------- */

static const char *
value_of(const struct part *p, enum option_id id, const char *otherwise)
{
	return p->of[id] != NULL ? p->of[id]->value : otherwise;
}

static bool
is_on(const struct part *p, enum option_id id)
{
	return strcmp(value_of(p, id, "false"), "true") == 0;
}

static bool
has_tls(const struct part *p)
{
	return p->of[OPTION_CERTFILE] != NULL;
}

/* Where the options of who may come in and do what are, for a listener. */
static const struct part *
security_of(const struct import *im, const struct part *p)
{
	return im->per_listener ? p : &im->all;
}

/* What says where it listens. */
static const struct use *
says_where(const struct part *p)
{
	const enum option_id id[] = { OPTION_ONE, OPTION_BIND_ADDRESS, OPTION_PORT,
		OPTION_SOCKET_DOMAIN, OPTION_PROTOCOL };

	for (size_t i = 0; i < sizeof(id) / sizeof(id[0]); i++)
		if (p->of[id[i]] != NULL)
			return p->of[id[i]];
	return NULL;
}

static void
wrong_where(struct import *im, const struct part *p, const char *why)
{
	const struct use *u = says_where(p);

	wrong(im, u != NULL ? u->file : "", u != NULL ? u->line : 0,
	    u != NULL ? u->name : "listener", "%s", why);
}

/* The addresses of a name; how many, 0: it has been told why not. */
static size_t
look_up(struct import *im, struct part *p, int family, char out[ADDRESSES_MAX][64])
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *all, *a;
	char text[300];
	size_t n = 0;
	int err = im->is_alone ? EAI_NONAME : getaddrinfo(p->host, NULL, &hints, &all);

	if (err != 0) {
		snprintf(
		    text, sizeof(text), "%.200s has no address: %s", p->host, gai_strerror(err));
		wrong_where(im, p, text);
		return 0;
	}
	for (a = all; a != NULL && n < ADDRESSES_MAX; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, out[n], 64, NULL, 0, NI_NUMERICHOST) ==
		    0)
			n++;
	freeaddrinfo(all);
	if (n == 0)
		wrong_where(im, p, "has no address");
	return n;
}

static size_t
addresses_of(struct import *im, struct part *p, char out[ADDRESSES_MAX][64])
{
	const char *domain = value_of(p, OPTION_SOCKET_DOMAIN, "");
	int family = strcmp(domain, "ipv4") == 0 ? AF_INET
	    : strcmp(domain, "ipv6") == 0        ? AF_INET6
						 : AF_UNSPEC;
	struct in6_addr a;

	if (domain[0] != '\0' && family == AF_UNSPEC) {
		wrong_where(im, p, "socket_domain is neither ipv4 nor ipv6");
		return 0;
	}
	if (p->host[0] != '\0' && inet_pton(AF_INET, p->host, &a) != 1 &&
	    inet_pton(AF_INET6, p->host, &a) != 1)
		return look_up(im, p, family, out);
	snprintf(out[0], 64, "%.63s",
	    p->host[0] != '\0'       ? p->host
		: family == AF_INET  ? "0.0.0.0"
		: family == AF_INET6 ? "::"
				     : "*");
	return 1;
}

static bool
has_name(const struct conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listener[i].name.s, name) == 0)
			return true;
	return false;
}

/* "tls-8883", and "tls-8883-2" for the next. */
static void
name_it(struct import *im, const struct part *p, struct conf_listener *l)
{
	const char *type = conf_transport_name(l);
	char name[NAME_ROOM], by[NAME_ROOM - 12];

	snprintf(name, sizeof(name), "%s", "default");
	snprintf(by, sizeof(by), l->type == TRANSPORT_unix ? "%s" : "%s-%u", type, p->port);
	if (p != im->first)
		snprintf(name, sizeof(name), "%s", by);
	for (unsigned i = 2; has_name(&im->conf, name); i++)
		snprintf(name, sizeof(name), "%s-%u", by, i);
	snprintf(l->name.s, sizeof(l->name.s), "%s", name);
}

/* By port 0 and a path. */
static bool
is_unix(const struct part *p)
{
	return p->port == 0;
}

static void
make_listener(struct import *im, struct part *p)
{
	const char *protocol = value_of(p, OPTION_PROTOCOL, "mqtt");
	bool is_ws = strcmp(protocol, "websockets") == 0;
	char address[ADDRESSES_MAX][64];
	size_t n;

	if (!is_ws && strcmp(protocol, "mqtt") != 0) {
		wrong_where(im, p, "protocol is neither mqtt nor websockets");
		return;
	}
	if (is_unix(p) && (is_ws || has_tls(p) || p->host[0] != '/')) {
		wrong_where(
		    im, p, "a unix socket has an absolute path, and neither TLS nor WebSocket");
		return;
	}
	if (p->of[OPTION_PSK_HINT] != NULL) {
		p->left_out = true;
		return;
	}
	n = is_unix(p) ? 1 : addresses_of(im, p, address);
	p->first = im->conf.nlisteners;
	for (size_t i = 0; i < n; i++) {
		struct conf_listener *l = &im->conf.listener[im->conf.nlisteners];

		if (im->conf.nlisteners == CONF_LISTENERS) {
			wrong_where(im, p, "too many listeners");
			return;
		}
		conf_listener_defaults(l);
		l->type = is_unix(p) ? TRANSPORT_unix
		    : has_tls(p)     ? (is_ws ? TRANSPORT_wss : TRANSPORT_tls)
				     : (is_ws ? TRANSPORT_ws : TRANSPORT_tcp);
		l->port = p->port;
		snprintf(is_unix(p) ? l->path.s : l->address.s, sizeof(l->path.s), "%s",
		    is_unix(p) ? p->host : address[i]);
		name_it(im, p, l);
		im->conf.nlisteners++;
		p->n++;
	}
}

static void
make_listeners(struct import *im)
{
	struct part *first = im->first, *p;
	struct list *l;

	first->port = (unsigned)atoi(value_of(first, OPTION_PORT, "1883"));
	snprintf(
	    first->host, sizeof(first->host), "%.255s", value_of(first, OPTION_BIND_ADDRESS, ""));
	/* With no word of where to listen it is on this machine only. */
	if (im->is_local && !first->starts) {
		first->starts = true;
		strcpy(first->host, im->is_alone ? "127.0.0.1" : LOCAL);
	}
	for (l = im->listeners.next; l != &im->listeners; l = l->next) {
		p = container_of(l, struct part, link);
		if (p->starts)
			make_listener(im, p);
	}
}

/* --- taking ------------------------------------------------------------------------------ */

/* Ours of that name: a listener's, if the option is and there is such a key. */
static const struct conf_key *
key_of(const struct use *u, const char *name, bool *is_global_out)
{
	const struct conf_key *k = NULL;

	if (option[u->id].scope == LISTENER)
		k = conf_key_find(conf_listener_keys, conf_nlistener_keys, name);
	*is_global_out = k == NULL;
	if (k == NULL)
		k = conf_key_find(conf_keys, conf_nkeys, name);
	must(k != NULL);
	return k;
}

/* Sets a key of ours. False: it is told why it can't be. shown_out: "KEY = VALUE", as in the file. */
static bool
put(struct import *im, const struct use *u, const char *key, const char *value, char shown_out[600])
{
	bool is_global;
	const struct conf_key *k = key_of(u, key, &is_global);
	char why[256], text[560];
	const void *base = &im->conf;
	uint32_t n = is_global ? 1 : u->part->n;

	for (uint32_t i = 0; i < n; i++) {
		void *at =
		    is_global ? (void *)&im->conf : (void *)&im->conf.listener[u->part->first + i];

		if (conf_set(at, k, value, 0, why) != 0) {
			say(im, u, MOSQUITTO_UNSUPPORTED, "%s: %s", key, why);
			return false;
		}
		base = at;
	}
	conf_value_text(base, k, text, sizeof(text));
	if (is_global)
		snprintf(shown_out, 600, "%s = %s", key, text);
	else
		snprintf(shown_out, 600, "listeners.%s.%s = %s",
		    im->conf.listener[u->part->first].name.s, key, text);
	return true;
}

/* differs: NULL: it is the same. */
static void
take_as(
    struct import *im, const struct use *u, const char *key, const char *value, const char *differs)
{
	char shown[600];

	if (!put(im, u, key, value, shown))
		return;
	if (differs != NULL)
		say(im, u, MOSQUITTO_DIFFERS, "%s; %s", shown, differs);
	else
		say(im, u, MOSQUITTO_TAKEN, "%s", shown);
}

/* A number larger or smaller than a key can have is the nearest. */
static void
take_number(struct import *im, const struct use *u, uint64_t n, const char *differs)
{
	const char *key = option[u->id].key;
	bool is_global;
	const struct conf_key *k = key_of(u, key, &is_global);
	char text[32];

	if (n > k->max || n < k->min) {
		differs = n > k->max ? "more is not possible" : "less is not possible";
		n = n > k->max ? k->max : k->min;
	}
	snprintf(text, sizeof(text), "%" PRIu64, n);
	take_as(im, u, key, text, differs);
}

/* As it stands. */
static void
take_value(struct import *im, const struct use *u)
{
	const struct option *o = &option[u->id];

	if (o->syntax == NUMBER)
		take_number(im, u, strtoull(u->value, NULL, 10), o->says);
	else
		take_as(im, u, o->key, u->value, o->says);
}

static void
take_nothing(struct import *im, const struct use *u)
{
	say(im, u, MOSQUITTO_NOTHING, "%s", option[u->id].says);
}

static void
take_unsupported(struct import *im, const struct use *u)
{
	say(im, u, MOSQUITTO_UNSUPPORTED, "%s", option[u->id].says);
}

/* One value is what we do, others are not possible. */
static void
take_only(struct import *im, const struct use *u)
{
	say(im, u,
	    strcmp(u->value, option[u->id].key) == 0 ? MOSQUITTO_NOTHING : MOSQUITTO_UNSUPPORTED,
	    "%s", option[u->id].says);
}

/* Files are named as mosquitto would find them from here. */
static void
take_path(struct import *im, const struct use *u, const char *key, const char *differs)
{
	char path[2 * PATH_MAX], dir[PATH_MAX];

	if (u->value[0] == '/') {
		take_as(im, u, key, u->value, differs);
	} else if (!im->is_alone && getcwd(dir, sizeof(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, u->value);
		take_as(im, u, key, path, "it was relative, to here as it is taken");
	} else {
		say(im, u, MOSQUITTO_WRONG, "the path is relative");
	}
}

static void
take_include(struct import *im, const struct use *u)
{
	bool is_main = strcmp(u->file, container_of(im->files.next, struct file, link)->path) == 0;

	say(im, u, is_main ? MOSQUITTO_TAKEN : MOSQUITTO_NOTHING,
	    is_main ? "its files are part of this one"
		    : "mosquitto too looks at it in its main file only");
}

static void
take_prefixes(struct import *im, const struct use *u)
{
	if (strpbrk(u->value, "'\\\"") != NULL)
		say(im, u, MOSQUITTO_UNSUPPORTED, "identifiers of clients are not looked at");
	else
		say(im, u, MOSQUITTO_STEP,
		    "block the others, at each broker once: tbmqctl block add --client-regex "
		    "'^(?!\\Q%s\\E)'",
		    u->value);
}

static void
take_connection_messages(struct import *im, const struct use *u)
{
	if (strcmp(u->value, "false") == 0)
		take_as(im, u, "log_modules", "conn=notice", NULL);
	else
		say(im, u, MOSQUITTO_NOTHING, "with log_level = \"info\" they are logged");
}

/* How good a place is it, if there is to be one only? 0: it is none that we know. */
static int
rank_of(const char *dest)
{
	static const char *const name[] = { "none", "stdout", "stderr", "syslog", "file" };
	size_t len = strcspn(dest, " \t");

	for (int i = 0; i < 5; i++)
		if (strlen(name[i]) == len && memcmp(name[i], dest, len) == 0)
			return i + 1;
	return 0;
}

static void
take_log_dest(struct import *im, const struct use *u)
{
	int rank = rank_of(u->value), best = 0;
	const char *file = u->value + strcspn(u->value, " \t");
	char shown[600];

	for (struct list *l = im->uses.next; l != &im->uses; l = l->next) {
		const struct use *other = container_of(l, struct use, link);
		int r = other->id == OPTION_LOG_DEST ? rank_of(other->value) : 0;

		best = r > best ? r : best;
	}
	file += strspn(file, " \t");
	if (rank == 0)
		say(im, u, MOSQUITTO_UNSUPPORTED, "the log goes to a file, syslog or stderr");
	else if (rank < best)
		say(im, u, MOSQUITTO_DIFFERS, "the log goes to one place, another is taken");
	else if (rank == 1)
		take_as(im, u, "log_level", "err", "errors are logged all the same");
	else if (rank == 2 || rank == 3)
		take_as(im, u, "log_target", "stderr", NULL);
	else if (rank == 4)
		take_as(im, u, "log_target", "syslog", NULL);
	else if (file[0] != '/')
		say(im, u, MOSQUITTO_UNSUPPORTED, "the file needs an absolute path");
	else if (put(im, u, "log_target", "file", shown))
		take_as(im, u, "log_file", file, "processes have to be allowed to write it");
}

static void
take_log_type(struct import *im, const struct use *u)
{
	static const struct {
		const char *type, *level;
	} of[] = { { "debug", "debug" }, { "all", "debug" }, { "information", "info" },
		{ "notice", "notice" }, { "warning", "warning" }, { "error", "err" },
		{ "none", "err" }, { "subscribe", NULL }, { "unsubscribe", NULL },
		{ "websockets", NULL } };
	const size_t n = sizeof(of) / sizeof(of[0]);
	const char *best = NULL;
	size_t at = n, own = n;

	for (struct list *l = im->uses.next; l != &im->uses; l = l->next) {
		const struct use *other = container_of(l, struct use, link);

		for (size_t i = 0; i < at && other->id == u->id; i++)
			if (strcmp(other->value, of[i].type) == 0)
				at = i;
	}
	for (own = 0; own < n && strcmp(u->value, of[own].type) != 0; own++)
		;
	if (u->line == 0)
		at = own;
	best = at < n ? of[at].level : NULL;
	if (own == n)
		say(im, u, MOSQUITTO_WRONG, "is none that mosquitto has");
	else if (of[own].level == NULL || best == NULL)
		say(im, u, MOSQUITTO_NOTHING, "it is logged with log_level = \"debug\"");
	else
		take_as(im, u, "log_level", best, NULL);
}

/* It bounds both directions. */
static void
take_inflight(struct import *im, const struct use *u)
{
	const char *n = strcmp(u->value, "0") == 0 ? "65535" : u->value;
	char shown[600], other[700];

	if (!put(im, u, "receive_max", n, shown))
		return;
	snprintf(other, sizeof(other), "and %s", shown);
	if (put(im, u, "inflight_max", n, shown))
		say(im, u, MOSQUITTO_TAKEN, "%s %s", shown, other);
}

/* The smaller of what the whole packet and the payload may have. */
static void
take_packet_size(struct import *im, const struct use *u)
{
	uint64_t packet = strtoull(value_of(&im->all, OPTION_MAX_PACKET_SIZE, "0"), NULL, 10);
	uint64_t payload = strtoull(value_of(&im->all, OPTION_MESSAGE_SIZE_LIMIT, "0"), NULL, 10);
	uint64_t n = packet > 0 ? packet : strtoull(option[OPTION_MAX_PACKET_SIZE].unset, NULL, 10);

	if (u->id == OPTION_MESSAGE_SIZE_LIMIT && payload == 0) {
		say(im, u, MOSQUITTO_NOTHING, "there is no other limit than max_packet_size");
		return;
	}
	if (payload > 0 && payload + BESIDE_PAYLOAD < n)
		n = payload + BESIDE_PAYLOAD;
	take_number(im, u, n, option[u->id].says);
}

/* "14d"; a month has 30 days, a year 365. */
static void
take_expiry(struct import *im, const struct use *u)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 }, { 'm', 2592000 },
		{ 'y', 31536000 } };
	char *end, shown[600], text[32];
	uint64_t n, by = 0;

	errno = 0;
	n = strtoull(u->value, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		by = *end == units[i].unit && end[1] == '\0' ? units[i].seconds : by;
	if (!isdigit((unsigned char)u->value[0]) || errno != 0 || by == 0 || n == 0) {
		say(im, u, MOSQUITTO_WRONG, "must be a number and one of h, d, w, m and y");
		return;
	}
	n = n > UINT32_MAX / by ? UINT32_MAX : n * by;
	snprintf(text, sizeof(text), "%" PRIu64, n);
	if (put(im, u, "session_expiry_v3", text, shown))
		take_as(im, u, "session_expiry_max", text, NULL);
}

/* Do all listeners that there are have the same? */
static bool
is_everywhere(const struct import *im, const struct use *u)
{
	for (struct list *l = im->listeners.next; l != &im->listeners; l = l->next) {
		const struct part *p = container_of(l, struct part, link);

		if (p->starts && !p->left_out &&
		    strcmp(value_of(security_of(im, p), u->id, ""), u->value) != 0)
			return false;
	}
	return true;
}

static void
take_acl_file(struct import *im, const struct use *u)
{
	char shown[600];

	if (!is_everywhere(im, u))
		take_unsupported(im, u);
	else if (put(im, u, "acl_format", "mosquitto", shown))
		take_path(im, u, "acl_file", NULL);
}

static void
take_password_file(struct import *im, const struct use *u)
{
	if (is_everywhere(im, u))
		say(im, u, MOSQUITTO_STEP,
		    "authentication = \"basic\"; once the broker runs: tbmqctl auth import %s",
		    u->value);
	else
		take_unsupported(im, u);
}

static bool
is_anonymous(const struct import *im, const struct part *p)
{
	return strcmp(value_of(security_of(im, p), OPTION_ALLOW_ANONYMOUS,
			  im->is_local ? "true" : "false"),
		   "true") == 0;
}

static void
take_anonymous(struct import *im, const struct use *u)
{
	const char *differs = NULL;

	/* Without a file of passwords all names are good there. */
	if (strcmp(u->value, "true") == 0 && u->part->of[OPTION_PASSWORD_FILE] == NULL &&
	    im->conf.authentication.s[0] != '\0')
		differs =
		    "but who gives a user name has to be known, for another listener wants it";
	say(im, u, differs != NULL ? MOSQUITTO_DIFFERS : MOSQUITTO_TAKEN,
	    "allow_anonymous = %s of %s%s%s", u->value,
	    u->part == &im->all ? "all listeners" : "this listener", differs != NULL ? "; " : "",
	    differs != NULL ? differs : "");
}

/* Who is let in where, before what is said of it. */
static void
let_in(struct import *im)
{
	bool asks = false;

	for (struct list *l = im->listeners.next; l != &im->listeners; l = l->next) {
		const struct part *p = container_of(l, struct part, link);

		for (uint32_t i = 0; i < p->n; i++)
			im->conf.listener[p->first + i].allow_anonymous = is_anonymous(im, p);
		/* Mosquitto refuses everybody then: so do we, of whom nobody is known yet. */
		asks |= p->n > 0 &&
		    (!is_anonymous(im, p) || security_of(im, p)->of[OPTION_PASSWORD_FILE] != NULL);
	}
	if (asks)
		strcpy(im->conf.authentication.s, "basic");
}

static void
take_listener(struct import *im, const struct use *u)
{
	const struct part *p = u->part;
	const struct conf_listener *at = &im->conf.listener[p->first];
	bool is_ip = p->n == 1 && (p->host[0] == '\0' || strcmp(p->host, at->address.s) == 0);

	if (p->left_out) {
		say(im, u, MOSQUITTO_UNSUPPORTED, "the listener is left out");
		return;
	}
	if (at->type == TRANSPORT_unix) {
		say(im, u, MOSQUITTO_DIFFERS,
		    "listeners.%s: type = \"unix\", path = \"%s\"; its mode is that of the key, "
		    "0660, whatever the umask",
		    at->name.s, at->path.s);
		return;
	}
	say(im, u, is_ip ? MOSQUITTO_TAKEN : MOSQUITTO_DIFFERS,
	    "listeners.%s: type = \"%s\", address = \"%s\", port = %" PRIu32 "%s", at->name.s,
	    conf_transport_name(at), at->address.s, at->port,
	    is_ip ? "" : "; the name's address of now, each of them has a listener");
}

static void
take_connections(struct import *im, const struct use *u)
{
	if (strcmp(u->value, "0") == 0)
		take_unsupported(im, u);
	else
		take_as(im, u, "max_connections", u->value[0] == '-' ? "0" : u->value, NULL);
}

static unsigned
highest(const struct import *im, enum option_id id)
{
	unsigned best = 0;

	for (struct list *l = im->listeners.next; l != &im->listeners; l = l->next) {
		const struct part *p = container_of(l, struct part, link);
		unsigned n = p->n > 0 ? (unsigned)atoi(value_of(p, id, option[id].unset)) : 0;

		best = n > best ? n : best;
	}
	return best;
}

/* Ours is of all listeners. */
static void
take_highest(struct import *im, const struct use *u)
{
	unsigned n = highest(im, u->id);

	if (u->line > 0 && (unsigned)atoi(u->value) < n)
		say(im, u, MOSQUITTO_UNSUPPORTED,
		    "%s is for all listeners, and the highest of them is %u", option[u->id].key, n);
	else
		take_number(im, u, n, NULL);
}

/* --- TLS */

static const char without_tls[] = "without certfile there is no TLS";

static void
take_tls_value(struct import *im, const struct use *u)
{
	if (has_tls(u->part))
		take_value(im, u);
	else
		say(im, u, MOSQUITTO_NOTHING, "%s", without_tls);
}

/* A listener with one of them only would be something else than was meant. */
static void
take_tls_file(struct import *im, const struct use *u)
{
	if (!has_tls(u->part) || u->part->of[OPTION_KEYFILE] == NULL)
		say(im, u, MOSQUITTO_WRONG, "certfile and keyfile belong together");
	else
		take_path(im, u, option[u->id].key, NULL);
}

static void
take_authorities(struct import *im, const struct use *u)
{
	if (!has_tls(u->part))
		say(im, u, MOSQUITTO_NOTHING, "%s", without_tls);
	else if (!is_on(u->part, OPTION_REQUIRE_CERTIFICATE))
		say(im, u, MOSQUITTO_NOTHING,
		    "clients are not asked for certificates; those between the server's and its "
		    "authority have to be in certificate");
	else if (u->id == OPTION_CAPATH && u->part->of[OPTION_CAFILE] != NULL)
		say(im, u, MOSQUITTO_UNSUPPORTED,
		    "client_authorities is a file or a directory, and cafile is taken");
	else
		take_path(im, u, "client_authorities", option[u->id].says);
}

static void
take_revocations(struct import *im, const struct use *u)
{
	if (!has_tls(u->part) || !is_on(u->part, OPTION_REQUIRE_CERTIFICATE))
		say(im, u, MOSQUITTO_NOTHING, "clients are not asked for certificates");
	else
		take_path(im, u, option[u->id].key, option[u->id].says);
}

static void
take_require(struct import *im, const struct use *u)
{
	const struct part *p = u->part, *s = security_of(im, p);
	bool has_user = is_on(p, OPTION_IDENTITY_AS_USER) || is_on(p, OPTION_SUBJECT_AS_USER);

	if (!has_tls(p))
		say(im, u, MOSQUITTO_NOTHING, "%s", without_tls);
	else if (!is_on(p, OPTION_REQUIRE_CERTIFICATE))
		take_as(im, u, "client_certificate", "none", NULL);
	else if (p->of[OPTION_CAFILE] == NULL && p->of[OPTION_CAPATH] == NULL)
		say(im, u, MOSQUITTO_WRONG, "needs cafile or capath to check them");
	else if (!has_user && (s->of[OPTION_PASSWORD_FILE] != NULL || !is_anonymous(im, p)) &&
	    put(im, u, "client_certificate", "required", (char[600]){ "" }))
		say(im, u, MOSQUITTO_UNSUPPORTED,
		    "client_certificate = \"required\", but who shows a certificate is asked for "
		    "no password");
	else
		take_as(im, u, "client_certificate", "required", NULL);
}

static void
take_certificate_user(struct import *im, const struct use *u)
{
	if (!has_tls(u->part))
		say(im, u, MOSQUITTO_NOTHING, "%s", without_tls);
	else if (strcmp(u->value, "true") != 0)
		say(im, u, MOSQUITTO_NOTHING, "is not used");
	else if (!is_on(u->part, OPTION_REQUIRE_CERTIFICATE))
		say(im, u, MOSQUITTO_WRONG, "needs require_certificate");
	else if (u->id == OPTION_SUBJECT_AS_USER && is_on(u->part, OPTION_IDENTITY_AS_USER))
		say(im, u, MOSQUITTO_NOTHING, "use_identity_as_username goes before it");
	else
		take_as(im, u, "certificate_user", option[u->id].key, NULL);
}

static void
take_tls_version(struct import *im, const struct use *u)
{
	static const struct {
		const char *theirs, *ours;
	} of[] = { { "tlsv1.3", "1.3" }, { "tlsv1.2", "1.2" }, { "tlsv1.1", "1.2" } };
	size_t i = 0;

	while (i < 3 && strcmp(of[i].theirs, u->value) != 0)
		i++;
	if (i == 3)
		say(im, u, MOSQUITTO_WRONG, "must be tlsv1.1, tlsv1.2 or tlsv1.3");
	else if (!has_tls(u->part))
		say(im, u, MOSQUITTO_NOTHING, "%s", without_tls);
	else
		take_as(
		    im, u, "tls_version", of[i].ours, i == 2 ? "older ones are not spoken" : NULL);
}

/* --- all of it */

static void
say_nothing(void *arg, const struct mosquitto_said *s)
{
	(void)arg;
	(void)s;
}

static void
on_difference(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	(void)arg;
	(void)key;
	(void)from;
	(void)to;
	(void)when;
}

static bool
is_used(const struct import *im, enum option_id id)
{
	for (const struct list *l = im->uses.next; l != &im->uses; l = l->next)
		if (container_of(l, const struct use, link)->id == id)
			return true;
	return false;
}

/* What mosquitto does without being told; told if we would not. */
static void
take_unset(struct import *im)
{
	alignas(struct use) char memory[sizeof(struct use) + 32];
	struct use *u = (void *)memory;
	static struct conf was;

	*u = (struct use){ .file = container_of(im->files.next, struct file, link)->path,
		.part = &im->all };
	for (unsigned i = 0; i < OPTIONS; i++) {
		mosquitto_said_fn *said = im->said;

		if (option[i].unset == NULL || im->all.of[i] != NULL)
			continue;
		u->id = (enum option_id)i;
		u->name = (char *)option[i].name;
		strcpy(u->value, option[i].unset);
		was = im->conf;
		im->said = say_nothing;
		option[i].take(im, u);
		im->said = said;
		if (!is_used(im, u->id) && conf_diff(&was, &im->conf, on_difference, NULL) > 0)
			option[i].take(im, u);
	}
	if (!im->is_local && !is_used(im, OPTION_ALLOW_ANONYMOUS)) {
		u->id = OPTION_ALLOW_ANONYMOUS;
		u->name = (char *)option[u->id].name;
		strcpy(u->value, "false");
		take_anonymous(im, u);
	}
}

static void
take_all(struct import *im)
{
	let_in(im);
	take_unset(im);
	for (struct list *l = im->uses.next; l != &im->uses; l = l->next) {
		const struct use *u = container_of(l, struct use, link);
		const struct option *o = &option[u->id];

		if (u->part != &im->all && !u->part->starts)
			say(im, u, MOSQUITTO_NOTHING,
			    "it is about the listener of port 1883, which is not opened");
		else if (u->part->left_out && u->id != OPTION_ONE && u->id != OPTION_PSK_HINT)
			say(im, u, MOSQUITTO_UNSUPPORTED, "the listener is left out");
		else if (o->syntax != WORDS && u->part->of[u->id] != u)
			say(im, u, MOSQUITTO_NOTHING, "it is there again: see line %u",
			    u->part->of[u->id]->line);
		else
			o->take(im, u);
	}
}
