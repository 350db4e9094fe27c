// Shows with Eclipse Paho's Go client what ../README.md lists: main PORT VERSION. It speaks MQTT 5 only, and leaves aliases
// towards it to its user.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
)

const (
	deadline = 60 * time.Second
	messages = 20
	large    = 1000000
	// The broker's longest keep alive is 4 s, and it waits half as long again.
	serverKeepAlive = 4
	quietTime       = 7 * time.Second
)

var address string

func fail(format string, args ...any) {
	_, _, line, _ := runtime.Caller(2)
	fmt.Printf("main.go:%d: %s\n", line, fmt.Sprintf(format, args...))
	os.Exit(1)
}

func check(ok bool, what string) {
	if !ok {
		fail("%s", what)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		fail("%v", err)
	}
	return v
}

func shown(row string) { fmt.Println("shown", row) }

func name(rest string) string { return "paho-go/" + rest }

func in(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	time.AfterFunc(limit, cancel)
	return ctx
}

type terms struct {
	id        *string // whole, if it isn't to be made of the role
	session   session.SessionManager
	expiry    uint32
	aliases   uint16
	keepAlive uint16
	will      *paho.WillMessage
}

type client struct {
	*paho.Client
	conn net.Conn
	kept bool
	ack  *paho.Connack
	got  chan *paho.Publish
	told chan byte // the reason of a DISCONNECT
}

func start(role string, t terms) (*client, error) {
	conn := must(net.Dial("tcp", address))
	c := &client{conn: conn, kept: t.session != nil, got: make(chan *paho.Publish, 64), told: make(chan byte, 1)}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn:          conn,
		Session:       t.session,
		PacketTimeout: deadline,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(m paho.PublishReceived) (bool, error) {
			c.got <- m.Packet
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) { c.told <- d.ReasonCode },
		OnClientError:      func(error) {},
	})
	id := "paho-go-" + role
	if t.id != nil {
		id = *t.id
	}
	props := &paho.ConnectProperties{}
	if t.expiry > 0 {
		props.SessionExpiryInterval = &t.expiry
	}
	if t.aliases > 0 {
		props.TopicAliasMaximum = &t.aliases
	}
	var err error
	c.ack, err = c.Connect(in(deadline), &paho.Connect{
		ClientID:    id,
		KeepAlive:   max(t.keepAlive, serverKeepAlive),
		CleanStart:  t.session == nil,
		Properties:  props,
		WillMessage: t.will,
	})
	return c, err
}

func connect(role string, t terms) *client { return must(start(role, t)) }

func (c *client) leave() { c.leaveWith(0) }

func (c *client) leaveWith(reason byte) {
	must(0, c.Disconnect(&paho.Disconnect{ReasonCode: reason}))
	<-c.Done()
}

func (c *client) subscribe(filter string, qos byte, id int) {
	s := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}}
	if id > 0 {
		s.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: &id}
	}
	ack := must(c.Subscribe(in(deadline), s))
	if len(ack.Reasons) != 1 || ack.Reasons[0] != qos {
		fail("granted %v", ack.Reasons)
	}
}

func (c *client) publish(topic, text string, qos byte) *paho.PublishResponse {
	return must(c.Publish(in(deadline), &paho.Publish{Topic: topic, Payload: []byte(text), QoS: qos}))
}

func (c *client) next() *paho.Publish {
	select {
	case m := <-c.got:
		return m
	case <-time.After(deadline):
		fail("no message")
		return nil
	}
}

// What was on its way when a client left comes again in its session.
func (c *client) expect(topic, text string, qos byte, retain bool) *paho.Publish {
	m := c.next()
	if m.Topic != topic || string(m.Payload) != text || m.QoS != qos || m.Retain != retain || m.Duplicate() && !c.kept {
		fail("expected %s %q qos %d retain %v, got %v", topic, text, qos, retain, m)
	}
	return m
}

func showQos(pub *client) {
	sub := connect("qos", terms{})
	check(!sub.ack.SessionPresent, "no session")
	for qos := byte(0); qos < 3; qos++ {
		topic := name(fmt.Sprintf("qos%d", qos))
		sub.subscribe(topic, qos, 0)
		for i := 0; i < messages; i++ {
			pub.publish(topic, strconv.Itoa(i), qos)
		}
		for i := 0; i < messages; i++ {
			sub.expect(topic, strconv.Itoa(i), qos, false)
		}
		shown(fmt.Sprintf("qos%d", qos))
	}
	sub.leave()
	shown("connect")
}

func showFilters(pub *client) {
	sub := connect("filters", terms{})
	sub.subscribe(name("f/+/c"), 1, 0)
	sub.subscribe(name("g/#"), 1, 0)
	pub.publish(name("f/b/d"), "no", 1)
	pub.publish(name("f/b/b/c"), "no", 1)
	for _, rest := range []string{"f/b/c", "g", "g/x/y"} {
		pub.publish(name(rest), rest, 1)
		sub.expect(name(rest), rest, 1, false)
	}
	shown("wildcards")

	ack := must(sub.Unsubscribe(in(deadline), &paho.Unsubscribe{Topics: []string{name("g/#"), name("never")}}))
	check(bytes.Equal(ack.Reasons, []byte{0, 0x11}), "one was there, the other wasn't")
	pub.publish(name("g/x/y"), "no", 1)
	pub.publish(name("f/b/c"), "after", 1)
	sub.expect(name("f/b/c"), "after", 1, false)
	sub.leave()
	shown("unsubscribe")
}

func showRetained(pub *client) {
	sub := connect("retained", terms{})
	keep := func(text string) {
		must(pub.Publish(in(deadline), &paho.Publish{Topic: name("kept"), Payload: []byte(text), QoS: 1, Retain: true}))
	}
	keep("kept")
	sub.subscribe(name("kept"), 1, 0)
	sub.expect(name("kept"), "kept", 1, true)
	keep("")
	sub.expect(name("kept"), "", 1, false)
	sub.subscribe(name("kept"), 1, 0) // again: it would come now
	pub.publish(name("kept"), "plain", 1)
	sub.expect(name("kept"), "plain", 1, false)
	sub.leave()
	shown("retained")
}

func showWill() {
	sub := connect("heir", terms{})
	sub.subscribe(name("will"), 1, 0)
	victim := connect("victim", terms{will: &paho.WillMessage{Topic: name("will"), Payload: []byte("gone"), QoS: 1}})
	must(0, victim.conn.Close())
	sub.expect(name("will"), "gone", 1, false)
	sub.leave()
	shown("will")
}

func showTakeover() {
	older := connect("same", terms{})
	newer := connect("same", terms{})
	select {
	case reason := <-older.told:
		check(reason == 0x8e, "session taken over")
	case <-time.After(deadline):
		fail("nobody told")
	}
	<-older.Done()
	newer.leave()
	shown("takeover")
	shown("takeover-reason")
}

func showResume(pub *client) {
	kept := terms{session: state.NewInMemory(), expiry: 1000}
	c := connect("keeper", kept)
	check(!c.ack.SessionPresent, "no session yet")
	c.subscribe(name("queue"), 2, 0)
	c.leave()
	qos := func(i int) byte { return byte(1 + 2*i/messages) }
	for i := 0; i < messages; i++ {
		pub.publish(name("queue"), strconv.Itoa(i), qos(i))
	}
	c = connect("keeper", kept)
	check(c.ack.SessionPresent, "the session is there")
	for i := 0; i < messages; i++ {
		c.expect(name("queue"), strconv.Itoa(i), qos(i), false)
	}
	c.leave()
	c = connect("keeper", terms{})
	check(!c.ack.SessionPresent, "a clean start")
	c.leave()
	shown("resume")
}

func showShared(pub *client) {
	var members [2]*client
	for i := range members {
		members[i] = connect(fmt.Sprintf("member%d", i), terms{})
		members[i].subscribe("$share/g/"+name("shared"), 1, 0)
		members[i].subscribe(name("end"), 1, 0)
	}
	for i := 0; i < messages; i++ {
		pub.publish(name("shared"), strconv.Itoa(i), 1)
	}
	pub.publish(name("end"), "end", 1)
	seen := map[string]bool{}
	for _, c := range members {
		count := 0
		for m := c.next(); string(m.Payload) != "end"; m = c.next() {
			check(!seen[string(m.Payload)], "once")
			seen[string(m.Payload)] = true
			count++
		}
		check(count > 0, "each gets some")
		c.leave()
	}
	check(len(seen) == messages, "all of them")
	shown("shared")
}

func showLarge(pub *client) {
	sub := connect("large", terms{})
	payload := make([]byte, large)
	for i := range payload {
		payload[i] = byte(i*31 + i/257)
	}
	sub.subscribe(name("large"), 1, 0)
	must(pub.Publish(in(deadline), &paho.Publish{Topic: name("large"), Payload: payload, QoS: 1}))
	check(bytes.Equal(sub.next().Payload, payload), "as it was sent")
	sub.leave()
	shown("large")
}

func showRefused(pub *client) {
	id := strings.Repeat("x", 300)
	c, err := start("", terms{id: &id})
	check(err != nil && c.ack != nil && c.ack.ReasonCode == 0x85, "refused")
	check(c.ack.Properties.ReasonString == "client identifier longer than max_client_id", "in words")
	shown("reason-string")

	deep := strings.Repeat("/", 300) // more levels than max_topic_levels
	ack, err := pub.Subscribe(in(deadline), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: deep}}})
	check(err != nil && ack != nil && bytes.Equal(ack.Reasons, []byte{0x8f}), "refused")
	check(pub.publish(name("nobody"), "?", 1).ReasonCode == 0x10, "nobody subscribes")
	shown("refused")
}

func showProperties(pub *client) {
	sub := connect("properties", terms{})
	sub.subscribe(name("properties"), 2, 0)
	for qos := byte(0); qos < 3; qos++ {
		sent := &paho.PublishProperties{
			PayloadFormat:   paho.Byte(1),
			ContentType:     "text/plain",
			ResponseTopic:   "answer/here",
			CorrelationData: []byte{1, 0, 255},
			User:            paho.UserProperties{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "a", Value: "3"}},
		}
		must(pub.Publish(in(deadline), &paho.Publish{Topic: name("properties"), QoS: qos, Payload: []byte("x"), Properties: sent}))
		got := sub.expect(name("properties"), "x", qos, false).Properties
		check(reflect.DeepEqual(got, sent), "as they were sent")
	}
	sub.leave()
	shown("properties")
}

func showSubscriptionID(pub *client) {
	sub := connect("ids", terms{})
	sub.subscribe(name("id/#"), 1, 268435455)
	pub.publish(name("id/1"), "one", 1)
	m := sub.expect(name("id/1"), "one", 1, false)
	check(m.Properties.SubscriptionIdentifier != nil && *m.Properties.SubscriptionIdentifier == 268435455, "its identifier")
	sub.leave()
	shown("subscription-id")
}

func showAliases() {
	pub := connect("aliases", terms{})
	sub := connect("aliased", terms{aliases: 4})
	sub.subscribe(name("alias"), 1, 0)
	for i := 0; i < 3; i++ {
		topic := name("alias")
		if i > 0 {
			topic = ""
		}
		must(pub.Publish(in(deadline), &paho.Publish{
			Topic: topic, QoS: 1, Payload: []byte(strconv.Itoa(i)),
			Properties: &paho.PublishProperties{TopicAlias: paho.Uint16(2)},
		}))
		m := sub.expect(topic, strconv.Itoa(i), 1, false)
		check(m.Properties.TopicAlias != nil && *m.Properties.TopicAlias == 1, "the server's alias")
	}
	sub.leave()
	pub.leave()
	shown("alias-out")
	shown("alias-in")
}

func showAssignedID() {
	none := ""
	c := connect("", terms{id: &none})
	check(c.ack.Properties.AssignedClientID != "", "an identifier")
	c.leave()
	shown("assigned-id")
}

// What takes time begins before the rest and ends after it.
type slow struct {
	quiet *client
	away  terms
	since time.Time
}

func startSlow(pub *client) slow {
	s := slow{since: time.Now(), away: terms{session: state.NewInMemory(), expiry: 1000}}
	s.quiet = connect("quiet", terms{keepAlive: 60})
	check(*s.quiet.ack.Properties.ServerKeepAlive == serverKeepAlive, "less than asked for")
	s.quiet.subscribe(name("quiet"), 1, 0)

	connect("brief", terms{session: state.NewInMemory(), expiry: 1}).leave()
	// Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire.
	t := s.away
	t.will = &paho.WillMessage{Topic: name("left"), Payload: []byte("gone"), QoS: 1}
	c := connect("away", t)
	c.subscribe(name("away"), 1, 0)
	s.quiet.subscribe(name("left"), 1, 0)
	c.leaveWith(4)
	s.quiet.expect(name("left"), "gone", 1, false)
	for _, expiry := range []uint32{1, 1000} {
		must(pub.Publish(in(deadline), &paho.Publish{
			Topic: name("away"), QoS: 1, Payload: []byte(fmt.Sprint(expiry)),
			Properties: &paho.PublishProperties{MessageExpiry: &expiry},
		}))
	}
	return s
}

func endSlow(s slow, pub *client) {
	time.Sleep(time.Until(s.since.Add(quietTime)))
	pub.publish(name("quiet"), "still here", 1)
	s.quiet.expect(name("quiet"), "still here", 1, false)
	s.quiet.leave()
	shown("keepalive")
	shown("server-keepalive")

	c := connect("brief", terms{session: state.NewInMemory(), expiry: 1})
	check(!c.ack.SessionPresent, "expired")
	c.leave()
	shown("session-expiry")

	c = connect("away", s.away)
	check(c.ack.SessionPresent, "kept")
	m := c.expect(name("away"), "1000", 1, false)
	check(*m.Properties.MessageExpiry > 0 && *m.Properties.MessageExpiry <= 1000-uint32(quietTime/time.Second)+1, "less what is past")
	c.leave()
	shown("message-expiry")
}

func main() {
	address = "127.0.0.1:" + os.Args[1]
	pub := connect("pub", terms{})
	s := startSlow(pub)
	showQos(pub)
	showFilters(pub)
	showRetained(pub)
	showWill()
	showTakeover()
	showResume(pub)
	showShared(pub)
	showLarge(pub)
	showRefused(pub)
	showProperties(pub)
	showSubscriptionID(pub)
	showAliases()
	showAssignedID()
	endSlow(s, pub)
	pub.leave()
}
