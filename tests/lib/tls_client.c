#include "tests/lib/tls_client.h"

#include <arpa/inet.h>
#include <err.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_client {
	SSL *ssl;
	BIO *in, *out;
	bool open, ended;
	char bad[128];
};

static SSL_CTX *ctx;
static SSL_SESSION *last; /* ours; NULL: none was given out, or they are not kept */

void
tls_client_authority(const char *cafile)
{
	SSL_CTX_free(ctx);
	ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL || SSL_CTX_load_verify_locations(ctx, cafile, NULL) != 1)
		errx(1, "tls: no authorities in %s", cafile);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last);
	last = session;
	return 1;
}

void
tls_client_resumes(void)
{
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
}

struct tls_client *
tls_client_new(const char *host)
{
	struct tls_client *t = calloc(1, sizeof(*t));
	struct in6_addr address;
	bool good;

	if (t == NULL)
		err(1, "tls");
	t->ssl = SSL_new(ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->ssl == NULL || t->in == NULL || t->out == NULL)
		errx(1, "tls: no memory");
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
		good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host) == 1;
	else
		good =
		    SSL_set1_host(t->ssl, host) == 1 && SSL_set_tlsext_host_name(t->ssl, host) == 1;
	if (!good)
		errx(1, "tls: no name of a host: %s", host);
	if (last != NULL)
		SSL_set_session(t->ssl, last);
	return t;
}

void
tls_client_free(struct tls_client *t)
{
	if (t == NULL)
		return;
	/* Else OpenSSL takes its session for spoilt. */
	SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl); /* and both BIOs */
	free(t);
}

static void
hand_out(struct tls_client *t, struct bytes *out)
{
	size_t len = BIO_ctrl_pending(t->out);

	if (len > 0)
		out->len += (size_t)BIO_read(t->out, bytes_room(out, len), (int)len);
}

/* What OpenSSL answered when it could not go on: whether that is the server's right. */
static bool
is_right(struct tls_client *t, int answer)
{
	unsigned long e;

	switch (SSL_get_error(t->ssl, answer)) {
	case SSL_ERROR_WANT_READ:
		return true;
	case SSL_ERROR_ZERO_RETURN:
		t->ended = true;
		return true;
	default:
		e = ERR_peek_error();
		snprintf(t->bad, sizeof(t->bad), "TLS: %s", ERR_reason_error_string(e));
		return false;
	}
}

bool
tls_client_take(struct tls_client *t, struct span in, struct bytes *plain, struct bytes *out)
{
	bool good;
	int n = 1;

	ERR_clear_error();
	if (in.len > 0 && BIO_write(t->in, in.p, (int)in.len) != (int)in.len)
		errx(1, "tls: no memory");
	if (!t->open) {
		n = SSL_do_handshake(t->ssl);
		t->open = n == 1;
	}
	while (n > 0) {
		n = SSL_read(t->ssl, bytes_room(plain, 4096), 4096);
		plain->len += n > 0 ? (size_t)n : 0;
	}
	good = is_right(t, n);
	if (t->ended)
		SSL_shutdown(t->ssl); /* some servers wait for the answer before they close */
	hand_out(t, out);
	return good;
}

void
tls_client_put(struct tls_client *t, struct span plain, struct bytes *out)
{
	ERR_clear_error();
	if (plain.len > 0 && SSL_write(t->ssl, plain.p, (int)plain.len) == (int)plain.len)
		hand_out(t, out);
}

void
tls_client_close(struct tls_client *t, struct bytes *out)
{
	ERR_clear_error();
	if (t->open && t->bad[0] == '\0')
		SSL_shutdown(t->ssl);
	hand_out(t, out);
}

bool
tls_client_is_open(const struct tls_client *t)
{
	return t->open;
}

bool
tls_client_is_resumed(const struct tls_client *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

bool
tls_client_ended(const struct tls_client *t)
{
	return t->ended;
}

const char *
tls_client_bad(const struct tls_client *t)
{
	return t->bad;
}
