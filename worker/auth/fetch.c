#include "worker/auth/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <nss.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"

#define HEADERS_MAX 65536    /* bytes of an answer's headers: no service has so many */
#define KEPT_CONNECTIONS 256 /* that wait to be used again */

struct fetch_terms {
	unsigned refs;
	struct curl_slist *headers;
	size_t authorities_len;
	char authorities[];
};

struct fetch {
	CURL *easy;
	struct fetch_terms *terms;
	fetch_done_fn *done;
	void *arg;
	size_t len, room, max, headers;
	char *body;
	bool is_too_long;
};

struct socket {
	struct watch watch;
};

static struct {
	CURLM *multi;
	struct timer timer;
	bool is_due; /* at the end of this turn: timers are too coarse for what is at once */
} the;

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket);
static int on_timeout(CURLM *multi, long ms, void *arg);
static void on_timer(struct timer *t);
static size_t on_body(char *p, size_t one, size_t n, void *arg);
static size_t on_header(char *p, size_t one, size_t n, void *arg);

int
fetch_init(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	timer_init(&the.timer, on_timer);
	/* In /etc/hosts and by DNS, both of which the C library has in itself: others would be loaded when they are first asked, which the sandbox forbids. */
	__nss_configure_lookup("hosts", "files dns");
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return -ENOMEM;
	if (!(v->features & CURL_VERSION_ASYNCHDNS)) {
		log_err("fetch: this libcurl would stop everything while it looks up a name");
		return -ENOTSUP;
	}
	the.multi = curl_multi_init();
	if (the.multi == NULL)
		return -ENOMEM;
	curl_multi_setopt(the.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(the.multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(the.multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
	curl_multi_setopt(the.multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return 0;
}

void
fetch_fini(void)
{
	timer_del(&the.timer);
	if (the.multi != NULL)
		curl_multi_cleanup(the.multi);
	the.multi = NULL;
	curl_global_cleanup();
}

/* --- terms -------------------------------------------------------------------------------- */

/* False: no memory. */
static bool
add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

static bool
add_headers(struct curl_slist **list, struct span text)
{
	char *copy = strndup((const char *)text.p, text.len), *save = NULL;
	bool ok = copy != NULL;

	for (char *line = ok ? strtok_r(copy, "\r\n", &save) : NULL; ok && line != NULL;
	     line = strtok_r(NULL, "\r\n", &save))
		ok = add_header(list, line);
	if (copy != NULL)
		OPENSSL_cleanse(copy, text.len);
	free(copy);
	return ok;
}

struct fetch_terms *
fetch_terms_new(struct span headers, const char *type, struct span authorities)
{
	char line[96];
	struct fetch_terms *t = malloc(sizeof(*t) + authorities.len);

	if (t == NULL)
		return NULL;
	*t = (struct fetch_terms){ .refs = 1, .authorities_len = authorities.len };
	if (authorities.len > 0)
		memcpy(t->authorities, authorities.p, authorities.len);
	snprintf(line, sizeof(line), "Content-Type: %s", type != NULL ? type : "none");
	/* And nobody is to be asked before what is said is sent. */
	if ((type != NULL && !add_header(&t->headers, line)) ||
	    !add_header(&t->headers, "Expect:") ||
	    (headers.len > 0 && !add_headers(&t->headers, headers)))
		fetch_terms_unref(&t);
	return t;
}

struct fetch_terms *
fetch_terms_ref(struct fetch_terms *t)
{
	t->refs++;
	return t;
}

void
fetch_terms_unref(struct fetch_terms **t)
{
	struct fetch_terms *was = *t;

	*t = NULL;
	if (was == NULL || --was->refs > 0)
		return;
	for (struct curl_slist *s = was->headers; s != NULL; s = s->next)
		OPENSSL_cleanse(s->data, strlen(s->data));
	curl_slist_free_all(was->headers);
	free(was);
}

/* --- requests ----------------------------------------------------------------------------- */

static void
fetch_free(struct fetch *f)
{
	if (f->easy != NULL)
		curl_easy_cleanup(f->easy);
	fetch_terms_unref(&f->terms);
	free(f->body);
	free(f);
}

/* What all have in common. */
static void
set_up(struct fetch *f, const struct fetch_ask *a)
{
	CURL *e = f->easy;
	struct curl_blob authorities = { f->terms->authorities, f->terms->authorities_len,
		CURL_BLOB_NOCOPY };

	curl_easy_setopt(e, CURLOPT_PRIVATE, f);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->terms->headers);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)a->timeout_ms);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else the end of a request waits for the thread that looks up its name. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "tbmq");
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (authorities.len > 0) {
		curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &authorities);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
}

struct fetch *
fetch_begin(const struct fetch_ask *a, fetch_done_fn *done, void *arg)
{
	struct fetch *f = calloc(1, sizeof(*f));
	bool ok;

	if (f == NULL)
		return NULL;
	f->terms = fetch_terms_ref(a->terms);
	f->done = done;
	f->arg = arg;
	f->max = a->max;
	f->easy = curl_easy_init();
	if (f->easy == NULL) {
		fetch_free(f);
		return NULL;
	}
	set_up(f, a);
	ok = curl_easy_setopt(f->easy, CURLOPT_URL, a->url) == CURLE_OK &&
#if LIBCURL_VERSION_NUM >= 0x075500
	    curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
#else
	    curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS) ==
		CURLE_OK;
#endif
	if (a->is_post) {
		curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, a->body.p);
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE, (long)a->body.len);
	}
	if (!ok || curl_multi_add_handle(the.multi, f->easy) != CURLM_OK) {
		fetch_free(f);
		return NULL;
	}
	return f;
}

void
fetch_cancel(struct fetch *f)
{
	curl_multi_remove_handle(the.multi, f->easy);
	fetch_free(f);
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct fetch *f = arg;

	(void)one; /* is 1 */
	if (n > f->max - f->len) {
		f->is_too_long = true;
		return 0;
	}
	if (f->len + n > f->room) {
		size_t room = f->room > 0 ? f->room * 2 : 1024;
		char *longer;

		while (room < f->len + n)
			room *= 2;
		longer = realloc(f->body, room);
		if (longer == NULL)
			return 0;
		f->body = longer;
		f->room = room;
	}
	memcpy(f->body + f->len, p, n);
	f->len += n;
	return n;
}

static size_t
on_header(char *p, size_t one, size_t n, void *arg)
{
	struct fetch *f = arg;

	(void)p;
	(void)one;
	f->headers += n;
	f->is_too_long |= f->headers > HEADERS_MAX;
	return f->is_too_long ? 0 : n;
}

static void
tell(struct fetch *f, CURLcode result)
{
	struct fetch_answer a = { .body = span_of(f->body, f->len) };
	const char *type = NULL;

	if (result == CURLE_OK) {
		curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &a.status);
		curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
	}
	a.type = type != NULL ? type : "";
	a.why =
	    f->is_too_long ? "the answer is longer than one may be" : curl_easy_strerror(result);
	curl_multi_remove_handle(the.multi, f->easy);
	f->done(f->arg, &a);
	fetch_free(f);
}

/* --- libcurl in the loop ------------------------------------------------------------------ */

static void
act(curl_socket_t fd, int what)
{
	const CURLMsg *m;
	int left;

	(void)curl_multi_socket_action(the.multi, fd, what, &left);
	while ((m = curl_multi_info_read(the.multi, &left)) != NULL) {
		struct fetch *f;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &f);
		tell(f, m->data.result);
	}
}

static void
on_event(struct watch *w, uint32_t events)
{
	act(w->fd,
	    (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
		(events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		(events & EPOLLERR ? CURL_CSELECT_ERR : 0));
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	uint32_t events =
	    (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	struct socket *s = of_socket;

	(void)easy;
	(void)arg;
	if (what == CURL_POLL_REMOVE) {
		if (s != NULL)
			loop_del(self.loop, &s->watch);
		free(s);
		return 0;
	}
	if (s != NULL)
		return loop_mod(self.loop, &s->watch, events) == 0 ? 0 : -1;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -1;
	s->watch.fn = on_event;
	if (loop_add(self.loop, &s->watch, fd, events) != 0) {
		free(s);
		return -1;
	}
	curl_multi_assign(the.multi, fd, s);
	return 0;
}

static int
on_timeout(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	(void)arg;
	the.is_due = ms == 0;
	if (ms > 0)
		timer_set(loop_timers(self.loop), &the.timer, clock_ms() + (uint64_t)ms);
	else
		timer_del(&the.timer);
	return 0;
}

/* By our clock, which stands still for a turn, it may be a moment too early: libcurl does not tell again then when it is due. */
static void
act_in_time(void)
{
	long ms;

	act(CURL_SOCKET_TIMEOUT, 0);
	if (!the.is_due && !timer_is_set(&the.timer) &&
	    curl_multi_timeout(the.multi, &ms) == CURLM_OK && ms >= 0)
		on_timeout(the.multi, ms, NULL);
}

static void
on_timer(struct timer *t)
{
	(void)t;
	act_in_time();
}

bool
fetch_turn(void)
{
	if (!the.is_due)
		return false;
	the.is_due = false;
	act_in_time();
	return the.is_due;
}
