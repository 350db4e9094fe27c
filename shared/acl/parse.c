/*
 * The format of our own: a rule a line, and lines that put clients in groups.
 *
 *     allow|deny WHO ACTION,… FILTER
 *     group NAME user|client|cert NAME,…
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/acl/build.h"
#include "shared/mqtt/topic.h"

struct word {
	struct span text;
	bool is_regex, comma; /* comma: one follows it */
};

/* What is left of the line; words are unquoted in place. */
struct cursor {
	struct acl_reading *r;
	char *at;
};

static int next_word(struct cursor *c, bool commas, struct word *out);
static int need_word(struct cursor *c, bool commas, const char *what, struct word *out);
static int parse_group(struct cursor *c);
static int parse_rule(struct cursor *c, bool allow, struct span written);
static int parse_who(struct cursor *c, struct acl_name *out);
static int parse_actions(struct cursor *c, uint8_t *out);
static int parse_topic(struct cursor *c, struct acl_new_rule *n);

static bool
is(const struct word *w, const char *text)
{
	return !w->is_regex && span_eq(w->text, span_str(text));
}

int
acl_parse_tbmq(struct acl_reading *r)
{
	struct span written;
	struct cursor c;
	struct word w = { 0 };
	int err;

	while ((err = acl_next_line(r)) > 0) {
		char *copy;

		c = (struct cursor){ r, r->text + strspn(r->text, " \t") };
		if (*c.at == '#')
			continue;
		/* Words are taken apart in place. */
		copy = strdup(c.at);
		if (copy == NULL)
			return -ENOMEM;
		written = span_str(copy);
		err = next_word(&c, false, &w);
		if (err >= 0 && is(&w, "group"))
			err = parse_group(&c);
		else if (err >= 0 && (is(&w, "allow") || is(&w, "deny")))
			err = parse_rule(&c, is(&w, "allow"), written);
		else if (err >= 0)
			err = acl_say(r, "\"%.*s\": a line begins with allow, deny or group",
			    (int)(w.text.len < 40 ? w.text.len : 40), (const char *)w.text.p);
		free(copy);
		if (err < 0)
			return err;
	}
	return err;
}

/* 1; 0: there is none; -EINVAL. */
static int
next_word(struct cursor *c, bool commas, struct word *out)
{
	struct word w = { 0 };
	char *from, *to;

	c->at += strspn(c->at, " \t");
	if (*c->at == '\0') {
		*out = w;
		return 0;
	}
	if (*c->at == '~') {
		w.is_regex = true;
		c->at++;
	}
	from = c->at;
	if (*c->at == '"') {
		for (from = to = ++c->at; *c->at != '"'; c->at++) {
			/* In a regular expression a backslash is for that, but for the quote itself. */
			if (*c->at == '\\' &&
			    (c->at[1] == '"' || (c->at[1] == '\\' && !w.is_regex)))
				c->at++;
			if (*c->at == '\0')
				return acl_say(c->r, "a quote is not closed");
			*to++ = *c->at;
		}
		c->at++;
		if (*c->at != '\0' && strchr(commas ? " \t," : " \t", *c->at) == NULL)
			return acl_say(c->r, "a blank is missing behind a quote");
	} else {
		to = c->at += strcspn(c->at, commas ? " \t," : " \t");
	}
	w.text = span_of(from, (size_t)(to - from));
	c->at += strspn(c->at, " \t");
	if (commas && *c->at == ',') {
		c->at++;
		w.comma = true;
	}
	*out = w;
	return 1;
}

static int
need_word(struct cursor *c, bool commas, const char *what, struct word *out)
{
	int n = next_word(c, commas, out);

	if (n > 0 && out->text.len == 0)
		n = 0;
	return n > 0 ? 0 : n < 0 ? n : acl_say(c->r, "%s is missing", what);
}

static int
no_more(struct cursor *c)
{
	c->at += strspn(c->at, " \t");
	return *c->at == '\0'
	    ? 0
	    : acl_say(c->r, "\"%.40s\" is too much; what has blanks needs quotes", c->at);
}

static int
parse_group(struct cursor *c)
{
	struct word group, w;
	struct acl_name who;
	int err = need_word(c, false, "the group's name", &group);

	if (err == 0 && group.is_regex)
		err = acl_say(c->r, "a group's name can't be a regular expression");
	if (err == 0)
		err = need_word(c, false, "user, client or cert", &w);
	if (err != 0)
		return err;
	if (is(&w, "user"))
		who.kind = ACL_USER;
	else if (is(&w, "client"))
		who.kind = ACL_CLIENT;
	else if (is(&w, "cert"))
		who.kind = ACL_CERT;
	else
		return acl_say(c->r, "in a group there are user, client or cert");
	do {
		err = need_word(c, true, "a name", &w);
		if (err != 0)
			return err;
		who.text = w.text;
		who.is_regex = w.is_regex;
		err = acl_build_member(c->r, group.text, &who);
	} while (err == 0 && w.comma);
	return err != 0 ? err : no_more(c);
}

static int
parse_rule(struct cursor *c, bool allow, struct span written)
{
	struct acl_new_rule n = { .text = written, .line = c->r->line, .allow = allow };
	int err = parse_who(c, &n.who);

	if (err == 0)
		err = parse_actions(c, &n.actions);
	if (err == 0)
		err = parse_topic(c, &n);
	if (err == 0)
		err = no_more(c);
	return err != 0 ? err : acl_build_rule(c->r, &n);
}

static int
parse_who(struct cursor *c, struct acl_name *out)
{
	static const char *const name[ACL_SUBJECTS] = {
		[ACL_ALL] = "all",
		[ACL_ANONYMOUS] = "anonymous",
		[ACL_USER] = "user",
		[ACL_CLIENT] = "client",
		[ACL_CERT] = "cert",
		[ACL_GROUP] = "group",
	};
	struct word w;
	unsigned kind = 0;
	int err = need_word(c, false, "who it is about", &w);

	if (err != 0)
		return err;
	while (kind < ACL_SUBJECTS && !is(&w, name[kind]))
		kind++;
	*out = (struct acl_name){ .kind = kind };
	if (kind == ACL_SUBJECTS)
		return acl_say(
		    c->r, "who it is about must be all, anonymous, user, client, cert or group");
	if (kind == ACL_ALL || kind == ACL_ANONYMOUS)
		return 0;
	err = need_word(c, false, "a name", &w);
	if (err == 0 && w.is_regex && kind == ACL_GROUP)
		err = acl_say(c->r, "a group's name can't be a regular expression");
	out->text = w.text;
	out->is_regex = w.is_regex;
	return err;
}

static int
parse_actions(struct cursor *c, uint8_t *out)
{
	uint8_t actions = 0;
	struct word w;
	int err;

	do {
		err = need_word(c, true, "publish, subscribe, receive or all", &w);
		if (err != 0)
			return err;
		if (is(&w, "publish"))
			actions |= ACL_MASK(ACL_PUBLISH);
		else if (is(&w, "subscribe"))
			actions |= ACL_MASK(ACL_SUBSCRIBE) | ACL_MASK(ACL_RECEIVE);
		else if (is(&w, "receive"))
			actions |= ACL_MASK(ACL_RECEIVE);
		else if (is(&w, "all"))
			actions |= ACL_MASK(ACL_ACTIONS) - 1;
		else
			return acl_say(
			    c->r, "what it is about must be publish, subscribe, receive or all");
	} while (w.comma);
	*out = actions;
	return 0;
}

static bool
has_placeholder(struct span s)
{
	static const char *const text[] = { "%c", "%u", "%{cn}" };

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (memmem(s.p, s.len, text[i], strlen(text[i])) != NULL)
			return true;
	return false;
}

static int
parse_topic(struct cursor *c, struct acl_new_rule *n)
{
	struct word w;
	size_t len;
	int err = need_word(c, false, "a filter", &w);

	if (err != 0)
		return err;
	n->topic_is_regex = w.is_regex;
	n->topic = w.text;
	if (w.is_regex)
		return has_placeholder(w.text)
		    ? acl_say(c->r, "placeholders can't be in a regular expression")
		    : 0;
	len = w.text.len;
	err = acl_placeholders(c->r, (char *)(uintptr_t)w.text.p, &len, true);
	n->topic.len = len;
	return err != 0 ? err : acl_check_filter(c->r, n->topic);
}
