#include "tests/lib/scenario.h"

static const struct {
	const char *hex;
	int reason; /* of the DISCONNECT */
} bad[] = {
	{ "00 00", 0x81 }, { "36 05 0001 74 0001", 0x81 }, /* QoS 3 */
	{ "38 04 0001 74 00", 0x81 },                      /* DUP at QoS 0 */
	{ "30 04 0001 23 00", 0x82 },                      /* topic "#" */
	{ "30 03 0000 00", 0x82 },                         /* no topic, no alias */
	{ "30 05 0002 c080 00", 0x81 },                    /* overlong UTF-8 */
	{ "30 06 0003 eda080 00", 0x81 },                  /* surrogate */
	{ "30 05 0002 6100 00", 0x81 },                    /* U+0000 */
	{ "30 ff ff ff ff 01", 0x81 },                     /* length of five bytes */
	{ "30 84 00 0001 74 00", 0x81 },                   /* length not in its shortest form */
	{ "30 06 0001 74 02 0b01", 0x82 },      /* subscription identifier from a client */
	{ "30 08 0001 74 04 0101 0101", 0x82 }, /* property twice */
	{ "30 06 0001 74 02 2600", 0x81 },      /* property cut short */
	{ "30 06 0001 74 02 1100", 0x81 },      /* property of another packet */
	{ "32 06 0001 74 0000 00", 0x82 },      /* identifier 0 */
	{ "80 07 0001 00 0001 74 00", 0x81 },   /* SUBSCRIBE with wrong flags */
	{ "82 03 0001 00", 0x82 },              /* no filter */
	{ "82 07 0001 00 0001 74 03", 0x82 },   /* QoS 3 */
	{ "82 07 0001 00 0001 74 40", 0x81 },   /* reserved option bit */
	{ "82 07 0001 00 0001 74 30", 0x82 },   /* retain handling 3 */
	{ "82 10 0001 00 000a 2473686172652f672f74 05", 0x82 }, /* no local on $share/g/t */
	{ "82 06 0001 00 0001 74", 0x81 },                      /* options missing */
	{ "a2 03 0001 00", 0x82 }, { "60 02 0001", 0x81 },      /* PUBREL flags */
	{ "40 03 0001 92", 0x82 },                              /* code of another packet */
	{ "40 01 00", 0x81 }, { "20 03 00 00 00", 0x82 },       /* CONNACK from a client */
	{ "90 04 0001 00 00", 0x82 }, { "d0 00", 0x82 },
	{ "f0 02 18 00", 0x82 },                 /* AUTH without method */
	{ "e0 01 8e", 0x82 },                    /* DISCONNECT with a server's code */
	{ "c0 01 00", 0x81 }, { "10 00", 0x82 }, /* second CONNECT */
};

SCENARIO(1, 2)
{
	struct mq *witness;

	broker_start();
	witness = mq_connect(.id = "witness");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mq *m = mq_connect(.id = "m");
		struct packet k;

		mq_hex(m, bad[i].hex);
		k = mq_need(m, 14);
		if (k.reason != bad[i].reason)
			fail("DISCONNECT 0x%02x instead of 0x%02x for %s", (unsigned)k.reason,
			    (unsigned)bad[i].reason, bad[i].hex);
		mq_need_close(m);
		mq_close(m);
		m = mq_connect(.id = "m4",
		    .version = 4); /* 3.1.1: closed without a word, if it can be so there */
		mq_hex(m, "36 05 0001 74 0001");
		check(!mq_read(m, &k, deadline_ms()) && m->fd < 0);
		mq_close(m);
	}
	mq_quiet(witness);
	mq_disconnect(witness);
}
