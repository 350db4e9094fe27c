/*
 * identity.h - who a client turned out to be: what auth says of it beyond yes
 *
 * Groups and attributes are for access rules. Who shows something that expires is sent away then, unless it shows itself anew before.
 *
 * Runs in: worker's loop. Most clients have none.
 */
#ifndef MQTT_IDENTITY_H
#define MQTT_IDENTITY_H

#include "worker/mqtt/conn.h"

#define IDENTITY_GROUPS_MAX 64

struct identity;

/* Takes the place of what was known before. What expires has done so: false. Or there is no memory. Borrows the spans. */
bool identity_set(struct conn *c, struct span groups, struct span attributes, uint64_t expires_ms);
void identity_drop(struct conn *c);
/* Names with commas between them; borrowed; how many. */
size_t identity_split(struct span names, struct span out[IDENTITY_GROUPS_MAX]);
/* Its groups, which are lent until the next identity_set(); how many. */
size_t identity_groups(const struct conn *c, struct span out[IDENTITY_GROUPS_MAX]);
/* An attribute's value, likewise; empty: it has none of that name. */
struct span identity_attribute(const void *identity, struct span name);
/* All of them, as identity_set() was given them, likewise. identity NULL: none. */
struct span identity_attributes(const struct identity *w);

#endif
