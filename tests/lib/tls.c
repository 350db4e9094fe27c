#include "tests/lib/tls.h"

#include <stdlib.h>

#include "tests/lib/port.h"
#include "tests/lib/scenario.h"

static void
make_certificates(void)
{
	char ca[160];

	snprintf(ca, sizeof(ca), "%s/ca", broker.dir);
	if (getenv("CA") != NULL && strcmp(getenv("CA"), ca) == 0)
		return;
	setenv("CA", ca, 1);
	check(broker_sh("tests/lib/ca.sh $CA") == 0);
}

int
tls_listener(const char *name, const char *keys)
{
	return tls_listener_of("tls", name, keys);
}

int
tls_listener_of(const char *type, const char *name, const char *keys)
{
	int port = port_free();
	char line[1500];
	size_t n;

	check(port > 0);
	make_certificates();
	/* The file's last line is ");": what is appended to the list comes before it. */
	n = (size_t)snprintf(
	    line, sizeof(line), ", { name = \"%s\"; type = \"%s\"; port = %d; ", name, type, port);
	for (const char *p = keys; *p != '\0' && n < sizeof(line) - 200;)
		if (strncmp(p, "$CA", 3) == 0) {
			n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", getenv("CA"));
			p += 3;
		} else {
			line[n++] = *p++;
		}
	snprintf(line + n, sizeof(line) - n, " }\n);");
	broker_conf(");", line);
	check(ctl("reload") == 0);
	return port;
}

int
tls_sh(int port, const char *commands)
{
	char text[300];

	make_certificates();
	snprintf(text, sizeof(text), "%d", port);
	setenv("PORT", text, 1);
	snprintf(text, sizeof(text), "-h localhost -p %d --cafile %s/ca.crt", port, getenv("CA"));
	setenv("TLS", text, 1);
	return broker_sh(commands);
}
