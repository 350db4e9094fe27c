/* A CSV file. Each line's fields are in the text, and written anew, all in quotes, they are read as the same. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "master/ctl/csv.h"
#include "shared/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Twice as long at most, with quotes and a comma for each field. */
static char *
written(const struct csv_line *l, size_t size)
{
	char *text = malloc(2 * size + 3 * CSV_FIELDS + 2), *to = text;

	must(text != NULL);
	for (int i = 0; i < l->n; i++) {
		*to++ = '"';
		for (const char *s = l->field[i]; *s != '\0'; s++) {
			if (*s == '"')
				*to++ = '"';
			*to++ = *s;
		}
		*to++ = '"';
		if (i + 1 < l->n)
			*to++ = ',';
	}
	*to++ = '\n';
	*to = '\0';
	return text;
}

static void
is_read_as_the_same(const struct csv_line *l, size_t size)
{
	char *text = written(l, size), *at = text;
	struct csv_line again;
	const char *why;

	must(csv_next(&at, &again, &why) == 1 && again.n == l->n && *at == '\0');
	for (int i = 0; i < l->n; i++)
		must(strcmp(again.field[i], l->field[i]) == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *at = text;
	const char *why = NULL;
	struct csv_line l;
	int got;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	while ((got = csv_next(&at, &l, &why)) == 1) {
		must(l.n >= 0 && l.n <= CSV_FIELDS && at > text && at <= text + size);
		for (int i = 0; i < l.n; i++) {
			must(l.field[i] >= text && l.field[i] <= text + size);
			must(l.field[i] + strlen(l.field[i]) <= text + size);
		}
		if (l.n > 0)
			is_read_as_the_same(&l, size);
	}
	must(got == 0 || (got == -EINVAL && why != NULL));
	free(text);
	return 0;
}
