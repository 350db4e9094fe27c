"""Connects, subscribes, publishes at each QoS, with will, retained message and session, as version 4 (3.1.1) or 5."""
import queue
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, VERSION = int(sys.argv[1]), int(sys.argv[2])
DEADLINE = 60


def client(name, resume=False, will=None):
    kept = {} if VERSION == 5 else {"clean_session": not resume}
    c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"{name}{VERSION}", protocol=VERSION, **kept)
    c.got, c.events = queue.Queue(), queue.Queue()
    c.on_message = lambda c, u, m: c.got.put(m)
    c.on_connect = lambda c, u, flags, reason, props: c.events.put(("connect", reason, flags))
    c.on_subscribe = lambda c, u, mid, reasons, props: c.events.put(("subscribe", reasons[0]))
    c.on_disconnect = lambda c, u, flags, reason, props: c.events.put(("disconnect", reason))
    if will:
        c.will_set(*will)
    extra = {}
    if VERSION == 5:
        props = Properties(PacketTypes.CONNECT)
        if resume:
            props.SessionExpiryInterval = 1000
        extra = {"clean_start": not resume, "properties": props}
    c.connect("127.0.0.1", PORT, 60, **extra)
    c.loop_start()
    event = c.events.get(timeout=DEADLINE)
    assert event[0] == "connect" and not event[1].is_failure, event
    c.present = event[2].session_present
    return c


def subscribe(c, topic, qos):
    c.subscribe(topic, qos)
    event = c.events.get(timeout=DEADLINE)
    assert event[0] == "subscribe" and event[1].value == qos, event


def leave(c):
    c.disconnect()
    assert c.events.get(timeout=DEADLINE)[0] == "disconnect"
    c.loop_stop()


sub, pub = client("sub"), client("pub")
subscribe(sub, f"paho/{VERSION}/#", 2)
for qos in range(3):
    for n in range(20):
        if VERSION == 5:
            props = Properties(PacketTypes.PUBLISH)
            props.UserProperty = [("a", str(n)), ("b", "2"), ("a", "3")]
            props.ResponseTopic, props.CorrelationData, props.ContentType = "answer", b"\x00\x01", "text"
        info = pub.publish(f"paho/{VERSION}/{qos}", f"{n}", qos, properties=props if VERSION == 5 else None)
        info.wait_for_publish(DEADLINE)
    for n in range(20):
        m = sub.got.get(timeout=DEADLINE)
        assert (m.topic, m.payload, m.qos, m.dup) == (f"paho/{VERSION}/{qos}", str(n).encode(), qos, False), m
        if VERSION == 5:
            assert m.properties.UserProperty == [("a", str(n)), ("b", "2"), ("a", "3")]
            assert (m.properties.ResponseTopic, m.properties.CorrelationData) == ("answer", b"\x00\x01")

pub.publish(f"kept/{VERSION}", "kept", 1, retain=True).wait_for_publish(DEADLINE)
subscribe(sub, f"kept/{VERSION}", 1)
m = sub.got.get(timeout=DEADLINE)
assert m.retain and m.payload == b"kept"
pub.publish(f"kept/{VERSION}", b"", 1, retain=True).wait_for_publish(DEADLINE)
sub.got.get(timeout=DEADLINE)

victim = client("victim", will=(f"paho/{VERSION}/will", "gone", 1))
victim.socket().close()  # without DISCONNECT
m = sub.got.get(timeout=DEADLINE)
assert m.payload == b"gone", m.payload
victim.loop_stop()

keeper = client("keeper", resume=True)
subscribe(keeper, f"queue/{VERSION}", 1)
leave(keeper)
for n in range(10):
    pub.publish(f"queue/{VERSION}", f"{n}", 1).wait_for_publish(DEADLINE)
keeper = client("keeper", resume=True)
assert keeper.present
for n in range(10):
    assert keeper.got.get(timeout=DEADLINE).payload == str(n).encode()
leave(keeper)

older = client("same")
newer = client("same")
event = older.events.get(timeout=DEADLINE)
assert event[0] == "disconnect", event
older.loop_stop()
for c in (newer, sub, pub):
    leave(c)
