/*
 * What workers need for TLS and must not read themselves: files, and keys for tickets, with which any worker resumes the
 * sessions of any other, also of one that has died.
 */
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/net/tls_files.h"

/* Who gets hold of a key can read what was said under it: none lives for long. */
#define ROTATE_MS (UINT64_C(12) * 3600 * 1000)

static struct {
	int files, next; /* memfds: in force; of a reload under way. -1: no listener needs any */
	struct msg_tls_tickets keys;
	struct timer timer;
} the = { .files = -1, .next = -1 };

static void on_rotate(struct timer *t);
static void new_key(void *key);

void
tls_start(void)
{
	for (unsigned i = 0; i < 2; i++)
		new_key(the.keys.key[i]);
	timer_init(&the.timer, on_rotate);
	timer_set(loop_timers(master.loop), &the.timer, clock_ms() + ROTATE_MS);
}

int
tls_prepare(const struct conf *next, struct conf_error *err)
{
	int fd = -1;

	tls_discard();
	if (tls_files_are_needed(next) && (fd = tls_files_read(next, err)) < 0)
		return fd;
	the.next = fd;
	return 0;
}

void
tls_commit(void)
{
	if (the.files >= 0)
		close(the.files);
	the.files = the.next;
	the.next = -1;
}

void
tls_discard(void)
{
	if (the.next >= 0)
		close(the.next);
	the.next = -1;
}

void
tls_give(struct slot *s, bool next)
{
	const int *fd = next ? &the.next : &the.files;

	if (s->n >= SLOT_MQTT_MAX)
		return;
	if (*fd >= 0)
		slot_send(
		    s, IPC_TLS_FILES, &(struct msg_none){ 0 }, sizeof(struct msg_none), fd, 1);
}

void
tls_give_tickets(struct slot *s)
{
	if (s->n < SLOT_MQTT_MAX)
		slot_send(s, IPC_TLS_TICKETS, &the.keys, sizeof(the.keys), NULL, 0);
}

static void
on_rotate(struct timer *t)
{
	memcpy(the.keys.key[1], the.keys.key[0], sizeof(the.keys.key[1]));
	new_key(the.keys.key[0]);
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		if (slot_is_live(&master.slot[w]))
			tls_give_tickets(&master.slot[w]);
	timer_set(loop_timers(master.loop), t, clock_ms() + ROTATE_MS);
}

static void
new_key(void *key)
{
	must(getrandom(key, sizeof(the.keys.key[0]), 0) == (ssize_t)sizeof(the.keys.key[0]));
}
