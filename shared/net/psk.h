/*
 * psk.h - keys that clients and we have in common (TLS-PSK), of a file with a line IDENTITY:HEXKEY for each
 *
 * Lines that are empty or begin with # are nothing. An identity is a text, may have colons, and may be a user name.
 *
 * Runs in: workers; tbmqctl (checking). Errors: -ENOMEM; -EINVAL with line and reason, in which there is nothing of the line.
 */
#ifndef NET_PSK_H
#define NET_PSK_H

#include <stdbool.h>

#include "shared/base/span.h"

#define PSK_IDENTITY_MAX 255 /* bytes */
#define PSK_KEY_MAX 256

struct psks;

int psks_parse(struct span text, struct psks **out, char why[128]);
/* Borrowed. False: nobody has that identity. */
bool psks_find(const struct psks *p, struct span identity, struct span *key_out);
void psks_free(struct psks *p); /* may be NULL */

#endif
