#include "shared/mqtt/packet.h"
#include "shared/mqtt/props.h"
#include "shared/mqtt/topic.h"

/* 2.1 */
int
packet_peek(struct span in, enum mqtt_version v, struct packet *out)
{
	static const int8_t fixed[PKT_TYPES] = {
#define P(n, t, flags, who) [t] = (flags),
#include "shared/mqtt/packets.def"
#undef P
	};
	struct packet pk;
	uint32_t len = 0;
	unsigned i;

	if (in.len == 0)
		return 0;
	pk.type = in.p[0] >> 4;
	pk.flags = in.p[0] & 0x0f;
	if (pk.type == 0 || (pk.type == PKT_AUTH && (v == MQTT_3_1 || v == MQTT_3_1_1)))
		return -1;
	/* 3.1 sets DUP on repeated requests and says nothing of the other flags. */
	if (fixed[pk.type] >= 0 && pk.flags != (uint8_t)fixed[pk.type] &&
	    !(v == MQTT_3_1 && (fixed[pk.type] == 0 || (pk.flags & ~8) == fixed[pk.type])))
		return -1;
	for (i = 0;; i++) {
		if (i == 4)
			return -1;
		if (i + 1 >= in.len)
			return 0;
		len |= (uint32_t)(in.p[i + 1] & 0x7f) << 7 * i;
		if (!(in.p[i + 1] & 0x80))
			break;
	}
	if (i > 0 && in.p[i + 1] == 0) /* [MQTT-1.5.5-1] */
		return -1;
	pk.header_len = i + 2;
	pk.body_len = len;
	*out = pk;
	return 1;
}

static enum mqtt_reason
malformed(const char **why, const char *text)
{
	*why = text;
	return MQTT_MALFORMED;
}

static enum mqtt_reason
protocol_error(const char **why, const char *text)
{
	*why = text;
	return MQTT_PROTOCOL_ERROR;
}

/* What MQTT 5 has a reason code of its own for is malformed in the versions before. */
static enum mqtt_reason
not_allowed(enum mqtt_version v, const char **why, const char *text)
{
	return v == MQTT_5 ? protocol_error(why, text) : malformed(why, text);
}

static const char **
why_or_nobody(const char **why)
{
	static const char *nobody;

	return why != NULL ? why : &nobody;
}

/* 3.1.2.1, 3.1.2.2. *version_out of what is refused is the one to say so in. */
static enum mqtt_reason
connect_protocol(struct rd *r, struct connect *c, enum mqtt_version *version_out, const char **why)
{
	struct span name = rd_bin(r);
	uint8_t level = rd_u8(r);

	if (r->bad)
		return malformed(why, "CONNECT is too short");
	if (span_eq(name, span_str("MQTT")) && (level == MQTT_3_1_1 || level == MQTT_5)) {
		c->version = level;
	} else if (span_eq(name, span_str("MQIsdp")) && level == MQTT_3_1) {
		c->version = MQTT_3_1;
	} else {
		*version_out =
		    span_eq(name, span_str("MQTT")) && level > MQTT_5 ? MQTT_5 : MQTT_3_1_1;
		*why = "unknown protocol name or version";
		return MQTT_UNSUPPORTED_PROTOCOL_VERSION;
	}
	*version_out = c->version;
	return MQTT_OK;
}

/* 3.1.2.3 to 3.1.2.10 */
static enum mqtt_reason
connect_flags(struct rd *r, struct connect *c, const char **why)
{
	uint8_t flags = rd_u8(r);

	c->keep_alive = rd_u16(r);
	if (r->bad)
		return malformed(why, "CONNECT is too short");
	if ((flags & 1) && c->version != MQTT_3_1) /* [MQTT-3.1.2-3] */
		return malformed(why, "reserved connect flag is set");
	c->clean_start = flags & 2;
	if (c->version == MQTT_3_1 && !(flags & 4)) /* disregarded there */
		flags &= (uint8_t)~0x38;
	c->has_will = flags & 4;
	c->will.qos = flags >> 3 & 3;
	c->will.retain = flags & 0x20;
	c->has_password = flags & 0x40;
	c->has_user_name = flags & 0x80;
	if (c->will.qos == 3 ||
	    (!c->has_will && (c->will.qos != 0 || c->will.retain))) /* [MQTT-3.1.2-11, -12, -13] */
		return malformed(why, "will flags contradict each other");
	if (c->version != MQTT_5 && c->has_password && !c->has_user_name)
		return malformed(why, "password without user name");
	return MQTT_OK;
}

/* 3.1.2.11 */
static enum mqtt_reason
connect_props(struct rd *r, struct connect *c, const char **why)
{
	enum mqtt_reason reason = props_decode(r, IN_CONNECT, &c->props, why);

	if (reason != MQTT_OK)
		return reason;
	if (props_has(&c->props, PROP_AUTH_DATA) && !props_has(&c->props, PROP_AUTH_METHOD))
		return protocol_error(why, "authentication data without method");
	return MQTT_OK;
}

/* 3.1.3.2 to 3.1.3.4 */
static enum mqtt_reason
connect_will(struct rd *r, struct connect *c, const char **why)
{
	enum mqtt_reason reason;

	if (c->version == MQTT_5) {
		reason = props_decode(r, IN_WILL, &c->will.props, why);
		if (reason != MQTT_OK)
			return reason;
	}
	c->will.topic = rd_str(r);
	c->will.payload = rd_bin(r);
	if (!r->bad && !topic_is_valid(c->will.topic))
		return not_allowed(c->version, why, "will topic is no topic name");
	if (!r->bad && props_has(&c->will.props, PROP_PAYLOAD_FORMAT) &&
	    c->will.props.payload_format == 1 && !utf8_is_valid(c->will.payload)) {
		*why = "will payload is not UTF-8";
		return MQTT_PAYLOAD_FORMAT_INVALID;
	}
	return MQTT_OK;
}

/* 3.1.3.5, 3.1.3.6; in 3.1 the remaining length wins over the flags. */
static void
connect_user(struct rd *r, struct connect *c)
{
	if (c->version == MQTT_3_1 && !r->bad && rd_left(r) == 0)
		c->has_user_name = c->has_password = false;
	if (c->has_user_name)
		c->user_name = rd_str(r);
	if (c->version == MQTT_3_1 && !r->bad && rd_left(r) == 0)
		c->has_password = false;
	if (c->has_password)
		c->password = rd_bin(r);
}

/* 3.1 */
enum mqtt_reason
connect_decode(
    struct span body, struct connect *out, enum mqtt_version *version_out, const char **why)
{
	struct rd r = rd_of(body);
	struct connect c = { 0 };
	enum mqtt_version none;
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	if (version_out == NULL)
		version_out = &none;
	*version_out = 0;
	reason = connect_protocol(&r, &c, version_out, why);
	if (reason == MQTT_OK)
		reason = connect_flags(&r, &c, why);
	if (reason == MQTT_OK && c.version == MQTT_5)
		reason = connect_props(&r, &c, why);
	if (reason != MQTT_OK)
		return reason;
	c.client_id = rd_str(&r);
	if (c.has_will) {
		reason = connect_will(&r, &c, why);
		if (reason != MQTT_OK)
			return reason;
	}
	connect_user(&r, &c);
	if (r.bad)
		return malformed(why, "CONNECT ends early or a string is not UTF-8");
	if (rd_left(&r) > 0)
		return malformed(why, "bytes behind CONNECT");
	*out = c;
	return MQTT_OK;
}

/* 3.3 */
enum mqtt_reason
publish_decode(struct span body, uint8_t flags, enum mqtt_version v, enum props_in in,
    struct publish *out, const char **why)
{
	struct rd r = rd_of(body);
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	out->dup = flags & 8;
	out->qos = flags >> 1 & 3;
	out->retain = flags & 1;
	if (out->qos == 3) /* [MQTT-3.3.1-4] */
		return malformed(why, "QoS 3");
	if (out->qos == 0 && out->dup) { /* [MQTT-3.3.1-2] */
		if (v != MQTT_3_1)
			return malformed(why, "DUP at QoS 0");
		out->dup = false;
	}
	out->topic = rd_str(&r);
	out->id = out->qos > 0 ? rd_u16(&r) : 0;
	if (r.bad)
		return malformed(why, "PUBLISH ends early or its topic is not UTF-8");
	if (out->qos > 0 && out->id == 0) /* [MQTT-2.2.1-3] */
		return not_allowed(v, why, "packet identifier 0");
	out->props.has = 0;
	out->props.raw = span_of(NULL, 0);
	if (v == MQTT_5) {
		reason = props_decode(&r, in, &out->props, why);
		if (reason != MQTT_OK)
			return reason;
	}
	if (out->topic.len == 0) {
		if (v != MQTT_5)
			return malformed(why, "empty topic");
		if (!props_has(&out->props, PROP_TOPIC_ALIAS))
			return protocol_error(why, "empty topic without topic alias");
	} else if (!topic_is_valid(out->topic)) { /* [MQTT-3.3.2-2] */
		return not_allowed(v, why, "topic with wildcards");
	}
	out->payload = rd_rest(&r);
	return MQTT_OK;
}

static bool
ack_may(unsigned type, uint8_t reason)
{
	switch (reason) {
	case MQTT_SUCCESS:
		return true;
	case MQTT_PACKET_IDENTIFIER_NOT_FOUND:
		return type == PKT_PUBREL || type == PKT_PUBCOMP;
	case MQTT_NO_MATCHING_SUBSCRIBERS:
	case MQTT_UNSPECIFIED_ERROR:
	case MQTT_IMPLEMENTATION_SPECIFIC_ERROR:
	case MQTT_NOT_AUTHORIZED:
	case MQTT_TOPIC_NAME_INVALID:
	case MQTT_PACKET_IDENTIFIER_IN_USE:
	case MQTT_QUOTA_EXCEEDED:
	case MQTT_PAYLOAD_FORMAT_INVALID:
		return type == PKT_PUBACK || type == PKT_PUBREC;
	default:
		return false;
	}
}

/* 3.4 to 3.7 */
enum mqtt_reason
ack_decode(struct span body, unsigned type, enum mqtt_version v, struct ack *out, const char **why)
{
	struct rd r = rd_of(body);
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	out->id = rd_u16(&r);
	out->reason = MQTT_SUCCESS;
	out->props.has = 0;
	out->props.raw = span_of(NULL, 0);
	if (r.bad)
		return malformed(why, "acknowledgement is too short");
	if (v == MQTT_5 && rd_left(&r) > 0) {
		out->reason = rd_u8(&r);
		if (!ack_may(type, out->reason))
			return protocol_error(why, "reason code is not one of this packet");
		if (rd_left(&r) > 0) {
			reason = props_decode(&r, IN_ACK, &out->props, why);
			if (reason != MQTT_OK)
				return reason;
		}
	}
	if (rd_left(&r) > 0)
		return malformed(why, "bytes behind the acknowledgement");
	if (out->id == 0)
		return not_allowed(v, why, "packet identifier 0");
	return MQTT_OK;
}

/* 3.8, 3.10: what stands before the filters */
static enum mqtt_reason
request_decode(
    struct rd *r, enum mqtt_version v, enum props_in in, struct subscribe *out, const char **why)
{
	enum mqtt_reason reason;

	out->id = rd_u16(r);
	out->props.has = 0;
	out->props.raw = span_of(NULL, 0);
	if (r->bad)
		return malformed(why, "request is too short");
	if (out->id == 0)
		return not_allowed(v, why, "packet identifier 0");
	if (v == MQTT_5) {
		reason = props_decode(r, in, &out->props, why);
		if (reason != MQTT_OK)
			return reason;
	}
	out->rest = span_of(r->p, rd_left(r));
	out->count = 0;
	if (rd_left(r) == 0)
		return not_allowed(v, why, "no filter");
	return MQTT_OK;
}

static enum mqtt_reason
filter_came(const struct rd *r, struct span filter, enum mqtt_version v, const char **why)
{
	if (r->bad)
		return malformed(why, "filter ends early or is not UTF-8");
	return filter.len > 0 ? MQTT_OK : not_allowed(v, why, "empty filter");
}

/* 3.8 */
enum mqtt_reason
subscribe_decode(struct span body, enum mqtt_version v, struct subscribe *out, const char **why)
{
	struct rd r = rd_of(body);
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	reason = request_decode(&r, v, IN_SUBSCRIBE, out, why);
	if (reason != MQTT_OK)
		return reason;
	for (; rd_left(&r) > 0; out->count++) {
		struct span filter = rd_str(&r), name, inner;
		uint8_t options = rd_u8(&r);

		reason = filter_came(&r, filter, v, why);
		if (reason != MQTT_OK)
			return reason;
		if (v != MQTT_5) {
			if ((options & 3) == 3 || (options > 2 && v != MQTT_3_1))
				return malformed(why, "reserved bits of the requested QoS");
			continue;
		}
		if (options & 0xc0) /* [MQTT-3.8.3-5] */
			return malformed(why, "reserved bits of the subscription options");
		if ((options & 3) == 3 || (options & 0x30) == 0x30)
			return protocol_error(why, "QoS or retain handling 3");
		if ((options & 4) && filter_is_valid(filter) &&
		    filter_share(filter, &name, &inner)) /* [MQTT-3.8.3-4] */
			return protocol_error(why, "no local on a shared subscription");
	}
	return MQTT_OK;
}

/* 3.10 */
enum mqtt_reason
unsubscribe_decode(struct span body, enum mqtt_version v, struct subscribe *out, const char **why)
{
	struct rd r = rd_of(body);
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	reason = request_decode(&r, v, IN_UNSUBSCRIBE, out, why);
	if (reason != MQTT_OK)
		return reason;
	for (; rd_left(&r) > 0; out->count++) {
		struct span filter = rd_str(&r);

		reason = filter_came(&r, filter, v, why);
		if (reason != MQTT_OK)
			return reason;
	}
	return MQTT_OK;
}

bool
subscribe_next(struct span *rest, enum mqtt_version v, struct filter *out)
{
	struct rd r = rd_of(*rest);
	uint8_t options;

	if (rest->len == 0)
		return false;
	out->filter = rd_bin(&r);
	options = rd_u8(&r);
	*rest = span_of(r.p, rd_left(&r));
	out->qos = options & 3;
	out->no_local = v == MQTT_5 && (options & 4);
	out->retain_as_published = v == MQTT_5 && (options & 8);
	out->retain_handling = v == MQTT_5 ? options >> 4 & 3 : 0;
	return !r.bad;
}

bool
unsubscribe_next(struct span *rest, struct span *filter_out)
{
	struct rd r = rd_of(*rest);

	if (rest->len == 0)
		return false;
	*filter_out = rd_bin(&r);
	*rest = span_of(r.p, rd_left(&r));
	return !r.bad;
}

static bool
disconnect_may(enum props_in in, uint8_t reason)
{
	if (in == IN_DISCONNECT_C)
		switch (reason) {
		case 0x00:
		case 0x04:
		case 0x80:
		case 0x81:
		case 0x82:
		case 0x83:
		case 0x90:
		case 0x93:
		case 0x94:
		case 0x95:
		case 0x96:
		case 0x97:
		case 0x98:
		case 0x99:
		case 0x9b:
			return true;
		default:
			return false;
		}
	switch (reason) {
	case 0x00:
	case 0x80:
	case 0x81:
	case 0x82:
	case 0x83:
	case 0x87:
	case 0x89:
	case 0x8b:
	case 0x8d:
	case 0x8e:
	case 0x8f:
	case 0x90:
	case 0x93:
	case 0x94:
	case 0x95:
	case 0x96:
	case 0x97:
	case 0x98:
	case 0x99:
	case 0x9a:
	case 0x9b:
	case 0x9c:
	case 0x9d:
	case 0x9e:
	case 0x9f:
	case 0xa0:
	case 0xa1:
	case 0xa2:
		return true;
	default:
		return false;
	}
}

/* 3.14 */
enum mqtt_reason
disconnect_decode(struct span body, enum mqtt_version v, enum props_in in, struct disconnect *out,
    const char **why)
{
	struct rd r = rd_of(body);
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	out->reason = MQTT_SUCCESS;
	out->props.has = 0;
	out->props.raw = span_of(NULL, 0);
	if (v != MQTT_5)
		return body.len == 0 ? MQTT_OK : malformed(why, "DISCONNECT with a body");
	if (rd_left(&r) > 0) {
		out->reason = rd_u8(&r);
		if (!disconnect_may(in, out->reason))
			return protocol_error(why, "reason code is not one of DISCONNECT");
	}
	if (rd_left(&r) > 0) {
		reason = props_decode(&r, in, &out->props, why);
		if (reason != MQTT_OK)
			return reason;
	}
	return rd_left(&r) == 0 ? MQTT_OK : malformed(why, "bytes behind DISCONNECT");
}

/* 3.15 */
enum mqtt_reason
auth_decode(struct span body, struct disconnect *out, const char **why)
{
	struct rd r = rd_of(body);
	enum mqtt_reason reason;

	why = why_or_nobody(why);
	out->reason = MQTT_SUCCESS;
	out->props.has = 0;
	out->props.raw = span_of(NULL, 0);
	if (rd_left(&r) > 0) {
		out->reason = rd_u8(&r);
		if (out->reason != 0 && out->reason != MQTT_CONTINUE_AUTHENTICATION &&
		    out->reason != MQTT_REAUTHENTICATE)
			return protocol_error(why, "reason code is not one of AUTH");
		reason = props_decode(&r, IN_AUTH, &out->props, why);
		if (reason != MQTT_OK)
			return reason;
	}
	if (rd_left(&r) > 0)
		return malformed(why, "bytes behind AUTH");
	if (!props_has(&out->props, PROP_AUTH_METHOD))
		return protocol_error(why, "AUTH without method");
	return MQTT_OK;
}
