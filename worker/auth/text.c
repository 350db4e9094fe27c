#include "worker/auth/text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/auth/login.h"

static bool
make_room(struct text *t, size_t more)
{
	size_t room = t->room > 0 ? t->room : 256;
	char *p;

	if (t->is_bad || t->no_memory)
		return false;
	if (t->room - t->len > more)
		return true;
	while (room - t->len <= more)
		room *= 2;
	p = malloc(room);
	if (p == NULL) {
		t->no_memory = true;
		return false;
	}
	if (t->len > 0)
		memcpy(p, t->p, t->len);
	if (t->p != NULL)
		OPENSSL_cleanse(t->p, t->room);
	free(t->p);
	t->p = p;
	t->room = room;
	return true;
}

static void
put(struct text *t, const void *p, size_t len)
{
	if (!make_room(t, len))
		return;
	memcpy(t->p + t->len, p, len);
	t->len += len;
	t->p[t->len] = '\0';
}

static void
put_json(struct text *t, struct span s)
{
	char code[8];

	/* It would be no JSON. */
	if (!utf8_is_valid(s))
		t->is_bad = true;
	for (size_t i = 0; i < s.len && !t->is_bad; i++) {
		uint8_t c = s.p[i];

		if (c >= ' ' && c != '"' && c != '\\' && c != 0x7f)
			put(t, &c, 1);
		else
			put(t, code, (size_t)snprintf(code, sizeof(code), "\\u%04x", c));
	}
}

static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("-._~", c) != NULL);
}

static void
put_url(struct text *t, struct span s)
{
	char code[4];

	for (size_t i = 0; i < s.len; i++) {
		if (is_unreserved(s.p[i]))
			put(t, &s.p[i], 1);
		else
			put(t, code, (size_t)snprintf(code, sizeof(code), "%%%02X", s.p[i]));
	}
}

void
text_add(struct text *t, struct span s, enum text_form form)
{
	/* As a step of a path these lead elsewhere, however they are written. */
	if (form == TEXT_URL && (span_eq(s, span_str(".")) || span_eq(s, span_str(".."))))
		t->is_bad = true;
	if (s.len == 0)
		put(t, "", 0);
	else if (form == TEXT_JSON)
		put_json(t, s);
	else if (form == TEXT_PLAIN)
		put(t, s.p, s.len);
	else
		put_url(t, s);
}

/* Without its port. */
static struct span
address_of(struct span peer)
{
	const uint8_t *colon = peer.len > 0 ? memrchr(peer.p, ':', peer.len) : NULL;
	const uint8_t *end =
	    peer.len > 0 && peer.p[0] == '[' ? memchr(peer.p, ']', peer.len) : NULL;

	if (end != NULL)
		return span_of(peer.p + 1, (size_t)(end - peer.p - 1));
	return colon != NULL ? span_of(peer.p, (size_t)(colon - peer.p)) : peer;
}

static struct span
meant_by(uint8_t letter, const struct login *l)
{
	switch (letter) {
	case 'c':
		return l->client_id;
	case 'u':
		return l->user_name;
	case 'P':
		return l->password;
	case 'a':
		return address_of(l->peer);
	case 'l':
		return l->listener;
	default:
		return span_of(NULL, 0); /* the configuration has none */
	}
}

void
text_add_pattern(struct text *t, struct span pattern, const struct login *l, enum text_form form)
{
	put(t, "", 0);
	for (size_t i = 0; i < pattern.len; i++) {
		if (pattern.p[i] == '%' && i + 1 < pattern.len && pattern.p[++i] != '%')
			text_add(t, meant_by(pattern.p[i], l), form);
		else
			put(t, &pattern.p[i], 1);
	}
}

void
text_free(struct text *t)
{
	if (t->p != NULL)
		OPENSSL_cleanse(t->p, t->room);
	free(t->p);
	*t = (struct text){ 0 };
}
