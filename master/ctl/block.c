/*
 * Clients, users and addresses that an administrator blocks.
 */
#include <stdio.h>
#include <string.h>

#include "master/ctl/ctl.h"
#include "shared/conf/conf.h"

static const struct {
	const char *option, *kind;
} kinds[] = {
	{ "--client", "client" },
	{ "--user", "user" },
	{ "--address", "address" },
	{ "--client-regex", "client_regex" },
	{ "--user-regex", "user_regex" },
};

/* The one that is named, into r; an exit code. */
static int
name_it(json_t *r)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (ctl_option(kinds[i].option) != NULL) {
			ctl_parameter(r, "kind", kinds[i].kind);
			ctl_parameter(r, "value", ctl_option(kinds[i].option));
			n++;
		}
	return n == 1 ? DONE
		      : ctl_bad_usage("one of --client, --user, --address, --client-regex and "
				      "--user-regex says what is blocked");
}

int
cmd_block_add(int argc, char **argv)
{
	json_t *r = ctl_request("add", "block"), *answer;
	const char *given = ctl_option("--for");
	char why[256], what[320];
	uint32_t for_s;
	int code = name_it(r);

	(void)argc;
	(void)argv;
	if (code == DONE && given != NULL && conf_seconds(given, &for_s, why) != 0) {
		snprintf(what, sizeof(what), "--for: %s", why);
		code = ctl_bad_usage(what);
	}
	if (code != DONE) {
		json_decref(r);
		return code;
	}
	if (given != NULL)
		ctl_parameter_number(r, "for_s", for_s);
	ctl_parameter(r, "reason", ctl_option("--reason"));
	answer = ctl_answer(r, &code);
	if (answer != NULL)
		ctl_print_row(json_object_get(answer, "block"));
	json_decref(answer);
	return code;
}

int
cmd_block_list(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_print_list(ctl_request("list", "block"), NULL);
}

int
cmd_block_remove(int argc, char **argv)
{
	json_t *r = ctl_request("remove", "block");
	int code = name_it(r);

	(void)argc;
	(void)argv;
	if (code == DONE)
		return ctl_simple(r);
	json_decref(r);
	return code;
}
