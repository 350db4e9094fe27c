#include "tests/lib/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct wire_packet
decoded(int version, const char *hex)
{
	struct wire_packet k;

	wire_decode(version, wire_bytes(version, "x", hex), &k);
	return k;
}

static void
what_no_server_may_send_is_bad(void)
{
	static const struct {
		int version;
		const char *hex;
	} bad[] = {
		{ 5, "d001" },
		{ 5, "d101 00" },
		{ 5, "d08000" },
		{ 5, "d08080808000" },
		{ 5, "1000" },
		{ 5, "c000" },
		{ 5, "0000" },
		{ 5, "3000" },
		{ 5, "3003 0001 61" }, /* no length of properties */
		{ 5, "3005 0002 61c3 00" },
		{ 5, "3004 0001 00 00" },
		{ 5, "3006 0003 eda080 00" },
		{ 5, "3606 0001 61 0001 00" },     /* QoS 3 */
		{ 5, "3804 0001 61 00" },          /* DUP with QoS 0 */
		{ 5, "3206 0001 61 0000 00" },     /* identifier 0 */
		{ 5, "3006 0001 61 02 2400" },     /* a property of CONNACK */
		{ 5, "3008 0001 61 04 01000100" }, /* one twice */
		{ 5, "3006 0001 61 02 7f00" },
		{ 5, "3006 0001 61 02 0300" },
		{ 5, "4001 00" },
		{ 5, "4005 0001 00 00 00" },
		{ 5, "6002 0001" },
		{ 5, "9003 0001 00" },
		{ 5, "b003 0001 00" },
		{ 5, "2002 0000" },
		{ 4, "e000" },
		{ 4, "f000" },
		{ 4, "9002 0001" },
		{ 4, "b003 0001 00" },
		{ 4, "4003 0001 00" },
		{ 4, "2003 0000 00" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wire_packet k = decoded(bad[i].version, bad[i].hex);

		if (k.bad == NULL)
			printf("taken: %s\n", bad[i].hex);
		CU_ASSERT_PTR_NOT_NULL(k.bad);
	}
	wire_forget();
}

static void
fields_of_a_message_are_read(void)
{
	struct wire_packet k =
	    decoded(5, "3d 18 0003 612f62 1234 0e 0101 0b8001 0b02 26 0001 6e 0001 76 6869");

	CU_ASSERT_PTR_NULL_FATAL(k.bad);
	CU_ASSERT_EQUAL(k.type, PUBLISH);
	CU_ASSERT(k.dup && k.retain);
	CU_ASSERT_EQUAL(k.qos, 2);
	CU_ASSERT_EQUAL(k.id, 0x1234);
	CU_ASSERT(span_eq(k.topic, span_str("a/b")));
	CU_ASSERT(span_eq(k.payload, span_str("hi")));
	CU_ASSERT_EQUAL_FATAL(k.nprops, 4);
	CU_ASSERT_EQUAL(wire_find(&k, SUBSCRIPTION_ID)->number, 128);
	CU_ASSERT_EQUAL(k.prop[2].number, 2);
	CU_ASSERT(span_eq(wire_find(&k, USER_PROPERTY)->text, span_str("n")));
	CU_ASSERT(span_eq(wire_find(&k, USER_PROPERTY)->value, span_str("v")));
	CU_ASSERT_PTR_NULL(wire_find(&k, CONTENT_TYPE));
	wire_forget();
}

static void
what_is_left_out_has_its_default(void)
{
	CU_ASSERT_EQUAL(decoded(5, "4002 0007").reason, 0);
	CU_ASSERT_EQUAL(decoded(5, "4003 0007 10").reason, 0x10);
	CU_ASSERT_EQUAL(decoded(5, "e000").reason, 0);
	CU_ASSERT_EQUAL(decoded(5, "d000").reason, -1);
	CU_ASSERT_PTR_NULL(decoded(5, "2002 0001").bad); /* to a client of an unknown version */
	CU_ASSERT_PTR_NULL(decoded(4, "b002 0007").bad);
	wire_forget();
}

static void
each_letter_is_a_field(void)
{
	struct span made = wire_make(5, 0x82, "12 4v sb x rp", 1, 0x203, 0x4050607, 200, "ab",
	    span_str("c"), "0a 0B", span_str("raw"), wire_props("12", RECEIVE_MAX, 5));
	struct span right = wire_bytes(
	    5, "x", "82 19 01 0203 04050607 c801 0002 6162 0001 63 0a0b 726177 03 21 0005");

	CU_ASSERT(span_eq(made, right));
	CU_ASSERT_EQUAL(wire_length(made), made.len);
	CU_ASSERT_EQUAL(wire_length(span_of(made.p, made.len - 1)), 0);
	CU_ASSERT_EQUAL(wire_length(wire_bytes(5, "x", "30ffffffff")), SIZE_MAX);
	CU_ASSERT_EQUAL(wire_bytes(4, "1p", 1, wire_props("12", RECEIVE_MAX, 5)).len, 1);
	wire_forget();
}

static void
connect_has_what_was_asked_for(void)
{
	struct wire_connect o = { .id = "me",
		.keep_alive = 10,
		.will_topic = "w",
		.will_payload = span_str("bye"),
		.will_qos = 1,
		.will_retain = true,
		.user = "u",
		.flip = 1 };

	CU_ASSERT(span_eq(wire_make_connect(4, &o),
	    wire_bytes(
		4, "x", "10 19 0004 4d515454 04 af 000a 0002 6d65 0001 77 0003 627965 0001 75")));
	wire_forget();
}

static void
packets_are_read_whole_and_in_order(void)
{
	struct span bytes = wire_bytes(5, "x", "d000 4002 0007 e00182 30");
	struct wire_packet k;
	struct wire w = { .version = 5 };
	struct wire_end e;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	w.fd = fd[0];
	CU_ASSERT_EQUAL(wire_read(&w, 0, &k), WIRE_NOTHING);
	CU_ASSERT_EQUAL(send(fd[1], bytes.p, bytes.len, 0), (ssize_t)bytes.len);
	CU_ASSERT_EQUAL(wire_read(&w, 1000, &k), WIRE_PACKET);
	CU_ASSERT_EQUAL(k.type, PINGRESP);
	wire_unread(&w, k.raw);
	CU_ASSERT_EQUAL(wire_read(&w, 1000, &k), WIRE_PACKET);
	CU_ASSERT_EQUAL(k.type, PINGRESP);
	shutdown(fd[1], SHUT_WR);
	e = wire_read_end(&w, 1000); /* what is left of a packet is none */
	CU_ASSERT(e.closed);
	CU_ASSERT_EQUAL(e.last, DISCONNECT);
	CU_ASSERT_EQUAL(e.reason, 0x82);
	CU_ASSERT_EQUAL(e.others, 1);
	bytes_free(&w.in);
	close(fd[1]);
	wire_forget();
}

UNIT_MAIN("tests/conformance/wire", TEST(what_no_server_may_send_is_bad),
    TEST(fields_of_a_message_are_read), TEST(what_is_left_out_has_its_default),
    TEST(each_letter_is_a_field), TEST(connect_has_what_was_asked_for),
    TEST(packets_are_read_whole_and_in_order))
