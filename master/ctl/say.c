#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"

#define PAGE 500 /* rows asked for at once */

/* --- answers ------------------------------------------------------------------------------ */

void
ctl_print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
}

void
ctl_print_text(const char *name, const char *text)
{
	json_t *j = ctl.json ? json_pack("{s:b, s:s}", "ok", 1, name, text) : NULL;

	if (j != NULL)
		ctl_print_json(j);
	else
		fputs(text, stdout);
	json_decref(j);
}

int
ctl_complain(int code, const char *fmt, ...)
{
	char text[PATH_MAX + 600];
	json_t *j;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "tbmqctl: %s\n", text);
	j = ctl.json ? json_pack("{s:b, s:s}", "ok", 0, "error", text) : NULL;
	if (j != NULL)
		ctl_print_json(j);
	json_decref(j);
	return code;
}

int
ctl_bad_usage(const char *what)
{
	return ctl_complain(USAGE, "%s; see tbmqctl --help", what);
}

int
ctl_done(void)
{
	if (ctl.json)
		printf("{\"ok\":true}\n");
	return DONE;
}

/* --- requests ---------------------------------------------------------------------------- */

/* Its path must not depend on where we are. */
json_t *
ctl_with_file(json_t *r, const char *file)
{
	char path[PATH_MAX];

	if (file != NULL)
		ctl_parameter(r, "file", realpath(file, path) != NULL ? path : file);
	return r;
}

json_t *
ctl_answer(json_t *request, int *code)
{
	char *text = json_dumps(request, JSON_COMPACT);
	json_t *answer;

	json_decref(request);
	*code = ctl_ask(text, &answer);
	free(text);
	if (*code == NOT_RUNNING)
		ctl_complain(*code, "no broker runs in %s; start it with `tbmqctl%s%s start`",
		    ctl.dirs.run, ctl.dirs.is_private ? " --dir " : "", ctl.dirs.dir);
	else if (*code == TIMEOUT)
		ctl_complain(*code, "the broker did not answer; look into its log");
	else if (*code != DONE)
		ctl_complain(*code,
		    "cannot talk to the broker at %s: %s; only root and its owner may",
		    ctl.dirs.control, strerror(errno));
	if (*code != DONE)
		return NULL;
	if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *error = json_string_value(json_object_get(answer, "error"));

		*code = ctl_complain(FAILED, "%s", error != NULL ? error : "refused");
		json_decref(answer);
		return NULL;
	}
	return answer;
}

json_t *
ctl_request(const char *verb, const char *resource)
{
	return json_pack("{s:s, s:s, s:{}}", "verb", verb, "resource", resource, "parameters");
}

void
ctl_parameter(json_t *r, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(json_object_get(r, "parameters"), name, json_string(value));
}

void
ctl_parameter_number(json_t *r, const char *name, long value)
{
	json_object_set_new(json_object_get(r, "parameters"), name, json_integer(value));
}

bool
ctl_number(const char *text, long min, long max, long *out)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || n < min || n > max)
		return false;
	*out = n;
	return true;
}

int
ctl_simple(json_t *r)
{
	int code;
	json_t *answer = ctl_answer(r, &code);

	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	json_decref(answer);
	return code;
}

/* A line stays a line, whatever clients have sent. */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ')
			return false;
	return true;
}

static void
print_value(const json_t *v)
{
	if (json_is_string(v) && is_plain(json_string_value(v)))
		printf("%s", json_string_value(v));
	else if (json_is_null(v))
		printf("-");
	else
		json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
}

void
ctl_print_row(json_t *item)
{
	const char *key;
	json_t *v;
	bool first = true;

	if (ctl.json) {
		ctl_print_json(item);
		return;
	}
	json_object_foreach(item, key, v) {
		printf("%s%s=", first ? "" : " ", key);
		print_value(v);
		first = false;
	}
	putchar('\n');
}

void
ctl_print_lines(json_t *item)
{
	const char *key;
	json_t *v;

	json_object_foreach(item, key, v) {
		printf("%-16s ", key);
		print_value(v);
		putchar('\n');
	}
}

json_t *
ctl_page(json_t *r, int *code)
{
	json_t *page = json_object_get(r, "page"), *answer, *next;

	*code = DONE;
	if (json_is_null(page))
		return NULL;
	if (page == NULL)
		json_object_set_new(r, "page", json_pack("{s:i}", "limit", PAGE));
	answer = ctl_answer(json_deep_copy(r), code);
	next = json_object_get(answer, "next");
	json_object_set_new(r, "page",
	    next != NULL ? json_pack("{s:O, s:i}", "after", next, "limit", PAGE) : json_null());
	return answer;
}

int
ctl_print_list(json_t *r, const char *at)
{
	json_t *answer, *item;
	int code;
	size_t i;

	if (at != NULL)
		json_object_set_new(r, "at", json_string(at));
	while ((answer = ctl_page(r, &code)) != NULL) {
		json_array_foreach(json_object_get(answer, "items"), i, item)
			ctl_print_row(item);
		json_decref(answer);
	}
	json_decref(r);
	return code;
}
