import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttClientBuilder;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.datatypes.MqttUtf8String;
import com.hivemq.client.mqtt.mqtt3.Mqtt3AsyncClient;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3ConnAckException;
import com.hivemq.client.mqtt.mqtt3.exceptions.Mqtt3SubAckException;
import com.hivemq.client.mqtt.mqtt3.message.connect.Mqtt3Connect;
import com.hivemq.client.mqtt.mqtt3.message.publish.Mqtt3Publish;
import com.hivemq.client.mqtt.mqtt5.Mqtt5AsyncClient;
import com.hivemq.client.mqtt.mqtt5.datatypes.Mqtt5UserProperties;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5ConnAckException;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5DisconnectException;
import com.hivemq.client.mqtt.mqtt5.exceptions.Mqtt5SubAckException;
import com.hivemq.client.mqtt.mqtt5.message.connect.Mqtt5Connect;
import com.hivemq.client.mqtt.mqtt5.message.connect.connack.Mqtt5ConnAck;
import com.hivemq.client.mqtt.mqtt5.message.disconnect.Mqtt5DisconnectReasonCode;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5PayloadFormatIndicator;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5PublishResult;
import com.hivemq.client.mqtt.mqtt5.message.publish.puback.Mqtt5PubAckReasonCode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Shows with HiveMQ's client what ../README.md lists: Client PORT VERSION.
 *
 * The library has a family of types for each version; a Link is either. It doesn't let go of its socket, so who is to be cut off
 * connects through a relay. Topic aliases and subscription identifiers it uses by itself and tells nobody: they are in play here,
 * but can't be seen. Nor can DUP.
 */
public final class Client {
	static final int DEADLINE_S = 60;
	static final int MESSAGES = 20;
	static final int LARGE = 1_000_000;
	/** The broker's longest keep alive is 4 s, and it waits half as long again. */
	static final int KEEP_ALIVE = 4;
	static final int QUIET_S = 7;

	static int port;
	static int version;

	record Message(String topic, byte[] payload, int qos, boolean retain, Mqtt5Publish v5) {
		String text() {
			return new String(payload, StandardCharsets.UTF_8);
		}
	}

	record Terms(String id, boolean resume, long expiry, int keepAlive, int port, String will) {
		static Terms of(String role) {
			return new Terms("hivemq-" + version + "-" + role, false, 0, KEEP_ALIVE, Client.port, null);
		}

		static Terms kept(String role, long expiry) {
			return new Terms(of(role).id, true, expiry, KEEP_ALIVE, Client.port, null);
		}
	}

	static void check(boolean ok, String what) {
		if (!ok) {
			throw new AssertionError(what);
		}
	}

	static <T> T await(CompletableFuture<T> f) throws Exception {
		return f.get(DEADLINE_S, TimeUnit.SECONDS);
	}

	/** What a future fails with, which it has to. */
	static <E extends Throwable> E failure(CompletableFuture<?> f, Class<E> type) throws Exception {
		try {
			await(f);
		} catch (ExecutionException e) {
			return type.cast(e.getCause());
		}
		throw new AssertionError("not refused");
	}

	static final class Link {
		final BlockingQueue<Message> got = new LinkedBlockingQueue<>();
		final CompletableFuture<Throwable> lost = new CompletableFuture<>();
		final Terms terms;
		Mqtt3AsyncClient v3;
		Mqtt5AsyncClient v5;
		boolean present;
		Mqtt5ConnAck told;

		Link(Terms terms) {
			this.terms = terms;
			MqttClientBuilder b = MqttClient.builder()
				.serverHost("127.0.0.1")
				.serverPort(terms.port)
				.addDisconnectedListener(c -> lost.complete(c.getCause()));
			if (terms.id != null) {
				b = b.identifier(terms.id);
			}
			if (version == 5) {
				v5 = b.useMqttVersion5().buildAsync();
				v5.publishes(MqttGlobalPublishFilter.ALL, p -> got.add(new Message(
					p.getTopic().toString(), p.getPayloadAsBytes(), p.getQos().getCode(), p.isRetain(), p)));
			} else {
				v3 = b.useMqttVersion3().buildAsync();
				v3.publishes(MqttGlobalPublishFilter.ALL, p -> got.add(new Message(
					p.getTopic().toString(), p.getPayloadAsBytes(), p.getQos().getCode(), p.isRetain(), null)));
			}
		}

		CompletableFuture<?> start() {
			if (version == 5) {
				var c = Mqtt5Connect.builder().cleanStart(!terms.resume).keepAlive(terms.keepAlive);
				c = c.sessionExpiryInterval(terms.expiry).restrictions().topicAliasMaximum(4).applyRestrictions();
				if (terms.will != null) {
					c = c.willPublish(Mqtt5Publish.builder()
						.topic(terms.will).payload("gone".getBytes()).qos(MqttQos.AT_LEAST_ONCE).build());
				}
				return v5.connect(c.build()).thenAccept(a -> {
					told = a;
					present = a.isSessionPresent();
				});
			}
			var c = Mqtt3Connect.builder().cleanSession(!terms.resume).keepAlive(terms.keepAlive);
			if (terms.will != null) {
				c = c.willPublish(Mqtt3Publish.builder()
					.topic(terms.will).payload("gone".getBytes()).qos(MqttQos.AT_LEAST_ONCE).build());
			}
			return v3.connect(c.build()).thenAccept(a -> present = a.isSessionPresent());
		}

		static Link connect(Terms terms) throws Exception {
			Link l = new Link(terms);
			await(l.start());
			return l;
		}

		void leave() throws Exception {
			await(version == 5 ? v5.disconnect() : v3.disconnect());
		}

		CompletableFuture<?> trySubscribe(String filter, int qos) {
			MqttQos q = MqttQos.fromCode(qos);
			return version == 5
				? v5.subscribeWith().topicFilter(filter).qos(q).send().thenAccept(a ->
					check(a.getReasonCodes().get(0).getCode() == qos, "granted " + a))
				: v3.subscribeWith().topicFilter(filter).qos(q).send().thenAccept(a ->
					check(a.getReturnCodes().get(0).getCode() == qos, "granted " + a));
		}

		void subscribe(String filter, int qos) throws Exception {
			await(trySubscribe(filter, qos));
		}

		void unsubscribe(String filter) throws Exception {
			CompletableFuture<?> done = version == 5
				? v5.unsubscribeWith().topicFilter(filter).send()
				: v3.unsubscribeWith().topicFilter(filter).send();
			await(done);
		}

		/** Returns when it is acknowledged. */
		void publish(String topic, byte[] payload, int qos, boolean retain) throws Exception {
			MqttQos q = MqttQos.fromCode(qos);
			if (version == 5) {
				publish(Mqtt5Publish.builder().topic(topic).payload(payload).qos(q).retain(retain).build());
			} else {
				await(v3.publish(Mqtt3Publish.builder().topic(topic).payload(payload).qos(q).retain(retain).build()));
			}
		}

		Mqtt5PublishResult publish(Mqtt5Publish p) throws Exception {
			Mqtt5PublishResult r = await(v5.publish(p));
			check(r.getError().isEmpty(), "published");
			return r;
		}

		void publish(String topic, String text, int qos) throws Exception {
			publish(topic, text.getBytes(), qos, false);
		}

		Message next() throws Exception {
			Message m = got.poll(DEADLINE_S, TimeUnit.SECONDS);
			check(m != null, "a message");
			return m;
		}

		Message expect(String topic, String text, int qos, boolean retain) throws Exception {
			Message m = next();
			check(m.topic.equals(topic) && m.text().equals(text) && m.qos == qos && m.retain == retain,
				"expected " + topic + " " + text + ", got " + m + " " + m.text());
			return m;
		}
	}

	static String name(String rest) {
		return "hivemq/" + version + "/" + rest;
	}

	static void shown(String row) {
		System.out.println("shown " + row);
	}

	static void qos(Link pub) throws Exception {
		Link sub = Link.connect(Terms.of("qos"));
		check(!sub.present, "no session");
		for (int qos = 0; qos < 3; qos++) {
			String topic = name("qos" + qos);
			sub.subscribe(topic, qos);
			for (int i = 0; i < MESSAGES; i++) {
				pub.publish(topic, "" + i, qos);
			}
			for (int i = 0; i < MESSAGES; i++) {
				sub.expect(topic, "" + i, qos, false);
			}
			shown("qos" + qos);
		}
		sub.leave();
		shown("connect");
	}

	static void filters(Link pub) throws Exception {
		Link sub = Link.connect(Terms.of("filters"));
		sub.subscribe(name("f/+/c"), 1);
		sub.subscribe(name("g/#"), 1);
		pub.publish(name("f/b/d"), "no", 1);
		pub.publish(name("f/b/b/c"), "no", 1);
		for (String rest : new String[] {"f/b/c", "g", "g/x/y"}) {
			pub.publish(name(rest), rest, 1);
			sub.expect(name(rest), rest, 1, false);
		}
		shown("wildcards");

		sub.unsubscribe(name("g/#"));
		pub.publish(name("g/x/y"), "no", 1);
		pub.publish(name("f/b/c"), "after", 1);
		sub.expect(name("f/b/c"), "after", 1, false);
		sub.leave();
		shown("unsubscribe");
	}

	static void retained(Link pub) throws Exception {
		Link sub = Link.connect(Terms.of("retained"));
		pub.publish(name("kept"), "kept".getBytes(), 1, true);
		sub.subscribe(name("kept"), 1);
		sub.expect(name("kept"), "kept", 1, true);
		pub.publish(name("kept"), new byte[0], 1, true);
		sub.expect(name("kept"), "", 1, false);
		sub.subscribe(name("kept"), 1); // again: it would come now
		pub.publish(name("kept"), "plain", 1);
		sub.expect(name("kept"), "plain", 1, false);
		sub.leave();
		shown("retained");
	}

	/** Between a client and the broker, until it is cut. */
	static final class Relay {
		final ServerSocket listening = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
		final CompletableFuture<Socket> client = new CompletableFuture<>();

		Relay() throws IOException {
			new Thread(() -> {
				try (Socket near = listening.accept(); Socket far = new Socket("127.0.0.1", port)) {
					client.complete(near);
					Thread back = new Thread(() -> pump(far, near));
					back.start();
					pump(near, far);
				} catch (IOException e) {
					client.completeExceptionally(e);
				}
			}).start();
		}

		static void pump(Socket from, Socket to) {
			try {
				from.getInputStream().transferTo(to.getOutputStream());
			} catch (IOException e) {
				// it was cut
			}
		}

		void cut() throws Exception {
			await(client).close();
			listening.close();
		}
	}

	static void will() throws Exception {
		Link sub = Link.connect(Terms.of("heir"));
		sub.subscribe(name("will"), 1);
		Relay relay = new Relay();
		Terms t = Terms.of("victim");
		Link.connect(new Terms(t.id, false, 0, KEEP_ALIVE, relay.listening.getLocalPort(), name("will")));
		relay.cut();
		sub.expect(name("will"), "gone", 1, false);
		sub.leave();
		shown("will");
	}

	static void takeover() throws Exception {
		Link older = Link.connect(Terms.of("same"));
		Link newer = Link.connect(Terms.of("same"));
		Throwable why = await(older.lost);
		shown("takeover");
		if (version == 5) {
			var d = ((Mqtt5DisconnectException) why).getMqttMessage();
			check(d.getReasonCode() == Mqtt5DisconnectReasonCode.SESSION_TAKEN_OVER, "" + d);
			shown("takeover-reason");
		}
		newer.leave();
	}

	static void resume(Link pub) throws Exception {
		Terms kept = Terms.kept("keeper", 1000);
		Link c = Link.connect(kept);
		check(!c.present, "no session yet");
		c.subscribe(name("queue"), 2);
		c.leave();
		for (int i = 0; i < MESSAGES; i++) {
			pub.publish(name("queue"), "" + i, i < MESSAGES / 2 ? 1 : 2);
		}
		c = Link.connect(kept);
		check(c.present, "the session is there");
		for (int i = 0; i < MESSAGES; i++) {
			c.expect(name("queue"), "" + i, i < MESSAGES / 2 ? 1 : 2, false);
		}
		c.leave();
		c = Link.connect(Terms.of("keeper"));
		check(!c.present, "a clean start");
		c.leave();
		shown("resume");
	}

	static void shared(Link pub) throws Exception {
		Link[] members = new Link[2];
		for (int i = 0; i < 2; i++) {
			members[i] = Link.connect(Terms.of("member" + i));
			members[i].subscribe("$share/g/" + name("shared"), 1);
			members[i].subscribe(name("end"), 1);
		}
		for (int i = 0; i < MESSAGES; i++) {
			pub.publish(name("shared"), "" + i, 1);
		}
		pub.publish(name("end"), "end", 1);
		Set<String> seen = new HashSet<>();
		for (Link c : members) {
			int before = seen.size();
			for (Message m = c.next(); !m.text().equals("end"); m = c.next()) {
				check(seen.add(m.text()), "once");
			}
			check(seen.size() > before, "each gets some");
			c.leave();
		}
		check(seen.size() == MESSAGES, "all of them");
		shown("shared");
	}

	static void large(Link pub) throws Exception {
		Link sub = Link.connect(Terms.of("large"));
		byte[] payload = new byte[LARGE];
		for (int i = 0; i < LARGE; i++) {
			payload[i] = (byte) (i * 31 + i / 257);
		}
		sub.subscribe(name("large"), 1);
		pub.publish(name("large"), payload, 1, false);
		check(Arrays.equals(sub.next().payload, payload), "as it was sent");
		sub.leave();
		shown("large");
	}

	static void refused(Link pub) throws Exception {
		Link c = new Link(new Terms("x".repeat(300), false, 0, KEEP_ALIVE, port, null));
		String deep = "/".repeat(300); // more levels than max_topic_levels
		if (version == 5) {
			var ack = failure(c.start(), Mqtt5ConnAckException.class).getMqttMessage();
			check(ack.getReasonCode().getCode() == 0x85, "" + ack);
			check(ack.getReasonString().equals(
				Optional.of(MqttUtf8String.of("client identifier longer than max_client_id"))), "" + ack);
			shown("reason-string");
			var sub = failure(pub.trySubscribe(deep, 1), Mqtt5SubAckException.class).getMqttMessage();
			check(sub.getReasonCodes().get(0).getCode() == 0x8f, "" + sub);
			var r = (Mqtt5PublishResult.Mqtt5Qos1Result) pub.publish(Mqtt5Publish.builder()
				.topic(name("nobody")).qos(MqttQos.AT_LEAST_ONCE).build());
			check(r.getPubAck().getReasonCode() == Mqtt5PubAckReasonCode.NO_MATCHING_SUBSCRIBERS, "" + r);
		} else {
			var ack = failure(c.start(), Mqtt3ConnAckException.class).getMqttMessage();
			check(ack.getReturnCode().getCode() == 2, "" + ack);
			var sub = failure(pub.trySubscribe(deep, 1), Mqtt3SubAckException.class).getMqttMessage();
			check(sub.getReturnCodes().get(0).getCode() == 0x80, "" + sub);
		}
		shown("refused");
	}

	static void properties(Link pub) throws Exception {
		Link sub = Link.connect(Terms.of("properties"));
		sub.subscribe(name("properties"), 2);
		Mqtt5UserProperties users = Mqtt5UserProperties.builder().add("a", "1").add("b", "2").add("a", "3").build();
		for (int qos = 0; qos < 3; qos++) {
			pub.publish(Mqtt5Publish.builder().topic(name("properties")).qos(MqttQos.fromCode(qos))
				.payload("x".getBytes()).payloadFormatIndicator(Mqtt5PayloadFormatIndicator.UTF_8)
				.contentType("text/plain").responseTopic("answer/here")
				.correlationData(new byte[] {1, 0, -1}).userProperties(users).build());
			Mqtt5Publish got = sub.expect(name("properties"), "x", qos, false).v5;
			check(got.getPayloadFormatIndicator().orElseThrow() == Mqtt5PayloadFormatIndicator.UTF_8, "format");
			check(got.getContentType().orElseThrow().toString().equals("text/plain"), "content type");
			check(got.getResponseTopic().orElseThrow().toString().equals("answer/here"), "response topic");
			check(got.getCorrelationData().orElseThrow().equals(ByteBuffer.wrap(new byte[] {1, 0, -1})), "correlation");
			check(got.getUserProperties().equals(users), "user properties");
		}
		sub.leave();
		shown("properties");
	}

	static void assignedId() throws Exception {
		Link c = Link.connect(new Terms(null, false, 0, KEEP_ALIVE, port, null));
		check(!c.told.getAssignedClientIdentifier().orElseThrow().toString().isEmpty(), "an identifier");
		c.leave();
		shown("assigned-id");
	}

	/** What takes time begins before the rest and ends after it. */
	static Link slowStart(Link pub) throws Exception {
		int keepAlive = version == 5 ? 60 : KEEP_ALIVE;
		Link quiet = Link.connect(new Terms(Terms.of("quiet").id, false, 0, keepAlive, port, null));
		quiet.subscribe(name("quiet"), 1);
		if (version == 5) {
			check(quiet.told.getServerKeepAlive().orElseThrow() == KEEP_ALIVE, "less than asked for");
			Link.connect(Terms.kept("brief", 1)).leave();
			// Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire.
			Link c = Link.connect(new Terms(Terms.of("away").id, true, 1000, KEEP_ALIVE, port, name("left")));
			c.subscribe(name("away"), 1);
			quiet.subscribe(name("left"), 1);
			await(c.v5.disconnectWith().reasonCode(Mqtt5DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE).send());
			quiet.expect(name("left"), "gone", 1, false);
			for (int expiry : new int[] {1, 1000}) {
				pub.publish(Mqtt5Publish.builder().topic(name("away")).qos(MqttQos.AT_LEAST_ONCE)
					.payload(("" + expiry).getBytes()).messageExpiryInterval(expiry).build());
			}
		}
		return quiet;
	}

	static void slowEnd(Link quiet, long sinceNs, Link pub) throws Exception {
		TimeUnit.NANOSECONDS.sleep(sinceNs + TimeUnit.SECONDS.toNanos(QUIET_S) - System.nanoTime());
		pub.publish(name("quiet"), "still here", 1);
		quiet.expect(name("quiet"), "still here", 1, false);
		quiet.leave();
		shown("keepalive");
		if (version != 5) {
			return;
		}
		shown("server-keepalive");

		Link c = Link.connect(Terms.kept("brief", 1));
		check(!c.present, "expired");
		c.leave();
		shown("session-expiry");

		c = Link.connect(Terms.kept("away", 1000));
		check(c.present, "kept");
		long left = c.expect(name("away"), "1000", 1, false).v5.getMessageExpiryInterval().orElseThrow();
		check(left > 0 && left <= 1000 - QUIET_S + 1, "less what is past: " + left);
		c.leave();
		shown("message-expiry");
	}

	public static void main(String[] args) throws Exception {
		port = Integer.parseInt(args[0]);
		version = Integer.parseInt(args[1]);
		try {
			Link pub = Link.connect(Terms.of("pub"));
			Link quiet = slowStart(pub);
			long since = System.nanoTime();
			qos(pub);
			filters(pub);
			retained(pub);
			will();
			takeover();
			resume(pub);
			shared(pub);
			large(pub);
			refused(pub);
			if (version == 5) {
				properties(pub);
				assignedId();
			}
			slowEnd(quiet, since, pub);
			pub.leave();
		} catch (Throwable e) {
			e.printStackTrace(System.out);
			System.exit(1); // past the library's threads
		}
		System.exit(0);
	}
}
