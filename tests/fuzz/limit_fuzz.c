/*
 * Texts of limits: windows of a rate, prefixes of addresses, lines of blocks. What is taken must be written so that it is read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"
#include "shared/base/rate.h"
#include "shared/net/blocks.h"
#include "shared/net/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
rate(const char *text, enum rate_unit unit)
{
	char again[RATE_TEXT_MAX], why[256];
	struct bucket b = { 0 };
	struct rate r, s;

	if (rate_parse(text, unit, RATE_AMOUNT_MAX, &r, why) != 0)
		return;
	must(rate_is_valid(&r, RATE_AMOUNT_MAX));
	rate_text(&r, unit, again);
	must(rate_parse(again, unit, RATE_AMOUNT_MAX, &s, why) == 0 && rate_eq(&r, &s));
	must(bucket_wait_ms(&b, &r, 5) == 0 && bucket_is_full(&b, &r, 5));
	for (unsigned i = 0; i < 3; i++)
		bucket_take(&b, &r, RATE_AMOUNT_MAX);
	must(r.n == 0 || bucket_wait_ms(&b, &r, 5) > 0);
}

static void
prefix(const char *text)
{
	char again[CIDR_TEXT_MAX], why[256];
	struct cidr c, d;

	(void)cidr_of_peer(text, &c);
	if (cidr_parse(text, &c, why) != 0)
		return;
	cidr_text(&c, again);
	must(cidr_parse(again, &d, why) == 0 && memcmp(&c, &d, sizeof(c)) == 0);
	must(cidr_holds(&c, &d));
}

static void
line(const char *text, size_t len)
{
	const struct block *added;
	struct blocks set;
	char why[256], *again;

	blocks_init(&set, &(struct hash_key){ { 1, 2 } });
	if (blocks_apply(&set, text, len, &added, why) == 0 && added != NULL) {
		again = block_line(added, true);
		must(again != NULL && blocks_apply(&set, again, strlen(again), &added, why) == 0 &&
		    set.n == 0);
		free(again);
	}
	blocks_fini(&set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = size > 0 ? malloc(size) : NULL;

	if (text == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'r':
		rate(text, RATE_THINGS);
		break;
	case 'b':
		rate(text, RATE_BYTES);
		break;
	case 'c':
		prefix(text);
		break;
	default:
		line(text, size - 1);
	}
	free(text);
	return 0;
}
