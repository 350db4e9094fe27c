#include "shared/net/psk.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/mqtt/topic.h"

struct psk {
	struct span identity, key;
	unsigned line;
};

/* Identities and keys are in data, which is shorter than the text they came from. */
struct psks {
	size_t n, cap, len, size;
	struct psk *at;
	uint8_t *data;
};

static int
refuse(char why[128], unsigned line, const char *reason)
{
	snprintf(why, 128, "line %u: %s", line, reason);
	return -EINVAL;
}

static int
digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0'
	    : c >= 'a' && c <= 'f'  ? c - 'a' + 10
	    : c >= 'A' && c <= 'F'  ? c - 'A' + 10
				    : -1;
}

static struct span
keep(struct psks *p, const uint8_t *bytes, size_t len)
{
	struct span kept = span_of(p->data + p->len, len);

	memcpy(p->data + p->len, bytes, len);
	p->len += len;
	return kept;
}

static bool
is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_is_valid(s);
}

static int
add(struct psks *p, struct span line, unsigned number, char why[128])
{
	const uint8_t *colon = memrchr(line.p, ':', line.len), *hex;
	struct psk psk = { .line = number };
	uint8_t key[PSK_KEY_MAX];
	size_t digits;

	if (colon == NULL || colon == line.p)
		return refuse(why, number, "must be IDENTITY:HEXKEY");
	psk.identity = span_of(line.p, (size_t)(colon - line.p));
	if (psk.identity.len > PSK_IDENTITY_MAX || !is_text(psk.identity))
		return refuse(why, number, "the identity is no text of up to 255 bytes");
	hex = colon + 1;
	digits = line.len - psk.identity.len - 1;
	if (digits == 0 || digits % 2 != 0 || digits / 2 > PSK_KEY_MAX)
		return refuse(why, number, "a key has 1 to 256 bytes, in hexadecimal");
	for (size_t i = 0; i < digits; i += 2) {
		int high = digit(hex[i]), low = digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return refuse(why, number, "the key is not in hexadecimal");
		key[i / 2] = (uint8_t)(high << 4 | low);
	}
	if (p->n == p->cap) {
		size_t cap = p->cap > 0 ? p->cap * 2 : 16;
		struct psk *at = reallocarray(p->at, cap, sizeof(*at));

		if (at == NULL)
			return -ENOMEM;
		p->at = at;
		p->cap = cap;
	}
	psk.identity = keep(p, psk.identity.p, psk.identity.len);
	psk.key = keep(p, key, digits / 2);
	explicit_bzero(key, sizeof(key));
	p->at[p->n++] = psk;
	return 0;
}

static int
by_identity(const void *a, const void *b)
{
	struct span x = ((const struct psk *)a)->identity, y = ((const struct psk *)b)->identity;
	int order = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);

	return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static int
sort(struct psks *p, char why[128])
{
	if (p->n > 0)
		qsort(p->at, p->n, sizeof(*p->at), by_identity);
	for (size_t i = 1; i < p->n; i++)
		if (by_identity(&p->at[i - 1], &p->at[i]) == 0) {
			unsigned a = p->at[i - 1].line, b = p->at[i].line;

			return refuse(why, a > b ? a : b, "the identity is there twice");
		}
	return 0;
}

int
psks_parse(struct span text, struct psks **out, char why[128])
{
	struct psks *p = calloc(1, sizeof(*p));
	unsigned number = 0;
	int err = 0;

	if (p == NULL || (p->data = malloc(text.len + 1)) == NULL) {
		free(p);
		return -ENOMEM;
	}
	p->size = text.len + 1;
	for (size_t at = 0; at < text.len && err == 0;) {
		const uint8_t *line = text.p + at, *end = memchr(line, '\n', text.len - at);
		size_t len = end != NULL ? (size_t)(end - line) : text.len - at;

		at += len + 1;
		number++;
		if (len > 0 && line[len - 1] == '\r')
			len--;
		if (len > 0 && line[0] != '#')
			err = add(p, span_of(line, len), number, why);
	}
	if (err == 0)
		err = sort(p, why);
	if (err != 0) {
		psks_free(p);
		return err;
	}
	*out = p;
	return 0;
}

bool
psks_find(const struct psks *p, struct span identity, struct span *key_out)
{
	const struct psk want = { .identity = identity }, *found;

	if (p->n == 0 || identity.len == 0)
		return false;
	found = bsearch(&want, p->at, p->n, sizeof(*p->at), by_identity);
	if (found == NULL)
		return false;
	*key_out = found->key;
	return true;
}

void
psks_free(struct psks *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p->data, p->size);
	free(p->data);
	free(p->at);
	free(p);
}
