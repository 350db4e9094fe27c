#include "tests/differential/explained.h"

#include <assert.h>
#include <fnmatch.h>

struct seen *seen;

const struct liberty liberties[] = {
	{ CONNACK, ASSIGNED_ID, "3.1.3.1", "the name is the server's choice" },
	{ CONNACK, RECEIVE_MAX, "3.2.2.3.3", "each has its own limit" },
	{ CONNACK, ALIAS_MAX, "3.2.2.3.8", "each has its own limit" },
	{ CONNACK, MAX_PACKET, "3.2.2.3.6", "mosquitto has no limit of its own" },
	{ CONNACK, SERVER_KEEP_ALIVE, "3.2.2.3.14", "mosquitto wants one of at most 65535 s" },
	{ CONNACK, REASON_STRING, "3.2.2.3.9", "we say what was wrong" },
	{ DISCONNECT, REASON_STRING, "3.14.2.2.3", "we say what was wrong" },
	{ PUBCOMP, REASON_STRING, "3.7.2.2.2", "we say what was wrong" },
	{ SUBACK, REASON_STRING, "3.9.2.1.2", "we say what was wrong" },
	{ UNSUBACK, REASON_STRING, "3.11.2.1.2", "we say what was wrong" },
	{ PUBACK, NO_MATCHING, "3.4.2.1",
	    "may be said in place of success; we don't of retained messages and what is stored" },
	{ PUBREC, NO_MATCHING, "3.5.2.1",
	    "may be said in place of success; mosquitto never does for QoS 2" },
};

const size_t nliberties = sizeof(liberties) / sizeof(liberties[0]);

const struct explained explained[] = {

	/* How a connection is refused or ended. */
	{ "5/*", "-", "CONNACK present=0 reason=[89]?", "4.13",
	    "a CONNACK that refuses may be sent; mosquitto only closes" },
	{ "[34]/*", "-", "CONNACK present=0 reason=0[1-5]", "3.1.1: 3.1.2",
	    "a CONNACK that refuses may be sent; mosquitto only closes" },
	{ "[5r]*", "-", "DISCONNECT reason=[89]?", "4.13.2",
	    "a DISCONNECT that tells why should be sent; mosquitto only closes" },
	{ "[45]/connect/level-[123]", "CONNACK present=0 reason=01", "CONNACK present=0 reason=84*",
	    "3.1.2.2", "an unknown version is answered with 0x84 or, as MQTT 3 has it, with 1" },
	{ "5/connect/name-?", "-", "CONNACK present=0 reason=01", "3.1.2.1",
	    "another name may be answered or not" },
	{ "3/connect/flags-3", "closed", "CONNACK present=0 reason=00", "3.1: 3.1",
	    "a will's QoS without a will is not said to be wrong" },
	{ "5/connect/authentication-data-without-method", "CONNACK present=0 reason=00",
	    "CONNACK present=0 reason=82 | closed", "3.1.2.11.10",
	    "data without method is a protocol error, which mosquitto overlooks" },
	{ "5/*", "DISCONNECT reason=81", "DISCONNECT reason=82", "4.13.1",
	    "malformed packet or protocol error: most errors can be read both ways" },
	{ "5/*", "DISCONNECT reason=82", "DISCONNECT reason=81", "4.13.1",
	    "the same the other way round" },
	{ "5/properties/bad-4", "DISCONNECT reason=81", "DISCONNECT reason=94", "3.3.2.3.4",
	    "0 is an invalid alias, which has a code of its own" },

	/* Wills. */
	{ "5/disconnect/reason-[1-4]", "-", "PUBLISH will 'yes' qos=0", "3.14.4",
	    "only reason code 0 takes the will away" },
	{ "5/takeover/session-with-will-0", "-", "PUBLISH will 'taken' qos=1 id=new", "3.1.4",
	    "without a delay the close of the old connection is the will's time" },
	{ "5/will/delayed-and-back-clean", "-", "PUBLISH will 'gone' qos=0", "3.1.2.5",
	    "the end of the session is the will's time, whatever its delay" },
	{ "5/will/delayed-without-session", "-", "PUBLISH will 'gone' qos=0", "3.1.2.5",
	    "the end of the session is the will's time, whatever its delay" },

	/* What mosquitto puts up with, and its acknowledgement, and that the will comes where we close. */
	{ "[45]/publish/qos-0-with-dup", "-", "*closed", "3.3.1.1", "DUP of QoS 0 has to be 0" },
	{ "5/ack/flags-[03]", "-", "DISCONNECT reason=81 | closed", "2.1.3",
	    "flags that are reserved" },
	{ "5/ack/flags-1", "-", "DISCONNECT reason=81 | closed", "2.1.3",
	    "flags that are reserved" },
	{ "[45]/ack/flags-1", "PUBREL 'unknown' reason=00", "-", "2.1.3",
	    "flags that are reserved" },
	{ "4/ack/flags-[013]", "-", "closed", "2.1.3", "flags that are reserved" },
	{ "3/ack/flags-2", "-", "closed", "3.1: 2.1", "flags that are reserved" },
	{ "3/ack/flags-2", "PUBCOMP id=1 reason=00", "-", "3.1: 2.1", "flags that are reserved" },
	{ "5/ack/bad-reason-?", "-", "DISCONNECT reason=82 | closed", "2.4",
	    "a reason code that the packet doesn't have" },
	{ "5/ack/bad-reason-1", "PUBREL 'unknown' reason=00", "-", "2.4",
	    "a reason code that the packet doesn't have" },
	{ "5/ack/bad-reason-2", "PUBCOMP id=1 reason=00", "-", "2.4",
	    "a reason code that the packet doesn't have" },
	{ "5/properties/bad-[02]", "PUBACK id=1 reason=00", "-", "3.3.2.3",
	    "a payload format above 1, a response topic with wildcards" },
	{ "5/properties/bad-[02]", "-", "DISCONNECT reason=82 | closed", "3.3.2.3",
	    "a payload format above 1, a response topic with wildcards" },
	{ "5/subscription-id/sent-by-a-client", "-", "DISCONNECT reason=82 | closed", "3.3.4",
	    "a client sends no subscription identifier" },
	{ "5/no-local/shared", "SUBACK id=1 codes=01", "-", "3.8.3.1",
	    "no local on a shared subscription is a protocol error" },
	{ "5/no-local/shared", "-", "DISCONNECT reason=82 | closed", "3.8.3.1",
	    "no local on a shared subscription is a protocol error" },
	{ "5/malformed/after-valid-4", "-", "DISCONNECT reason=82 | closed", "3.13",
	    "PINGRESP of a client" },
	{ "5/malformed/after-valid-[56]", "PINGRESP", "DISCONNECT reason=81 | closed", "3.12",
	    "PINGREQ with flags or a body" },
	{ "[34]/malformed/after-valid-[234]", "-", "closed", "3.1.1: 4.8",
	    "packets that only a server sends" },
	{ "[34]/malformed/after-valid-[56]", "PINGRESP", "closed", "3.1.1: 3.12",
	    "PINGREQ with flags or a body" },
	{ "?/malformed/after-valid-[23456]", "-", "PUBLISH will 'gone' qos=0", "3.1.2.5",
	    "we have closed" },
	{ "[34]/will/on-protocol-error", "-", "closed", "3.1.1: 4.8", "SUBACK of a client" },
	{ "[34]/will/on-protocol-error", "-", "PUBLISH will 'gone' qos=0", "3.1.1: 3.1.2.5",
	    "we have closed" },
	{ "3/*/*", "SUBACK id=1 (it has no reason code)", "-", "3.1: 3.8",
	    "a SUBSCRIBE without a filter" },
	{ "3/*/*", "UNSUBACK id=1", "-", "3.1: 3.10",
	    "an UNSUBSCRIBE without a filter, or with flags" },
	{ "3/malformed/after-valid-1[45]", "-", "closed", "3.1: 3.8",
	    "a SUBSCRIBE or UNSUBSCRIBE without a filter" },
	{ "3/malformed/after-valid-1[45]", "-", "PUBLISH will 'gone' qos=0", "3.1: 3.1",
	    "we have closed" },
	{ "3/subscribe/nothing", "-", "closed", "3.1: 3.8", "a SUBSCRIBE without a filter" },
	{ "3/unsubscribe/nothing", "-", "closed", "3.1: 3.10", "an UNSUBSCRIBE without a filter" },
	{ "3/subscribe/flags", "-", "closed", "3.1: 3.8", "SUBSCRIBE has QoS 1" },
	{ "3/subscribe/flags", "SUBACK id=1 codes=00", "-", "3.1: 3.8", "SUBSCRIBE has QoS 1" },
	{ "3/unsubscribe/flags", "-", "closed", "3.1: 3.10", "UNSUBSCRIBE has QoS 1" },
	{ "5/shared/bad-filter-?", "*", "SUBACK id=1 codes=8f", "4.8.2",
	    "a group without a name or a filter, or with wildcards in its name" },
	{ "5/shared/bad-filter-5", "DISCONNECT reason=81 | closed", "-", "4.8.2",
	    "we refuse the filter alone" },

	/* Filters that are none: mosquitto closes, we refuse them alone. */
	{ "5/subscribe/bad-filter-?", "DISCONNECT reason=81 | closed", "-", "3.9.3",
	    "there is a reason code for it" },
	{ "5/subscribe/bad-filter-?", "-", "SUBACK id=1 codes=8f", "3.9.3",
	    "there is a reason code for it" },
	{ "4/subscribe/bad-filter-?", "closed", "-", "3.1.1: 3.9.3",
	    "there is a return code for it" },
	{ "4/subscribe/bad-filter-?", "-", "SUBACK id=1 codes=80", "3.1.1: 3.9.3",
	    "there is a return code for it" },
	{ "3/subscribe/bad-filter-?", "closed", "-", "3.1: 3.9",
	    "a subscription that is refused is granted all the same: there is no code for it" },
	{ "3/subscribe/bad-filter-?", "-", "SUBACK id=1 codes=00", "3.1: 3.9",
	    "a subscription that is refused is granted all the same: there is no code for it" },
	{ "5/unsubscribe/bad-filter", "DISCONNECT reason=81 | closed", "-", "3.11.3",
	    "there is a reason code for it" },
	{ "5/unsubscribe/bad-filter", "-", "UNSUBACK id=1 codes=8f", "3.11.3",
	    "there is a reason code for it" },
	{ "[34]/unsubscribe/bad-filter", "closed", "-", "3.1.1: 3.10.4",
	    "it is not subscribed to, and UNSUBACK says nothing else" },
	{ "[34]/unsubscribe/bad-filter", "-", "UNSUBACK id=1", "3.1.1: 3.10.4",
	    "it is not subscribed to, and UNSUBACK says nothing else" },
	{ "3/subscribe/bad-options-[123]", "closed", "-", "3.1: 3.8",
	    "the upper bits are not used" },
	{ "3/subscribe/bad-options-[123]", "-", "SUBACK id=1 codes=00", "3.1: 3.8",
	    "the upper bits are not used" },

	/* What is left open about messages. */
	{ "5/subscribe/overlapping-with-one-qos", "PUBLISH t/1 '?' qos=1 id=new*", "-", "3.3.4",
	    "one copy for all subscriptions, or one for each" },
	{ "5/subscribe/overlapping-with-two-qos", "PUBLISH t/1 '1' qos=0", "-", "3.3.4",
	    "one copy for all subscriptions, or one for each" },
	{ "5/subscription-id/overlapping", "* subscription=1 | * subscription=2",
	    "PUBLISH t/1 '1' qos=1 id=new subscription=? subscription=?", "3.3.4",
	    "one copy for all subscriptions, or one for each" },
	{ "5/shared/no-retained", "PUBLISH t '1' qos=1 retain id=new", "-", "4.8.2",
	    "retained messages are not sent for a shared subscription" },
	{ "5/receive-maximum/in-a-session", "PUBLISH t '[34]' qos=1 id=new", "*", "3.3.4",
	    "mosquitto exceeds the maximum" },
	{ "?/session/of-a-publisher-under-way-?", "-", "PUBLISH t '1' qos=2 id=new", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/session/of-a-publisher-under-way-?", "-", "PUBREL '1' reason=00", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/session/of-a-publisher-under-way-?", "PUBLISH t '1' qos=2 id=new", "-", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/session/of-a-publisher-under-way-?", "PUBREL '1' reason=00", "-", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/qos-2/*", "-", "PUBLISH t '?' qos=2 id=new", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/qos-2/*", "-", "PUBREL '?' reason=00", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/qos-2/*", "PUBLISH t '?' qos=2 id=new", "-", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "?/qos-2/*", "PUBREL '?' reason=00", "-", "4.3.3",
	    "we pass on at PUBLISH, mosquitto at PUBREL" },
	{ "5/session/*", "PUBCOMP id=10 reason=00", "PUBCOMP id=10 reason=92", "3.7.2.1",
	    "may be told" },
	{ "5/session/of-a-publisher-under-way-1", "DISCONNECT reason=82 | closed", "-", "4.3.3",
	    "what is repeated is acknowledged again; mosquitto closes" },
	{ "[34]/session/of-a-publisher-under-way-1", "closed", "-", "4.3.3",
	    "what is repeated is acknowledged again; mosquitto closes" },
	{ "?/session/of-a-publisher-under-way-1", "-", "PUBREC id=10 reason=00", "4.3.3",
	    "what is repeated is acknowledged again; mosquitto closes" },
	{ "?/session/of-a-publisher-under-way-1", "-", "PUBCOMP id=10 *", "4.3.3",
	    "what is repeated is acknowledged again; mosquitto closes" },
	{ "?/ack/wrong-kind-?", "closed", "-", "4.13",
	    "an acknowledgement that doesn't fit: we pass over it" },
	{ "?/ack/wrong-kind-0", "-", "PUBREL '1' reason=*", "4.13", "PUBREC is always answered" },
	{ "?/qos-2/completed-before-received", "closed", "-", "4.13",
	    "an acknowledgement that doesn't fit: we pass over it" },
	{ "5/ack/unknown-identifier-1", "PUBREL 'unknown' reason=00", "PUBREL 'unknown' reason=92",
	    "3.6.2.1", "may be told" },
	{ "5/ack/unknown-identifier-2", "PUBCOMP id=777 reason=00", "PUBCOMP id=777 reason=92",
	    "3.7.2.1", "may be told" },
	{ "5/qos-2/*", "PUBCOMP id=9 reason=00", "PUBCOMP id=9 reason=92", "3.7.2.1",
	    "may be told" },
	{ "5/expiry/0", "PUBLISH t '1' qos=1 id=new*", "-", "3.3.2.3.3",
	    "an interval of 0 is over at once" },
	{ "5/expiry/of-a-message-under-way", "-", "PUBLISH t '1' qos=1 dup id=again expiry=0",
	    "4.4", "a delivery that has begun goes on, though what it brings has expired" },
};

const size_t nexplained = sizeof(explained) / sizeof(explained[0]);

static_assert(sizeof(explained) / sizeof(explained[0]) <= EXPLAINED_MAX, "it has to be counted");

const struct explained *
explained_find(const char *script, const char *theirs, const char *ours)
{
	for (const struct explained *e = explained; e < explained + nexplained; e++)
		if (fnmatch(e->script, script, 0) == 0 && fnmatch(e->theirs, theirs, 0) == 0 &&
		    fnmatch(e->ours, ours, 0) == 0)
			return e;
	return NULL;
}

const struct liberty *
liberty_find(enum wire_type type, enum wire_prop_id prop)
{
	for (const struct liberty *l = liberties; l < liberties + nliberties; l++)
		if (l->type == type && l->prop == prop)
			return l;
	return NULL;
}
