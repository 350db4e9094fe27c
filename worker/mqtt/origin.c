#include "worker/mqtt/origin.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/child/child.h"
#include "shared/net/cidr.h"
#include "shared/net/sock.h"
#include "worker/mqtt/share.h"

struct origin {
	struct share share;
	struct quota quota;
	uint64_t seen_ms;
};

static struct {
	struct origin *of; /* beside the rows of the shared table; NULL: nobody was limited yet */
} the;

static struct origin *
find(uint64_t hash, const struct rate *r)
{
	struct origin *oldest = NULL, *o;

	for (unsigned i = 0; i < SHARE_PROBES; i++) {
		o = &the.of[share_place(hash, i)];
		if (o->share.hash == hash) {
			if (bucket_is_full(&o->quota.bucket, r, clock_ms()))
				quota_join(&o->quota, r, &o->share, LIMIT_CONNECT);
			return o;
		}
		if (oldest == NULL || o->seen_ms < oldest->seen_ms)
			oldest = o;
	}
	o = oldest;
	o->share = share_take(SHARES_ADDRESS, hash, (size_t)(o - the.of));
	quota_join(&o->quota, r, &o->share, LIMIT_CONNECT);
	return o;
}

bool
origin_lets_in(const char *peer)
{
	const struct rate *r = &self.conf.connect_rate_address;
	struct origin *o;
	struct cidr from;
	uint64_t hash;

	if (r->n == 0)
		return true;
	if (the.of == NULL && (the.of = calloc(SEGMENT_SHARES, sizeof(*the.of))) == NULL)
		return true;
	if (cidr_of_peer(peer, &from)) {
		from = cidr_cut(from,
		    from.version == 4 ? self.conf.connect_rate_prefix_ipv4
				      : self.conf.connect_rate_prefix_ipv6);
		hash = hash_bytes(&self.key, span_of(&from, sizeof(from)));
	} else { /* a user of this machine */
		hash = hash_bytes(&self.key, sock_text_host(peer));
	}
	o = find(hash != 0 ? hash : 1, r);
	o->seen_ms = clock_ms();
	if (quota_wait_ms(&o->quota, r, &o->share, LIMIT_CONNECT) > 0)
		return false;
	quota_take(&o->quota, r, &o->share, LIMIT_CONNECT, 1);
	o->quota.left = 0; /* it is worth a look each time: a connection costs more */
	return true;
}

void
origin_conf(const struct conf *was, const struct conf *now)
{
	if (now->connect_rate_address.n == 0 ||
	    !rate_eq(&was->connect_rate_address, &now->connect_rate_address))
		origin_fini();
}

void
origin_fini(void)
{
	for (size_t i = 0; the.of != NULL && i < SEGMENT_SHARES; i++)
		if (the.of[i].share.row != NULL)
			share_leave(&the.of[i].share);
	free(the.of);
	the.of = NULL;
}
