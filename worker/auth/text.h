/*
 * text.h - text that is put together from what a client has shown
 *
 * Patterns have %c client identifier, %u user name, %P password, %a address, %l listener's name, %% a per cent sign. What stands for them is written so that it can't be
 * more than a value where it stands: in the plain, in JSON, or in a URL or form.
 *
 * Runs in: auth's loop. Passwords are in there: nothing is left behind in memory that is given back.
 */
#ifndef AUTH_TEXT_H
#define AUTH_TEXT_H

#include "shared/base/span.h"

struct login;

struct text {    /* zeroed: empty */
	char *p; /* NUL terminated, or NULL while it is empty */
	size_t len, room;
	bool is_bad;    /* has what can't be said so; nothing more is added */
	bool no_memory; /* likewise */
};

enum text_form { TEXT_PLAIN, TEXT_JSON, TEXT_URL, TEXT_FORM };

void text_add(struct text *t, struct span s, enum text_form form);
void
text_add_pattern(struct text *t, struct span pattern, const struct login *l, enum text_form form);
void text_free(struct text *t);

#endif
