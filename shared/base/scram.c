#include "shared/base/scram.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX ((SCRAM_BASE64_MAX - 1) / 4 * 3) /* that fit in a text of base64 */

static const struct {
	const char *name;
	const EVP_MD *(*md)(void);
	size_t len;
} kinds[SCRAM_KINDS] = {
	[SCRAM_SHA_256] = { "SCRAM-SHA-256", EVP_sha256, 32 },
	[SCRAM_SHA_512] = { "SCRAM-SHA-512", EVP_sha512, 64 },
};

static bool take_keys(struct span text, enum scram_kind *kind, struct scram_keys *out);

const char *
scram_name(enum scram_kind kind)
{
	return kinds[kind].name;
}

enum scram_kind
scram_kind_of(struct span method)
{
	enum scram_kind k = 0;

	while (k < SCRAM_KINDS && !span_eq(method, span_str(kinds[k].name)))
		k++;
	return k;
}

size_t
scram_hash_len(enum scram_kind kind)
{
	return kinds[kind].len;
}

bool
scram_hash(enum scram_kind kind, struct span of, uint8_t *out)
{
	return EVP_Digest(of.p, of.len, out, NULL, kinds[kind].md(), NULL) == 1;
}

bool
scram_hmac(enum scram_kind kind, struct span key, struct span of, uint8_t *out)
{
	return HMAC(kinds[kind].md(), key.p, (int)key.len, of.p, of.len, out, NULL) != NULL;
}

/* RFC 5802, 3 */
int
scram_derive(enum scram_kind kind, struct span password, struct scram_keys *k)
{
	uint8_t salted[SCRAM_HASH_MAX], client[SCRAM_HASH_MAX];
	size_t len = kinds[kind].len;
	bool done = PKCS5_PBKDF2_HMAC(password.len > 0 ? (const char *)password.p : "",
			(int)password.len, k->salt, (int)k->salt_len, (int)k->iterations,
			kinds[kind].md(), (int)len, salted) == 1 &&
	    scram_hmac(kind, span_of(salted, len), span_str("Client Key"), client) &&
	    scram_hash(kind, span_of(client, len), k->stored) &&
	    scram_hmac(kind, span_of(salted, len), span_str("Server Key"), k->server);

	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	return done ? 0 : -EIO;
}

int
scram_make(struct span password, unsigned iterations, char out[SCRAM_TEXT_MAX])
{
	size_t at = 0;

	if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX)
		return -EINVAL;
	for (enum scram_kind kind = 0; kind < SCRAM_KINDS; kind++) {
		struct scram_keys k = { .iterations = iterations, .salt_len = SCRAM_SALT };
		char salt[SCRAM_BASE64_MAX], stored[SCRAM_BASE64_MAX], server[SCRAM_BASE64_MAX];

		if (RAND_bytes(k.salt, SCRAM_SALT) != 1 || scram_derive(kind, password, &k) != 0)
			return -EIO;
		scram_base64(span_of(k.salt, k.salt_len), salt);
		scram_base64(span_of(k.stored, kinds[kind].len), stored);
		scram_base64(span_of(k.server, kinds[kind].len), server);
		at += (size_t)snprintf(out + at, SCRAM_TEXT_MAX - at, "%s%s$%u:%s$%s:%s",
		    at > 0 ? " " : "", kinds[kind].name, iterations, salt, stored, server);
	}
	return 0;
}

/* One after the other, each kind once at most. */
static bool
walk(const char *text, enum scram_kind wanted, struct scram_keys *out, bool *found)
{
	bool has[SCRAM_KINDS] = { false };

	*found = false;
	if (strlen(text) >= SCRAM_TEXT_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(text, " ");
		struct scram_keys k;
		enum scram_kind kind;

		if (!take_keys(span_of(text, len), &kind, &k) || has[kind])
			return false;
		has[kind] = true;
		if (kind == wanted) {
			*out = k;
			*found = true;
		}
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

bool
scram_parse(const char *text, enum scram_kind kind, struct scram_keys *out)
{
	bool found;

	return walk(text, kind, out, &found) && found;
}

bool
scram_text_is_valid(const char *text)
{
	bool found;

	return walk(text, SCRAM_KINDS, NULL, &found);
}

/* What is before the mark, which is cut off with it. False: it isn't there. */
static bool
take(struct span *text, char mark, struct span *out)
{
	const uint8_t *at = text->len > 0 ? memchr(text->p, mark, text->len) : NULL;

	if (at == NULL)
		return false;
	*out = span_of(text->p, (size_t)(at - text->p));
	*text = span_of(at + 1, text->len - out->len - 1);
	return true;
}

static bool
take_iterations(struct span text, unsigned *out)
{
	unsigned long n = 0;

	if (text.len == 0 || text.len > 8 || text.p[0] == '0')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		n = n * 10 + (text.p[i] - '0');
	}
	*out = (unsigned)n;
	return n >= SCRAM_ITERATIONS_MIN && n <= SCRAM_ITERATIONS_MAX;
}

static bool
take_keys(struct span text, enum scram_kind *kind, struct scram_keys *out)
{
	struct span name, iterations, salt, stored;
	struct scram_keys k = { 0 };
	ssize_t n;

	if (!take(&text, '$', &name) || !take(&text, ':', &iterations) ||
	    !take(&text, '$', &salt) || !take(&text, ':', &stored))
		return false;
	*kind = scram_kind_of(name);
	if (*kind == SCRAM_KINDS || !take_iterations(iterations, &k.iterations))
		return false;
	n = scram_from_base64(salt, k.salt, sizeof(k.salt));
	if (n <= 0 ||
	    scram_from_base64(stored, k.stored, sizeof(k.stored)) != (ssize_t)kinds[*kind].len ||
	    scram_from_base64(text, k.server, sizeof(k.server)) != (ssize_t)kinds[*kind].len)
		return false;
	k.salt_len = (size_t)n;
	*out = k;
	return true;
}

void
scram_base64(struct span of, char out[SCRAM_BASE64_MAX])
{
	EVP_EncodeBlock((uint8_t *)out, of.p, (int)of.len);
}

ssize_t
scram_from_base64(struct span text, uint8_t *out, size_t room)
{
	uint8_t bytes[BYTES_MAX] = { 0 };
	char again[SCRAM_BASE64_MAX];
	size_t padding = 0;
	int n;

	if (text.len % 4 != 0 || text.len >= SCRAM_BASE64_MAX)
		return -1;
	while (padding < 2 && padding < text.len && text.p[text.len - 1 - padding] == '=')
		padding++;
	n = text.len > 0 ? EVP_DecodeBlock(bytes, text.p, (int)text.len) - (int)padding : 0;
	if (n < 0 || (size_t)n > room)
		return -1;
	/* OpenSSL overlooks blanks around it, and bits that nothing depends on. */
	scram_base64(span_of(bytes, (size_t)n), again);
	if (!span_eq(span_str(again), text))
		return -1;
	memcpy(out, bytes, (size_t)n);
	return n;
}
