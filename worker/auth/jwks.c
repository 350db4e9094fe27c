#include "worker/auth/jwks.h"

#include <errno.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"
#include "worker/auth/fetch.h"
#include "worker/auth/text.h"

#define ANSWER_MAX (256 * 1024)
#define TIMEOUT_MS 5000
#define PAUSE_MS 10000 /* between two requests that tokens ask for, and after one that failed */

static struct {
	struct fetch_terms *terms, *next;
	struct jwt_keys *keys;
	char url[CONF_STRING_MAX]; /* that they are of */
	struct fetch *fetch;
	uint64_t asked_ms;  /* when the last one was begun */
	struct timer timer; /* of the next one */
	void (*news)(void);
} the;

static void begin(void);
static void on_answer(void *arg, const struct fetch_answer *a);
static void on_timer(struct timer *t);

void
jwks_init(void (*news)(void))
{
	the.news = news;
	timer_init(&the.timer, on_timer);
}

void
jwks_fini(void)
{
	timer_del(&the.timer);
	if (the.fetch != NULL)
		fetch_cancel(the.fetch);
	the.fetch = NULL;
	fetch_terms_unref(&the.terms);
	jwks_withdraw();
	jwt_keys_free(the.keys);
	the.keys = NULL;
}

int
jwks_prepare(const struct conf *next, const struct auth_files *files, char why[256])
{
	jwks_withdraw();
	if (!conf_has_provider(next, PROVIDER_jwt) || next->jwt_jwks_url.s[0] == '\0')
		return 0;
	the.next = fetch_terms_new(span_of(NULL, 0), NULL, files->file[AUTH_FILE_JWKS_AUTHORITIES]);
	if (the.next != NULL)
		return 0;
	snprintf(why, 256, "no memory for what goes with HTTP requests");
	return -ENOMEM;
}

void
jwks_withdraw(void)
{
	fetch_terms_unref(&the.next);
}

void
jwks_commit(void)
{
	if (the.fetch != NULL)
		fetch_cancel(the.fetch);
	the.fetch = NULL;
	timer_del(&the.timer);
	fetch_terms_unref(&the.terms);
	the.terms = the.next;
	the.next = NULL;
	if (the.terms == NULL || strcmp(the.url, self.conf.jwt_jwks_url.s) != 0) {
		jwt_keys_free(the.keys);
		the.keys = NULL;
	}
	strcpy(the.url, self.conf.jwt_jwks_url.s);
	if (the.terms != NULL)
		begin();
	else
		the.news();
}

const struct jwt_keys *
jwks_keys(void)
{
	return the.keys;
}

bool
jwks_ask(void)
{
	if (the.terms == NULL)
		return false;
	if (the.fetch == NULL && clock_ms() >= the.asked_ms + PAUSE_MS)
		begin();
	return the.fetch != NULL;
}

static void
begin(void)
{
	struct text url = { 0 };

	timer_del(&the.timer);
	the.asked_ms = clock_ms();
	text_add_pattern(&url, span_str(the.url), NULL, TEXT_PLAIN);
	if (!url.no_memory)
		the.fetch = fetch_begin(
		    &(struct fetch_ask){
			.url = url.p,
			.timeout_ms = TIMEOUT_MS,
			.max = ANSWER_MAX,
			.terms = the.terms,
		    },
		    on_answer, NULL);
	text_free(&url);
	if (the.fetch == NULL)
		timer_set(loop_timers(self.loop), &the.timer, clock_ms() + PAUSE_MS);
}

static void
on_timer(struct timer *t)
{
	(void)t;
	begin();
}

/* The keys of an answer, or NULL with the reason. */
static struct jwt_keys *
read_answer(const struct fetch_answer *a, char why[JWT_WHY_MAX])
{
	struct jwt_keys *keys = a->status == 200 ? jwt_keys_new() : NULL;

	snprintf(why, JWT_WHY_MAX, "%s", a->why);
	if (keys == NULL || jwt_keys_add_jwks(keys, a->body, why) == 0)
		return keys;
	jwt_keys_free(keys);
	return NULL;
}

static void
on_answer(void *arg, const struct fetch_answer *a)
{
	char why[JWT_WHY_MAX];
	struct jwt_keys *keys = read_answer(a, why);
	uint64_t pause = keys != NULL ? self.conf.jwt_jwks_refresh * UINT64_C(1000) : PAUSE_MS;

	(void)arg;
	the.fetch = NULL;
	timer_set(loop_timers(self.loop), &the.timer, clock_ms() + pause);
	if (keys != NULL) {
		count(CNT_jwks__taken);
		log_info("jwt: set of keys taken keys=%zu", keys->n);
		jwt_keys_free(the.keys);
		the.keys = keys;
	} else {
		count(CNT_jwks__failed);
		log_every(10, LOG_WARNING, "jwt: no set of keys from jwt_jwks_url: status=%ld %s%s",
		    a->status, why, the.keys != NULL ? "; the last one stays in force" : "");
	}
	the.news();
}
