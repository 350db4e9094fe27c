/*
 * Credentials. A password is asked for, or read from stdin; only what is kept of it leaves this process. Files are read whole and sent in requests of
 * bounded size, so an import is not one step: what was done before a mistake stays done, and doing it again with --replace does no harm.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "master/ctl/csv.h"
#include "master/ctl/ctl.h"
#include "shared/base/password.h"
#include "shared/base/scram.h"

#define LINE_MAX_BYTES 4096
#define FILE_MAX_BYTES (256u << 20)
#define SEND_ITEMS 100
#define SEND_BYTES 24000 /* of a request's 32 KiB */

static json_t *
request(const char *verb)
{
	json_t *r = ctl_request(verb, "credential");

	json_object_set_new(r, "at", json_string("auth/0"));
	return r;
}

static json_t *
put(const char *mode, json_t *credentials)
{
	json_t *r = request("put");

	ctl_parameter(r, "mode", mode);
	json_object_set_new(json_object_get(r, "parameters"), "credentials", credentials);
	return r;
}

/* What could not be done of a set; a code. Takes answer. */
static int
say_failed(json_t *answer)
{
	json_t *f;
	int code = DONE;
	size_t i;

	json_array_foreach(json_object_get(answer, "failed"), i, f)
		code = ctl_complain(FAILED, "%s: %s", json_string_value(json_object_get(f, "name")),
		    json_string_value(json_object_get(f, "error")));
	json_decref(answer);
	return code;
}

static int
change(json_t *r)
{
	int code;
	json_t *answer = ctl_answer(r, &code);

	if (answer != NULL)
		code = say_failed(answer);
	return code == DONE ? ctl_done() : code;
}

/* --- passwords ---------------------------------------------------------------------------- */

static bool
read_line(FILE *from, char *out)
{
	if (fgets(out, LINE_MAX_BYTES, from) == NULL)
		return false;
	out[strcspn(out, "\r\n")] = '\0';
	return true;
}

/* Without showing it. */
static bool
ask(FILE *terminal, const char *what, char *out)
{
	struct termios was, quiet;
	bool done;

	fprintf(stderr, "%s: ", what);
	if (tcgetattr(fileno(terminal), &was) != 0)
		return false;
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fileno(terminal), TCSAFLUSH, &quiet);
	done = read_line(terminal, out);
	tcsetattr(fileno(terminal), TCSAFLUSH, &was);
	fputc('\n', stderr);
	return done;
}

static void
set(json_t *j, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(j, name, json_string(value));
}

static int
keep_for_scram(json_t *j, const char *password)
{
	const char *given = ctl_option("--iterations");
	long iterations = SCRAM_ITERATIONS;
	char out[SCRAM_TEXT_MAX];

	if (given != NULL &&
	    !ctl_number(given, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX, &iterations))
		return ctl_complain(USAGE, "--iterations takes %d to %d", SCRAM_ITERATIONS_MIN,
		    SCRAM_ITERATIONS_MAX);
	if (scram_make(span_str(password), (unsigned)iterations, out) != 0)
		return ctl_complain(FAILED, "OpenSSL cannot make keys for SCRAM of it");
	set(j, "scram_keys", out);
	return DONE;
}

/* Of a credential j: what is to be kept of the password. */
static int
keep(json_t *j, const char *password)
{
	const char *given = ctl_option("--cost");
	long cost = PASSWORD_COST;
	char out[PASSWORD_TEXT_MAX];

	if (ctl_option("--scram") != NULL)
		return keep_for_scram(j, password);

	if (given != NULL && !ctl_number(given, PASSWORD_COST_MIN, PASSWORD_COST_MAX, &cost))
		return ctl_complain(USAGE,
		    "--cost takes %d to %d: each one more doubles time and memory",
		    PASSWORD_COST_MIN, PASSWORD_COST_MAX);
	if (password_hash(span_str(password), (unsigned)cost, out) != 0)
		return ctl_complain(FAILED, "OpenSSL cannot make scrypt of it");
	set(j, "password_hash", out);
	return DONE;
}

static int
new_password(json_t *j)
{
	char first[LINE_MAX_BYTES] = "", again[LINE_MAX_BYTES] = "";
	int code = DONE;

	if (isatty(STDIN_FILENO)) {
		if (!ask(stdin, "Password", first) || !ask(stdin, "Once more", again))
			code = ctl_complain(FAILED, "no password was given");
		else if (strcmp(first, again) != 0)
			code = ctl_complain(FAILED, "they are not the same");
	} else if (!read_line(stdin, first)) {
		code = ctl_complain(FAILED, "the password is to be the first line of stdin");
	}
	if (code == DONE && first[0] == '\0')
		code = ctl_complain(FAILED, "an empty password is none; see --no-password");
	if (code == DONE)
		code = keep(j, first);
	explicit_bzero(first, sizeof(first));
	explicit_bzero(again, sizeof(again));
	return code;
}

/* --- commands ----------------------------------------------------------------------------- */

static bool
is_about_a_password(void)
{
	return ctl_option("--scram") != NULL || ctl_option("--iterations") != NULL ||
	    ctl_option("--cost") != NULL || ctl_option("--no-password") != NULL;
}

int
cmd_auth_add(int argc, char **argv)
{
	const char *user = ctl_option("--user"), *client = ctl_option("--client"),
		   *certificate = ctl_option("--certificate");
	json_t *j = json_pack("{s:s}", "name", argv[0]);
	int code;

	(void)argc;
	if (certificate != NULL && (user != NULL || is_about_a_password())) {
		json_decref(j);
		return ctl_bad_usage("with --certificate there is neither user name nor password");
	}
	if (certificate == NULL && ctl_option("--no-password") == NULL &&
	    (code = new_password(j)) != DONE) {
		json_decref(j);
		return code;
	}
	set(j, "user_name", user == NULL && client == NULL && certificate == NULL ? argv[0] : user);
	set(j, "certificate", certificate);
	set(j, "client_pattern", ctl_option("--client-pattern"));
	set(j, "client_id", client);
	set(j, "groups", ctl_option("--groups"));
	return change(put("add", json_pack("[o]", j)));
}

int
cmd_auth_passwd(int argc, char **argv)
{
	json_t *j = json_pack("{s:s}", "name", argv[0]);
	int code = new_password(j);

	(void)argc;
	if (code == DONE)
		return change(put("change", json_pack("[o]", j)));
	json_decref(j);
	return code;
}

int
cmd_auth_change(int argc, char **argv)
{
	bool on = ctl_option("--enable") != NULL, off = ctl_option("--disable") != NULL;
	const char *groups = ctl_option("--groups");
	json_t *j;

	(void)argc;
	if (on == off && (on || groups == NULL))
		return ctl_bad_usage(
		    "auth change takes --groups, or one of --enable and --disable");
	j = json_pack("{s:s}", "name", argv[0]);
	if (on || off)
		json_object_set_new(j, "enabled", json_boolean(on));
	if (groups != NULL)
		json_object_set_new(
		    j, "groups", groups[0] != '\0' ? json_string(groups) : json_null());
	return change(put("change", json_pack("[o]", j)));
}

int
cmd_auth_remove(int argc, char **argv)
{
	json_t *r = request("remove");

	(void)argc;
	json_object_set_new(json_object_get(r, "parameters"), "names", json_pack("[s]", argv[0]));
	return change(r);
}

int
cmd_auth_list(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_print_list(request("list"), NULL);
}

int
cmd_auth_show(int argc, char **argv)
{
	json_t *r = request("show"), *answer;
	int code;

	(void)argc;
	ctl_parameter(r, "name", argv[0]);
	answer = ctl_answer(r, &code);
	if (answer != NULL && ctl.json)
		ctl_print_json(answer);
	else if (answer != NULL)
		ctl_print_lines(json_object_get(answer, "credential"));
	json_decref(answer);
	return code;
}

/* --- files -------------------------------------------------------------------------------- */

static const char *const column[] = { "name", "client_id", "user_name", "password_hash", "password",
	"groups", "enabled", "scram_keys", "certificate", "client_pattern" };

enum { COLUMNS = sizeof(column) / sizeof(column[0]), PASSWORD = 4, ENABLED = 6 };

struct import {
	const char *file;
	int line;
	int at[COLUMNS]; /* in a line of a CSV file; -1: it has none */
	json_t *batch;
	size_t bytes;
	long long done;
	int code;
};

static int
wrong(const struct import *im, const char *why)
{
	return ctl_complain(FAILED, "%s:%d: %s", im->file, im->line, why);
}

static void
send_batch(struct import *im)
{
	json_t *answer;

	if (json_array_size(im->batch) == 0)
		return;
	answer = ctl_answer(
	    put(ctl_option("--replace") != NULL ? "replace" : "add", im->batch), &im->code);
	im->batch = json_array();
	im->bytes = 0;
	if (answer == NULL)
		return;
	im->done += json_integer_value(json_object_get(answer, "done"));
	im->code = say_failed(answer);
}

/* Takes j. */
static void
add(struct import *im, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	size_t bytes = text != NULL ? strlen(text) : 0;

	free(text);
	if (im->bytes + bytes > SEND_BYTES || json_array_size(im->batch) == SEND_ITEMS)
		send_batch(im);
	im->bytes += bytes;
	if (json_array_append_new(im->batch, j) != 0)
		im->code = ctl_complain(FAILED, "no memory");
}

static int
take_header(struct import *im, const struct csv_line *l)
{
	for (int c = 0; c < COLUMNS; c++)
		im->at[c] = -1;
	for (int i = 0; i < l->n; i++) {
		int c = 0;

		while (c < COLUMNS && strcmp(column[c], l->field[i]) != 0)
			c++;
		if (c == COLUMNS || im->at[c] >= 0)
			return wrong(im,
			    "columns are name, client_id, user_name, password_hash, scram_keys or "
			    "password, certificate, client_pattern, groups, enabled");
		im->at[c] = i;
	}
	return DONE;
}

static void
take_csv(struct import *im, const struct csv_line *l)
{
	json_t *j = json_object();

	for (int c = 0; c < COLUMNS && im->code == DONE; c++) {
		const char *v = im->at[c] >= 0 && im->at[c] < l->n ? l->field[im->at[c]] : "";

		if (v[0] == '\0')
			continue;
		if (c == ENABLED && strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
			im->code = wrong(im, "enabled is neither true nor false");
		else if (c == ENABLED)
			json_object_set_new(j, column[c], json_boolean(v[0] == 't'));
		else if (c == PASSWORD)
			im->code = keep(j, v);
		else if (json_object_set_new(j, column[c], json_string(v)) != 0)
			im->code = wrong(im, "what is in it is no UTF-8");
	}
	if (im->code == DONE)
		add(im, j);
	else
		json_decref(j);
}

static void
import_csv(struct import *im, char *text)
{
	bool has_header = false;
	struct csv_line l;
	const char *why;
	int got;

	for (; im->code == DONE && (got = csv_next(&text, &l, &why)) != 0; im->line += l.ends) {
		if (got < 0)
			im->code = wrong(im, why);
		else if (l.n > 0 && has_header)
			take_csv(im, &l);
		else if (l.n > 0)
			im->code = take_header(im, &l);
		has_header |= l.n > 0;
	}
}

/* USER:WHAT-IS-KEPT, as mosquitto_passwd writes it. */
static void
import_mosquitto(struct import *im, char *text)
{
	while (im->code == DONE && *text != '\0') {
		size_t len = strcspn(text, "\n");
		char *next = text + len + (text[len] == '\n'), *colon;

		text[len] = '\0';
		if (len > 0 && text[len - 1] == '\r')
			text[len - 1] = '\0';
		colon = strchr(text, ':');
		if (text[0] == '\0' || text[0] == '#')
			;
		else if (colon == NULL || colon == text)
			im->code = wrong(im, "a line is USER:PASSWORD, or begins with #");
		else if (!password_text_is_valid(colon + 1))
			im->code = wrong(im,
			    "the password is not as mosquitto_passwd keeps it; see its option -U");
		else {
			*colon = '\0';
			add(im,
			    json_pack("{s:s, s:s, s:s}", "name", text, "user_name", text,
				"password_hash", colon + 1));
		}
		text = next;
		im->line++;
	}
}

static char *
read_all(FILE *f, const char *path)
{
	size_t len = 0, cap = 65536, n;
	char *text = malloc(cap), *more;

	while (text != NULL && (n = fread(text + len, 1, cap - len - 1, f)) > 0) {
		len += n;
		if (len + 1 < cap)
			continue;
		cap *= 2;
		more = cap <= FILE_MAX_BYTES ? realloc(text, cap) : NULL;
		if (more == NULL)
			free(text);
		text = more;
	}
	if (text == NULL) {
		ctl_complain(FAILED, "%s is too long", path);
		return NULL;
	}
	if (ferror(f) || memchr(text, '\0', len) != NULL) {
		ctl_complain(FAILED, "%s is no text", path);
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static char *
read_file(const char *path)
{
	FILE *f;
	char *text;

	if (strcmp(path, "-") == 0)
		return read_all(stdin, path);
	f = fopen(path, "re");
	if (f == NULL) {
		ctl_complain(FAILED, "cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	text = read_all(f, path);
	fclose(f);
	return text;
}

int
cmd_auth_import(int argc, char **argv)
{
	struct import im = { .file = argv[0], .line = 1, .batch = json_array() };
	char *text = read_file(argv[0]);
	json_t *sum;

	(void)argc;
	if (text == NULL) {
		json_decref(im.batch);
		return FAILED;
	}
	/* The first line of a CSV file names its columns, and one of them is the name. */
	if (memchr(text, ':', strcspn(text, "\n")) == NULL && strstr(text, "name") != NULL &&
	    strstr(text, "name") < text + strcspn(text, "\n"))
		import_csv(&im, text);
	else
		import_mosquitto(&im, text);
	explicit_bzero(text, strlen(text));
	free(text);
	if (im.code == DONE)
		send_batch(&im);
	json_decref(im.batch);
	if (im.code != DONE && im.done > 0)
		fprintf(stderr, "tbmqctl: %lld were imported before\n", im.done);
	sum = im.code == DONE ? json_pack("{s:I}", "imported", (json_int_t)im.done) : NULL;
	if (sum != NULL)
		ctl_print_row(sum);
	json_decref(sum);
	return im.code;
}

static void
print_field(const char *text, char end)
{
	if (text != NULL && strpbrk(text, ",\"\r\n") != NULL) {
		putchar('"');
		for (; *text != '\0'; text++) {
			if (*text == '"')
				putchar('"');
			putchar(*text);
		}
		putchar('"');
	} else if (text != NULL) {
		fputs(text, stdout);
	}
	putchar(end);
}

int
cmd_auth_export(int argc, char **argv)
{
	json_t *r = request("export"), *answer, *item;
	int code;
	size_t i;

	(void)argc;
	(void)argv;
	if (!ctl.json)
		puts("name,client_id,user_name,password_hash,groups,scram_keys,certificate,client_"
		     "pattern,enabled");
	while ((answer = ctl_page(r, &code)) != NULL) {
		json_array_foreach(json_object_get(answer, "items"), i, item) {
			if (ctl.json) {
				ctl_print_json(item);
				continue;
			}
			for (int c = 0; c < COLUMNS; c++)
				if (c != PASSWORD && c != ENABLED)
					print_field(
					    json_string_value(json_object_get(item, column[c])),
					    ',');
			puts(json_is_true(json_object_get(item, column[ENABLED])) ? "true"
										  : "false");
		}
		json_decref(answer);
	}
	json_decref(r);
	return code;
}
