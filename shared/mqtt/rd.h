/*
 * rd.h - reads a packet's body field by field
 *
 * Remembers its first failure and yields zeros afterwards, so it is asked once, at the end.
 */
#ifndef MQTT_RD_H
#define MQTT_RD_H

#include "shared/mqtt/mqtt.h"

struct rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct rd
rd_of(struct span s)
{
	return (struct rd){ .p = s.p, .end = s.len > 0 ? s.p + s.len : s.p };
}

static inline size_t
rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

static inline struct span
rd_bytes(struct rd *r, size_t len)
{
	struct span s = { .p = r->p, .len = len };

	if (r->bad || rd_left(r) < len) {
		r->bad = true;
		return span_of(NULL, 0);
	}
	r->p += len;
	return s;
}

static inline uint8_t
rd_u8(struct rd *r)
{
	struct span s = rd_bytes(r, 1);

	return r->bad ? 0 : s.p[0];
}

static inline uint16_t
rd_u16(struct rd *r)
{
	struct span s = rd_bytes(r, 2);

	return r->bad ? 0 : (uint16_t)(s.p[0] << 8 | s.p[1]);
}

static inline uint32_t
rd_u32(struct rd *r)
{
	struct span s = rd_bytes(r, 4);

	return r->bad
	    ? 0
	    : (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3];
}

static inline uint64_t
rd_u64(struct rd *r)
{
	uint64_t high = rd_u32(r);

	return high << 32 | rd_u32(r);
}

/* 1.5.5; [MQTT-1.5.5-1]: the shortest form. */
static inline uint32_t
rd_varint(struct rd *r)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t b = rd_u8(r);

		v |= (uint32_t)(b & 0x7f) << 7 * i;
		if (r->bad)
			return 0;
		if (!(b & 0x80)) {
			if (b == 0 && i > 0)
				break;
			return v;
		}
	}
	r->bad = true;
	return 0;
}

static inline struct span
rd_bin(struct rd *r)
{
	return rd_bytes(r, rd_u16(r));
}

/* 1.5.4 */
static inline struct span
rd_str(struct rd *r)
{
	struct span s = rd_bin(r);

	if (!r->bad && !utf8_is_valid(s))
		r->bad = true;
	return r->bad ? span_of(NULL, 0) : s;
}

static inline struct span
rd_rest(struct rd *r)
{
	return rd_bytes(r, r->bad ? 0 : rd_left(r));
}

#endif
