/* MQTT over WebSocket (6 of the standard). */
#include "tests/conformance/check.h"
#include "tests/lib/websocket.h"

static void
needs_websocket(void)
{
	if (!wire_is_websocket())
		not_applicable("not over WebSocket");
}

CHECK("5:6.0.0-1 4:6.0.0-1", "ws-open ws-text")
{
	struct wire *sub, *w;
	struct span letters;
	struct wire_end e;

	needs_websocket();
	sub = join(.id = id("sub"));
	subscribe(sub, T("a"), 0);
	/* All of it is UTF-8, so nothing is wrong but what the frame calls it. */
	letters = make_message(0, &(struct wire_message){ .topic = T("a"), .text = "a" });
	w = join(.id = id("w"));
	wire_send_frame(w, WS_FIN | WS_TEXT, letters);
	e = wire_read_end(w, patience_ms);
	demand(e.bad == NULL, "%s", e.bad);
	demand(e.closed, "the connection stays open behind a text frame");
	gets_no_more(sub, join(.id = id("pub")), 0);
}

CHECK("5:6.0.0-2 4:6.0.0-2", "ws-mute")
{
	struct span empty = wire_bytes(version, ""), both;
	const char *topic;
	struct wire *w;

	needs_websocket();
	topic = T("a");
	w = dial();
	wire_send_pieces(w, wire_make_connect(version, &(struct wire_connect){ .id = id("w") }), 1);
	demand(need(w, CONNACK).reason == 0, "refused");
	subscribe(w, topic, 0);
	/* A message of several frames, of which none ends where a packet does; others come between them, and some are empty. */
	both = wire_bytes(version, "rr",
	    make_message(0, &(struct wire_message){ .topic = topic, .text = "1" }),
	    make_message(0, &(struct wire_message){ .topic = topic, .text = "2" }));
	wire_send_frame(w, WS_BINARY, span_of(both.p, 3));
	wire_send_frame(w, WS_CONTINUATION, empty);
	wire_send_frame(w, WS_FIN | WS_PING, span_str("here?"));
	wire_send_frame(w, WS_CONTINUATION, span_of(both.p + 3, both.len - 4));
	wire_send_frame(w, WS_FIN | WS_PONG, empty);
	wire_send_frame(w, WS_FIN | WS_CONTINUATION, span_of(both.p + both.len - 1, 1));
	wire_send_frame(w, WS_FIN | WS_BINARY, empty);
	gets(w, topic, "1");
	gets(w, topic, "2");
	quiet(w);
}

CHECK("5:6.0.0-3 4:6.0.0-3", "ws-any")
{
	struct wire *w;

	needs_websocket();
	/* Who agrees to that will not speak MQTT. */
	w = wire_open_as(target_host, target_port, version, "chat");
	demand(w == NULL, "a client that offers chat alone is told that chat it is");
}

CHECK("5:6.0.0-4 4:6.0.0-4", "ws-other")
{
	needs_websocket();
	leave(join(.id = id("w"))); /* it has looked at the answer */
}
