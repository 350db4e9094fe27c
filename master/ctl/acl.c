/*
 * Access rules: what they are and how often each has decided, and what they say of a client
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/ctl/ctl.h"
#include "shared/ipc/proc.h"

/* Names of the workers that are there, which are the answer's; how many. */
static unsigned
workers_of(const json_t *status, const char *name[SLOT_MQTT_MAX])
{
	unsigned n = 0;
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(status, "processes"), i, p) {
		const char *title = json_string_value(json_object_get(p, "name"));
		const char *state = json_string_value(json_object_get(p, "state"));

		if (title != NULL && strncmp(title, "mqtt/", 5) == 0 && n < SLOT_MQTT_MAX &&
		    state != NULL && strcmp(state, "ready") == 0)
			name[n++] = title;
	}
	return n;
}

/* Counts of another worker's page, where its rules are the same: there may be a reload under way. */
static void
add_counts(json_t *items, const json_t *others)
{
	json_t *a;
	size_t i;

	json_array_foreach(items, i, a) {
		const json_t *b = json_array_get(others, i);
		json_int_t n = json_integer_value(json_object_get(a, "decided")) +
		    json_integer_value(json_object_get(b, "decided"));

		if (json_equal(json_object_get(a, "where"), json_object_get(b, "where")) &&
		    json_equal(json_object_get(a, "text"), json_object_get(b, "text")))
			json_object_set_new(a, "decided", json_integer(n));
	}
}

/* One page of all workers as one; NULL: that was the last, or it failed. */
static json_t *
page_of_all(json_t *const r[], unsigned n, int *code)
{
	json_t *first = ctl_page(r[0], code);

	for (unsigned i = 1; i < n && first != NULL; i++) {
		json_t *other = ctl_page(r[i], code);

		if (other == NULL && *code != DONE) {
			json_decref(first);
			return NULL;
		}
		add_counts(json_object_get(first, "items"), json_object_get(other, "items"));
		json_decref(other);
	}
	return first;
}

int
cmd_acl_list(int argc, char **argv)
{
	const char *name[SLOT_MQTT_MAX];
	json_t *status, *page, *item, *r[SLOT_MQTT_MAX];
	unsigned n;
	size_t i;
	int code;

	(void)argc;
	(void)argv;
	status = ctl_answer(ctl_request("status", "broker"), &code);
	if (status == NULL)
		return code;
	n = workers_of(status, name);
	for (unsigned w = 0; w < n; w++) {
		r[w] = ctl_request("list", "acl");
		json_object_set_new(r[w], "at", json_string(name[w]));
	}
	if (n == 0)
		code = ctl_complain(FAILED, "no worker is ready");
	while (n > 0 && (page = page_of_all(r, n, &code)) != NULL) {
		json_array_foreach(json_object_get(page, "items"), i, item)
			ctl_print_row(item);
		json_decref(page);
	}
	for (unsigned w = 0; w < n; w++)
		json_decref(r[w]);
	json_decref(status);
	return code;
}

/* --- rules that are kept ----------------------------------------------------------------- */

int
cmd_acl_add(int argc, char **argv)
{
	const char *before = ctl_option("--before");
	json_t *r = ctl_request("add", "rule");
	long line;

	(void)argc;
	ctl_parameter(r, "rule", argv[0]);
	if (before != NULL) {
		if (!ctl_number(before, 1, LONG_MAX, &line)) {
			json_decref(r);
			return ctl_bad_usage("--before: lines are counted from 1");
		}
		ctl_parameter_number(r, "before", line);
	}
	return ctl_simple(r);
}

int
cmd_acl_remove(int argc, char **argv)
{
	json_t *r = ctl_request("remove", "rule");
	long line;

	(void)argc;
	if (ctl_number(argv[0], 1, LONG_MAX, &line))
		ctl_parameter_number(r, "line", line);
	else
		ctl_parameter(r, "rule", argv[0]);
	return ctl_simple(r);
}

int
cmd_acl_load(int argc, char **argv)
{
	(void)argc;
	return ctl_simple(ctl_with_file(ctl_request("load", "rule"), argv[0]));
}

int
cmd_acl_export(int argc, char **argv)
{
	json_t *r = ctl_request("list", "rule"), *page, *item;
	size_t i;
	int code;

	(void)argc;
	(void)argv;
	if (ctl.json)
		return ctl_print_list(r, NULL);
	while ((page = ctl_page(r, &code)) != NULL) {
		json_array_foreach(json_object_get(page, "items"), i, item)
			puts(json_string_value(json_object_get(item, "text")));
		json_decref(page);
	}
	json_decref(r);
	return code;
}

/* --- what they say of a client ----------------------------------------------------------- */

/* What persist knows of the client, or NULL: nothing. The caller's. */
static json_t *
client_of(const char *id)
{
	json_t *r = ctl_request("show", "client"), *answer = NULL, *client = NULL;
	char *text;

	json_object_set_new(r, "at", json_string("persist/0"));
	ctl_parameter(r, "client_id", id);
	text = json_dumps(r, JSON_COMPACT);
	if (ctl_ask(text, &answer) == DONE) {
		client = json_incref(json_object_get(answer, "client"));
		json_decref(answer);
	}
	free(text);
	json_decref(r);
	return client;
}

/* The answer of a worker, which may want to be asked for another page. */
static json_t *
ask_worker(json_t *r, const char *worker, int *code)
{
	json_t *answer;

	json_object_set_new(r, "at", json_string(worker));
	while ((answer = ctl_answer(json_deep_copy(r), code)) != NULL) {
		json_t *next = json_object_get(answer, "next");

		if (next == NULL)
			return answer;
		json_object_set_new(r, "page", json_pack("{s:O}", "after", next));
		json_decref(answer);
	}
	return NULL;
}

int
cmd_explain(int argc, char **argv)
{
	const char *user = ctl_option("--user"), *cert = ctl_option("--cert"),
		   *groups = ctl_option("--groups"), *worker = NULL, *name[SLOT_MQTT_MAX];
	json_t *r = ctl_request("explain", "acl"), *status, *client = NULL, *answer;
	int code;

	(void)argc;
	status = ctl_answer(ctl_request("status", "broker"), &code);
	if (status == NULL) {
		json_decref(r);
		return code;
	}
	ctl_parameter(r, "client_id", argv[0]);
	ctl_parameter(r, "action", argv[1]);
	ctl_parameter(r, "topic", argv[2]);
	if (user == NULL && cert == NULL && groups == NULL) {
		client = client_of(argv[0]);
		worker = json_string_value(json_object_get(client, "worker"));
		user = json_string_value(json_object_get(client, "user_name"));
	}
	if (worker == NULL) { /* not connected: what would be, if it were */
		json_object_set_new(json_object_get(r, "parameters"), "supposed", json_true());
		ctl_parameter(r, "user", user);
		ctl_parameter(r, "cert", cert);
		ctl_parameter(r, "groups", groups);
		worker = workers_of(status, name) > 0 ? name[0] : NULL;
	}
	answer = worker != NULL ? ask_worker(r, worker, &code) : NULL;
	if (worker == NULL)
		code = ctl_complain(FAILED, "no worker is ready");
	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	else if (answer != NULL) {
		json_object_del(answer, "ok");
		ctl_print_lines(answer);
	}
	json_decref(answer);
	json_decref(client);
	json_decref(status);
	json_decref(r);
	return code;
}
