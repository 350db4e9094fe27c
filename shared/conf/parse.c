#include <errno.h>
#include <libconfig.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "shared/conf/conf.h"
#include "shared/conf/table.h"

static int
refuse(struct conf_error *err, const config_setting_t *s, const char *path, const char *why)
{
	const char *file = config_setting_source_file(s);

	snprintf(err->text, sizeof(err->text), "%.200s:%d: %s%s%.200s", file != NULL ? file : path,
	    config_setting_source_line(s),
	    config_setting_name(s) != NULL ? config_setting_name(s) : "",
	    config_setting_name(s) != NULL ? ": " : "", why);
	return -EINVAL;
}

static int
read_key(const config_setting_t *s, void *base, const struct conf_key *keys, size_t n,
    const char *path, struct conf_error *err)
{
	const char *name = config_setting_name(s), *near;
	const struct conf_key *k = conf_key_find(keys, n, name);
	char why[256];
	long long num;

	if (k == NULL) {
		near = conf_suggest(keys, n, name);
		snprintf(why, sizeof(why), "unknown key%s%s%s", near ? "; did you mean \"" : "",
		    near ? near : "", near ? "\"?" : "");
		return refuse(err, s, path, why);
	}
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		if (k->type == CONF_BOOL)
			return refuse(err, s, path, "must be true or false, without quotes");
		if (k->type == CONF_UINT && strcmp(k->name, "workers") != 0)
			return refuse(err, s, path, "must be a number, without quotes");
		if (conf_set(base, k, config_setting_get_string(s), 0, why) != 0)
			return refuse(err, s, path, why);
		return 0;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		num = config_setting_get_int64(s);
		if (k->type == CONF_BOOL)
			return refuse(err, s, path, "must be true or false");
		if (num < 0)
			return refuse(err, s, path, "must not be negative");
		if (conf_set(base, k, NULL, (uint64_t)num, why) != 0)
			return refuse(err, s, path, why);
		return 0;
	case CONFIG_TYPE_BOOL:
		if (k->type != CONF_BOOL)
			return refuse(
			    err, s, path, "is no switch: true and false can't be its values");
		if (conf_set(base, k, NULL, (uint64_t)config_setting_get_bool(s), why) != 0)
			return refuse(err, s, path, why);
		return 0;
	default:
		return refuse(err, s, path, "must be a single value");
	}
}

static int
read_listeners(
    const config_setting_t *list, struct conf *c, const char *path, struct conf_error *err)
{
	int n = config_setting_length(list);

	if (!config_setting_is_list(list))
		return refuse(err, list, path, "must be a list: ( { name = \"…\"; … }, … )");
	if (n > CONF_LISTENERS)
		return refuse(err, list, path, "too many listeners");
	c->nlisteners = (uint32_t)n;
	for (int i = 0; i < n; i++) {
		const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
		struct conf_listener *l = &c->listener[i];

		if (!config_setting_is_group(group))
			return refuse(
			    err, group, path, "a listener must be a group: { name = \"…\"; … }");
		conf_listener_defaults(l);
		for (int j = 0; j < config_setting_length(group); j++) {
			int bad = read_key(config_setting_get_elem(group, (unsigned)j), l,
			    conf_listener_keys, conf_nlistener_keys, path, err);

			if (bad != 0)
				return bad;
		}
		if (l->name.s[0] == '\0')
			return refuse(err, group, path, "a listener needs a name");
	}
	return 0;
}

/* The line that is to blame: what a key's default is to blame for is told where the listener begins. */
static const config_setting_t *
setting_at(const config_setting_t *root, const struct conf_place *at)
{
	const config_setting_t *in = root, *s;

	if (at->listener >= 0)
		in = config_setting_get_elem(
		    config_setting_get_member(root, "listeners"), (unsigned)at->listener);
	s = at->key != NULL ? config_setting_get_member(in, at->key) : NULL;
	return s != NULL ? s : in;
}

static int
read_all(config_t *cfg, const char *path, struct conf *out, struct conf_error *err)
{
	const config_setting_t *root = config_root_setting(cfg);
	struct conf_place at;
	struct conf c;
	int bad = 0;

	conf_defaults(&c);
	for (int i = 0; i < config_setting_length(root) && bad == 0; i++) {
		const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);

		if (strcmp(config_setting_name(s), "listeners") == 0)
			bad = read_listeners(s, &c, path, err);
		else
			bad = read_key(s, &c, conf_keys, conf_nkeys, path, err);
	}
	if (bad == 0 && conf_check_at(&c, &at) != 0)
		bad = refuse(err, setting_at(root, &at), path, at.why);
	if (bad == 0)
		*out = c;
	return bad;
}

static int
failed(const config_t *cfg, const char *path, struct conf_error *err)
{
	const char *file = config_error_file(cfg);

	if (config_error_type(cfg) == CONFIG_ERR_FILE_IO)
		snprintf(err->text, sizeof(err->text), "%.400s: cannot be read: %s", path,
		    errno != 0 ? strerror(errno) : "it is no file");
	else
		snprintf(err->text, sizeof(err->text), "%.200s:%d: %s", file != NULL ? file : path,
		    config_error_line(cfg), config_error_text(cfg));
	return -EINVAL;
}

int
conf_parse(const char *path, struct conf *out, struct conf_error *err)
{
	char *dir = strdup(path);
	config_t cfg;
	int bad;

	if (dir == NULL) {
		snprintf(err->text, sizeof(err->text), "no memory");
		return -ENOMEM;
	}
	config_init(&cfg);
	config_set_include_dir(&cfg, dirname(dir));
	errno = 0;
	bad =
	    config_read_file(&cfg, path) ? read_all(&cfg, path, out, err) : failed(&cfg, path, err);
	config_destroy(&cfg);
	free(dir);
	return bad;
}

int
conf_parse_string(const char *text, struct conf *out, struct conf_error *err)
{
	config_t cfg;
	int bad;

	config_init(&cfg);
	bad = config_read_string(&cfg, text) ? read_all(&cfg, "text", out, err)
					     : failed(&cfg, "text", err);
	config_destroy(&cfg);
	return bad;
}
