/*
 * Keys are a byte for whose it is, and the name. That byte is on disk, so it is not the kind's place in procs.def.
 */
#include <errno.h>

#include "shared/base/must.h"
#include "worker/persist/store_int.h"

static struct key
kept_key(enum proc_kind whose, struct span name)
{
	static const uint8_t number[PROC_KINDS] = { [PROC_AUTH] = 1 };
	struct key k = { .len = 0 };

	must(whose < PROC_KINDS && number[whose] != 0 && name.len <= TEXT_MAX);
	k.b[k.len++] = number[whose];
	key_text(&k, name);
	return k;
}

int
store_kept_put(enum proc_kind whose, struct span name, struct span value)
{
	struct key k = kept_key(whose, name);
	struct wr w;

	if (!record_put(KV_KEPT, &k, value.len, false, &w))
		return -ENOMEM;
	wr_raw(&w, value);
	return 0;
}

int
store_kept_del(enum proc_kind whose, struct span name)
{
	struct key k = kept_key(whose, name);

	return kv_del(KV_KEPT, key_span(&k));
}

bool
store_kept_get(enum proc_kind whose, struct span name, struct span *value_out)
{
	struct key k = kept_key(whose, name);
	struct rd r;

	if (!record_get(KV_KEPT, &k, &r))
		return false;
	*value_out = rd_rest(&r);
	return true;
}

bool
store_kept_next(
    enum proc_kind whose, struct span after, struct span *name_out, struct span *value_out)
{
	struct key k = kept_key(whose, after);
	uint8_t number = k.b[0];
	struct span key, value;

	while (kv_next(KV_KEPT, key_span(&k), true, &key, &value) == 0 && key.len > 0 &&
	    key.p[0] == number) {
		struct rd r = rd_of(value);

		if (record_is_good(KV_KEPT, &r) && key.len > 1) {
			*name_out = span_of(key.p + 1, key.len - 1);
			*value_out = rd_rest(&r);
			return true;
		}
		if (!key_take(&k, key))
			break;
	}
	return false;
}
