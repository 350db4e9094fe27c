/*
 * ocsp.h - what an authority says of a server's certificate, to be given to clients that ask (RFC 6066, 8)
 *
 * A response is made elsewhere, as by `openssl ocsp`, and read from a file. It has to be about the certificate and in force; whom it is signed by is
 * for clients to check.
 *
 * Runs in: workers; tbmqctl (checking).
 */
#ifndef NET_OCSP_H
#define NET_OCSP_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/span.h"

struct ocsp {
	uint8_t *der; /* NULL: there is none */
	size_t len;
	uint64_t until_ms; /* wall clock; UINT64_MAX: it has no end */
};

/* Says that it is good. 0, -ENOMEM; -EINVAL with the reason. */
int ocsp_read(struct span der, const X509 *certificate, struct ocsp *out, const char **why);
bool ocsp_is_valid(const struct ocsp *o); /* there is one, and still in force */
void ocsp_fini(struct ocsp *o);

#endif
