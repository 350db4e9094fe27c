#include "shared/base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *sink;

void
must_sink(char *text)
{
	sink = text;
}

void
must_words(char text[MUST_TEXT_MAX])
{
	size_t len = strlen(text);

	if (sink != NULL)
		memcpy(sink, text, len + 1);
	/* The end is a newline even where the text was cut. */
	text[len] = '\n';
	if (write(STDERR_FILENO, text, len + 1) < 0)
		return; /* nobody left to tell */
}

void
must_failed(const char *file, int line, const char *cond)
{
	char text[MUST_TEXT_MAX];

	snprintf(text, sizeof(text), "%s:%d: must(%s)", file, line, cond);
	must_words(text);
	abort();
}
