/*
 * `config import`: a mosquitto.conf becomes a configuration of ours. What became of each option goes to stderr, as the configuration may go to
 * stdout. Nothing is written as long as something is wrong, or would be lost without --force; a file is there whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/ctl/ctl.h"
#include "master/ctl/mosquitto.h"
#include "shared/net/conf_files.h"

struct report {
	json_t *options; /* NULL: not wanted, or no memory */
	unsigned n[MOSQUITTO_FATES];
};

static const char *const fate_name[MOSQUITTO_FATES] = {
	[MOSQUITTO_TAKEN] = "taken",
	[MOSQUITTO_DIFFERS] = "differs",
	[MOSQUITTO_STEP] = "to be done",
	[MOSQUITTO_NOTHING] = "means nothing here",
	[MOSQUITTO_UNSUPPORTED] = "not supported",
	[MOSQUITTO_WRONG] = "wrong",
};

static void
on_said(void *arg, const struct mosquitto_said *s)
{
	struct report *r = arg;

	r->n[s->fate]++;
	if (s->line > 0)
		fprintf(stderr, "%s:%u: %s: %s: %s\n", s->file, s->line, s->option,
		    fate_name[s->fate], s->text);
	else
		fprintf(stderr, "%s: %s%s: %s: %s\n", s->file, s->option,
		    s->fate <= MOSQUITTO_DIFFERS ? " without being told" : "", fate_name[s->fate],
		    s->text);
	if (r->options != NULL)
		json_array_append_new(r->options,
		    json_pack("{s:s, s:i, s:s, s:s, s:s}", "file", s->file, "line", (int)s->line,
			"option", s->option, "fate", fate_name[s->fate], "text", s->text));
}

/* 0, or -errno. */
static int
write_all(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), err = 0;

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len && err == 0;) {
		ssize_t n = write(fd, text + at, len - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	return err;
}

/* Under another name first, so that what is there stays whole until the end. */
static int
save(const char *path, const char *text, size_t len, bool replaces)
{
	char beside[PATH_MAX];
	int err;

	if ((size_t)snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid()) >=
	    sizeof(beside))
		return ctl_complain(FAILED, "%s: the path is too long", path);
	err = write_all(beside, text, len);
	if (err == 0 &&
	    renameat2(AT_FDCWD, beside, AT_FDCWD, path, replaces ? 0 : RENAME_NOREPLACE) != 0)
		err = -errno;
	if (err == 0)
		return DONE;
	if (err != -EEXIST || access(beside, F_OK) == 0)
		unlink(beside);
	return err == -EEXIST
	    ? ctl_complain(FAILED, "%s is there already; --replace puts another in its place", path)
	    : ctl_complain(FAILED, "cannot write %s: %s", path, strerror(-err));
}

static int
give(const struct conf *c, struct report *r)
{
	const char *output = ctl_option("--output");
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int code = DONE, err = f != NULL ? conf_write(c, f) : -ENOMEM;
	json_t *j;

	if ((f != NULL && fclose(f) != 0) || err != 0) {
		free(text);
		return ctl_complain(FAILED, "no memory");
	}
	if (output != NULL)
		code = save(output, text, len, ctl_option("--replace") != NULL);
	else if (!ctl.json)
		fputs(text, stdout);
	if (code == DONE && ctl.json) {
		j = json_pack("{s:b, s:s, s:O}", "ok", 1,
		    output != NULL ? "output" : "configuration", output != NULL ? output : text,
		    "options", r->options);
		ctl_print_json(j);
		json_decref(j);
	}
	free(text);
	return code;
}

int
cmd_config_import(int argc, char **argv)
{
	struct report r = { .options = NULL };
	const char *file = argv[0];
	static struct conf c;
	struct conf_error err;
	FILE *in = fopen(file, "re");
	int code = DONE;

	(void)argc;
	if (in == NULL)
		return ctl_complain(FAILED, "cannot open %s: %s", file, strerror(errno));
	if (ctl.json)
		r.options = json_array();
	if (mosquitto_read(in, file, false, on_said, &r, &c) != 0)
		code =
		    ctl_complain(FAILED, "%u are wrong, nothing is imported", r.n[MOSQUITTO_WRONG]);
	fclose(in);
	if (code == DONE && conf_files_check(&c, &err) != 0)
		on_said(&r,
		    &(struct mosquitto_said){ .file = file,
			.option = "files",
			.fate = MOSQUITTO_UNSUPPORTED,
			.text = err.text });
	if (code == DONE && r.n[MOSQUITTO_UNSUPPORTED] > 0 && ctl_option("--force") == NULL)
		code = ctl_complain(FAILED,
		    "%u are not supported, nothing is imported; with --force it is, without them",
		    r.n[MOSQUITTO_UNSUPPORTED]);
	if (code == DONE)
		code = give(&c, &r);
	json_decref(r.options);
	return code;
}
