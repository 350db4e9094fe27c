#include "worker/mqtt/secure.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"

#define HANDSHAKES_US 2000 /* of a turn; one that has begun is finished */

struct servers {
	struct tls_server *of[CONF_LISTENERS]; /* by place in the configuration; NULL: not TLS */
};

static struct {
	int fd; /* files of the configuration to come */
	bool has_fd;
	struct servers now, next;
	uint64_t spent_us;
} the;

static int build(const struct conf *c, char why[256], struct servers *out);
static void servers_free(struct servers *s);
static void drop_files(void);

void
secure_files(int fd)
{
	drop_files();
	the.fd = fd;
	the.has_fd = true;
}

int
secure_start(void)
{
	char why[256];
	int err;

	tls_init(); /* WebSocket uses OpenSSL too, and a reload may bring TLS */
	err = build(&self.conf, why, &the.now);
	if (err != 0)
		log_err("tls: %s", why);
	return err;
}

int
secure_check(const struct conf *next, char why[256])
{
	secure_withdraw();
	return build(next, why, &the.next);
}

void
secure_commit(void)
{
	servers_free(&the.now);
	the.now = the.next;
	the.next = (struct servers){ 0 };
}

void
secure_withdraw(void)
{
	servers_free(&the.next);
}

void
secure_turn(void)
{
	the.spent_us = 0;
}

void
secure_fini(void)
{
	drop_files();
	servers_free(&the.now);
	servers_free(&the.next);
}

struct ssl_st *
secure_accept(unsigned listener, int fd)
{
	return tls_accept(the.now.of[listener], fd);
}

ssize_t
secure_read(struct ssl_st *tls, void *p, size_t len, bool *more_out)
{
	uint64_t began;
	ssize_t n;

	if (tls_is_open(tls))
		return tls_read(tls, p, len, more_out);
	if (the.spent_us >= HANDSHAKES_US) {
		count(CNT_tls_waited);
		*more_out = false;
		return -EAGAIN;
	}
	began = clock_now_us();
	n = tls_read(tls, p, len, more_out);
	the.spent_us += clock_now_us() - began;
	if (tls_is_open(tls))
		count(tls_is_resumed(tls) ? CNT_tls_handshakes__resumed : CNT_tls_handshakes__full);
	return n;
}

/* One worker's warning is enough. */
static int
make(const struct conf *c, uint32_t i, const struct tls_files *files, char why[256],
    struct tls_server **out)
{
	int err = tls_server_new(c, i, files, why, out);

	if (err == 0 && self.slot == 0 && tls_server_warning(*out)[0] != '\0')
		log_warning("tls: %s", tls_server_warning(*out));
	return err;
}

static int
build(const struct conf *c, char why[256], struct servers *out)
{
	struct servers s = { 0 };
	struct tls_files files = { 0 };
	int err = 0;

	if (tls_files_are_needed(c)) {
		err = the.has_fd ? tls_files_map(the.fd, &files) : -EPROTO;
		if (err != 0)
			snprintf(why, 256, "the files of TLS can't be used: %s", strerror(-err));
	}
	for (uint32_t i = 0; i < c->nlisteners && err == 0; i++)
		if (conf_has_tls(&c->listener[i]))
			err = make(c, i, &files, why, &s.of[i]);
	tls_files_unmap(&files);
	drop_files();
	if (err == 0)
		*out = s;
	else
		servers_free(&s);
	return err;
}

static void
servers_free(struct servers *s)
{
	for (unsigned i = 0; i < CONF_LISTENERS; i++)
		tls_server_free(s->of[i]);
	*s = (struct servers){ 0 };
}

/* Keys are in there: it is not kept for longer than it takes to build from it. */
static void
drop_files(void)
{
	if (the.has_fd)
		close(the.fd);
	the.has_fd = false;
}
