#include "worker/mqtt/identity.h"

#include <stdlib.h>

#include "shared/acl/who.h"
#include "shared/base/clock.h"
#include "worker/mqtt/access.h"

struct identity {
	struct timer timer; /* it expires */
	struct conn *conn;
	uint64_t expires_ms; /* wall clock; 0: never */
	uint16_t groups_len, attributes_len;
	char data[]; /* groups, attributes */
};

static void
set_timer(struct identity *w)
{
	uint64_t now = clock_wall_ms();
	uint64_t left = w->expires_ms > now ? w->expires_ms - now : 0;

	/* In steps: the wall clock may be moved. */
	timer_set(loop_timers(self.loop), &w->timer, clock_ms() + (left < 60000 ? left : 60000));
}

static void
on_expired(struct timer *t)
{
	struct identity *w = container_of(t, struct identity, timer);

	if (w->expires_ms > clock_wall_ms())
		set_timer(w);
	else
		conn_end(w->conn, CNT_ends__expired, MQTT_MAXIMUM_CONNECT_TIME,
		    "what you have shown has expired");
}

bool
identity_set(struct conn *c, struct span groups, struct span attributes, uint64_t expires_ms)
{
	struct identity *w;

	identity_drop(c);
	access_leave(c); /* other rules may be about it */
	if (groups.len + attributes.len == 0 && expires_ms == 0)
		return true;
	if (expires_ms > 0 && expires_ms <= clock_wall_ms())
		return false;
	w = malloc(sizeof(*w) + groups.len + attributes.len);
	if (w == NULL)
		return false;
	*w = (struct identity){
		.conn = c,
		.expires_ms = expires_ms,
		.groups_len = (uint16_t)groups.len,
		.attributes_len = (uint16_t)attributes.len,
	};
	if (groups.len > 0)
		memcpy(w->data, groups.p, groups.len);
	if (attributes.len > 0)
		memcpy(w->data + groups.len, attributes.p, attributes.len);
	timer_init(&w->timer, on_expired);
	if (expires_ms > 0)
		set_timer(w);
	c->identity = w;
	return true;
}

void
identity_drop(struct conn *c)
{
	if (c->identity == NULL)
		return;
	timer_del(&c->identity->timer);
	free(c->identity);
	c->identity = NULL;
}

size_t
identity_groups(const struct conn *c, struct span out[IDENTITY_GROUPS_MAX])
{
	const struct identity *w = c->identity;

	return w != NULL ? identity_split(span_of(w->data, w->groups_len), out) : 0;
}

size_t
identity_split(struct span names, struct span out[IDENTITY_GROUPS_MAX])
{
	size_t n = 0;

	for (size_t at = 0; at < names.len && n < IDENTITY_GROUPS_MAX;) {
		const uint8_t *p = names.p + at, *comma = memchr(p, ',', names.len - at);
		size_t len = comma != NULL ? (size_t)(comma - p) : names.len - at;

		if (len > 0)
			out[n++] = span_of(p, len);
		at += len + 1;
	}
	return n;
}

struct span
identity_attributes(const struct identity *w)
{
	return w != NULL ? span_of(w->data + w->groups_len, w->attributes_len) : span_of(NULL, 0);
}

struct span
identity_attribute(const void *identity, struct span name)
{
	return acl_attribute(identity_attributes(identity), name);
}
