/*
 * Two inputs with a zero byte between them: a token, and a JWKS document that keys come from. Nothing is good that wasn't signed with the secret, which is the one of RFC 7515, A.1.
 */
#include <string.h>

#include "shared/base/must.h"
#include "worker/auth/token.h"

#define RFC                                                                                        \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."                                                \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"     \
	"Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char secret[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
				     "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	struct span text = span_of(data, zero != NULL ? (size_t)(zero - data) : size);
	struct jwt_keys *files = jwt_keys_new(), *set = jwt_keys_new();
	const struct jwt_keys *const sets[] = { files, set };
	char why[JWT_WHY_MAX];
	struct token t;

	must(files != NULL && set != NULL);
	must(jwt_keys_add_secret(files, span_str(secret), true, why) == 0);
	if (zero != NULL)
		(void)jwt_keys_add_jwks(set, span_of(zero + 1, size - text.len - 1), why);
	must(set->n <= JWT_KEYS_MAX);
	if (token_check(text, sets, 2, &t) == TOKEN_GOOD)
		must(set->n > 0 || span_eq(text, span_str(RFC)));
	else
		must(t.claims == NULL && t.why != NULL);
	json_decref(t.claims);
	jwt_keys_free(files);
	jwt_keys_free(set);
	return 0;
}
