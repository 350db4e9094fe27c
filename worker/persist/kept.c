#include "worker/persist/kept.h"

#include <errno.h>

#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/store.h"

#define PAGE_ITEMS 256
#define PAGE_BYTES 65536

static void
answer(unsigned slot, uint64_t token, int err)
{
	struct rec_kept rec = { .token = token, .err = err };

	out_answer(slot, err == 0 ? OUT_POWER : OUT_NOTHING, REC_KEPT,
	    &(struct iovec){ &rec, sizeof(rec) }, 1);
}

int
kept_put(unsigned slot, struct span body)
{
	enum proc_kind whose = proc_kind_of(slot);
	struct span name, value, was;
	struct rec_keep rec;
	int err;

	if (!rec_take(&body, &rec, sizeof(rec)) || rec.name_len == 0 ||
	    rec.name_len > KEEP_NAME_MAX || rec.value_len > KEEP_VALUE_MAX ||
	    !rec_span(&body, rec.name_len, &name) || !rec_span(&body, rec.value_len, &value) ||
	    body.len != 0)
		return -EPROTO;
	if (rec.flags & KEEP_DEL) {
		err = store_kept_del(whose, name);
	} else if (peer_is_full()) {
		err = -ENOSPC;
	} else if ((rec.flags & KEEP_FRESH) && store_kept_get(whose, name, &was)) {
		/* Also if it was we who wrote it, and died before it was known. */
		err = span_eq(was, value) ? 0 : -EEXIST;
	} else {
		err = store_kept_put(whose, name, value);
	}
	answer(slot, rec.token, err);
	return 0;
}

int
kept_get(unsigned slot, struct span body)
{
	enum proc_kind whose = proc_kind_of(slot);
	struct rec_kept_end end = { .count = 0 };
	struct rec_kept_get rec;
	struct span name, value;
	size_t bytes = 0;

	if (!rec_take(&body, &rec, sizeof(rec)) || rec.after_len > KEEP_NAME_MAX ||
	    rec.after_len != body.len)
		return -EPROTO;
	end.token = rec.token;
	name = body;
	while (store_kept_next(whose, name, &name, &value)) {
		struct rec_keep item = {
			.token = rec.token,
			.name_len = (uint16_t)name.len,
			.value_len = (uint32_t)value.len,
		};

		if (end.count == PAGE_ITEMS || bytes >= PAGE_BYTES) {
			end.more = true;
			break;
		}
		out_answer(slot, OUT_NOTHING, REC_KEPT_ITEM,
		    (struct iovec[]){ { &item, sizeof(item) }, { (void *)name.p, name.len },
			{ (void *)value.p, value.len } },
		    3);
		bytes += name.len + value.len;
		end.count++;
	}
	out_answer(slot, OUT_NOTHING, REC_KEPT_END, &(struct iovec){ &end, sizeof(end) }, 1);
	return 0;
}
