#include "worker/persist/directory.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"

#define PAGE 4096 /* places of one page; it exists once one of them is used */
#define PAGES (SESSION_NUMBERS / PAGE)

struct page {
	uint32_t used;
	/* A session; or, odd, the next free number below `fresh`; 0: never used, or free above it. */
	uintptr_t at[PAGE];
};

static struct {
	struct htab by_id;
	struct page **page;
	uint32_t free;  /* first of the free numbers below fresh */
	uint32_t fresh; /* from here on none was handed out; past generations may have used them */
	uint32_t end;
} the;

static uint64_t
id_hash(const void *entry)
{
	return hash_bytes(&self.key, session_id(entry));
}

static bool
id_eq(const void *entry, const void *key)
{
	return span_eq(session_id(entry), *(const struct span *)key);
}

int
directory_init(void)
{
	htab_init(&the.by_id, id_hash);
	the.free = SESSION_NO_NUMBER;
	the.fresh = the.end = 0;
	the.page = calloc(PAGES, sizeof(struct page *));
	return the.page != NULL ? 0 : -ENOMEM;
}

void
directory_fini(void)
{
	uint32_t number = 0;
	struct session *s;

	if (the.page == NULL)
		return;
	while ((s = directory_next(&number, UINT32_MAX)) != NULL)
		directory_del(s);
	for (uint32_t i = 0; i < PAGES; i++)
		free(the.page[i]);
	free(the.page);
	the.page = NULL;
	htab_fini(&the.by_id);
}

struct session *
directory_find(struct span id)
{
	return htab_find(&the.by_id, hash_bytes(&self.key, id), id_eq, &id);
}

static uintptr_t *
place(uint32_t number, bool make)
{
	struct page **p;

	if (number >= SESSION_NUMBERS)
		return NULL;
	p = &the.page[number / PAGE];
	if (*p == NULL && make)
		*p = calloc(1, sizeof(**p));
	return *p != NULL ? &(*p)->at[number % PAGE] : NULL;
}

struct session *
directory_at(uint32_t number)
{
	const uintptr_t *at = place(number, false);

	return at != NULL && !(*at & 1) ? (struct session *)*at : NULL;
}

/* The next number to hand out, its place made; not taken yet. */
static uint32_t
next_number(void)
{
	const uintptr_t *at;

	if (the.free != SESSION_NO_NUMBER)
		return the.free;
	while (the.fresh < SESSION_NUMBERS && directory_at(the.fresh) != NULL)
		the.fresh++;
	at = place(the.fresh, true);
	return at != NULL ? the.fresh : SESSION_NO_NUMBER;
}

struct session *
directory_add(struct span id, uint32_t number)
{
	bool given = number != SESSION_NO_NUMBER;
	struct session *s;
	uintptr_t *at;

	if (!given)
		number = next_number();
	at = place(number, true);
	/*
	 * A number that is given comes from before our start: none has been handed out and come
	 * back yet.
	 */
	if (at == NULL || *at & 1 || (given && *at != 0)) {
		if (given || at == NULL || number != the.free)
			return NULL;
	}
	s = calloc(1, sizeof(*s) + id.len);
	if (s == NULL)
		return NULL;
	s->number = number;
	s->id_len = (uint16_t)id.len;
	s->listener = SESSION_NO_LISTENER;
	memcpy(s->id, id.p, id.len);
	if (htab_add(&the.by_id, hash_bytes(&self.key, id), s) != 0) {
		free(s);
		return NULL;
	}
	if (!given && number == the.free)
		the.free = (uint32_t)(*at >> 1);
	else if (!given)
		the.fresh = number + 1;
	*at = (uintptr_t)s;
	the.page[number / PAGE]->used++;
	if (number >= the.end)
		the.end = number + 1;
	count_add(CNT_sessions, 1);
	return s;
}

void
directory_del(struct session *s)
{
	uintptr_t *at = place(s->number, false);

	must(at != NULL && *at == (uintptr_t)s);
	must(htab_del(&the.by_id, hash_bytes(&self.key, session_id(s)), s));
	the.page[s->number / PAGE]->used--;
	if (s->number < the.fresh) {
		*at = (uintptr_t)the.free << 1 | 1;
		the.free = s->number;
	} else {
		*at = 0;
	}
	free(s->user);
	free(s);
	count_sub(CNT_sessions, 1);
}

size_t
directory_count(void)
{
	return htab_count(&the.by_id);
}

struct session *
directory_next(uint32_t *number, uint32_t most)
{
	while (*number < the.end && most > 0) {
		const struct page *p = the.page[*number / PAGE];

		if (p == NULL || p->used == 0) {
			*number = (*number / PAGE + 1) * PAGE;
			most--;
			continue;
		}
		for (; most > 0; most--) {
			uintptr_t at = p->at[*number % PAGE];

			(*number)++;
			if (at != 0 && !(at & 1))
				return (struct session *)at;
			if (*number % PAGE == 0)
				break;
		}
	}
	return NULL;
}

uint32_t
directory_end(void)
{
	return the.end;
}
