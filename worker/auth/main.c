/*
 * tbmq-auth - who may come in: credentials, and what is slow or secret about them
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/child/child.h"
#include "worker/auth/admin.h"
#include "worker/auth/http.h"
#include "worker/auth/jwt.h"
#include "worker/auth/keep.h"
#include "worker/auth/login.h"
#include "worker/auth/peer.h"

static bool is_started;
static bool is_linked; /* with all who live */
static int files = -1; /* of the configuration to come */

/* Maybe before all others have mapped us. */
static void
on_loaded(void)
{
	login_begin();
	if (is_linked)
		child_ready();
}

static void
drop_files(void)
{
	if (files >= 0)
		close(files);
	files = -1;
}

static void
take_files(int fd)
{
	drop_files();
	files = fd;
}

/* Secrets are in there: they are not kept for longer than it takes to build from them. */
static int
prepare(const struct conf *next, char why[256])
{
	struct auth_files f = { 0 };
	int err = files >= 0 ? auth_files_map(files, &f) : 0;

	drop_files();
	if (err != 0)
		snprintf(why, 256, "the files of authentication can't be used: %s", strerror(-err));
	else
		err = auth_files_look(&f, why);
	if (err == 0)
		err = jwt_prepare(next, &f, why);
	if (err == 0)
		err = http_prepare(next, &f, why);
	auth_files_unmap(&f);
	return err;
}

static int
start(void)
{
	char why[256];
	int err = fetch_init();

	http_init();
	jwt_init();
	credential_init();
	keep_init(on_loaded);
	login_init();
	is_started = true;
	if (err == 0)
		err = verify_init();
	if (err != 0)
		return err;
	err = prepare(&self.conf, why);
	if (err != 0) {
		log_err("auth: %s", why);
		return err;
	}
	jwt_commit();
	http_commit();
	return 0;
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
	return fetch_turn();
}

static void
conf_commit(const struct conf *was)
{
	(void)was;
	verify_conf();
	jwt_commit();
	http_commit();
}

static void
conf_withdraw(void)
{
	jwt_withdraw();
	http_withdraw();
}

static void
finish(void)
{
	login_fini();
	jwt_fini();
	http_fini();
	fetch_fini();
	verify_fini();
	keep_fini();
	credential_fini();
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
		.conf_check = prepare,
		.conf_commit = conf_commit,
		.conf_withdraw = conf_withdraw,
		.auth_files = take_files,
		.stop = stop,
		.request = admin_request,
	};
	int code = child_main(&child, argc, argv);

	drop_files();
	if (is_started)
		finish();
	child_fini();
	return code;
}
