#include "shared/child/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/net/loop.h"

#define ANSWER_MS 10000 /* a client that doesn't take its answer in this time goes without */

struct answer {
	struct watch watch;
	struct timer timer;
	struct loop *loop;
	int fd;
	size_t len, sent;
	char *text;
};

int
request_parse(const char *text, size_t len, struct request *out, const char **why)
{
	json_error_t err;
	json_t *page;
	struct request r = { .after = "", .limit = REQUEST_LIMIT };
	const json_t *limit, *after;

	r.root =
	    len <= REQUEST_TEXT_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &err) : NULL;
	if (!json_is_object(r.root)) {
		*why = "the request is no JSON object";
		goto bad;
	}
	r.verb = json_string_value(json_object_get(r.root, "verb"));
	r.resource = json_string_value(json_object_get(r.root, "resource"));
	r.parameters = json_object_get(r.root, "parameters");
	page = json_object_get(r.root, "page");
	if (r.verb == NULL || r.resource == NULL) {
		*why = "verb and resource must be strings";
		goto bad;
	}
	if ((r.parameters != NULL && !json_is_object(r.parameters)) ||
	    (page != NULL && !json_is_object(page))) {
		*why = "parameters and page must be objects";
		goto bad;
	}
	after = json_object_get(page, "after");
	if (after != NULL && !json_is_string(after)) {
		*why = "page.after must be a string";
		goto bad;
	}
	if (after != NULL)
		r.after = json_string_value(after);
	limit = json_object_get(page, "limit");
	if (limit != NULL) {
		json_int_t n = json_integer_value(limit);

		if (!json_is_integer(limit) || n < 1 || n > REQUEST_LIMIT_MAX) {
			*why = "page.limit must be 1 to 1000";
			goto bad;
		}
		r.limit = (unsigned)n;
	}
	*out = r;
	return 0;
bad:
	json_decref(r.root);
	return -EINVAL;
}

void
request_fini(struct request *r)
{
	json_decref(r->root);
	r->root = NULL;
}

const char *
request_str(const struct request *r, const char *name)
{
	return json_string_value(json_object_get(r->parameters, name));
}

bool
request_num(const struct request *r, const char *name, double *out)
{
	const json_t *j = json_object_get(r->parameters, name);

	if (!json_is_number(j))
		return false;
	*out = json_number_value(j);
	return true;
}

static void
answer_free(struct answer *a)
{
	loop_del(a->loop, &a->watch);
	timer_del(&a->timer);
	close(a->fd);
	free(a->text);
	free(a);
}

static void
on_late(struct timer *t)
{
	answer_free(container_of(t, struct answer, timer));
}

static void
on_writable(struct watch *w, uint32_t events)
{
	struct answer *a = container_of(w, struct answer, watch);
	ssize_t n = send(a->fd, a->text + a->sent, a->len - a->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		a->sent += (size_t)n;
	if (n < 0 || a->sent == a->len)
		answer_free(a);
}

void
request_answer(struct loop *l, int fd, json_t *answer)
{
	struct answer *a = calloc(1, sizeof(*a));
	char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (a == NULL || text == NULL)
		goto fail;
	*a = (struct answer){ .watch = { .fd = -1, .fn = on_writable },
		.loop = l,
		.fd = fd,
		.len = strlen(text) + 1,
		.text = text };
	text[a->len - 1] = '\n'; /* in place of the NUL */
	timer_init(&a->timer, on_late);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (loop_add(l, &a->watch, fd, EPOLLOUT) != 0)
		goto fail;
	timer_set(loop_timers(l), &a->timer, clock_ms() + ANSWER_MS);
	return;
fail:
	free(a);
	free(text);
	close(fd);
}

void
request_error(struct loop *l, int fd, const char *fmt, ...)
{
	char text[512];
	json_t *error;
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* JSON takes no half character, which is what cutting the text may leave. */
	len = strlen(text);
	while ((error = json_stringn(text, len)) == NULL && len > 0)
		len--;
	request_answer(l, fd, json_pack("{s:b, s:o*}", "ok", 0, "error", error));
}
