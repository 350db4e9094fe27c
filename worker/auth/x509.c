/*
 * Certificates: credentials that name one, by what it or one that signed for it says. The listener has found them to be good before. Names as they are come
 * before patterns, the client's own before those of who signed, and patterns in the order of their credentials' names. If none that fits is for this client
 * identifier, the client is refused; without any it is left to the next provider.
 */
#include "shared/base/regex.h"
#include "worker/auth/certificate.h"
#include "worker/auth/login.h"

struct search {
	struct login *l;
	bool one_was_known, gave_up;
	const struct credential *found;
};

/* The next name, until there is one that fits, or a pattern took too long. */
static bool
next_name(const struct search *s, struct span *rest, struct rec_name *n, struct span *text)
{
	return s->found == NULL && !s->gave_up && rec_take(rest, n, sizeof(*n)) &&
	    rec_span(rest, n->len, text);
}

static bool
matches(struct search *s, const struct regex *re, struct span text)
{
	int got = regex_find(re, text);

	s->gave_up |= got < 0;
	return got == 1;
}

static void
consider(struct search *s, const struct credential *c)
{
	if (c == NULL || c->is_disabled)
		return;
	s->one_was_known = true;
	if ((c->client_id == NULL || span_eq(s->l->client_id, span_str(c->client_id))) &&
	    (c->client_regex == NULL || matches(s, c->client_regex, s->l->client_id)))
		s->found = c;
}

static void
look_up(struct search *s, const struct rec_name *n, struct span text, int depth)
{
	char rule[CERTIFICATE_RULE_MAX + 1];

	if (!certificate_rule_of(n->kind, depth, text, rule))
		return;
	consider(s, credential_match_certificate((const char *)s->l->client_id.p, rule));
	if (s->found == NULL)
		consider(s, credential_match_certificate(NULL, rule));
}

static void
by_name(struct search *s)
{
	struct span rest = s->l->names, text;
	struct rec_name n;

	while (next_name(s, &rest, &n, &text)) {
		look_up(s, &n, text, n.depth);
		if (s->found == NULL)
			look_up(s, &n, text, CERTIFICATE_ANY);
	}
}

static void
by_pattern(struct search *s)
{
	const struct credential *c = NULL;
	struct certificate_rule rule;
	struct rec_name n;
	struct span text;

	while (s->found == NULL && !s->gave_up && (c = credential_next_pattern(c)) != NULL) {
		struct span rest = s->l->names;

		if (!certificate_parse(c->certificate, &rule))
			continue;
		while (next_name(s, &rest, &n, &text))
			if (n.kind == rule.kind &&
			    (rule.depth == CERTIFICATE_ANY || rule.depth == n.depth) &&
			    matches(s, c->name_regex, text))
				consider(s, c);
	}
}

static enum verdict
ask(struct login *l)
{
	struct search s = { .l = l };

	by_name(&s);
	by_pattern(&s);
	if (s.gave_up || (s.found == NULL && s.one_was_known))
		return VERDICT_DENY;
	if (s.found == NULL)
		return VERDICT_UNKNOWN;
	if (s.found->groups != NULL)
		l->found.groups = span_str(s.found->groups);
	return VERDICT_ALLOW;
}

const struct provider x509 = { .ask = ask };
