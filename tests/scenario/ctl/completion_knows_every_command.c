#include <stdlib.h>

#include "master/ctl/command.h"
#include "tests/lib/scenario.h"

#define QUERIES_MAX 400

/* A line that is completed: candidates that have to be among those offered, and one that must not. */
static struct query {
	char line[120], wanted[400], unwanted[40];
} queries[QUERIES_MAX];

static int n;

static void
ask(const char *line, const char *wanted, const char *unwanted)
{
	check(n < QUERIES_MAX);
	snprintf(queries[n].line, sizeof(queries[n].line), "%s", line);
	snprintf(queries[n].wanted, sizeof(queries[n].wanted), "%s", wanted);
	snprintf(queries[n].unwanted, sizeof(queries[n].unwanted), "%s", unwanted);
	n++;
}

static void
ask_words(const struct command *c)
{
	const char *space = strchr(c->words, ' ');
	char line[120];

	if (space != NULL)
		snprintf(
		    line, sizeof(line), "tbmqctl --json %.*s ", (int)(space - c->words), c->words);
	else
		snprintf(line, sizeof(line), "tbmqctl %.*s", (int)strlen(c->words) - 1, c->words);
	ask(line, space != NULL ? space + 1 : c->words, "--help");
}

static void
ask_options(const struct command *c)
{
	char line[120], wanted[400] = "--help";

	for (const struct command_option *o = command_options(c); o->syntax != NULL; o++) {
		struct command_part p;

		command_part(o->syntax, &p);
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), " %.*s",
		    (int)p.len, p.name);
	}
	snprintf(line, sizeof(line), "tbmqctl %s --", c->words);
	ask(line, wanted, strcmp(c->words, "client list") != 0 ? "--connected" : "");
}

static void
ask_values(void)
{
	ask("tbmqctl nonsense ", "", "start");
	ask("tbmqctl config nonsense ", "", "import");
	ask("tbmqctl client show -- --", "", "--json");
	ask("tbmqctl stop ", "", "start");
	ask("tbmqctl --port 1 --workers=2 star", "start", "");
	ask("tbmqctl --server-reference start dra", "drain", "");
	ask("tbmqctl log-level ", "err warning notice info debug", "");
	ask("tbmqctl log-level err ", "", "debug");
	ask("tbmqctl explain me ", "publish subscribe receive", "");
	ask("tbmqctl store dump --table ", "meta session state sub group msg queue", "--payload");
	ask("tbmqctl start --set inflight_max_b", "inflight_max_bytes=", "");
	ask("tbmqctl completion ", "bash zsh fish", "");
	ask("tbmqctl help con", "config", "");
}

static bool
has(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; (at = strstr(at, word)) != NULL; at++)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static void
look_at(const struct query *q, const char *shell, const char *offered)
{
	char wanted[400], *save;

	snprintf(wanted, sizeof(wanted), "%s", q->wanted);
	for (char *w = strtok_r(wanted, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		if (!has(offered, w))
			fail("%s does not offer %s for \"%s\": %s", shell, w, q->line, offered);
	if (q->unwanted[0] != '\0' && has(offered, q->unwanted))
		fail("%s offers %s for \"%s\"", shell, q->unwanted, q->line);
}

/* Answers are in the order of the questions. */
static void
look_at_answers(const char *shell)
{
	char path[200], line[16384];
	FILE *f;

	snprintf(path, sizeof(path), "%s/answers", broker.dir);
	f = fopen(path, "r");
	check(f != NULL);
	for (int i = 0; i < n; i++) {
		char *tab;

		if (fgets(line, sizeof(line), f) == NULL)
			fail("%s ended before \"%s\"", shell, queries[i].line);
		line[strcspn(line, "\n")] = '\0';
		tab = strchr(line, '\t');
		check(tab != NULL);
		*tab = '\0';
		check(strcmp(line, queries[i].line) == 0);
		look_at(&queries[i], shell, tab + 1);
	}
	fclose(f);
}

static void
run(const char *shell, const char *command)
{
	char text[600];

	snprintf(text, sizeof(text), "export PATH=$BIN:$PATH HOME=$DIR; rm -f $DIR/answers; %s",
	    command);
	if (broker_sh(text) != 0)
		fail("%s did not run", shell);
	look_at_answers(shell);
}

static void
run_all(void)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/queries", broker.dir);
	f = fopen(path, "w");
	check(f != NULL);
	for (int i = 0; i < n; i++)
		fprintf(f, "%s\n", queries[i].line);
	check(fclose(f) == 0);
	run("bash", "bash --norc tests/lib/complete.bash $DIR/share $DIR/queries $DIR/answers");
	run("zsh", "zsh -f tests/lib/complete.zsh $DIR/share $DIR/queries $DIR/answers");
	run("fish",
	    "XDG_DATA_DIRS=$DIR/share fish tests/lib/complete.fish $DIR/queries $DIR/answers");
}

/* Identifiers come from clients: none may be a command of the shell. */
static void
clients_are_offered(void)
{
	struct mq *m[] = { mq_connect(.id = "pump-1"), mq_connect(.id = "pump-2"),
		mq_connect(.id = "pump-$(reboot)"), mq_connect(.id = "pump-x;reboot"),
		mq_connect(.id = "pump y"), mq_connect(.id = "--pump"), mq_connect(.id = "other") };
	char line[300];

	n = 0;
	snprintf(line, sizeof(line), "tbmqctl --dir %s client show pum", broker.dir);
	ask(line, "pump-1 pump-2", "other");
	ask(line, "", "pump");
	ask(line, "", "pump-");
	ask(line, "", "pump-x");
	ask(line, "", "pump-$(reboot)");
	ask(line, "", "pump-x;reboot");
	snprintf(line, sizeof(line), "tbmqctl --dir=%s client kick ", broker.dir);
	ask(line, "pump-1 pump-2 other", "--pump");
	snprintf(line, sizeof(line), "tbmqctl subscription list --dir %s --client ", broker.dir);
	ask(line, "pump-1 pump-2 other", "--pump");
	run_all();
	for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++)
		mq_close(m[i]);
}

SCENARIO(1)
{
	broker_start();
	check(broker_sh("cd $DIR && mkdir -p share/bash-completion/completions "
			"share/zsh/site-functions share/fish/vendor_completions.d\n"
			"$CTL completion bash >share/bash-completion/completions/tbmqctl\n"
			"$CTL completion zsh >share/zsh/site-functions/_tbmqctl\n"
			"$CTL completion fish >share/fish/vendor_completions.d/tbmqctl.fish") == 0);
	for (int i = 0; i < COMMANDS; i++) {
		ask_words(&commands[i]);
		ask_options(&commands[i]);
	}
	ask_values();
	run_all();
	clients_are_offered();
	broker_stop();
}
