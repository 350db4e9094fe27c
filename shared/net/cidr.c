#include "shared/net/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/net/sock.h"

#define MAPPED_BITS 96 /* of ::ffff:0:0/96, which is IPv4 */

static unsigned
most_bits(const struct cidr *c)
{
	return c->version == 4 ? 32 : 128;
}

static bool
parse_address(const char *text, struct cidr *out)
{
	struct cidr c = { 0 };

	if (inet_pton(AF_INET, text, c.address) == 1)
		c.version = 4;
	else if (inet_pton(AF_INET6, text, c.address) == 1)
		c.version = 6;
	else
		return false;
	c.bits = (uint8_t)most_bits(&c);
	*out = c;
	return true;
}

static void
unmap(struct cidr *c)
{
	static const uint8_t mapped[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };
	struct cidr v4 = { .version = 4 };

	if (c->version != 6 || c->bits < MAPPED_BITS ||
	    memcmp(c->address, mapped, sizeof(mapped)) != 0)
		return;
	v4.bits = (uint8_t)(c->bits - MAPPED_BITS);
	memcpy(v4.address, c->address + sizeof(mapped), 4);
	*c = v4;
}

struct cidr
cidr_cut(struct cidr c, unsigned bits)
{
	if (bits < c.bits)
		c.bits = (uint8_t)bits;
	for (unsigned i = 0; i < sizeof(c.address); i++) {
		unsigned before = i * 8;

		if (before >= c.bits)
			c.address[i] = 0;
		else if (c.bits - before < 8)
			c.address[i] &= (uint8_t)(0xff << (8 - (c.bits - before)));
	}
	return c;
}

int
cidr_parse(const char *text, struct cidr *out, char why[256])
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char address[CIDR_TEXT_MAX];
	unsigned long bits;
	struct cidr c;
	char *end;

	if (len >= sizeof(address))
		goto no_address;
	memcpy(address, text, len);
	address[len] = '\0';
	if (!parse_address(address, &c))
		goto no_address;
	if (slash != NULL) {
		bits = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > most_bits(&c)) {
			snprintf(why, 256, "\"%.60s\": a prefix of IPv%u has 0 to %u bits", text,
			    c.version, most_bits(&c));
			return -EINVAL;
		}
		c.bits = (uint8_t)bits;
	}
	unmap(&c);
	*out = cidr_cut(c, c.bits);
	return 0;
no_address:
	snprintf(why, 256, "\"%.60s\" is no address, nor a prefix as 192.0.2.0/24 or 2001:db8::/32",
	    text);
	return -EINVAL;
}

bool
cidr_of_peer(const char *peer, struct cidr *out)
{
	struct span host = sock_text_host(peer);
	char text[CIDR_TEXT_MAX];

	if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = span_of(host.p + 1, host.len - 2);
	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	if (!parse_address(text, out))
		return false;
	unmap(out);
	return true;
}

bool
cidr_holds(const struct cidr *prefix, const struct cidr *c)
{
	struct cidr cut = cidr_cut(*c, prefix->bits);

	return prefix->version == c->version && prefix->bits <= c->bits &&
	    memcmp(cut.address, prefix->address, sizeof(cut.address)) == 0;
}

void
cidr_text(const struct cidr *c, char out[CIDR_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN] = "?";

	inet_ntop(c->version == 4 ? AF_INET : AF_INET6, c->address, address, sizeof(address));
	if (c->bits == most_bits(c))
		snprintf(out, CIDR_TEXT_MAX, "%s", address);
	else
		snprintf(out, CIDR_TEXT_MAX, "%s/%u", address, c->bits);
}
