//! Who reads what: one feed for each partition that is followed, filled at the pace of its fastest
//! reader, and feeds of their own for those who are behind.
//!
//! Start reading at [`Feeds::attach`].

use crate::broker_connection::BrokerDoor;
use crate::cluster_admin::ClusterAdmin;
use crate::epoch_proof::EpochProof;
use crate::feed::ReaderId;
use crate::feed_cell::{FeedBudget, FeedCell, FeedFailure, Flow};
use crate::fetcher::{Fetcher, Trouble, TroubleKind};
use crate::gap_proof::GapProof;
use crate::known_logs::{KnownLog, Standing};
use crate::leader_call::LeaderCall;
use crate::lifecycle::{Lifecycle, kafka_number};
use crate::record_batches::GapVerdict;
use crate::settings::KafkaSettings;
use cortado_kafka_ffi::OffsetEdge;
use cortado_log::LogReadError;
use cortado_model::PartitionId;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

/// How long a stretch for one who is behind may take, before it is tried anew.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);
/// Further ahead of its feed, a reader does not wait for what it does not want: it gets another.
pub(crate) const SKIPPED_MAX: u64 = 10_000;
/// After something that may pass.
const PAUSE: Duration = Duration::from_millis(100);
/// So many looks must agree that a log ends below what was read of it: a broker that has been
/// replaced and does not know it tells an old end.
const LOOKS: u32 = 3;
/// A consumer that passes over the same record so often does not show it at all.
const PASSED_OVER_MAX: u32 = 3;

/// All feeds of a process.
pub(crate) struct Feeds {
    runtime: Handle,
    lifecycle: Arc<Lifecycle>,
    gaps: GapProof,
    epochs: EpochProof,
    fetchers: Vec<Fetcher>,
    shared: Mutex<BTreeMap<PartitionId, Arc<FeedCell>>>,
    catching_up: Mutex<BTreeMap<PartitionId, Arc<Slots>>>,
    /// Partitions whose own feed has room for more, while all feeds together have none; each once.
    due: Mutex<VecDeque<PartitionId>>,
    budget: Arc<FeedBudget>,
    readers: AtomicU64,
}

/// The consumers that can read a partition beside its own.
struct Slots {
    turns: Semaphore,
    /// Numbers of those that do not at the moment.
    free: Mutex<Vec<usize>>,
}

/// A reader and the feed that it reads.
pub(crate) struct Attachment {
    pub(crate) cell: Arc<FeedCell>,
    pub(crate) reader: ReaderId,
    /// Which consumer fills it, if it is the partition's own feed.
    fetcher: Option<usize>,
}

impl Feeds {
    /// Starts the consumers, and the task that finds out what they do not know.
    pub(crate) fn start(
        settings: &KafkaSettings,
        (admin, door): (&Arc<ClusterAdmin>, &Arc<BrokerDoor>),
        lifecycle: &Arc<Lifecycle>,
        runtime: &Handle,
    ) -> io::Result<Arc<Feeds>> {
        // Bounded by the feeds: one that is in trouble reads no more, and so has no other.
        let (sender, troubles) = unbounded_channel();
        let fetchers =
            (0..settings.consumers).map(|number| Fetcher::start(settings, number, sender.clone()));
        let (leaders, within) = (Arc::new(LeaderCall::new(admin, door)), settings.call_timeout);
        let feeds = Arc::new(Feeds {
            runtime: runtime.clone(),
            lifecycle: Arc::clone(lifecycle),
            gaps: GapProof { leaders: Arc::clone(&leaders), within },
            epochs: EpochProof { leaders, within },
            fetchers: fetchers.collect::<io::Result<_>>()?,
            shared: Mutex::default(),
            catching_up: Mutex::default(),
            due: Mutex::default(),
            budget: Arc::default(),
            readers: AtomicU64::new(0),
        });
        runtime.spawn(hear(Arc::downgrade(&feeds), troubles));
        Ok(feeds)
    }

    /// How much feeds hold, and how much they may.
    pub(crate) fn held(&self) -> (u64, u64) {
        self.budget.used_and_limit()
    }

    /// A feed from which a reader gets what comes next.
    ///
    /// * `place`: where it reads on, and under which broker leader stands what comes before that,
    ///   if that is known: a new feed begins when the log was found to hold it.
    pub(crate) fn attach(
        self: &Arc<Feeds>,
        partition: PartitionId,
        log: &Arc<KnownLog>,
        place: (u64, Option<u32>),
    ) -> Attachment {
        let position = place.0;
        let reader = ReaderId(self.readers.fetch_add(1, Ordering::Relaxed));
        let own = self.fetcher_of(partition);
        let mut shared = self.shared.lock();
        let is_usable = |cell: &&Arc<FeedCell>| Arc::ptr_eq(&cell.log, log) && !cell.has_ended();
        let is_far_ahead =
            |cell: &&Arc<FeedCell>| position > cell.wanted().saturating_add(SKIPPED_MAX);
        let usable = shared.get(&partition).filter(is_usable);
        if let Some(cell) = usable.filter(|cell| !is_far_ahead(cell)) {
            if cell.join(reader, position) {
                return Attachment { cell: Arc::clone(cell), reader, fetcher: Some(own) };
            }
            let until = cell.first();
            drop(shared);
            let cell = self.catch_up(partition, log, place, until);
            cell.join(reader, position);
            return Attachment { cell, reader, fetcher: None };
        }
        let cell = Arc::new(self.new_cell(partition, log, place, None));
        cell.join(reader, position);
        if let Some(former) = shared.insert(partition, Arc::clone(&cell)) {
            // Its readers go on in stretches.
            former.finish();
        }
        if unproven(&cell).is_none() {
            // Under the lock: in the order in which feeds take one another's place.
            self.fetchers[own].fill(&cell);
        } else {
            cell.await_judgement();
            let (feeds, cell) = (Arc::clone(self), Arc::clone(&cell));
            self.runtime.spawn(async move {
                if feeds.begins_well(&cell).await {
                    feeds.fetchers[own].fill(&cell);
                }
            });
        }
        Attachment { cell, reader, fetcher: Some(own) }
    }

    /// Whether the log holds what comes before a feed; fails the feed otherwise.
    async fn begins_well(&self, cell: &FeedCell) -> bool {
        let failure = match unproven(cell) {
            Some((offset, epoch)) => self.parting(cell, offset, epoch).await,
            None => None,
        };
        let is_well = failure.is_none();
        if let Some(failure) = failure {
            cell.fail(failure);
        }
        is_well
    }

    /// Why a feed cannot go on behind a record of `epoch`, if that is so.
    async fn parting(&self, cell: &FeedCell, offset: u64, epoch: u32) -> Option<FeedFailure> {
        match self.epochs.prove(&cell.log, cell.partition, offset, epoch).await {
            Ok(None) => None,
            Ok(Some(end)) => match self.lifecycle.identity(&cell.log).await {
                Ok(Standing::Here) => Some(FeedFailure::Diverged { end }),
                Ok(Standing::Gone) => Some(FeedFailure::Missing),
                Ok(Standing::Replaced(found)) => Some(FeedFailure::Replaced { found }),
                Err(error) => Some(FeedFailure::unavailable(&error)),
            },
            Err(error) => Some(FeedFailure::unavailable(&error)),
        }
    }

    /// A reader has gone; with the last one goes its feed.
    pub(crate) fn detach(&self, partition: PartitionId, attachment: &Attachment) {
        let mut shared = self.shared.lock();
        let is_last = attachment.cell.leave(attachment.reader);
        let Some(own) = attachment.fetcher else {
            // A stretch ends by itself, or when nobody reads it.
            if is_last {
                attachment.cell.ended.notify_one();
            }
            return;
        };
        if is_last {
            // Nor does it begin again, when something is found out about it.
            attachment.cell.finish();
            self.fetchers[own].leave(&attachment.cell);
            if shared.get(&partition).is_some_and(|cell| Arc::ptr_eq(cell, &attachment.cell)) {
                shared.remove(&partition);
            }
        }
    }

    /// Something was taken from feeds.
    ///
    /// * `due`: a partition whose own feed has room for more since now.
    pub(crate) fn took(&self, due: Option<PartitionId>) {
        self.due.lock().extend(due);
        while self.budget.has_room() {
            // Not longer than for this: whoever fills needs other locks.
            let Some(next) = self.due.lock().pop_front() else { return };
            self.fill_due(next);
        }
    }

    /// Gives every feed a little that waits for its turn, whatever others hold: their readers may
    /// stand still.
    pub(crate) fn relieve(&self) {
        let due = std::mem::take(&mut *self.due.lock());
        due.into_iter().for_each(|partition| self.fill_due(partition));
    }

    fn fill_due(&self, partition: PartitionId) {
        let shared = self.shared.lock();
        // It may have gone meanwhile, with its last reader.
        if let Some(cell) = shared.get(&partition).filter(|cell| matches!(cell.flow(), Flow::Due)) {
            self.fetchers[self.fetcher_of(partition)].fill(cell);
        }
    }

    /// The end of a partition as the consumer of its own feed knows it.
    pub(crate) fn known_end(&self, attachment: &Attachment) -> Option<u64> {
        attachment.fetcher.and_then(|own| self.fetchers[own].known_end(&attachment.cell))
    }

    /// Tells the readers of logs that have ended since the last time.
    pub(crate) fn tell_ends(&self) {
        self.lifecycle.known.take_ended().iter().for_each(|log| self.tell_end(log));
    }

    fn tell_end(&self, log: &Arc<KnownLog>) {
        let failure = match log.standing() {
            Standing::Here => return,
            Standing::Gone => FeedFailure::Missing,
            Standing::Replaced(found) => FeedFailure::Replaced { found },
        };
        let cells: Vec<_> = self.shared.lock().values().cloned().collect();
        for cell in cells.iter().filter(|cell| Arc::ptr_eq(&cell.log, log)) {
            cell.fail(failure.clone());
        }
    }

    /// Whether the own feed of a partition gets what there is.
    pub(crate) fn runs(&self, partition: PartitionId, log: &Arc<KnownLog>) -> bool {
        let shared = self.shared.lock();
        let cell = shared.get(&partition).filter(|cell| Arc::ptr_eq(&cell.log, log));
        cell.is_some_and(|cell| matches!(cell.flow(), Flow::Runs))
    }

    /// The feeds that should be getting what there is, each with its consumer's number.
    pub(crate) fn running(&self) -> Vec<(usize, Arc<FeedCell>)> {
        let shared = self.shared.lock();
        let running = shared.iter().filter(|(_, cell)| matches!(cell.flow(), Flow::Runs));
        running.map(|(partition, cell)| (self.fetcher_of(*partition), Arc::clone(cell))).collect()
    }

    /// Makes a consumer anew that shows nothing of what is there.
    pub(crate) fn renew(&self, fetcher: usize) {
        warn!(consumer = fetcher, "a Kafka consumer shows nothing; a new one takes its place");
        self.fetchers[fetcher].renew();
    }

    fn fetcher_of(&self, partition: PartitionId) -> usize {
        let number = u64::from(partition.database.0) * 31 + u64::from(partition.number);
        (number % self.fetchers.len() as u64) as usize
    }

    fn new_cell(
        &self,
        partition: PartitionId,
        log: &Arc<KnownLog>,
        from: (u64, Option<u32>),
        until: Option<u64>,
    ) -> FeedCell {
        let budget = Arc::clone(&self.budget);
        FeedCell::new(Arc::clone(log), partition.number, from, until, budget)
    }

    /// A stretch of a partition up to where its own feed begins, read by another consumer as soon
    /// as one is free.
    fn catch_up(
        self: &Arc<Feeds>,
        partition: PartitionId,
        log: &Arc<KnownLog>,
        from: (u64, Option<u32>),
        until: u64,
    ) -> Arc<FeedCell> {
        let cell = Arc::new(self.new_cell(partition, log, from, Some(until)));
        let own = self.fetcher_of(partition);
        let slots = Arc::clone(self.catching_up.lock().entry(partition).or_insert_with(|| {
            let others = (0..self.fetchers.len()).filter(|number| *number != own);
            let free: Vec<usize> = others.collect();
            Arc::new(Slots { turns: Semaphore::new(free.len()), free: Mutex::new(free) })
        }));
        let (feeds, stretch) = (Arc::clone(self), Arc::clone(&cell));
        self.runtime.spawn(async move {
            // In the order in which they ask. It is never closed.
            let Ok(_turn) = slots.turns.acquire().await else { return };
            if !feeds.begins_well(&stretch).await {
                return;
            }
            let Some(number) = slots.free.lock().pop() else { return };
            feeds.fetchers[number].fill(&stretch);
            if timeout(CATCH_UP_WITHIN, stretch.ended.notified()).await.is_err() {
                let why = Arc::from("the records did not come in time");
                stretch.fail(FeedFailure::Unavailable { why });
            }
            feeds.fetchers[number].leave(&stretch);
            slots.free.lock().push(number);
        });
        cell
    }

    async fn find_out(&self, Trouble { cell, kind, fetcher }: Trouble) {
        let failure = match kind {
            TroubleKind::Gap { from, to } => self.look_into_gap(&cell, from, to).await,
            TroubleKind::Lost { truncated } => self.look_for_position(&cell, truncated).await,
        };
        match failure {
            Some(failure) => cell.fail(failure),
            None => self.fetchers[fetcher].fill(&cell),
        }
    }

    /// Passes over what is proven; answers what follows if that is not all.
    async fn look_into_gap(&self, cell: &Arc<FeedCell>, from: u64, to: u64) -> Option<FeedFailure> {
        match self.lifecycle.identity(&cell.log).await {
            Ok(Standing::Here) => {}
            Ok(Standing::Gone) => return Some(FeedFailure::Missing),
            Ok(Standing::Replaced(found)) => return Some(FeedFailure::Replaced { found }),
            Err(error) => return Some(FeedFailure::unavailable(&error)),
        }
        let (topic, number) = (&*cell.log.topic, cell.partition);
        match self.gaps.prove(&cell.log, cell.partition, from..to).await {
            Ok(GapVerdict::Proven { to, epoch }) => {
                cell.vouch(to, epoch);
                None
            }
            Ok(GapVerdict::ProvenUpTo(to)) => {
                cell.vouch(to, None);
                None
            }
            Ok(GapVerdict::HoldsRecord(at)) => {
                cell.vouch(at, None);
                if cell.was_passed_over() < PASSED_OVER_MAX {
                    return None;
                }
                warn!(topic, number, offset = at, "a Kafka consumer does not show a record");
                let why = Arc::from(format!("the consumer does not show the record at {at}"));
                Some(FeedFailure::Unavailable { why })
            }
            Ok(GapVerdict::Hole(at)) => {
                error!(topic, number, offset = at, "a record is missing in the Kafka topic");
                cell.vouch(at, None);
                Some(FeedFailure::Hole { at })
            }
            Ok(GapVerdict::Damaged) => {
                let why =
                    format!("topic {topic}, partition {number}: damaged batch from {from} on");
                Some(FeedFailure::Damaged { why: Arc::from(why) })
            }
            Err(error) => Some(FeedFailure::unavailable(&error)),
        }
    }

    /// Tells trimmed from truncated, and both from another log.
    async fn look_for_position(&self, cell: &FeedCell, truncated: bool) -> Option<FeedFailure> {
        let place = [(Arc::clone(&cell.log.topic), kafka_number(cell.partition))];
        let mut looks = 0;
        loop {
            match self.lifecycle.identity(&cell.log).await {
                Ok(Standing::Here) => {}
                Ok(Standing::Gone) => return Some(FeedFailure::Missing),
                Ok(Standing::Replaced(found)) => return Some(FeedFailure::Replaced { found }),
                Err(error) => return Some(FeedFailure::unavailable(&error)),
            }
            let edges = tokio::join!(
                self.lifecycle.edges(&place, OffsetEdge::First),
                self.lifecycle.edges(&place, OffsetEdge::End),
            );
            let (first, end) = match (edge(edges.0), edge(edges.1)) {
                (Ok(first), Ok(end)) => (first, end),
                (Err(failure), _) | (_, Err(failure)) => return Some(failure),
            };
            let (next, epoch) = cell.wanted_place();
            if next < first {
                return Some(FeedFailure::Trimmed { first });
            }
            if truncated {
                // The consumer has asked one broker, which may be behind; this asks until one
                // knows.
                return match epoch {
                    Some(epoch) => self.parting(cell, next, epoch).await,
                    None => Some(FeedFailure::Diverged { end: end.min(next) }),
                };
            }
            sleep(PAUSE).await;
            if next <= end {
                // It is there after all: the broker did not know yet.
                return None;
            }
            looks += 1;
            if looks == LOOKS {
                return Some(FeedFailure::Diverged { end });
            }
        }
    }
}

/// Where a feed begins, and the epoch of what comes before that, if it is to be proven that the log
/// holds it: it is not where nothing comes before it, or a consumer of this process has just seen
/// it.
fn unproven(cell: &FeedCell) -> Option<(u64, u32)> {
    let (offset, epoch) = cell.wanted_place();
    let epoch = epoch.filter(|_| offset > 0)?;
    let is_seen = cell.log.seen(cell.partition, |seen| seen.confirms(offset, epoch));
    (is_seen != Some(true)).then_some((offset, epoch))
}

/// Hears of troubles until the log is closed.
async fn hear(feeds: Weak<Feeds>, mut troubles: UnboundedReceiver<Trouble>) {
    while let Some(trouble) = troubles.recv().await {
        let Some(feeds) = feeds.upgrade() else { return };
        let runtime = feeds.runtime.clone();
        runtime.spawn(async move { feeds.find_out(trouble).await });
    }
}

fn edge(found: Result<Vec<(u64, Option<u32>)>, LogReadError>) -> Result<u64, FeedFailure> {
    let unavailable = |error: &LogReadError| {
        let why = Arc::from(cortado_model::with_causes(error));
        FeedFailure::Unavailable { why }
    };
    let found = found.map_err(|error| unavailable(&error))?;
    // One was asked for.
    Ok(found.first().map_or(0, |(offset, _)| *offset))
}
