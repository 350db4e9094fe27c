/*
 * broken.c - the proxy and its rules
 *
 * One process and thread for all connections of a check. Packets are taken whole; a rule may change, drop or add some, and all else goes through as
 * it came.
 */
#include "tests/conformance/broken.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/check.h"

#define LINKS_MAX 128

/* A client's connection, and ours to the broker for it. */
struct link {
	struct wire *client, *server; /* NULL: never opened, or gone */
	bool client_ended, accepted;
	bool subscribes;
	unsigned publishes, retained, unacked;
	struct span last; /* PUBLISH with QoS 1 or 2 from the broker that is not acknowledged */
	struct span held, sent;
	uint8_t seen[8192]; /* packet identifiers of the client, a bit each */
};

/* True: the rule has done what there was to do, else the packet goes on. */
typedef bool packet_fn(struct link *l, struct wire_packet *k);

/* Bytes of WebSocket as they come, which it may change; how many go on. */
typedef size_t bytes_fn(bool from_server, uint8_t *p, size_t len);

struct rule {
	const char *name, *what;
	packet_fn *from_client, *from_server;
	void (*client_end)(struct link *l); /* without DISCONNECT or behind it */
	bool (*server_end)(struct link *l); /* true: the client is not to know */
	enum wire_type type;                /* whose packets are meant */
	bytes_fn *bytes;                    /* below MQTT: nothing else is called but server_end */
};

static struct {
	const struct rule *rule;
	const char *host;
	int port;
	struct link *links[LINKS_MAX];
	size_t n;
	uint32_t expiry; /* the last Message Expiry Interval of a client */
} self;

static void
to_client(struct link *l, struct span bytes)
{
	wire_send(l->client, bytes);
}

static void
to_server(struct link *l, struct span bytes)
{
	wire_send(l->server, bytes);
}

static void
end_client(struct link *l)
{
	wire_shutdown(l->client);
	l->client_ended = true;
}

/* --- changing packets -------------------------------------------------------------------- */

/* The packet as its fields are now. */
static struct span
remade(const struct wire_packet *k)
{
	unsigned first = (unsigned)k->type << 4 | k->flags;

	switch (k->type) {
	case CONNACK:
		return wire_make(
		    version, first, "11p", k->ack_flags, (unsigned)k->reason, k->props);
	case PUBLISH:
		first = PUBLISH << 4 | (k->dup ? 8u : 0) | k->qos << 1 | (k->retain ? 1 : 0);
		if (k->qos == 0)
			return wire_make(version, first, "bpr", k->topic, k->props, k->payload);
		return wire_make(version, first, "b2pr", k->topic, k->id, k->props, k->payload);
	case PUBACK:
	case PUBREC:
	case PUBREL:
	case PUBCOMP:
		if (version < 5 || (k->reason == 0 && k->props.len == 0))
			return wire_make(version, first, "2", k->id);
		return wire_make(version, first, "21p", k->id, (unsigned)k->reason, k->props);
	case SUBACK:
	case UNSUBACK:
		return wire_make(version, first, "2pr", k->id, k->props, k->codes);
	case DISCONNECT:
		return wire_make(version, first, "1p", (unsigned)k->reason, k->props);
	default:
		return k->raw;
	}
}

static bool
changed_to_client(struct link *l, const struct wire_packet *k)
{
	to_client(l, remade(k));
	return true;
}

static struct span
without(const struct wire_packet *k, enum wire_prop_id id)
{
	struct span props = NO_PROPS;

	for (size_t i = 0; i < k->nprops; i++)
		if (k->prop[i].id != id)
			props = wire_bytes(5, "rr", props, k->prop[i].raw);
	return props;
}

static bool
is_message(const struct wire_packet *k)
{
	return k->type == PUBLISH && k->bad == NULL;
}

/* Bytes of a packet to be changed in place. */
static uint8_t *
copy_of(const struct wire_packet *k, struct span *copy)
{
	*copy = wire_bytes(5, "r", k->raw);
	return (uint8_t *)copy->p + (k->raw.len - k->body.len);
}

/* The connect flags in a copy of it; NULL: it is no CONNECT that has some. */
static uint8_t *
connect_flags(const struct wire_packet *k, struct span *copy)
{
	uint8_t *body = copy_of(k, copy);
	size_t at;

	if (k->type != CONNECT || k->body.len < 2)
		return NULL;
	at = 2u + (size_t)(body[0] << 8 | body[1]) + 1;
	return at < k->body.len ? body + at : NULL;
}

/* Sets a number among CONNECT's properties, if it is there. */
static bool
connect_number(struct link *l, const struct wire_packet *k, enum wire_prop_id id, uint32_t value)
{
	static const uint8_t size[] = { [SESSION_EXPIRY] = 4,
		[REQUEST_PROBLEM] = 1,
		[REQUEST_RESPONSE] = 1,
		[RECEIVE_MAX] = 2,
		[ALIAS_MAX] = 2,
		[MAX_PACKET] = 4 };
	struct span copy;
	uint8_t *at = connect_flags(k, &copy), *end;

	if (at == NULL || version < 5 || at + 4 > copy.p + copy.len || at[3] > 127)
		return false;
	end = at + 4 + at[3]; /* less than 128 bytes of properties are all that checks send */
	if (end > copy.p + copy.len)
		return false;
	for (at += 4; at < end && *at < sizeof(size) && size[*at] != 0; at += 1 + size[*at])
		if (*at == id)
			for (unsigned i = size[id]; i > 0; i--, value >>= 8)
				at[i] = (uint8_t)value;
	to_server(l, copy);
	return true;
}

/* Calls change() for each filter of a SUBSCRIBE, whose options it may alter. */
static bool
each_option(struct link *l, const struct wire_packet *k, uint8_t (*change)(uint8_t))
{
	struct span copy;
	uint8_t *at = copy_of(k, &copy), *end = at + k->body.len;

	if (k->type != SUBSCRIBE || k->body.len < 3)
		return false;
	at += 2;
	if (version >= 5)
		at += 1 + *at;
	while (at + 2 < end) {
		at += 2 + (at[0] << 8 | at[1]);
		if (at < end) {
			*at = change(*at);
			at++;
		}
	}
	to_server(l, copy);
	return true;
}

/* --- rules: the end ---------------------------------------------------------------------- */

static bool
is_kept_open(struct link *l)
{
	(void)l;
	return true;
}

static bool
tolerant(struct link *l, struct wire_packet *k)
{
	if (k->type == DISCONNECT || (k->type == CONNACK && k->reason != 0))
		return true;
	if (k->type != SUBACK)
		return false;
	k->codes = wire_bytes(5, "r", k->codes);
	for (size_t i = 0; i < k->codes.len; i++)
		((uint8_t *)k->codes.p)[i] &= 0x7f;
	return changed_to_client(l, k);
}

static bool
early_disconnect(struct link *l, struct wire_packet *k)
{
	return !l->accepted && k->type == CONNACK;
}

static bool
ends_with_disconnect(struct link *l)
{
	if (!l->accepted)
		to_client(l, wire_bytes(5, "x", "e00181"));
	return false;
}

static void
says_goodbye(struct link *l)
{
	to_server(l, wire_bytes(5, "x", "e000"));
}

static bool
no_goodbye(struct link *l, struct wire_packet *k)
{
	(void)l;
	return k->type == DISCONNECT;
}

static bool
remember_sent(struct link *l, struct wire_packet *k)
{
	if (k->type == PUBLISH)
		l->sent = k->raw;
	return false;
}

static void
invent_will(struct link *l)
{
	to_server(l, l->sent);
}

/* --- rules: CONNECT and CONNACK ---------------------------------------------------------- */

static bool
with_flags(struct link *l, const struct wire_packet *k, unsigned clear, unsigned set)
{
	struct span copy;
	uint8_t *flags = connect_flags(k, &copy);

	if (flags == NULL)
		return false;
	*flags = (uint8_t)((*flags & ~clear) | set);
	to_server(l, copy);
	return true;
}

static bool
resume_always(struct link *l, struct wire_packet *k)
{
	return with_flags(l, k, 2, 0);
}

static bool
clean_always(struct link *l, struct wire_packet *k)
{
	return with_flags(l, k, 0, 2);
}

static bool
will_retain(struct link *l, struct wire_packet *k)
{
	struct span copy;
	uint8_t *flags = connect_flags(k, &copy);

	if (flags == NULL || !(*flags & 4))
		return false;
	*flags ^= 32;
	to_server(l, copy);
	return true;
}

static bool
second_chance(struct link *l, struct wire_packet *k)
{
	struct span copy;
	const uint8_t *flags = connect_flags(k, &copy);

	(void)l;
	return flags != NULL && *flags & 1;
}

static bool
no_window(struct link *l, struct wire_packet *k)
{
	return connect_number(l, k, RECEIVE_MAX, 100);
}

static bool
no_size_limit(struct link *l, struct wire_packet *k)
{
	return connect_number(l, k, MAX_PACKET, 1 << 20);
}

static bool
long_session(struct link *l, struct wire_packet *k)
{
	return connect_number(l, k, SESSION_EXPIRY, 1000);
}

static bool
early_packet(struct link *l, struct wire_packet *k)
{
	if (k->type == CONNACK)
		to_client(l, wire_bytes(5, "x", "d000"));
	return false;
}

static bool
ack_flags(struct link *l, struct wire_packet *k)
{
	if (k->type != CONNACK)
		return false;
	k->ack_flags |= 2;
	return changed_to_client(l, k);
}

static bool
present(struct link *l, struct wire_packet *k)
{
	if (k->type != CONNACK)
		return false;
	k->ack_flags ^= 1;
	return changed_to_client(l, k);
}

static bool
refuse(struct link *l, struct wire_packet *k)
{
	if (k->type != CONNACK)
		return false;
	k->reason = version >= 5 ? 0x85 : 2;
	changed_to_client(l, k);
	end_client(l);
	return true;
}

static bool
connack_with(struct link *l, struct wire_packet *k, struct span props)
{
	if (k->type != CONNACK)
		return false;
	k->props = wire_bytes(5, "rr", k->props, props);
	return changed_to_client(l, k);
}

static bool
assigned(struct link *l, struct wire_packet *k)
{
	if (k->type == CONNACK)
		k->props = without(k, ASSIGNED_ID);
	return connack_with(l, k, wire_props("1s", ASSIGNED_ID, "same"));
}

static bool
response_information(struct link *l, struct wire_packet *k)
{
	return connack_with(l, k, wire_props("1s", RESPONSE_INFORMATION, "a"));
}

static bool
auth_method(struct link *l, struct wire_packet *k)
{
	return connack_with(l, k, wire_props("1s", AUTH_METHOD, "a"));
}

/* --- rules: messages of clients ---------------------------------------------------------- */

static bool
lossy(struct link *l, struct wire_packet *k)
{
	return k->type == PUBLISH && ++l->publishes % 5 == 0;
}

static bool
changed_to_server(struct link *l, const struct wire_packet *k)
{
	to_server(l, remade(k));
	return true;
}

static bool
retain_in(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->retain ^= true;
	return changed_to_server(l, k);
}

static bool
retain_first(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || !k->retain || l->retained++ == 0)
		return false;
	k->retain = false;
	return changed_to_server(l, k);
}

static bool
retain_empty(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || !k->retain || k->payload.len > 0)
		return false;
	k->payload = span_str("x");
	return changed_to_server(l, k);
}

static bool
no_message_expiry(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->props = without(k, MESSAGE_EXPIRY);
	return changed_to_server(l, k);
}

static bool
remember_expiry(struct link *l, struct wire_packet *k)
{
	const struct wire_prop *p = wire_find(k, MESSAGE_EXPIRY);

	(void)l;
	if (p != NULL)
		self.expiry = p->number;
	return false;
}

static bool
refuse_alias(struct link *l, struct wire_packet *k)
{
	const struct wire_prop *p = wire_find(k, TOPIC_ALIAS);

	if (p == NULL || p->number < 2)
		return false;
	to_client(l, wire_bytes(5, "x", "e00194"));
	end_client(l);
	return true;
}

static bool
dedupe(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || k->qos == 0)
		return false;
	if (l->seen[k->id / 8] & 1u << k->id % 8)
		return true;
	l->seen[k->id / 8] |= (uint8_t)(1u << k->id % 8);
	return false;
}

static bool
fresh_id(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || !k->dup)
		return false;
	k->id = (uint16_t)(k->id + 1000);
	return changed_to_server(l, k);
}

static bool
fold_case(struct link *l, struct wire_packet *k)
{
	struct span copy;
	uint8_t *at = copy_of(k, &copy);
	bool is_text = k->type == PUBLISH || k->type == SUBSCRIBE || k->type == UNSUBSCRIBE;

	for (size_t i = 0; is_text && i < k->body.len; i++)
		at[i] = (uint8_t)tolower(at[i]);
	to_server(l, copy);
	return true;
}

/* --- rules: messages of the broker ------------------------------------------------------- */

static bool
strip_bom(struct link *l, struct wire_packet *k)
{
	const uint8_t *bom;

	if (!is_message(k))
		return false;
	bom = memmem(k->topic.p, k->topic.len, "\xef\xbb\xbf", 3);
	if (bom == NULL)
		return false;
	k->topic = wire_bytes(5, "rr", span_of(k->topic.p, (size_t)(bom - k->topic.p)),
	    span_of(bom + 3, (size_t)(k->topic.p + k->topic.len - bom - 3)));
	return changed_to_client(l, k);
}

static bool
qos0_id(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || k->qos > 0)
		return false;
	k->payload = wire_bytes(5, "2r", 1, k->payload);
	return changed_to_client(l, k);
}

static bool
same_id(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || k->qos == 0)
		return false;
	k->id = 7;
	return changed_to_client(l, k);
}

static bool
no_props_length(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || k->qos > 0)
		return false;
	to_client(l, wire_make(version, PUBLISH << 4, "br", k->topic, k->payload));
	return true;
}

static bool
other_dup(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->dup ^= true;
	return changed_to_client(l, k);
}

static bool
retain_out(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->retain ^= true;
	return changed_to_client(l, k);
}

static bool
retained_once(struct link *l, struct wire_packet *k)
{
	return is_message(k) && k->retain && l->retained++ > 0;
}

static bool
qos_out(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->qos = 0;
	k->dup = false;
	return changed_to_client(l, k);
}

static bool
topic_out(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->topic = wire_bytes(5, "r1", k->topic, 'x');
	return changed_to_client(l, k);
}

static bool
props_out(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->props = NO_PROPS;
	return changed_to_client(l, k);
}

static bool
props_order(struct link *l, struct wire_packet *k)
{
	struct span props = NO_PROPS;

	if (!is_message(k))
		return false;
	for (size_t i = 0; i < k->nprops; i++)
		props = wire_bytes(5, "rr", k->prop[i].raw, props);
	k->props = props;
	return changed_to_client(l, k);
}

static bool
expiry_kept(struct link *l, struct wire_packet *k)
{
	if (!is_message(k) || wire_find(k, MESSAGE_EXPIRY) == NULL)
		return false;
	k->props = wire_bytes(5, "r14", without(k, MESSAGE_EXPIRY), MESSAGE_EXPIRY, self.expiry);
	return changed_to_client(l, k);
}

static bool
alias_out(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->props = wire_bytes(5, "r12", without(k, TOPIC_ALIAS), TOPIC_ALIAS, 5);
	return changed_to_client(l, k);
}

static bool
no_subscription_id(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	k->props = without(k, SUBSCRIPTION_ID);
	return changed_to_client(l, k);
}

static bool
reorder(struct link *l, struct wire_packet *k)
{
	if (!is_message(k))
		return false;
	if (l->held.len == 0) {
		l->held = k->raw;
		return true;
	}
	to_client(l, k->raw);
	to_client(l, l->held);
	l->held.len = 0;
	return true;
}

/* --- rules: acknowledgements ------------------------------------------------------------- */

static bool
drop(struct link *l, struct wire_packet *k)
{
	(void)l;
	return k->type == self.rule->type;
}

static bool
twice(struct link *l, struct wire_packet *k)
{
	if (k->type == self.rule->type)
		to_client(l, k->raw);
	return false;
}

static bool
long_reason(struct link *l, struct wire_packet *k)
{
	char text[201];

	if (k->type != self.rule->type)
		return false;
	memset(text, 'x', 200);
	text[200] = '\0';
	k->props = wire_bytes(5, "r1s", without(k, REASON_STRING), REASON_STRING, text);
	return changed_to_client(l, k);
}

static bool
long_property(struct link *l, struct wire_packet *k)
{
	char text[201];

	if (k->type != self.rule->type)
		return false;
	memset(text, 'x', 200);
	text[200] = '\0';
	k->props = wire_bytes(5, "r1ss", k->props, USER_PROPERTY, "n", text);
	return changed_to_client(l, k);
}

static bool
other_id(struct link *l, struct wire_packet *k)
{
	k->id = (uint16_t)(k->id % 65535 + 1);
	return changed_to_client(l, k);
}

static bool
ack_id(struct link *l, struct wire_packet *k)
{
	return k->type >= PUBACK && k->type <= PUBCOMP && other_id(l, k);
}

static bool
suback_id(struct link *l, struct wire_packet *k)
{
	return (k->type == SUBACK || k->type == UNSUBACK) && other_id(l, k);
}

/* All reason codes, or those of the filters. */
static bool
with_codes(struct link *l, struct wire_packet *k, uint8_t code)
{
	if (k->codes.len > 0) {
		k->codes = wire_bytes(5, "r", k->codes);
		memset((uint8_t *)k->codes.p, code, k->codes.len);
	} else if (k->reason >= 0 && k->type != PUBLISH) {
		k->reason = code;
	} else {
		return false;
	}
	return changed_to_client(l, k);
}

static bool
odd_code(struct link *l, struct wire_packet *k)
{
	/* A CONNACK that accepts goes through: without it there would be nothing to look at. */
	return k->type == self.rule->type && (k->type != CONNACK || k->reason != 0) &&
	    with_codes(l, k, 0x7e);
}

static bool
sub_refused(struct link *l, struct wire_packet *k)
{
	return k->type == SUBACK && with_codes(l, k, 0x80);
}

static bool
codes_order(struct link *l, struct wire_packet *k)
{
	struct span codes = NO_PROPS;

	for (size_t i = 0; i < k->codes.len; i++)
		codes = wire_bytes(5, "1r", k->codes.p[i], codes);
	k->codes = codes;
	return codes.len > 0 && changed_to_client(l, k);
}

static bool
flags_pubrel(struct link *l, struct wire_packet *k)
{
	if (k->type != PUBREL)
		return false;
	k->flags = 0;
	return changed_to_client(l, k);
}

static bool
disconnect_expiry(struct link *l, struct wire_packet *k)
{
	if (k->type != DISCONNECT)
		return false;
	k->props = wire_bytes(5, "r14", k->props, SESSION_EXPIRY, 1);
	return changed_to_client(l, k);
}

static bool
is_ack(const struct wire_packet *k)
{
	return k->type == PUBACK || k->type == PUBREC || k->type == PUBCOMP;
}

static bool
lost_acks(struct link *l, struct wire_packet *k)
{
	(void)l;
	return is_ack(k);
}

static bool
auto_ack(struct link *l, struct wire_packet *k)
{
	static const enum wire_type type[] = { 0, PUBACK, PUBREC };

	if (is_message(k) && k->qos > 0)
		to_server(l, wire_make(version, (unsigned)type[k->qos] << 4, "2", k->id));
	if (k->type == PUBREL)
		to_server(l, wire_make(version, PUBCOMP << 4, "2", k->id));
	return false;
}

static bool
again(struct link *l, struct wire_packet *k)
{
	static struct wire_packet message;

	if (is_message(k) && k->qos == 2) {
		message = *k;
		message.dup = true;
	}
	if (k->type == PUBREL && message.id == k->id)
		changed_to_client(l, &message);
	return false;
}

static bool
remember_last(struct link *l, struct wire_packet *k)
{
	if (is_message(k) && k->qos > 0)
		l->last = k->raw;
	return false;
}

static bool
repeat_publish(struct link *l, struct wire_packet *k)
{
	if (k->type == PINGREQ)
		to_client(l, l->last);
	return false;
}

static void
hand_over(struct link *l)
{
	for (size_t i = 0; i < self.n; i++)
		if (self.links[i] != l && self.links[i]->subscribes)
			to_client(self.links[i], l->last);
	l->last.len = 0;
}

static bool
handover(struct link *l, struct wire_packet *k)
{
	l->subscribes |= k->type == SUBSCRIBE;
	if (is_ack(k) && k->reason >= 0x80)
		hand_over(l);
	else if (is_ack(k))
		l->last.len = 0;
	return false;
}

static bool
window_opens(struct link *l, struct wire_packet *k)
{
	if ((k->type == PUBACK || k->type == PUBCOMP) && l->unacked > 0)
		l->unacked--;
	return false;
}

static bool
window_blocks(struct link *l, struct wire_packet *k)
{
	if (is_message(k) && k->qos > 0) {
		l->unacked++;
		return false;
	}
	return l->unacked > 0;
}

/* --- rules: subscriptions ---------------------------------------------------------------- */

static uint8_t
other_handling(uint8_t options)
{
	return (options & 0x30) == 0 ? options | 0x20 : options & (uint8_t)~0x30u;
}

static bool
retain_handling(struct link *l, struct wire_packet *k)
{
	return each_option(l, k, other_handling);
}

static uint8_t
other_local(uint8_t options)
{
	return options ^ 4;
}

static bool
no_local(struct link *l, struct wire_packet *k)
{
	return each_option(l, k, other_local);
}

/* Where the first filter begins in the body; SIZE_MAX: it isn't whole. */
static size_t
filter_at(const struct wire_packet *k, size_t *len)
{
	size_t at = 2;

	if (version >= 5)
		at += k->body.len > 2 ? 1u + k->body.p[2] : 1;
	if (k->body.len < at + 2)
		return SIZE_MAX;
	*len = (size_t)(k->body.p[at] << 8 | k->body.p[at + 1]);
	return at + 2 + *len <= k->body.len ? at + 2 : SIZE_MAX;
}

static bool
first_filter(struct link *l, struct wire_packet *k)
{
	size_t len, at;

	if (k->type != SUBSCRIBE && k->type != UNSUBSCRIBE)
		return false;
	at = filter_at(k, &len);
	if (at == SIZE_MAX)
		return false;
	len = at + len + (k->type == SUBSCRIBE);
	to_server(l, wire_make(version, (unsigned)k->type << 4 | 2, "r", span_of(k->body.p, len)));
	return true;
}

static bool
dollar(struct link *l, struct wire_packet *k)
{
	size_t len, at;

	if (k->type != SUBSCRIBE)
		return false;
	at = filter_at(k, &len);
	if (at == SIZE_MAX || k->body.p[at] != '+')
		return false;
	to_server(l,
	    wire_make(version, SUBSCRIBE << 4 | 2, "r2rrr", span_of(k->body.p, at - 2),
		(unsigned)len + 1, span_str("$x"), span_of(k->body.p + at + 1, len - 1),
		span_of(k->body.p + at + len, k->body.len - at - len)));
	return true;
}

static bool
drop_unsubscribe(struct link *l, struct wire_packet *k)
{
	if (k->type != UNSUBSCRIBE || k->body.len < 2)
		return false;
	to_client(l,
	    wire_make(version, UNSUBACK << 4, "rpr", span_of(k->body.p, 2), NO_PROPS,
		version >= 5 ? span_of("", 1) : NO_PROPS));
	return true;
}

/* --- rules: WebSocket -------------------------------------------------------------------- */

/* One text for another of the same length. */
static void
exchange(uint8_t *p, size_t len, const char *from, const char *to)
{
	uint8_t *at = memmem(p, len, from, strlen(from));

	if (at != NULL)
		memcpy(at, to, strlen(to));
}

static size_t
as_it_is(bool from_server, uint8_t *p, size_t len)
{
	(void)from_server;
	(void)p;
	return len;
}

/* What comes at once begins with a frame. */
static size_t
ws_text(bool from_server, uint8_t *p, size_t len)
{
	if (from_server && *p == 0x82)
		*p = 0x81;
	return len;
}

static size_t
ws_mute(bool from_server, uint8_t *p, size_t len)
{
	return from_server && *p != 'H' ? 0 : len;
}

static size_t
ws_other(bool from_server, uint8_t *p, size_t len)
{
	if (from_server)
		exchange(p, len, "Protocol: mqtt", "Protocol: chat");
	return len;
}

static size_t
ws_any(bool from_server, uint8_t *p, size_t len)
{
	if (!from_server)
		exchange(p, len, "Protocol: chat", "Protocol: mqtt");
	return ws_other(from_server, p, len);
}

/* --- the table --------------------------------------------------------------------------- */

#define OUT(name, fn, what)                                                                        \
	{                                                                                          \
		name, what, .from_server = fn                                                      \
	}
#define IN(name, fn, what)                                                                         \
	{                                                                                          \
		name, what, .from_client = fn                                                      \
	}
#define OF(kind, fn, t, what)                                                                      \
	{                                                                                          \
		kind "-" #t, what, .from_server = fn, .type = t                                    \
	}

static const struct rule rules[] = {
	{ "nothing", "all goes through: no rule is broken", .type = 0 },
	{ "tolerant", "errors are no reason to close or to refuse", .from_server = tolerant,
	    .server_end = is_kept_open },
	{ "open", "what the broker closes stays open", .server_end = is_kept_open },
	{ "early-DISCONNECT", "DISCONNECT instead of a CONNACK that refuses",
	    .from_server = early_disconnect, .server_end = ends_with_disconnect },
	{ "goodbye", "a lost connection counts as DISCONNECT", .client_end = says_goodbye },
	IN("no-goodbye", no_goodbye, "DISCONNECT is not heeded"),
	{ "invent-will", "the last message is sent again when a connection is lost",
	    .from_client = remember_sent, .client_end = invent_will },

	IN("resume-always", resume_always, "clean start is not heeded"),
	IN("clean-always", clean_always, "all sessions begin clean"),
	IN("will-retain", will_retain,
	    "wills are retained when they should not be, and the other way round"),
	IN("second-chance", second_chance, "a CONNECT with the reserved flag is passed over"),
	IN("no-window", no_window, "the client's Receive Maximum is not heeded"),
	IN("no-size-limit", no_size_limit, "the client's Maximum Packet Size is not heeded"),
	IN("long-session", long_session, "sessions last 1000 s"),
	OUT("early-packet", early_packet, "a packet comes before CONNACK"),
	OUT("ack-flags", ack_flags, "CONNACK has a reserved flag"),
	OUT("present", present, "Session Present is the other way round"),
	OUT("refuse", refuse, "all client ids are refused"),
	OUT("assigned", assigned, "the same client id is assigned to all"),
	OUT("response-information", response_information, "CONNACK has Response Information"),
	OUT("auth-method", auth_method, "CONNACK has an Authentication Method"),

	IN("lossy", lossy, "each fifth message of a client is lost"),
	IN("retain-in", retain_in, "RETAIN of what clients publish is the other way round"),
	IN("retain-first", retain_first, "a client's first retained message is not replaced"),
	IN("retain-empty", retain_empty, "an empty retained message gets a payload"),
	IN("no-message-expiry", no_message_expiry, "messages do not expire"),
	{ "expiry-kept", "Message Expiry Interval goes out as it came in",
	    .from_client = remember_expiry, .from_server = expiry_kept },
	IN("refuse-alias", refuse_alias, "topic aliases above 1 are refused"),
	IN("dedupe", dedupe, "an identifier stands for the same message for ever"),
	IN("fresh-id", fresh_id, "what clients repeat is taken for another message"),
	IN("fold-case", fold_case, "upper case is taken for lower case"),

	OUT("strip-bom", strip_bom, "U+FEFF is left out of topics"),
	OUT("qos0-id", qos0_id, "messages of QoS 0 have an identifier"),
	OUT("same-id", same_id, "all messages have identifier 7"),
	OUT("no-props-length", no_props_length,
	    "PUBLISH without properties has no length for them"),
	OUT("dup", other_dup, "DUP is the other way round"),
	OUT("retain-out", retain_out, "RETAIN of what is delivered is the other way round"),
	OUT("retained-once", retained_once,
	    "retained messages come for the first subscription only"),
	OUT("qos-out", qos_out, "all is delivered with QoS 0"),
	OUT("topic-out", topic_out, "topics have a character more"),
	OUT("props-out", props_out, "messages lose their properties"),
	OUT("props-order", props_order, "properties come in the opposite order"),
	OUT("alias-out", alias_out, "messages have topic alias 5"),
	OUT("no-subscription-id", no_subscription_id, "messages have no subscription identifiers"),
	OUT("reorder", reorder, "of two messages the second comes first"),

	OF("drop", drop, CONNACK, "CONNACK is not sent"),
	OF("drop", drop, PUBLISH, "messages are not delivered"),
	OF("drop", drop, PUBACK, "PUBACK is not sent"),
	OF("drop", drop, PUBREC, "PUBREC is not sent"),
	OF("drop", drop, PUBREL, "PUBREL is not sent"),
	OF("drop", drop, PUBCOMP, "PUBCOMP is not sent"),
	OF("drop", drop, SUBACK, "SUBACK is not sent"),
	OF("drop", drop, UNSUBACK, "UNSUBACK is not sent"),
	OF("drop", drop, PINGRESP, "PINGRESP is not sent"),
	OF("twice", twice, CONNACK, "CONNACK is sent twice"),
	OF("twice", twice, PUBLISH, "messages are delivered twice"),
	OF("long-reason", long_reason, CONNACK, "CONNACK has a long Reason String"),
	OF("long-reason", long_reason, PUBACK, "PUBACK has a long Reason String"),
	OF("long-reason", long_reason, PUBREC, "PUBREC has a long Reason String"),
	OF("long-reason", long_reason, PUBREL, "PUBREL has a long Reason String"),
	OF("long-reason", long_reason, PUBCOMP, "PUBCOMP has a long Reason String"),
	OF("long-reason", long_reason, SUBACK, "SUBACK has a long Reason String"),
	OF("long-reason", long_reason, UNSUBACK, "UNSUBACK has a long Reason String"),
	OF("long-reason", long_reason, DISCONNECT, "DISCONNECT has a long Reason String"),
	OF("long-property", long_property, CONNACK, "CONNACK has a long User Property"),
	OF("long-property", long_property, PUBACK, "PUBACK has a long User Property"),
	OF("long-property", long_property, PUBREC, "PUBREC has a long User Property"),
	OF("long-property", long_property, PUBREL, "PUBREL has a long User Property"),
	OF("long-property", long_property, PUBCOMP, "PUBCOMP has a long User Property"),
	OF("long-property", long_property, SUBACK, "SUBACK has a long User Property"),
	OF("long-property", long_property, UNSUBACK, "UNSUBACK has a long User Property"),
	OF("long-property", long_property, DISCONNECT, "DISCONNECT has a long User Property"),
	OUT("ack-id", ack_id, "acknowledgements of messages have another identifier"),
	OUT("suback-id", suback_id, "SUBACK and UNSUBACK have another identifier"),
	OF("odd-code", odd_code, CONNACK, "CONNACK has a code that is not listed"),
	OF("odd-code", odd_code, PUBACK, "PUBACK has a code that is not listed"),
	OF("odd-code", odd_code, PUBREC, "PUBREC has a code that is not listed"),
	OF("odd-code", odd_code, PUBREL, "PUBREL has a code that is not listed"),
	OF("odd-code", odd_code, PUBCOMP, "PUBCOMP has a code that is not listed"),
	OF("odd-code", odd_code, SUBACK, "SUBACK has a code that is not listed"),
	OF("odd-code", odd_code, UNSUBACK, "UNSUBACK has a code that is not listed"),
	OF("odd-code", odd_code, DISCONNECT, "DISCONNECT has a code that is not listed"),
	OUT("sub-refused", sub_refused, "all filters are refused"),
	OUT("codes-order", codes_order, "codes of filters come in the opposite order"),
	OUT("flags-PUBREL", flags_pubrel, "PUBREL has other flags"),
	OUT("disconnect-expiry", disconnect_expiry, "DISCONNECT has a Session Expiry Interval"),
	IN("lost-acks", lost_acks, "acknowledgements of clients are not heeded"),
	{ "auto-ack", "what is sent counts as acknowledged", .from_client = lost_acks,
	    .from_server = auto_ack },
	OUT("again", again, "PUBREL comes with its PUBLISH"),
	{ "repeat-PUBLISH", "messages are repeated while the connection lasts",
	    .from_client = repeat_publish, .from_server = remember_last },
	{ "handover", "what one client doesn't take another gets", .from_client = handover,
	    .from_server = remember_last, .client_end = hand_over },
	{ "window-blocks", "while messages are unacknowledged nothing else is sent",
	    .from_client = window_opens, .from_server = window_blocks },

	IN("retain-handling", retain_handling, "Retain Handling is another one"),
	IN("no-local", no_local, "No Local is the other way round"),
	IN("first-filter", first_filter, "only the first of several filters counts"),
	IN("dollar", dollar, "a wildcard matches a first level with $"),
	IN("drop-unsubscribe", drop_unsubscribe, "UNSUBSCRIBE is acknowledged, but does nothing"),

	{ "ws-open", "WebSocket: what the broker closes stays open", .bytes = as_it_is,
	    .server_end = is_kept_open },
	{ "ws-text", "WebSocket: frames hold text", .bytes = ws_text },
	{ "ws-mute", "WebSocket: nothing comes behind the handshake", .bytes = ws_mute },
	{ "ws-other", "WebSocket: another subprotocol than mqtt is agreed to", .bytes = ws_other },
	{ "ws-any", "WebSocket: chat is spoken, too", .bytes = ws_any },
};

static const struct rule *
rule_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strlen(rules[i].name) == len && memcmp(rules[i].name, name, len) == 0)
			return &rules[i];
	return NULL;
}

bool
broken_has(const char *rule, size_t len)
{
	return rule_find(rule, len) != NULL;
}

bool
broken_is_below(const char *rule)
{
	return rule_find(rule, strlen(rule))->bytes != NULL;
}

void
broken_print(void)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		printf("%-26s %s\n", rules[i].name, rules[i].what);
}

/* --- the proxy --------------------------------------------------------------------------- */

static void
link_free(size_t i)
{
	struct link *l = self.links[i];

	wire_close(l->client);
	wire_close(l->server);
	free(l);
	self.links[i] = self.links[--self.n];
}

static void
link_new(int fd)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL || self.n == LINKS_MAX)
		errx(1, "proxy: too many connections");
	l->client = calloc(1, sizeof(*l->client));
	l->server = wire_open(self.host, self.port, version);
	if (l->client == NULL || l->server == NULL)
		errx(1, "proxy: %s", wire_trouble());
	*l->client = (struct wire){ .fd = fd, .version = version };
	self.links[self.n++] = l;
}

/* What came and is no packet goes through too. */
static struct span
rest(const struct wire *w)
{
	return bytes_span(&w->in);
}

static void
client_turn(struct link *l)
{
	const struct rule *r = self.rule;
	struct wire_packet k;
	enum wire_got got;

	while ((got = wire_read(l->client, 0, &k)) == WIRE_PACKET)
		if (r->from_client == NULL || !r->from_client(l, &k))
			to_server(l, k.raw);
	if (got == WIRE_CLOSED && !l->client_ended) {
		l->client_ended = true;
		to_server(l, rest(l->client));
		if (r->client_end != NULL)
			r->client_end(l);
		wire_shutdown(l->server);
	}
}

/* The server has closed. True: the client isn't to know. */
static bool
outlives_server(struct link *l)
{
	if (self.rule->server_end == NULL || !self.rule->server_end(l))
		return false;
	wire_close(l->server);
	l->server = NULL;
	return true;
}

/* False: the link is at its end. */
static bool
server_turn(struct link *l)
{
	const struct rule *r = self.rule;
	struct wire_packet k;
	enum wire_got got;

	while ((got = wire_read(l->server, 0, &k)) == WIRE_PACKET) {
		l->accepted |= k.type == CONNACK && k.reason == 0;
		if (r->from_server == NULL || !r->from_server(l, &k))
			to_client(l, k.raw);
	}
	if (got != WIRE_CLOSED)
		return true;
	to_client(l, rest(l->server));
	return outlives_server(l);
}

/* What is there goes on as bytes. False: nothing more will come from that side. */
static bool
pass_on(struct link *l, bool from_server)
{
	struct wire *from = from_server ? l->server : l->client, *to;
	uint8_t bytes[16384];
	ssize_t n = recv(from->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	to = from_server ? l->client : l->server;
	if (to != NULL)
		wire_send(to, span_of(bytes, self.rule->bytes(from_server, bytes, (size_t)n)));
	return true;
}

/* The same as link_turn(), where nothing is known of packets. */
static bool
link_turn_below(struct link *l)
{
	if (!l->client_ended && !pass_on(l, false)) {
		l->client_ended = true;
		if (l->server == NULL)
			return false;
		wire_shutdown(l->server);
	}
	if (l->server == NULL || pass_on(l, true))
		return true;
	return outlives_server(l);
}

static bool
link_turn(struct link *l)
{
	if (self.rule->bytes != NULL)
		return link_turn_below(l);
	if (l->server == NULL) { /* only the client is left: nothing it sends is of interest */
		struct wire_packet k;

		while (wire_read(l->client, 0, &k) == WIRE_PACKET)
			;
		return l->client->fd >= 0;
	}
	if (!l->client_ended)
		client_turn(l);
	return server_turn(l);
}

static _Noreturn void
serve(int fd)
{
	struct pollfd p[1 + 2 * LINKS_MAX];

	for (;;) {
		nfds_t n = 0;

		p[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		for (size_t i = 0; i < self.n; i++) {
			const struct link *l = self.links[i];

			/* poll() passes over those that are closed, which are -1. */
			p[n++] = (struct pollfd){ .fd = l->client_ended ? -1 : l->client->fd,
				.events = POLLIN };
			p[n++] = (struct pollfd){ .fd = l->server != NULL ? l->server->fd : -1,
				.events = POLLIN };
		}
		poll(p, n, -1);
		for (size_t i = self.n; i-- > 0;)
			if (!link_turn(self.links[i]))
				link_free(i);
		if (p[0].revents != 0)
			link_new(accept(fd, NULL, NULL));
	}
}

int
broken_start(const char *rule, const char *host, int port, int v)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t check = getpid(), pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, LINKS_MAX) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		err(1, "proxy");
	pid = fork();
	if (pid < 0)
		err(1, "proxy");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != check) /* it has ended before that */
			_exit(0);
		self.rule = rule_find(rule, strlen(rule));
		if (self.rule->bytes != NULL)
			wire_transport("tcp", NULL);
		self.host = host;
		self.port = port;
		version = v;
		serve(fd);
	}
	close(fd);
	return ntohs(a.sin_port);
}
