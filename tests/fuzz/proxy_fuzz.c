/*
 * A header of the PROXY protocol, and what follows: where it ends must not depend on what follows, and less than it is must be waited for.
 */
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"
#include "worker/mqtt/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char peer[SOCK_TEXT_MAX], again[SOCK_TEXT_MAX];
	int n = proxy_parse(span_of(data, size), peer);

	must(n <= (int)size);
	if (n <= 0)
		return 0;
	must(n <= PROXY_MAX);
	must(proxy_parse(span_of(data, (size_t)n), again) == n && strcmp(peer, again) == 0);
	for (int i = 0; i < n; i++)
		must(proxy_parse(span_of(data, (size_t)i), again) == 0);
	return 0;
}
