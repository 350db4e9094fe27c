/*
 * subscribe.h - SUBSCRIBE, UNSUBSCRIBE, and the retained messages that a subscription brings
 *
 * A clean session's subscription is in force, for all processes, when its node shows in the interest table; SUBACK follows at once. A
 * durable one's also waits for persist. Retained messages come from persist a page at a time, as fast as the client takes them. While they are under
 * way, topics of retained messages that go out live are remembered: what persist still holds of them is older.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_SUBSCRIBE_H
#define MQTT_SUBSCRIBE_H

#include "worker/mqtt/subnode.h"

#define SUBSCRIBE_TEXT_MAX (2 * UINT16_MAX + 16)

struct suback;
struct retain_get;

void
subscribe_end(struct sub *s); /* it is not allowed any more; persist is told of a durable one */
void subscribe_drop(struct conn *c); /* the connection ends */
void subscribe_fini(void);
/* A subscription that a resumed session brings; false: no memory. filter may begin with $share/. */
bool subscribe_resume(struct conn *c, struct span filter, uint8_t options, uint32_t id);
/* As persist knows it: with $share/ and mount point. buf has SUBSCRIBE_TEXT_MAX bytes. */
size_t subscribe_stored_text(const struct sub *s, char *buf);
void subscribe_answer(const struct rec_subbed *r, bool unsub);
void subscribe_retained(uint64_t token, const struct msg_view *v);
void subscribe_retained_end(uint64_t token, struct span cursor);
void subscribe_more(struct conn *c);   /* it has caught up, or there is room: fetch the next page */
void subscribe_saw(struct span topic); /* a message with RETAIN went out live */
uint8_t subscribe_options(const struct sub *s); /* as in SUBSCRIBE, 3.8.3.1 */
/* The filter as the client wrote it, with $share/ and without mount point; buf has 65,536 bytes. */
size_t subscribe_filter_text(const struct sub *s, char *buf);

#endif
