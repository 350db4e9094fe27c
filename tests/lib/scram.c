#include "tests/lib/scram.h"

#include <err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 10000

static const EVP_MD *
md_of(const struct scram *s)
{
	return strcmp(s->method, "SCRAM-SHA-512") == 0 ? EVP_sha512() : EVP_sha256();
}

static const char *
header_of(const struct scram *s)
{
	return s->header != NULL ? s->header : "n,,";
}

struct span
scram_first(struct scram *s)
{
	uint8_t random[15];
	char nonce[32];

	RAND_bytes(random, sizeof(random));
	EVP_EncodeBlock((uint8_t *)nonce, random, sizeof(random));
	snprintf(
	    s->bare, sizeof(s->bare), "n=%s,r=%s", s->user, s->nonce != NULL ? s->nonce : nonce);
	return wire_bytes(5, "rr", span_str(header_of(s)), span_str(s->bare));
}

struct span
scram_final(struct scram *s, struct span server_first)
{
	char nonce[1000], salt64[200], header[200], proof64[100], *message = NULL, *final = NULL;
	uint8_t salt[200], salted[64], client_key[64], server_key[64], stored[64], proof[64],
	    sign[64];
	unsigned iterations, len;
	int salt_len;
	struct span out = { 0 };

	snprintf(s->server_first, sizeof(s->server_first), "%.*s", (int)server_first.len,
	    (const char *)server_first.p);
	if (sscanf(s->server_first, "r=%999[^,],s=%199[^,],i=%u", nonce, salt64, &iterations) != 3)
		return out;
	salt_len = EVP_DecodeBlock(salt, (const uint8_t *)salt64, (int)strlen(salt64));
	for (size_t i = strlen(salt64); i > 0 && salt64[i - 1] == '='; i--)
		salt_len--;
	len = (unsigned)EVP_MD_get_size(md_of(s));
	PKCS5_PBKDF2_HMAC(s->password, (int)strlen(s->password), salt, salt_len, (int)iterations,
	    md_of(s), (int)len, salted);
	HMAC(md_of(s), salted, (int)len, (const uint8_t *)"Client Key", 10, client_key, NULL);
	HMAC(md_of(s), salted, (int)len, (const uint8_t *)"Server Key", 10, server_key, NULL);
	EVP_Digest(client_key, len, stored, NULL, md_of(s), NULL);
	EVP_EncodeBlock(
	    (uint8_t *)header, (const uint8_t *)header_of(s), (int)strlen(header_of(s)));
	if (asprintf(&message, "%s,%s,c=%s,r=%s", s->bare, s->server_first, header, nonce) < 0)
		err(1, "scram");
	HMAC(md_of(s), stored, (int)len, (const uint8_t *)message, strlen(message), proof, NULL);
	for (unsigned i = 0; i < len; i++)
		proof[i] ^= client_key[i];
	HMAC(md_of(s), server_key, (int)len, (const uint8_t *)message, strlen(message), sign, NULL);
	EVP_EncodeBlock((uint8_t *)proof64, proof, (int)len);
	EVP_EncodeBlock((uint8_t *)s->signature, sign, (int)len);
	if (asprintf(&final, "c=%s,r=%s,p=%s", header, nonce, proof64) < 0)
		err(1, "scram");
	out = wire_bytes(5, "r", span_str(final));
	free(message);
	free(final);
	return out;
}

bool
scram_is_server(const struct scram *s, struct span server_final)
{
	return server_final.len == 2 + strlen(s->signature) &&
	    memcmp(server_final.p, "v=", 2) == 0 &&
	    memcmp(server_final.p + 2, s->signature, strlen(s->signature)) == 0;
}

struct span
scram_auth(const struct scram *s, unsigned reason, struct span data)
{
	struct span props = wire_props("1s", AUTH_METHOD, s->method);

	if (data.len > 0)
		props = wire_props("r1b", props, AUTH_DATA, data);
	return wire_make(5, AUTH << 4, "1p", reason, props);
}

struct wire *
scram_begin(int port, struct scram *s, struct wire_connect o, struct wire_packet *out)
{
	struct wire *w = wire_open("127.0.0.1", port, 5);

	if (w == NULL)
		errx(1, "scram: no connection");
	o.props = wire_props("r1s1b", o.props, AUTH_METHOD, s->method, AUTH_DATA, scram_first(s));
	wire_send(w, wire_make_connect(5, &o));
	if (wire_read(w, WAIT_MS, out) == WIRE_PACKET && out->bad == NULL)
		return w;
	*out = (struct wire_packet){ .reason = -1 };
	return w;
}

static struct span
data_of(const struct scram *s, const struct wire_packet *k)
{
	const struct wire_prop *method = wire_find(k, AUTH_METHOD), *data = wire_find(k, AUTH_DATA);

	return method != NULL && data != NULL && span_eq(method->text, span_str(s->method))
	    ? data->text
	    : span_of(NULL, 0);
}

struct wire *
scram_connect(int port, struct scram *s, struct wire_connect o, int *reason_out)
{
	struct wire_packet k;
	struct wire *w = scram_begin(port, s, o, &k);
	int reason = k.reason;

	if (k.type == AUTH && k.reason == 0x18) {
		wire_send(w, scram_auth(s, 0x18, scram_final(s, data_of(s, &k))));
		reason =
		    wire_read(w, WAIT_MS, &k) == WIRE_PACKET && k.type == CONNACK ? k.reason : -1;
		if (reason == 0 && !scram_is_server(s, data_of(s, &k)))
			reason = -2;
	}
	if (reason_out != NULL)
		*reason_out = reason;
	if (reason == 0 && k.type == CONNACK)
		return w;
	wire_close(w);
	return NULL;
}

int
scram_again(struct wire *w, struct scram *s)
{
	struct wire_packet k;

	wire_send(w, scram_auth(s, 0x19, scram_first(s)));
	if (wire_read(w, WAIT_MS, &k) != WIRE_PACKET)
		return -1;
	if (k.type != AUTH || k.reason != 0x18)
		return k.reason;
	wire_send(w, scram_auth(s, 0x18, scram_final(s, data_of(s, &k))));
	if (wire_read(w, WAIT_MS, &k) != WIRE_PACKET)
		return -1;
	return k.type != AUTH || scram_is_server(s, data_of(s, &k)) ? k.reason : -2;
}
