#include <jansson.h>
#include <sys/resource.h>

#include "tests/lib/scenario.h"

/* The remedy of the first finding about this with this verdict; NULL: there is none. Borrowed until the next call. */
static const char *
remedy(const char *command, const char *about, const char *verdict)
{
	static json_t *said;
	const json_t *f;
	char cmd[200], path[200];
	size_t i;

	snprintf(cmd, sizeof(cmd), "$CTL --json doctor %s >$DIR/found", command);
	(void)broker_sh(cmd);
	snprintf(path, sizeof(path), "%s/found", broker.dir);
	json_decref(said);
	said = json_load_file(path, 0, NULL);
	check(json_is_object(said));
	json_array_foreach(json_object_get(said, "findings"), i, f)
		if (strcmp(json_string_value(json_object_get(f, "about")), about) == 0 &&
		    strcmp(json_string_value(json_object_get(f, "verdict")), verdict) == 0) {
			const char *r = json_string_value(json_object_get(f, "remedy"));

			return r != NULL ? r : "";
		}
	return NULL;
}

SCENARIO(2)
{
	struct rlimit few = { 500, 500 };
	const char *r;

	/* A broker that does not run yet, and a file that is wrong. */
	check(broker_sh("echo 'inflight_max = 0;' >$DIR/tbmq.conf; $CTL doctor >$DIR/out") == 1);
	check(broker_sh("grep -q '^problem  configuration: .*inflight_max' $DIR/out") == 0);
	check(broker_sh("rm $DIR/tbmq.conf; $CTL doctor --connections 10 >$DIR/out") == 0);

	/* One that runs: its own limits, and what is in force although the file says otherwise. */
	broker_start();
	check(remedy("--connections 10", "descriptors", "ok") != NULL);
	check(prlimit(broker_pid_of("mqtt/1"), RLIMIT_NOFILE, &few, NULL) == 0);
	r = remedy("--connections 5000", "descriptors", "problem");
	check(r != NULL && strstr(r, "ulimit -Hn 27") != NULL);
	check(broker_sh("$CTL doctor --connections 5000 >$DIR/out") == 1);
	check(broker_sh("grep -q '^problem  descriptors: .* may have 500' $DIR/out") == 0);
	check(
	    broker_sh(
		"sed -i 's/^#max_connections = .*/max_connections = 5000;/' $DIR/tbmq.conf") == 0);
	check(remedy("", "descriptors", "problem") == NULL);
	check(ctl("reload") == 0);
	check(remedy("", "descriptors", "problem") != NULL);

	/* Who may come in from elsewhere. */
	check(remedy("", "strangers", "advice") == NULL);
	broker_reload("\taddress =", "\t\taddress = \"*\";");
	r = remedy("", "strangers", "advice");
	check(r != NULL && strstr(r, "authentication = ") != NULL);

	/* Who may read secrets, and change what the broker believes. */
	check(remedy("--connections 10", "files", "problem") == NULL);
	check(broker_sh(
		  "head -c 40 /dev/zero | tr '\\0' x >$DIR/secret; chmod 644 $DIR/secret\n"
		  "sed -i \"s|^#jwt_secret_file = .*|jwt_secret_file = \\\"$DIR/secret\\\";|; "
		  "s|^#authentication = .*|authentication = \\\"jwt\\\";|\" $DIR/tbmq.conf") == 0);
	check(ctl("reload") == 0);
	r = remedy("--connections 10", "files", "problem");
	check(r != NULL && strncmp(r, "chmod o-rwx ", 12) == 0 && strstr(r, "/secret") != NULL);
	check(broker_sh("chmod o-rwx $DIR/secret; chmod o+w $DIR/tbmq.conf") == 0);
	r = remedy("--connections 10", "files", "problem");
	check(r != NULL && strncmp(r, "chmod o-w ", 10) == 0 && strstr(r, "tbmq.conf") != NULL);
	check(broker_sh("chmod o-w $DIR/tbmq.conf; chmod 755 $DIR/data") == 0);
	r = remedy("--connections 10", "files", "problem");
	check(r != NULL && strncmp(r, "chmod o-rwx ", 12) == 0 && strstr(r, "/data") != NULL);
	check(broker_sh("chmod 750 $DIR/data") == 0);
	check(remedy("--connections 10", "files", "problem") == NULL);
}
