/*
 * And that of nobody else, also if the process that said so has died meanwhile.
 */
#include <signal.h>

#include "tests/lib/scenario.h"

static char token[2][2048];

static void
make(int i, const char *claims)
{
	char command[400];
	FILE *f;

	snprintf(command, sizeof(command), "tests/lib/token.sh HS256 %s/secret '%s'", broker.dir,
	    claims);
	f = popen(command, "r");
	check(f != NULL && fgets(token[i], sizeof(token[i]), f) != NULL && pclose(f) == 0);
}

SCENARIO(1, 4)
{
	struct mq *ends, *stays;
	struct packet p;
	char path[160];

	clock_move(0);
	check(broker_sh("printf 'a secret of more than 32 bytes, I hope' >$DIR/secret") == 0);
	snprintf(path, sizeof(path), "jwt_secret_file=%s/secret", broker.dir);
	broker_start(path, "jwt_leeway=5", "jwt_from=username", "authentication=jwt");
	make(0, "{\"exp\":+3600}");
	make(1, "{}");
	ends = mq_connect(.id = "ends", .user = token[0]);
	stays = mq_connect(.id = "stays", .user = token[1]);
	broker_kill("auth/0", SIGKILL);
	broker_wait_ready();
	clock_move(3590 * 1000);
	mq_quiet(ends);
	clock_move(3700 * 1000);
	p = mq_need(ends, 14);
	check(p.len > 0 && p.body[0] == 0xa0);
	mq_close(ends);
	mq_quiet(stays);
	ends = mq_try((struct mq_opts){ .id = "ends", .user = token[0] });
	check(ends->reason == 0x86);
	mq_close(ends);
	broker_reload("jwt_need_expiry =", "jwt_need_expiry = true;");
	ends = mq_try((struct mq_opts){ .id = "ends", .user = token[1] });
	check(ends->reason == 0x86);
	mq_close(ends);
	mq_quiet(stays);
	mq_disconnect(stays);
	broker_stop();
}
