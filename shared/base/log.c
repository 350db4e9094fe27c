#include "shared/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/must.h"

#define MODULES_MAX 32
#define MODULE_NAME_MAX 24 /* bytes, NUL included; ours are short words */
#define ESC_BUFFERS 8
#define ESC_ROOM (LOG_ESC_MAX * 4 + sizeof("…")) /* every byte as \xNN */

static const char *const level_name[] = {
	[LOG_ERR] = "err",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static struct {
	pthread_mutex_t
	    lock;     /* of the levels: taken when they change and by the first calls after */
	unsigned gen; /* of the levels; 0 is a call site's that has not looked yet */
	int level;
	unsigned nmodules;
	struct {
		char name[MODULE_NAME_MAX];
		int level;
	} module[MODULES_MAX];

	const char *ident;
	enum log_target target;
	int fd;          /* LOG_TO_FD, keeps its number for ever, or -1 */
	int syslog_fd;   /* or -1 */
	bool is_journal; /* stderr is: it has the time and wants the priority */
	uint64_t lost;
} out = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.gen = 1,
	.level = LOG_NOTICE,
	.ident = "tbmq",
	.target = LOG_TO_STDERR,
	.fd = -1,
	.syslog_fd = -1,
};

/* Lines that log_every() held back before the one this thread is about to write. */
static struct {
	char *text;
	size_t room;
} err_sink;
static __thread unsigned held_before;

static size_t put_head(char *line, size_t room, enum log_target target, int level);
static bool send_line(enum log_target target, const char *line, size_t len);
static bool write_line(int fd, const char *line, size_t len);
static bool send_syslog(const char *line, size_t len);
static void take(int fd, int *to);
static bool is_journal_stream(int fd);
static size_t utf8_len(const uint8_t *p, size_t left);
static size_t whole_len(const char *text, size_t len);
static bool is_plain(const uint8_t *p, size_t len);

void
log_init(const char *ident)
{
	out.ident = ident;
	out.is_journal = is_journal_stream(STDERR_FILENO);
}

void
log_to(enum log_target to, int fd)
{
	int err = errno;

	if (to == LOG_TO_SYSLOG)
		take(fd, &out.syslog_fd);
	else if (to == LOG_TO_FD)
		take(fd, &out.fd);
	__atomic_store_n(&out.target, to, __ATOMIC_RELEASE);
	errno = err;
}

int
log_syslog_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int
log_level_set(const char *module, int level)
{
	unsigned i;
	int err = 0;

	if (level != LOG_LEVEL_UNSET && (level < LOG_ERR || level > LOG_DEBUG))
		return -EINVAL;
	if (module != NULL && strlen(module) >= MODULE_NAME_MAX)
		return -EINVAL;
	pthread_mutex_lock(&out.lock);
	if (module == NULL) {
		if (level == LOG_LEVEL_UNSET)
			out.nmodules = 0;
		out.level = level == LOG_LEVEL_UNSET ? LOG_NOTICE : level;
		goto out;
	}
	for (i = 0; i < out.nmodules && strcmp(out.module[i].name, module) != 0; i++)
		;
	if (i == MODULES_MAX) {
		err = -ENOSPC;
		goto out;
	}
	if (level == LOG_LEVEL_UNSET) {
		if (i < out.nmodules)
			out.module[i] = out.module[--out.nmodules];
		goto out;
	}
	if (i == out.nmodules) {
		strcpy(out.module[i].name, module);
		out.nmodules++;
	}
	out.module[i].level = level;
out:
	if (err == 0 && __atomic_add_fetch(&out.gen, 1, __ATOMIC_RELEASE) == 0)
		__atomic_store_n(&out.gen, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&out.lock);
	return err;
}

/* One "module=level" of a list; gives what follows it. level -1: it is none. NULL: there is no more. */
static const char *
next_module(const char *list, char name[MODULE_NAME_MAX], int *level_out)
{
	char word[16];
	size_t len, name_len;

	list += strspn(list, ", ");
	if (*list == '\0')
		return NULL;
	len = strcspn(list, ", ");
	name_len = strcspn(list, "=, ");
	*level_out = -1;
	if (name_len > 0 && name_len < MODULE_NAME_MAX && list[name_len] == '=' &&
	    len - name_len - 1 < sizeof(word)) {
		snprintf(name, MODULE_NAME_MAX, "%.*s", (int)name_len, list);
		snprintf(
		    word, sizeof(word), "%.*s", (int)(len - name_len - 1), list + name_len + 1);
		(void)log_level_parse(word, level_out);
	}
	return list + len;
}

bool
log_modules_are_valid(const char *modules)
{
	char name[MODULE_NAME_MAX];
	unsigned n = 0;
	int level;

	while ((modules = next_module(modules, name, &level)) != NULL)
		if (level < 0 || ++n > MODULES_MAX)
			return false;
	return true;
}

void
log_levels_set(int level, const char *modules)
{
	char name[MODULE_NAME_MAX];

	log_level_set(NULL, LOG_LEVEL_UNSET);
	log_level_set(NULL, level);
	while ((modules = next_module(modules, name, &level)) != NULL)
		if (level >= 0)
			log_level_set(name, level);
}

bool
log_level_get(unsigned i, const char **module_out, int *level_out)
{
	if (i > out.nmodules)
		return false;
	*module_out = i == 0 ? "" : out.module[i - 1].name;
	*level_out = i == 0 ? out.level : out.module[i - 1].level;
	return true;
}

int
log_level_parse(const char *name, int *level_out)
{
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
		if (strcmp(name, level_name[i]) == 0) {
			*level_out = i;
			return 0;
		}
	return -EINVAL;
}

uint64_t
log_lost(void)
{
	return __atomic_load_n(&out.lost, __ATOMIC_RELAXED);
}

bool
log_on(struct log_site *site, int level, const char *fmt)
{
	size_t len;
	int found;

	if (__atomic_load_n(&site->gen, __ATOMIC_ACQUIRE) ==
	    __atomic_load_n(&out.gen, __ATOMIC_ACQUIRE))
		return level <= __atomic_load_n(&site->level, __ATOMIC_RELAXED);

	/* Under the lock, so that two threads at one site can't mix an old level with a new gen. */
	pthread_mutex_lock(&out.lock);
	len = strcspn(fmt, ":");
	found = out.level;
	for (unsigned i = 0; i < out.nmodules; i++)
		if (strncmp(out.module[i].name, fmt, len) == 0 && out.module[i].name[len] == '\0')
			found = out.module[i].level;
	__atomic_store_n(&site->level, found, __ATOMIC_RELAXED);
	__atomic_store_n(&site->gen, out.gen, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&out.lock);
	return level <= found;
}

bool
log_due(struct log_site *site, unsigned every_s)
{
	struct timespec ts;
	uint64_t now, next = __atomic_load_n(&site->next_ms, __ATOMIC_RELAXED);

	must(clock_gettime(CLOCK_MONOTONIC_COARSE, &ts) == 0);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (now < next ||
	    !__atomic_compare_exchange_n(&site->next_ms, &next, now + every_s * UINT64_C(1000),
		false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&site->held, 1, __ATOMIC_RELAXED);
		return false;
	}
	held_before = __atomic_exchange_n(&site->held, 0, __ATOMIC_RELAXED);
	return true;
}

void
log_err_sink(char *text, size_t room)
{
	err_sink.text = text;
	err_sink.room = room;
}

void
log_write(int level, const char *fmt, ...)
{
	enum log_target target = __atomic_load_n(&out.target, __ATOMIC_ACQUIRE);
	char line[LOG_LINE_MAX];
	const size_t room = sizeof(line) - 1; /* the newline's place stays */
	int err = errno, n;
	size_t head, len;
	va_list ap;

	head = len = put_head(line, room, target, level);
	errno = err; /* for %m */
	va_start(ap, fmt);
	n = vsnprintf(line + len, room - len, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n < room - len ? (size_t)n : room - len - 1;
	if (held_before > 0) {
		n = snprintf(line + len, room - len, " held=%u", held_before);
		len += (size_t)n < room - len ? (size_t)n : room - len - 1;
		held_before = 0;
	}
	if (len == room - 1) /* cut, perhaps */
		len = whole_len(line, len);
	for (size_t i = head; i < len; i++)
		if ((uint8_t)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' '; /* one event is one line */
	if (level == LOG_ERR && err_sink.text != NULL)
		snprintf(err_sink.text, err_sink.room, "%.*s", (int)(len - head), line + head);
	line[len++] = '\n';
	if (!send_line(target, line, len))
		__atomic_add_fetch(&out.lost, 1, __ATOMIC_RELAXED);
	errno = err;
}

const char *
log_esc(struct span s)
{
	static __thread char buffers[ESC_BUFFERS][ESC_ROOM];
	static __thread unsigned turn;
	char *buf = buffers[turn++ % ESC_BUFFERS], *w = buf;
	size_t i = 0, len;

	while (i < s.len) {
		len = utf8_len(s.p + i, s.len - i);
		if (i + len > LOG_ESC_MAX)
			break;
		if (is_plain(s.p + i, len))
			w = mempcpy(w, s.p + i, len);
		else
			for (size_t k = 0; k < len; k++)
				w += sprintf(w, "\\x%02x", s.p[i + k]);
		i += len;
	}
	strcpy(w, i < s.len ? "…" : "");
	return buf;
}

static size_t
put_head(char *line, size_t room, enum log_target target, int level)
{
	struct timespec ts;
	struct tm tm;
	int n;

	if (target == LOG_TO_SYSLOG)
		n = snprintf(
		    line, room, "<%d>tbmq[%d]: %s: ", LOG_DAEMON | level, getpid(), out.ident);
	else if (target == LOG_TO_STDERR && out.is_journal)
		n = snprintf(line, room, "<%d>%s: ", level, out.ident);
	else {
		must(clock_gettime(CLOCK_REALTIME, &ts) == 0);
		gmtime_r(&ts.tv_sec, &tm);
		n = snprintf(line, room,
		    "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s: ", tm.tm_year + 1900, tm.tm_mon + 1,
		    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ts.tv_nsec / 1000000),
		    level_name[level], out.ident);
	}
	return (size_t)n < room ? (size_t)n : room - 1;
}

static bool
send_line(enum log_target target, const char *line, size_t len)
{
	switch (target) {
	case LOG_TO_SYSLOG:
		return send_syslog(line, len - 1);
	case LOG_TO_FD:
		return write_line(out.fd, line, len);
	default:
		return write_line(STDERR_FILENO, line, len);
	}
}

/*
 * A pipe or terminal whose reader stands still must not stop us, and it isn't ours to make it
 * non-blocking: others write to it too. A pipe with room takes a whole line, as it is below PIPE_BUF.
 */
static bool
write_line(int fd, const char *line, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return false;
	do {
		n = write(fd, line, len);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

/* By name each time, so that a service which was restarted is found again. */
static bool
send_syslog(const char *line, size_t len)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	return sendto(out.syslog_fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&to, sizeof(to)) >= 0;
}

/* In place, since another thread may be writing to the number just now. */
static void
take(int fd, int *to)
{
	if (*to < 0)
		*to = fd;
	else if (fd != *to && dup3(fd, *to, O_CLOEXEC) >= 0)
		close(fd);
}

/* systemd names the stream it has connected in the environment; a redirection makes it another. */
static bool
is_journal_stream(int fd)
{
	const char *name = getenv("JOURNAL_STREAM");
	char here[64];
	struct stat st;

	if (name == NULL || fstat(fd, &st) != 0)
		return false;
	snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(name, here) == 0;
}

/* Length of the character at p, or 1 if it isn't well-formed UTF-8 (RFC 3629). */
static size_t
utf8_len(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 1;
	if (p[0] == 0xe0) /* overlong */
		low = 0xa0;
	if (p[0] == 0xed) /* surrogates */
		high = 0x9f;
	if (p[0] == 0xf0) /* overlong */
		low = 0x90;
	if (p[0] == 0xf4) /* above U+10FFFF */
		high = 0x8f;
	if (left < len || p[1] < low || p[1] > high)
		return 1;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 1;
	return len;
}

/* len, or less if the last character isn't all there. */
static size_t
whole_len(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t at = len - 1;

	while (at > 0 && (p[at] & 0xc0) == 0x80)
		at--;
	return p[at] >= 0xc0 && utf8_len(p + at, len - at) == 1 ? at : len;
}

/* May be shown as it is: no control character, and nothing that breaks a line or turns its direction. */
static bool
is_plain(const uint8_t *p, size_t len)
{
	if (len == 1)
		return p[0] >= ' ' && p[0] < 0x7f && p[0] != '"' && p[0] != '\'' && p[0] != '\\';
	if (len == 2)
		return p[0] != 0xc2 || p[1] >= 0xa0; /* U+0080 to U+009F */
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x80)
		return p[2] < 0xa8 || p[2] > 0xae; /* U+2028 to U+202E */
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x81)
		return p[2] < 0xa6 || p[2] > 0xa9; /* U+2066 to U+2069 */
	return true;
}
