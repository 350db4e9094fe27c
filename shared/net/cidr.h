/*
 * cidr.h - addresses and prefixes of them: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32
 *
 * IPv4 and IPv6 are apart: 0.0.0.0/0 and ::/0 are all of either. IPv4 within IPv6 (::ffff:192.0.2.7) is IPv4. Bits behind a prefix are
 * zeros, so the same prefix has the same bytes.
 *
 * Pure.
 */
#ifndef NET_CIDR_H
#define NET_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#define CIDR_TEXT_MAX 64

struct cidr {
	uint8_t version; /* 4 or 6; 0: none */
	uint8_t bits;
	uint8_t address[16];
};

int cidr_parse(const char *text, struct cidr *out, char why[256]); /* 0, -EINVAL */
/* As sock_addr_text() has it, with a port: all bits of it. False: it is none. */
bool cidr_of_peer(const char *peer, struct cidr *out);
struct cidr cidr_cut(struct cidr c, unsigned bits); /* no more than so many */
bool cidr_holds(const struct cidr *prefix, const struct cidr *c);
void cidr_text(const struct cidr *c, char out[CIDR_TEXT_MAX]); /* without /32 and /128 */

#endif
