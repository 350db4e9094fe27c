/*
 * terms.h - what a connection was promised when it came, and is held to
 *
 * The keys that are marked NEW: a reload must not break what CONNACK has announced, nor what a client relied on since. Connections that came
 * under the same values share one set.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_TERMS_H
#define MQTT_TERMS_H

#include "shared/conf/conf.h"

#define TERMS_NEW(type, name) CONF_T_##type name;
#define TERMS_NOW(type, name)
#define TERMS_RESTART(type, name)

struct terms {
	uint32_t refs;
#define K(name, type, def, min, max, when, help) TERMS_##when(type, name)
#include "shared/conf/keys.def"
};

#undef TERMS_NEW
#undef TERMS_NOW
#undef TERMS_RESTART

const struct terms *terms_take(void); /* those in force; NULL: no memory */
void terms_leave(const struct terms **t);
void terms_conf(void); /* the snapshot is another: who comes from now on takes its */
void terms_fini(void);

#endif
