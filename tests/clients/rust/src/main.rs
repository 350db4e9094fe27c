//! Shows with rumqttc what ../../README.md lists: client-rumqttc PORT VERSION. It keeps the reason in words of a CONNACK that
//! refuses to itself, and leaves aliases towards it to its user.
mod link;

use link::{Answer, ConnAckProperties, Link, Message, PublishProperties, Terms};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::{sleep_until, timeout, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const MESSAGES: usize = 20;
const LARGE: usize = 1_000_000;
/// The broker's longest keep alive is 4 s, and it waits half as long again.
const KEEP_ALIVE: u16 = 4;
const QUIET: u64 = 7;
/// For MQTT 5 the library wants no less.
const LEAST_KEEP_ALIVE: u16 = 5;

struct Test {
    port: u16,
    version: u8,
}

struct Peer {
    link: Link,
    kept: bool,
    present: bool,
    told: Option<ConnAckProperties>,
}

fn shown(row: &str) {
    println!("shown {row}");
}

impl Test {
    fn name(&self, rest: &str) -> String {
        format!("rumqttc/{}/{rest}", self.version)
    }

    /// The connection and its first answer.
    async fn start(&self, role: &str, mut t: Terms) -> (Link, Answer) {
        if !role.is_empty() {
            t.id = format!("rumqttc-{}-{role}", self.version);
        }
        if t.keep_alive == 0 {
            t.keep_alive = if self.version == 5 { LEAST_KEEP_ALIVE } else { KEEP_ALIVE };
        }
        let mut link = Link::new(self.port, self.version, t);
        let answer = timeout(DEADLINE, link.answers.recv()).await.expect("an answer").unwrap();
        (link, answer)
    }

    async fn connect(&self, role: &str, t: Terms) -> Peer {
        let kept = t.resume;
        match self.start(role, t).await {
            (link, Answer::Connected(present, props)) => Peer { link, kept, present, told: props },
            (_, other) => panic!("{other:?}"),
        }
    }

    async fn plain(&self, role: &str) -> Peer {
        self.connect(role, Terms::default()).await
    }

    async fn qos(&self, publisher: &mut Peer) {
        let mut sub = self.plain("qos").await;
        assert!(!sub.present);
        for qos in 0..3 {
            let row = format!("qos{qos}");
            let topic = self.name(&row);
            sub.subscribe(&topic, qos).await;
            for i in 0..MESSAGES {
                publisher.publish(&topic, &i.to_string(), qos).await;
            }
            for i in 0..MESSAGES {
                sub.expect(&topic, &i.to_string(), qos, false).await;
            }
            shown(&row);
        }
        sub.leave().await;
        shown("connect");
    }

    async fn filters(&self, publisher: &mut Peer) {
        let mut sub = self.plain("filters").await;
        sub.subscribe(&self.name("f/+/c"), 1).await;
        sub.subscribe(&self.name("g/#"), 1).await;
        publisher.publish(&self.name("f/b/d"), "no", 1).await;
        publisher.publish(&self.name("f/b/b/c"), "no", 1).await;
        for rest in ["f/b/c", "g", "g/x/y"] {
            publisher.publish(&self.name(rest), rest, 1).await;
            sub.expect(&self.name(rest), rest, 1, false).await;
        }
        shown("wildcards");

        sub.link.unsubscribe(&self.name("g/#")).await;
        assert_eq!(sub.answer().await, Answer::Unsubscribed);
        publisher.publish(&self.name("g/x/y"), "no", 1).await;
        publisher.publish(&self.name("f/b/c"), "after", 1).await;
        sub.expect(&self.name("f/b/c"), "after", 1, false).await;
        sub.leave().await;
        shown("unsubscribe");
    }

    async fn retained(&self, publisher: &mut Peer) {
        let mut sub = self.plain("retained").await;
        let topic = self.name("kept");
        publisher.send(&topic, "kept", 1, true, PublishProperties::default()).await;
        sub.subscribe(&topic, 1).await;
        sub.expect(&topic, "kept", 1, true).await;
        publisher.send(&topic, "", 1, true, PublishProperties::default()).await;
        sub.expect(&topic, "", 1, false).await;
        sub.subscribe(&topic, 1).await; // again: it would come now
        publisher.publish(&topic, "plain", 1).await;
        sub.expect(&topic, "plain", 1, false).await;
        sub.leave().await;
        shown("retained");
    }

    async fn will(&self) {
        let mut sub = self.plain("heir").await;
        let topic = self.name("will");
        sub.subscribe(&topic, 1).await;
        let will = Some((topic.clone(), "gone".to_string()));
        self.connect("victim", Terms { will, ..Terms::default() }).await.link.cut().await;
        sub.expect(&topic, "gone", 1, false).await;
        sub.leave().await;
        shown("will");
    }

    async fn takeover(&self) {
        let mut older = self.plain("same").await;
        let newer = self.plain("same").await;
        let end = older.answer().await;
        let Answer::Ended(why) = end else { panic!("{end:?}") };
        shown("takeover");
        if self.version == 5 {
            assert!(why.contains("SessionTakenOver"), "{why}");
            shown("takeover-reason");
        }
        newer.leave().await;
    }

    async fn resume(&self, publisher: &mut Peer) {
        let kept = || Terms { resume: true, expiry: Some(1000), ..Terms::default() };
        let topic = self.name("queue");
        let qos = |i| if i < MESSAGES / 2 { 1 } else { 2 };
        let mut c = self.connect("keeper", kept()).await;
        assert!(!c.present);
        c.subscribe(&topic, 2).await;
        c.leave().await;
        for i in 0..MESSAGES {
            publisher.publish(&topic, &i.to_string(), qos(i)).await;
        }
        c = self.connect("keeper", kept()).await;
        assert!(c.present);
        for i in 0..MESSAGES {
            c.expect(&topic, &i.to_string(), qos(i), false).await;
        }
        c.leave().await;
        c = self.plain("keeper").await;
        assert!(!c.present);
        c.leave().await;
        shown("resume");
    }

    async fn shared(&self, publisher: &mut Peer) {
        let mut members = vec![self.plain("member0").await, self.plain("member1").await];
        for c in &mut members {
            c.subscribe(&format!("$share/g/{}", self.name("shared")), 1).await;
            c.subscribe(&self.name("end"), 1).await;
        }
        for i in 0..MESSAGES {
            publisher.publish(&self.name("shared"), &i.to_string(), 1).await;
        }
        publisher.publish(&self.name("end"), "end", 1).await;
        let mut seen = HashSet::new();
        for mut c in members {
            let before = seen.len();
            loop {
                let m = c.next().await;
                if m.payload == b"end" {
                    break;
                }
                assert!(seen.insert(m.payload), "once");
            }
            assert!(seen.len() > before, "each gets some");
            c.leave().await;
        }
        assert_eq!(seen.len(), MESSAGES);
        shown("shared");
    }

    async fn large(&self, publisher: &mut Peer) {
        let mut sub = self.plain("large").await;
        let topic = self.name("large");
        let payload: Vec<u8> = (0..LARGE).map(|i| (i * 31 + i / 257) as u8).collect();
        sub.subscribe(&topic, 1).await;
        publisher.link.publish(&topic, payload.clone(), 1, false, PublishProperties::default()).await;
        publisher.acked().await;
        assert!(sub.next().await.payload == payload);
        sub.leave().await;
        shown("large");
    }

    async fn refused(&self, publisher: &mut Peer) {
        let (_, answer) = self.start("", Terms { id: "x".repeat(300), ..Terms::default() }).await;
        let Answer::Ended(why) = answer else { panic!("{answer:?}") };
        assert!(why.contains(if self.version == 5 { "ClientIdentifierNotValid" } else { "BadClientId" }), "{why}");

        publisher.link.subscribe(&"/".repeat(300), 1, None).await; // more levels than max_topic_levels
        let reason = if self.version == 5 { "TopicFilterInvalid" } else { "Failure" };
        assert_eq!(publisher.answer().await, Answer::Granted(reason.into()));
        if self.version == 5 {
            let reason = publisher.publish(&self.name("nobody"), "?", 1).await;
            assert_eq!(reason, "NoMatchingSubscribers");
        }
        shown("refused");
    }

    async fn properties(&self, publisher: &mut Peer) {
        let mut sub = self.plain("properties").await;
        let topic = self.name("properties");
        let pair = |k: &str, v: &str| (k.to_string(), v.to_string());
        let sent = PublishProperties {
            payload_format_indicator: Some(1),
            content_type: Some("text/plain".into()),
            response_topic: Some("answer/here".into()),
            correlation_data: Some(vec![1, 0, 255].into()),
            user_properties: vec![pair("a", "1"), pair("b", "2"), pair("a", "3")],
            ..PublishProperties::default()
        };
        sub.subscribe(&topic, 2).await;
        for qos in 0..3 {
            publisher.send(&topic, "x", qos, false, sent.clone()).await;
            assert_eq!(sub.expect(&topic, "x", qos, false).await.props, sent);
        }
        sub.leave().await;
        shown("properties");
    }

    async fn subscription_id(&self, publisher: &mut Peer) {
        let mut sub = self.plain("ids").await;
        for (filter, id) in [("id/#", 7), ("id/2", 268435455)] {
            sub.link.subscribe(&self.name(filter), 1, Some(id)).await;
            sub.granted(1).await;
        }
        publisher.publish(&self.name("id/1"), "one", 1).await;
        let m = sub.expect(&self.name("id/1"), "one", 1, false).await;
        assert_eq!(m.props.subscription_identifiers, [7]);

        // Of two that overlap both are named, in one message or in two.
        publisher.publish(&self.name("id/2"), "two", 1).await;
        let mut ids = sub.expect(&self.name("id/2"), "two", 1, false).await.props.subscription_identifiers;
        if ids.len() == 1 {
            ids.extend(sub.expect(&self.name("id/2"), "two", 1, false).await.props.subscription_identifiers);
        }
        ids.sort_unstable();
        assert_eq!(ids, [7, 268435455]);
        sub.leave().await;
        shown("subscription-id");
    }

    async fn aliases(&self) {
        let mut publisher = self.plain("aliases").await;
        let mut sub = self.connect("aliased", Terms { aliases: Some(4), ..Terms::default() }).await;
        let topic = self.name("alias");
        sub.subscribe(&topic, 1).await;
        for i in 0..3 {
            let props = PublishProperties { topic_alias: Some(2), ..PublishProperties::default() };
            let topic = if i == 0 { &topic } else { "" };
            publisher.send(topic, &i.to_string(), 1, false, props).await;
            assert_eq!(sub.expect(topic, &i.to_string(), 1, false).await.props.topic_alias, Some(1));
        }
        publisher.leave().await;
        sub.leave().await;
        shown("alias-out");
        shown("alias-in");
    }

    async fn assigned_id(&self) {
        let c = self.plain("").await;
        assert!(!c.told.as_ref().unwrap().assigned_client_identifier.as_ref().unwrap().is_empty());
        c.leave().await;
        shown("assigned-id");
    }

    fn away(&self, seconds: u32) -> Terms {
        Terms { resume: true, expiry: Some(seconds), ..Terms::default() }
    }

    // What takes time begins before the rest and ends after it.
    async fn slow_start(&self, publisher: &mut Peer) -> (Peer, Instant) {
        let since = Instant::now();
        let keep_alive = if self.version == 5 { 60 } else { KEEP_ALIVE };
        let mut quiet = self.connect("quiet", Terms { keep_alive, ..Terms::default() }).await;
        quiet.subscribe(&self.name("quiet"), 1).await;
        if self.version == 5 {
            assert_eq!(quiet.told.as_ref().unwrap().server_keep_alive, Some(KEEP_ALIVE));
            self.connect("brief", self.away(1)).await.leave().await;
            // Its will tells when it is away for the broker too: what it has begun to deliver doesn't expire.
            let will = Some((self.name("left"), "gone".to_string()));
            let mut c = self.connect("away", Terms { will, ..self.away(1000) }).await;
            c.subscribe(&self.name("away"), 1).await;
            quiet.subscribe(&self.name("left"), 1).await;
            c.link.cut().await;
            quiet.expect(&self.name("left"), "gone", 1, false).await;
            for expiry in [1, 1000] {
                let props = PublishProperties { message_expiry_interval: Some(expiry), ..PublishProperties::default() };
                publisher.send(&self.name("away"), &expiry.to_string(), 1, false, props).await;
            }
        }
        (quiet, since)
    }

    async fn slow_end(&self, (mut quiet, since): (Peer, Instant), publisher: &mut Peer) {
        sleep_until(since + Duration::from_secs(QUIET)).await;
        publisher.publish(&self.name("quiet"), "still here", 1).await;
        quiet.expect(&self.name("quiet"), "still here", 1, false).await;
        quiet.leave().await;
        shown("keepalive");
        if self.version != 5 {
            return;
        }
        shown("server-keepalive");

        let mut c = self.connect("brief", self.away(1)).await;
        assert!(!c.present);
        c.leave().await;
        shown("session-expiry");

        c = self.connect("away", self.away(1000)).await;
        assert!(c.present);
        let left = c.expect(&self.name("away"), "1000", 1, false).await.props.message_expiry_interval.unwrap();
        assert!(left > 0 && left <= 1000 - QUIET as u32 + 1, "{left}");
        c.leave().await;
        shown("message-expiry");
    }
}

impl Peer {
    async fn answer(&mut self) -> Answer {
        timeout(DEADLINE, self.link.answers.recv()).await.expect("an answer").unwrap()
    }

    /// Waits for the end of what it published last, and gives the reason.
    async fn acked(&mut self) -> String {
        match self.answer().await {
            Answer::Sent => "Success".into(),
            Answer::Acked(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    async fn granted(&mut self, qos: u8) {
        let level = ["AtMostOnce", "AtLeastOnce", "ExactlyOnce"][qos as usize];
        assert_eq!(self.answer().await, Answer::Granted(format!("Success({level})")));
    }

    async fn subscribe(&mut self, filter: &str, qos: u8) {
        self.link.subscribe(filter, qos, None).await;
        self.granted(qos).await;
    }

    async fn send(&mut self, topic: &str, text: &str, qos: u8, retain: bool, props: PublishProperties) -> String {
        self.link.publish(topic, text.into(), qos, retain, props).await;
        self.acked().await
    }

    async fn publish(&mut self, topic: &str, text: &str, qos: u8) -> String {
        self.send(topic, text, qos, false, PublishProperties::default()).await
    }

    async fn next(&mut self) -> Message {
        timeout(DEADLINE, self.link.messages.recv()).await.expect("a message").unwrap()
    }

    /// What was on its way when a client left comes again in its session.
    async fn expect(&mut self, topic: &str, text: &str, qos: u8, retain: bool) -> Message {
        let m = self.next().await;
        assert_eq!(
            (m.topic.as_str(), String::from_utf8_lossy(&m.payload).as_ref(), m.qos, m.retain, m.dup && !self.kept),
            (topic, text, qos, retain, false)
        );
        m
    }

    /// Says goodbye, and waits for the end.
    async fn leave(mut self) {
        self.link.disconnect().await;
        while !matches!(self.answer().await, Answer::Ended(_)) {}
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let t = Test { port: args[1].parse().unwrap(), version: args[2].parse().unwrap() };
    let mut publisher = t.plain("pub").await;
    let slow = t.slow_start(&mut publisher).await;
    t.qos(&mut publisher).await;
    t.filters(&mut publisher).await;
    t.retained(&mut publisher).await;
    t.will().await;
    t.takeover().await;
    t.resume(&mut publisher).await;
    t.shared(&mut publisher).await;
    t.large(&mut publisher).await;
    t.refused(&mut publisher).await;
    if t.version == 5 {
        t.properties(&mut publisher).await;
        t.subscription_id(&mut publisher).await;
        t.aliases().await;
        t.assigned_id().await;
    }
    t.slow_end(slow, &mut publisher).await;
    publisher.leave().await;
}
