/* A configuration file. What is accepted must be written and read back as the same. */
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"
#include "shared/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig forgets a string that an error cuts short; a file is read once a reload. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

static void
on_change(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	(void)arg;
	(void)key;
	(void)from;
	(void)to;
	(void)when;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf c, again;
	struct conf_error err;
	char *text = malloc(size + 1), *written = NULL;
	size_t len = 0;
	FILE *f;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (strstr(text, "@include") == NULL && conf_parse_string(text, &c, &err) == 0) {
		f = open_memstream(&written, &len);
		must(f != NULL && conf_write(&c, f) == 0 && fclose(f) == 0);
		must(conf_parse_string(written, &again, &err) == 0);
		must(conf_diff(&c, &again, on_change, NULL) == 0);
		free(written);
	}
	free(text);
	return 0;
}
