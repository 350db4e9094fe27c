/*
 * SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677): a client proves that it knows a password without showing it, and the broker that it knows what is
 * kept of it. Who is not known is asked the same way, with a salt that is always the same for that name, so that nobody can find out who there is.
 *
 * Nothing is remembered between the two steps: the state that comes back has both messages of the first.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "shared/base/scram.h"
#include "shared/child/child.h"
#include "worker/auth/keep.h"
#include "worker/auth/login.h"
#include "worker/auth/scram_message.h"

#define NONCE (SCRAM_NONCE_OURS / 4 * 3) /* bytes, that are sent in base64 */
#define SERVER_MAX 512                   /* bytes of what is said in the first step */

struct exchange {
	enum scram_kind kind;
	struct scram_first first;
	const struct credential *who; /* NULL: nobody, and k is made up */
	struct scram_keys k;
};

static struct {
	char state[SCRAM_MESSAGE_MAX + 1 +
	    SERVER_MAX]; /* what the client said, a NUL, what it was told */
	char said[SCRAM_BASE64_MAX + 2];
	char name[SCRAM_NAME_MAX + 1];
} the;

static bool
has_method(struct span method)
{
	return scram_kind_of(method) != SCRAM_KINDS;
}

static const struct credential *
candidate(struct exchange *x, const char *client_id)
{
	const struct credential *c = credential_match(client_id, x->first.name);

	return c != NULL && !c->is_disabled && c->scram != NULL &&
		scram_parse(c->scram, x->kind, &x->k)
	    ? c
	    : NULL;
}

/* A salt that whoever asks again is told again, and keys that fit no password. */
static bool
make_up(struct exchange *x)
{
	struct span secret = span_of(keep_secret(), KEEP_SECRET_LEN);
	uint8_t hash[SCRAM_HASH_MAX];

	if (!scram_hmac(x->kind, secret, span_of(x->first.name, x->first.name_len), hash) ||
	    !scram_hmac(x->kind, secret, span_of(hash, scram_hash_len(x->kind)), x->k.stored))
		return false;
	memcpy(x->k.salt, hash, SCRAM_SALT);
	memcpy(x->k.server, x->k.stored, sizeof(x->k.server));
	x->k.salt_len = SCRAM_SALT;
	x->k.iterations = SCRAM_ITERATIONS;
	return true;
}

/* Whose the first message is. False: there is nobody to be asked further. */
static bool
find(const struct login *l, struct span message, struct exchange *x)
{
	*x = (struct exchange){ .kind = scram_kind_of(l->method) };
	if (!scram_first_parse(message, &x->first))
		return false;
	/* Rules are about the user name that CONNECT has: it can't be another's. */
	if ((l->flags & LOGIN_USER) &&
	    !span_eq(l->user_name, span_of(x->first.name, x->first.name_len)))
		return false;
	x->who = candidate(x, (const char *)l->client_id.p);
	if (x->who == NULL)
		x->who = candidate(x, NULL);
	return x->who != NULL || make_up(x);
}

/* What it is told; the nonce is the client's and ours. Length. */
static size_t
tell(const struct exchange *x, struct span nonce, char out[SERVER_MAX])
{
	char salt[SCRAM_BASE64_MAX];

	scram_base64(span_of(x->k.salt, x->k.salt_len), salt);
	return (size_t)snprintf(out, SERVER_MAX, "r=%.*s,s=%s,i=%u", (int)nonce.len,
	    (const char *)nonce.p, salt, x->k.iterations);
}

static enum verdict
begin(struct login *l)
{
	char nonce[SCRAM_NONCE_MAX + SCRAM_BASE64_MAX], *told;
	uint8_t ours[NONCE];
	struct exchange x;
	size_t len;

	if (!find(l, l->data, &x) || RAND_bytes(ours, NONCE) != 1)
		return VERDICT_DENY;
	memcpy(nonce, x.first.nonce.p, x.first.nonce.len);
	scram_base64(span_of(ours, NONCE), nonce + x.first.nonce.len);
	memcpy(the.state, l->data.p, l->data.len);
	the.state[l->data.len] = '\0';
	told = the.state + l->data.len + 1;
	len = tell(&x, span_of(nonce, strlen(nonce)), told);
	OPENSSL_cleanse(&x.k, sizeof(x.k));
	l->found.data = span_of(told, len);
	l->found.state = span_of(the.state, l->data.len + 1 + len);
	return VERDICT_GO_ON;
}

/* RFC 5802, 3: does the proof fit, and the signature that shows who we are. */
static bool
verify(const struct exchange *x, struct span about, struct span proof, uint8_t *signature)
{
	size_t len = scram_hash_len(x->kind);
	uint8_t key[SCRAM_HASH_MAX], hash[SCRAM_HASH_MAX], given[SCRAM_HASH_MAX];
	bool fits = scram_from_base64(proof, given, sizeof(given)) == (ssize_t)len &&
	    scram_hmac(x->kind, span_of(x->k.stored, len), about, key);

	for (size_t i = 0; fits && i < len; i++)
		key[i] ^= given[i];
	fits = fits && scram_hash(x->kind, span_of(key, len), hash) &&
	    CRYPTO_memcmp(hash, x->k.stored, len) == 0 &&
	    scram_hmac(x->kind, span_of(x->k.server, len), about, signature);
	OPENSSL_cleanse(key, sizeof(key));
	return fits && x->who != NULL;
}

/* What all of it is about: the first message without its header, what was told, the last without the proof. */
static size_t
put_together(char *to, struct span bare, struct span told, struct span final)
{
	const struct span part[] = { bare, told, final };
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		if (i > 0)
			to[n++] = ',';
		memcpy(to + n, part[i].p, part[i].len);
		n += part[i].len;
	}
	return n;
}

static bool
header_fits(struct span base64, struct span header)
{
	char text[(SCRAM_MESSAGE_MAX + 2) / 3 * 4 + 1];

	return span_eq(base64,
	    span_of(text, (size_t)EVP_EncodeBlock((uint8_t *)text, header.p, (int)header.len)));
}

static enum verdict
end(struct login *l)
{
	static char about[2 * SCRAM_MESSAGE_MAX + SERVER_MAX + 2];
	const uint8_t *nul = memchr(l->state.p, '\0', l->state.len);
	uint8_t signature[SCRAM_HASH_MAX];
	char again[SERVER_MAX];
	struct scram_final f;
	struct exchange x;
	struct span told;
	size_t said;
	bool fits;

	if (nul == NULL || !scram_final_parse(l->data, &f) ||
	    !find(l, span_of(l->state.p, (size_t)(nul - l->state.p)), &x))
		return VERDICT_DENY;
	told = span_of(nul + 1, l->state.len - (size_t)(nul + 1 - l->state.p));
	/* With the nonce that it was told, and what is kept may be another by now. */
	fits = tell(&x, f.nonce, again) == told.len && memcmp(again, told.p, told.len) == 0 &&
	    header_fits(f.header, x.first.header) &&
	    verify(&x, span_of(about, put_together(about, x.first.bare, told, f.without_proof)),
		f.proof, signature);
	OPENSSL_cleanse(&x.k, sizeof(x.k));
	if (!fits)
		return VERDICT_DENY;
	memcpy(the.said, "v=", 2);
	scram_base64(span_of(signature, scram_hash_len(x.kind)), the.said + 2);
	said = strlen(the.said);
	l->found.data = span_of(the.said, said);
	if (!(l->flags & LOGIN_USER)) {
		memcpy(the.name, x.first.name, x.first.name_len + 1);
		l->found.user_name = span_of(the.name, x.first.name_len);
	}
	if (x.who->groups != NULL)
		l->found.groups = span_str(x.who->groups);
	return VERDICT_ALLOW;
}

static enum verdict
ask(struct login *l)
{
	return l->state.len == 0 ? begin(l) : end(l);
}

const struct provider scram = { .ask = ask, .has_method = has_method };
