#include "shared/mqtt/packet.h"

static uint8_t *
wr_room(struct wr *w, size_t len)
{
	uint8_t *p = w->p;

	if (w->over || (size_t)(w->end - w->p) < len) {
		w->over = true;
		return NULL;
	}
	w->p += len;
	return p;
}

void
wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_room(w, 1);

	if (p != NULL)
		*p = v;
}

void
wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_room(w, 2);

	if (p != NULL) {
		p[0] = (uint8_t)(v >> 8);
		p[1] = (uint8_t)v;
	}
}

void
wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_room(w, 4);

	if (p != NULL) {
		p[0] = (uint8_t)(v >> 24);
		p[1] = (uint8_t)(v >> 16);
		p[2] = (uint8_t)(v >> 8);
		p[3] = (uint8_t)v;
	}
}

void
wr_u64(struct wr *w, uint64_t v)
{
	uint8_t *p = wr_room(w, 8);

	for (unsigned i = 0; p != NULL && i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

unsigned
varint_len(uint32_t v)
{
	return v < 128 ? 1 : v < 16384 ? 2 : v < 2097152 ? 3 : 4;
}

void
wr_varint(struct wr *w, uint32_t v)
{
	uint8_t *p = v <= MQTT_LEN_MAX ? wr_room(w, varint_len(v)) : NULL;

	w->over = p == NULL;
	if (p == NULL)
		return;
	for (; v > 127; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p = (uint8_t)v;
}

void
wr_raw(struct wr *w, struct span s)
{
	uint8_t *p = wr_room(w, s.len);

	if (p != NULL && s.len > 0)
		memcpy(p, s.p, s.len);
}

void
wr_str(struct wr *w, struct span s)
{
	uint8_t *p = s.len <= UINT16_MAX ? wr_room(w, 2 + s.len) : NULL;

	w->over = p == NULL;
	if (p == NULL)
		return;
	p[0] = (uint8_t)(s.len >> 8);
	p[1] = (uint8_t)s.len;
	if (s.len > 0)
		memcpy(p + 2, s.p, s.len);
}
