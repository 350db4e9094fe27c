#include "worker/mqtt/proxy.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

struct header {
	const char *p;
	size_t len;
	const char *peer; /* NULL: it is none */
};

#define TEXT(text, peer)                                                                           \
	{                                                                                          \
		text, sizeof(text) - 1, peer                                                       \
	}
#define BINARY(rest, peer) TEXT(SIGNATURE rest, peer)

static const struct header headers[] = {
	TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1:56324"),
	TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1"),
	TEXT("PROXY UNKNOWN\r\n", ""),
	TEXT("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
	TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n", NULL),
	TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 more\r\n", NULL),
	TEXT("PROXY TCP4 2001:db8::1 192.0.2.2 56324 443\r\n", NULL),
	TEXT("PROXY TCP4 192.0.2.1  192.0.2.2 56324 443\r\n", NULL),
	TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", NULL),
	TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 -1 443\r\n", NULL),
	TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1x 443\r\n", NULL),
	TEXT("PROXY UDP4 192.0.2.1 192.0.2.2 1 443\r\n", NULL),
	TEXT("PROXY \r\n", NULL),
	TEXT("proxy TCP4 192.0.2.1 192.0.2.2 1 443\r\n", NULL),
	TEXT("\x10\x0c\0\4MQTT", NULL),
	TEXT("\x16\x03\x01", NULL),
	BINARY("\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", "192.0.2.1:56324"),
	BINARY("\x21\x11\0\x11\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb\4\0\2ab", "192.0.2.1:56324"),
	BINARY("\x21\x21\0\x24\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0"
	       "\0\2\0\1\1\xbb",
	    "[2001:db8::1]:1"),
	BINARY("\x20\0\0\0", ""), /* a look at whether we live */
	BINARY("\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", ""),
	BINARY("\x21\x31\0\1x", ""), /* of a unix socket */
	BINARY("\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\xdc\4\1", NULL),
	BINARY("\x11\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", NULL),
	BINARY("\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", NULL),
	BINARY("\x21\x11\xff\xff", NULL),
};

/* Of their very size, so that a look behind the end is seen. */
static int
parse(const char *p, size_t len, char peer[SOCK_TEXT_MAX])
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int n;

	memcpy(copy, p, len);
	n = proxy_parse(span_of(copy, len), peer);
	free(copy);
	return n;
}

static void
each_header_is_read_or_refused(void)
{
	char peer[SOCK_TEXT_MAX];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const struct header *h = &headers[i];
		int n = parse(h->p, h->len, peer);

		if (h->peer == NULL) {
			CU_ASSERT_EQUAL(n, -EPROTO);
			continue;
		}
		CU_ASSERT_EQUAL(n, (int)h->len);
		CU_ASSERT_STRING_EQUAL(peer, h->peer);
	}
}

static void
what_has_not_come_whole_is_waited_for(void)
{
	char peer[SOCK_TEXT_MAX], more[200];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const struct header *h = &headers[i];

		for (size_t n = 0; h->peer != NULL && n < h->len; n++)
			CU_ASSERT_EQUAL(parse(h->p, n, peer), 0);
		if (h->peer == NULL)
			continue;
		memcpy(more, h->p, h->len);
		memcpy(more + h->len, "\r\nbehind", 8);
		CU_ASSERT_EQUAL(parse(more, h->len + 8, peer), (int)h->len);
	}
	memset(more, 'x', sizeof(more));
	memcpy(more, "PROXY ", 6);
	CU_ASSERT_EQUAL(parse(more, 106, peer), 0);
	CU_ASSERT_EQUAL(parse(more, 107, peer), -EPROTO);
}

UNIT_MAIN("worker/mqtt/proxy", TEST(each_header_is_read_or_refused),
    TEST(what_has_not_come_whole_is_waited_for))
