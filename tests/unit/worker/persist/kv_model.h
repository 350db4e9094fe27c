/*
 * kv_model.h - a store in a directory of its own, and a naive model of what it must contain
 *
 * What batch b does follows from its number alone, so the state after it is known to a process that
 * did not live to see it. The batch a state belongs to is in the state.
 */
#ifndef KV_MODEL_H
#define KV_MODEL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/hash.h"
#include "shared/base/log.h"
#include "tests/unit/unit.h"
#include "tests/unit/worker/persist/bdb_sanitized.h"
#include "worker/persist/kv.h"

#define KEYS 300 /* of a table */
#define VALUE_MAX 20000
#define DEADLINE_MS 60000

static const enum kv_table model_tables[] = { KV_SESSION, KV_QUEUE, KV_RXID };
#define MODEL_TABLES (sizeof(model_tables) / sizeof(model_tables[0]))
#define MODEL_DERIVED 1 /* the derived table has its keys, and nothing in them */

struct model_value {
	bool is_there;
	uint32_t len, seed;
};

static struct {
	uint64_t batch;
	struct model_value at[MODEL_TABLES][KEYS];
} model;

static struct {
	char dir[64];
	struct kv_options o;
	struct kv_found found;
} store;

static inline int
test_scale(void)
{
	const char *s = getenv("SCALE");
	int n = s != NULL ? atoi(s) : 1;

	return n > 1 ? n : 1;
}

/* --- directories -------------------------------------------------------------------------- */

/* f for every file but those that begin with a dot. */
static inline void
each_file(const char *dir, void (*f)(const char *path, const char *name, void *arg), void *arg)
{
	DIR *d = opendir(dir);
	char path[PATH_MAX];
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		f(path, e->d_name, arg);
	}
	if (d != NULL)
		closedir(d);
}

static inline void
remove_file(const char *path, const char *name, void *arg)
{
	(void)name;
	(void)arg;
	unlink(path);
}

static inline void
store_start(void)
{
	snprintf(store.dir, sizeof(store.dir), "/tmp/kv_test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(store.dir));
	memset(&model, 0, sizeof(model));
	store.o = (struct kv_options){
		.dir = store.dir,
		.cache_size = 1 << 20,
		.journal_size = 128 << 10,
		.log_file_size = 256 << 10,
	};
	clock_init();
	/* What the store has to say about it is for operators. */
	if (getenv("KV_LOG") == NULL)
		log_to(LOG_TO_FD, open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static inline void
store_stop(void)
{
	each_file(store.dir, remove_file, NULL);
	rmdir(store.dir);
}

static inline void
store_open(void)
{
	CU_ASSERT_EQUAL_FATAL(kv_open(&store.o, &store.found), 0);
}

static inline struct kv_job
job(void)
{
	struct kv_job j;

	kv_job(&j);
	return j;
}

/* Waits for the end of the sync that is under way. False: it failed. */
static inline bool
wait_synced(void)
{
	struct pollfd p = { .fd = kv_fd(), .events = POLLIN };

	while (!kv_is_idle())
		if (poll(&p, 1, DEADLINE_MS) != 1 || kv_synced() != 0)
			return false;
	return true;
}

/* Makes a batch of what there is and waits until it is safe. */
static inline bool
write_safe(void)
{
	return wait_synced() && kv_write() == 0 && wait_synced() &&
	    kv_safe(KV_SYNC_POWER) == kv_batch() - 1;
}

/* The keeper works beside us: what is gathered has gone into the trees once. */
static inline bool
wait_moved(void)
{
	for (int i = 0; i < 60000 && kv_numbers().moves == 0; i++)
		if (kv_turn() < 0 || poll(NULL, 0, 1) != 0)
			return false;
	return kv_numbers().moves > 0;
}

/* --- keys and values ---------------------------------------------------------------------- */

/* Short and long ones, in the order of their numbers. */
static inline struct span
model_key(unsigned k)
{
	static char key[8][64];
	static unsigned turn;
	char *p = key[turn++ % 8];
	int n = snprintf(p, 64, "%03u", k / 3);

	/* "012" < "012aaaa" < "012aaaab…" */
	if (k % 3 > 0)
		n += snprintf(p + n, 64 - (size_t)n, k % 3 == 1 ? "aaaa" : "aaaab-%030u", k);
	return span_of(p, (size_t)n);
}

static inline void
fill_value(uint8_t *p, uint32_t len, uint32_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(hash_mix(seed) >> (i % 7 * 8)) ^ (uint8_t)i;
}

static inline bool
is_value(struct span v, const struct model_value *m)
{
	uint8_t want[VALUE_MAX];

	fill_value(want, m->len, m->seed);
	return span_eq(v, span_of(want, m->len));
}

/* --- what happens ------------------------------------------------------------------------- */

static inline uint64_t
draw(uint64_t *random)
{
	*random += UINT64_C(0x9e3779b97f4a7c15);
	return hash_mix(*random);
}

static inline bool
put_model(unsigned t, unsigned k, struct model_value v, bool real)
{
	bool fresh = !model.at[t][k].is_there;
	uint8_t *p;

	model.at[t][k] = v;
	if (!real)
		return true;
	if (!v.is_there)
		return (t != MODEL_DERIVED || kv_del(KV_EXPIRY, model_key(k)) == 0) &&
		    kv_del(model_tables[t], model_key(k)) == 0;
	if (t == MODEL_DERIVED && fresh && kv_put(KV_EXPIRY, model_key(k), 0, true) == NULL)
		return false;
	p = kv_put(model_tables[t], model_key(k), v.len, fresh && v.seed % 2 == 0);
	if (p != NULL)
		fill_value(p, v.len, v.seed);
	return p != NULL;
}

/* The operations of the next batch, on the model and, if real, on the store. */
static inline bool
do_batch(bool real)
{
	uint64_t b = ++model.batch, random = b;
	unsigned n = 1 + (unsigned)(draw(&random) % 40);
	uint8_t *p;

	for (unsigned i = 0; i < n; i++) {
		uint64_t r = draw(&random);
		unsigned t = (unsigned)(r % MODEL_TABLES), k = (unsigned)(r >> 8) % KEYS;
		struct model_value v = { .seed = (uint32_t)(r >> 32) };

		if (r >> 24 & 1)
			k = (unsigned)(b * 7 + i) % KEYS; /* as queues go */
		v.is_there = !model.at[t][k].is_there || (r >> 25 & 3) == 0;
		v.len = (r >> 27 & 31) == 0 ? (uint32_t)(r >> 40) % VALUE_MAX
					    : (uint32_t)(r >> 40) % 700;
		if (!put_model(t, k, v, real))
			return false;
		/* Half of what comes in is gone within its batch. */
		if (v.is_there && (r >> 32 & 1) &&
		    !put_model(t, k, (struct model_value){ .seed = 0 }, real))
			return false;
	}
	if (!real)
		return true;
	p = kv_put(KV_META, span_str("batch"), sizeof(b), false);
	if (p != NULL)
		memcpy(p, &b, sizeof(b));
	return p != NULL;
}

/* The batch of the state that the store is in, UINT64_MAX: it can't be read. */
static inline uint64_t
store_batch(void)
{
	struct span v;
	uint64_t b = 0;
	int err = kv_get(KV_META, span_str("batch"), &v);

	if (err == -ENOENT)
		return 0;
	if (err != 0 || v.len != sizeof(b))
		return UINT64_MAX;
	memcpy(&b, v.p, sizeof(b));
	return b;
}

static inline void
model_at(uint64_t batch)
{
	if (model.batch > batch)
		memset(&model, 0, sizeof(model));
	while (model.batch < batch)
		do_batch(false);
}

/* --- whether it is so --------------------------------------------------------------------- */

static inline bool
is_entry(unsigned t, int k, int err, struct span key, struct span value)
{
	if (k < 0 || k >= KEYS)
		return err == -ENOENT;
	return err == 0 && span_eq(key, model_key((unsigned)k)) && is_value(value, &model.at[t][k]);
}

/* get, next and prev of one key, there or not. */
static inline bool
is_as_model_at(unsigned t, unsigned k)
{
	struct span key, value;
	int at = (int)k, err;

	err = kv_get(model_tables[t], model_key(k), &value);
	if (!is_entry(t, model.at[t][k].is_there ? at : -1, err, model_key(k), value))
		return false;
	while (at < KEYS && !model.at[t][at].is_there)
		at++;
	err = kv_next(model_tables[t], model_key(k), false, &key, &value);
	if (!is_entry(t, at, err, key, value))
		return false;
	for (at = (int)k + 1; at < KEYS && !model.at[t][at].is_there;)
		at++;
	err = kv_next(model_tables[t], model_key(k), true, &key, &value);
	if (!is_entry(t, at, err, key, value))
		return false;
	for (at = (int)k - 1; at >= 0 && !model.at[t][at].is_there;)
		at--;
	err = kv_prev(model_tables[t], model_key(k), &key, &value);
	return is_entry(t, at, err, key, value);
}

/* After opening, of what the journal had. */
static inline bool
derive_again(void)
{
	struct span key = span_str(""), value;

	while (kv_recent(model_tables[MODEL_DERIVED], key, true, &key, &value) == 0)
		if (kv_put(KV_EXPIRY, key, 0, false) == NULL)
			return false;
	return true;
}

/* There may be more in the derived table, but nothing is lacking. */
static inline bool
is_derived(void)
{
	struct span value;

	for (unsigned k = 0; k < KEYS; k++)
		if (model.at[MODEL_DERIVED][k].is_there &&
		    kv_get(KV_EXPIRY, model_key(k), &value) != 0)
			return false;
	return true;
}

/* All of it, by walking from one key to the next. */
static inline bool
is_as_model(void)
{
	for (unsigned t = 0; t < MODEL_TABLES; t++) {
		struct span key = span_str(""), value;
		bool above = false;

		for (int k = 0; k <= KEYS; k++) {
			if (k < KEYS && !model.at[t][k].is_there)
				continue;
			if (!is_entry(t, k, kv_next(model_tables[t], key, above, &key, &value), key,
				value))
				return false;
			above = true;
		}
	}
	return true;
}

static inline bool
is_as_model_after(uint64_t batch)
{
	model_at(batch);
	return is_as_model();
}

#endif
