/*
 * QoS 2 identifiers that clients have used and not yet released. Each publish asks for one, so they are in memory as well: a client has no more than
 * its receive maximum.
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/child/child.h"
#include "worker/persist/store_int.h"

struct rxids { /* sorted */
	uint32_t number, n, cap;
	uint16_t *id;
};

static struct {
	struct htab all;
	bool is_open;
} the;

static uint64_t
number_hash(uint32_t number)
{
	return hash_mix(number + UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t
rxids_hash(const void *entry)
{
	return number_hash(((const struct rxids *)entry)->number);
}

static bool
rxids_eq(const void *entry, const void *key)
{
	return ((const struct rxids *)entry)->number == *(const uint32_t *)key;
}

static struct key
rxid_key(uint32_t number, uint16_t id)
{
	struct key k = { .len = 0 };

	key_u32(&k, number);
	k.b[k.len++] = (uint8_t)(id >> 8);
	k.b[k.len++] = (uint8_t)id;
	return k;
}

static struct rxids *
rxids_find(uint32_t number)
{
	return htab_find(&the.all, number_hash(number), rxids_eq, &number);
}

static uint32_t
rxids_seek(const struct rxids *r, uint16_t id)
{
	uint32_t lo = 0, hi = r->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (r->id[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Into memory only. */
static int
rxids_add(uint32_t number, uint16_t id)
{
	struct rxids *r = rxids_find(number);
	uint32_t at;

	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return -ENOMEM;
		r->number = number;
		if (htab_add(&the.all, number_hash(number), r) != 0) {
			free(r);
			return -ENOMEM;
		}
	}
	at = rxids_seek(r, id);
	if (at < r->n && r->id[at] == id)
		return -EEXIST;
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 4;
		uint16_t *ids = realloc(r->id, cap * sizeof(*ids));

		if (ids == NULL)
			return -ENOMEM;
		r->id = ids;
		r->cap = cap;
	}
	memmove(&r->id[at + 1], &r->id[at], (r->n++ - at) * sizeof(r->id[0]));
	r->id[at] = id;
	return 0;
}

static void
rxids_free(struct rxids *r)
{
	htab_del(&the.all, number_hash(r->number), r);
	free(r->id);
	free(r);
}

static bool
rxids_del(uint32_t number, uint16_t id)
{
	struct rxids *r = rxids_find(number);
	uint32_t at;

	if (r == NULL)
		return false;
	at = rxids_seek(r, id);
	if (at == r->n || r->id[at] != id)
		return false;
	memmove(&r->id[at], &r->id[at + 1], (--r->n - at) * sizeof(r->id[0]));
	if (r->n == 0)
		rxids_free(r);
	return true;
}

int
rxids_open(void)
{
	struct key k = { .len = 0 };
	struct span key, value;
	int err = 0;

	htab_init(&the.all, rxids_hash);
	the.is_open = true;
	while (err == 0 && kv_next(KV_RXID, key_span(&k), k.len > 0, &key, &value) == 0) {
		struct rd r = rd_of(key);
		uint32_t number = rd_u32(&r);
		uint16_t id = rd_u16(&r);

		if (!key_take(&k, key))
			break;
		if (r.bad || rd_left(&r) > 0 || id == 0)
			record_bad(KV_RXID);
		else
			err = rxids_add(number, id);
	}
	return err;
}

void
rxids_close(void)
{
	struct rxids *r;
	uint64_t pos;

	if (!the.is_open)
		return;
	for (pos = 0; (r = htab_next(&the.all, &pos)) != NULL; pos = 0)
		rxids_free(r);
	htab_fini(&the.all);
	the.is_open = false;
}

int
store_rxid_add(uint32_t number, uint16_t id)
{
	struct key k = rxid_key(number, id);
	int err = rxids_add(number, id);
	struct wr w;

	if (err != 0)
		return err;
	if (!record_put(KV_RXID, &k, 0, false, &w)) {
		rxids_del(number, id);
		return -ENOMEM;
	}
	return 0;
}

bool
store_rxid_has(uint32_t number, uint16_t id)
{
	const struct rxids *r = rxids_find(number);
	uint32_t at;

	if (r == NULL)
		return false;
	at = rxids_seek(r, id);
	return at < r->n && r->id[at] == id;
}

bool
store_rxid_del(uint32_t number, uint16_t id)
{
	struct key k = rxid_key(number, id);

	if (!rxids_del(number, id))
		return false;
	if (kv_del(KV_RXID, key_span(&k)) != 0)
		count(CNT_dropped__no_memory); /* it is kept until it comes again */
	return true;
}

size_t
store_rxid_count(uint32_t number)
{
	const struct rxids *r = rxids_find(number);

	return r != NULL ? r->n : 0;
}

void
store_rxid_drop(uint32_t number)
{
	const struct rxids *r;

	while ((r = rxids_find(number)) != NULL)
		store_rxid_del(number, r->id[r->n - 1]);
}
