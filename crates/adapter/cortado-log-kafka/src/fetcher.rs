//! One consumer and the thread that hands what it gets to feeds.
//!
//! The thread alone assigns and polls, so that nothing of a former assignment passes for the next.
//! It decides nothing about what is missing: that becomes a [`Trouble`]. Start reading at
//! [`Fetching::run`].

use crate::client_config;
use crate::client_voice::{ClientVoice, tell_code};
use crate::feed_cell::{FeedCell, FeedFailure, Filled};
use crate::lifecycle::kafka_number;
use crate::settings::KafkaSettings;
use cortado_kafka_ffi::{FetchPlace, PartitionPoll, Polled};
use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, warn};

type Consuming = BaseConsumer<ClientVoice>;
/// By topic and the number of the partition.
type Assigned = BTreeMap<Arc<str>, BTreeMap<i32, Arc<FeedCell>>>;

/// The thread is woken for commands; this is only how soon a lost wake-up is made good.
const POLL: Duration = Duration::from_secs(1);

/// A consumer as others see it.
pub(crate) struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Mutex<VecDeque<Command>>,
    /// Of the present consumer.
    poll: Mutex<Arc<PartitionPoll<ClientVoice>>>,
}

enum Command {
    /// Fill a feed from where it stands.
    Fill(Arc<FeedCell>),
    /// Stop filling it.
    Leave(Arc<FeedCell>),
    /// Make the consumer anew.
    Renew,
    /// End the thread.
    End,
}

/// Something that must be found out about a feed, which gets no more until then.
pub(crate) struct Trouble {
    pub(crate) cell: Arc<FeedCell>,
    pub(crate) kind: TroubleKind,
    /// The number of the consumer that fills it.
    pub(crate) fetcher: usize,
}

/// What is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TroubleKind {
    /// Whether these offsets ever held records.
    Gap { from: u64, to: u64 },
    /// Why the broker has nothing at the position.
    Lost {
        /// It says that the log was cut and written again.
        truncated: bool,
    },
}

impl Fetcher {
    /// Starts a consumer.
    ///
    /// * `number`: by which troubles name it.
    /// * `troubles`: hears of what must be found out; one for each feed at most.
    pub(crate) fn start(
        settings: &KafkaSettings,
        number: usize,
        troubles: UnboundedSender<Trouble>,
    ) -> io::Result<Fetcher> {
        let poll = Arc::new(consume(settings)?);
        let commands = Mutex::default();
        let shared = Arc::new(Shared { commands, poll: Mutex::new(Arc::clone(&poll)) });
        let fetching = Fetching {
            settings: settings.clone(),
            number,
            shared: Arc::clone(&shared),
            poll,
            assigned: Assigned::new(),
            troubles,
        };
        let thread = thread::Builder::new().name("cortado-kafka-fetch".to_owned());
        // It ends by a command.
        thread.spawn(move || fetching.run())?;
        Ok(Fetcher { shared })
    }

    /// Fills a feed from where it stands; in the place of another one of the same partition.
    pub(crate) fn fill(&self, cell: &Arc<FeedCell>) {
        self.command(Command::Fill(Arc::clone(cell)));
    }

    /// Stops filling a feed.
    pub(crate) fn leave(&self, cell: &Arc<FeedCell>) {
        self.command(Command::Leave(Arc::clone(cell)));
    }

    /// Makes the consumer anew; feeds go on where they stand.
    pub(crate) fn renew(&self) {
        self.command(Command::Renew);
    }

    /// The end of a partition as the last answer of its broker told it.
    pub(crate) fn known_end(&self, cell: &FeedCell) -> Option<u64> {
        let poll = Arc::clone(&self.shared.poll.lock());
        poll.known_end(&cell.log.topic, kafka_number(cell.partition))
    }

    fn command(&self, command: Command) {
        self.shared.commands.lock().push_back(command);
        let poll = Arc::clone(&self.shared.poll.lock());
        poll.wake();
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.command(Command::End);
    }
}

/// What the thread has.
struct Fetching {
    settings: KafkaSettings,
    number: usize,
    shared: Arc<Shared>,
    poll: Arc<PartitionPoll<ClientVoice>>,
    assigned: Assigned,
    troubles: UnboundedSender<Trouble>,
}

/// What follows from what was polled.
enum Follows {
    Nothing,
    Stop(Arc<FeedCell>),
    Trouble(Arc<FeedCell>, TroubleKind),
}

impl Fetching {
    fn run(mut self) {
        loop {
            if self.obey() {
                return;
            }
            let (poll, assigned) = (Arc::clone(&self.poll), &self.assigned);
            let mut follows = Follows::Nothing;
            poll.next(POLL, |polled| follows = hand_over(assigned, polled));
            match follows {
                Follows::Nothing => {}
                Follows::Stop(cell) => self.let_go(&cell),
                Follows::Trouble(cell, kind) => {
                    self.let_go(&cell);
                    // If nobody hears it any more, the log is closed.
                    let _ = self.troubles.send(Trouble { cell, kind, fetcher: self.number });
                }
            }
        }
    }

    /// Does what was commanded; answers whether that was to end.
    fn obey(&mut self) -> bool {
        let commands = std::mem::take(&mut *self.shared.commands.lock());
        let mut wanted = BTreeMap::new();
        for command in commands {
            match command {
                // Another feed has its place, or nobody reads it any more.
                Command::Fill(cell) if cell.has_ended() => {}
                Command::Fill(cell) => {
                    wanted.insert(place_of(&cell), Some(cell));
                }
                Command::Leave(cell) => {
                    let place = place_of(&cell);
                    let is_later = |other: &Option<Arc<FeedCell>>| {
                        other.as_ref().is_some_and(|other| !Arc::ptr_eq(other, &cell))
                    };
                    let is_assigned = self.assigned_to(&place, &cell);
                    match wanted.get(&place) {
                        // The partition was given to another feed meanwhile.
                        Some(other) if is_later(other) => {}
                        Some(_) => drop(wanted.insert(place, None)),
                        None if is_assigned => drop(wanted.insert(place, None)),
                        None => {}
                    }
                }
                Command::Renew => self.renew(&mut wanted),
                Command::End => return true,
            }
        }
        self.assign(wanted);
        false
    }

    fn assigned_to(&self, (topic, number): &(Arc<str>, i32), cell: &Arc<FeedCell>) -> bool {
        let assigned = self.assigned.get(topic).and_then(|partitions| partitions.get(number));
        assigned.is_some_and(|assigned| Arc::ptr_eq(assigned, cell))
    }

    /// Lets go of what is named, and begins anew what has a feed.
    fn assign(&mut self, wanted: BTreeMap<(Arc<str>, i32), Option<Arc<FeedCell>>>) {
        if wanted.is_empty() {
            return;
        }
        let mut former = TopicPartitionList::new();
        for place in wanted.keys() {
            if self.forget(place) {
                former.add_partition(&place.0, place.1);
            }
        }
        if former.count() > 0 {
            told("unassign", self.consumer().incremental_unassign(&former));
        }
        let mut latter = Vec::new();
        for ((topic, number), cell) in wanted {
            let Some(cell) = cell.filter(|cell| cell.resume()) else { continue };
            let (offset, epoch) = cell.wanted_place();
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            latter.push(FetchPlace { topic: topic.to_string(), partition: number, offset, epoch });
            self.assigned.entry(topic).or_default().insert(number, cell);
        }
        if !latter.is_empty() {
            told("assign", self.poll.assign(&latter));
        }
    }

    /// Takes a partition off the list; answers whether it was there.
    fn forget(&mut self, (topic, number): &(Arc<str>, i32)) -> bool {
        let Some(partitions) = self.assigned.get_mut(topic) else { return false };
        let was_there = partitions.remove(number).is_some();
        if partitions.is_empty() {
            self.assigned.remove(topic);
        }
        was_there
    }

    fn let_go(&mut self, cell: &Arc<FeedCell>) {
        let place = place_of(cell);
        if self.assigned_to(&place, cell) {
            self.assign(BTreeMap::from([(place, None)]));
        }
    }

    /// Another consumer, to which everything is assigned anew.
    fn renew(&mut self, wanted: &mut BTreeMap<(Arc<str>, i32), Option<Arc<FeedCell>>>) {
        let poll = match consume(&self.settings) {
            Ok(poll) => Arc::new(poll),
            Err(error) => return warn!(%error, "no Kafka consumer can be made"),
        };
        *self.shared.poll.lock() = Arc::clone(&poll);
        let former = std::mem::replace(&mut self.poll, poll);
        // To let go of a consumer takes its time.
        thread::spawn(move || drop(former));
        for (topic, partitions) in std::mem::take(&mut self.assigned) {
            for (number, cell) in partitions {
                wanted.entry((Arc::clone(&topic), number)).or_insert(Some(cell));
            }
        }
    }

    fn consumer(&self) -> &Consuming {
        self.poll.consumer()
    }
}

fn consume(settings: &KafkaSettings) -> io::Result<PartitionPoll<ClientVoice>> {
    let consumer = client_config::consumer(settings).create_with_context(ClientVoice);
    let consumer: Arc<Consuming> = Arc::new(consumer.map_err(io::Error::other)?);
    PartitionPoll::of(&consumer).map_err(io::Error::other)
}

fn place_of(cell: &FeedCell) -> (Arc<str>, i32) {
    (Arc::clone(&cell.log.topic), kafka_number(cell.partition))
}

/// Assignments fail only if the consumer is unusable, which is noticed by what does not come.
fn told<E: Display>(doing: &str, done: Result<(), E>) {
    if let Err(error) = done {
        warn!(%error, doing, "Kafka consumer");
    }
}

/// Gives what was polled to the feed that it is for.
fn hand_over(assigned: &Assigned, polled: Polled<'_>) -> Follows {
    let find = |topic: &str, partition: i32| {
        assigned.get(topic).and_then(|partitions| partitions.get(&partition))
    };
    match polled {
        Polled::Record { topic, partition, offset, epoch, value } => {
            let (Some(cell), Ok(offset)) = (find(topic, partition), u64::try_from(offset)) else {
                return Follows::Nothing;
            };
            let filled = cell.push(offset, epoch.unwrap_or_default(), value.unwrap_or_default());
            follows(cell, filled)
        }
        Polled::Partition { topic, partition, offset, code, text } => {
            let Some(cell) = find(topic, partition) else { return Follows::Nothing };
            told_of(cell, offset, code, text)
        }
        Polled::Client { code, text } => {
            tell_code(code, text);
            Follows::Nothing
        }
    }
}

fn follows(cell: &Arc<FeedCell>, filled: Filled) -> Follows {
    match filled {
        Filled::On => Follows::Nothing,
        Filled::Stop => Follows::Stop(Arc::clone(cell)),
        Filled::Gap { from, to } => {
            Follows::Trouble(Arc::clone(cell), TroubleKind::Gap { from, to })
        }
    }
}

/// What a consumer says of one partition.
fn told_of(cell: &Arc<FeedCell>, offset: i64, code: i32, text: &str) -> Follows {
    let lost = |truncated| {
        cell.await_judgement();
        Follows::Trouble(Arc::clone(cell), TroubleKind::Lost { truncated })
    };
    match code {
        END_REACHED => {
            follows(cell, u64::try_from(offset).map_or(Filled::On, |end| cell.reached_end(end)))
        }
        POSITION_LOST
        | OFFSET_OUT_OF_RANGE
        | UNKNOWN_PARTITION
        | UNKNOWN_TOPIC
        | UNKNOWN_TOPIC_OR_PARTITION
        | UNKNOWN_TOPIC_ID => lost(false),
        TRUNCATED => lost(true),
        BAD_MESSAGE | CORRUPT_MESSAGE => {
            let (topic, next) = (&cell.log.topic, cell.wanted());
            let why = format!("topic {topic}, partition {}, offset {next}: {text}", cell.partition);
            cell.fail(FeedFailure::Damaged { why: Arc::from(why) });
            Follows::Stop(Arc::clone(cell))
        }
        TOPIC_AUTHORIZATION_FAILED => {
            cell.fail(FeedFailure::Unavailable { why: Arc::from(text) });
            Follows::Stop(Arc::clone(cell))
        }
        // Passing: the consumer tries again by itself.
        _ => {
            debug!(
                topic = &*cell.log.topic,
                number = cell.partition,
                code,
                "Kafka consumer: {text}"
            );
            Follows::Nothing
        }
    }
}

/// Codes of the protocol, and negative ones of librdkafka.
const OFFSET_OUT_OF_RANGE: i32 = 1;
const CORRUPT_MESSAGE: i32 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i32 = 3;
const TOPIC_AUTHORIZATION_FAILED: i32 = 29;
const UNKNOWN_TOPIC_ID: i32 = 100;
const TRUNCATED: i32 = -139;
const POSITION_LOST: i32 = -140;
const UNKNOWN_TOPIC: i32 = -188;
const UNKNOWN_PARTITION: i32 = -190;
const END_REACHED: i32 = -191;
const BAD_MESSAGE: i32 = -199;
