/*
 * What --help prints: all commands, or those that some words lead to, with their options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"

#define COLUMN 44 /* of the text beside a command */
#define OPTION_COLUMN 28
#define WIDTH 100

/* What there is, and behind it or on the next line what it means. */
static void
print_beside(FILE *to, const char *indent, const char *what, int column, const char *help)
{
	int n = fprintf(to, "%s%s", indent, what);
	bool begun = false;

	for (int len; *help != '\0'; help += len) {
		help += strspn(help, " ");
		len = (int)strcspn(help, " ");
		if (begun && n + 1 + len <= WIDTH) {
			n += fprintf(to, " %.*s", len, help);
			continue;
		}
		if (begun || n >= column) {
			fputc('\n', to);
			n = 0;
		}
		n += fprintf(to, "%*s%.*s", column - n, "", len, help);
		begun = true;
	}
	fputc('\n', to);
}

static void
print_command(FILE *to, const struct command *c)
{
	char syntax[COMMAND_SYNTAX_MAX], what[COMMAND_SYNTAX_MAX + 40];

	command_syntax(c, syntax);
	snprintf(what, sizeof(what), "%s%s%s", c->words, syntax[0] != '\0' ? " " : "", syntax);
	print_beside(to, "  ", what, COLUMN, c->help);
}

static void
print_options(FILE *to, const char *indent, const struct command_option *o)
{
	char text[COMMAND_SYNTAX_MAX];

	for (; o->syntax != NULL; o++) {
		command_option_text(o, text);
		print_beside(to, indent, text, OPTION_COLUMN, o->help);
	}
}

static void
print_all(FILE *to)
{
	fprintf(to,
	    "Usage: tbmqctl [OPTION]... COMMAND [ARGUMENT]...\n"
	    "Options stand on either side of the command; behind -- there are none, as in "
	    "`client show -- --id`.\n\n");
	print_options(to, "  ", command_common);
	fputc('\n', to);
	for (int i = 0; i < COMMANDS; i++)
		print_command(to, &commands[i]);
	fprintf(to,
	    "\n`tbmqctl COMMAND --help` has the options of a command, tbmqctl(8) has all.\n"
	    "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not running, 4 no answer in "
	    "time.\n");
}

/* How many there were. */
static int
print_some(FILE *to, int argc, char **argv)
{
	int found = 0;

	for (int i = 0; i < COMMANDS; i++)
		if (command_begins(&commands[i], argc, argv)) {
			print_command(to, &commands[i]);
			print_options(to, "      ", command_options(&commands[i]));
			found++;
		}
	return found;
}

int
cmd_help(int argc, char **argv)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool is_known = true;
	int code = DONE;

	if (f != NULL && argc == 0)
		print_all(f);
	else if (f != NULL)
		is_known = print_some(f, argc, argv) > 0;
	if (f == NULL || fclose(f) != 0)
		code = ctl_complain(FAILED, "no memory");
	else if (!is_known)
		code = ctl_bad_usage("no such command");
	else
		ctl_print_text("help", text);
	free(text);
	return code;
}
