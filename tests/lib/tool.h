/*
 * tool.h - what the programs beside the tests share: options, and an end with a reason
 *
 * A tool is one process and one thread. What makes a run senseless ends it with fail().
 */
#ifndef LIB_TOOL_H
#define LIB_TOOL_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

enum { TOOL_OK = 0, TOOL_BAD = 1, TOOL_USAGE = 2 };

extern volatile sig_atomic_t interrupted; /* SIGINT, SIGTERM: end early, report */

_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *grab(size_t n, size_t size);                  /* zeroed; never NULL */
void *grab_more(void *p, size_t *cap, size_t size); /* *cap doubles; what is new is zeroed */
uint64_t now_ns(void);

/* A flag has max 1 and takes no argument; a text has max 0, and value is its const char **. */
struct setting {
	const char *name;
	char letter; /* 0: there is only the long name */
	void *value; /* a uint64_t of a number and a flag */
	uint64_t min, max;
	const char *help;
};

/* Of tools that need a broker: where it is. */
#define SETTINGS_OF_BROKER(host, port)                                                             \
	{ "host", 'h', host, 0, 0, "of the broker (127.0.0.1)" },                                  \
	{                                                                                          \
		"port", 'p', port, 1, 65535, "of the broker (1883)"                                \
	}

/* Sets what is named and answers where the rest begins; usage() is for --help, which ends the program. Catches SIGINT and SIGTERM. */
int
tool_options(int argc, char **argv, const struct setting *settings, size_t n, void (*usage)(void));
void tool_settings_print(const struct setting *settings, size_t n);
_Noreturn void tool_bad_usage(const char *what, const char *value);

#endif
