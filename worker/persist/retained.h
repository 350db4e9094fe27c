/*
 * retained.h - the retained message of each topic, and subscribers who ask for those of a filter
 *
 * Every update has a number. A subscriber that asks gets what was there when every worker had
 * seen the subscription and we had read what they had published by then; what came later went to
 * it live. It gets that behind what went live before, so its worker knows what to leave out. It reads in pages, in byte order of topics, of which only a bounded number are looked
 * at in a turn.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_RETAINED_H
#define PERSIST_RETAINED_H

#include "shared/child/child.h"
#include "shared/mqtt/msg.h"

struct store_retained;

int retained_init(void);
void retained_fini(void);
uint64_t retained_seq(void); /* of the last update */
int retained_save(void);     /* how many there are, into the batch */
/* An empty payload removes. MQTT_OK, or MQTT_QUOTA_EXCEEDED: not kept. */
/* source: who has published it, see store.h */
enum mqtt_reason retained_update(const struct msg_view *v, struct span source);
void retained_live_later(
    void); /* the last update goes to subscribers when its batch is safe and its publisher's worker knows, or will_turn() does */
void retained_clear(struct span topic);                /* an administrator's */
void retained_expired(const struct store_retained *r); /* it goes */
int retained_get(unsigned slot, struct span body);     /* REC_RETAIN_GET; -EPROTO */
/*
 * The next topic that could match the filter, in byte order, above `at`; at.p NULL: the first.
 * False: no more. It still has to be matched.
 */
bool retained_next(struct span filter, struct span at, struct store_retained *out);
bool retained_turn(void);  /* true: there is more to do */
bool retained_waits(void); /* for workers to complete their turn: poll */
void retained_down(unsigned slot);

#endif
