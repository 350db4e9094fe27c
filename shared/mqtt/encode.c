#include "shared/mqtt/packet.h"

/* Length of an MQTT 5 property block without the length before it; SIZE_MAX: it can't be sent. */
static size_t
publish_props_len(const struct publish_out *p)
{
	size_t len = p->props.len + (p->has_expiry ? 5 : 0) + (p->alias ? 3 : 0);

	for (unsigned i = 0; i < p->nsubids; i++) {
		if (p->subids[i] > MQTT_SUBID_MAX)
			return SIZE_MAX;
		len += 1 + varint_len(p->subids[i]);
	}
	return len > MQTT_LEN_MAX ? SIZE_MAX : len;
}

static size_t
publish_body_len(const struct publish_out *p, enum mqtt_version v)
{
	size_t len = 2 + p->topic.len + (p->qos > 0 ? 2 : 0) + p->payload.len;

	if (p->topic.len > UINT16_MAX)
		return SIZE_MAX;
	if (v == MQTT_5) {
		size_t props = publish_props_len(p);

		if (props == SIZE_MAX)
			return SIZE_MAX;
		len += varint_len((uint32_t)props) + props;
	}
	return len > MQTT_LEN_MAX ? SIZE_MAX : len;
}

size_t
publish_len(const struct publish_out *p, enum mqtt_version v)
{
	size_t body = publish_body_len(p, v);

	return body == SIZE_MAX ? SIZE_MAX : 1 + varint_len((uint32_t)body) + body;
}

size_t
publish_encode_head(
    const struct publish_out *p, enum mqtt_version v, void *buf, size_t room, size_t *id_at_out)
{
	size_t body = publish_body_len(p, v);
	struct wr w = wr_of(buf, room);

	if (body == SIZE_MAX)
		return 0;
	wr_u8(&w, (uint8_t)(PKT_PUBLISH << 4 | p->dup << 3 | p->qos << 1 | p->retain));
	wr_varint(&w, (uint32_t)body);
	wr_str(&w, p->topic);
	if (id_at_out != NULL)
		*id_at_out = (size_t)(w.p - (uint8_t *)buf);
	if (p->qos > 0)
		wr_u16(&w, p->id);
	if (v == MQTT_5) {
		wr_varint(&w, (uint32_t)publish_props_len(p));
		if (p->has_expiry)
			wr_prop_num(&w, PROP_MESSAGE_EXPIRY, p->expiry);
		if (p->alias)
			wr_prop_num(&w, PROP_TOPIC_ALIAS, p->alias);
		for (unsigned i = 0; i < p->nsubids; i++)
			wr_prop_num(&w, PROP_SUBSCRIPTION_ID, p->subids[i]);
		wr_raw(&w, p->props);
	}
	return w.over ? 0 : (size_t)(w.p - (uint8_t *)buf);
}

size_t
publish_encode(const struct publish_out *p, enum mqtt_version v, void *buf, size_t room)
{
	size_t head = publish_encode_head(p, v, buf, room, NULL);

	if (head == 0 || room - head < p->payload.len)
		return 0;
	if (p->payload.len > 0)
		memcpy((uint8_t *)buf + head, p->payload.p, p->payload.len);
	return head + p->payload.len;
}

static size_t
finish(const struct wr *w, const void *buf)
{
	return w->over ? 0 : (size_t)(w->p - (const uint8_t *)buf);
}

static void
wr_props(struct wr *w, struct span props)
{
	wr_varint(w, (uint32_t)props.len); /* above the maximum it is over already */
	wr_raw(w, props);
}

size_t
connack_encode(enum mqtt_version v, bool session_present, uint8_t reason, struct span props,
    void *buf, size_t room)
{
	struct wr w = wr_of(buf, room);

	wr_u8(&w, PKT_CONNACK << 4);
	wr_varint(
	    &w, (uint32_t)(2 + (v == MQTT_5 ? varint_len((uint32_t)props.len) + props.len : 0)));
	wr_u8(&w, session_present);
	wr_u8(&w, reason);
	if (v == MQTT_5)
		wr_props(&w, props);
	return finish(&w, buf);
}

size_t
ack_encode(unsigned type, uint16_t id, enum mqtt_version v, uint8_t reason, struct span props,
    void *buf, size_t room)
{
	struct wr w = wr_of(buf, room);
	size_t len = 2;

	if (v == MQTT_5 && (reason != 0 || props.len > 0))
		len += 1 + (props.len > 0 ? varint_len((uint32_t)props.len) + props.len : 0);
	wr_u8(&w, (uint8_t)(type << 4 | (type == PKT_PUBREL ? 2 : 0)));
	wr_varint(&w, (uint32_t)len);
	wr_u16(&w, id);
	if (len > 2)
		wr_u8(&w, reason);
	if (len > 3)
		wr_props(&w, props);
	return finish(&w, buf);
}

size_t
suback_encode(unsigned type, uint16_t id, enum mqtt_version v, struct span reasons,
    struct span props, void *buf, size_t room)
{
	struct wr w = wr_of(buf, room);

	wr_u8(&w, (uint8_t)(type << 4));
	wr_varint(&w,
	    (uint32_t)(2 + reasons.len +
		(v == MQTT_5 ? varint_len((uint32_t)props.len) + props.len : 0)));
	wr_u16(&w, id);
	if (v == MQTT_5)
		wr_props(&w, props);
	wr_raw(&w, reasons);
	return finish(&w, buf);
}

size_t
pingresp_encode(void *buf, size_t room)
{
	struct wr w = wr_of(buf, room);

	wr_u8(&w, PKT_PINGRESP << 4);
	wr_u8(&w, 0);
	return finish(&w, buf);
}

size_t
disconnect_encode(uint8_t reason, struct span props, void *buf, size_t room)
{
	struct wr w = wr_of(buf, room);
	size_t len = props.len > 0 ? 1 + varint_len((uint32_t)props.len) + props.len : reason != 0;

	wr_u8(&w, (uint8_t)(PKT_DISCONNECT << 4));
	wr_varint(&w, (uint32_t)len);
	if (len > 0)
		wr_u8(&w, reason);
	if (len > 1)
		wr_props(&w, props);
	return finish(&w, buf);
}

size_t
auth_encode(uint8_t reason, struct span props, void *buf, size_t room)
{
	struct wr w = wr_of(buf, room);

	wr_u8(&w, (uint8_t)(PKT_AUTH << 4));
	wr_varint(&w, (uint32_t)(1 + varint_len((uint32_t)props.len) + props.len));
	wr_u8(&w, reason);
	wr_props(&w, props);
	return finish(&w, buf);
}
