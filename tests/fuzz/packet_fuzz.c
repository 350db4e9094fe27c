/*
 * Bytes as a client could send them, or a server: the first byte picks version and side. What decodes must lie within the input; properties must be
 * found again one by one; what is decoded and can be encoded again must decode to the same.
 */
#include <stdlib.h>

#include "shared/base/must.h"
#include "shared/mqtt/packet.h"
#include "shared/mqtt/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
is_within(struct span s, struct span of)
{
	must(s.len == 0 || (s.p >= of.p && s.p + s.len <= of.p + of.len));
}

/* The set is what a walk finds, and nothing is left behind it. */
static void
walk(const struct props *p, struct span body)
{
	uint64_t seen = 0;
	struct prop prop;
	size_t at = 0;

	is_within(p->raw, body);
	while (props_next(p->raw, &at, &prop)) {
		is_within(prop.str, p->raw);
		is_within(prop.value, p->raw);
		seen |= PROP_BIT(prop.id);
	}
	must(at == p->raw.len && seen == p->has);
}

static void
try_publish(struct span body, uint8_t flags, enum mqtt_version v, enum props_in from)
{
	struct publish p, again;
	struct publish_out o;
	uint8_t *props, *packet;
	struct packet pk;
	size_t len;

	if (publish_decode(body, flags, v, from, &p, NULL) != MQTT_OK)
		return;
	is_within(p.topic, body);
	is_within(p.payload, body);
	walk(&p.props, body);
	props = malloc(p.props.raw.len + 1);
	must(props != NULL);
	o = (struct publish_out){
		.topic = p.topic,
		.payload = p.payload,
		.props = span_of(props, props_forward(&p.props, props)),
		.id = p.id,
		.alias = props_has(&p.props, PROP_TOPIC_ALIAS) ? p.props.topic_alias : 0,
		.qos = p.qos,
		.dup = p.dup,
		.retain = p.retain,
		.has_expiry = props_has(&p.props, PROP_MESSAGE_EXPIRY),
		.expiry = props_has(&p.props, PROP_MESSAGE_EXPIRY) ? p.props.message_expiry : 0,
	};
	len = publish_len(&o, v);
	if (len != SIZE_MAX && o.topic.len > 0) {
		packet = malloc(len);
		must(packet != NULL);
		must(publish_encode(&o, v, packet, len) == len);
		must(publish_encode(&o, v, packet, len - 1) == 0);
		must(packet_peek(span_of(packet, len), v, &pk) == 1);
		must((size_t)pk.header_len + pk.body_len == len);
		must(publish_decode(span_of(packet + pk.header_len, pk.body_len), pk.flags, v,
			 IN_PUBLISH_S, &again, NULL) == MQTT_OK);
		must(span_eq(again.topic, p.topic) && span_eq(again.payload, p.payload) &&
		    again.id == p.id && again.qos == p.qos);
		free(packet);
	}
	free(props);
}

static void
try_subscribe(struct span body, enum mqtt_version v)
{
	struct subscribe s;
	struct span filter, name, inner;
	struct filter f;
	unsigned n = 0;

	if (subscribe_decode(body, v, &s, NULL) == MQTT_OK) {
		walk(&s.props, body);
		for (; subscribe_next(&s.rest, v, &f); n++) {
			is_within(f.filter, body);
			if (filter_is_valid(f.filter))
				(void)filter_share(f.filter, &name, &inner);
		}
		must(n == s.count && n > 0);
	}
	if (unsubscribe_decode(body, v, &s, NULL) == MQTT_OK) {
		walk(&s.props, body);
		for (n = 0; unsubscribe_next(&s.rest, &filter); n++)
			is_within(filter, body);
		must(n == s.count && n > 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum mqtt_version versions[] = { MQTT_3_1, MQTT_3_1_1, MQTT_5 };
	enum mqtt_version v, spoken;
	struct disconnect d;
	bool by_server;
	uint8_t *copy;
	struct connect c;
	struct packet pk;
	struct span in, body;
	struct ack a;

	if (size < 2)
		return 0;
	v = versions[data[0] % 3];
	by_server = data[0] / 3 % 2;
	in = span_of(data + 1, size - 1);
	if (packet_peek(in, v, &pk) != 1 || (size_t)pk.header_len + pk.body_len > in.len)
		return 0;
	copy = malloc(pk.body_len > 0 ? pk.body_len : 1); /* of just its size: no look beyond */
	must(copy != NULL);
	memcpy(copy, in.p + pk.header_len, pk.body_len);
	body = span_of(copy, pk.body_len);
	switch (pk.type) {
	case PKT_CONNECT:
		if (connect_decode(body, &c, &spoken, NULL) == MQTT_OK) {
			is_within(c.client_id, body);
			is_within(c.user_name, body);
			is_within(c.password, body);
			is_within(c.will.topic, body);
			is_within(c.will.payload, body);
			walk(&c.props, body);
			walk(&c.will.props, body);
		}
		break;
	case PKT_PUBLISH:
		try_publish(body, pk.flags, v, by_server ? IN_PUBLISH_S : IN_PUBLISH_C);
		break;
	case PKT_PUBACK:
	case PKT_PUBREC:
	case PKT_PUBREL:
	case PKT_PUBCOMP:
		if (ack_decode(body, pk.type, v, &a, NULL) == MQTT_OK)
			walk(&a.props, body);
		break;
	case PKT_SUBSCRIBE:
	case PKT_UNSUBSCRIBE:
		try_subscribe(body, v);
		break;
	case PKT_DISCONNECT:
		if (disconnect_decode(body, v, by_server ? IN_DISCONNECT_S : IN_DISCONNECT_C, &d,
			NULL) == MQTT_OK)
			walk(&d.props, body);
		break;
	case PKT_AUTH:
		if (auth_decode(body, &d, NULL) == MQTT_OK)
			walk(&d.props, body);
		break;
	default:
		break;
	}
	free(copy);
	return 0;
}
