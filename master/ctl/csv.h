/*
 * csv.h - one line of a CSV file (RFC 4180): fields with commas between them, in quotes if need be
 *
 * Quotes within quotes are doubled; a field in quotes may hold line ends, so a line of the file may be several of the text.
 *
 * Runs in: tbmqctl. Pure.
 * Trusts:  no text: -EINVAL with the reason; nothing is read beyond the NUL.
 */
#ifndef CTL_CSV_H
#define CTL_CSV_H

#define CSV_FIELDS 16

struct csv_line {
	char *field[CSV_FIELDS]; /* NUL terminated, in the text */
	int n;                   /* 0: an empty line */
	int ends;                /* line ends of the text that it took */
};

/* Takes the line apart in place and moves *text behind it. 1; 0: the text is over; -EINVAL: *why, constant. */
int csv_next(char **text, struct csv_line *out, const char **why);

#endif
