#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/ctl/ctl.h"

#define LOOK_MS 100 /* between two looks at work that takes long */
#define DAMAGED                                                                                    \
	"the store is damaged: restore a backup, or restart the broker with on_damage = "          \
	"\"salvage\", which keeps what can be read"

static void show_progress(const json_t *answer);
static json_t *work(json_t *r, int *code);

int
cmd_store_status(int argc, char **argv)
{
	json_t *answer;
	int code;

	(void)argc;
	(void)argv;
	answer = ctl_answer(ctl_request("status", "store"), &code);
	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	else if (answer != NULL)
		ctl_print_lines(json_object_get(answer, "store"));
	json_decref(answer);
	return code;
}

int
cmd_store_backup(int argc, char **argv)
{
	char here[PATH_MAX / 2] = "", dir[PATH_MAX];
	json_t *r, *answer;
	int code;

	(void)argc;
	if (argv[0][0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return ctl_complain(FAILED, "where are we? %s", strerror(errno));
	if (snprintf(dir, sizeof(dir), "%s%s%s", here, here[0] != '\0' ? "/" : "", argv[0]) >=
	    (int)sizeof(dir))
		return ctl_complain(FAILED, "the directory's name is too long");
	r = ctl_request("backup", "store");
	ctl_parameter(r, "directory", dir);
	answer = work(r, &code);
	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	else if (answer != NULL)
		printf(
		    "%s: %lld bytes\n", dir, json_integer_value(json_object_get(answer, "bytes")));
	json_decref(answer);
	return code;
}

int
cmd_store_compact(int argc, char **argv)
{
	json_t *answer;
	int code;

	(void)argc;
	(void)argv;
	answer = work(ctl_request("compact", "store"), &code);
	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	else if (answer != NULL)
		printf("%lld bytes given back\n",
		    json_integer_value(json_object_get(answer, "bytes")));
	json_decref(answer);
	return code;
}

int
cmd_store_dump(int argc, char **argv)
{
	json_t *r = ctl_request("dump", "store");

	(void)argc;
	(void)argv;
	if (ctl_option("--payload") != NULL)
		json_object_set_new(json_object_get(r, "parameters"), "payload", json_true());
	ctl_parameter(r, "table", ctl_option("--table"));
	return ctl_print_list(r, "persist/0");
}

int
cmd_store_verify(int argc, char **argv)
{
	json_t *answer, *file;
	int code;
	size_t i;

	(void)argc;
	(void)argv;
	answer = work(ctl_request("verify", "store"), &code);
	if (answer == NULL)
		return code;
	if (json_is_true(json_object_get(answer, "damaged"))) {
		code = FAILED;
		json_object_set_new(answer, "ok", json_false());
		json_object_set_new(answer, "error", json_string(DAMAGED));
	}
	if (ctl.json) {
		ctl_print_json(answer);
	} else {
		json_array_foreach(json_object_get(answer, "files"), i, file)
			printf("%-9s %s\n", json_string_value(json_object_get(file, "file")),
			    json_is_true(json_object_get(file, "damaged")) ? "damaged" : "good");
		if (code != DONE)
			ctl_complain(code, DAMAGED);
	}
	json_decref(answer);
	return code;
}

/* --- work that takes long ---------------------------------------------------------------- */

static void
show_progress(const json_t *answer)
{
	long long done = json_integer_value(json_object_get(answer, "done"));
	long long all = json_integer_value(json_object_get(answer, "all"));

	fprintf(stderr, "\r%s", json_string_value(json_object_get(answer, "step")));
	if (all > 0)
		fprintf(stderr, " %lld %%", done < all ? done * 100 / all : 100);
	fputs(CLEAR_LINE, stderr);
}

/* Begins it and waits for its end. Takes r. What came of it, or NULL with everything said. */
static json_t *
work(json_t *r, int *code)
{
	json_t *answer = ctl_answer(r, code);
	long number = (long)json_integer_value(json_object_get(answer, "job"));
	bool shows = isatty(STDERR_FILENO), runs = answer != NULL;

	while (runs) {
		json_decref(answer);
		r = ctl_request("job", "store");
		ctl_parameter_number(r, "job", number);
		answer = ctl_answer(r, code);
		runs = json_is_true(json_object_get(answer, "running"));
		if (runs && shows)
			show_progress(answer);
		if (runs)
			poll(NULL, 0, LOOK_MS);
	}
	if (shows)
		fputs("\r" CLEAR_LINE, stderr);
	return answer;
}
