/*
 * Preloaded into a worker: it dies of, or stands still at, topics that begin with "deadly/".
 *
 * What it calls across libraries can be replaced whatever it was built with: each topic is searched for wildcards.
 */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
die(const char *how, size_t len)
{
	if (len == 4 && memcmp(how, "kill", 4) == 0)
		kill(getpid(), SIGKILL);
	while (len == 4 && memcmp(how, "hang", 4) == 0)
		pause();
	abort();
}

void *
memchr(const void *text, int c, size_t len)
{
	const unsigned char *p = text;

	if (c == '+' && len > 7 && memcmp(p, "deadly/", 7) == 0)
		die((const char *)p + 7, len - 7);
	for (size_t i = 0; i < len; i++)
		if (p[i] == (unsigned char)c)
			return (void *)(p + i);
	return NULL;
}
