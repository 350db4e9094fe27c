/*
 * rate.h - how much of something may come in a time, and how much has
 *
 * A rate is up to RATE_WINDOWS windows, written "10:1,300:60": 10 a second and 300 a minute. Each is a token bucket that holds what its
 * window allows and fills again evenly over it; something passes if every one of them has room for 1. What is taken may be more than there
 * is room for, as a large packet is of bytes: that leaves a debt, which is paid before the next passes.
 * A bucket knows what was spent, not what is left: one of zeros is full, whatever its rate. Counted are units times the window's
 * milliseconds, so nothing is lost by rounding however often it is asked.
 *
 * Pure: no clock, no memory of its own.
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_WINDOWS 4
#define RATE_SECONDS_MAX 86400
#define RATE_AMOUNT_MAX                                                                            \
	(UINT64_C(1) << 36) /* times the longest window's milliseconds it is below 2^63 */
#define RATE_TEXT_MAX 96

enum rate_unit { RATE_THINGS, RATE_BYTES }; /* bytes may be written with KiB, MiB and GiB */

struct rate {
	uint32_t n;        /* windows; 0: no limit */
	uint32_t inherits; /* "default": what is said elsewhere holds */
	struct rate_window {
		uint64_t amount;
		uint64_t seconds;
	} window[RATE_WINDOWS]; /* those behind n are zeros */
};

struct bucket {
	uint64_t at_ms;
	uint64_t spent[RATE_WINDOWS];
};

/* "none", "default" or windows. 0, or -EINVAL with the reason. */
int rate_parse(
    const char *text, enum rate_unit unit, uint64_t amount_max, struct rate *out, char why[256]);
void rate_text(const struct rate *r, enum rate_unit unit, char out[RATE_TEXT_MAX]);
bool rate_is_valid(const struct rate *r, uint64_t amount_max); /* one that another process made */
bool rate_eq(const struct rate *a, const struct rate *b);

/* Milliseconds until the next may pass; 0: now. */
uint64_t bucket_wait_ms(struct bucket *b, const struct rate *r, uint64_t now_ms);
uint64_t bucket_room(struct bucket *b, const struct rate *r, uint64_t now_ms); /* may pass now */
void bucket_take(struct bucket *b, const struct rate *r, uint64_t amount);
bool bucket_is_full(struct bucket *b, const struct rate *r, uint64_t now_ms); /* can be forgotten */

#endif
