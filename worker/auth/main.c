/*
 * tbmq-auth - who may come in: credentials, and what is slow or secret about them
 */
#include <errno.h>

#include "shared/child/child.h"
#include "worker/auth/admin.h"
#include "worker/auth/keep.h"
#include "worker/auth/login.h"
#include "worker/auth/peer.h"

static bool is_linked; /* with all who live */

/* Maybe before all others have mapped us. */
static void
on_loaded(void)
{
	login_begin();
	if (is_linked)
		child_ready();
}

static int
start(void)
{
	credential_init();
	keep_init(on_loaded);
	login_init();
	return verify_init();
}

static int
go(void)
{
	is_linked = true;
	return keep_is_loaded() ? 0 : -EAGAIN;
}

static bool
on_turn(void)
{
	return false;
}

static void
conf_commit(const struct conf *was)
{
	(void)was;
	verify_conf();
}

/* The master stops workers first. */
static void
stop(void)
{
	child_exit(0);
}

int
main(int argc, char **argv)
{
	static const struct child child = {
		.kind = PROC_AUTH,
		.mesh = { .on_record = peer_record,
		    .on_up = peer_up,
		    .on_down = peer_down,
		    .on_room = peer_room },
		.start = start,
		.go = go,
		.on_turn = on_turn,
		.conf_commit = conf_commit,
		.stop = stop,
		.request = admin_request,
	};
	int code = child_main(&child, argc, argv);

	login_fini();
	verify_fini();
	keep_fini();
	credential_fini();
	child_fini();
	return code;
}
