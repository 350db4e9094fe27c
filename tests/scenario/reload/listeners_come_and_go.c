#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/port.h"
#include "tests/lib/scenario.h"

static bool
answers(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return ok;
}

/* A listener is added, serves, and is removed: its clients stay, nobody new gets in, and who has not said yet who he is is told. */
SCENARIO(1, 4)
{
	struct mq *old, *second, *early;
	int port = port_free();

	check(port > 0);
	broker_start();
	old = mq_connect(.id = "old");
	check(mq_subscribe(old, "t", 1) == 1);
	/* The file ends with ");": what is appended to the list takes its place. */
	broker_reload(");", ", { name = \"second\"; port = %d; mount_point = \"m/\"; } );", port);
	wait_for(answers(port));
	second = mq_connect(.id = "second", .port = port, .expiry = 100);
	check(mq_subscribe(second, "t", 1) == 1);
	check(mq_publish(old, "m/t", "over", 1, false) == 0);
	mq_need_publish(second, "t", "over");
	mq_publish(second, "t", "back", 0, false);
	mq_need_publish(second, "t", "back");
	mq_quiet(old);
	/* Under another name it is where it was. */
	broker_reload(", { name = \"second\"", ", { name = \"renamed\"; port = %d; } );", port);
	check(answers(port));
	mq_quiet(second);
	early = mq_open(port);
	broker_reload(", { name = \"renamed\"", ");");
	wait_for(!answers(port));
	mq_hex(early, "100d 0004 4d515454 05 02 0000 00 0000");
	check(mq_need(early, 2).reason == 0x88);
	mq_need_close(early);
	mq_close(early);
	mq_quiet(second);
	check(mq_publish(old, "m/t", "still", 1, false) == 0);
	mq_need_publish(second, "t", "still");
	mq_quiet(old);
	mq_disconnect(second);
	mq_disconnect(old);
}
