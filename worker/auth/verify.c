#include "worker/auth/verify.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/base/password.h"
#include "shared/child/child.h"

#define THREADS_MAX 64
#define JOBS_MAX 20000
#define PRIORITY 10 /* nice */
#define DIGEST 32
#define CACHE 65536 /* digests, a place each by their first bytes */

struct verify_job {
	struct list link;  /* waiting, or done */
	struct list asked; /* struct verify; of the loop. None: nobody wants to know any more */
	uint8_t digest[DIGEST];
	char text[PASSWORD_TEXT_MAX];
	bool is_begun, fits; /* by a thread */
	size_t len;
	uint8_t password[];
};

struct remembered {
	uint8_t digest[DIGEST];
	uint64_t until_ms; /* 0: nothing is here */
};

static struct {
	pthread_mutex_t lock; /* of these */
	pthread_cond_t come;
	struct list waiting, done;
	unsigned wanted; /* threads; who has a higher number ends */

	/* The loop's. */
	pthread_t thread[THREADS_MAX];
	unsigned nthreads;
	struct htab jobs; /* by digest: all that are not answered */
	struct remembered *cache;
	uint8_t secret[32];
	struct watch watch;
} the = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.come = PTHREAD_COND_INITIALIZER,
	.watch.fd = -1,
};

static void on_done(struct watch *w, uint32_t events);

static uint64_t
hash_of(const uint8_t digest[DIGEST])
{
	uint64_t h;

	memcpy(&h, digest, sizeof(h));
	return h;
}

static uint64_t
job_hash(const void *entry)
{
	return hash_of(((const struct verify_job *)entry)->digest);
}

static bool
job_eq(const void *entry, const void *key)
{
	return memcmp(((const struct verify_job *)entry)->digest, key, DIGEST) == 0;
}

int
verify_init(void)
{
	int fd;

	list_init(&the.waiting);
	list_init(&the.done);
	htab_init(&the.jobs, job_hash);
	if (RAND_bytes(the.secret, sizeof(the.secret)) != 1)
		return -EIO;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	the.watch.fn = on_done;
	return loop_add(self.loop, &the.watch, fd, EPOLLIN);
}

/* --- threads ------------------------------------------------------------------------------ */

static void *
work(void *arg)
{
	unsigned number = (unsigned)(uintptr_t)arg;
	const uint64_t one = 1;

	/* Of this thread alone, on Linux. */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), PRIORITY);
	pthread_mutex_lock(&the.lock);
	for (;;) {
		struct verify_job *job;

		while (number < the.wanted && list_is_empty(&the.waiting))
			pthread_cond_wait(&the.come, &the.lock);
		if (number >= the.wanted)
			break;
		job = LIST_FIRST(&the.waiting, struct verify_job, link);
		list_del(&job->link);
		job->is_begun = true;
		pthread_mutex_unlock(&the.lock);
		job->fits = password_fits(job->text, span_of(job->password, job->len));
		pthread_mutex_lock(&the.lock);
		list_add_tail(&the.done, &job->link);
		(void)!write(the.watch.fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&the.lock);
	return NULL;
}

static void
want(unsigned n)
{
	unsigned had = the.nthreads;

	pthread_mutex_lock(&the.lock);
	the.wanted = n;
	pthread_cond_broadcast(&the.come);
	pthread_mutex_unlock(&the.lock);
	for (; the.nthreads > n; the.nthreads--)
		pthread_join(the.thread[the.nthreads - 1], NULL);
	for (; the.nthreads < n; the.nthreads++) {
		int err = pthread_create(
		    &the.thread[the.nthreads], NULL, work, (void *)(uintptr_t)the.nthreads);

		if (err != 0) {
			log_err("verify: cannot start a thread: %s", strerror(err));
			break;
		}
	}
	if (the.nthreads != had)
		log_debug("verify: threads=%u", the.nthreads);
}

static unsigned
threads(void)
{
	unsigned n = self.conf.auth_threads;
	cpu_set_t cores; /* what sysconf() says of them is in a file */

	if (n == 0)
		n = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? (unsigned)CPU_COUNT(&cores)
								     : 1;
	return n < THREADS_MAX ? n : THREADS_MAX;
}

void
verify_conf(void)
{
	if (the.nthreads > 0) /* else nobody has needed one yet */
		want(threads());
	if (self.conf.auth_cache == 0) {
		free(the.cache);
		the.cache = NULL;
	}
}

/* --- what is remembered ------------------------------------------------------------------- */

static bool
digest(const char *text, struct span password, uint8_t out[DIGEST])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, the.secret, sizeof(the.secret)) == 1 &&
	    EVP_DigestUpdate(ctx, text, strlen(text) + 1) == 1 &&
	    EVP_DigestUpdate(ctx, password.p, password.len) == 1 &&
	    EVP_DigestFinal_ex(ctx, out, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

static struct remembered *
place_of(const uint8_t d[DIGEST])
{
	return &the.cache[hash_of(d) % CACHE];
}

static bool
is_remembered(const uint8_t d[DIGEST])
{
	const struct remembered *r;

	if (the.cache == NULL || self.conf.auth_cache == 0)
		return false;
	r = place_of(d);
	return clock_ms() < r->until_ms && CRYPTO_memcmp(r->digest, d, DIGEST) == 0;
}

static void
remember(const uint8_t d[DIGEST])
{
	struct remembered *r;

	if (self.conf.auth_cache == 0)
		return;
	if (the.cache == NULL && (the.cache = calloc(CACHE, sizeof(*the.cache))) == NULL)
		return;
	r = place_of(d);
	memcpy(r->digest, d, DIGEST);
	r->until_ms = clock_ms() + self.conf.auth_cache * UINT64_C(1000);
}

/* --- questions ---------------------------------------------------------------------------- */

static void
job_free(struct verify_job *job)
{
	OPENSSL_cleanse(job->password, job->len);
	free(job);
}

enum verified
verify_ask(struct verify *v, const char *text, struct span password)
{
	uint8_t d[DIGEST];
	struct verify_job *job;

	if (!digest(text, password, d))
		return VERIFY_BUSY;
	if (is_remembered(d)) {
		count(CNT_auth_verified__cached);
		return VERIFY_FITS;
	}
	job = htab_find(&the.jobs, hash_of(d), job_eq, d);
	if (job == NULL) {
		if (htab_count(&the.jobs) >= JOBS_MAX ||
		    (job = malloc(sizeof(*job) + password.len)) == NULL)
			return VERIFY_BUSY;
		*job = (struct verify_job){ .len = password.len };
		list_init(&job->asked);
		memcpy(job->digest, d, DIGEST);
		snprintf(job->text, sizeof(job->text), "%s", text);
		if (password.len > 0)
			memcpy(job->password, password.p, password.len);
		if (htab_add(&the.jobs, hash_of(d), job) != 0) {
			job_free(job);
			return VERIFY_BUSY;
		}
		if (the.nthreads == 0)
			want(threads());
		pthread_mutex_lock(&the.lock);
		list_add_tail(&the.waiting, &job->link);
		pthread_cond_signal(&the.come);
		pthread_mutex_unlock(&the.lock);
	}
	v->job = job;
	list_add_tail(&job->asked, &v->link);
	return VERIFY_LATER;
}

/* One that a thread has not begun is not worked out for nobody. */
void
verify_take_back(struct verify *v)
{
	struct verify_job *job = v->job;
	bool waits;

	if (job == NULL)
		return;
	list_del(&v->link);
	v->job = NULL;
	if (!list_is_empty(&job->asked))
		return;
	pthread_mutex_lock(&the.lock);
	waits = !job->is_begun;
	if (waits)
		list_del(&job->link);
	pthread_mutex_unlock(&the.lock);
	if (waits) {
		htab_del(&the.jobs, job_hash(job), job);
		job_free(job);
	}
}

static void
on_done(struct watch *w, uint32_t events)
{
	struct verify_job *job;
	uint64_t n;

	(void)events;
	if (read(w->fd, &n, sizeof(n)) < 0)
		return;
	for (;;) {
		pthread_mutex_lock(&the.lock);
		job = list_is_empty(&the.done) ? NULL
					       : LIST_FIRST(&the.done, struct verify_job, link);
		if (job != NULL)
			list_del(&job->link);
		pthread_mutex_unlock(&the.lock);
		if (job == NULL)
			break;
		count(CNT_auth_verified__hashed);
		htab_del(&the.jobs, job_hash(job), job);
		if (job->fits)
			remember(job->digest);
		while (!list_is_empty(&job->asked)) {
			struct verify *v = LIST_FIRST(&job->asked, struct verify, link);

			list_del(&v->link);
			v->job = NULL;
			v->done(v, job->fits);
		}
		job_free(job);
	}
}

void
verify_fini(void)
{
	struct verify_job *job;
	uint64_t pos = 0;

	want(0);
	/* Questions belong to who asked; those who did have ended before. */
	while ((job = htab_next(&the.jobs, &pos)) != NULL) {
		htab_del(&the.jobs, job_hash(job), job);
		job_free(job);
	}
	htab_fini(&the.jobs);
	free(the.cache);
	the.cache = NULL;
	if (the.watch.fd >= 0) {
		loop_del(self.loop, &the.watch);
		close(the.watch.fd);
		the.watch.fd = -1;
	}
	OPENSSL_cleanse(the.secret, sizeof(the.secret));
}
