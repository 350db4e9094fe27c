#include <stdlib.h>

#include "master/ctl/command.h"
#include "tests/lib/scenario.h"

static char text[65536];

/* Lines are cut at other places than the table's. */
static void
read_help(const char *command)
{
	char line[200], *to = text;

	snprintf(line, sizeof(line), "$CTL %s >$DIR/help", command);
	check(broker_sh(line) == 0);
	snprintf(line, sizeof(line), "%s/help", broker.dir);
	FILE *f = fopen(line, "r");
	check(f != NULL);
	for (int c; (c = getc(f)) != EOF && to < text + sizeof(text) - 1;)
		if (c != ' ' && c != '\n')
			*to++ = (char)c;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	*to = '\0';
	fclose(f);
}

static void
need(const char *command, const char *what)
{
	if (strstr(text, what) == NULL)
		fail("%s does not say \"%s\": %s", command, what, text);
}

static void
need_command(const char *command, const struct command *c)
{
	char syntax[COMMAND_SYNTAX_MAX], line[COMMAND_SYNTAX_MAX + 1000];

	command_syntax(c, syntax);
	snprintf(line, sizeof(line), "%s%s%s %s", c->words, syntax[0] != '\0' ? " " : "", syntax,
	    c->help);
	need(command, line);
}

static void
need_options(const char *command, const struct command_option *o)
{
	char option[COMMAND_SYNTAX_MAX], line[COMMAND_SYNTAX_MAX + 1000];

	for (; o->syntax != NULL; o++) {
		command_option_text(o, option);
		snprintf(line, sizeof(line), "%s %s", option, o->help);
		need(command, line);
	}
}

SCENARIO(1)
{
	char command[100];

	check(broker_sh("! $CTL help nonsense") == 0);
	check(broker_sh("! $CTL nonsense --help") == 0);
	check(broker_sh("! $CTL help config nonsense") == 0);
	read_help("--help");
	need_options("--help", command_common);
	for (int i = 0; i < COMMANDS; i++)
		need_command("--help", &commands[i]);
	for (int i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		snprintf(command, sizeof(command), "%s --help", c->words);
		read_help(command);
		need_command(command, c);
		need_options(command, command_options(c));
		check(strstr(text, commands[(i + 1) % COMMANDS].help) == NULL);
		snprintf(
		    command, sizeof(command), "help %.*s", (int)strcspn(c->words, " "), c->words);
		read_help(command);
		need_command(command, c);
	}
}
