#include <ctype.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/ctl/command.h"
#include "shared/conf/table.h"
#include "shared/ipc/counter.h"
#include "tests/unit/unit.h"

#define TEXT_MAX 400000

static char text[TEXT_MAX];

static const char *
build(void)
{
	const char *dir = getenv("BUILD");

	return dir != NULL ? dir : "build";
}

/* Runs it and reads into text what it prints, on stderr too; its exit code. */
static int __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char command[1000];
	size_t len;
	va_list ap;
	FILE *f;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "r");
	if (f == NULL)
		return -1;
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The page as it is read, but for quotes of code; spaces and ends of lines are one space each. */
static void
read_page(const char *name)
{
	char *to = text;

	CU_ASSERT_EQUAL(
	    run("groff -mandoc -ww -Tascii -P-cbou -rLL=900n -rHY=0 %s/man/%s 2>&1", build(), name),
	    0);
	for (const char *from = text; *from != '\0'; from++)
		if (!isspace((unsigned char)*from))
			*to++ = *from == '`' ? '\'' : *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	*to = '\0';
}

/* Does the page have these words? Their quotes and spaces are as a page's. */
static bool __attribute__((format(printf, 1, 2))) has(const char *fmt, ...)
{
	char words[4000], *to = words;
	bool found;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	for (char *from = words; *from != '\0'; from++)
		*to++ = *from == '`' ? '\'' : *from;
	found = strstr(text, words) != NULL;
	if (!found)
		printf("\nnot there: %s\n", words);
	return found;
}

/* --- the program -------------------------------------------------------------------------- */

static int
fill(const char *source)
{
	return run("t=$(mktemp) && printf '%%s' '%s' >$t && %s/bin/pages $t 2>&1; c=$?; rm $t; "
		   "exit $c",
	    source, build());
}

static void
source_that_cannot_be_read_is_told(void)
{
	CU_ASSERT_EQUAL(run("%s/bin/pages /nonexistent 2>&1", build()), 1);
	CU_ASSERT_STRING_EQUAL(text, "pages: /nonexistent: No such file or directory\n");
	CU_ASSERT_EQUAL(run("%s/bin/pages 2>&1", build()), 1);
	CU_ASSERT_EQUAL(run("%s/bin/pages /tmp 2>&1", build()), 1);
}

static void
filling_that_nobody_knows_is_told_with_its_line(void)
{
	CU_ASSERT_EQUAL(fill("one\n@verison@\n"), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ":2: there is nothing to fill in for it\n"));
}

static void
other_characters_stay_as_they_are(void)
{
	CU_ASSERT_EQUAL(fill("@include \"x\"\na@b.c @@ @any, @1 @Version@ @"), 0);
	CU_ASSERT_STRING_EQUAL(text, "@include \"x\"\na@b.c @@ @any, @1 @Version@ @");
	CU_ASSERT_EQUAL(fill(".Os TBMQ @version@, @version@\nx"), 0);
	CU_ASSERT_STRING_EQUAL(text, ".Os TBMQ " TBMQ_VERSION ", " TBMQ_VERSION "\nx");
}

static void
pages_are_the_same_whoever_makes_them(void)
{
	CU_ASSERT_EQUAL(run("cd contrib/man && for p in *.[1-9]; do\n"
			    "umask 077; cd /tmp; LC_ALL=tr_TR.UTF-8 TZ=Asia/Tokyo "
			    "\"$OLDPWD\"/../../%s/bin/pages \"$OLDPWD\"/$p | "
			    "cmp - \"$OLDPWD\"/../../%s/man/$p || exit; cd \"$OLDPWD\"; done",
			    build(), build()),
	    0);
}

/* --- the pages ---------------------------------------------------------------------------- */

static void
every_page_has_a_name_for_whatis(void)
{
	CU_ASSERT_EQUAL(run("for p in %s/man/*; do n=${p##*/}; lexgrog $p | "
			    "grep -q \"\\\"${n%%.*} - \" || { echo $p; exit 1; }; done",
			    build()),
	    0);
	CU_ASSERT_STRING_EQUAL(text, "");
}

/* As pages writes a help: a sentence. */
static bool
has_sentence(const char *head, const char *help)
{
	return has("%s %c%s. ", head, toupper((unsigned char)help[0]), help + 1);
}

static void
every_command_and_option_stands_in_tbmqctl(void)
{
	char syntax[COMMAND_SYNTAX_MAX], head[COMMAND_SYNTAX_MAX + 40];

	read_page("tbmqctl.8");
	for (const struct command_option *o = command_common; o->syntax != NULL; o++) {
		command_option_text(o, syntax);
		CU_ASSERT(has_sentence(syntax, o->help));
	}
	for (int i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		command_syntax(c, syntax);
		snprintf(
		    head, sizeof(head), " %s%s%s", c->words, syntax[0] != '\0' ? " " : "", syntax);
		CU_ASSERT(has_sentence(head, c->help));
		for (const struct command_option *o = c->options; o->syntax != NULL; o++) {
			command_option_text(o, syntax);
			CU_ASSERT(has_sentence(syntax, o->help));
		}
	}
}

static void
every_option_of_its_help_stands_in_tbmqd(void)
{
	char help[8192], *line, *save, option[100];
	int n = 0;

	CU_ASSERT_EQUAL(run("%s/bin/tbmqd --help", build()), 0);
	snprintf(help, sizeof(help), "%.8000s", text);
	read_page("tbmqd.8");
	for (line = strtok_r(help, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "  -", 3) == 0) {
			/* Two spaces part it from what it does. */
			snprintf(option, sizeof(option), "%.*s",
			    (int)(strstr(line + 2, "  ") - line - 2), line + 2);
			CU_ASSERT(has(" %s ", option));
			n++;
		}
	CU_ASSERT(n >= 10);
	CU_ASSERT(has(" TBMQ_PORT, TBMQ_WORKERS, TBMQ_DATA_DIR "));
}

static void
keys_stand_in_the_page(const struct conf_key *keys, size_t n)
{
	char says[CONF_SAYS_MAX];

	for (size_t i = 0; i < n; i++) {
		conf_key_says(&keys[i], says);
		CU_ASSERT(has(") %s Default: ", says));
		CU_ASSERT(has(" %s (", keys[i].name));
	}
}

static void
every_key_stands_in_tbmq_conf(void)
{
	read_page("tbmq.conf.5");
	keys_stand_in_the_page(conf_keys, conf_nkeys);
	keys_stand_in_the_page(conf_listener_keys, conf_nlistener_keys);
	CU_ASSERT(has(" inflight_max (number) "));
	CU_ASSERT(has(" Default: \"64 MiB\"; from \"1 MiB\" to \"1024 GiB\". "));
	CU_ASSERT(has(" " TBMQ_SYSCONFDIR "/tbmq/tbmq.conf "));
	CU_ASSERT(has(" Limits on what a client may send max_packet_size (size) "));
}

static void
every_counter_stands_in_tbmq_counters(void)
{
	read_page("tbmq-counters.7");
	for (int i = 0; i < COUNTERS; i++) {
		const struct counter_info *c = &counter_info[i];

		CU_ASSERT(has(" %s%s%s%s %s ", c->name, c->gauge || c->unit[0] != '\0' ? " (" : "",
		    !c->gauge                ? c->unit
			: c->unit[0] != '\0' ? "level in bytes"
					     : "level",
		    c->gauge || c->unit[0] != '\0' ? ")" : "", c->help));
	}
}

UNIT_MAIN("contrib/man/pages", TEST(source_that_cannot_be_read_is_told),
    TEST(filling_that_nobody_knows_is_told_with_its_line), TEST(other_characters_stay_as_they_are),
    TEST(pages_are_the_same_whoever_makes_them), TEST(every_page_has_a_name_for_whatis),
    TEST(every_command_and_option_stands_in_tbmqctl),
    TEST(every_option_of_its_help_stands_in_tbmqd), TEST(every_key_stands_in_tbmq_conf),
    TEST(every_counter_stands_in_tbmq_counters))
