/* A file of keys: each line that is taken is found by its identity, and what is refused has a line. */
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"
#include "shared/net/psk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	struct span line = span_of(data, end != NULL ? (size_t)(end - data) : size), key;
	const uint8_t *colon = line.len > 0 ? memrchr(line.p, ':', line.len) : NULL;
	char why[128] = "";
	struct psks *p;

	if (psks_parse(span_of(data, size), &p, why) != 0) {
		must(strncmp(why, "line ", 5) == 0);
		return 0;
	}
	if (colon != NULL && line.p[0] != '#') {
		must(psks_find(p, span_of(line.p, (size_t)(colon - line.p)), &key));
		must(key.len > 0 && key.len <= PSK_KEY_MAX);
	}
	psks_free(p);
	return 0;
}
