#include "worker/mqtt/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 107 /* of a line of version 1, its CR LF included */
#define HEAD_LEN 16  /* of version 2 */

enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { OVER_TCP4 = 0x11, OVER_TCP6 = 0x21 };

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static int parse_text(struct span in, char peer_out[SOCK_TEXT_MAX]);
static int parse_binary(struct span in, char peer_out[SOCK_TEXT_MAX]);
static bool take_word(const char **line, char *out, size_t size);
static void peer_of(int family, const void *address, uint16_t port, char out[SOCK_TEXT_MAX]);

int
proxy_parse(struct span in, char peer_out[SOCK_TEXT_MAX])
{
	static const struct span text = { (const uint8_t *)"PROXY ", 6 };
	const struct span binary = span_of(signature, sizeof(signature));
	size_t n;

	n = in.len < text.len ? in.len : text.len;
	if (memcmp(in.p, text.p, n) == 0)
		return n < text.len ? 0 : parse_text(in, peer_out);
	n = in.len < binary.len ? in.len : binary.len;
	if (memcmp(in.p, binary.p, n) == 0)
		return in.len < HEAD_LEN ? 0 : parse_binary(in, peer_out);
	return -EPROTO;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "PROXY UNKNOWN…\r\n" */
static int
parse_text(struct span in, char peer_out[SOCK_TEXT_MAX])
{
	const uint8_t *end = memmem(in.p, in.len < TEXT_MAX ? in.len : TEXT_MAX, "\r\n", 2);
	char line[TEXT_MAX + 1], over[8], source[64], target[64], port[8], other[8], *after;
	uint8_t address[16];
	unsigned long number;
	const char *p = line;
	int family;

	if (end == NULL)
		return in.len < TEXT_MAX ? 0 : -EPROTO;
	memcpy(line, in.p, (size_t)(end - in.p));
	line[end - in.p] = '\0';
	p += 6;
	if (!take_word(&p, over, sizeof(over)))
		return -EPROTO;
	if (strcmp(over, "UNKNOWN") == 0) {
		peer_out[0] = '\0';
		return (int)(end + 2 - in.p);
	}
	family = strcmp(over, "TCP4") == 0 ? AF_INET : strcmp(over, "TCP6") == 0 ? AF_INET6 : 0;
	if (family == 0 || !take_word(&p, source, sizeof(source)) ||
	    !take_word(&p, target, sizeof(target)) || !take_word(&p, port, sizeof(port)) ||
	    !take_word(&p, other, sizeof(other)) || *p != '\0' ||
	    inet_pton(family, source, address) != 1)
		return -EPROTO;
	number = strtoul(port, &after, 10);
	if (*after != '\0' || port[0] < '0' || port[0] > '9' || number > UINT16_MAX)
		return -EPROTO;
	peer_of(family, address, (uint16_t)number, peer_out);
	return (int)(end + 2 - in.p);
}

static int
parse_binary(struct span in, char peer_out[SOCK_TEXT_MAX])
{
	const uint8_t *p = in.p + sizeof(signature), *address = in.p + HEAD_LEN;
	unsigned version = p[0] >> 4, command = p[0] & 15, over = p[1];
	size_t len = (size_t)(p[2] << 8 | p[3]), size = over == OVER_TCP4 ? 4 : 16;
	uint16_t port;

	if (version != 2 || command > COMMAND_PROXY || HEAD_LEN + len > PROXY_MAX)
		return -EPROTO;
	if (in.len < HEAD_LEN + len)
		return 0;
	peer_out[0] = '\0';
	/* What is no TCP is nothing that we could name. */
	if (command == COMMAND_PROXY && (over == OVER_TCP4 || over == OVER_TCP6)) {
		if (len < 2 * size + 4)
			return -EPROTO;
		memcpy(&port, address + 2 * size, sizeof(port));
		peer_of(over == OVER_TCP4 ? AF_INET : AF_INET6, address, ntohs(port), peer_out);
	}
	return (int)(HEAD_LEN + len);
}

/* Words are separated by one blank. */
static bool
take_word(const char **line, char *out, size_t size)
{
	size_t n = strcspn(*line, " ");

	if (n == 0 || n >= size)
		return false;
	memcpy(out, *line, n);
	out[n] = '\0';
	*line += n + ((*line)[n] == ' ');
	return true;
}

static void
peer_of(int family, const void *address, uint16_t port, char out[SOCK_TEXT_MAX])
{
	struct sock_addr a = { 0 };

	if (family == AF_INET) {
		a.len = sizeof(a.in);
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons(port);
		memcpy(&a.in.sin_addr, address, sizeof(a.in.sin_addr));
	} else {
		a.len = sizeof(a.in6);
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		memcpy(&a.in6.sin6_addr, address, sizeof(a.in6.sin6_addr));
	}
	sock_addr_text(&a, out);
}
