/*
 * ctl.h - what the commands of tbmqctl share: which broker, and how to ask it
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "master/ctl/command.h"
#include "shared/conf/dirs.h"

typedef int command_fn(int argc, char **argv); /* words only: options are asked for by name */

struct conf;
struct conf_error;

struct ctl {
	struct dirs dirs;
	bool json;
};

extern struct ctl ctl;

enum { DONE = 0, FAILED = 1, USAGE = 2, NOT_RUNNING = 3, TIMEOUT = 4 }; /* exit codes */

#define CTL_UNIT "tbmq.service"

bool ctl_is_running(void);
bool ctl_has_service(void); /* the installed broker is one, and there is a manager of them */
/* One request, one answer. 0; 3: nobody listens; 4: no answer in time; 1: errno. *out is the caller's. */
int ctl_ask(const char *text, json_t **out);
void ctl_find(const char *exe, char out[PATH_MAX]); /* next to us, in ../sbin, or by PATH */

/* --- say.c: what every command says in the same way --------------------------------------- */

#define CLEAR_LINE "\033[K" /* what is right of the cursor: progress on a terminal */

void ctl_print_json(const json_t *j);
void ctl_print_text(const char *name, const char *text); /* as JSON, the value of name */
void ctl_print_row(json_t *item);                        /* a line */
void ctl_print_lines(json_t *item); /* for people: a line for each of its values */
/* Gives code back. Programs that want JSON get it on stdout also when something is wrong. */
int ctl_complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ctl_bad_usage(const char *what);
int ctl_done(void); /* there is nothing to say but that it is done */

json_t *ctl_request(const char *verb, const char *resource);
void ctl_parameter(json_t *r, const char *name, const char *value); /* NULL: none */
void ctl_parameter_number(json_t *r, const char *name, long value);
/* A file that the broker opens, or NULL: none. Gives r back. */
json_t *ctl_with_file(json_t *r, const char *file);
/* The answer, or NULL with the exit code in *code and everything said. Takes request. */
json_t *ctl_answer(json_t *request, int *code);
int ctl_simple(json_t *r); /* asks, and prints the answer if it is wanted as JSON */
/*
 * The answer of one page, the caller's; r asks for the next then, and remembers when there is none. NULL: that was the
 * last, with *code DONE, or it failed and is said.
 */
json_t *ctl_page(json_t *r, int *code);
/* All pages of a list, row by row. Takes r. */
int ctl_print_list(json_t *r, const char *at);

/* A whole argument: "10s" or "soon" is none. */
bool ctl_number(const char *text, long min, long max, long *out);

/* --- args.c: options, which may stand on either side of the command; behind "--" there are none -- */

/* Words into words, which has room for argc + 1; how many, or -1: no memory. Borrows argv. */
int args_split(int argc, char **argv, char **words);
/* Does the command take them all? c NULL: there is none. An exit code; complains. */
int args_check(const struct command *c, int nwords);
/* Adds to these words what is tbmqd's, as it was written; how many there are now. */
int args_hand_on(char **words, int nwords);
void args_free(void);
const char *ctl_option(const char *name); /* its value; "" if it has none; NULL: not given */

/* --- help.c, completion.c ------------------------------------------------------------------ */

command_fn cmd_help, cmd_completion;

/* --- auth.c ------------------------------------------------------------------------------- */

command_fn cmd_auth_list, cmd_auth_show, cmd_auth_add, cmd_auth_passwd, cmd_auth_change,
    cmd_auth_remove, cmd_auth_import, cmd_auth_export;
/* --- block.c ------------------------------------------------------------------------------ */

command_fn cmd_block_add, cmd_block_list, cmd_block_remove;

/* --- doctor.c ----------------------------------------------------------------------------- */

command_fn cmd_doctor;

/* --- import.c ----------------------------------------------------------------------------- */

command_fn cmd_config_import;

/* --- acl.c -------------------------------------------------------------------------------- */

command_fn cmd_acl_list, cmd_acl_add, cmd_acl_remove, cmd_acl_load, cmd_acl_export, cmd_explain;

/* --- refused.c ---------------------------------------------------------------------------- */

command_fn cmd_refused_list, cmd_refused_clear;

/* --- store.c ------------------------------------------------------------------------------ */

command_fn cmd_store_status, cmd_store_backup, cmd_store_restore, cmd_store_verify,
    cmd_store_compact, cmd_store_dump;

#endif
