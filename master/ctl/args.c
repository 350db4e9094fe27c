/*
 * What a command takes is told by the texts of its row, those that --help prints. Its options may stand before it, so
 * whether an option has a value must not depend on the command: one name means the same in every row.
 */
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"

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

static bool
find_in(const struct command_option *o, const char *name, size_t len, struct command_part *out)
{
	for (; o->syntax != NULL; o++)
		if (command_part(o->syntax, out) != NULL && out->len == len &&
		    memcmp(out->name, name, len) == 0)
			return true;
	return false;
}

/* The option of that name, of all commands or of c, unless that is NULL. */
static bool
find_option(const struct command *c, const struct given *g, struct command_part *out)
{
	return find_in(command_common, g->text, g->len, out) ||
	    (c != NULL && find_in(c->options, g->text, g->len, out));
}

int
args_split(int argc, char **argv, char **words)
{
	bool all_words = false;
	int n = 0;

	the.option = calloc((size_t)argc + 1, sizeof(*the.option));
	if (the.option == NULL)
		return -1;
	for (int i = 0; i < argc; i++) {
		struct given g = { .text = argv[i], .len = strcspn(argv[i], "=") };
		struct command_part part;
		bool known;

		if (all_words || strncmp(argv[i], "--", 2) != 0) {
			words[n++] = argv[i];
			continue;
		}
		if (argv[i][2] == '\0') {
			all_words = true;
			continue;
		}
		known = find_option(NULL, &g, &part);
		for (size_t c = 0; c < COMMANDS && !known; c++)
			known = find_option(&commands[c], &g, &part);
		if (g.text[g.len] == '=') {
			g.value = g.text + g.len + 1;
		} else if (known && part.value != NULL && i + 1 < argc) {
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

static int
bad_option(const struct given *g, const struct command *c)
{
	struct command_part part;

	if (!find_option(c, g, &part))
		return c != NULL && command_hands_on(c)
		    ? DONE
		    : ctl_complain(USAGE, "there is no option %s%s%s; see tbmqctl --help", g->text,
			  c != NULL ? " of " : "", c != NULL ? c->words : "");
	if ((part.value != NULL) != (g->value != NULL))
		return ctl_complain(USAGE, "%.*s %s; see tbmqctl --help", (int)g->len, g->text,
		    part.value != NULL ? "needs a value" : "has no value");
	return DONE;
}

int
args_check(const struct command *c, int nwords)
{
	int least = 0, most = 0;
	char syntax[COMMAND_SYNTAX_MAX] = "";
	const char *text = syntax;
	struct command_part part;

	for (int i = 0; i < the.n; i++) {
		int code = bad_option(&the.option[i], c);

		if (code != DONE)
			return code;
	}
	if (c == NULL || command_hands_on(c))
		return DONE;
	command_syntax(c, syntax);
	while ((text = command_part(text, &part)) != NULL)
		if (!part.is_option) {
			most++;
			least += !part.is_optional;
		}
	return nwords >= least && nwords <= most
	    ? DONE
	    : ctl_complain(USAGE, "%s takes %s; see tbmqctl --help", c->words,
		  syntax[0] != '\0' ? syntax : "no arguments");
}

int
args_hand_on(char **words, int nwords)
{
	struct command_part part;

	for (int i = 0; i < the.n; i++) {
		const struct given *g = &the.option[i];

		if (find_option(NULL, g, &part))
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
