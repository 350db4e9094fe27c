/*
 * admin_json.h - what answers to administrators have in common
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_ADMIN_JSON_H
#define PERSIST_ADMIN_JSON_H

#include <jansson.h>

#include "shared/base/span.h"

json_t *json_text(struct span s); /* "" if it is no text */
/* Its beginning, as "payload" if that is text, else as "payload_base64". */
void json_payload(json_t *j, struct span payload);
json_t *json_page(json_t *items, const char *next); /* takes items; NULL: it is the last one */

#endif
