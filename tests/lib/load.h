/*
 * load.h - packets of any size and number, in one piece to be sent
 *
 * What scenario.h sends is a packet at a time, as a client would. A load is bytes that are put together first, so that they can be too many, too
 * large, wrong, or sent again and again.
 */
#ifndef LIB_LOAD_H
#define LIB_LOAD_H

#include "tests/lib/scenario.h"

struct load {
	uint8_t *p;
	size_t n, cap;
};

void load_add(struct load *l, const void *p, size_t n);
void load_num(struct load *l, unsigned bytes, uint64_t v); /* big endian */
void load_varint(struct load *l, size_t v);
void load_text(struct load *l, const char *text, size_t n); /* with its length in front */
/* Puts a fixed header before all from `at` on: what was added since is a packet's body. */
void load_packet(struct load *l, size_t at, unsigned first);
void load_connect(struct load *l, const char *id, uint32_t expiry); /* MQTT 5, no keep alive */
void load_publish(struct load *l, const char *topic, size_t topic_len, unsigned qos, uint16_t id,
    bool retain, size_t payload); /* so many bytes of 'x'; MQTT 5 without properties */
void load_free(struct load *l);

void mq_load(struct mq *m, struct load *l); /* sends it and empties it; what comes stays unread */
/* Sends p again and again, up to `times`, as long as the broker takes it. Bytes it took. What comes stays unread. */
uint64_t mq_pour(struct mq *m, const void *p, size_t len, unsigned times);

#endif
