#include "shared/mqtt/msg.h"

#include <stdlib.h>

struct msg *
msg_new(const struct msg_view *v)
{
	struct msg *m = malloc(sizeof(*m) + v->topic.len + v->props.len + v->payload.len);
	uint8_t *p;

	if (m == NULL)
		return NULL;
	*m = (struct msg){
		.refs = 1,
		.props_len = (uint32_t)v->props.len,
		.payload_len = (uint32_t)v->payload.len,
		.topic_len = (uint16_t)v->topic.len,
		.qos = v->qos,
		.retain = v->retain,
		.has_expiry = v->has_expiry,
		.publish_ms = v->publish_ms,
		.expiry = v->expiry,
	};
	p = m->data;
	memcpy(p, v->topic.p, v->topic.len);
	p += v->topic.len;
	if (v->props.len > 0)
		memcpy(p, v->props.p, v->props.len);
	p += v->props.len;
	if (v->payload.len > 0)
		memcpy(p, v->payload.p, v->payload.len);
	return m;
}

struct msg *
msg_ref(struct msg *m)
{
	m->refs++;
	return m;
}

void
msg_unref(struct msg **m)
{
	if (*m != NULL && --(*m)->refs == 0)
		free(*m);
	*m = NULL;
}

struct msg_view
msg_view(const struct msg *m)
{
	return (struct msg_view){
		.topic = span_of(m->data, m->topic_len),
		.props = span_of(m->data + m->topic_len, m->props_len),
		.payload = span_of(m->data + m->topic_len + m->props_len, m->payload_len),
		.publish_ms = m->publish_ms,
		.expiry = m->expiry,
		.qos = m->qos,
		.retain = m->retain,
		.has_expiry = m->has_expiry,
	};
}

size_t
msg_size(const struct msg *m)
{
	return sizeof(*m) + m->topic_len + m->props_len + m->payload_len;
}

size_t
msg_view_size(const struct msg_view *v)
{
	return sizeof(struct msg) + v->topic.len + v->props.len + v->payload.len;
}

uint32_t
msg_expiry_left(uint64_t publish_ms, uint32_t expiry, uint64_t wall_ms)
{
	uint64_t waited = wall_ms > publish_ms ? wall_ms - publish_ms : 0,
		 all = expiry * UINT64_C(1000);

	return waited >= all ? 0 : (uint32_t)((all - waited + 999) / 1000);
}

bool
msg_is_expired(const struct msg_view *v, uint64_t wall_ms)
{
	return v->has_expiry && msg_expiry_left(v->publish_ms, v->expiry, wall_ms) == 0;
}

uint64_t
msg_expires_ms(const struct msg_view *v)
{
	return v->has_expiry ? v->publish_ms + v->expiry * UINT64_C(1000) : 0;
}
