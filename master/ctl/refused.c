/*
 * Attempts that were refused. Each worker knows its own: here they become one list, of the last of each client.
 */
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"

/* Calls fn for each worker, until one says otherwise than DONE: an exit code. */
static int
each_worker(int (*fn)(const char *worker, json_t *arg), json_t *arg)
{
	json_t *status, *p;
	int code;
	size_t i;

	status = ctl_answer(ctl_request("status", "broker"), &code);
	json_array_foreach(json_object_get(status, "processes"), i, p) {
		const char *name = json_string_value(json_object_get(p, "name"));

		if (code == DONE && strncmp(name, "mqtt/", 5) == 0)
			code = fn(name, arg);
	}
	json_decref(status);
	return code;
}

static const char *
text_of(const json_t *item, const char *key)
{
	const char *text = json_string_value(json_object_get(item, key));

	return text != NULL ? text : "";
}

/* Times are written so that they sort as they are. */
static void
merge(json_t *all, json_t *item)
{
	const json_t *client = json_object_get(item, "client_id");
	const char *peer = text_of(item, "peer"), *colon = strrchr(peer, ':');
	json_t *key, *was;
	json_int_t sum;

	/* An address is no identifier that looks like it. */
	key = json_is_string(client)
	    ? json_sprintf("c%s", json_string_value(client))
	    : json_sprintf("a%.*s", colon != NULL ? (int)(colon - peer) : 0, peer);
	if (key == NULL)
		return;
	was = json_object_get(all, json_string_value(key));
	sum = json_integer_value(json_object_get(was, "attempts")) +
	    json_integer_value(json_object_get(item, "attempts"));
	if (was == NULL || strcmp(text_of(was, "at"), text_of(item, "at")) < 0) {
		json_object_set(all, json_string_value(key), item);
		was = item;
	}
	json_object_set_new(was, "attempts", json_integer(sum));
	json_decref(key);
}

static int
take_list(const char *worker, json_t *all)
{
	json_t *r = ctl_request("list", "refused"), *answer, *item;
	int code;
	size_t i;

	json_object_set_new(r, "at", json_string(worker));
	ctl_parameter(r, "client_id", ctl_option("--client"));
	while ((answer = ctl_page(r, &code)) != NULL) {
		json_array_foreach(json_object_get(answer, "items"), i, item)
			merge(all, item);
		json_decref(answer);
	}
	json_decref(r);
	return code;
}

static int
by_time(const void *a, const void *b)
{
	return strcmp(text_of(*(json_t *const *)a, "at"), text_of(*(json_t *const *)b, "at"));
}

static int
print_by_time(json_t *all)
{
	json_t **row = calloc(json_object_size(all) + 1, sizeof(json_t *)), *item;
	const char *key;
	size_t n = 0;

	if (row == NULL)
		return ctl_complain(FAILED, "no memory");
	json_object_foreach(all, key, item)
		row[n++] = item;
	qsort(row, n, sizeof(json_t *), by_time);
	for (size_t i = 0; i < n; i++)
		ctl_print_row(row[i]);
	free(row);
	return DONE;
}

int
cmd_refused_list(int argc, char **argv)
{
	json_t *all = json_object();
	int code = each_worker(take_list, all);

	(void)argc;
	(void)argv;
	if (code == DONE)
		code = print_by_time(all);
	json_decref(all);
	return code;
}

static int
clear(const char *worker, json_t *sum)
{
	json_t *r = ctl_request("clear", "refused"), *answer;
	json_int_t n = json_integer_value(json_object_get(sum, "cleared"));
	int code;

	json_object_set_new(r, "at", json_string(worker));
	answer = ctl_answer(r, &code);
	json_object_set_new(sum, "cleared",
	    json_integer(n + json_integer_value(json_object_get(answer, "cleared"))));
	json_decref(answer);
	return code;
}

int
cmd_refused_clear(int argc, char **argv)
{
	json_t *sum = json_pack("{s:i}", "cleared", 0);
	int code = each_worker(clear, sum);

	(void)argc;
	(void)argv;
	if (code == DONE)
		ctl_print_row(sum);
	json_decref(sum);
	return code;
}
