#include "worker/persist/admin_json.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "shared/mqtt/mqtt.h"

#define PAYLOAD_MAX 262144 /* bytes of a payload that are shown */

json_t *
json_text(struct span s)
{
	json_t *j = json_stringn((const char *)s.p, s.len);

	return j != NULL ? j : json_string("");
}

void
json_payload(json_t *j, struct span payload)
{
	json_t *text;
	char *b64;

	if (payload.len > PAYLOAD_MAX)
		payload.len = PAYLOAD_MAX;
	text = utf8_is_valid(payload) ? json_stringn((const char *)payload.p, payload.len) : NULL;
	if (text != NULL) {
		json_object_set_new(j, "payload", text);
		return;
	}
	b64 = malloc(payload.len / 3 * 4 + 8);
	if (b64 != NULL) {
		EVP_EncodeBlock((unsigned char *)b64, payload.p, (int)payload.len);
		json_object_set_new(j, "payload_base64", json_string(b64));
	}
	free(b64);
}

json_t *
json_page(json_t *items, const char *next)
{
	return next != NULL ? json_pack("{s:b, s:o, s:s}", "ok", 1, "items", items, "next", next)
			    : json_pack("{s:b, s:o}", "ok", 1, "items", items);
}
