/*
 * pages SOURCE - prints the manual page that SOURCE, a file of this folder, becomes: what stands between two @ is filled in from the lists that
 * the programs are made from. The same sources make the same bytes, wherever and whenever.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/ctl/command.h"
#include "shared/conf/table.h"
#include "shared/ipc/counter.h"

#define LINE_MAX_BYTES 4096
#define VALUE_MAX 600

typedef void fill_fn(void);

static fill_fn version, sysconfdir, options, list_commands, keys, listener_keys, list_counters;

/* What can stand between two @; all but the first two as a line of its own. */
static const struct filling {
	const char *name;
	fill_fn *fn;
} fillings[] = {
	{ "version", version },
	{ "sysconfdir", sysconfdir },
	{ "options", options },
	{ "commands", list_commands },
	{ "keys", keys },
	{ "listener_keys", listener_keys },
	{ "counters", list_counters },
};

/* --- roff --------------------------------------------------------------------------------- */

/* A character that roff would read as another one, or as more than one. */
static void
put_char(char c, bool is_code)
{
	switch (c) {
	case '\\':
		fputs("\\e", stdout);
		break;
	case '-':
		fputs(is_code ? "\\-" : "-", stdout);
		break;
	case '\'':
		fputs(is_code ? "\\(aq" : "'", stdout);
		break;
	case '"':
		fputs("\\(dq", stdout);
		break;
	case '~':
		fputs("\\(ti", stdout);
		break;
	case '^':
		fputs("\\(ha", stdout);
		break;
	case ' ':
		fputs(is_code ? "\\ " : " ", stdout); /* not to be parted */
		break;
	default:
		putchar(c);
	}
}

/* An argument of a macro. */
static void
put_word(const char *word, size_t len)
{
	putchar(' ');
	if (len > 0 && strchr(".,:;()[]?!|", word[0]) != NULL)
		fputs("\\&", stdout);
	for (size_t i = 0; i < len; i++)
		put_char(word[i], true);
}

/* Prose, a line for each sentence; code is between backquotes, or begins with two hyphens. */
static void
put_text(const char *text)
{
	bool is_quoted = false, is_option = false, begins_line = true;

	for (const char *p = text; *p != '\0'; p++) {
		if (begins_line && strchr(".'", *p) != NULL)
			fputs("\\&", stdout);
		begins_line = *p == '.' && p[1] == ' ';
		is_option = (is_option && (isalnum((unsigned char)*p) || *p == '-')) ||
		    strncmp(p, "--", 2) == 0;
		if (*p == '`') {
			fputs(is_quoted ? "\\(cq" : "\\(oq", stdout);
			is_quoted = !is_quoted;
		} else if (begins_line) {
			fputs(".\n", stdout);
			p++;
		} else {
			put_char(*p, *p != ' ' && (is_quoted || is_option));
		}
	}
	putchar('\n');
}

/* Arguments and options as they are typed, as macros behind one that is begun. */
static void
put_syntax(const char *text)
{
	char last = ' ';

	while (*text != '\0') {
		size_t len = strcspn(text, " []");

		if (*text == '[' || *text == ']') {
			fputs(*text == '[' ? " Oo" : " Oc", stdout);
			len = 1;
		} else if (len > 0 && last == ']') { /* "..." */
			fputs(" Ns", stdout);
			put_word(text, len);
		} else if (strncmp(text, "--", 2) == 0) {
			fputs(" Fl Fl", stdout);
			put_word(text + 2, len - 2);
		} else if (len > 0) {
			fputs(isupper((unsigned char)*text) ? " Ar" : " Cm", stdout);
			put_word(text, len);
		}
		text += len;
		last = *text == ' ' ? ' ' : text[-1];
		text += strspn(text, " ");
	}
}

/* --- fillings ----------------------------------------------------------------------------- */

static void
version(void)
{
	fputs(TBMQ_VERSION, stdout);
}

static void
sysconfdir(void)
{
	fputs(TBMQ_SYSCONFDIR, stdout);
}

/* A sentence of a list of commands, which has neither capital nor full stop. */
static void
put_sentence(const char *help)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s.", help);
	text[0] = (char)toupper((unsigned char)text[0]);
	put_text(text);
}

static void
list_options(const struct command_option *o)
{
	fputs(".Bl -tag -width 4n\n", stdout);
	for (; o->syntax != NULL; o++) {
		char text[COMMAND_SYNTAX_MAX];

		command_option_text(o, text);
		fputs(".It", stdout);
		put_syntax(text);
		putchar('\n');
		put_sentence(o->help);
	}
	fputs(".El\n", stdout);
}

static void
options(void)
{
	list_options(command_common);
}

static void
list_commands(void)
{
	fputs(".Bl -tag -width 4n\n", stdout);
	for (int i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		char syntax[COMMAND_SYNTAX_MAX];

		command_syntax(c, syntax);
		printf(".It Cm %s", c->words);
		put_syntax(syntax);
		putchar('\n');
		put_sentence(c->help);
		if (c->options[0].syntax != NULL)
			list_options(c->options);
	}
	fputs(".El\n", stdout);
}

static const char *
type_name(enum conf_type type)
{
	static const char *const names[CONF_LOG_TARGET] = {
		[CONF_BOOL] = "boolean",
		[CONF_UINT] = "number",
		[CONF_SIZE] = "size",
		[CONF_SECONDS] = "time",
		[CONF_STRING] = "text",
		[CONF_RATE] = "rate",
		[CONF_BYTE_RATE] = "byte rate",
	};

	return type < CONF_LOG_TARGET ? names[type] : "choice";
}

/* A bound as it would be in the file; base is room for a struct that k is of. */
static void
put_bound(void *base, const struct conf_key *k, uint64_t bound)
{
	char value[VALUE_MAX], why[256];

	(void)conf_set(base, k, NULL, bound, why);
	conf_value_text(base, k, value, sizeof(value));
	put_word(value, strlen(value));
}

/* base has the defaults; no more than room afterwards. */
static void
put_key(void *base, const struct conf_key *k)
{
	char value[VALUE_MAX], text[CONF_SAYS_MAX];
	bool has_units = k->type == CONF_SIZE || k->type == CONF_SECONDS;

	conf_key_says(k, text);
	conf_value_text(base, k, value, sizeof(value));
	printf(".It Sy %s Pq %s\n", k->name, type_name(k->type));
	put_text(text);
	fputs("Default:\n.Li", stdout);
	put_word(value, strlen(value));
	if (has_units) {
		fputs(" ;\nfrom\n.Li", stdout);
		put_bound(base, k, k->min);
		fputs("\nto\n.Li", stdout);
		put_bound(base, k, k->max);
	}
	fputs(" .\n", stdout);
}

/* Those of K, with titles between them. */
static void
keys(void)
{
	static struct conf c;
	const struct conf_key *k = conf_keys;
	const char *end = "";

	conf_defaults(&c);
#define S(title) printf("%s.Ss %s\n.Bl -tag -width 4n\n", end, title), end = ".El\n";
#define K(...) put_key(&c, k++);
#include "shared/conf/keys.def"
	fputs(end, stdout);
}

static void
listener_keys(void)
{
	static struct conf_listener l;

	conf_listener_defaults(&l);
	fputs(".Bl -tag -width 4n\n", stdout);
	for (size_t i = 0; i < conf_nlistener_keys; i++)
		put_key(&l, &conf_listener_keys[i]);
	fputs(".El\n", stdout);
}

static void
put_counter(const struct counter_info *c)
{
	printf(".It Sy %s", c->name);
	if (c->gauge || c->unit[0] != '\0')
		printf(" Pq %s%s%s", c->gauge ? "level" : "",
		    c->gauge && c->unit[0] != '\0' ? " in " : "", c->unit);
	putchar('\n');
	put_text(c->help);
}

static void
list_counters(void)
{
	const char *end = "";

#define S(title) printf("%s.Ss %s\n.Bl -tag -width 4n\n", end, title), end = ".El\n";
#define N(name, ...) put_counter(&counter_info[CNT_##name]);
#define G(name, ...) put_counter(&counter_info[CNT_##name]);
#include "shared/ipc/counters.def"
#undef N
#undef G
	fputs(end, stdout);
}

/* --- the source --------------------------------------------------------------------------- */

/* What is between this @ and the next, and where it ends. NULL: nothing, as in "@include". */
static const char *
find_filling(const char *at, const struct filling **out)
{
	size_t len = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");

	*out = NULL;
	if (len == 0 || at[1 + len] != '@')
		return NULL;
	for (size_t i = 0; i < sizeof(fillings) / sizeof(fillings[0]); i++)
		if (strlen(fillings[i].name) == len && memcmp(fillings[i].name, at + 1, len) == 0)
			*out = &fillings[i];
	return at + len + 2;
}

/* False: there is no such filling. */
static bool
put_line(const char *p)
{
	while (*p != '\0') {
		const struct filling *f;
		const char *end = *p == '@' ? find_filling(p, &f) : NULL;

		if (end == NULL) {
			putchar(*p++);
			continue;
		}
		if (f == NULL)
			return false;
		f->fn();
		/* Whole lines bring their own end. */
		p = f->fn == version || f->fn == sysconfdir || *end != '\n' ? end : end + 1;
	}
	return true;
}

int
main(int argc, char **argv)
{
	char line[LINE_MAX_BYTES];
	bool good = true;
	FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;

	if (f == NULL) {
		fprintf(stderr, "pages: %s: %s\n", argc == 2 ? argv[1] : "a source is wanted",
		    argc == 2 ? strerror(errno) : "there is none");
		return EXIT_FAILURE;
	}
	for (int n = 1; good && fgets(line, sizeof(line), f) != NULL; n++) {
		good = put_line(line);
		if (!good)
			fprintf(stderr, "%s:%d: there is nothing to fill in for it\n", argv[1], n);
	}
	good = !ferror(f) && good;
	fclose(f);
	return good && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
