#include "worker/persist/admin_store.h"

#include <errno.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/child/child.h"
#include "worker/persist/admin_json.h"
#include "worker/persist/peer.h"
#include "worker/persist/store.h"
#include "worker/persist/store_dump.h"

#define PAGE_US 5000          /* then a page of a dump ends, */
#define PAGE_BYTES (1u << 20) /* or after so many bytes of payload */

static json_t *begun(int err, const char **why);
static json_t *files(const struct kv_job *j);

json_t *
admin_store_status(const struct request *r, const char **why)
{
	static const char *const durability[] = {
		[DURABILITY_power] = "power",
		[DURABILITY_process] = "process",
		[DURABILITY_memory] = "memory",
	};
	struct store_status s;

	(void)r;
	(void)why;
	store_status(&s);
	return json_pack(
	    "{s:b, s:{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:b, s:I, s:I, s:b}}",
	    "ok", 1, "store", "directory", s.dir, "durability", durability[self.conf.durability],
	    "opened",
	    s.opened.damaged > 0 ? "salvaged"
		: s.opened.fresh ? "new"
		: s.opened.clean ? "clean"
				 : "recovered",
	    "damaged_files", (int)s.opened.damaged, "tree_bytes", (json_int_t)s.now.tree_bytes,
	    "log_bytes", (json_int_t)s.now.log_bytes, "journal_bytes",
	    (json_int_t)s.now.journal_bytes, "pending_keys", (json_int_t)s.now.pending_keys,
	    "pending_bytes", (json_int_t)s.now.pending_bytes, "batches", (json_int_t)s.now.batches,
	    "safe_batch", (json_int_t)store_safe(store_strictest()), "syncs",
	    (json_int_t)s.now.syncs, "moves", (json_int_t)s.now.moves, "moving",
	    (int)s.now.is_moving, "free_bytes", (json_int_t)s.now.free_bytes, "reserve_bytes",
	    (json_int_t)self.conf.store_reserve, "full", (int)peer_is_full());
}

json_t *
admin_store_backup(const struct request *r, const char **why)
{
	const char *dir = request_str(r, "directory");

	if (dir == NULL || dir[0] != '/') {
		*why = "directory is missing, or does not begin with /";
		return NULL;
	}
	return begun(kv_backup(dir), why);
}

json_t *
admin_store_verify(const struct request *r, const char **why)
{
	(void)r;
	return begun(kv_verify(), why);
}

json_t *
admin_store_compact(const struct request *r, const char **why)
{
	(void)r;
	return begun(kv_compact(), why);
}

json_t *
admin_store_job(const struct request *r, const char **why)
{
	struct kv_job j;
	double number;

	kv_job(&j);
	if (!request_num(r, "job", &number) || number != j.number || j.number == 0) {
		*why = "the job is not known: persist has restarted, or another has followed";
		return NULL;
	}
	if (j.is_running)
		return json_pack("{s:b, s:b, s:s, s:I, s:I}", "ok", 1, "running", 1, "step", j.step,
		    "done", (json_int_t)j.done, "all", (json_int_t)j.all);
	if (j.err != 0)
		return json_pack("{s:b, s:b, s:s}", "ok", 0, "running", 0, "error", j.why);
	if (j.kind != KV_JOB_VERIFY)
		return json_pack(
		    "{s:b, s:b, s:I}", "ok", 1, "running", 0, "bytes", (json_int_t)j.bytes);
	return json_pack("{s:b, s:b, s:b, s:o}", "ok", 1, "running", 0, "damaged",
	    (int)j.is_damaged, "files", files(&j));
}

/* The cursor is the record shown last. */
json_t *
admin_store_dump(const struct request *r, const char **why)
{
	bool payload = json_is_true(json_object_get(r->parameters, "payload"));
	const char *table = request_str(r, "table");
	uint64_t until = clock_now_us() + PAGE_US;
	struct store_place p = { .table = 0 };
	char next[STORE_PLACE_TEXT];
	size_t bytes = 0;
	json_t *items, *j;

	if (table != NULL && !store_table_of(table, &p.table)) {
		*why =
		    "table: meta, session, state, sub, group, msg, queue, retained, will or rxid";
		return NULL;
	}
	if (r->after[0] != '\0' && !store_place_read(r->after, &p)) {
		*why = "page.after is not what an answer had as next";
		return NULL;
	}
	items = json_array();
	for (;;) {
		j = store_dump(&p, payload);
		if (j == NULL && (table != NULL || p.table + 1 == KV_TABLES))
			return json_page(items, NULL);
		if (j == NULL) {
			p = (struct store_place){ .table = p.table + 1 };
			continue;
		}
		if (payload)
			bytes += (size_t)json_integer_value(json_object_get(j, "bytes"));
		json_array_append_new(items, j);
		if (json_array_size(items) >= r->limit || bytes >= PAGE_BYTES ||
		    clock_now_us() >= until)
			break;
	}
	store_place_write(&p, next);
	return json_page(items, next);
}

/* --- helpers ----------------------------------------------------------------------------- */

static json_t *
begun(int err, const char **why)
{
	struct kv_job j;

	if (err != 0) {
		*why = err == -EBUSY
		    ? "another backup, verify or compaction is under way; try again"
		    : err == -ENAMETOOLONG ? "the directory's name is too long"
					   : "the work could not be begun; look into the log";
		return NULL;
	}
	kv_job(&j);
	return json_pack("{s:b, s:i}", "ok", 1, "job", (int)j.number);
}

/* [{"file": "queue", "damaged": false}, …], and the journal. */
static json_t *
files(const struct kv_job *j)
{
	json_t *all = json_array();

	for (enum kv_table t = 0; t < KV_TABLES; t++)
		json_array_append_new(all,
		    json_pack(
			"{s:s, s:b}", "file", store_table_name(t), "damaged", (int)j->damaged[t]));
	json_array_append_new(
	    all, json_pack("{s:s, s:b}", "file", "journal", "damaged", (int)j->journal_damaged));
	return all;
}
