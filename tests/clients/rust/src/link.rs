//! A connection of either version: rumqttc has a family of types for each.
use rumqttc::v5;
pub use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, PublishProperties};
use std::time::Duration;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

/// More than the largest packet of the tests; what the library takes by default is less.
const MAX_PACKET: usize = 2_000_000;

#[derive(Default)]
pub struct Terms {
    pub id: String,
    pub resume: bool,
    pub keep_alive: u16,
    pub expiry: Option<u32>,
    pub aliases: Option<u16>,
    pub will: Option<(String, String)>,
}

#[derive(Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub props: PublishProperties,
}

/// What the server answers, in the library's words, and what was sent that has no answer.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Connected(bool, Option<ConnAckProperties>),
    Granted(String),
    Unsubscribed,
    Sent,
    Acked(String),
    Ended(String),
}

enum Client {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

pub struct Link {
    client: Client,
    task: JoinHandle<()>,
    pub answers: UnboundedReceiver<Answer>,
    pub messages: UnboundedReceiver<Message>,
}

struct Heard {
    answers: UnboundedSender<Answer>,
    messages: UnboundedSender<Message>,
}

impl Heard {
    // Nobody listens to a link that was left.
    fn answer(&self, a: Answer) {
        let _ = self.answers.send(a);
    }

    fn v4(&self, event: rumqttc::Event) {
        use rumqttc::{Event, Outgoing, Packet};
        match event {
            Event::Incoming(Packet::ConnAck(a)) => self.answer(Answer::Connected(a.session_present, None)),
            Event::Incoming(Packet::SubAck(a)) => self.answer(Answer::Granted(format!("{:?}", a.return_codes[0]))),
            Event::Incoming(Packet::UnsubAck(_)) => self.answer(Answer::Unsubscribed),
            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => self.answer(Answer::Acked("Success".into())),
            Event::Outgoing(Outgoing::Publish(0)) => self.answer(Answer::Sent),
            Event::Incoming(Packet::Publish(p)) => {
                let _ = self.messages.send(Message {
                    topic: p.topic,
                    payload: p.payload.to_vec(),
                    qos: p.qos as u8,
                    retain: p.retain,
                    dup: p.dup,
                    props: PublishProperties::default(),
                });
            }
            _ => {}
        }
    }

    fn v5(&self, event: v5::Event) {
        use v5::{mqttbytes::v5::Packet, Event};
        match event {
            Event::Incoming(Packet::ConnAck(a)) => self.answer(Answer::Connected(a.session_present, a.properties)),
            Event::Incoming(Packet::SubAck(a)) => self.answer(Answer::Granted(format!("{:?}", a.return_codes[0]))),
            Event::Incoming(Packet::UnsubAck(_)) => self.answer(Answer::Unsubscribed),
            Event::Incoming(Packet::PubAck(a)) => self.answer(Answer::Acked(format!("{:?}", a.reason))),
            Event::Incoming(Packet::PubComp(a)) => self.answer(Answer::Acked(format!("{:?}", a.reason))),
            Event::Outgoing(rumqttc::Outgoing::Publish(0)) => self.answer(Answer::Sent),
            Event::Incoming(Packet::Publish(p)) => {
                let _ = self.messages.send(Message {
                    topic: String::from_utf8(p.topic.to_vec()).unwrap(),
                    payload: p.payload.to_vec(),
                    qos: p.qos as u8,
                    retain: p.retain,
                    dup: p.dup,
                    props: p.properties.unwrap_or_default(),
                });
            }
            _ => {}
        }
    }
}

impl Link {
    pub fn new(port: u16, version: u8, t: Terms) -> Link {
        let (answers_tx, answers) = unbounded_channel();
        let (messages_tx, messages) = unbounded_channel();
        let heard = Heard { answers: answers_tx, messages: messages_tx };
        let keep_alive = Duration::from_secs(t.keep_alive.into());
        let (client, task) = if version == 5 {
            let mut o = v5::MqttOptions::new(t.id, "127.0.0.1", port);
            o.set_keep_alive(keep_alive).set_clean_start(!t.resume);
            o.set_max_packet_size(Some(MAX_PACKET as u32));
            o.set_session_expiry_interval(t.expiry).set_topic_alias_max(t.aliases);
            if let Some((topic, text)) = t.will {
                o.set_last_will(v5::mqttbytes::v5::LastWill::new(topic, text, v5_qos(1), false, None));
            }
            let (client, mut events) = v5::AsyncClient::new(o, 10);
            let task = tokio::spawn(async move {
                loop {
                    match events.poll().await {
                        Ok(event) => heard.v5(event),
                        Err(e) => return heard.answer(Answer::Ended(format!("{e:?}"))),
                    }
                }
            });
            (Client::V5(client), task)
        } else {
            let mut o = rumqttc::MqttOptions::new(t.id, "127.0.0.1", port);
            o.set_keep_alive(keep_alive).set_clean_session(!t.resume);
            o.set_max_packet_size(MAX_PACKET, MAX_PACKET);
            if let Some((topic, text)) = t.will {
                o.set_last_will(rumqttc::LastWill::new(topic, text, v4_qos(1), false));
            }
            let (client, mut events) = rumqttc::AsyncClient::new(o, 10);
            let task = tokio::spawn(async move {
                loop {
                    match events.poll().await {
                        Ok(event) => heard.v4(event),
                        Err(e) => return heard.answer(Answer::Ended(format!("{e:?}"))),
                    }
                }
            });
            (Client::V4(client), task)
        };
        Link { client, task, answers, messages }
    }

    pub async fn subscribe(&self, filter: &str, qos: u8, id: Option<usize>) {
        match &self.client {
            Client::V4(c) => c.subscribe(filter, v4_qos(qos)).await.unwrap(),
            Client::V5(c) => {
                let props = v5::mqttbytes::v5::SubscribeProperties { id, user_properties: vec![] };
                c.subscribe_with_properties(filter, v5_qos(qos), props).await.unwrap()
            }
        }
    }

    pub async fn unsubscribe(&self, filter: &str) {
        match &self.client {
            Client::V4(c) => c.unsubscribe(filter).await.unwrap(),
            Client::V5(c) => c.unsubscribe(filter).await.unwrap(),
        }
    }

    pub async fn publish(&self, topic: &str, payload: Vec<u8>, qos: u8, retain: bool, props: PublishProperties) {
        match &self.client {
            Client::V4(c) => c.publish(topic, v4_qos(qos), retain, payload).await.unwrap(),
            Client::V5(c) => c.publish_with_properties(topic, v5_qos(qos), retain, payload, props).await.unwrap(),
        }
    }

    pub async fn disconnect(&self) {
        match &self.client {
            Client::V4(c) => c.disconnect().await.unwrap(),
            Client::V5(c) => c.disconnect().await.unwrap(),
        }
    }

    /// Lets go of the socket without a word.
    pub async fn cut(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn v4_qos(qos: u8) -> rumqttc::QoS {
    rumqttc::qos(qos).unwrap()
}

fn v5_qos(n: u8) -> v5::mqttbytes::QoS {
    v5::mqttbytes::qos(n).unwrap()
}
