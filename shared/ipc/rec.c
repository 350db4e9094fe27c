#include "shared/ipc/rec.h"

#include "shared/ipc/proc.h"
#include "shared/mqtt/topic.h"

const struct rec_rule rec_rule[REC_TYPES] = {
#define R(n, f, t, s) [REC_##n] = { .name = #n, .from = (f), .to = (t), .fixed = sizeof(struct s) },
#include "shared/ipc/recs.def"
#undef R
};

bool
rec_may(unsigned type, uint32_t from, uint32_t to, struct span body)
{
	if (type == REC_NONE || type >= REC_TYPES)
		return false;
	return (rec_rule[type].from & from) && (rec_rule[type].to & to) &&
	    body.len >= rec_rule[type].fixed;
}

struct rec_id
rec_id_of(unsigned slot, uint32_t gen, uint64_t position, unsigned type, struct span body)
{
	struct rec_id id = {
		.position = position,
		.gen = gen,
		.len = (uint32_t)body.len,
		.slot = (uint8_t)slot,
		.type = (uint8_t)type,
	};
	size_t n = body.len < sizeof(id.start) ? body.len : sizeof(id.start);

	if (n > 0)
		memcpy(id.start, body.p, n);
	return id;
}

bool
rec_id_eq(const struct rec_id *a, const struct rec_id *b)
{
	return a->gen == b->gen && a->len == b->len && a->slot == b->slot && a->type == b->type &&
	    memcmp(a->start, b->start, sizeof(a->start)) == 0;
}

bool
rec_span(struct span *rest, size_t len, struct span *out)
{
	if (rest->len < len)
		return false;
	*out = span_of(rest->p, len);
	*rest = span_of(rest->p + len, rest->len - len);
	return true;
}

bool
rec_take(struct span *rest, void *out, size_t len)
{
	struct span s;

	if (!rec_span(rest, len, &s))
		return false;
	memcpy(out, s.p, len);
	return true;
}

struct rec_msg
rec_msg_of(const struct msg_view *v, unsigned ngroups, bool plain)
{
	return (struct rec_msg){
		.publish_ms = v->publish_ms,
		.expiry = v->expiry,
		.props_len = (uint32_t)v->props.len,
		.payload_len = (uint32_t)v->payload.len,
		.topic_len = (uint16_t)v->topic.len,
		.ngroups = (uint16_t)ngroups,
		.qos = v->qos,
		.flags =
		    (uint8_t)((v->retain ? REC_RETAIN : 0) | (v->has_expiry ? REC_HAS_EXPIRY : 0)),
		.plain = plain,
	};
}

bool
rec_msg_parse(
    const struct rec_msg *m, struct span rest, struct msg_view *out, struct span *groups_out)
{
	struct msg_view v = {
		.publish_ms = m->publish_ms,
		.expiry = m->expiry,
		.qos = m->qos,
		.retain = m->flags & REC_RETAIN,
		.has_expiry = m->flags & REC_HAS_EXPIRY,
	};
	struct span groups;

	if (m->qos > 2 || m->topic_len == 0)
		return false;
	if (!rec_span(&rest, (size_t)m->ngroups * sizeof(uint64_t), &groups) ||
	    !rec_span(&rest, m->topic_len, &v.topic) || !rec_span(&rest, m->props_len, &v.props) ||
	    !rec_span(&rest, m->payload_len, &v.payload) || rest.len != 0)
		return false;
	if (!utf8_is_valid(v.topic) || !topic_is_valid(v.topic))
		return false;
	*out = v;
	if (groups_out != NULL)
		*groups_out = groups;
	return true;
}
