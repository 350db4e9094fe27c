/* A mosquitto.conf. What is taken has to be a configuration that is written and read back as the same; what is wrong has been told. */
#include <errno.h>
#include <stdlib.h>

#include "master/ctl/mosquitto.h"
#include "shared/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned wrong;

static void
on_said(void *arg, const struct mosquitto_said *s)
{
	(void)arg;
	must(s->file != NULL && s->option != NULL && s->text != NULL && s->text[0] != '\0');
	must(s->fate < MOSQUITTO_FATES);
	wrong += s->fate == MOSQUITTO_WRONG;
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
	char *written = NULL;
	size_t len = 0;
	FILE *in, *f;
	int bad;

	if (size == 0)
		return 0;
	in = fmemopen((void *)(uintptr_t)data, size, "r");
	must(in != NULL);
	wrong = 0;
	bad = mosquitto_read(in, "mosquitto.conf", true, on_said, NULL, &c);
	fclose(in);
	must(bad == (wrong > 0 ? -EINVAL : 0));
	if (bad != 0)
		return 0;
	f = open_memstream(&written, &len);
	must(f != NULL && conf_write(&c, f) == 0 && fclose(f) == 0);
	must(conf_parse_string(written, &again, &err) == 0);
	must(conf_diff(&c, &again, on_change, NULL) == 0);
	free(written);
	return 0;
}
