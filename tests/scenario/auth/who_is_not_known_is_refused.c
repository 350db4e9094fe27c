#include "tests/lib/scenario.h"

#define CRED "--cost 10 >$DIR/out 2>&1"

static int
answer(int version, const char *id, const char *user, const char *password)
{
	struct mq *m = mq_try(
	    (struct mq_opts){ .version = version, .id = id, .user = user, .password = password });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

static void
answers(int denied, int unauthorized, int version)
{
	check(answer(version, "c", "anna", "secret") == 0);
	check(answer(version, "c", "anna", "Secret") == denied);
	check(answer(version, "c", "anna", "") == denied);
	check(answer(version, "c", "anna", NULL) == denied);
	check(answer(version, "c", "Anna", "secret") == denied);
	check(answer(version, "c", "", "secret") == denied);
	check(answer(version, "c", NULL, NULL) == unauthorized);
	/* An identifier of its own. */
	check(answer(version, "device", "x", "inside") == 0);
	check(answer(version, "device", "x", "secret") == denied);
	check(answer(version, "device2", "x", "inside") == denied);
	/* A user name with an identifier has a password of its own, and the one of the user name is good too. */
	check(answer(version, "gate", "anna", "both") == 0);
	check(answer(version, "gate", "anna", "secret") == 0);
	check(answer(version, "c", "anna", "both") == denied);
	/* No password is needed. */
	check(answer(version, "open", NULL, NULL) == 0);
	check(answer(version, "off", "off", "secret") == denied);
}

SCENARIO(1, 4)
{
	broker_start("authentication=basic", "listener.default.allow_anonymous=false");
	check(broker_sh("echo secret | $CTL auth add anna " CRED) == 0);
	check(broker_sh("echo inside | $CTL auth add device --client device " CRED) == 0);
	check(broker_sh("echo both | $CTL auth add gate --client gate --user anna " CRED) == 0);
	check(broker_sh("$CTL auth add open --client open --no-password " CRED) == 0);
	check(broker_sh("echo secret | $CTL auth add off " CRED
			" && $CTL auth change off --disable") == 0);
	/* Neither twice under a name, nor two with the same to show. */
	check(broker_sh("echo secret | $CTL auth add anna " CRED) == 1);
	check(broker_sh("echo secret | $CTL auth add second --user anna " CRED) == 1);
	check(broker_sh("grep -q 'another credential has its client identifier and user name' "
			"$DIR/out") == 0);
	answers(4, 5, 4);
	answers(4, 5, 3);
	answers(0x86, 0x87, 5);
	check(broker_counter("logins__denied") > 0 && broker_counter("connects__refused_auth") > 0);
	/* What was right is known to be; what was not is worked out each time. */
	check(broker_counter("auth_verified__cached") > 0);
	check(!broker_log_has("secret") && !broker_log_has("inside"));
	broker_stop();
}
