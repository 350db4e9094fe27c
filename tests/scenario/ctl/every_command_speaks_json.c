#include <jansson.h>
#include <stdlib.h>

#include "tests/lib/scenario.h"

static const struct row {
	const char *words, *arguments,
	    *wrong;  /* wrong: arguments that are refused; NULL: all are taken */
	int stopped; /* exit code where no broker runs */
} rows[] = {
	{ "start", "", "--port", 0 }, { "status", "", "x", 3 },
	{ "status", "--counters mqtt/0", "--counters mqtt/99", 3 }, { "version", "", "x", 3 },
	{ "reload", "", "x", 3 }, { "config check", "", "$DIR/none", 0 },
	{ "config show", "", "x", 3 }, { "config diff", "", "$DIR/none", 3 },
	{ "config apply", "$DIR/good.conf --confirm 60", "$DIR/good.conf --confirm soon", 3 },
	{ "config confirm", "", "", 3 }, /* once */
	{ "config rollback", "", "x", 3 }, { "config sample", "", "x", 0 },
	{ "config import", "$DIR/mosquitto.conf", "$DIR/none", 0 },
	{ "log-level", "notice conn", "loud", 3 }, { "worker restart", "0", "64", 3 },
	{ "client list", "--connected --prefix k --filter k --worker 0", "--prefix", 3 },
	{ "client show", "known", "unknown", 3 }, { "client kick", "known", "unknown", 3 },
	{ "client clear-session", "known", "unknown", 3 }, { "subscription list", "", "x", 3 },
	{ "retained list", "'#'", "a b", 3 }, { "retained show", "kept", "other", 3 },
	{ "retained clear", "kept", "", 3 }, { "quarantine list", "", "x", 3 },
	{ "auth add", "anna --no-password", "anna --no-password", 3 }, /* once */
	{ "auth list", "", "x", 3 }, { "auth show", "anna", "nobody", 3 },
	{ "auth passwd", "anna --cost 10 <$DIR/users", "anna --cost 9 <$DIR/users", 3 },
	{ "auth change", "anna --disable", "anna", 3 }, { "auth export", "", "x", 3 },
	{ "auth import", "$DIR/users --replace", "$DIR/none", 3 },
	{ "auth remove", "anna", "nobody", 3 }, { "quarantine clear", "", "nobody", 3 },
	{ "acl list", "", "x", 3 }, { "acl load", "etc/acl.example", "$DIR/none", 3 },
	{ "acl export", "", "x", 3 }, { "acl add", "'deny all all #'", "nonsense", 3 },
	{ "acl remove", "'deny all all #'", "1000", 3 },
	{ "explain", "known publish a --user u", "known read a", 3 },
	{ "block add", "--client blocked --for 10m --reason r", "--address x", 3 },
	{ "refused list", "--client x", "x", 3 }, { "refused clear", "", "x", 3 },
	{ "block list", "", "x", 3 }, { "block remove", "--client blocked", "--client free", 3 },
	{ "store status", "", "x", 3 },
	{ "store backup", "$DIR/copy", "$DIR/copy", 3 }, /* it is not empty then */
	{ "store verify", "", "x", 3 }, { "store compact", "", "x", 3 },
	{ "store dump", "--table session --payload", "--table users", 3 },
	{ "drain", "--rate 0 --server-reference other", "--rate x", 3 },
	{ "doctor", "--connections 1", "--connections 0", 0 },
	{ "restart", "--port 0", "--nonsense", 0 }, { "stop", "", "x", 3 }, { "help", "", "x", 0 },
	{ "completion", "zsh", "sh", 0 },
	{ "store restore", "$DIR/copy --force", "$DIR/copy", 1 }, /* there is no copy at first */
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Runs it and looks at each line of its output. */
static int
run(const struct row *r, const char *arguments)
{
	char cmd[400], path[200], line[65536];
	int code, lines = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "$CTL --json %s %s >$DIR/out", r->words, arguments);
	code = broker_sh(cmd);
	snprintf(path, sizeof(path), "%s/out", broker.dir);
	f = fopen(path, "r");
	check(f != NULL);
	for (; fgets(line, sizeof(line), f) != NULL; lines++) {
		json_t *j = json_loads(line, 0, NULL), *ok = json_object_get(j, "ok");

		if (!json_is_object(j) || (ok != NULL && json_is_true(ok) != (code == 0)))
			fail("%s, exit code %d: %s", cmd, code, line);
		if (code != 0 && !json_is_string(json_object_get(j, "error")))
			fail("%s, exit code %d, says no error: %s", cmd, code, line);
		json_decref(j);
	}
	fclose(f);
	if (lines == 0 && strstr(r->words, "list") == NULL)
		fail("%s prints nothing", cmd);
	return code;
}

/* Each line of --help that begins with a command is one of ours; others begin with spaces or an option. */
static void
help_is_walked(void)
{
	char *text = ctl_text("--help"), *line, *save;

	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		bool known = strncmp(line, "  ", 2) != 0 || line[2] == ' ' || line[2] == '-';

		for (size_t i = 0; i < ROWS && !known; i++)
			known = strncmp(line + 2, rows[i].words, strlen(rows[i].words)) == 0;
		if (!known)
			fail("not tried: %s", line);
	}
}

SCENARIO(2)
{
	struct mq *m;

	check(broker_sh("printf 'name,user_name\\nbob,bob\\n' >$DIR/users; printf 'port 1\\n' "
			">$DIR/mosquitto.conf") == 0);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].stopped != 0 && run(&rows[i], rows[i].arguments) != rows[i].stopped)
			fail("%s without a broker", rows[i].words);
	check(broker_sh("$CTL config sample | sed 's/port = 1883/port = 0/' >$DIR/tbmq.conf\n"
			"cp $DIR/tbmq.conf $DIR/good.conf") == 0);
	help_is_walked();
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		if (strncmp(r->words, "client ", 7) == 0 ||
		    strcmp(r->words, "retained list") == 0) {
			m = mq_on_worker(0, (struct mq_opts){ .id = "known", .expiry = 100 });
			mq_publish(m, "kept", "x", 1, true);
		} else {
			m = NULL;
		}
		if (run(r, r->arguments) != 0)
			fail("%s %s is refused", r->words, r->arguments);
		if (i == 0)
			broker_adopt();
		if (run(r, r->wrong) == 0)
			fail("%s %s is not refused", r->words, r->wrong);
		if (m != NULL)
			mq_close(m);
	}
	broker.runs = false;
}
