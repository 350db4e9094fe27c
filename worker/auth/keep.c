#include "worker/auth/keep.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/child/child.h"

/* No credential's: a name is text in UTF-8. */
static const char secret_name[] = { '\xff', 's' };

static struct {
	struct keep_set *first, *last; /* the first is with persist */
	uint64_t token;                /* the last that was given */
	uint64_t page;                 /* that is being read; 0: none */
	bool is_loaded, is_asked;
	void (*loaded)(void);
	uint8_t after[KEEP_NAME_MAX]; /* the last name that came */
	uint16_t after_len;
	uint8_t secret[KEEP_SECRET_LEN];
	bool has_secret;
} the;

void
keep_init(void (*loaded)(void))
{
	the.loaded = loaded;
}

struct keep_set *
keep_set_new(size_t n)
{
	struct keep_set *s = calloc(1, sizeof(*s) + n * sizeof(s->change[0]));

	if (s != NULL)
		s->n = n;
	return s;
}

void
keep_set_free(struct keep_set *s)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		credential_free(s->change[i].to);
	free(s);
}

/* --- reading all -------------------------------------------------------------------------- */

static void
ask_page(void)
{
	struct rec_kept_get rec = { .token = ++the.token, .after_len = the.after_len };

	the.page = rec.token;
	if (mesh_send(self.mesh, SLOT_PERSIST, REC_KEPT_GET,
		(struct iovec[]){ { &rec, sizeof(rec) }, { the.after, the.after_len } },
		2) >= MESH_FULL)
		the.is_asked = false; /* it is when persist is there */
}

void
keep_up(void)
{
	if (the.is_loaded || the.is_asked)
		return;
	the.is_asked = true;
	ask_page();
}

bool
keep_is_loaded(void)
{
	return the.is_loaded;
}

int
keep_item(struct span body)
{
	struct credential *c;
	struct span name, value;
	struct rec_keep rec;
	int err;

	if (!rec_take(&body, &rec, sizeof(rec)) || rec.name_len == 0 ||
	    rec.name_len > KEEP_NAME_MAX || !rec_span(&body, rec.name_len, &name) ||
	    !rec_span(&body, rec.value_len, &value) || body.len != 0)
		return -EPROTO;
	if (rec.token != the.page)
		return 0;
	memcpy(the.after, name.p, name.len);
	the.after_len = rec.name_len;
	if (span_eq(name, span_of(secret_name, sizeof(secret_name))) &&
	    value.len == KEEP_SECRET_LEN) {
		memcpy(the.secret, value.p, value.len);
		the.has_secret = true;
		return 0;
	}
	c = credential_decode(name, value);
	err = c != NULL ? credential_put(c) : -EPROTO;
	if (err == 0)
		return 0;
	credential_free(c);
	log_err("keep: a credential is of no use name=%s: %s", log_esc(name),
	    err == -EEXIST ? "another has its client identifier and user name" : strerror(-err));
	return 0;
}

/* If it does not get there, the next start makes another. */
static void
make_secret(void)
{
	struct rec_keep rec = {
		.token = ++the.token,
		.name_len = sizeof(secret_name),
		.flags = KEEP_FRESH,
		.value_len = KEEP_SECRET_LEN,
	};

	must(RAND_bytes(the.secret, KEEP_SECRET_LEN) == 1);
	mesh_send(self.mesh, SLOT_PERSIST, REC_KEEP,
	    (struct iovec[]){ { &rec, sizeof(rec) }, { (void *)secret_name, sizeof(secret_name) },
		{ the.secret, KEEP_SECRET_LEN } },
	    3);
}

const uint8_t *
keep_secret(void)
{
	return the.secret;
}

int
keep_end(struct span body)
{
	struct rec_kept_end rec;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	if (rec.token != the.page)
		return 0;
	if (rec.more) {
		ask_page();
		return 0;
	}
	the.page = 0;
	if (!the.has_secret)
		make_secret();
	the.is_loaded = true;
	log_info("keep: credentials=%zu", credential_count());
	the.loaded();
	return 0;
}

/* --- writing ------------------------------------------------------------------------------ */

static bool
send_change(const struct keep_change *c, uint64_t token)
{
	static uint8_t value[CREDENTIAL_RECORD_MAX];
	struct rec_keep rec = {
		.token = token,
		.name_len = (uint16_t)strlen(c->name),
		.flags = c->to == NULL ? KEEP_DEL : 0,
	};

	if (c->to != NULL) {
		rec.value_len = (uint32_t)credential_encode(c->to, value, sizeof(value));
		must(rec.value_len > 0); /* credential_wrong() bounds it */
	}
	return mesh_send(self.mesh, SLOT_PERSIST, REC_KEEP,
		   (struct iovec[]){ { &rec, sizeof(rec) }, { (void *)c->name, rec.name_len },
		       { value, rec.value_len } },
		   3) < MESH_FULL;
}

/* What persist has is in force. */
static void
apply(struct keep_change *c)
{
	if (c->to == NULL)
		credential_del(span_str(c->name));
	else
		c->err = credential_put(c->to);
	if (c->to != NULL && c->err == 0)
		c->to = NULL;
	else if (c->err != 0)
		log_err("keep: on disk, but not in force name=%s: %s", log_esc(span_str(c->name)),
		    strerror(-c->err));
}

/* No two have the same to show: not with one in force, nor with one before in the set. */
static bool
is_taken(const struct keep_set *s, size_t nth)
{
	const struct keep_change *c = &s->change[nth];
	const struct credential *other;

	if (c->to == NULL)
		return false;
	other = credential_match_same(c->to);
	if (other != NULL && strcmp(other->name, c->name) != 0)
		return true;
	for (size_t i = 0; i < nth; i++)
		if (s->change[i].to != NULL && strcmp(s->change[i].name, c->name) != 0 &&
		    credential_shows_same(s->change[i].to, c->to))
			return true;
	return false;
}

static void
send_first(void)
{
	while (the.first != NULL) {
		struct keep_set *s = the.first;

		s->first = the.token + 1;
		the.token += s->n;
		for (size_t i = 0; i < s->n; i++)
			if (is_taken(s, i))
				s->change[i].err = -EEXIST;
			else if (send_change(&s->change[i], s->first + i))
				s->left++;
			else
				s->change[i].err = -EAGAIN;
		if (s->left > 0)
			return;
		the.first = s->next;
		s->done(s);
	}
}

void
keep_write(struct keep_set *s)
{
	s->next = NULL;
	s->left = 0;
	if (the.first != NULL) {
		the.last->next = s;
		the.last = s;
		return;
	}
	the.first = the.last = s;
	send_first();
}

int
keep_kept(struct span body)
{
	struct keep_set *s = the.first;
	struct keep_change *c;
	struct rec_kept rec;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	/* Of two persists that read the same record both answer. */
	if (s == NULL || rec.token < s->first || rec.token - s->first >= s->n)
		return 0;
	c = &s->change[rec.token - s->first];
	if (c->is_done || c->err != 0)
		return 0;
	c->is_done = true;
	c->err = rec.err;
	if (c->err == 0)
		apply(c);
	if (--s->left > 0)
		return 0;
	the.first = s->next;
	s->done(s);
	send_first();
	return 0;
}

void
keep_fini(void)
{
	struct keep_set *s;

	while ((s = the.first) != NULL) {
		the.first = s->next;
		keep_set_free(s);
	}
}
