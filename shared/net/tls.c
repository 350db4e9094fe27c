#include "shared/net/tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/must.h"
#include "shared/mqtt/topic.h"
#include "shared/net/ocsp.h"
#include "shared/net/psk.h"

#define TLS_RECORD_MAX 16384 /* bytes of a record that TLS allows for */
#define TICKET_SECONDS 7200  /* that a session may be resumed after it began */
/* OpenSSL's own choice, but a key in common, which only those offer who have one, comes before certificates; in TLS 1.3 it is for SHA-256. */
#define PSK_CIPHERS "kECDHEPSK:kDHEPSK:kPSK:ALL:!COMPLEMENTOFDEFAULT:!eNULL"
#define PSK_SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define TICKET_PSK 'k'       /* identity of a key in common */
#define TICKET_NAMES 'n'     /* struct rec_name of a chain */
#define AUTHORITIES_TOLD 100 /* more names than that would only make handshakes large */

struct identity { /* a certificate with its key */
	X509 *leaf;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	struct ocsp ocsp;
};

/* Lives as long as the SSL_CTX, whose connections may outlive their server. */
struct identities {
	struct psks *psks; /* NULL: none */
	size_t n;
	struct identity at[];
};

struct tls_server {
	SSL_CTX *ctx;
	char warning[256];
};

struct making { /* a server */
	const struct conf_listener *l;
	SSL_CTX *ctx;
	struct identities *ids;
	struct span password;
	unsigned authorities;
	EVP_MD_CTX *trust; /* a digest of whom it trusts */
	char *why, *warning;
};

static struct {
	struct tls_ticket_key key[TLS_TICKET_KEYS];
	bool has_keys;
	int ids_index; /* of SSL_CTX's data */
	char why[160];
} the = { .ids_index = -1 };

static const unsigned char alpn_mqtt[] = "\4mqtt", alpn_http[] = "\10http/1.1";

static int make(struct making *m, uint32_t i, const struct tls_files *files);
static int take_file(struct making *m, const struct tls_file *f);
static int take_certificate(struct making *m, const struct tls_file *f);
static int take_key(struct making *m, const struct tls_file *f);
static int take_authorities(struct making *m, const struct tls_file *f);
static int take_revocations(struct making *m, const struct tls_file *f);
static int take_ocsp(struct making *m, const struct tls_file *f);
static int take_psks(struct making *m, const struct tls_file *f);
static int set_rules(struct making *m);
static int set_client(struct making *m);
static int set_session_id(struct making *m);
static int wrong(struct making *m, const char *what, const char *path);
static const char *reason_of(unsigned long code);
static int on_certificate(SSL *tls, void *arg);
static int on_status(SSL *tls, void *arg);
static int on_alpn(SSL *tls, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg);
static int on_ticket(SSL *tls, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int is_new);
static int on_new_ticket(SSL *tls, void *arg);
static size_t chain_names(const SSL *tls, uint8_t out[TLS_NAMES_MAX]);
static unsigned on_psk(SSL *tls, const char *identity, unsigned char *key, unsigned size);
static int on_psk_session(SSL *tls, const unsigned char *identity, size_t len, SSL_SESSION **out);
static int on_password(char *buf, int size, int writes, void *arg);
static void
identities_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp);
static ssize_t failed(SSL *tls, int n);
static ssize_t name_of(const X509 *x, enum conf_certificate_user what, char *out, size_t size);
static ssize_t take_text(const ASN1_STRING *s, char *out, size_t size);

void
tls_init(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
}

void
tls_set_ticket_keys(const struct tls_ticket_key key[TLS_TICKET_KEYS])
{
	memcpy(the.key, key, sizeof(the.key));
	the.has_keys = true;
}

int
tls_check(const struct conf *c, struct conf_error *err)
{
	struct tls_files files = { 0 };
	int bad = 0, fd;

	err->text[0] = '\0';
	if (!tls_files_are_needed(c))
		return 0;
	fd = tls_files_read(c, err);
	if (fd < 0)
		return fd;
	bad = tls_files_map(fd, &files);
	close(fd);
	err->text[0] = '\0';
	if (bad != 0)
		snprintf(err->text, sizeof(err->text), "cannot map the files of TLS: %s",
		    strerror(-bad));
	for (uint32_t i = 0; i < c->nlisteners && bad == 0; i++) {
		struct tls_server *s = NULL;
		char why[256];

		if (!conf_has_tls(&c->listener[i]))
			continue;
		bad = tls_server_new(c, i, &files, why, &s);
		if (bad != 0)
			snprintf(err->text, sizeof(err->text), "%s", why);
		else if (tls_server_warning(s)[0] != '\0')
			snprintf(err->text, sizeof(err->text), "%s", tls_server_warning(s));
		tls_server_free(s);
	}
	tls_files_unmap(&files);
	return bad;
}

int
tls_server_new(const struct conf *c, uint32_t i, const struct tls_files *files, char why[256],
    struct tls_server **out)
{
	struct making m = { .l = &c->listener[i], .why = why };
	struct tls_server *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	m.warning = s != NULL ? s->warning : NULL;
	snprintf(why, 256, "listeners.%.31s: no memory", m.l->name.s);
	ERR_clear_error();
	if (the.ids_index < 0)
		the.ids_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, identities_free);
	m.ctx = SSL_CTX_new(TLS_server_method());
	m.trust = EVP_MD_CTX_new();
	m.ids = calloc(1, sizeof(*m.ids));
	if (s != NULL && m.ctx != NULL && m.trust != NULL && m.ids != NULL && the.ids_index >= 0)
		err = make(&m, i, files);
	EVP_MD_CTX_free(m.trust);
	ERR_clear_error();
	if (m.ctx == NULL || SSL_CTX_get_ex_data(m.ctx, the.ids_index) == NULL)
		identities_free(NULL, m.ids, NULL, 0, 0, NULL);
	if (err == 0) {
		s->ctx = m.ctx;
		*out = s;
		return 0;
	}
	SSL_CTX_free(m.ctx);
	free(s);
	return err;
}

void
tls_server_free(struct tls_server *s)
{
	if (s == NULL)
		return;
	SSL_CTX_free(s->ctx);
	free(s);
}

const char *
tls_server_warning(const struct tls_server *s)
{
	return s->warning;
}

struct ssl_st *
tls_accept(struct tls_server *s, int fd)
{
	SSL *tls = SSL_new(s->ctx);

	ERR_clear_error();
	if (tls == NULL || SSL_set_fd(tls, fd) != 1) {
		SSL_free(tls);
		return NULL;
	}
	SSL_set_accept_state(tls);
	return tls;
}

void
tls_free(struct ssl_st *tls)
{
	SSL_free(tls);
}

ssize_t
tls_read(struct ssl_st *tls, void *p, size_t len, bool *more_out)
{
	size_t all = 0;
	ssize_t err;

	ERR_clear_error();
	/* A record at a time, and records are small: what has come goes in one piece. */
	while (all < len) {
		size_t room = len - all;
		int n = SSL_read(tls, (uint8_t *)p + all, room < INT32_MAX ? (int)room : INT32_MAX);

		if (n <= 0) {
			err = failed(tls, n);
			*more_out = all > 0 && err != -EAGAIN;
			return all > 0 ? (ssize_t)all : err;
		}
		all += (size_t)n;
	}
	*more_out = true;
	return (ssize_t)all;
}

ssize_t
tls_write(struct ssl_st *tls, const void *p, size_t len)
{
	ssize_t err;
	int n;

	ERR_clear_error();
	n = SSL_write(tls, p, len < TLS_RECORD_MAX ? (int)len : TLS_RECORD_MAX);
	if (n > 0)
		return n;
	err = failed(tls, n);
	return err != 0 ? err : -EPIPE;
}

bool
tls_is_open(const struct ssl_st *tls)
{
	return SSL_is_init_finished(tls);
}

bool
tls_wants_out(const struct ssl_st *tls)
{
	return SSL_want_write(tls) && !SSL_is_init_finished(tls);
}

bool
tls_has_ended(const struct ssl_st *tls)
{
	return SSL_get_shutdown(tls) & SSL_RECEIVED_SHUTDOWN;
}

void
tls_bye(struct ssl_st *tls)
{
	ERR_clear_error();
	if (SSL_is_init_finished(tls))
		SSL_shutdown(tls);
}

const char *
tls_why(void)
{
	return the.why;
}

const char *
tls_version(const struct ssl_st *tls)
{
	return SSL_get_version(tls);
}

const char *
tls_cipher(const struct ssl_st *tls)
{
	return SSL_get_cipher_name(tls);
}

bool
tls_is_resumed(const struct ssl_st *tls)
{
	return SSL_session_reused((SSL *)tls) == 1;
}

ssize_t
tls_user(const struct ssl_st *tls, enum conf_certificate_user what, char *out, size_t size)
{
	const X509 *x = SSL_get0_peer_certificate(tls);

	return x == NULL || what == CERTIFICATE_USER_none ? 0 : name_of(x, what, out, size);
}

/*
 * What a session of ours says of its client, in the data that goes with its tickets: one thing, with what it is in front.
 */
static bool
ticket_put(SSL_SESSION *s, uint8_t what, struct span data)
{
	uint8_t buf[1 + TLS_NAMES_MAX];

	if (data.len > TLS_NAMES_MAX)
		return false;
	buf[0] = what;
	memcpy(buf + 1, data.p, data.len);
	return SSL_SESSION_set1_ticket_appdata(s, buf, 1 + data.len) == 1;
}

/* Borrowed from the session; empty: it says no such thing. */
static struct span
ticket_get(SSL_SESSION *s, uint8_t what)
{
	void *p = NULL;
	size_t len = 0;

	if (SSL_SESSION_get0_ticket_appdata(s, &p, &len) != 1 || p == NULL || len < 1 ||
	    *(const uint8_t *)p != what)
		return span_of(NULL, 0);
	return span_of((const uint8_t *)p + 1, len - 1);
}

/*
 * Not what a client has offered, but what its session was made with: of TLS 1.3 what on_psk_session() has put there, which tickets keep, as they
 * do with that of TLS 1.2.
 */
ssize_t
tls_psk_identity(const struct ssl_st *tls, char *out, size_t size)
{
	SSL_SESSION *session = SSL_get_session(tls);
	struct span identity = span_of(NULL, 0);

	if (session == NULL)
		return 0;
	if (SSL_version(tls) == TLS1_3_VERSION)
		identity = ticket_get(session, TICKET_PSK);
	else if (SSL_get_psk_identity(tls) != NULL)
		identity = span_str(SSL_get_psk_identity(tls));
	if (identity.len >= size)
		return -EINVAL;
	if (identity.len > 0)
		memcpy(out, identity.p, identity.len);
	out[identity.len] = '\0';
	return (ssize_t)identity.len;
}

bool
tls_has_certificate(const struct ssl_st *tls)
{
	return SSL_get0_peer_certificate(tls) != NULL;
}

/* --- making a server ---------------------------------------------------------------------- */

static int
make(struct making *m, uint32_t i, const struct tls_files *files)
{
	struct tls_file f;
	size_t at = 0;
	int err = set_rules(m), got;

	while (err == 0 && (got = tls_files_next(files, &at, &f)) != 0)
		err = got < 0 ? got : f.listener == i ? take_file(m, &f) : 0;
	if (err == 0 && m->ids->n == 0 && m->ids->psks == NULL)
		err = -EPROTO;
	if (err == 0)
		err = set_client(m);
	if (err == 0)
		err = set_session_id(m);
	if (err == 0 && SSL_CTX_set_ex_data(m->ctx, the.ids_index, m->ids) != 1)
		err = -ENOMEM;
	return err;
}

static int
take_file(struct making *m, const struct tls_file *f)
{
	switch (f->kind) {
	case TLS_FILE_CERTIFICATE:
		return take_certificate(m, f);
	case TLS_FILE_KEY:
		return take_key(m, f);
	case TLS_FILE_PASSWORD:
		m->password = f->data;
		return 0;
	case TLS_FILE_AUTHORITIES:
		return take_authorities(m, f);
	case TLS_FILE_OCSP:
		return take_ocsp(m, f);
	case TLS_FILE_PSKS:
		return take_psks(m, f);
	default:
		return take_revocations(m, f);
	}
}

static int
take_certificate(struct making *m, const struct tls_file *f)
{
	struct identities *ids =
	    realloc(m->ids, sizeof(*ids) + (m->ids->n + 1) * sizeof(ids->at[0]));
	BIO *b = BIO_new_mem_buf(f->data.p, (int)f->data.len);
	struct identity *id;
	X509 *x;

	if (ids == NULL || b == NULL) {
		BIO_free(b);
		m->ids = ids != NULL ? ids : m->ids;
		return -ENOMEM;
	}
	m->ids = ids;
	id = &ids->at[ids->n++];
	*id = (struct identity){ .leaf = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL),
		.chain = sk_X509_new_null() };
	while (id->leaf != NULL && id->chain != NULL &&
	    (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(id->chain, x) == 0)
			X509_free(x);
	BIO_free(b);
	if (id->leaf == NULL || id->chain == NULL)
		return wrong(m, "has no certificate in PEM", f->path);
	ERR_clear_error(); /* of the end of the file */
	return 0;
}

static int
take_key(struct making *m, const struct tls_file *f)
{
	struct identity *id = &m->ids->at[m->ids->n - 1];
	BIO *b;

	if (m->ids->n == 0 || id->key != NULL)
		return -EPROTO;
	b = BIO_new_mem_buf(f->data.p, (int)f->data.len);
	if (b == NULL)
		return -ENOMEM;
	id->key = PEM_read_bio_PrivateKey(b, NULL, on_password, &m->password);
	BIO_free(b);
	if (id->key == NULL)
		return wrong(m,
		    m->password.p != NULL
			? "has no private key in PEM, or the password is another"
			: "has no private key in PEM, or one with a password (key_password_file)",
		    f->path);
	if (X509_check_private_key(id->leaf, id->key) != 1)
		return wrong(m, "has the key of another certificate", f->path);
	/* Looks also at what its signature and size are worth. */
	if (SSL_CTX_use_cert_and_key(m->ctx, id->leaf, id->key, id->chain, 1) != 1)
		return wrong(m, "can't be used", f->path);
	return 0;
}

/* Anything in PEM of one kind, at least one. */
static int
take_authorities(struct making *m, const struct tls_file *f)
{
	X509_STORE *store = SSL_CTX_get_cert_store(m->ctx);
	BIO *b = BIO_new_mem_buf(f->data.p, (int)f->data.len);
	unsigned before = m->authorities;
	X509 *x;

	if (b == NULL)
		return -ENOMEM;
	while ((x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, x) == 1 && ++m->authorities <= AUTHORITIES_TOLD)
			SSL_CTX_add_client_CA(m->ctx, x);
		X509_free(x);
	}
	BIO_free(b);
	EVP_DigestUpdate(m->trust, f->data.p, f->data.len);
	if (m->authorities == before)
		return wrong(m, "has no certificate in PEM", f->path);
	if (m->authorities > AUTHORITIES_TOLD)
		SSL_CTX_set_client_CA_list(m->ctx, sk_X509_NAME_new_null());
	ERR_clear_error();
	return 0;
}

static int
take_revocations(struct making *m, const struct tls_file *f)
{
	X509_STORE *store = SSL_CTX_get_cert_store(m->ctx);
	BIO *b = BIO_new_mem_buf(f->data.p, (int)f->data.len);
	unsigned n = 0;
	X509_CRL *crl;

	if (b == NULL)
		return -ENOMEM;
	while ((crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL)) != NULL) {
		n += X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
	}
	BIO_free(b);
	EVP_DigestUpdate(m->trust, f->data.p, f->data.len);
	if (n == 0)
		return wrong(m, "has no revocation list in PEM", f->path);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	ERR_clear_error();
	return 0;
}

/* One that is no good is no reason to go on with an old certificate. */
static int
take_ocsp(struct making *m, const struct tls_file *f)
{
	struct identity *id = m->ids->n > 0 ? &m->ids->at[m->ids->n - 1] : NULL;
	const char *why;
	int err;

	if (id == NULL || id->ocsp.der != NULL)
		return -EPROTO;
	err = ocsp_read(f->data, id->leaf, &id->ocsp, &why);
	if (err == -EINVAL)
		snprintf(m->warning, sizeof(((struct tls_server *)0)->warning),
		    "listeners.%.31s: %.120s %s: clients get no OCSP response", m->l->name.s,
		    f->path, why);
	ERR_clear_error();
	return err == -EINVAL ? 0 : err;
}

/* Whose key is removed must not come by a ticket either: the file is among what is trusted. */
static int
take_psks(struct making *m, const struct tls_file *f)
{
	const char *hint = m->l->psk_hint.s;
	char why[128];
	int err;

	if (m->ids->psks != NULL)
		return -EPROTO;
	err = psks_parse(f->data, &m->ids->psks, why);
	if (err == -EINVAL)
		return wrong(m, why, f->path);
	if (err != 0)
		return err;
	EVP_DigestUpdate(m->trust, f->data.p, f->data.len);
	SSL_CTX_set_psk_server_callback(m->ctx, on_psk);
	SSL_CTX_set_psk_find_session_callback(m->ctx, on_psk_session);
	return hint[0] == '\0' || SSL_CTX_use_psk_identity_hint(m->ctx, hint) == 1 ? 0 : -ENOMEM;
}

static int
set_rules(struct making *m)
{
	const struct conf_listener *l = m->l;
	SSL_CTX *ctx = m->ctx;

	if (EVP_DigestInit_ex(m->trust, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(
	    ctx, l->tls_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	/* MQTT says where it ends, so an end of TLS without notice loses nothing. */
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); /* else a record takes two reads */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, (void *)(conf_has_ws(l) ? alpn_http : alpn_mqtt));
	SSL_CTX_set_cert_cb(ctx, on_certificate, NULL);
	SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	if (l->psk_file.s[0] != '\0' &&
	    (SSL_CTX_set_cipher_list(ctx, PSK_CIPHERS) != 1 ||
		SSL_CTX_set_ciphersuites(ctx, PSK_SUITES) != 1))
		return -ENOMEM;
	if (l->tls_ciphers.s[0] != '\0' && SSL_CTX_set_cipher_list(ctx, l->tls_ciphers.s) != 1)
		return wrong(m, "names no cipher of TLS 1.2: tls_ciphers", l->tls_ciphers.s);
	if (l->tls_ciphersuites.s[0] != '\0' &&
	    SSL_CTX_set_ciphersuites(ctx, l->tls_ciphersuites.s) != 1)
		return wrong(
		    m, "names no suite of TLS 1.3: tls_ciphersuites", l->tls_ciphersuites.s);
	if (l->tls_groups.s[0] != '\0' && SSL_CTX_set1_groups_list(ctx, l->tls_groups.s) != 1)
		return wrong(m, "names an unknown group: tls_groups", l->tls_groups.s);
	return 0;
}

static int
set_client(struct making *m)
{
	static const int mode[] = {
		[CLIENT_CERTIFICATE_none] = SSL_VERIFY_NONE,
		[CLIENT_CERTIFICATE_optional] = SSL_VERIFY_PEER,
		[CLIENT_CERTIFICATE_required] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};

	SSL_CTX_set_verify(m->ctx, mode[m->l->client_certificate], NULL);
	/* Of the certificates of a session only the client's own is in its ticket. */
	return m->l->client_certificate == CLIENT_CERTIFICATE_none ||
		SSL_CTX_set_session_ticket_cb(m->ctx, on_new_ticket, NULL, NULL) == 1
	    ? 0
	    : -ENOMEM;
}

/* A ticket tells who the client was found to be: elsewhere, or when others are trusted, that is worth nothing. */
static int
set_session_id(struct making *m)
{
	uint8_t digest[EVP_MAX_MD_SIZE], mode = m->l->client_certificate;
	unsigned len;

	if (EVP_DigestUpdate(m->trust, m->l->name.s, strlen(m->l->name.s) + 1) != 1 ||
	    EVP_DigestUpdate(m->trust, &mode, 1) != 1 ||
	    EVP_DigestFinal_ex(m->trust, digest, &len) != 1)
		return -ENOMEM;
	return SSL_CTX_set_session_id_context(m->ctx, digest, SSL_MAX_SID_CTX_LENGTH) == 1
	    ? 0
	    : -ENOMEM;
}

static int
wrong(struct making *m, const char *what, const char *path)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? reason_of(code) : NULL;

	snprintf(m->why, 256, "listeners.%.31s: %.100s %.80s%s%.40s%s", m->l->name.s, path, what,
	    reason != NULL ? " (" : "", reason != NULL ? reason : "", reason != NULL ? ")" : "");
	return -EINVAL;
}

static const char *
reason_of(unsigned long code)
{
	return ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
				      : ERR_reason_error_string(code);
}

/* --- during a handshake ------------------------------------------------------------------- */

static const struct identities *
identities_of(const SSL *tls)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(tls), the.ids_index);
}

/*
 * Of each kind of key one certificate: with the name that the client asks for, else the first. A context has
 * room for one of each kind only, hence here.
 */
static int
on_certificate(SSL *tls, void *arg)
{
	const struct identities *ids = identities_of(tls);
	const char *name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);
	bool found = false;

	(void)arg;
	if (ids->n <= 1)
		return 1;
	SSL_certs_clear(tls);
	for (int strict = 1; strict >= 0 && !found; strict--)
		for (size_t i = 0; i < ids->n; i++) {
			const struct identity *id = &ids->at[i];

			if (strict &&
			    (name == NULL || X509_check_host(id->leaf, name, 0, 0, NULL) != 1))
				continue;
			/* 0: there is one for this kind of key already. */
			if (SSL_use_cert_and_key(tls, id->leaf, id->key, id->chain, 0) == 1)
				found = true;
		}
	ERR_clear_error();
	return found;
}

static int
on_status(SSL *tls, void *arg)
{
	const struct identities *ids = identities_of(tls);
	const X509 *in_use = SSL_get_certificate(tls);
	uint8_t *copy;

	(void)arg;
	for (size_t i = 0; i < ids->n; i++) {
		const struct ocsp *o = &ids->at[i].ocsp;

		if (ids->at[i].leaf != in_use || !ocsp_is_valid(o))
			continue;
		copy = OPENSSL_memdup(o->der, o->len);
		if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(tls, copy, (long)o->len) != 1)
			break;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301, 3.2: none in common is the end. */
static int
on_alpn(SSL *tls, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned in_len, void *arg)
{
	const unsigned char *ours = arg;
	unsigned char *selected;

	(void)tls;
	if (SSL_select_next_proto(&selected, out_len, ours, ours[0] + 1u, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

static int
on_ticket(SSL *tls, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int is_new)
{
	const struct tls_ticket_key *k = NULL;
	OSSL_PARAM params[3];
	int old = 0;

	if (!the.has_keys)
		return 0;
	if (is_new) {
		k = &the.key[0];
		memcpy(name, k->name, sizeof(k->name));
		if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
			return -1;
	} else {
		for (old = 0; old < TLS_TICKET_KEYS && k == NULL; old++)
			if (CRYPTO_memcmp(name, the.key[old].name, sizeof(k->name)) == 0)
				k = &the.key[old];
		if (k == NULL)
			return 0;
	}
	params[0] =
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof(k->mac));
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"sha256", 0);
	params[2] = OSSL_PARAM_construct_end();
	if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
	    EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, is_new) != 1)
		return -1;
	/* With 2 another one is given: for one of the key before, and always in TLS 1.3, where clients use each once. */
	return !is_new && (k != &the.key[0] || SSL_version(tls) == TLS1_3_VERSION) ? 2 : 1;
}

/* TLS 1.2; that of 1.3 comes by here, too, when on_psk_session() hasn't known it. 0: nobody's. */
static unsigned
on_psk(SSL *tls, const char *identity, unsigned char *key, unsigned size)
{
	struct span found;

	if (SSL_version(tls) == TLS1_3_VERSION ||
	    !psks_find(identities_of(tls)->psks, span_str(identity), &found) || found.len > size)
		return 0;
	memcpy(key, found.p, found.len);
	return (unsigned)found.len;
}

/* TLS 1.3, whose keys are for one hash: RFC 8446, 4.2.11 says that it is SHA-256 if nobody says another. 1 without *out: nobody's. */
static int
on_psk_session(SSL *tls, const unsigned char *identity, size_t len, SSL_SESSION **out)
{
	static const unsigned char suite[] = { 0x13, 0x01 }; /* TLS_AES_128_GCM_SHA256 */
	SSL_SESSION *s;
	struct span key;

	*out = NULL;
	if (!psks_find(identities_of(tls)->psks, span_of(identity, len), &key))
		return 1;
	s = SSL_SESSION_new();
	if (s == NULL || SSL_SESSION_set1_master_key(s, key.p, key.len) != 1 ||
	    SSL_SESSION_set_cipher(s, SSL_CIPHER_find(tls, suite)) != 1 ||
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) != 1 ||
	    !ticket_put(s, TICKET_PSK, span_of(identity, len))) {
		SSL_SESSION_free(s);
		return 0;
	}
	*out = s;
	return 1;
}

static int
on_new_ticket(SSL *tls, void *arg)
{
	uint8_t names[TLS_NAMES_MAX];
	size_t len;

	(void)arg;
	if (SSL_session_reused(tls)) /* it has them already */
		return 1;
	len = chain_names(tls, names);
	return len == 0 || ticket_put(SSL_get_session(tls), TICKET_NAMES, span_of(names, len));
}

static int
on_password(char *buf, int size, int writes, void *arg)
{
	const struct span *password = arg;

	(void)writes;
	if (password->p == NULL || password->len > (size_t)size)
		return -1;
	memcpy(buf, password->p, password->len);
	return (int)password->len;
}

static void
identities_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	struct identities *ids = ptr;

	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	for (size_t i = 0; ids != NULL && i < ids->n; i++) {
		X509_free(ids->at[i].leaf);
		sk_X509_pop_free(ids->at[i].chain, X509_free);
		EVP_PKEY_free(ids->at[i].key);
		ocsp_fini(&ids->at[i].ocsp);
	}
	if (ids != NULL)
		psks_free(ids->psks);
	free(ids);
}

static ssize_t
failed(SSL *tls, int n)
{
	int error = errno;
	unsigned long code;
	const char *text;

	switch (SSL_get_error(tls, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return error != 0 ? -error : 0;
	default:
		code = ERR_peek_error();
		text = SSL_get_verify_result(tls) != X509_V_OK
		    ? X509_verify_cert_error_string(SSL_get_verify_result(tls))
		    : code != 0 ? reason_of(code)
				: NULL;
		snprintf(the.why, sizeof(the.why), "%s", text != NULL ? text : "unknown");
		return -EPROTO;
	}
}

/* --- names in certificates ---------------------------------------------------------------- */

static ssize_t
name_of(const X509 *x, enum conf_certificate_user what, char *out, size_t size)
{
	static const int kind[] = {
		[CERTIFICATE_USER_dns] = GEN_DNS,
		[CERTIFICATE_USER_email] = GEN_EMAIL,
		[CERTIFICATE_USER_uri] = GEN_URI,
	};
	X509_NAME *subject = X509_get_subject_name(x);
	GENERAL_NAMES *names;
	ssize_t len = -ENOENT;
	BIO *b;
	int at;

	if (what == CERTIFICATE_USER_common_name) {
		at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
		return at < 0
		    ? -ENOENT
		    : take_text(
			  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), out, size);
	}
	if (what == CERTIFICATE_USER_subject) {
		b = BIO_new(BIO_s_mem());
		if (b == NULL)
			return -ENOMEM;
		X509_NAME_print_ex(
		    b, subject, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
		len = BIO_read(b, out, (int)size - 1);
		if (len > 0 && BIO_pending(b) > 0)
			len = -EINVAL;
		BIO_free(b);
		out[len > 0 ? len : 0] = '\0';
		return len > 0 ? len : len == -EINVAL ? -EINVAL : -ENOENT;
	}
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && len == -ENOENT; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == kind[what])
			len = take_text(g->d.ia5, out, size);
	}
	GENERAL_NAMES_free(names);
	return len;
}

struct naming {
	uint8_t *to;
	size_t len, depth;
};

static void
add_name(struct naming *n, enum rec_name_kind kind, const char *text, ssize_t len)
{
	struct rec_name r = {
		.depth = (uint8_t)n->depth, .kind = (uint8_t)kind, .len = (uint16_t)len
	};

	if (len <= 0 || n->len + sizeof(r) + (size_t)len > TLS_NAMES_MAX)
		return;
	memcpy(n->to + n->len, &r, sizeof(r));
	memcpy(n->to + n->len + sizeof(r), text, (size_t)len);
	n->len += sizeof(r) + (size_t)len;
}

static void
add_names(struct naming *n, const X509 *x)
{
	static const struct {
		int type;
		enum rec_name_kind kind;
	} kinds[] = { { GEN_DNS, NAME_DNS }, { GEN_EMAIL, NAME_EMAIL }, { GEN_URI, NAME_URI } };
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	char text[TLS_NAMES_MAX];

	add_name(
	    n, NAME_COMMON, text, name_of(x, CERTIFICATE_USER_common_name, text, sizeof(text)));
	add_name(n, NAME_SUBJECT, text, name_of(x, CERTIFICATE_USER_subject, text, sizeof(text)));
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (g->type == kinds[k].type)
				add_name(n, kinds[k].kind, text,
				    take_text(g->d.ia5, text, sizeof(text)));
	}
	GENERAL_NAMES_free(names);
}

static size_t
chain_names(const SSL *tls, uint8_t out[TLS_NAMES_MAX])
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(tls);
	struct naming n = { .to = out };

	for (int i = 0; tls_has_certificate(tls) && i < sk_X509_num(chain) && i <= UINT8_MAX; i++) {
		n.depth = (size_t)i;
		add_names(&n, sk_X509_value(chain, i));
	}
	ERR_clear_error();
	return n.len;
}

size_t
tls_names(const struct ssl_st *tls, uint8_t out[TLS_NAMES_MAX])
{
	struct span names;

	if (!SSL_session_reused((SSL *)tls))
		return chain_names(tls, out);
	names = ticket_get(SSL_get_session(tls), TICKET_NAMES);
	if (names.len == 0 || names.len > TLS_NAMES_MAX)
		return 0;
	memcpy(out, names.p, names.len);
	return names.len;
}

/* A name must mean to us what it means to who signed it: nothing hidden behind a NUL, no control characters. */
static ssize_t
take_text(const ASN1_STRING *s, char *out, size_t size)
{
	unsigned char *text;
	int len = ASN1_STRING_to_UTF8(&text, s);
	ssize_t got = -EINVAL;

	if (len < 0)
		return -EINVAL;
	if (len > 0 && (size_t)len < size && utf8_is_valid(span_of(text, (size_t)len))) {
		got = len;
		for (int i = 0; i < len; i++)
			if (text[i] < ' ' || text[i] == 0x7f)
				got = -EINVAL;
		memcpy(out, text, (size_t)len);
		out[len] = '\0';
	}
	OPENSSL_free(text);
	return got;
}
