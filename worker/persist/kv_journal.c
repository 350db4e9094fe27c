#include "worker/persist/kv_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/base/must.h"

/*
 * A record, little-endian throughout:
 *
 *     u32 type, u32 0          what Berkeley DB looks at: an application's record, of no transaction
 *     u64 store
 *     u16 version, u8 kind, u8 1: the last part
 *     u32 part
 *     u64 batch, u64 safe
 *     u32 mark's file, u32 mark's offset, u64 mark's batch
 *     u32 operations, u32 0
 *     the part's share of the batch's bytes
 *
 * Those bytes are operations one after the other: u8 table, u8 kind, u16 key's length, u32 value's
 * length, key, value. Parts are cut anywhere.
 */
#define VERSION 1
#define HEAD_LEN 64
#define STORE_AT 8
#define OP_LEN 8

#define PART_MAX (UINT64_C(2) << 20) /* a record has to fit into a log file */
#define TELL_BYTES (UINT64_C(16) << 20)

enum op_kind { OP_PUT = 1, OP_DEL };

struct op {
	enum op_kind kind;
	enum kv_table table;
	struct span key, value;
};

static struct {
	uint8_t *part; /* under way; its head is filled in last */
	size_t max, len;
	struct journal_head head;
	struct kv_lsn first;
	uint64_t bytes;
} out;

struct reading {
	const struct kv_options *o;
	struct journal_found *found;
	uint64_t log_file_size;
	struct kv_lsn from, at;
	uint64_t told;
	uint64_t last;   /* batch that was read whole */
	bool knows_last; /* else the next may be any */
	bool hole;       /* something before it could not be read: known already */
	bool only_looks; /* nothing goes into the pending tables */
	uint8_t *batch;  /* its parts so far */
	size_t len, cap;
	uint32_t parts; /* 0: waits for a first one */
};

static int put_bytes(const void *p, size_t len);
static int put_part(bool last);
static void head_encode(const struct journal_head *h, uint8_t *p);
static int head_decode(struct span record, struct journal_head *h_out);
static int read_journal(struct reading *r, uint64_t store, bool from_beginning);
static int find_mark(struct reading *r, bool from_beginning);
static int read_all(struct reading *r);
static bool is_before(struct kv_lsn a, struct kv_lsn b);
static int take_record(struct reading *r, struct span record);
static int take_part(struct reading *r, const struct journal_head *h, struct span body);
static bool is_batch(const struct reading *r, uint32_t ops);
static int apply(struct reading *r, uint64_t batch);
static bool next_op(struct span *rest, struct op *op_out);
static void expect(struct reading *r, uint64_t last);
static void note_damage(struct reading *r, uint32_t file);
static void look_behind_end(struct reading *r);
static void look_for_last(struct reading *r);
static uint64_t safe_in(const struct reading *r, const char *path, uint32_t offset);
static void tell(struct reading *r);

int
journal_init(uint64_t log_file_size)
{
	out.max = log_file_size / 4 < PART_MAX ? log_file_size / 4 : PART_MAX;
	out.part = malloc(out.max);
	return out.part != NULL ? 0 : -ENOMEM;
}

void
journal_fini(void)
{
	free(out.part);
	out.part = NULL;
}

int
journal_write(const struct journal_state *s, struct kv_lsn *first_out, uint64_t *bytes_out)
{
	struct kv_node *n, *tmp;
	int err = 0;

	out.len = HEAD_LEN;
	out.bytes = 0;
	out.head = (struct journal_head){
		.kind = JOURNAL_BATCH,
		.batch = s->made + 1,
		.safe = s->safe,
		.store = s->store,
		.mark = s->mark,
	};
	LIST_FOREACH(n, tmp, pending_changed(), struct kv_node, changed) {
		uint8_t op[OP_LEN] = { n->table, n->gone ? OP_DEL : OP_PUT };
		uint16_t key_len = htole16(n->key_len);
		uint32_t len = htole32(n->gone ? 0 : n->len);

		memcpy(op + 2, &key_len, sizeof(key_len));
		memcpy(op + 4, &len, sizeof(len));
		out.head.ops++;
		err = put_bytes(op, sizeof(op));
		if (err == 0)
			err = put_bytes(kv_node_key(n), n->key_len);
		if (err == 0 && !n->gone)
			err = put_bytes(kv_node_value(n), n->len);
		if (err != 0)
			return err;
	}
	err = put_part(true);
	if (err != 0)
		return err;
	*first_out = out.first;
	*bytes_out = out.bytes;
	return 0;
}

int
journal_note(const struct journal_state *s, enum journal_kind kind)
{
	struct kv_lsn lsn;
	uint8_t p[HEAD_LEN];

	head_encode(
	    &(struct journal_head){
		.kind = kind,
		.last = true,
		.batch = s->made,
		.safe = s->safe,
		.store = s->store,
		.mark = s->mark,
	    },
	    p);
	return bdb_log_put(span_of(p, sizeof(p)), true, &lsn);
}

int
journal_read(const struct kv_options *o, uint64_t store, bool from_beginning,
    struct journal_found *found_out)
{
	struct reading r = { .o = o, .found = found_out };

	return read_journal(&r, store, from_beginning);
}

int
journal_check(const struct kv_options *o, uint64_t store, struct journal_found *found_out)
{
	struct reading r = { .o = o, .found = found_out, .only_looks = true };

	return read_journal(&r, store, false);
}

/* --- writing ------------------------------------------------------------------------------ */

static int
put_bytes(const void *p, size_t len)
{
	const uint8_t *from = p;
	int err = 0;

	while (len > 0 && err == 0) {
		size_t n = out.max - out.len < len ? out.max - out.len : len;

		memcpy(out.part + out.len, from, n);
		out.len += n;
		from += n;
		len -= n;
		if (out.len == out.max)
			err = put_part(false);
	}
	return err;
}

static int
put_part(bool last)
{
	struct kv_lsn lsn;
	int err;

	out.head.last = last;
	head_encode(&out.head, out.part);
	err = bdb_log_put(span_of(out.part, out.len), last, &lsn);
	if (err != 0)
		return err;
	if (out.head.part++ == 0)
		out.first = lsn;
	out.bytes += out.len;
	out.len = HEAD_LEN;
	return 0;
}

static uint8_t *
put32(uint8_t *p, uint32_t x)
{
	x = htole32(x);
	memcpy(p, &x, sizeof(x));
	return p + sizeof(x);
}

static uint8_t *
put64(uint8_t *p, uint64_t x)
{
	x = htole64(x);
	memcpy(p, &x, sizeof(x));
	return p + sizeof(x);
}

static void
head_encode(const struct journal_head *h, uint8_t *p)
{
	p = put32(p, KV_RECORD_TYPE);
	p = put32(p, 0);
	p = put64(p, h->store);
	p = put32(p, (uint32_t)(VERSION | h->kind << 16 | h->last << 24));
	p = put32(p, h->part);
	p = put64(p, h->batch);
	p = put64(p, h->safe);
	p = put32(p, h->mark.lsn.file);
	p = put32(p, h->mark.lsn.offset);
	p = put64(p, h->mark.batch);
	p = put32(p, h->ops);
	put32(p, 0);
}

/* --- reading ------------------------------------------------------------------------------ */

static uint32_t
get32(const uint8_t **p)
{
	uint32_t x;

	memcpy(&x, *p, sizeof(x));
	*p += sizeof(x);
	return le32toh(x);
}

static uint64_t
get64(const uint8_t **p)
{
	uint64_t x;

	memcpy(&x, *p, sizeof(x));
	*p += sizeof(x);
	return le64toh(x);
}

static int
head_decode(struct span record, struct journal_head *h_out)
{
	const uint8_t *p = record.p;
	struct journal_head h;
	uint32_t type, word;

	if (record.len < HEAD_LEN)
		return -EUCLEAN;
	type = get32(&p);
	get32(&p);
	h.store = get64(&p);
	word = get32(&p);
	h.kind = word >> 16 & 0xff;
	h.last = word >> 24;
	h.part = get32(&p);
	h.batch = get64(&p);
	h.safe = get64(&p);
	h.mark.lsn.file = get32(&p);
	h.mark.lsn.offset = get32(&p);
	h.mark.batch = get64(&p);
	h.ops = get32(&p);
	if (type != KV_RECORD_TYPE || h.kind == 0)
		return -EUCLEAN;
	if ((word & 0xffff) != VERSION)
		return -EPROTO;
	*h_out = h;
	return 0;
}

static int
read_journal(struct reading *r, uint64_t store, bool from_beginning)
{
	int err;

	memset(r->found, 0, sizeof(*r->found));
	r->found->state.store = store;
	err = bdb_reader_open(r->o->dir, &r->found->end);
	if (err == -ENOENT)
		return 0;
	if (err != 0)
		return err;
	err = find_mark(r, from_beginning);
	if (err == 0)
		err = read_all(r);
	if (err == 0) {
		look_behind_end(r);
		look_for_last(r);
		r->found->state.made = r->last;
		r->found->state.safe = r->last;
	}
	bdb_reader_close();
	free(r->batch);
	return err;
}

/* The last record knows where to begin. */
static int
find_mark(struct reading *r, bool from_beginning)
{
	struct journal_head h;
	struct span record;
	struct kv_lsn at;
	int got = bdb_reader_last(&at, &record), err;

	if (got == 0)
		return 0;
	if (got == -EUCLEAN) {
		note_damage(r, at.file);
		return bdb_reader_again(r->o->dir, &r->found->end);
	}
	err = got < 0 ? got : head_decode(record, &h);
	if (err != 0)
		return err;
	r->found->clean = h.kind == JOURNAL_CLOSED;
	if (r->found->state.store == 0)
		r->found->state.store = h.store;
	r->found->state.mark = h.mark;
	if (h.mark.batch > 0 && !from_beginning) {
		r->from = h.mark.lsn;
		r->last = h.mark.batch - 1;
		r->knows_last = true;
	}
	return 0;
}

static int
read_all(struct reading *r)
{
	struct span record;
	int err, got;

	got = bdb_reader_seek(r->from, &r->at, &record);
	if (got == 0 && r->from.file > 0) {
		/* The file is gone: what is left may still be good. */
		note_damage(r, r->from.file);
		r->hole = true;
		r->from = (struct kv_lsn){ 0, 0 };
		got = bdb_reader_seek(r->from, &r->at, &record);
	}
	for (;;) {
		if (got == -EUCLEAN || (got == 0 && is_before(r->at, r->found->end))) {
			note_damage(r, r->at.file);
			r->hole = true;
			r->parts = 0;
			if (r->at.file >= r->found->end.file)
				return 0;
			err = bdb_reader_again(r->o->dir, &r->found->end);
			if (err != 0)
				return err;
			r->at = (struct kv_lsn){ r->at.file + 1, 0 };
			got = bdb_reader_seek(r->at, &r->at, &record);
			continue;
		}
		if (got <= 0)
			return got;
		err = take_record(r, record);
		if (err != 0)
			return err;
		tell(r);
		got = bdb_reader_next(&r->at, &record);
	}
}

static bool
is_before(struct kv_lsn a, struct kv_lsn b)
{
	return a.file != b.file ? a.file < b.file : a.offset < b.offset;
}

static int
take_record(struct reading *r, struct span record)
{
	struct journal_head h;
	int err = head_decode(record, &h);

	if (err == -EPROTO)
		return err;
	if (r->found->state.store == 0 && err == 0)
		r->found->state.store = h.store;
	if (err != 0 || h.store != r->found->state.store) {
		note_damage(r, r->at.file);
		return 0;
	}
	r->found->any = true;
	if (h.kind != JOURNAL_BATCH) {
		expect(r, h.batch);
		return 0;
	}
	r->found->bytes += record.len;
	return take_part(r, &h, span_of(record.p + HEAD_LEN, record.len - HEAD_LEN));
}

/*
 * A batch whose last part never came was cut off with its process; its number was given again, and
 * the new first part takes the place of what there is of the old.
 */
static int
take_part(struct reading *r, const struct journal_head *h, struct span body)
{
	int err;

	if (h->part == 0) {
		r->parts = 0;
		r->len = 0;
	} else if (h->part != r->parts) {
		return 0; /* what is missing shows when the next whole batch has another number */
	}
	if (r->len + body.len > r->cap) {
		size_t cap = (r->len + body.len) * 2;
		uint8_t *p = realloc(r->batch, cap);

		if (p == NULL)
			return -ENOMEM;
		r->batch = p;
		r->cap = cap;
	}
	if (body.len > 0)
		memcpy(r->batch + r->len, body.p, body.len);
	r->len += body.len;
	r->parts++;
	if (!h->last)
		return 0;
	r->parts = 0;
	expect(r, h->batch - 1);
	if (!is_batch(r, h->ops)) {
		note_damage(r, r->at.file);
		r->found->lost++;
	} else {
		err = r->only_looks ? 0 : apply(r, h->batch);
		if (err != 0)
			return err;
		r->found->batches++;
		r->found->operations += h->ops;
	}
	r->last = h->batch;
	return 0;
}

/* A batch counts whole or not at all: looked through before the first operation is taken. */
static bool
is_batch(const struct reading *r, uint32_t ops)
{
	struct span rest = span_of(r->batch, r->len);
	struct op op;

	while (next_op(&rest, &op))
		ops--;
	return rest.len == 0 && ops == 0;
}

static int
apply(struct reading *r, uint64_t batch)
{
	struct span rest = span_of(r->batch, r->len);
	struct op op;

	while (next_op(&rest, &op)) {
		bool added;
		struct kv_node *n = pending_set(op.table, op.key, op.value.len, &added);

		if (n == NULL)
			return -ENOMEM;
		n->gone = op.kind == OP_DEL;
		n->journaled = true;
		n->in_tree = true; /* of a move that was cut off, perhaps */
		n->batch = batch;
		if (op.value.len > 0)
			memcpy(kv_node_value(n), op.value.p, op.value.len);
	}
	return 0;
}

/* False: there is no more, or what there is isn't one, and stays in *rest. */
static bool
next_op(struct span *rest, struct op *op_out)
{
	struct op op;
	uint16_t key_len;
	uint32_t len;

	if (rest->len < OP_LEN)
		return false;
	op.table = rest->p[0];
	op.kind = rest->p[1];
	memcpy(&key_len, rest->p + 2, sizeof(key_len));
	memcpy(&len, rest->p + 4, sizeof(len));
	op.key = span_of(rest->p + OP_LEN, le16toh(key_len));
	op.value = span_of(op.key.p + op.key.len, le32toh(len));
	if (op.table >= KV_TABLES || (op.kind != OP_PUT && op.kind != OP_DEL) || op.key.len == 0 ||
	    op.key.len > KV_KEY_MAX || rest->len - OP_LEN < op.key.len + op.value.len)
		return false;
	*rest = span_of(op.value.p + op.value.len, rest->len - OP_LEN - op.key.len - op.value.len);
	*op_out = op;
	return true;
}

/* What comes now follows this batch. */
static void
expect(struct reading *r, uint64_t last)
{
	if (r->knows_last && last != r->last) {
		r->found->lost += last > r->last ? last - r->last : 0;
		if (!r->hole)
			note_damage(r, r->at.file);
	}
	r->hole = false;
	r->last = last;
	r->knows_last = true;
}

static void
note_damage(struct reading *r, uint32_t file)
{
	struct journal_found *f = r->found;
	size_t room = sizeof(f->damaged) / sizeof(f->damaged[0]);

	if (f->ndamaged > 0 && f->damaged[f->ndamaged - 1] == file)
		return;
	/* The last one counts most. */
	f->damaged[f->ndamaged < room ? f->ndamaged++ : room - 1] = file;
}

/*
 * Berkeley DB takes the first record it can't read in the last file for the log's end, be it cut off
 * with the power or damaged later. If there is a record of ours behind it that was written when a
 * batch we don't have was on the disk already, then it is damage.
 */
static void
look_behind_end(struct reading *r)
{
	uint32_t offset = r->found->end.offset;
	uint64_t safe = 0, in_file;
	char path[PATH_MAX];

	if (r->found->state.store == 0)
		return;
	for (uint32_t file = r->found->end.file;; file++, offset = 0) {
		snprintf(path, sizeof(path), "%s/" KV_LOG_NAME, r->o->dir, file);
		if (access(path, F_OK) != 0)
			break;
		in_file = safe_in(r, path, offset);
		if (in_file > safe)
			safe = in_file;
	}
	if (safe <= r->last)
		return;
	note_damage(r, r->found->end.file);
	r->found->lost += safe - r->last;
}

/* Without its last file, or the beginning of that, a log ends like any other. */
static void
look_for_last(struct reading *r)
{
	uint32_t last = bdb_known_log(r->o->dir);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" KV_LOG_NAME, r->o->dir, last);
	if (last <= r->found->end.file)
		return;
	log_err("store: %s file=%s",
	    access(path, F_OK) == 0 ? "not readable from its beginning" : "missing", path);
	note_damage(r, last);
}

static uint64_t
safe_in(const struct reading *r, const char *path, uint32_t offset)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t store[sizeof(uint64_t)];
	uint64_t safe = 0;
	struct stat st;
	uint8_t *p;

	put64(store, r->found->state.store);
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= offset)
		goto out;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		goto out;
	for (struct span rest = span_of(p + offset, (size_t)st.st_size - offset);;) {
		const uint8_t *hit = memmem(rest.p, rest.len, store, sizeof(store));
		struct journal_head h;

		if (hit == NULL)
			break;
		rest.len -= (size_t)(hit + 1 - rest.p);
		rest.p = hit + 1;
		if (hit - p < offset + STORE_AT)
			continue;
		if (head_decode(span_of(hit - STORE_AT, rest.len + STORE_AT + 1), &h) == 0 &&
		    h.safe <= h.batch && h.safe > safe)
			safe = h.safe;
	}
	munmap(p, (size_t)st.st_size);
out:
	if (fd >= 0)
		close(fd);
	return safe;
}

static void
tell(struct reading *r)
{
	uint64_t size = r->o->log_file_size;
	uint64_t done = (uint64_t)(r->at.file - r->from.file) * size + r->at.offset;

	if (r->o->progress == NULL || done < r->told + TELL_BYTES)
		return;
	r->told = done;
	r->o->progress(r->o->arg, "journal", done,
	    (uint64_t)(r->found->end.file - r->from.file) * size + r->found->end.offset);
}
