#include "master/ctl/command.h"

#include "tests/unit/unit.h"

static struct command_part part;

static void
nothing_has_no_parts(void)
{
	CU_ASSERT_PTR_NULL(command_part("", &part));
	CU_ASSERT_PTR_NULL(command_part("  ...", &part));
}

static void
brackets_that_are_not_closed_end_with_the_text(void)
{
	CU_ASSERT_STRING_EQUAL(command_part("[", &part), "");
	CU_ASSERT_EQUAL(part.len, 0);
	CU_ASSERT_STRING_EQUAL(command_part("[--a B", &part), "");
	CU_ASSERT(part.is_option && part.value_len == 1);
}

static void
option_takes_the_word_behind_it_unless_that_may_be_missing(void)
{
	const char *rest = command_part("FILE [--set KEY=VALUE]...", &part);

	CU_ASSERT(!part.is_option && !part.is_optional && part.len == 4);
	rest = command_part(rest, &part);
	CU_ASSERT(part.is_option && part.is_optional && part.len == 5);
	CU_ASSERT_NSTRING_EQUAL(part.value, "KEY=VALUE", part.value_len);
	CU_ASSERT_PTR_NULL(command_part(rest, &part));
	rest = command_part("[--counters [PROCESS]]", &part);
	CU_ASSERT(part.is_option && part.value == NULL);
	rest = command_part(rest, &part);
	CU_ASSERT(!part.is_option && part.is_optional && part.len == 7);
	CU_ASSERT_PTR_NULL(command_part(rest, &part));
}

static void
half_a_command_is_none(void)
{
	char *words[] = { (char *)"config", (char *)"imp", (char *)"x" };
	int used = 7;

	CU_ASSERT_PTR_NULL(command_find(0, words, &used));
	CU_ASSERT_PTR_NULL(command_find(1, words, &used));
	CU_ASSERT_PTR_NULL(command_find(2, words, &used));
	CU_ASSERT_EQUAL(used, 7);
	words[1] = (char *)"import";
	CU_ASSERT_PTR_EQUAL(command_find(3, words, &used), &commands[CMD_config_import]);
	CU_ASSERT_EQUAL(used, 2);
	CU_ASSERT(command_begins(&commands[CMD_config_import], 1, words));
	CU_ASSERT(!command_begins(&commands[CMD_config_import], 1, words + 1));
}

static void
as_another_command_has_the_options_of_that(void)
{
	CU_ASSERT_PTR_EQUAL(command_options(&commands[CMD_restart]), commands[CMD_start].options);
	CU_ASSERT_PTR_EQUAL(command_options(&commands[CMD_stop]), commands[CMD_stop].options);
}

static void
commands_are_one_or_two_words_and_never_begin_another(void)
{
	for (int i = 0; i < COMMANDS; i++) {
		const char *words = commands[i].words, *space = strchr(words, ' ');
		size_t len = strlen(words);

		CU_ASSERT(space == NULL || strchr(space + 1, ' ') == NULL);
		CU_ASSERT(commands[i].help[0] != '\0');
		for (int k = 0; k < COMMANDS; k++)
			CU_ASSERT(k == i || strncmp(words, commands[k].words, len) != 0 ||
			    (commands[k].words[len] != ' ' && commands[k].words[len] != '\0'));
	}
}

/* Calls f for each option o of each command c. */
static void
each_option(void (*f)(const struct command *c, const struct command_option *o))
{
	for (int i = 0; i < COMMANDS; i++)
		for (const struct command_option *o = commands[i].options; o->syntax != NULL; o++)
			f(&commands[i], o);
}

static void
option_is_said(const struct command *c, const struct command_option *o)
{
	char text[COMMAND_SYNTAX_MAX];

	CU_ASSERT_PTR_NOT_NULL(command_part(o->syntax, &part));
	CU_ASSERT(part.is_option);
	CU_ASSERT(o->help[0] != '\0');
	command_option_text(o, text);
	CU_ASSERT_NSTRING_EQUAL(text, "--", 2);
	command_syntax(c, text);
	CU_ASSERT(strlen(text) < COMMAND_SYNTAX_MAX - 1);
}

static void
every_option_is_an_option_with_a_help(void)
{
	each_option(option_is_said);
}

static struct command_part first;

static void
option_is_like_the_first(const struct command *c, const struct command_option *o)
{
	(void)c;
	command_part(o->syntax, &part);
	if (part.len == first.len && memcmp(part.name, first.name, part.len) == 0)
		CU_ASSERT_EQUAL(part.value != NULL, first.value != NULL);
}

static void
option_is_no_common_one(const struct command *c, const struct command_option *o)
{
	(void)c;
	command_part(o->syntax, &part);
	CU_ASSERT(part.len != first.len || memcmp(part.name, first.name, part.len) != 0);
}

static void
option_means_the_same_everywhere(const struct command *c, const struct command_option *o)
{
	(void)c;
	command_part(o->syntax, &first);
	each_option(option_is_like_the_first);
}

static void
whether_an_option_has_a_value_does_not_depend_on_the_command(void)
{
	each_option(option_means_the_same_everywhere);
	for (const struct command_option *o = command_common; o->syntax != NULL; o++) {
		command_part(o->syntax, &first);
		each_option(option_is_no_common_one);
	}
}

static void
what_a_name_stands_for_is_known_or_anything(void)
{
	CU_ASSERT_EQUAL(command_value("FILES", 4).kind, VALUE_FILE);
	CU_ASSERT_EQUAL(command_value("FILES", 5).kind, VALUE_ANY);
	CU_ASSERT_EQUAL(command_value("", 0).kind, VALUE_ANY);
	CU_ASSERT_EQUAL(command_value("LEVEL", 5).kind, VALUE_WORDS);
}

UNIT_MAIN("master/ctl/command", TEST(nothing_has_no_parts),
    TEST(brackets_that_are_not_closed_end_with_the_text),
    TEST(option_takes_the_word_behind_it_unless_that_may_be_missing), TEST(half_a_command_is_none),
    TEST(as_another_command_has_the_options_of_that),
    TEST(commands_are_one_or_two_words_and_never_begin_another),
    TEST(every_option_is_an_option_with_a_help),
    TEST(whether_an_option_has_a_value_does_not_depend_on_the_command),
    TEST(what_a_name_stands_for_is_known_or_anything))
