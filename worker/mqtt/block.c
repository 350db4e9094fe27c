#include "worker/mqtt/block.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/net/blocks.h"
#include "worker/mqtt/refused.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK)

static struct {
	struct blocks set;
	bool ready;
} the;

static void
begin(void)
{
	if (the.ready)
		blocks_fini(&the.set);
	blocks_init(&the.set, &self.key);
	the.ready = true;
}

static const struct block *
apply(const char *line, size_t len)
{
	const struct block *added;
	char why[256];

	if (blocks_apply(&the.set, line, len, &added, why) != 0)
		log_err("block: left out: %s", why);
	return added;
}

void
block_all(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	const char *p = MAP_FAILED, *line, *end;
	struct stat st;

	begin();
	if (seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		log_err("block: cannot read who is blocked: %m");
		return;
	}
	for (line = p; line < p + st.st_size; line = end + 1) {
		end = memchr(line, '\n', (size_t)(p + st.st_size - line));
		if (end == NULL)
			break;
		(void)apply(line, (size_t)(end - line));
	}
	munmap((void *)p, (size_t)st.st_size);
}

static struct blocked_who
who_is(const struct conn *c)
{
	struct blocked_who who = { .client = conn_id(c) };

	if (c->user != NULL)
		who.user = span_of(c->user, c->user_len);
	if (!cidr_of_peer(c->peer, &who.address))
		who.address.version = 0;
	return who;
}

void
block_change(const char *text, size_t len)
{
	const struct block *added;
	uint32_t handle = 0;
	struct conn *c;

	if (!the.ready)
		begin();
	(void)blocks_expire(&the.set, clock_wall_ms());
	added = apply(text, len);
	while (added != NULL && (c = conn_next(&handle)) != NULL) {
		struct blocked_who who = who_is(c);

		/* 0x8a is for CONNACK only. */
		if (c->state >= CONN_ENDED || !block_is_about(added, &who))
			continue;
		refused_note(c, MQTT_BANNED, "blocked");
		conn_end(c, CNT_ends__blocked, MQTT_ADMINISTRATIVE_ACTION,
		    "blocked by an administrator");
	}
}

static bool
has(const struct blocked_who *who)
{
	return the.ready && the.set.n > 0 && blocks_match(&the.set, who, clock_wall_ms()) != NULL;
}

bool
block_has(const struct conn *c)
{
	struct blocked_who who;

	if (!the.ready || the.set.n == 0)
		return false;
	who = who_is(c);
	return has(&who);
}

bool
block_has_address(const char *peer)
{
	struct blocked_who who = { 0 };

	return the.ready && the.set.n > 0 && cidr_of_peer(peer, &who.address) && has(&who);
}

void
block_fini(void)
{
	if (the.ready)
		blocks_fini(&the.set);
	the.ready = false;
}
