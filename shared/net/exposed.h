/*
 * exposed.h - listeners that let in everybody from other machines, whom no file of rules holds
 *
 * A configuration may be meant so, and is one that nobody should have by accident.
 *
 * Pure.
 */
#ifndef NET_EXPOSED_H
#define NET_EXPOSED_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/conf/conf.h"

#define EXPOSED_TEXT_MAX 400

/* The next such listener from number *i on, of a c that was checked; what is to be said of it. False: no more. */
bool exposed_next(const struct conf *c, uint32_t *i, char text[EXPOSED_TEXT_MAX]);

#endif
