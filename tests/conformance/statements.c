#include "tests/conformance/statements.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/broken.h"

struct statement statements[] = {
#define S(version, id, who, text, why_not) { version, id, who, text, why_not, NULL },
#include "tests/conformance/statements.def"
#undef S
};

const size_t nstatements = sizeof(statements) / sizeof(statements[0]);

/* The words of a text that blanks separate: the next one, behind *at. */
static struct span
next_word(const char **at)
{
	size_t len;

	*at += strspn(*at, " ");
	len = strcspn(*at, " ");
	*at += len;
	return span_of(*at - len, len);
}

static struct statement *
find(struct span word)
{
	for (struct statement *s = statements; s < statements + nstatements; s++)
		if (word.len > 2 && word.p[0] == '0' + s->version && word.p[1] == ':' &&
		    span_eq(span_of(word.p + 2, word.len - 2), span_str(s->id)))
			return s;
	return NULL;
}

static bool
link_check(const struct check *c)
{
	const char *at = c->ids;
	bool good = true;
	struct span word;

	while ((word = next_word(&at)).len > 0) {
		struct statement *s = find(word);

		if (s == NULL || s->check != NULL || s->why_not != NULL) {
			fprintf(stderr, "%.*s: %s\n", (int)word.len, (const char *)word.p,
			    s == NULL ? "no such statement"
				      : "there is a check or a reason already");
			good = false;
		} else {
			s->check = c;
		}
	}
	at = c->rules;
	if (*at == '\0') {
		fprintf(stderr, "%s: no rule\n", c->ids);
		good = false;
	}
	while ((word = next_word(&at)).len > 0)
		if (!broken_has((const char *)word.p, word.len)) {
			fprintf(
			    stderr, "%.*s: no such rule\n", (int)word.len, (const char *)word.p);
			good = false;
		}
	return good;
}

bool
statements_link(void)
{
	bool good = true;

	for (const struct check *c = checks; c != NULL; c = c->next)
		good &= link_check(c);
	for (const struct statement *s = statements; s < statements + nstatements; s++)
		if (s->check == NULL && s->why_not == NULL) {
			fprintf(stderr, "%d:%s: no check\n", s->version, s->id);
			good = false;
		}
	return good;
}

const char *
statement_name(const struct statement *s)
{
	static char name[32];

	snprintf(name, sizeof(name), "%s%s", s->version == 3 ? "" : "MQTT-", s->id);
	return name;
}

const char *
version_name(int v)
{
	return v == 5 ? "5.0" : v == 4 ? "3.1.1" : "3.1";
}

/* What is known of its check, as columns. */
static void
print_check(const struct statement *s)
{
	const char *file = s->check != NULL ? strrchr(s->check->file, '/') : NULL;

	if (s->check == NULL)
		printf(" none | not applicable: %s |\n", s->why_not);
	else
		printf(" %s | %s |\n", file != NULL ? file + 1 : s->check->file, s->check->rules);
}

void
statements_page(void)
{
	static const char *const who[] = { "server", "client", "both" };
	unsigned all = 0, checked = 0;

	puts(
	    "# Every numbered statement, and its check\n\n"
	    "Made by `make statements`. *Broken by*: the proxy's rules under which the check "
	    "fails. "
	    "A statement\n"
	    "that binds the client is checked by what a server does with a client that breaks it.");
	for (int v = 5; v >= 3; v--) {
		printf("\n## MQTT %s\n\n| id | who | what | check | broken by |\n| --- | --- | --- "
		       "| --- | --- |\n",
		    version_name(v));
		for (const struct statement *s = statements; s < statements + nstatements; s++)
			if (s->version == v) {
				printf("| %s | %s | %s |", statement_name(s), who[s->who], s->text);
				print_check(s);
				all++;
				checked += s->check != NULL;
			}
	}
	printf(
	    "\n%u statements, %u with a check, %u not applicable.\n", all, checked, all - checked);
}
