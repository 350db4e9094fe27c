/*
 * log.h - one event, one line
 *
 * A message starts with its module and a colon ("conn: accepted id=…"); levels can be set by module.
 * A call that is off costs a load and a compare: each call site remembers whether its module is on,
 * until the levels change. Client text goes through log_esc(); what control characters a line still
 * has become blanks. A log call keeps errno.
 *
 * Line: "2026-11-24T10:20:30.123Z notice mqtt/0: conn: accepted id=…" on stderr and files;
 * to syslog or the journal without the time, with the priority. Lines are written whole (one
 * write(2), O_APPEND), at most LOG_LINE_MAX bytes. A log that can't be written is counted, never
 * waited for.
 *
 * Runs in: any process, any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "shared/base/span.h"

#define LOG_LINE_MAX 2048
#define LOG_ESC_MAX 128 /* bytes of client text shown */

enum log_target { LOG_TO_STDERR, LOG_TO_FD, LOG_TO_SYSLOG };

void log_init(const char *ident); /* process title, as "mqtt/3"; borrowed for ever */
/* fd: for LOG_TO_FD and, from log_syslog_socket(), LOG_TO_SYSLOG: taken; what was open before is closed. The number of the first is used on. */
void log_to(enum log_target to, int fd);
int
log_syslog_socket(void); /* or -errno. Also for another process, which then needs no file system */

/*
 * module NULL: the default of all that have no level of their own. LOG_LEVEL_UNSET: the module follows
 * the default again; of NULL: forget all modules, the default is notice. -ENOSPC: more than 32
 * modules; -EINVAL: no such level, a name of more than 23 bytes.
 */
#define LOG_LEVEL_UNSET (-1)
int log_level_set(const char *module, int level);
/* All anew: the default, and modules as "conn=debug,route=info". */
void log_levels_set(int level, const char *modules);
bool log_modules_are_valid(const char *modules);
/* The i-th module that has a level of its own; i 0 is the default, with the name "". false: no more. */
bool log_level_get(unsigned i, const char **module_out, int *level_out);
/* "err" "warning" "notice" "info" "debug"; -EINVAL */
int log_level_parse(const char *name, int *level_out);
uint64_t log_lost(void); /* lines that could not be written */

struct log_site {
	unsigned gen; /* of the level table when this was worked out */
	int level;    /* the module's level */
	uint64_t next_ms;
	unsigned held; /* log_every: lines not written since */
};

bool log_on(struct log_site *site, int level, const char *fmt);
void log_write(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_due(struct log_site *site, unsigned every_s);

#define log_at(lvl, fmt, ...)                                                                      \
	do {                                                                                       \
		static struct log_site site_;                                                      \
		if (log_on(&site_, lvl, fmt))                                                      \
			log_write(lvl, fmt, ##__VA_ARGS__);                                        \
	} while (0)
#define log_err(...) log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* At most one line in `s` seconds from this place; "held=N" ends it if N were not written. */
#define log_every(s, lvl, fmt, ...)                                                                \
	do {                                                                                       \
		static struct log_site site_;                                                      \
		if (log_on(&site_, lvl, fmt) && log_due(&site_, s))                                \
			log_write(lvl, fmt, ##__VA_ARGS__);                                        \
	} while (0)

/*
 * The text of each line at LOG_ERR goes there too, cut, NUL terminated, in place of the one before;
 * NULL: no more. Borrowed until then. For last words: only while one thread logs.
 */
void log_err_sink(char *text, size_t room);

/*
 * Client text made safe to print: control characters, quotes, backslashes and bytes that aren't UTF-8
 * as \xNN, cut with … at LOG_ESC_MAX. The answer lives in one of eight rotating buffers of the thread.
 */
const char *log_esc(struct span s);

#endif
