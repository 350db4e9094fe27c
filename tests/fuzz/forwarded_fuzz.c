/* Whom to trust, a line, and what a balancer says: whoever comes out is the balancer or an address, and reading it from there again changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"
#include "shared/net/cidr.h"
#include "shared/net/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char peer[] = "10.0.0.1:5555";
	char who[SOCK_TEXT_MAX], again[SOCK_TEXT_MAX], *text = malloc(size + 1), *list;
	struct cidr address;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	list = strchr(text, '\n');
	if (list != NULL) {
		*list++ = '\0';
		forwarded_client(text, peer, list, who);
		must(cidr_of_peer(who, &address));
		must(strcmp(who, peer) == 0 || forwarded_is_trusted(text, peer));
		forwarded_client(text, who, "", again);
		must(strcmp(who, again) == 0);
	}
	free(text);
	return 0;
}
