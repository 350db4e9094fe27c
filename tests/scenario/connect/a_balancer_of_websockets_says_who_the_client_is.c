#include "tests/lib/scenario.h"

#define REQUEST                                                                                    \
	"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"   \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"             \
	"Sec-WebSocket-Protocol: mqtt\r\n"

/* A frame with a mask of zeros: CONNECT of the client c. */
#define CONNECT "8290 00000000 100e 0004 4d515454 05 02 0000 00 0001 63"

static struct mq *
request(const char *headers, bool connects)
{
	struct mq *m = mq_open(0);

	mq_bytes(m, REQUEST, strlen(REQUEST));
	mq_bytes(m, headers, strlen(headers));
	mq_bytes(m, "\r\n", 2);
	if (connects)
		mq_hex(m, CONNECT);
	return m;
}

static void
comes_from(const char *headers, const char *peer)
{
	struct mq *m = request(headers, true);
	char command[200];

	snprintf(
	    command, sizeof(command), "$CTL --json client show c | grep -qF '\"peer\":\"%s'", peer);
	wait_for(broker_sh(command) == 0);
	mq_close(m);
	wait_for(ctl("client", "show", "c") != 0);
}

SCENARIO(1, 2)
{
	struct mq *blocked;

	broker_start("listener.default.type=ws");
	/* Nobody is asked for it, and somebody else is. */
	comes_from("X-Forwarded-For: 198.51.100.1\r\n", "127.0.0.1:");
	broker_reload("trusted_proxies =", "trusted_proxies = \"127.0.0.9\";");
	comes_from("X-Forwarded-For: 198.51.100.1\r\n", "127.0.0.1:");

	broker_reload("trusted_proxies =", "trusted_proxies = \"127.0.0.0/30, 192.0.2.7\";");
	comes_from("", "127.0.0.1:");
	comes_from("X-Forwarded-For: nobody\r\n", "127.0.0.1:");
	comes_from("x-forwarded-for: 203.0.113.1, 198.51.100.1\r\n", "198.51.100.1:0\"");
	comes_from("X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 2001:db8::1\r\n"
		   "X-Forwarded-For: 192.0.2.7:80\r\n",
	    "[2001:db8::1]:0\"");

	/* Blocks and limits are about who it is. */
	check(ctl("block", "add", "--address", "198.51.100.0/24") == 0);
	blocked = request("X-Forwarded-For: 198.51.100.1\r\n", true);
	mq_need_close(blocked);
	wait_for(broker_counter("refused__blocked") == 1);
	comes_from("", "127.0.0.1:");
	broker_reload("max_half_open_address =", "max_half_open_address = 2;");
	for (int i = 0; i < 3 * workers(); i++)
		request("X-Forwarded-For: 203.0.113.1\r\n", false);
	wait_for(broker_counter("refused__half_open") >= workers());
	comes_from("X-Forwarded-For: 203.0.113.2\r\n", "203.0.113.2:0\"");
	broker_reload("connect_rate_address =", "connect_rate_address = \"1:600\";");
	for (int i = 0; i < 2; i++)
		request("X-Forwarded-For: 203.0.113.3\r\n", true);
	wait_for(broker_counter("refused__address_rate") >= 1);
	comes_from("X-Forwarded-For: 203.0.113.2\r\n", "203.0.113.2:0\"");
	broker_stop();
}
