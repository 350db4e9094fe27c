/*
 * SCRAM: the first byte says what the rest is. Messages in parts that have to make up the whole; what is kept of a password, which has to be read the same
 * when it is written again; or the second step with whatever state, in which nobody gets in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"
#include "shared/base/scram.h"
#include "shared/child/child.h"
#include "worker/auth/credential.h"
#include "worker/auth/login.h"
#include "worker/auth/scram_message.h"

struct self self;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char keys[] =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

static void
first(struct span text)
{
	struct scram_first f;

	if (!scram_first_parse(text, &f))
		return;
	must(f.header.p == text.p && f.header.len + f.bare.len == text.len);
	must(f.bare.p == text.p + f.header.len && memchr(f.nonce.p, ',', f.nonce.len) == NULL);
	must(f.name_len > 0 && f.name_len <= SCRAM_NAME_MAX && strlen(f.name) == f.name_len);
}

static void
final(struct span text)
{
	struct scram_final f;

	if (!scram_final_parse(text, &f))
		return;
	must(f.without_proof.p == text.p && f.without_proof.len + 3 + f.proof.len == text.len &&
	    f.proof.len > 0);
	must(f.nonce.len > 0 && memchr(f.nonce.p, ',', f.nonce.len) == NULL);
}

static void
kept(struct span text)
{
	char *copy = strndup((const char *)text.p, text.len), again[SCRAM_BASE64_MAX];
	uint8_t bytes[SCRAM_HASH_MAX];
	ssize_t n = scram_from_base64(text, bytes, sizeof(bytes));

	must(copy != NULL);
	if (scram_text_is_valid(copy)) {
		struct scram_keys k;

		must(scram_parse(copy, SCRAM_SHA_256, &k) || scram_parse(copy, SCRAM_SHA_512, &k));
		must(k.iterations >= SCRAM_ITERATIONS_MIN && k.salt_len > 0);
	}
	if (n >= 0) {
		scram_base64(span_of(bytes, (size_t)n), again);
		must(span_eq(span_str(again), text));
	}
	free(copy);
}

/* Some who are known, then the state up to a line's end, and what comes to it. */
static void
step(struct span text)
{
	const uint8_t *end = memchr(text.p, '\n', text.len);
	struct login l = { .client_id = span_str("id"), .method = span_str("SCRAM-SHA-256") };
	struct credential *c;
	enum verdict v;

	if (end == NULL)
		l.data = text;
	else {
		l.state = span_of(text.p, (size_t)(end - text.p));
		l.data = span_of(end + 1, text.len - l.state.len - 1);
	}
	credential_init();
	c = credential_new();
	must(c != NULL && credential_set(&c->name, span_str("n")) &&
	    credential_set(&c->user_name, span_str("user")) &&
	    credential_set(&c->scram, span_str(keys)) && credential_put(c) == 0);
	v = scram.ask(&l);
	must(v == VERDICT_DENY || (l.state.len == 0 && v == VERDICT_GO_ON) ||
	    memmem(text.p, text.len, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", 44) != NULL);
	must(v != VERDICT_GO_ON || (l.found.data.len > 0 && l.found.state.len > 0));
	credential_fini();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct span) = { first, final, kept, step };
	uint8_t *copy; /* of its very size */

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	must(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	kinds[data[0] % 4](span_of(copy, size - 1));
	free(copy);
	return 0;
}
