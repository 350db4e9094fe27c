/*
 * Preloaded into persist: it dies of a text that begins with "poison" and is longer than a key of the store takes, since then it is hashed.
 *
 * What persist calls across libraries can be replaced whatever it was built with; what it calls within itself can't.
 */
#include <dlfcn.h>
#include <openssl/sha.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

unsigned char *
SHA256(const unsigned char *text, size_t len, unsigned char *md)
{
	static unsigned char *(*real)(const unsigned char *, size_t, unsigned char *);

	if (len > 6 && memcmp(text, "poison", 6) == 0)
		kill(getpid(), SIGKILL);
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "SHA256");
	return real(text, len, md);
}
