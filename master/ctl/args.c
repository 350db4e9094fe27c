/*
 * What a command takes is told by the text of its row, the one that --help prints. Its options may stand before it, so
 * whether an option has a value must not depend on the command: one name means the same in every row.
 */
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"

struct part { /* of a row: an option or a word */
	const char *name;
	size_t len;
	bool is_option, has_value, is_optional;
};

struct given {
	char *text;        /* as it was written */
	size_t len;        /* of its name */
	const char *value; /* NULL: none */
	bool apart;        /* the value is an argument of its own */
};

static struct {
	struct given *option;
	int n;
} the;

/* Takes one part off the text of a row, and gives what follows it; NULL: there is no more. */
static const char *
next_part(const char *text, struct part *out)
{
	text += strspn(text, " .");
	if (*text == '\0')
		return NULL;
	*out = (struct part){ .is_optional = *text == '[' };
	text += strspn(text, "[");
	out->name = text;
	out->len = strcspn(text, " ]");
	out->is_option = strncmp(text, "--", 2) == 0;
	text += out->len;
	out->has_value = out->is_option && text[0] == ' ' && text[1] != '[';
	if (out->has_value)
		text += 1 + strcspn(text + 1, " ]");
	return text + strspn(text, "]");
}

/* The option of that name in a row. */
static bool
find_option(const char *arguments, const char *name, size_t len, struct part *out)
{
	while ((arguments = next_part(arguments, out)) != NULL)
		if (out->is_option && out->len == len && memcmp(out->name, name, len) == 0)
			return true;
	return false;
}

int
args_split(int argc, char **argv, const struct command *rows, size_t nrows, char **words)
{
	bool all_words = false;
	int n = 0;

	the.option = calloc((size_t)argc + 1, sizeof(*the.option));
	if (the.option == NULL)
		return -1;
	for (int i = 0; i < argc; i++) {
		struct given g = { .text = argv[i], .len = strcspn(argv[i], "=") };
		struct part part;
		bool known;

		if (all_words || strncmp(argv[i], "--", 2) != 0) {
			words[n++] = argv[i];
			continue;
		}
		if (argv[i][2] == '\0') {
			all_words = true;
			continue;
		}
		known = find_option(ARGS_COMMON, g.text, g.len, &part);
		for (size_t r = 0; r < nrows && !known; r++)
			known = find_option(rows[r].arguments, g.text, g.len, &part);
		if (g.text[g.len] == '=') {
			g.value = g.text + g.len + 1;
		} else if (known && part.has_value && i + 1 < argc) {
			g.value = argv[++i];
			g.apart = true;
		}
		the.option[the.n++] = g;
	}
	words[n] = NULL;
	return n;
}

static struct given *
find_given(const char *name)
{
	for (int i = the.n - 1; i >= 0; i--)
		if (strlen(name) == the.option[i].len &&
		    memcmp(name, the.option[i].text, the.option[i].len) == 0)
			return &the.option[i];
	return NULL;
}

const char *
ctl_option(const char *name)
{
	const struct given *g = find_given(name);

	return g == NULL ? NULL : g->value != NULL ? g->value : "";
}

bool
args_are_handed_on(const struct command *c)
{
	return strstr(c->arguments, "...") != NULL;
}

static int
bad_option(const struct given *g, const struct command *c)
{
	struct part part;

	if (!find_option(ARGS_COMMON, g->text, g->len, &part) &&
	    (c == NULL || !find_option(c->arguments, g->text, g->len, &part)))
		return c != NULL && args_are_handed_on(c)
		    ? DONE
		    : ctl_complain(USAGE, "there is no option %s%s%s; see tbmqctl --help", g->text,
			  c != NULL ? " of " : "", c != NULL ? c->words : "");
	if (part.has_value != (g->value != NULL))
		return ctl_complain(USAGE, "%.*s %s; see tbmqctl --help", (int)g->len, g->text,
		    part.has_value ? "needs a value" : "has no value");
	return DONE;
}

int
args_check(const struct command *c, int nwords)
{
	int least = 0, most = 0;
	const char *text = c != NULL ? c->arguments : "";
	struct part part;

	for (int i = 0; i < the.n; i++) {
		int code = bad_option(&the.option[i], c);

		if (code != DONE)
			return code;
	}
	if (c == NULL || args_are_handed_on(c))
		return DONE;
	while ((text = next_part(text, &part)) != NULL)
		if (!part.is_option) {
			most++;
			least += !part.is_optional;
		}
	return nwords >= least && nwords <= most
	    ? DONE
	    : ctl_complain(USAGE, "%s takes %s; see tbmqctl --help", c->words,
		  c->arguments[0] != '\0' ? c->arguments : "no arguments");
}

int
args_hand_on(char **words, int nwords)
{
	struct part part;

	for (int i = 0; i < the.n; i++) {
		const struct given *g = &the.option[i];

		if (find_option(ARGS_COMMON, g->text, g->len, &part))
			continue;
		words[nwords++] = g->text;
		if (g->apart)
			words[nwords++] = (char *)g->value;
	}
	words[nwords] = NULL;
	return nwords;
}

void
args_free(void)
{
	free(the.option);
}
