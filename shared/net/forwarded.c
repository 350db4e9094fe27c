#include "shared/net/forwarded.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/net/cidr.h"

#define BLANKS " \t"

/* The next one of a list with commas, from *at. 1; 0: no more; -EINVAL with the reason. */
static int
next_trusted(const char **at, struct cidr *out, char why[256])
{
	char text[CIDR_TEXT_MAX];
	const char *p = *at + strspn(*at, BLANKS);
	size_t len = strcspn(p, "," BLANKS);

	if (*p == '\0')
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)len, p);
	if (cidr_parse(text, out, why) != 0)
		return -EINVAL;
	p += len;
	p += strspn(p, BLANKS);
	if (*p != '\0' && *p != ',') {
		snprintf(why, 256, "\"%.60s\": addresses are separated by commas", *at);
		return -EINVAL;
	}
	*at = *p == ',' ? p + 1 : p;
	return 1;
}

int
forwarded_check(const struct conf *c, struct conf_error *err)
{
	for (uint32_t i = 0; i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listener[i];
		const char *at = l->trusted_proxies.s;
		char why[256] = "needs type = \"ws\" or \"wss\"";
		struct cidr one;
		int got = 1;

		if (at[0] != '\0' && !conf_has_ws(l))
			got = -EINVAL;
		while (got > 0)
			got = next_trusted(&at, &one, why);
		if (got < 0) {
			snprintf(err->text, sizeof(err->text),
			    "listeners.%.31s.trusted_proxies: %s", l->name.s, why);
			return -EINVAL;
		}
	}
	return 0;
}

bool
forwarded_is_trusted(const char *trusted, const char *peer)
{
	struct cidr prefix, it;
	char why[256];

	if (trusted[0] == '\0' || !cidr_of_peer(peer, &it))
		return false;
	while (next_trusted(&trusted, &prefix, why) > 0)
		if (cidr_holds(&prefix, &it))
			return true;
	return false;
}

/* 192.0.2.7, 192.0.2.7:5555, 2001:db8::1, [2001:db8::1], [2001:db8::1]:5555 */
static bool
parse_one(struct span text, char out[SOCK_TEXT_MAX])
{
	char copy[SOCK_TEXT_MAX], *host = copy, *port = NULL, *end;
	unsigned long number = 0;
	struct sock_addr a;

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	if (copy[0] == '[') {
		host++;
		end = strchr(host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		port = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
	} else if ((end = strchr(copy, ':')) != NULL && strchr(end + 1, ':') == NULL) {
		*end = '\0';
		port = end + 1;
	}
	if (port != NULL) {
		number = strtoul(port, &end, 10);
		if (port[0] < '0' || port[0] > '9' || *end != '\0' || number > UINT16_MAX)
			return false;
	}
	if (strcmp(host, "*") == 0 || sock_addr_parse(host, (uint16_t)number, &a) != 0)
		return false;
	sock_addr_text(&a, out);
	return true;
}

void
forwarded_client(const char *trusted, const char *peer, const char *list, char out[SOCK_TEXT_MAX])
{
	const char *end = list + strlen(list);
	char who[SOCK_TEXT_MAX];

	snprintf(out, SOCK_TEXT_MAX, "%s", peer);
	while (end > list && forwarded_is_trusted(trusted, out)) {
		const char *comma = memrchr(list, ',', (size_t)(end - list));
		const char *p = comma != NULL ? comma + 1 : list, *last = end;

		while (p < last && (*p == ' ' || *p == '\t'))
			p++;
		while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		if (!parse_one(span_of(p, (size_t)(last - p)), who))
			return;
		memcpy(out, who, sizeof(who));
		end = comma != NULL ? comma : list;
	}
}
