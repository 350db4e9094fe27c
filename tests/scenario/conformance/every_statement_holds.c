#include <jansson.h>

#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"
#include "tests/scenario/conformance/lacking.h"

/* Results of the checks against the broker that runs; what was printed is shown if there is a failure. */
static json_t *
results(int port, const char *options)
{
	char command[600], path[200];
	json_t *all;

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-conformance --port %d --patience %d --json %s >$DIR/results", port,
	    deadline_ms() / 6000, options);
	if (broker_sh(command) != 0) {
		broker_sh("grep -B3 -A4 '\"result\": \"fail\"' $DIR/results");
		fail("a statement does not hold");
	}
	snprintf(path, sizeof(path), "%s/results", broker.dir);
	all = json_load_file(path, 0, NULL);
	check(json_is_array(all));
	return all;
}

static bool
has_passed(json_t *all, const char *version, const char *id)
{
	size_t i;
	json_t *r;

	json_array_foreach(all, i, r)
		if (strcmp(json_string_value(json_object_get(r, "version")), version) == 0 &&
		    strcmp(json_string_value(json_object_get(r, "id")), id) == 0)
			return strcmp(json_string_value(json_object_get(r, "result")), "pass") == 0;
	return false;
}

/* What has passed passes over another transport, too; WebSocket has statements of its own. */
static void
hold_over(const char *transport, json_t *all)
{
	bool secure = strcmp(transport, "ws") != 0, framed = strcmp(transport, "tls") != 0;
	char options[200];
	json_t *there, *r;
	size_t i;

	snprintf(options, sizeof(options), "--transport %s %s", transport,
	    secure ? "--cafile $DIR/ca/ca.crt" : "");
	there = results(tls_listener_of(transport, transport,
			    secure ? "certificate = \"$CA/server.crt\"; "
				     "certificate_key = \"$CA/server.key\";"
				   : ""),
	    options);
	json_array_foreach(all, i, r) {
		const char *version = json_string_value(json_object_get(r, "version"));
		const char *id = json_string_value(json_object_get(r, "id"));
		bool due = framed && strncmp(id, "MQTT-6.0.0-", 11) == 0;

		if ((due || has_passed(all, version, id)) && !has_passed(there, version, id))
			fail("MQTT %s %s was not checked over %s", version, id, transport);
	}
	json_decref(there);
}

#define ABOUT_METHODS                                                                              \
	"3.1.2-30,3.1.4-2,3.1.4-6,3.2.0-1,3.15.1-1,3.15.2-1,4.12.0-1,4.12.0-6,4.12.0-7,4.12.1-1,"  \
	"4.13.2-1"

SCENARIO(1, 2, 4)
{
	static const char *const transport[] = { [1] = "tls", [2] = "wss", [4] = "ws" };
	json_t *all, *lacking, *r;
	size_t i;

	broker_start();
	all = results(broker.port, "");
	hold_over(transport[workers()], all);
	broker_stop();
	broker_start(LACKING);
	lacking = results(broker.port, ONLY_LACKING);
	/* What could not be checked with the one was checked with the other. */
	json_array_foreach(lacking, i, r) {
		const char *version = json_string_value(json_object_get(r, "version"));
		const char *id = json_string_value(json_object_get(r, "id"));

		if (!has_passed(lacking, version, id) && !has_passed(all, version, id))
			fail("MQTT %s %s was checked nowhere", version, id);
	}
	check(json_array_size(lacking) > 0 && json_array_size(all) > 400);
	json_decref(all);
	json_decref(lacking);
	broker_stop();
	/* Where there are authentication methods, nobody else notices. */
	broker_start("authentication=scram");
	json_decref(results(broker.port, "--only " ABOUT_METHODS));
}
