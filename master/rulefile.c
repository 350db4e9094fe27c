/*
 * Access rules that administrators have added while the broker runs. The master keeps them itself, beside its configuration, as it does with blocks: they
 * have to be there before the first connection, and nobody who talks to clients can write there. FILE.rules is text, as an acl_file has it; what
 * is to take its place is FILE.rules.next until all processes have agreed to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/acl/acl.h"
#include "shared/base/dir.h"
#include "shared/base/log.h"

#define PAGE_BYTES 262144 /* of rules in an answer, or the one that goes beyond */

/* What is different in the copy. */
struct edit {
	const char *add;  /* a line that comes */
	const char *gone; /* the text of one that goes; NULL with `at`: by its number */
	size_t at; /* number: of the line before which it comes, 0 for the end; or that goes */
	bool is_done;
};

void
rulefile_path(char out[PATH_MAX])
{
	conffile_path(".rules", out);
}

void
rulefile_staged(char out[PATH_MAX])
{
	conffile_path(".rules.next", out);
}

/* A pipe or a terminal would keep all waiting. */
static int
open_file(const char *path, FILE **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (st.st_size > ACL_FILE_MAX)
		err = -EFBIG;
	else if ((*out = fdopen(fd, "re")) == NULL)
		err = -errno;
	if (err != 0)
		close(fd);
	return err;
}

/* Without what ends it. */
static size_t
trim(const char *line, size_t n)
{
	while (n > 0 && strchr(" \t\r\n", line[n - 1]) != NULL && line[n - 1] != '\0')
		n--;
	return n;
}

static bool
goes(const struct edit *e, const char *line, size_t n, size_t number)
{
	if (e->is_done || e->add != NULL)
		return false;
	if (e->gone == NULL)
		return e->at == number;
	return strlen(e->gone) == n && memcmp(e->gone, line, n) == 0;
}

static int
copy_lines(FILE *in, FILE *out, struct edit *e)
{
	char *line = NULL;
	size_t cap = 0, number = 1;
	ssize_t got;

	for (; (got = getline(&line, &cap, in)) > 0; number++) {
		size_t n = trim(line, (size_t)got);

		if (e->add != NULL && e->at == number) {
			fprintf(out, "%s\n", e->add);
			e->is_done = true;
		}
		if (goes(e, line, n, number)) {
			e->is_done = true;
			continue;
		}
		fwrite(line, 1, n, out);
		fputc('\n', out);
	}
	free(line);
	return ferror(in) ? -EIO : 0;
}

/* Of FROM, which need not be there for an edit. */
static int
stage(const char *from, struct edit *e)
{
	char next[PATH_MAX];
	FILE *in = NULL, *out;
	int err = open_file(from, &in), fd;

	if (err == -ENOENT && (e->add != NULL || e->gone != NULL || e->at > 0))
		err = 0;
	if (err != 0)
		return err;
	rulefile_staged(next);
	unlink(next);
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	out = fd >= 0 ? fdopen(fd, "we") : NULL;
	if (out == NULL)
		err = -errno;
	if (out == NULL && fd >= 0)
		close(fd);
	if (out != NULL && in != NULL)
		err = copy_lines(in, out, e);
	if (out != NULL && e->add != NULL && !e->is_done && e->at == 0) {
		fprintf(out, "%s\n", e->add);
		e->is_done = true;
	}
	if (out != NULL && (fflush(out) != 0 || ferror(out) || fsync(fd) != 0) && err == 0)
		err = errno != 0 ? -errno : -EIO;
	if (out != NULL)
		fclose(out);
	if (in != NULL)
		fclose(in);
	if (err != 0)
		unlink(next);
	return err;
}

/* Its errors name what can't be written, or is not there. */
static int
edit(struct edit *e, char why[256])
{
	char path[PATH_MAX];
	int err;

	rulefile_path(path);
	err = stage(path, e);
	if (err != 0)
		snprintf(why, 256, "cannot write %.150s.next: %s", path, strerror(-err));
	else if (!e->is_done) {
		rulefile_discard();
		snprintf(why, 256, "there is no such line in %.200s", path);
		err = -ENOENT;
	}
	return err;
}

int
rulefile_add(const char *rule, size_t before, char why[256])
{
	struct edit e = { .add = rule, .at = before };
	size_t n = strlen(rule);

	if (n != trim(rule, n) || strpbrk(rule, "\r\n") != NULL ||
	    rule[strspn(rule, " \t")] == '#' || rule[strspn(rule, " \t")] == '\0') {
		snprintf(why, 256, "a rule is one line, which begins with allow, deny or group");
		return -EINVAL;
	}
	return edit(&e, why);
}

int
rulefile_remove(const char *rule, size_t line, char why[256])
{
	struct edit e = { .gone = rule, .at = line };

	return edit(&e, why);
}

int
rulefile_load(const char *file, char why[256])
{
	struct edit none = { .add = NULL };
	struct acl_error bad;
	int err, fd;

	/* First where it is, so that what is wrong with it is told under its own name. */
	fd = acl_read(file, file, ACL_TBMQ, &bad);
	if (fd < 0) {
		snprintf(why, 256, "%.255s", bad.text);
		return fd;
	}
	close(fd);
	err = stage(file, &none);
	if (err != 0)
		snprintf(why, 256, "cannot copy %.150s: %s", file, strerror(-err));
	return err;
}

int
rulefile_keep(void)
{
	char path[PATH_MAX], next[PATH_MAX];

	rulefile_path(path);
	rulefile_staged(next);
	return rename(next, path) == 0 ? dir_sync(dirname(path)) : -errno;
}

void
rulefile_discard(void)
{
	char next[PATH_MAX];

	rulefile_staged(next);
	unlink(next);
}

/* The cursor is the number of the last line. */
json_t *
rulefile_page(const char *after, unsigned limit)
{
	size_t from = strtoul(after, NULL, 10), number = 0, bytes = 0, cap = 0;
	char path[PATH_MAX], *line = NULL, next[24] = "";
	json_t *items = json_array();
	FILE *in = NULL;
	ssize_t got;
	int err;

	rulefile_path(path);
	err = open_file(path, &in);
	while (err == 0 && (got = getline(&line, &cap, in)) > 0) {
		size_t n = trim(line, (size_t)got);
		json_t *text;

		if (++number <= from)
			continue;
		if (json_array_size(items) >= limit || bytes >= PAGE_BYTES) {
			snprintf(next, sizeof(next), "%zu", number - 1);
			break;
		}
		text = json_stringn(line, n);
		json_array_append_new(items,
		    json_pack("{s:I, s:o}", "line", (json_int_t)number, "text",
			text != NULL ? text : json_string("")));
		bytes += n;
	}
	free(line);
	if (in != NULL)
		fclose(in);
	return json_pack(
	    "{s:b, s:o, s:s*}", "ok", 1, "items", items, "next", next[0] != '\0' ? next : NULL);
}
