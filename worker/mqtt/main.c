/*
 * tbmq-mqtt - a worker: accepts clients, speaks MQTT with them, routes what they publish
 */
#include "worker/mqtt/accept.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/admin.h"
#include "worker/mqtt/ask.h"
#include "worker/mqtt/block.h"
#include "worker/mqtt/farewell.h"
#include "worker/mqtt/gone.h"
#include "worker/mqtt/limit.h"
#include "worker/mqtt/peer.h"
#include "worker/mqtt/publish.h"
#include "worker/mqtt/secure.h"
#include "worker/mqtt/quarantine.h"
#include "worker/mqtt/refused.h"
#include "worker/mqtt/subscribe.h"

static int
start(void)
{
	int err = secure_start();

	if (err == 0)
		err = access_start();
	conn_init();
	return err != 0 ? err : subnode_init();
}

static int
go(void)
{
	accept_start();
	return 0;
}

static bool
on_turn(void)
{
	bool more;

	secure_turn();
	more = conn_turn();
	more |= publish_turn();
	more |= access_turn();
	more |= interest_step(mesh_interest(self.mesh));
	gone_turn();
	return more | farewell_turn();
}

static bool
after_flush(void)
{
	bool more = publish_can_go_on();

	return conn_flush_all() || more;
}

static void
conf_commit(const struct conf *was)
{
	secure_commit();
	access_commit();
	conn_conf(was, &self.conf);
	accept_conf(was, &self.conf);
	terms_conf();
	limit_conf(was);
	refused_conf();
}

static int
check_conf(const struct conf *next, char why[256])
{
	int err = secure_check(next, why);

	return err != 0 ? err : access_check(next, why);
}

static void
withdraw_conf(void)
{
	secure_withdraw();
	access_withdraw();
}

static const struct child worker = {
	.kind = PROC_MQTT,
	.mesh = { .on_record = peer_record,
	    .on_up = peer_up,
	    .on_down = peer_down,
	    .on_room = peer_room },
	.start = start,
	.go = go,
	.on_turn = on_turn,
	.after_flush = after_flush,
	.listener = accept_listener,
	.listener_gone = accept_listener_gone,
	.tls_files = secure_files,
	.tls_tickets = tls_set_ticket_keys,
	.acl_rules = access_rules,
	.conf_check = check_conf,
	.conf_commit = conf_commit,
	.conf_withdraw = withdraw_conf,
	.quarantine = quarantine_set,
	.blocks = block_all,
	.block = block_change,
	.drain = farewell_drain,
	.stop = farewell_stop,
	.request = admin_request,
};

int
main(int argc, char **argv)
{
	int code = child_main(&worker, argc, argv);

	accept_fini();
	conn_fini();
	limit_fini();
	block_fini();
	refused_fini();
	secure_fini();
	access_fini();
	terms_fini();
	subscribe_fini();
	publish_fini();
	deliver_fini();
	gone_fini();
	route_fini();
	ask_fini();
	subnode_fini();
	child_fini();
	return code;
}
