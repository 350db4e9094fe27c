"""Shows with Eclipse Paho's Python client what README.md lists: paho_python.py PORT VERSION.

Aliases towards it are its user's to resolve, the server's keep alive is its user's to heed.
"""
import os
import queue
import ssl
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

PORT, VERSION = int(sys.argv[1]), int(sys.argv[2])
TRANSPORT = os.environ["TRANSPORT"]
DEADLINE = 60
MESSAGES = 20
LARGE = 1000000
# The broker's longest keep alive is 4 s, and it waits half as long again.
KEEP_ALIVE = 4
QUIET = 7


def shown(row):
    print("shown", row, flush=True)


def name(rest):
    return f"paho-python/{VERSION}/{TRANSPORT}/{rest}"


def props(packet, **values):
    """Properties of a packet; none in MQTT 3."""
    if VERSION != 5:
        return None
    p = Properties(packet)
    for key, value in values.items():
        setattr(p, key, value)
    return p


class Client:
    def __init__(self, role, resume=False, expiry=0, will=None, aliases=0, client_id=None, port=PORT, certificate=None):
        kept = {} if VERSION == 5 else {"clean_session": not resume}
        client_id = f"paho-python-{VERSION}-{TRANSPORT}-{role}" if client_id is None else client_id
        c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=VERSION, reconnect_on_failure=False,
                        transport="websockets" if TRANSPORT in ("ws", "wss") else "tcp", **kept)
        if TRANSPORT in ("tls", "wss"):
            pair = os.path.join(os.path.dirname(os.environ["CAFILE"]), certificate or "")
            c.tls_set(os.environ["CAFILE"], pair + ".crt" if certificate else None, pair + ".key" if certificate else None)
        self.c, self.kept = c, resume
        self.got, self.events, self.acked = queue.Queue(), queue.Queue(), queue.Queue()
        c.on_message = lambda c, u, m: self.got.put(m)
        c.on_connect = lambda c, u, flags, reason, p: self.events.put(("connect", reason, flags, p))
        c.on_subscribe = lambda c, u, mid, reasons, p: self.events.put(("subscribe", reasons[0]))
        c.on_unsubscribe = lambda c, u, mid, reasons, p: self.events.put(("unsubscribe",))
        c.on_disconnect = lambda c, u, flags, reason, p: self.events.put(("disconnect", reason))
        c.on_publish = lambda c, u, mid, reason, p: self.acked.put((mid, reason))
        if will:
            c.will_set(name(will), "gone", 1)
        extra = {}
        if VERSION == 5:
            wanted = props(PacketTypes.CONNECT, TopicAliasMaximum=aliases)
            if expiry:
                wanted.SessionExpiryInterval = expiry
            extra = {"clean_start": not resume, "properties": wanted}
        c.connect("127.0.0.1", port, KEEP_ALIVE, **extra)
        c.loop_start()
        _, self.reason, flags, self.told = self.event("connect")
        self.present = flags.session_present

    def event(self, kind):
        event = self.events.get(timeout=DEADLINE)
        assert event[0] == kind, event
        return event

    def leave(self, **how):
        self.c.disconnect(**how)
        self.event("disconnect")
        self.c.loop_stop()

    def subscribe(self, topic, qos, **values):
        self.c.subscribe(topic, qos, properties=props(PacketTypes.SUBSCRIBE, **values) if values else None)
        reason = self.event("subscribe")[1]
        return reason.value

    def publish(self, topic, payload, qos, retain=False, **values):
        """Returns when it is acknowledged, with the reason."""
        info = self.c.publish(topic, payload, qos, retain, props(PacketTypes.PUBLISH, **values) if values else None)
        mid, reason = self.acked.get(timeout=DEADLINE)
        assert mid == info.mid
        return reason

    def expect(self, topic, payload, qos=1, retain=False):
        """What was on its way when a client left comes again in its session."""
        m = self.got.get(timeout=DEADLINE)
        got = (m.topic, m.payload, m.qos, bool(m.retain), m.dup and not self.kept)
        assert got == (topic, payload.encode() if isinstance(payload, str) else payload, qos, retain, False), got
        return m


def connect(role, **terms):
    c = Client(role, **terms)
    assert not c.reason.is_failure, c.reason
    return c


def show_qos():
    sub = connect("qos")
    assert not sub.present
    for qos in range(3):
        topic = name(f"qos{qos}")
        assert sub.subscribe(topic, qos) == qos
        for n in range(MESSAGES):
            pub.publish(topic, str(n), qos)
        for n in range(MESSAGES):
            sub.expect(topic, str(n), qos)
        shown(f"qos{qos}")
    sub.leave()
    shown("connect")


def show_filters():
    sub = connect("filters")
    sub.subscribe(name("f/+/c"), 1)
    sub.subscribe(name("g/#"), 1)
    pub.publish(name("f/b/d"), "no", 1)
    pub.publish(name("f/b/b/c"), "no", 1)
    for rest in "f/b/c", "g", "g/x/y":
        pub.publish(name(rest), rest, 1)
        sub.expect(name(rest), rest)
    shown("wildcards")

    sub.c.unsubscribe(name("g/#"))
    sub.event("unsubscribe")
    pub.publish(name("g/x/y"), "no", 1)
    pub.publish(name("f/b/c"), "after", 1)
    sub.expect(name("f/b/c"), "after")
    sub.leave()
    shown("unsubscribe")


def show_retained():
    sub = connect("retained")
    topic = name("kept")
    pub.publish(topic, "kept", 1, retain=True)
    sub.subscribe(topic, 1)
    sub.expect(topic, "kept", retain=True)
    pub.publish(topic, b"", 1, retain=True)
    sub.expect(topic, b"")
    sub.subscribe(topic, 1)  # again: it would come now
    pub.publish(topic, "plain", 1)
    sub.expect(topic, "plain")
    sub.leave()
    shown("retained")


def show_will():
    sub = connect("heir")
    sub.subscribe(name("will"), 1)
    victim = connect("victim", will="will")
    victim.c.socket().close()  # without DISCONNECT
    sub.expect(name("will"), "gone")
    victim.c.loop_stop()
    sub.leave()
    shown("will")


def show_takeover():
    older = connect("same")
    newer = connect("same")
    reason = older.event("disconnect")[1]
    older.c.loop_stop()
    newer.leave()
    shown("takeover")
    if VERSION == 5:
        assert reason.value == 0x8E, reason
        shown("takeover-reason")


def show_resume():
    kept = {"resume": True, "expiry": 1000}
    c = connect("keeper", **kept)
    assert not c.present
    c.subscribe(name("queue"), 2)
    c.leave()
    for n in range(MESSAGES):
        pub.publish(name("queue"), str(n), 1 if n < MESSAGES / 2 else 2)
    c = connect("keeper", **kept)
    assert c.present
    for n in range(MESSAGES):
        c.expect(name("queue"), str(n), 1 if n < MESSAGES / 2 else 2)
    c.leave()
    c = connect("keeper")
    assert not c.present
    c.leave()
    shown("resume")


def show_shared():
    members = [connect(f"member{i}") for i in range(2)]
    for c in members:
        c.subscribe(f"$share/g/{name('shared')}", 1)
        c.subscribe(name("end"), 1)
    for n in range(MESSAGES):
        pub.publish(name("shared"), str(n), 1)
    pub.publish(name("end"), "end", 1)
    seen = []
    for c in members:
        before = len(seen)
        for m in iter(lambda: c.got.get(timeout=DEADLINE).payload, b"end"):
            seen.append(int(m))
        assert len(seen) > before
        c.leave()
    assert sorted(seen) == list(range(MESSAGES)), seen
    shown("shared")


def show_large():
    sub = connect("large")
    payload = bytes((i * 31 + i // 257) & 255 for i in range(LARGE))
    sub.subscribe(name("large"), 1)
    pub.publish(name("large"), payload, 1)
    assert sub.got.get(timeout=DEADLINE).payload == payload
    sub.leave()
    shown("large")


def show_refused():
    c = Client("", client_id="x" * 300)
    # For MQTT 3 too the library tells the reason by MQTT 5's numbers.
    assert c.reason.value == 0x85, c.reason
    c.c.loop_stop()
    assert pub.subscribe("/" * 300, 1) == (0x8F if VERSION == 5 else 0x80)  # more levels than max_topic_levels
    if VERSION == 5:
        assert c.told.ReasonString == "client identifier longer than max_client_id"
        shown("reason-string")
        assert pub.publish(name("nobody"), "?", 1).value == 0x10
    shown("refused")


def show_certificate():
    port = int(os.environ[f"MUTUAL_{TRANSPORT.upper()}_PORT"])
    c = connect("certified", port=port, certificate="alice")
    c.publish(name("certified"), "x", 1)
    c.leave()
    # In TLS 1.3 the client is told when it reads: so the connection ends before its CONNACK.
    for certificate in None, "stranger", "revoked", "expired", "self":
        try:
            c = Client("uncertified", port=port, certificate=certificate)
        except (ssl.SSLError, ConnectionError, mqtt.WebsocketConnectionError):
            continue
        except AssertionError as e:
            assert e.args[0][0] == "disconnect", e
            continue
        raise AssertionError(certificate)
    shown("tls-certificate")


def show_properties():
    sub = connect("properties")
    sub.subscribe(name("properties"), 2)
    sent = {
        "PayloadFormatIndicator": 1,
        "ContentType": "text/plain",
        "ResponseTopic": "answer/here",
        "CorrelationData": b"\x01\x00\xff",
        "UserProperty": [("a", "1"), ("b", "2"), ("a", "3")],
    }
    for qos in range(3):
        pub.publish(name("properties"), "x", qos, **sent)
        m = sub.expect(name("properties"), "x", qos)
        assert {key: getattr(m.properties, key) for key in sent} == sent, m.properties
    sub.leave()
    shown("properties")


def show_subscription_id():
    sub = connect("ids")
    sub.subscribe(name("id/#"), 1, SubscriptionIdentifier=7)
    sub.subscribe(name("id/2"), 1, SubscriptionIdentifier=268435455)
    pub.publish(name("id/1"), "one", 1)
    assert sub.expect(name("id/1"), "one").properties.SubscriptionIdentifier == [7]
    # Of two that overlap both are named, in one message or in two.
    pub.publish(name("id/2"), "two", 1)
    ids = sub.expect(name("id/2"), "two").properties.SubscriptionIdentifier
    if len(ids) == 1:
        ids = ids + sub.expect(name("id/2"), "two").properties.SubscriptionIdentifier
    assert sorted(ids) == [7, 268435455], ids
    sub.leave()
    shown("subscription-id")


def show_aliases():
    aliasing, sub = connect("aliases"), connect("aliased", aliases=4)
    sub.subscribe(name("alias"), 1)
    for n in range(3):
        topic = "" if n else name("alias")
        aliasing.publish(topic, str(n), 1, TopicAlias=2)
        assert sub.expect(topic, str(n)).properties.TopicAlias == 1
    sub.leave()
    aliasing.leave()
    shown("alias-out")
    shown("alias-in")


def show_assigned_id():
    c = connect("", client_id="")
    assert c.told.AssignedClientIdentifier
    c.leave()
    shown("assigned-id")


# What takes time begins before the rest and ends after it.
def slow_start():
    quiet = connect("quiet")
    quiet.subscribe(name("quiet"), 1)
    if VERSION == 5:
        connect("brief", resume=True, expiry=1).leave()
        # Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire.
        c = connect("away", resume=True, expiry=1000, will="left")
        c.subscribe(name("away"), 1)
        quiet.subscribe(name("left"), 1)
        c.leave(reasoncode=ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
        quiet.expect(name("left"), "gone")
        for expiry in 1, 1000:
            pub.publish(name("away"), str(expiry), 1, MessageExpiryInterval=expiry)
    return quiet, time.monotonic()


def slow_end(quiet, since):
    time.sleep(max(0, since + QUIET - time.monotonic()))
    pub.publish(name("quiet"), "still here", 1)
    quiet.expect(name("quiet"), "still here")
    quiet.leave()
    shown("keepalive")
    if VERSION != 5:
        return

    c = connect("brief", resume=True, expiry=1)
    assert not c.present
    c.leave()
    shown("session-expiry")

    c = connect("away", resume=True, expiry=1000)
    assert c.present
    left = c.expect(name("away"), "1000").properties.MessageExpiryInterval
    assert 0 < left <= 1000 - QUIET + 1, left
    c.leave()
    shown("message-expiry")


pub = connect("pub")
slow = slow_start()
show_qos()
show_filters()
show_retained()
show_will()
show_takeover()
show_resume()
show_shared()
show_large()
show_refused()
if TRANSPORT in ("tls", "wss"):
    show_certificate()
if VERSION == 5:
    show_properties()
    show_subscription_id()
    show_aliases()
    show_assigned_id()
slow_end(*slow)
pub.leave()
