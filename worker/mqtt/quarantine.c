#include "worker/mqtt/quarantine.h"

#include "shared/net/sock.h"

static struct msg_quarantine the;

void
quarantine_set(const struct msg_quarantine *q)
{
	the = *q;
	if (the.n > QUARANTINE_CLIENTS)
		the.n = QUARANTINE_CLIENTS;
}

bool
quarantine_has(struct span client, const char *peer)
{
	struct who it, anyone;

	if (the.n == 0)
		return false;
	who_set(&it, client, sock_text_host(peer));
	who_set(&anyone, span_of(NULL, 0), sock_text_host(peer));
	for (uint32_t i = 0; i < the.n; i++)
		if (who_eq(&the.of[i], &it) || who_eq(&the.of[i], &anyone))
			return true;
	return false;
}
