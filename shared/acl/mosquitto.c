/*
 * The format of mosquitto's acl_file, and what it means there: rules of a user (or of clients without a user name) before patterns, which are for
 * everybody, and of each those that deny first. Subscriptions are always accepted; what is read is each message.
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/acl/build.h"
#include "shared/mem/arena.h"

#define READ (ACL_MASK(ACL_SUBSCRIBE) | ACL_MASK(ACL_RECEIVE))
#define WRITE ACL_MASK(ACL_PUBLISH)

enum { USER_DENIES, USER_ALLOWS, PATTERN_DENIES, PATTERN_ALLOWS, CLASSES };

struct line {
	struct line *next;
	struct acl_new_rule rule;
};

struct file {
	struct arena arena;
	struct line *first[CLASSES], **last[CLASSES];
	struct acl_name user; /* of the section */
};

static int parse(struct acl_reading *r, struct file *f);
static int parse_user(struct acl_reading *r, struct file *f, const char *name);
static int parse_topic(
    struct acl_reading *r, struct file *f, char *rest, bool is_pattern, struct span written);

int
acl_parse_mosquitto(struct acl_reading *r)
{
	struct file f = { .user.kind = ACL_ANONYMOUS };
	int err;

	arena_init(&f.arena, 65536);
	for (unsigned i = 0; i < CLASSES; i++)
		f.last[i] = &f.first[i];
	acl_build_flag(r->build, ACL_ANY_FILTER);
	err = parse(r, &f);
	for (unsigned i = 0; i < CLASSES; i++)
		for (const struct line *l = f.first[i]; l != NULL && err == 0; l = l->next)
			err = acl_build_rule(r, &l->rule);
	arena_fini(&f.arena);
	return err;
}

/* A word of the line, cut off; what follows it begins at *rest. */
static char *
cut(char **rest)
{
	char *word = *rest + strspn(*rest, " \t"), *end = word + strcspn(word, " \t");

	*rest = end + strspn(end, " \t");
	*end = '\0';
	return word;
}

static int
parse(struct acl_reading *r, struct file *f)
{
	int err;

	while ((err = acl_next_line(r)) > 0) {
		struct span written = span_of(r->text, r->len);
		char *rest = r->text, *word;

		if (*rest == '#')
			continue;
		written.p = arena_dup(&f->arena, written);
		if (written.p == NULL)
			return -ENOMEM;
		word = cut(&rest);
		if (strcmp(word, "topic") == 0 || strcmp(word, "pattern") == 0)
			err = parse_topic(r, f, rest, *word == 'p', written);
		else if (strcmp(word, "user") == 0)
			err = parse_user(r, f, rest);
		else
			err = acl_say(
			    r, "\"%.40s\": a line begins with user, topic or pattern", word);
		if (err != 0)
			return err;
	}
	return err;
}

static int
parse_user(struct acl_reading *r, struct file *f, const char *name)
{
	struct acl_name user = { .kind = ACL_USER, .text = span_str(name) };

	if (*name == '\0')
		return acl_say(r, "the user's name is missing");
	user.text.p = arena_dup(&f->arena, user.text);
	if (user.text.p == NULL)
		return -ENOMEM;
	f->user = user;
	return 0;
}

static int
parse_topic(struct acl_reading *r, struct file *f, char *rest, bool is_pattern, struct span written)
{
	static const struct {
		const char *word;
		uint8_t actions;
		bool allow;
	} access[] = {
		{ "read", READ, true },
		{ "write", WRITE, true },
		{ "readwrite", READ | WRITE, true },
		{ "deny", READ | WRITE, false },
	};
	struct acl_new_rule n = { .text = written,
		.line = r->line,
		.allow = true,
		.actions = READ | WRITE,
		.who.kind = ACL_ALL };
	char *word = cut(&rest), *topic = *rest != '\0' ? rest : word;
	unsigned class = is_pattern ? PATTERN_ALLOWS : USER_ALLOWS, i = 0;
	size_t len = strlen(topic);
	struct line *l;
	int err;

	if (!is_pattern)
		n.who = f->user;
	if (topic != word) {
		while (i < sizeof(access) / sizeof(access[0]) && strcmp(word, access[i].word) != 0)
			i++;
		if (i == sizeof(access) / sizeof(access[0]))
			return acl_say(r, "\"%.40s\" must be read, write, readwrite or deny", word);
		n.actions = access[i].actions;
		n.allow = access[i].allow;
	}
	if (len == 0)
		return acl_say(r, "the topic is missing");
	err = is_pattern ? acl_placeholders(r, topic, &len, false) : 0;
	n.topic = span_of(topic, len);
	if (err == 0)
		err = acl_check_filter(r, n.topic);
	if (err != 0)
		return err;
	l = arena_alloc(&f->arena, sizeof(*l));
	n.topic.p = arena_dup(&f->arena, n.topic);
	if (l == NULL || n.topic.p == NULL)
		return -ENOMEM;
	*l = (struct line){ .rule = n };
	class -= !n.allow;
	*f->last[class] = l;
	f->last[class] = &l->next;
	return 0;
}
