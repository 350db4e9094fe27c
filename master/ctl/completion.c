/*
 * What completes command lines of tbmqctl in a shell, made from commands.def. What is typed already is read as args.c does: options may stand
 * before the command, and behind "--" there are none.
 *
 * Identifiers are clients' own choice: those in which a shell would see more than a word are never offered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"
#include "shared/base/must.h"
#include "shared/conf/table.h"

#define BRIEF_MAX 64 /* of a description */
#define OPTIONS_MAX 100
#define ARGUMENTS_MAX 8

/* Lines of `client list --json` to identifiers, not too many. */
#define IDENTIFIERS                                                                                \
	"LC_ALL=C sed -n 's/^{\"client_id\":\"\\([A-Za-z0-9_.@][A-Za-z0-9_.@-]*\\)\".*/\\1/p' | "  \
	"head -n 200"

static struct {
	/* Each name once: first those of all commands. */
	struct command_option option[OPTIONS_MAX];
	int ncommon, noptions;
} all;

typedef void shell_fn(FILE *to);

static shell_fn bash, zsh, fish;

static const struct shell {
	const char *name;
	shell_fn *fn;
} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

static void collect_options(void);

int
cmd_completion(int argc, char **argv)
{
	const struct shell *shell = NULL;
	char *text = NULL;
	size_t len;
	FILE *f;
	int code = DONE;

	(void)argc;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (strcmp(argv[0], shells[i].name) == 0)
			shell = &shells[i];
	if (shell == NULL)
		return ctl_bad_usage("there is completion for bash, zsh and fish");
	collect_options();
	f = open_memstream(&text, &len);
	if (f != NULL)
		shell->fn(f);
	if (f == NULL || fclose(f) != 0)
		code = ctl_complain(FAILED, "no memory");
	else
		ctl_print_text("completion", text);
	free(text);
	return code;
}

/* --- the table ---------------------------------------------------------------------------- */

static void
collect(const struct command_option *o)
{
	for (; o->syntax != NULL; o++) {
		struct command_part p, q;
		bool known = false;

		command_part(o->syntax, &p);
		for (int i = 0; i < all.noptions; i++) {
			command_part(all.option[i].syntax, &q);
			known |= p.len == q.len && memcmp(p.name, q.name, p.len) == 0;
		}
		if (known)
			continue;
		must(all.noptions < OPTIONS_MAX);
		all.option[all.noptions++] = *o;
	}
}

static void
collect_options(void)
{
	collect(command_common);
	all.ncommon = all.noptions;
	for (int i = 0; i < COMMANDS; i++)
		collect(commands[i].options);
}

/* Names of all options that have a value. */
static void
print_valued(FILE *to, const char *between)
{
	const char *next = "";

	for (int i = 0; i < all.noptions; i++) {
		struct command_part p;

		command_part(all.option[i].syntax, &p);
		if (p.value == NULL)
			continue;
		fprintf(to, "%s%.*s", next, (int)p.len, p.name);
		next = between;
	}
}

static size_t
first_len(const struct command *c)
{
	return strcspn(c->words, " ");
}

static bool
has_second(const struct command *c)
{
	return c->words[first_len(c)] == ' ';
}

static bool
same_first(const struct command *a, const struct command *b)
{
	return first_len(a) == first_len(b) && memcmp(a->words, b->words, first_len(a)) == 0;
}

/* Of the commands with this first word: is it the first one? */
static bool
is_new_first(const struct command *c)
{
	for (const struct command *b = commands; b < c; b++)
		if (same_first(b, c))
			return false;
	return true;
}

static void
print_firsts(FILE *to)
{
	const char *next = "";

	for (int i = 0; i < COMMANDS; i++)
		if (is_new_first(&commands[i])) {
			fprintf(
			    to, "%s%.*s", next, (int)first_len(&commands[i]), commands[i].words);
			next = " ";
		}
}

static void
print_seconds(FILE *to, const struct command *c)
{
	const char *next = "";

	for (int i = 0; i < COMMANDS; i++)
		if (same_first(&commands[i], c)) {
			fprintf(to, "%s%s", next, commands[i].words + first_len(c) + 1);
			next = " ";
		}
}

/* Those that can be there, where they are known. */
static void
print_words(FILE *to, struct command_value v)
{
	if (v.kind == VALUE_WORDS)
		fputs(v.words, to);
	else if (v.kind == VALUE_COMMAND)
		print_firsts(to);
	for (size_t i = 0; v.kind == VALUE_KEY && i < conf_nkeys; i++)
		fprintf(to, "%s%s=", i > 0 ? " " : "", conf_keys[i].name);
}

/* The arguments in a text are added to the n there are. */
static int
add_arguments(const char *text, struct command_part out[ARGUMENTS_MAX], int n)
{
	struct command_part p;

	while ((text = command_part(text, &p)) != NULL)
		if (!p.is_option) {
			must(n < ARGUMENTS_MAX);
			out[n++] = p;
		}
	return n;
}

/* What stands behind the words of a command; how many. */
static int
arguments_of(const struct command *c, struct command_part out[ARGUMENTS_MAX])
{
	int n = 0;

	if (command_options(c) == c->options)
		n = add_arguments(c->arguments, out, n);
	for (const struct command_option *o = c->options; o->syntax != NULL; o++)
		n = add_arguments(o->syntax, out, n);
	return n;
}

/* The beginning of a help, for a line in a menu. */
static void
brief(const char *help, char out[BRIEF_MAX])
{
	size_t len = strcspn(help, ";:");
	const char *bracket = strstr(help, " (");

	if (bracket != NULL && (size_t)(bracket - help) < len)
		len = (size_t)(bracket - help);
	if (len < BRIEF_MAX) {
		snprintf(out, BRIEF_MAX, "%.*s", (int)len, help);
		return;
	}
	len = BRIEF_MAX - 4;
	while (len > 0 && help[len] != ' ')
		len--;
	snprintf(out, BRIEF_MAX, "%.*s...", (int)len, help);
}

/* The same of a first word: its help, or what can stand behind it. */
static void
brief_first(const struct command *c, char out[BRIEF_MAX])
{
	char seconds[COMMAND_SYNTAX_MAX];
	size_t n = 0;

	if (!has_second(c)) {
		brief(c->help, out);
		return;
	}
	for (int i = 0; i < COMMANDS && n < sizeof(seconds); i++)
		if (same_first(&commands[i], c))
			n += (size_t)snprintf(seconds + n, sizeof(seconds) - n, "%s%s",
			    n > 0 ? ", " : "", commands[i].words + first_len(c) + 1);
	brief(seconds, out);
}

/* Between single quotes of a shell. escaped: what else has to have a backslash before it. */
static void
print_quoted(FILE *to, const char *text, const char *apostrophe, const char *escaped)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'') {
			fputs(apostrophe, to);
			continue;
		}
		if (strchr(escaped, *text) != NULL)
			fputc('\\', to);
		fputc(*text, to);
	}
}

/* --- bash --------------------------------------------------------------------------------- */

static void
bash_value(FILE *to, struct command_value v)
{
	static const char *const known[] = {
		[VALUE_FILE] = "@file", [VALUE_DIR] = "@dir", [VALUE_CLIENT] = "@client"
	};

	fputc('\'', to);
	if (v.kind != VALUE_ANY && v.kind <= VALUE_CLIENT)
		fputs(known[v.kind], to);
	else
		print_words(to, v);
	fputc('\'', to);
}

static void
bash_command(FILE *to, const struct command *c)
{
	struct command_part part[ARGUMENTS_MAX];
	int n = arguments_of(c, part);
	const char *next = "";

	fprintf(to, "\t'%s '*) n=%d values=(", c->words, has_second(c) ? 2 : 1);
	for (int i = 0; i < n; i++) {
		fputs(next, to);
		bash_value(to, command_value(part[i].name, part[i].len));
		next = " ";
	}
	fputs(") options='", to);
	next = "";
	for (const struct command_option *o = command_options(c); o->syntax != NULL; o++) {
		command_part(o->syntax, &part[0]);
		fprintf(to, "%s%.*s", next, (int)part[0].len, part[0].name);
		next = " ";
	}
	fputs("' ;;\n", to);
}

static void
bash(FILE *to)
{
	fputs(
	    "# bash completion of tbmqctl, as `tbmqctl completion bash` prints it\n\n"
	    "_tbmqctl()\n"
	    "{\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} option='' ended='' options='' value='' n=0 i w\n"
	    "\tlocal ctl=(\"$1\") words=() values=()\n\n"
	    "\tCOMPREPLY=()\n"
	    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	    "\t\tw=${COMP_WORDS[i]}\n"
	    "\t\tif [[ $w == = ]]; then # bash parts words at it\n"
	    "\t\t\t[[ $option ]] || ((i++))\n"
	    "\t\telif [[ $option ]]; then\n"
	    "\t\t\t[[ $option == --dir ]] && ctl+=(--dir \"${w/#~\\//$HOME/}\")\n"
	    "\t\t\toption=''\n"
	    "\t\telif [[ $ended || $w != -* ]]; then\n"
	    "\t\t\twords+=(\"$w\")\n"
	    "\t\telif [[ $w == -- ]]; then\n"
	    "\t\t\tended=1\n"
	    "\t\telse\n"
	    "\t\t\tcase $w in\n"
	    "\t\t\t",
	    to);
	print_valued(to, " | ");
	fputs(") option=$w ;;\n"
	      "\t\t\tesac\n"
	      "\t\tfi\n"
	      "\tdone\n"
	      "\tif [[ ! $option && ($cur == = || ${COMP_WORDS[COMP_CWORD - 1]} == =) ]]; then\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\t[[ $cur == = ]] && cur=''\n\n"
	      "\tcase \"${words[0]-} ${words[1]-} \" in\n",
	    to);
	for (int i = 0; i < COMMANDS; i++)
		bash_command(to, &commands[i]);
	for (int i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (!has_second(c) || !is_new_first(c))
			continue;
		fprintf(to, "\t'%.*s '*) n=1 values=('", (int)first_len(c), c->words);
		print_seconds(to, c);
		fputs("') ;;\n", to);
	}
	fputs("\t*) values=('", to);
	print_firsts(to);
	fputs("') ;;\n\tesac\n"
	      "\tvalue=${values[${#words[@]} - n]-}\n"
	      "\tcase $option in\n"
	      "\t'') [[ $cur == -* && ! $ended ]] && value=\"$options",
	    to);
	for (const struct command_option *o = command_common; o->syntax != NULL; o++) {
		struct command_part p;

		command_part(o->syntax, &p);
		fprintf(to, " %.*s", (int)p.len, p.name);
	}
	fputs("\" ;;\n", to);
	for (int i = 0; i < all.noptions; i++) {
		struct command_part p;
		struct command_value v;

		command_part(all.option[i].syntax, &p);
		v = command_value(p.value, p.value_len);
		if (v.kind == VALUE_ANY)
			continue;
		fprintf(to, "\t%.*s) value=", (int)p.len, p.name);
		bash_value(to, v);
		fputs(" ;;\n", to);
	}
	fputs("\t*) value='' ;;\n"
	      "\tesac\n\n"
	      "\tcase $value in\n"
	      "\t@file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	      "\t@dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
	      "\t@client) mapfile -t COMPREPLY < <(\"${ctl[@]}\" client list --json "
	      "--prefix=\"$cur\" 2>/dev/null |\n\t\t" IDENTIFIERS ") ;;\n"
	      "\t*)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$value\" -- \"$cur\")\n"
	      "\t\t[[ $value == *= ]] && compopt -o nospace\n"
	      "\t\t;;\n"
	      "\tesac\n"
	      "}\n\n"
	      "complete -F _tbmqctl tbmqctl\n",
	    to);
}

/* --- zsh ---------------------------------------------------------------------------------- */

/* NAME:ACTION of an argument or a value. */
static void
zsh_value(FILE *to, const char *name, size_t len)
{
	struct command_value v = command_value(name, len);

	fprintf(to, "%.*s:", (int)len, name);
	switch (v.kind) {
	case VALUE_ANY:
		fputc(' ', to); /* nothing but the name, as a hint */
		break;
	case VALUE_FILE:
		fputs("_files", to);
		break;
	case VALUE_DIR:
		fputs("_files -/", to);
		break;
	case VALUE_CLIENT:
		fputs("_tbmqctl_clients", to);
		break;
	case VALUE_KEY:
		fputs("_tbmqctl_keys", to);
		break;
	default:
		fputc('(', to);
		print_words(to, v);
		fputc(')', to);
	}
}

static void
zsh_options(FILE *to, const struct command_option *o)
{
	for (; o->syntax != NULL; o++) {
		char text[BRIEF_MAX];
		struct command_part p;

		command_part(o->syntax, &p);
		brief(o->help, text);
		fprintf(to, " \\\n\t\t'%.*s%s[", (int)p.len, p.name, p.value != NULL ? "=" : "");
		print_quoted(to, text, "'\\''", "[]\\");
		fputc(']', to);
		if (p.value != NULL) {
			fputc(':', to);
			zsh_value(to, p.value, p.value_len);
		}
		fputc('\'', to);
	}
}

static void
zsh_command(FILE *to, const struct command *c)
{
	struct command_part part[ARGUMENTS_MAX];
	int n = arguments_of(c, part), words = has_second(c) ? 2 : 1;

	fprintf(to, "\t('%s '*) specs=('1: :' ", c->words);
	if (words == 2)
		fputs("'2: :' ", to);
	for (int i = 0; i < n; i++) {
		fprintf(to, "'%d:", words + 1 + i);
		zsh_value(to, part[i].name, part[i].len);
		fputs("' ", to);
	}
	zsh_options(to, command_options(c));
	fputs(") ;;\n", to);
}

/* A line of a menu. */
static void
zsh_choice(FILE *to, const char *word, size_t len, const char *text)
{
	fprintf(to, " \\\n\t\t'%.*s:", (int)len, word);
	print_quoted(to, text, "'\\''", "\\");
	fputc('\'', to);
}

/* Those that may stand before the command: not offered, but known, so that their values are no words. */
static void
zsh_early_options(FILE *to)
{
	for (int i = all.ncommon; i < all.noptions; i++) {
		struct command_part p;

		command_part(all.option[i].syntax, &p);
		fprintf(to, " '!%.*s%s'", (int)p.len, p.name, p.value != NULL ? "=: : " : "");
	}
}

static void
zsh_menus(FILE *to)
{
	char text[BRIEF_MAX];

	for (int i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (!has_second(c) || !is_new_first(c))
			continue;
		fprintf(to, "\t('%.*s '*) specs=('1: :' '2:command:_tbmqctl_menu' $early) menu=(",
		    (int)first_len(c), c->words);
		for (const struct command *d = c; d < commands + COMMANDS; d++)
			if (same_first(c, d)) {
				const char *second = d->words + first_len(d) + 1;

				brief(d->help, text);
				zsh_choice(to, second, strlen(second), text);
			}
		fputs(") ;;\n", to);
	}
	fputs("\t(*) specs=('1:command:_tbmqctl_menu' $early) menu=(", to);
	for (int i = 0; i < COMMANDS; i++)
		if (is_new_first(&commands[i])) {
			brief_first(&commands[i], text);
			zsh_choice(to, commands[i].words, first_len(&commands[i]), text);
		}
	fputs(") ;;\n", to);
}

static void
zsh(FILE *to)
{
	fputs(
	    "#compdef tbmqctl\n"
	    "# zsh completion of tbmqctl, as `tbmqctl completion zsh` prints it\n\n"
	    "_tbmqctl_menu() {\n"
	    "\t_describe -t commands command menu\n"
	    "}\n\n"
	    "_tbmqctl_clients() {\n"
	    "\tlocal -a ids\n"
	    "\tids=(${(f)\"$(\"${ctl[@]}\" client list --json --prefix=\"$PREFIX\" 2>/dev/null |\n"
	    "\t\t" IDENTIFIERS ")\"})\n"
	    "\tcompadd -a ids\n"
	    "}\n\n"
	    "_tbmqctl_keys() {\n"
	    "\tlocal -a keys\n"
	    "\tkeys=(",
	    to);
	print_words(to, (struct command_value){ .kind = VALUE_KEY });
	fputs(")\n"
	      "\tcompadd -S '' -a keys\n"
	      "}\n\n"
	      "_tbmqctl() {\n"
	      "\tlocal -a ctl typed specs menu early\n"
	      "\tlocal option ended w i\n\n"
	      "\tearly=(",
	    to);
	zsh_early_options(to);
	fputs(")\n"
	      "\tctl=(\"$words[1]\")\n"
	      "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	      "\t\tw=$words[i]\n"
	      "\t\tif [[ -n $option ]]; then\n"
	      "\t\t\t[[ $option == --dir ]] && ctl+=(\"--dir=${w/#\\~\\//$HOME/}\")\n"
	      "\t\t\toption=\n"
	      "\t\telif [[ -n $ended || $w != -* ]]; then\n"
	      "\t\t\ttyped+=(\"$w\")\n"
	      "\t\telif [[ $w == -- ]]; then\n"
	      "\t\t\tended=1\n"
	      "\t\telif [[ $w == --dir=* ]]; then\n"
	      "\t\t\tctl+=(\"$w\")\n"
	      "\t\telif [[ $w == (",
	    to);
	print_valued(to, "|");
	fputs(") ]]; then\n"
	      "\t\t\toption=$w\n"
	      "\t\tfi\n"
	      "\tdone\n"
	      "\tcase \"$typed[1] $typed[2] \" in\n",
	    to);
	for (int i = 0; i < COMMANDS; i++)
		zsh_command(to, &commands[i]);
	zsh_menus(to);
	fputs("\tesac\n"
	      "\t_arguments -S : $specs",
	    to);
	zsh_options(to, command_common);
	fputs("\n}\n\n"
	      "compdef _tbmqctl tbmqctl\n"
	      "# Loaded at its first use it is to complete at once; sourced it is not.\n"
	      "if [[ $funcstack[1] == _tbmqctl ]]; then\n"
	      "\t_tbmqctl \"$@\"\n"
	      "fi\n",
	    to);
}

/* --- fish --------------------------------------------------------------------------------- */

static void
fish_value(FILE *to, const char *name, size_t len)
{
	struct command_value v = command_value(name, len);

	switch (v.kind) {
	case VALUE_ANY:
		fputs(" -f", to);
		break;
	case VALUE_FILE:
		fputs(" -F", to);
		break;
	case VALUE_DIR:
		fputs(" -f -a '(__fish_complete_directories)'", to);
		break;
	case VALUE_CLIENT:
		fputs(" -f -a '(__tbmqctl_clients)'", to);
		break;
	default:
		fputs(" -f -a '", to);
		print_words(to, v);
		fputc('\'', to);
	}
}

static void
fish_text(FILE *to, const char *text)
{
	fputs(" -d '", to);
	print_quoted(to, text, "\\'", "\\");
	fputs("'\n", to);
}

/* words NULL: of all commands. */
static void
fish_options(FILE *to, const char *words, const struct command_option *o)
{
	for (; o->syntax != NULL; o++) {
		char text[BRIEF_MAX];
		struct command_part p;

		command_part(o->syntax, &p);
		brief(o->help, text);
		fputs("complete -c tbmqctl", to);
		if (words != NULL)
			fprintf(to, " -n '__tbmqctl_in %s'", words);
		fprintf(to, " -l %.*s", (int)p.len - 2, p.name + 2);
		if (p.value != NULL) {
			fputs(" -r", to);
			fish_value(to, p.value, p.value_len);
		}
		fish_text(to, text);
	}
}

static void
fish_command(FILE *to, const struct command *c)
{
	struct command_part part[ARGUMENTS_MAX];
	int n = arguments_of(c, part), words = has_second(c) ? 2 : 1;
	char text[BRIEF_MAX];

	if (is_new_first(c)) {
		brief_first(c, text);
		fprintf(to, "complete -c tbmqctl -n '__tbmqctl_at 0' -a %.*s", (int)first_len(c),
		    c->words);
		fish_text(to, text);
	}
	if (words == 2) {
		brief(c->help, text);
		fprintf(to, "complete -c tbmqctl -n '__tbmqctl_at 1 %.*s' -a %s", (int)first_len(c),
		    c->words, c->words + first_len(c) + 1);
		fish_text(to, text);
	}
	for (int i = 0; i < n; i++)
		if (command_value(part[i].name, part[i].len).kind != VALUE_ANY) {
			fprintf(
			    to, "complete -c tbmqctl -n '__tbmqctl_at %d %s'", words + i, c->words);
			fish_value(to, part[i].name, part[i].len);
			fputc('\n', to);
		}
	fish_options(to, c->words, command_options(c));
}

static void
fish(FILE *to)
{
	fputs("# fish completion of tbmqctl, as `tbmqctl completion fish` prints it\n\n"
	      "# The words of the command before the cursor, without options and their values.\n"
	      "function __tbmqctl_words\n"
	      "\tset -l option ''\n"
	      "\tset -l ended ''\n"
	      "\tset -l typed (commandline -opc)\n"
	      "\tfor w in $typed[2..-1]\n"
	      "\t\tif test -n \"$option\"\n"
	      "\t\t\tset option ''\n"
	      "\t\telse if test -n \"$ended\"; or not string match -q -- '-*' $w\n"
	      "\t\t\techo $w\n"
	      "\t\telse if test $w = --\n"
	      "\t\t\tset ended 1\n"
	      "\t\telse if contains -- $w ",
	    to);
	print_valued(to, " ");
	fputs("\n"
	      "\t\t\tset option $w\n"
	      "\t\tend\n"
	      "\tend\n"
	      "end\n\n"
	      "# Do they begin with these?\n"
	      "function __tbmqctl_in\n"
	      "\tset -l words (__tbmqctl_words)\n"
	      "\ttest (count $words) -ge (count $argv)\n"
	      "\tor return 1\n"
	      "\tfor i in (seq (count $argv))\n"
	      "\t\ttest $words[$i] = $argv[$i]\n"
	      "\t\tor return 1\n"
	      "\tend\n"
	      "end\n\n"
	      "# Are there so many, and do they begin with these?\n"
	      "function __tbmqctl_at\n"
	      "\ttest (count (__tbmqctl_words)) -eq $argv[1]\n"
	      "\tand __tbmqctl_in $argv[2..-1]\n"
	      "end\n\n"
	      "function __tbmqctl_clients\n"
	      "\tset -l typed (commandline -opc)\n"
	      "\tset -l dir\n"
	      "\tfor i in (seq (count $typed))\n"
	      "\t\tif string match -q -- '--dir=*' $typed[$i]\n"
	      "\t\t\tset dir $typed[$i]\n"
	      "\t\telse if test $typed[$i] = --dir; and test $i -lt (count $typed)\n"
	      "\t\t\tset dir --dir=$typed[(math $i + 1)]\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\tset -l prefix (commandline -ct | string replace -r -- '^--[a-z-]*=' '')\n"
	      "\t$typed[1] $dir client list --json --prefix=$prefix 2>/dev/null |\n"
	      "\t\t" IDENTIFIERS "\n"
	      "end\n\n"
	      "complete -c tbmqctl -f\n",
	    to);
	fish_options(to, NULL, command_common);
	for (int i = 0; i < COMMANDS; i++)
		fish_command(to, &commands[i]);
}
