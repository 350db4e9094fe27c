#include "tests/lib/tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HELP = 255, NUMBERED }; /* above all letters; those without one come behind */

volatile sig_atomic_t interrupted;

_Noreturn void
fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(TOOL_BAD);
}

void *
grab(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL && n > 0)
		fail("no memory");
	return p;
}

void *
grab_more(void *p, size_t *cap, size_t size)
{
	size_t more = *cap * 2 + 4;

	p = realloc(p, more * size);
	if (p == NULL)
		fail("no memory");
	memset((char *)p + *cap * size, 0, (more - *cap) * size);
	*cap = more;
	return p;
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

_Noreturn void
tool_bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "%s: %s%s; see %s --help\n", program_invocation_short_name, what, value,
	    program_invocation_short_name);
	exit(TOOL_USAGE);
}

static void
set(const struct setting *s, const char *text)
{
	unsigned long long v = 1;
	char *end;

	if (s->max == 0) {
		*(const char **)s->value = text;
		return;
	}
	if (s->max > 1) {
		v = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || *end != '\0' || v < s->min || v > s->max)
			tool_bad_usage(s->name, " has no such value");
	}
	*(uint64_t *)s->value = v;
}

static void
on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

int
tool_options(int argc, char **argv, const struct setting *settings, size_t n, void (*usage)(void))
{
	struct option *known = grab(n + 2, sizeof(*known));
	char *letters = grab(2 * n + 1, 1), *l = letters;
	int o;

	for (size_t i = 0; i < n; i++) {
		known[i] = (struct option){ .name = settings[i].name,
			.has_arg = settings[i].max != 1,
			.val = (int)i + NUMBERED };
		if (settings[i].letter != 0) {
			*l++ = settings[i].letter;
			*l++ = ':';
		}
	}
	known[n] = (struct option){ .name = "help", .val = HELP };
	while ((o = getopt_long(argc, argv, letters, known, NULL)) != -1) {
		if (o == HELP) {
			usage();
			exit(TOOL_OK);
		}
		if (o == '?')
			tool_bad_usage("bad option", "");
		for (size_t i = 0; i < n; i++)
			if (o == (int)i + NUMBERED || o == settings[i].letter)
				set(&settings[i], optarg);
	}
	free(known);
	free(letters);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	return optind;
}

void
tool_settings_print(const struct setting *settings, size_t n)
{
	for (const struct setting *s = settings; s < settings + n; s++)
		printf("  %c%c%c --%s%-*s%s\n", s->letter != 0 ? '-' : ' ',
		    s->letter != 0 ? s->letter : ' ', s->letter != 0 ? ',' : ' ', s->name,
		    (int)(24 - strlen(s->name)),
		    s->max == 1       ? ""
			: s->max == 0 ? " TEXT"
				      : " N",
		    s->help);
}
