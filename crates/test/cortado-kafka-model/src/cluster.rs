//! The cluster: brokers, their controller, and what is on its way between them.
//!
//! A state machine: [`KafkaCluster::on`] takes what happens at a time and tells what follows from
//! it; [`KafkaCluster::wake_at`] says when something happens by itself. Start reading at
//! [`KafkaCluster::on`].

mod administering;
mod committing;
mod electing;
mod message;
mod nemesis;
mod producing;
mod replicating;
mod serving;

pub use crate::produce::{ProduceAnswer, ProduceRequest};
pub use administering::CreateTopicError;
pub use serving::{ClientRefusal, EndOfLeader, Offsets};

use crate::batch::Batch;
use crate::broker::{Broker, Power};
use crate::chance::Chance;
use crate::committed::CommittedLog;
use crate::controller::{Altered, Controller};
use crate::defect::BrokerDefect;
use crate::links::{Links, Party};
use crate::names::{BrokerId, Micros, TopicPartition};
use crate::settings::ClusterSettings;
use message::{BrokerCall, BrokerTimer, ControllerCall, Message};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Kafka cluster.
#[derive(Clone, Debug)]
pub struct KafkaCluster {
    settings: ClusterSettings,
    chance: Chance,
    now: Micros,
    controller: Controller,
    brokers: Vec<Broker>,
    links: Links,
    /// What arrives when; of one moment, in the order of sending.
    queue: BTreeMap<(Micros, u64), Message>,
    /// What has reached a frozen broker.
    stalled: BTreeMap<BrokerId, Vec<Message>>,
    /// Numbers of messages, fetches, topics and producers: never used twice.
    numbers: u64,
    /// What was ever below a high watermark, and is not lost.
    committed: BTreeMap<TopicPartition, CommittedLog>,
    effects: Vec<ClusterEffect>,
    defect: Option<BrokerDefect>,
}

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
pub enum ClusterEvent {
    /// Time has passed.
    Tick,
    /// A client's request reaches a broker: late or twice, if it comes so.
    Produce {
        /// Which broker.
        broker: BrokerId,
        /// Under which the answer is told.
        token: u64,
        /// What it asks.
        request: ProduceRequest,
    },
    /// A process is killed; its disk, and what the operating system has of it, stay.
    Kill(BrokerId),
    /// It starts again.
    Start(BrokerId),
    /// A process stops between two instructions.
    Freeze(BrokerId),
    /// It goes on.
    Thaw(BrokerId),
    /// A machine loses power: what was not flushed is lost, as much of it as chance decides.
    LosePower(BrokerId),
    /// Nothing passes in this direction.
    Cut(Party, Party),
    /// It passes again.
    Mend(Party, Party),
    /// Every way is open.
    MendAll,
    /// The controller's quorum is gone until then.
    ControllerAway(Micros),
    /// The disk fails under the next append to this replica, when it is written or before.
    FailDisk {
        /// Which replica.
        broker: BrokerId,
        /// Of which partition.
        partition: TopicPartition,
        /// Whether the records stand there all the same.
        lands: bool,
    },
    /// This replica fetches nothing, or goes on.
    StallFetch(BrokerId, TopicPartition, bool),
    /// An operator, or the balancer, moves a leadership to a replica that is in sync.
    MoveLeader(TopicPartition, BrokerId),
}

/// What follows.
#[derive(Clone, Debug)]
pub enum ClusterEffect {
    /// The answer to a request; it may not reach its client.
    Produced {
        /// Which request.
        token: u64,
        /// The answer.
        answer: ProduceAnswer,
    },
    /// Records came below a high watermark for the first time: readers may see them.
    Committed {
        /// Where.
        partition: TopicPartition,
        /// In order, without a gap to what was committed before.
        batches: Vec<Arc<Batch>>,
    },
    /// What was committed from here on is gone.
    Lost {
        /// Where.
        partition: TopicPartition,
        /// The first offset.
        from: u64,
    },
    /// A broker begins to lead.
    Led {
        /// Where.
        partition: TopicPartition,
        /// Who.
        broker: BrokerId,
        /// The how manieth leader.
        epoch: u32,
    },
    /// A replica leads that was not in sync.
    LedUnclean(TopicPartition),
    /// The controller has fenced a broker.
    Fenced(BrokerId),
    /// A follower cuts off what its leader does not have.
    Truncated {
        /// Where.
        partition: TopicPartition,
        /// Who.
        broker: BrokerId,
        /// How many records.
        records: u64,
    },
    /// So many replicas are in sync now.
    InSync {
        /// Where.
        partition: TopicPartition,
        /// How many.
        replicas: usize,
    },
    /// A batch was sent again and not appended again.
    Deduplicated(TopicPartition),
}

impl KafkaCluster {
    /// A cluster without topics, all of whose brokers are up.
    pub fn new(settings: ClusterSettings) -> KafkaCluster {
        let brokers = (0..settings.brokers).map(|id| Broker::new(BrokerId(id))).collect();
        let mut cluster = KafkaCluster {
            chance: Chance::of(settings.seed),
            now: Micros(0),
            controller: Controller::default(),
            brokers,
            links: Links::default(),
            queue: BTreeMap::new(),
            stalled: BTreeMap::new(),
            numbers: 0,
            committed: BTreeMap::new(),
            effects: Vec::new(),
            defect: None,
            settings,
        };
        for id in cluster.broker_ids() {
            cluster.controller.hear(id, 1, 0, Micros(0), &mut Vec::new());
            cluster.broker_mut(id).power = Power::Up;
            cluster.set_timers(id);
        }
        cluster.post(cluster.settings.session_us / 8, Message::CheckSessions);
        cluster
    }

    /// Plants a bug.
    pub fn plant(&mut self, defect: BrokerDefect) {
        self.defect = Some(defect);
        self.controller.leads_unclean = defect == BrokerDefect::LeadsUnclean;
    }

    /// Lets everything happen that is due by `now`, then `event`; adds what follows to `effects`.
    ///
    /// * `now`: never goes back.
    pub fn on(&mut self, now: Micros, event: ClusterEvent, effects: &mut Vec<ClusterEffect>) {
        while let Some(((at, _), message)) = self.take_due(now) {
            self.now = at;
            self.handle(message);
        }
        self.now = self.now.max(now);
        self.happen(event);
        effects.append(&mut self.effects);
    }

    /// When something happens by itself.
    pub fn wake_at(&self) -> Option<Micros> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The time as the cluster knows it.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// All brokers.
    pub fn broker_ids(&self) -> impl Iterator<Item = BrokerId> + use<> {
        (0..self.settings.brokers).map(BrokerId)
    }

    /// Whether a broker is up, registered and not frozen.
    pub fn is_well(&self, broker: BrokerId) -> bool {
        let known = &self.brokers[broker.0 as usize];
        known.is_open() && !known.frozen && !self.controller.is_fenced(broker)
    }

    /// A number that was never given out: for producers.
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn take_due(&mut self, now: Micros) -> Option<((Micros, u64), Message)> {
        let (key, _) = self.queue.first_key_value()?;
        (key.0 <= now).then(|| self.queue.pop_first()).flatten()
    }

    fn happen(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Tick => {}
            ClusterEvent::Produce { broker, token, request } => {
                let call = BrokerCall::Produce { token, request: Box::new(request) };
                self.handle(Message::ToBroker { from: Party::Clients, to: broker, call });
            }
            event => self.suffer(event),
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::CheckSessions => self.check_sessions(),
            Message::ControllerBack => self.controller_is_back(),
            Message::ToController { from, call } => {
                let open = self.links.is_open(Party::Broker(from), Party::Controller);
                if open && self.now >= self.controller.away_until {
                    self.call_controller(from, call);
                }
            }
            Message::ToBroker { from, to, call } => self.reach(from, to, call),
            Message::Timer { broker, life, timer } => {
                let known = self.broker(broker);
                if known.life != life || known.power == Power::Down {
                    return;
                }
                if known.frozen {
                    let message = Message::Timer { broker, life, timer };
                    return self.stalled.entry(broker).or_default().push(message);
                }
                self.on_timer(broker, timer);
            }
        }
    }

    /// Something reaches a broker, unless the way is cut or nobody is there.
    fn reach(&mut self, from: Party, to: BrokerId, call: BrokerCall) {
        if !self.links.is_open(from, Party::Broker(to)) {
            return;
        }
        let (power, frozen) = (self.broker(to).power, self.broker(to).frozen);
        let is_decision = matches!(call, BrokerCall::Publish { .. } | BrokerCall::Welcome { .. });
        if power == Power::Down || (power == Power::Booting && !is_decision) {
            if let BrokerCall::Produce { token, .. } = call {
                self.answer(to, token, ProduceAnswer::Disconnected);
            }
            return;
        }
        if frozen {
            let message = Message::ToBroker { from, to, call };
            return self.stalled.entry(to).or_default().push(message);
        }
        self.call_broker(to, call);
    }

    fn call_broker(&mut self, to: BrokerId, call: BrokerCall) {
        match call {
            BrokerCall::Publish { upto } => self.learn(to, upto),
            BrokerCall::Welcome { life } => self.welcome(to, life),
            BrokerCall::Refused { partition } => {
                if let Some(leading) = self.broker_mut(to).leading(partition) {
                    leading.asked = None;
                }
            }
            BrokerCall::Fetch(fetch) => self.on_fetch(to, fetch),
            BrokerCall::Fetched { partition, number, answer } => {
                self.on_fetched(to, partition, number, answer);
            }
            BrokerCall::Produce { token, request } => self.on_produce(to, token, *request),
        }
    }

    fn call_controller(&mut self, from: BrokerId, call: ControllerCall) {
        match call {
            ControllerCall::Heartbeat { life, heard, waits } => {
                self.on_heartbeat(from, (life, heard), waits);
            }
            ControllerCall::AlterInSync { partition, epoch, version, in_sync } => {
                let asked = (epoch, version);
                match self.controller.alter_in_sync(from, partition, asked, in_sync) {
                    Altered::Given => self.publish(),
                    Altered::Stale => {}
                    Altered::Refused => {
                        self.send(Party::Controller, from, BrokerCall::Refused { partition });
                    }
                }
            }
        }
    }

    fn on_timer(&mut self, broker: BrokerId, timer: BrokerTimer) {
        match timer {
            BrokerTimer::Heartbeat => self.beat(broker),
            BrokerTimer::Lag => self.check_lag(broker),
            BrokerTimer::Refetch { partition, number } => self.refetch(broker, partition, number),
            BrokerTimer::ProduceDue { partition, token } => {
                self.give_up_waiting(broker, partition, token);
            }
        }
    }

    fn set_timers(&mut self, broker: BrokerId) {
        let first_us = self.chance.below(self.settings.heartbeat_us) + 1;
        self.set_timer(broker, first_us, BrokerTimer::Heartbeat);
        let lag_us = self.settings.lag_us / 2;
        self.set_timer(broker, lag_us, BrokerTimer::Lag);
    }

    fn set_timer(&mut self, broker: BrokerId, in_us: u64, timer: BrokerTimer) {
        let life = self.broker(broker).life;
        self.post(in_us, Message::Timer { broker, life, timer });
    }

    /// Sends something to a broker.
    fn send(&mut self, from: Party, to: BrokerId, call: BrokerCall) {
        let way_us = self.chance.around(self.settings.way_us);
        self.post(way_us, Message::ToBroker { from, to, call });
    }

    fn send_to_controller(&mut self, from: BrokerId, call: ControllerCall) {
        let way_us = self.chance.around(self.settings.way_us);
        self.post(way_us, Message::ToController { from, call });
    }

    fn post(&mut self, in_us: u64, message: Message) {
        let number = self.next_number();
        self.queue.insert((self.now.plus(in_us), number), message);
    }

    /// Tells the answer to a request, if it gets through.
    fn answer(&mut self, broker: BrokerId, token: u64, answer: ProduceAnswer) {
        if self.links.is_open(Party::Broker(broker), Party::Clients) {
            self.effects.push(ClusterEffect::Produced { token, answer });
        }
    }

    fn broker(&self, id: BrokerId) -> &Broker {
        &self.brokers[id.0 as usize]
    }

    fn broker_mut(&mut self, id: BrokerId) -> &mut Broker {
        &mut self.brokers[id.0 as usize]
    }
}
