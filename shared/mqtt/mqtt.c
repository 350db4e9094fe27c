#include "shared/mqtt/mqtt.h"

const char *
mqtt_packet_name(unsigned type)
{
	static const char *const name[PKT_TYPES] = {
#define P(n, t, flags, who) [t] = #n,
#include "shared/mqtt/packets.def"
#undef P
	};

	return type < PKT_TYPES && name[type] != NULL ? name[type] : "reserved";
}

const char *
mqtt_reason_text(enum mqtt_reason code)
{
	switch (code) {
#define R(name, number, text)                                                                      \
	case MQTT_##name:                                                                          \
		return text;
#include "shared/mqtt/reasons.def"
#undef R
	}
	return "unknown reason";
}

uint8_t
mqtt_connack_v3(enum mqtt_reason code)
{
	switch (code) {
	case MQTT_SUCCESS:
		return 0;
	case MQTT_UNSUPPORTED_PROTOCOL_VERSION:
		return 1;
	case MQTT_CLIENT_IDENTIFIER_NOT_VALID:
		return 2;
	case MQTT_BAD_USER_NAME_OR_PASSWORD:
		return 4;
	case MQTT_NOT_AUTHORIZED:
	case MQTT_BANNED:
	case MQTT_BAD_AUTHENTICATION_METHOD:
		return 5;
	case MQTT_MALFORMED_PACKET:
	case MQTT_PROTOCOL_ERROR:
	case MQTT_TOPIC_NAME_INVALID:
	case MQTT_PACKET_TOO_LARGE:
	case MQTT_PAYLOAD_FORMAT_INVALID:
	case MQTT_RETAIN_NOT_SUPPORTED:
	case MQTT_QOS_NOT_SUPPORTED:
		return 0xff;
	default:
		return 3;
	}
}

bool
utf8_is_valid(struct span s)
{
	const uint8_t *p = s.p, *end = s.p + s.len;

	while (p < end) {
		uint64_t w;
		uint32_t cp;
		unsigned n;

		/* Eight bytes at once while all are ASCII and none is zero. */
		while (end - p >= 8) {
			memcpy(&w, p, 8);
			if ((w & 0x8080808080808080u) != 0 ||
			    ((w - 0x0101010101010101u) & 0x8080808080808080u) != 0)
				break;
			p += 8;
		}
		if (p == end)
			break;
		if (*p < 0x80) {
			if (*p++ == 0)
				return false;
			continue;
		}
		if (*p >= 0xc2 && *p <= 0xdf)
			n = 1, cp = *p & 0x1f;
		else if (*p >= 0xe0 && *p <= 0xef)
			n = 2, cp = *p & 0x0f;
		else if (*p >= 0xf0 && *p <= 0xf4)
			n = 3, cp = *p & 0x07;
		else
			return false;
		if ((size_t)(end - p) <= n)
			return false;
		for (unsigned i = 1; i <= n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			cp = cp << 6 | (p[i] & 0x3f);
		}
		if ((n == 2 && cp < 0x800) || (n == 3 && (cp < 0x10000 || cp > 0x10ffff)) ||
		    (cp >= 0xd800 && cp <= 0xdfff))
			return false;
		p += n + 1;
	}
	return true;
}
