#include "worker/auth/scram_message.h"

#include "shared/mqtt/topic.h"

/* What is before the next comma, or the end; cut off with the comma. */
static struct span
part(struct span *text)
{
	const uint8_t *comma = text->len > 0 ? memchr(text->p, ',', text->len) : NULL;
	size_t len = comma != NULL ? (size_t)(comma - text->p) : text->len;
	struct span s = span_of(text->p, len);

	*text = comma != NULL ? span_of(comma + 1, text->len - len - 1) : span_of(NULL, 0);
	return s;
}

/* The value of an attribute of this name, which has to be the next. */
static bool
attribute(struct span *text, char name, struct span *out)
{
	struct span s = part(text);

	if (s.len < 3 || s.p[0] != (uint8_t)name || s.p[1] != '=')
		return false;
	*out = span_of(s.p + 2, s.len - 2);
	return true;
}

/* Of attributes that may be there nobody knows any. */
static bool
are_extensions(struct span text)
{
	while (text.p != NULL) {
		struct span s = part(&text);

		if (s.len < 3 || s.p[1] != '=' ||
		    !((s.p[0] >= 'a' && s.p[0] <= 'z') || (s.p[0] >= 'A' && s.p[0] <= 'Z')))
			return false;
	}
	return true;
}

static bool
is_nonce(struct span s, size_t most)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	return s.len > 0 && s.len <= most;
}

/* =2C is a comma, =3D is =, and there is no other. Length; 0: it can't be. */
static size_t
unescape(struct span from, char to[SCRAM_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < from.len; n++) {
		bool is_comma = from.len - i >= 3 && memcmp(from.p + i, "=2C", 3) == 0;
		bool is_equals = from.len - i >= 3 && memcmp(from.p + i, "=3D", 3) == 0;

		if (n == SCRAM_NAME_MAX || (from.p[i] == '=' && !is_comma && !is_equals))
			return 0;
		to[n] = is_comma ? ',' : (char)from.p[i];
		i += is_comma || is_equals ? 3 : 1;
	}
	to[n] = '\0';
	return utf8_is_valid(span_of(to, n)) ? n : 0;
}

bool
scram_first_parse(struct span text, struct scram_first *out)
{
	const uint8_t *from = text.p;
	struct span binding, as, name;
	char as_name[SCRAM_NAME_MAX + 1];
	size_t len;

	if (text.len == 0 || text.len > SCRAM_MESSAGE_MAX)
		return false;
	/* With y it could, and thinks that we can't, which is right; p wants what we have not. */
	binding = part(&text);
	if (!span_eq(binding, span_str("n")) && !span_eq(binding, span_str("y")))
		return false;
	as = part(&text);
	if (text.p == NULL)
		return false;
	out->header = span_of(from, (size_t)(text.p - from));
	out->bare = text;
	if (!attribute(&text, 'n', &name) || (out->name_len = unescape(name, out->name)) == 0 ||
	    !attribute(&text, 'r', &out->nonce) || !is_nonce(out->nonce, SCRAM_NONCE_MAX) ||
	    !are_extensions(text))
		return false;
	if (as.len == 0)
		return true;
	/* Nobody may act as another. */
	if (as.len < 3 || as.p[0] != 'a' || as.p[1] != '=')
		return false;
	len = unescape(span_of(as.p + 2, as.len - 2), as_name);
	return span_eq(span_of(as_name, len), span_of(out->name, out->name_len));
}

bool
scram_final_parse(struct span text, struct scram_final *out)
{
	const uint8_t *from = text.p, *proof;

	if (text.len == 0 || text.len > SCRAM_MESSAGE_MAX)
		return false;
	/* The proof comes last, and is about all before it. */
	proof = memrchr(from, ',', text.len);
	if (proof == NULL)
		return false;
	out->without_proof = span_of(from, (size_t)(proof - from));
	text = span_of(proof + 1, text.len - out->without_proof.len - 1);
	if (!attribute(&text, 'p', &out->proof))
		return false;
	text = out->without_proof;
	return attribute(&text, 'c', &out->header) && attribute(&text, 'r', &out->nonce) &&
	    is_nonce(out->nonce, SCRAM_NONCE_MAX + SCRAM_NONCE_OURS) && are_extensions(text);
}
