/*
 * Records of the log as damage or a stranger may have left them: each u8 what it is, u16 length, bytes. Most are given a head of ours, so that what is
 * behind it is read as well; a few are records that can't be read, or the end of a file. Reading ends, says what it found, and what it has taken in can be
 * written as one batch and is read back as the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/must.h"
#include "shared/mqtt/rd.h"
#include "tests/fuzz/quiet.h"
#include "worker/persist/kv_int.h"

#define RECORDS 64
#define FILE_RECORDS 16 /* then the next file begins */
#define LOG_FILE_SIZE (UINT64_C(256) << 10)
#define STORE 4711

/* The low bits of a record's first byte. */
enum { AS_IT_IS, WITH_HEAD, LAST_PART, BROKEN };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct log_record {
		uint8_t *p;
		size_t len;
		bool is_broken;
	} record[RECORDS];
	uint32_t n, at;
	uint8_t *lent; /* of just the record's size, until the next is read */
} the;

/* --- the log ----------------------------------------------------------------------------- */

static struct kv_lsn
lsn_of(uint32_t i)
{
	return (struct kv_lsn){ 1 + i / FILE_RECORDS, 1 + i % FILE_RECORDS };
}

/* Of an offset of 0 the first of its file, as when a file is looked for. */
static uint32_t
index_of(struct kv_lsn lsn)
{
	uint64_t i = lsn.offset > 0 ? lsn.offset - 1 : 0;

	if (lsn.file > 0)
		i += (uint64_t)(lsn.file - 1) * FILE_RECORDS;
	return i < RECORDS ? (uint32_t)i : RECORDS;
}

/* *lsn_out stays the last good one, or where it was looked for, if there is none. */
static int
record_out(uint32_t i, struct kv_lsn *lsn_out, struct span *out)
{
	free(the.lent);
	the.lent = NULL;
	if (i >= the.n)
		return 0;
	if (the.record[i].is_broken)
		return -EUCLEAN;
	the.lent = malloc(the.record[i].len > 0 ? the.record[i].len : 1);
	must(the.lent != NULL);
	if (the.record[i].len > 0)
		memcpy(the.lent, the.record[i].p, the.record[i].len);
	the.at = i;
	*lsn_out = lsn_of(i);
	*out = span_of(the.lent, the.record[i].len);
	return 1;
}

int
bdb_reader_open(const char *dir, struct kv_lsn *end_out)
{
	return the.n > 0 ? bdb_reader_again(dir, end_out) : -ENOENT;
}

int
bdb_reader_again(const char *dir, struct kv_lsn *end_out)
{
	(void)dir;
	*end_out = lsn_of(the.n - 1);
	return 0;
}

void
bdb_reader_close(void)
{
	free(the.lent);
	the.lent = NULL;
}

int
bdb_reader_last(struct kv_lsn *lsn_out, struct span *out)
{
	*lsn_out = (struct kv_lsn){ 0, 0 };
	return record_out(the.n - 1, lsn_out, out);
}

int
bdb_reader_seek(struct kv_lsn lsn, struct kv_lsn *lsn_out, struct span *out)
{
	*lsn_out = lsn;
	return record_out(index_of(lsn), lsn_out, out);
}

int
bdb_reader_next(struct kv_lsn *lsn_out, struct span *out)
{
	return record_out(the.at + 1, lsn_out, out);
}

uint32_t
bdb_known_log(const char *dir)
{
	(void)dir;
	return 0;
}

int
bdb_log_put(struct span record, bool kernel, struct kv_lsn *lsn_out)
{
	struct log_record *r = &the.record[the.n];

	(void)kernel;
	if (the.n == RECORDS)
		return -ENOSPC;
	*r = (struct log_record){ malloc(record.len), record.len, false };
	must(r->p != NULL);
	memcpy(r->p, record.p, record.len);
	*lsn_out = lsn_of(the.n++);
	return 0;
}

/* --- the input --------------------------------------------------------------------------- */

static void
log_free(void)
{
	while (the.n > 0)
		free(the.record[--the.n].p);
	bdb_reader_close();
}

/* What a head holds but the store's number, the batch's and the kind comes from the input. */
static void
add(uint8_t what, struct span body)
{
	const uint32_t type = KV_RECORD_TYPE;
	const uint64_t store = STORE;
	struct kv_lsn lsn;
	uint8_t *p;

	if (the.n == RECORDS)
		return;
	must(bdb_log_put(body.len > 0 ? body : span_str("?"), true, &lsn) == 0);
	p = the.record[the.n - 1].p;
	the.record[the.n - 1].is_broken = what % 4 == BROKEN;
	if (what % 4 == AS_IT_IS || body.len < 64)
		return;
	memcpy(p, &type, sizeof(type));
	memcpy(p + 8, &store, sizeof(store));
	p[16] = 1;
	p[17] = 0;
	if (what % 4 == LAST_PART) {
		p[18] = JOURNAL_BATCH;
		p[19] = 1;
	}
}

static void
load(struct rd r)
{
	while (rd_left(&r) > 0) {
		uint8_t what = rd_u8(&r);
		uint16_t len = rd_u16(&r);
		struct span body = rd_bytes(&r, len);

		if (r.bad)
			return;
		add(what, body);
	}
}

/* --- what came of it --------------------------------------------------------------------- */

struct kept {
	struct kept *next;
	enum kv_table table;
	bool gone;
	size_t key_len, len;
	uint8_t b[];
};

static struct kept *
keep_all(void)
{
	struct kept *all = NULL;

	for (enum kv_table t = 0; t < KV_TABLES; t++)
		for (struct kv_node *n = pending_next(t, span_of(NULL, 0), false); n != NULL;
		     n = n->next[0]) {
			struct kept *k = malloc(sizeof(*k) + n->key_len + n->len);

			must(k != NULL);
			*k = (struct kept){ all, t, n->gone, n->key_len, n->gone ? 0 : n->len };
			memcpy(k->b, kv_node_key(n), n->key_len);
			memcpy(k->b + n->key_len, kv_node_value(n), k->len);
			all = k;
		}
	return all;
}

static void
is_as_kept(struct kept *all)
{
	uint64_t keys = 0;
	struct kept *k;

	for (; (k = all) != NULL; keys++) {
		struct kv_node *n = pending_find(k->table, span_of(k->b, k->key_len));

		must(n != NULL && n->gone == k->gone);
		must(k->gone ||
		    span_eq(span_of(kv_node_value(n), n->len), span_of(k->b + k->key_len, k->len)));
		all = k->next;
		free(k);
	}
	must(keys == pending_keys());
}

/* As it was read, into a log of its own. */
static void
again(const struct kv_options *o, const struct journal_found *was)
{
	struct journal_state s = {
		.store = STORE, .made = was->state.made, .safe = was->state.safe
	};
	struct kept *all = keep_all();
	struct journal_found found;
	struct kv_lsn first;
	uint64_t bytes;

	log_free();
	pending_touch_all(s.made + 1);
	must(journal_init(LOG_FILE_SIZE) == 0);
	must(journal_write(&s, &first, &bytes) == 0 && bytes > 0);
	s.made++;
	s.safe++;
	must(journal_note(&s, JOURNAL_CLOSED) == 0);
	journal_fini();
	pending_fini();
	must(journal_check(o, 0, &found) == 0 && pending_keys() == 0);
	must(journal_read(o, 0, false, &found) == 0);
	must(found.any && found.clean && found.ndamaged == 0 && found.lost == 0);
	must(found.batches == 1 && found.state.made == s.made && found.state.store == STORE);
	is_as_kept(all);
}

/* The file that the log seems to end in has all records in it: what is behind the end is looked through as bytes. */
static void
file_make(char dir[64], char path[128])
{
	FILE *f;

	strcpy(dir, "/dev/shm/journal_fuzz.XXXXXX");
	must(mkdtemp(dir) != NULL);
	snprintf(path, 128, "%s/" KV_LOG_NAME, dir, lsn_of(the.n > 0 ? the.n - 1 : 0).file);
	f = fopen(path, "w");
	must(f != NULL);
	for (uint32_t i = 0; i < the.n; i++)
		fwrite(the.record[i].p, 1, the.record[i].len, f);
	must(fclose(f) == 0);
}

static int
read_all(const struct kv_options *o, bool from_beginning, struct journal_found *found_out)
{
	struct journal_found looked;
	int err;

	pending_fini();
	err = journal_read(o, STORE, from_beginning, found_out);
	must(err == 0 || err == -EPROTO || err == -EUCLEAN);
	must(found_out->ndamaged <= sizeof(found_out->damaged) / sizeof(found_out->damaged[0]));
	if (from_beginning)
		return err;
	must(journal_check(o, STORE, &looked) == err);
	must(looked.batches == found_out->batches && looked.lost == found_out->lost);
	return err;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[64], path[128];
	const struct kv_options o = { .dir = dir, .log_file_size = LOG_FILE_SIZE };
	struct journal_found found;
	bool is_read;

	be_quiet();
	memset(&the, 0, sizeof(the));
	pending_init();
	load(rd_of(span_of(data, size)));
	file_make(dir, path);
	(void)read_all(&o, true, &found);
	is_read = read_all(&o, false, &found) == 0;
	unlink(path);
	if (is_read)
		again(&o, &found);
	rmdir(dir);
	pending_fini();
	log_free();
	return 0;
}
