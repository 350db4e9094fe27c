/* Who a client is, as records on disk have it: what is read has to be written as the same. */
#include <string.h>

#include "shared/acl/who.h"
#include "shared/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[1 << 20];
	struct acl_known k;
	struct wr w = wr_of(again, sizeof(again));

	if (size > sizeof(again) || !acl_who_read(span_of(data, size), &k))
		return 0;
	acl_who_write(&w, &k.who, k.attributes);
	must(
	    !w.over && acl_who_len(&k.who, k.attributes) == size && memcmp(again, data, size) == 0);
	(void)k.who.attribute(k.who.arg, span_str("a"));
	return 0;
}
