#include "shared/mqtt/props.h"

enum type { T_none, T_u8, T_u16, T_u32, T_var, T_str, T_bin, T_pair };

static const struct rule {
	uint8_t type;
	uint16_t field;
	uint32_t in;
} rules[0x2b] = {
#define X(id, t, where, f) [PROP_##id] = { T_##t, offsetof(struct props, f), (where) },
#include "shared/mqtt/props.def"
#undef X
};

static bool
prop_read(struct rd *r, struct prop *out)
{
	uint32_t id = rd_varint(r);

	if (r->bad || id >= sizeof(rules) / sizeof(rules[0]) || rules[id].type == T_none) {
		r->bad = true;
		return false;
	}
	*out = (struct prop){ .id = id };
	switch (rules[id].type) {
	case T_u8:
		out->num = rd_u8(r);
		break;
	case T_u16:
		out->num = rd_u16(r);
		break;
	case T_u32:
		out->num = rd_u32(r);
		break;
	case T_var:
		out->num = rd_varint(r);
		break;
	case T_bin:
		out->str = rd_bin(r);
		break;
	case T_pair:
		out->str = rd_str(r);
		out->value = rd_str(r);
		break;
	default:
		out->str = rd_str(r);
	}
	return !r->bad;
}

/* What the standard says of values, whatever the packet. */
static const char *
value_error(const struct prop *p, enum props_in in)
{
	switch (p->id) {
	case PROP_SUBSCRIPTION_ID:
		if (in == IN_PUBLISH_C) /* [MQTT-3.3.4-6] */
			return "subscription identifier in a client's PUBLISH";
		return p->num == 0 ? "subscription identifier 0" : NULL;
	case PROP_RECEIVE_MAX:
		return p->num == 0 ? "receive maximum 0" : NULL;
	case PROP_MAX_PACKET_SIZE:
		return p->num == 0 ? "maximum packet size 0" : NULL;
	case PROP_PAYLOAD_FORMAT:
		return p->num > 1 ? "payload format indicator above 1" : NULL;
	case PROP_REQUEST_PROBLEM:
	case PROP_REQUEST_RESPONSE:
	case PROP_MAX_QOS:
	case PROP_RETAIN_AVAILABLE:
	case PROP_WILDCARD_AVAILABLE:
	case PROP_SUBSCRIPTION_ID_AVAILABLE:
	case PROP_SHARED_AVAILABLE:
		return p->num > 1 ? "property value above 1" : NULL;
	case PROP_RESPONSE_TOPIC: /* [MQTT-3.3.2-14] */
		return p->str.len == 0 || memchr(p->str.p, '+', p->str.len) ||
			memchr(p->str.p, '#', p->str.len)
		    ? "response topic is no topic name"
		    : NULL;
	default:
		return NULL;
	}
}

enum mqtt_reason
props_decode(struct rd *r, enum props_in in, struct props *out, const char **why)
{
	struct span raw = rd_bytes(r, rd_varint(r));
	struct rd body = rd_of(raw);
	struct prop p;

	out->has = 0;
	out->raw = raw;
	if (r->bad) {
		*why = "property length reaches past the packet";
		return MQTT_MALFORMED;
	}
	while (rd_left(&body) > 0) {
		const struct rule *rule;
		const char *bad;
		uint8_t *field;

		if (!prop_read(&body, &p)) {
			*why = "malformed property";
			return MQTT_MALFORMED;
		}
		rule = &rules[p.id];
		if (!(rule->in & in)) {
			*why = "property is not allowed in this packet";
			return MQTT_MALFORMED;
		}
		bad = value_error(&p, in);
		if (bad != NULL) {
			*why = bad;
			return MQTT_PROTOCOL_ERROR;
		}
		if (props_has(out, p.id) && p.id != PROP_USER_PROPERTY &&
		    !(p.id == PROP_SUBSCRIPTION_ID && in == IN_PUBLISH_S)) {
			*why = "property twice";
			return MQTT_PROTOCOL_ERROR;
		}
		out->has |= PROP_BIT(p.id);
		field = (uint8_t *)out + rule->field;
		switch (rule->type) {
		case T_u8:
			*field = (uint8_t)p.num;
			break;
		case T_u16:
			*(uint16_t *)(void *)field = (uint16_t)p.num;
			break;
		case T_u32:
		case T_var:
			*(uint32_t *)(void *)field = p.num;
			break;
		case T_str:
		case T_bin:
			*(struct span *)(void *)field = p.str;
			break;
		default:
			break;
		}
	}
	return MQTT_OK;
}

bool
props_next(struct span raw, size_t *at, struct prop *out)
{
	struct rd r;

	if (*at >= raw.len)
		return false;
	r = rd_of(span_of(raw.p + *at, raw.len - *at));
	if (!prop_read(&r, out))
		return false;
	*at = (size_t)(r.p - raw.p);
	return true;
}

size_t
props_users(const struct props *p)
{
	size_t n = 0, at = 0;
	struct prop prop;

	if (!props_has(p, PROP_USER_PROPERTY))
		return 0;
	while (props_next(p->raw, &at, &prop))
		n += prop.id == PROP_USER_PROPERTY;
	return n;
}

#define OURS                                                                                       \
	(PROP_BIT(PROP_MESSAGE_EXPIRY) | PROP_BIT(PROP_TOPIC_ALIAS) | PROP_BIT(PROP_WILL_DELAY))

bool
props_is_forwardable(const struct props *p)
{
	return !(p->has & OURS);
}

size_t
props_forward(const struct props *p, uint8_t *buf)
{
	size_t at = 0, from, n = 0;
	struct prop prop;

	for (from = 0; props_next(p->raw, &at, &prop); from = at) {
		if (OURS & PROP_BIT(prop.id))
			continue;
		memcpy(buf + n, p->raw.p + from, at - from);
		n += at - from;
	}
	return n;
}

/* A property is written whole or not at all, so that what is in the buffer is a set of properties also when it is over. */
void
wr_prop_num(struct wr *w, enum prop_id id, uint32_t v)
{
	uint8_t *start = w->p;

	wr_u8(w, (uint8_t)id);
	switch (rules[id].type) {
	case T_u8:
		wr_u8(w, (uint8_t)v);
		break;
	case T_u16:
		wr_u16(w, (uint16_t)v);
		break;
	case T_var:
		wr_varint(w, v);
		break;
	default:
		wr_u32(w, v);
	}
	if (w->over)
		w->p = start;
}

void
wr_prop_str(struct wr *w, enum prop_id id, struct span s)
{
	uint8_t *start = w->p;

	wr_u8(w, (uint8_t)id);
	wr_str(w, s);
	if (w->over)
		w->p = start;
}

void
wr_prop_user(struct wr *w, struct span name, struct span value)
{
	uint8_t *start = w->p;

	wr_u8(w, PROP_USER_PROPERTY);
	wr_str(w, name);
	wr_str(w, value);
	if (w->over)
		w->p = start;
}
