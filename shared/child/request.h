/*
 * request.h - an administrator's request and its answer, in JSON on a stream socket
 *
 * Request, one line: {"verb": "list", "resource": "client", "at": "persist/0", "parameters": {…}, "page": {"after": "…", "limit": 100}}
 * Answer, one line: {"ok": true, "items": […], "next": "…"} with next only if there is more; {"ok": true, …} for verbs that change something;
 * {"ok": false, "error": "what and what to do"}.
 * The master checks the peer's credentials and the envelope (verb, resource, at), and hands the connection to the process named. An answer of one page is
 * bounded (REQUEST_LIMIT_MAX items), so nobody stalls; the page's cursor `after` is the owner's own, opaque text.
 *
 * Runs in: children (answering), with jansson. Trusts: not the text: bad JSON, types and bounds are answered with an error.
 */
#ifndef CHILD_REQUEST_H
#define CHILD_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#define REQUEST_TEXT_MAX 32768
#define REQUEST_LIMIT 100
#define REQUEST_LIMIT_MAX 1000

struct request {
	json_t *root, *parameters;           /* parameters: an object, maybe empty */
	const char *verb, *resource, *after; /* after: "" from the start */
	unsigned limit;
};

/* Parses; 0 or -EINVAL with the reason in *why (constant). */
int request_parse(const char *text, size_t len, struct request *out, const char **why);
void request_fini(struct request *r);
const char *
request_str(const struct request *r, const char *name); /* NULL: not given or no string */
bool request_num(const struct request *r, const char *name, double *out);

/*
 * Sends the answer on fd without blocking the loop (what the socket does not take at once is written as it drains, with a deadline), then closes it. Takes
 * answer and fd.
 */
struct loop;
void request_answer(struct loop *l, int fd, json_t *answer);
void
request_error(struct loop *l, int fd, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
