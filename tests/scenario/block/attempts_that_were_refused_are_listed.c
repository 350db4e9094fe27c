#include <stdlib.h>

#include "tests/lib/scenario.h"

enum { FLOOD = 300, KEPT = 50 };

static void
try(const char *id, const char *user, const char *from)
{
	mq_close(mq_try((struct mq_opts){
	    .id = id, .user = user, .password = "secret-of-its-own", .from = from }));
}

static bool
lists(const char *id, const char *text)
{
	return strstr(ctl_text("refused", "list", "--client", id), text) != NULL;
}

SCENARIO(1, 4)
{
	struct mq *m;
	char id[80];

	broker_start();
	check(ctl("block", "add", "--user", "mallory") == 0);
	check(ctl("block", "add", "--address", "127.0.0.2") == 0);
	for (int i = 0; i < 3 * workers(); i++)
		try("bad", "mallory", NULL);
	check(lists("bad", "client_id=bad user_name=mallory peer=127.0.0.1:"));
	check(lists("bad", "listener=default code=138 reason=banned why=blocked"));
	/* Of all workers together. */
	snprintf(id, sizeof(id), "attempts=%d ", 3 * workers());
	check(lists("bad", id));
	check(!lists("good", "at="));
	try("x", NULL, "127.0.0.2");
	check(
	    strstr(ctl_text("refused", "list"), "client_id=- user_name=- peer=127.0.0.2:") != NULL);

	m = mq_connect(.id = "publisher", .user = "u");
	check(mq_publish(m, "$SYS/x", "1", 1, false) == 0x87);
	check(lists("publisher", "code=135 reason=\"not authorized\" why=PUBLISH") ||
	    lists("publisher", "code=135 reason=not authorized why=PUBLISH"));
	check(ctl("block", "add", "--client", "publisher") == 0);
	mq_need_close(m);
	mq_close(m);
	check(lists("publisher", "attempts=2 "));
	check(strstr(ctl_text("refused", "list"), "secret") == NULL);
	check(!broker_log_has("secret-of-its-own"));

	/* A flood of names leaves the last of them. */
	check(broker_sh("$CTL refused clear | grep -q cleared=") == 0);
	check(strcmp(ctl_text("refused", "list"), "") == 0);
	broker_reload("#refused_max = ", "refused_max = %d;", KEPT);
	for (int i = 0; i < FLOOD; i++) {
		snprintf(id, sizeof(id), "flood-%d", i);
		try(id, "mallory", NULL);
	}
	snprintf(id, sizeof(id), "flood-%d", FLOOD - 1);
	check(lists(id, "attempts=1"));
	check(!lists("flood-0", "at="));
	snprintf(id, sizeof(id), "test $($CTL refused list | wc -l) -le %d", KEPT * workers());
	check(broker_sh(id) == 0);
	broker_reload("refused_max = ", "refused_max = 0;");
	try("none", "mallory", NULL);
	check(strcmp(ctl_text("refused", "list"), "") == 0);
}
