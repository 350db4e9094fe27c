/*
 * command.h - commands.def as data: for main.c, which runs a command, and for whatever tells of them
 *
 * Nothing here has a state.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum command_id {
#define C(id, ...) CMD_##id,
#include "master/ctl/commands.def"
	COMMANDS
};

/* What completion offers for a value or argument. */
enum value_kind {
	VALUE_ANY, /* nothing */
	VALUE_FILE,
	VALUE_DIR,
	VALUE_CLIENT,  /* identifiers that the broker knows */
	VALUE_KEY,     /* of the configuration, with "=" behind it */
	VALUE_COMMAND, /* first words of commands */
	VALUE_WORDS,   /* those of the table */
};

struct command_value {
	const char *name;
	enum value_kind kind;
	const char *words;
};

struct command_option {
	const char *syntax, *help;
};

struct command {
	const char *words, *arguments, *help;
	const struct command_option *options; /* up to one without syntax */
};

extern const struct command commands[COMMANDS];
extern const struct command_option command_common[]; /* likewise */

#define COMMAND_SYNTAX_MAX 600

/* A part of arguments or of an option's syntax. */
struct command_part {
	const char *name;
	size_t len;
	const char *value; /* of an option; NULL: it has none */
	size_t value_len;
	bool is_option, is_optional;
};

/* Takes one part off a text, and gives what follows it; NULL: there is no more. */
const char *command_part(const char *text, struct command_part *out);
/* An option's syntax without the brackets that say it may be missing, as "--counters [PROCESS]". */
void command_option_text(const struct command_option *o, char out[COMMAND_SYNTAX_MAX]);
/* Its options; if it is "as" another one, the other's. */
const struct command_option *command_options(const struct command *c);
/* The command whose words begin these, *used_out of them; NULL: none. */
const struct command *command_find(int argc, char **argv, int *used_out);
/* Do these words, which may be less than all of its, lead to it? */
bool command_begins(const struct command *c, int argc, char **argv);
/* Whether what else tbmqd takes is handed on to it. */
bool command_hands_on(const struct command *c);
/* Its arguments and options, as they are written behind its words. */
void command_syntax(const struct command *c, char out[COMMAND_SYNTAX_MAX]);
/* What a name in capitals stands for. */
struct command_value command_value(const char *name, size_t len);

#endif
