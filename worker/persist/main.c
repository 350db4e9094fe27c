/*
 * tbmq-persist - the directory of sessions, and what outlives a connection
 */
#include "worker/persist/admin.h"
#include "worker/persist/expiry.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/publish.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"
#include "worker/persist/source.h"
#include "worker/persist/store.h"
#include "worker/persist/sub.h"
#include "worker/persist/sys.h"
#include "worker/persist/will.h"

static bool started;

static int
start(void)
{
	int err = source_start();

	if (err != 0 || (err = store_open(self.birth.data_dir)) != 0 ||
	    (err = directory_init()) != 0 || (err = sub_init()) != 0 ||
	    (err = session_init()) != 0 || (err = will_init()) != 0 ||
	    (err = retained_init()) != 0 || (err = expiry_init()) != 0 || (err = sys_init()) != 0 ||
	    (err = peer_init()) != 0)
		return err;
	started = true;
	return 0;
}

static int
go(void)
{
	sys_start();
	return peer_go();
}

static bool
on_turn(void)
{
	bool more = sys_turn();

	return peer_turn() || more;
}

static void
conf_commit(const struct conf *was)
{
	source_commit();
	sub_show_all();
	peer_conf();
	if (was->sys_interval != self.conf.sys_interval)
		sys_start();
}

/* The master stops workers first: what they had for us is here. */
static void
stop(void)
{
	child_exit(0);
}

static void
fini(void)
{
	(void)retained_save();
	session_fini();
	queue_fini();
	sub_fini();
	directory_fini();
	will_fini();
	retained_fini();
	expiry_fini();
	sys_fini();
	publish_fini();
	peer_fini();
	out_fini();
	store_close();
}

int
main(int argc, char **argv)
{
	static const struct child child = {
		.kind = PROC_PERSIST,
		.has_files = true,
		.mesh = { .on_record = peer_record,
		    .on_up = peer_up,
		    .on_down = peer_down,
		    .on_room = peer_room },
		.start = start,
		.go = go,
		.on_turn = on_turn,
		.after_flush = peer_after_flush,
		.before_sleep = peer_before_sleep,
		.after_sleep = peer_after_sleep,
		.conf_check = source_check,
		.conf_commit = conf_commit,
		.conf_withdraw = source_withdraw,
		.acl_rules = source_rules,
		.stop = stop,
		.request = admin_request,
	};
	int code;

	code = child_main(&child, argc, argv);
	if (started)
		fini();
	source_fini();
	child_fini();
	return code;
}
