#include "master/ctl/command.h"

#include <stdio.h>
#include <string.h>

const struct command commands[COMMANDS] = {
#define O(syntax, help) { syntax, help },
#define C(id, w, a, h, ...)                                                                        \
	[CMD_##id] = { w, a, h, (const struct command_option[]){ __VA_ARGS__{ NULL, NULL } } },
#include "master/ctl/commands.def"
};

const struct command_option command_common[] = {
#define A(syntax, help) { syntax, help },
#include "master/ctl/commands.def"
	{ NULL, NULL },
};

static const struct command_value values[] = {
#define V(name, kind, words) { name, kind, words },
#include "master/ctl/commands.def"
};

const char *
command_part(const char *text, struct command_part *out)
{
	struct command_part p = { 0 };

	text += strspn(text, " .");
	if (*text == '\0')
		return NULL;
	p.is_optional = *text == '[';
	text += strspn(text, "[");
	p.name = text;
	p.len = strcspn(text, " ]");
	p.is_option = strncmp(text, "--", 2) == 0;
	text += p.len;
	if (p.is_option && text[0] == ' ' && text[1] != '[') {
		p.value = text + 1;
		p.value_len = strcspn(p.value, " ]");
		text = p.value + p.value_len;
	}
	*out = p;
	return text + strspn(text, "]");
}

void
command_option_text(const struct command_option *o, char out[COMMAND_SYNTAX_MAX])
{
	bool is_optional = o->syntax[0] == '[';
	char *end;

	snprintf(out, COMMAND_SYNTAX_MAX, "%s", o->syntax + is_optional);
	end = is_optional ? strrchr(out, ']') : NULL;
	if (end != NULL)
		*end = '\0';
}

const struct command_option *
command_options(const struct command *c)
{
	if (strncmp(c->arguments, "[as ", 4) != 0)
		return c->options;
	for (int i = 0; i < COMMANDS; i++) {
		size_t len = strlen(commands[i].words);

		if (strncmp(c->arguments + 4, commands[i].words, len) == 0 &&
		    c->arguments[4 + len] == ']')
			return commands[i].options;
	}
	return c->options;
}

/* How many of a command's words these are; -1: another command's. */
static int
common_words(const struct command *c, int argc, char **argv)
{
	const char *at = c->words;
	int n = 0;

	while (*at != '\0' && n < argc) {
		size_t len = strcspn(at, " ");

		if (strlen(argv[n]) != len || memcmp(argv[n], at, len) != 0)
			return -1;
		at += len;
		at += *at == ' ';
		n++;
	}
	return n;
}

static int
count_words(const struct command *c)
{
	return strchr(c->words, ' ') != NULL ? 2 : 1;
}

const struct command *
command_find(int argc, char **argv, int *used_out)
{
	for (int i = 0; i < COMMANDS; i++)
		if (common_words(&commands[i], argc, argv) == count_words(&commands[i])) {
			*used_out = count_words(&commands[i]);
			return &commands[i];
		}
	return NULL;
}

bool
command_begins(const struct command *c, int argc, char **argv)
{
	return common_words(c, argc, argv) >= 0;
}

bool
command_hands_on(const struct command *c)
{
	if (strstr(c->arguments, "...") != NULL)
		return true;
	for (const struct command_option *o = c->options; o->syntax != NULL; o++)
		if (strstr(o->syntax, "...") != NULL)
			return true;
	return false;
}

void
command_syntax(const struct command *c, char out[COMMAND_SYNTAX_MAX])
{
	size_t n = (size_t)snprintf(out, COMMAND_SYNTAX_MAX, "%s", c->arguments);

	for (const struct command_option *o = c->options; o->syntax != NULL; o++)
		if (n < COMMAND_SYNTAX_MAX)
			n += (size_t)snprintf(
			    out + n, COMMAND_SYNTAX_MAX - n, "%s%s", n > 0 ? " " : "", o->syntax);
}

struct command_value
command_value(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strlen(values[i].name) == len && memcmp(values[i].name, name, len) == 0)
			return values[i];
	return (struct command_value){ .kind = VALUE_ANY };
}
