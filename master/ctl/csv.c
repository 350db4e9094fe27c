#include "master/ctl/csv.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* What is between quotes, moved together; *at is behind the closing one then. NULL: there is none. */
static char *
take_quoted(char **at, int *ends)
{
	char *start = *at + 1, *from = start, *to = start;

	for (;; *to++ = *from++) {
		if (*from == '\0')
			return NULL;
		*ends += *from == '\n';
		if (*from == '"' && *++from != '"')
			break;
	}
	*at = from;
	/* The closing quote's place is free; what is behind it is still to be read. */
	*to = '\0';
	return start;
}

int
csv_next(char **text, struct csv_line *out, const char **why)
{
	char *at = *text;
	bool more = *at != '\0';

	out->n = out->ends = 0;
	if (!more)
		return 0;
	while (more) {
		char *field = at, end;

		if (out->n == CSV_FIELDS) {
			*why = "too many fields";
			return -EINVAL;
		}
		if (*at == '"') {
			field = take_quoted(&at, &out->ends);
			if (field == NULL) {
				*why = "a quote isn't closed";
				return -EINVAL;
			}
		} else {
			at += strcspn(at, ",\r\n");
		}
		end = *at;
		if (end == '\r' && at[1] == '\n')
			*at++ = '\0';
		if (*at != ',' && *at != '\n' && *at != '\0') {
			*why = "something is behind a field";
			return -EINVAL;
		}
		more = end == ',';
		out->ends += *at == '\n';
		if (*at != '\0')
			*at++ = '\0';
		out->field[out->n++] = field;
	}
	if (out->n == 1 && out->field[0][0] == '\0')
		out->n = 0;
	*text = at;
	return 1;
}
