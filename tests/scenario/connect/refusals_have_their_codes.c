#include "tests/lib/scenario.h"

static void
refused(const char *hex, const char *connack)
{
	struct mq *m = mq_open(0);
	struct packet k;
	char got[8];

	mq_hex(m, hex);
	if (connack == NULL) {
		check(!mq_read(m, &k, deadline_ms()) && m->fd < 0);
	} else {
		k = mq_need(m, 2);
		snprintf(got, sizeof(got), "%02x%02x", k.body[0], k.body[1]);
		if (strcmp(got, connack) != 0)
			fail("CONNACK %s instead of %s for %s", got, connack, hex);
		mq_need_close(m);
	}
	mq_close(m);
}

SCENARIO(1)
{
	broker_start("max_qos=1", "retain_available=false");
	refused("10 0d 0004 4d515454 06 02 003c 00 0000", "0084"); /* version 6 */
	refused("10 0c 0004 4d515454 03 02 003c 0000", "0001");    /* "MQTT" with level 3 */
	refused("10 0c 0004 4d515458 04 02 003c 0000", "0001");    /* "MQTX" */
	refused("10 0d 0004 4d515454 05 03 003c 00 0000", "0081"); /* reserved flag */
	refused("10 0c 0004 4d515454 04 03 003c 0000", NULL);      /* 3.1.1: no CONNACK */
	refused("10 0c 0004 4d515454 04 00 003c 0000", "0002");    /* empty id, clean session 0 */
	refused("10 17 0004 4d515454 05 02 003c 0a 15 0007 504c41494e2d31 0000",
	    "008c"); /* authentication method */
	refused(
	    "10 14 0004 4d515454 05 16 003c 00 0000 00 0001 74 0001 78", "009b"); /* will QoS 2 */
	refused(
	    "10 14 0004 4d515454 05 26 003c 00 0000 00 0001 74 0001 78", "009a"); /* will retain */
	refused("c000", NULL);                                                    /* not CONNECT */
	refused("10 0f 0004 4d515454 05 02 003c 02 2700 0000", "0081"); /* property cut short */
	check(broker_counter("connects__refused_version") == 3);
}
