/*
 * Preloaded into auth: whoever looks up a name that begins with "slow." waits for a minute.
 */
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int
getaddrinfo(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	(void)service;
	(void)hints;
	(void)out;
	if (name != NULL && strncmp(name, "slow.", 5) == 0)
		sleep(60);
	return EAI_NONAME;
}
