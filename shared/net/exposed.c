#include "shared/net/exposed.h"

#include <stdio.h>

#include "shared/net/cidr.h"

static bool
is_reachable(const struct conf_listener *l)
{
	static const char *const loopback[] = { "127.0.0.0/8", "::1" };
	struct cidr at, own;
	char why[256];

	if (l->type == TRANSPORT_unix)
		return false;
	if (cidr_parse(l->address.s, &at, why) != 0) /* "*" */
		return true;
	for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
		if (cidr_parse(loopback[i], &own, why) == 0 && cidr_holds(&own, &at))
			return false;
	return true;
}

/* By a certificate, or a key in common where there is no other way to come in. */
static bool
asks_for_keys(const struct conf_listener *l)
{
	return conf_has_tls(l) &&
	    (l->client_certificate == CLIENT_CERTIFICATE_required ||
		(l->psk_file.s[0] != '\0' && l->certificate.s[0] == '\0'));
}

/* Without authentication any user name is good. */
static bool
is_open(const struct conf *c, const struct conf_listener *l)
{
	return c->acl_file.s[0] == '\0' && !asks_for_keys(l) &&
	    (c->authentication.s[0] == '\0' || l->allow_anonymous);
}

bool
exposed_next(const struct conf *c, uint32_t *i, char text[EXPOSED_TEXT_MAX])
{
	while (*i < c->nlisteners) {
		const struct conf_listener *l = &c->listener[(*i)++];

		if (!is_reachable(l) || !is_open(c, l))
			continue;
		snprintf(text, EXPOSED_TEXT_MAX,
		    "listeners.%.31s: whoever reaches %.63s comes in without being known; "
		    "set %s, or rules by acl_file",
		    l->name.s, l->address.s[0] == '*' ? "this machine" : l->address.s,
		    c->authentication.s[0] == '\0' ? "authentication and allow_anonymous = false"
						   : "allow_anonymous = false");
		return true;
	}
	return false;
}
