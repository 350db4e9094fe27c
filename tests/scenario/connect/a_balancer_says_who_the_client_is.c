#include "tests/lib/scenario.h"

#define CONNECT "100e 0004 4d515454 05 02 0000 00 0001 63"

static bool
is_peer(const char *peer)
{
	char want[100];

	snprintf(want, sizeof(want), "\"peer\":\"%s", peer);
	return strstr(ctl_text("--json", "client", "show", "c"), want) != NULL;
}

/* Both versions, a header that comes byte by byte, and none. */
SCENARIO(1, 2)
{
	static const char text[] = "PROXY TCP4 192.0.2.7 192.0.2.2 5555 1883\r\n";
	struct mq *m;

	broker_start("listener.default.proxy_protocol=true", "max_half_open_address=2");
	m = mq_open(0);
	mq_bytes(m, text, strlen(text));
	mq_hex(m, CONNECT);
	check(mq_need(m, 2).reason == 0);
	check(is_peer("192.0.2.7:5555\""));
	mq_close(m);

	m = mq_open(0);
	mq_hex(m,
	    "0d0a0d0a000d0a515549540a 21 21 0024 20010db8000000000000000000000001 "
	    "20010db8000000000000000000000002 0001 01bb " CONNECT);
	check(mq_need(m, 2).reason == 0);
	check(is_peer("[2001:db8::1]:1\""));
	mq_close(m);

	/* Waiting for the rest costs nothing. */
	m = mq_open(0);
	for (size_t i = 0; i < strlen(text); i++) {
		mq_bytes(m, text + i, 1);
		nap();
	}
	mq_hex(m, CONNECT);
	check(mq_need(m, 2).reason == 0);
	mq_close(m);

	/* The balancer itself: its own address. */
	m = mq_open(0);
	mq_hex(m, "0d0a0d0a000d0a515549540a 20 00 0000 " CONNECT);
	check(mq_need(m, 2).reason == 0);
	check(is_peer("127.0.0.1:"));
	mq_close(m);

	m = mq_open(0);
	mq_hex(m, CONNECT);
	mq_need_close(m);
	wait_for(broker_counter("ends__proxy") == 1);

	/* Limits are those of who it is. */
	for (int i = 0; i < 3 * workers(); i++) {
		m = mq_open(0);
		mq_bytes(m, text, strlen(text));
	}
	wait_for(broker_counter("refused__half_open") >= workers());
	broker_stop();
}
