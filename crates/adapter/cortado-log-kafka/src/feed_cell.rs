//! A feed that is shared between the thread that fills it and those who read it.
//!
//! Start reading at [`FeedCell`].

use crate::feed::{Feed, Pushed, ReaderId};
use crate::known_logs::KnownLog;
use bytes::Bytes;
use cortado_log::{LogPage, LogReadError};
use cortado_model::{LogId, LogOffset, LogPosition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// What one feed may hold while there is room in all: as much as a consumer gets at once.
const FEED_BYTES_MAX: usize = 1 << 20;
/// What it may hold otherwise; a record that is longer is held alone.
const FEED_BYTES_MIN: usize = 16 << 10;
/// What all feeds hold together before each is limited further, and waits its turn.
const ALL_BYTES_MAX: u64 = 64 << 20;

/// What all feeds hold together.
#[derive(Debug, Default)]
pub(crate) struct FeedBudget(AtomicU64);

impl FeedBudget {
    /// How much is held, and how much may be.
    pub(crate) fn used_and_limit(&self) -> (u64, u64) {
        (self.0.load(Ordering::Relaxed), ALL_BYTES_MAX)
    }

    /// Whether there is room for another feed's records.
    pub(crate) fn has_room(&self) -> bool {
        self.0.load(Ordering::Relaxed) < ALL_BYTES_MAX
    }

    fn feed_bytes_max(&self) -> usize {
        if self.has_room() { FEED_BYTES_MAX } else { FEED_BYTES_MIN }
    }

    fn changed(&self, before: usize, after: usize) {
        if after >= before {
            self.0.fetch_add((after - before) as u64, Ordering::Relaxed);
        } else {
            self.0.fetch_sub((before - after) as u64, Ordering::Relaxed);
        }
    }
}

/// One feed of one partition.
#[derive(Debug)]
pub(crate) struct FeedCell {
    pub(crate) log: Arc<KnownLog>,
    /// The number of the partition.
    pub(crate) partition: u32,
    /// Read up to here, and to where it is full, and no further: for one who is behind.
    until: Option<u64>,
    budget: Arc<FeedBudget>,
    state: Mutex<CellState>,
    /// Nothing more comes.
    pub(crate) ended: Notify,
}

#[derive(Debug)]
struct CellState {
    feed: Feed,
    flow: Flow,
    wakers: BTreeMap<ReaderId, Waker>,
    /// Found to hold a record that the consumer had passed over, so many times running.
    passed_over: u32,
}

/// Whether more comes.
#[derive(Clone, Debug)]
pub(crate) enum Flow {
    /// Yes.
    Runs,
    /// When what it holds was taken.
    Full,
    /// When its turn comes.
    Due,
    /// When it is known why something is missing.
    Judged,
    /// No: this was all that was asked for.
    Done,
    /// No, and why.
    Failed(FeedFailure),
}

/// Why nothing more comes: a [`LogReadError`] that can be told to each reader.
#[derive(Clone, Debug)]
pub(crate) enum FeedFailure {
    Trimmed { first: u64 },
    Diverged { end: u64 },
    Hole { at: u64 },
    Replaced { found: LogId },
    Missing,
    Unavailable { why: Arc<str> },
    Damaged { why: Arc<str> },
}

/// What the thread that fills a feed does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// It goes on.
    On,
    /// It lets go of the partition.
    Stop,
    /// It lets go of the partition until this gap is explained.
    Gap { from: u64, to: u64 },
}

/// Whether a reader finds something where it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// A page or an error.
    Here,
    /// Not here: see [`Found::Elsewhere`].
    Elsewhere,
}

/// What a reader finds.
#[derive(Debug)]
pub(crate) enum Found {
    Page(LogPage),
    /// The reader is behind what is here, or all that was asked for is taken: it reads elsewhere.
    Elsewhere,
    Failed(LogReadError),
}

impl FeedCell {
    /// * `from`: where it begins, and under which broker leader stands what comes before that.
    pub(crate) fn new(
        log: Arc<KnownLog>,
        partition: u32,
        (from, epoch): (u64, Option<u32>),
        until: Option<u64>,
        budget: Arc<FeedBudget>,
    ) -> FeedCell {
        let (feed, wakers) = (Feed::new(from, epoch), BTreeMap::new());
        let state = Mutex::new(CellState { feed, flow: Flow::Runs, wakers, passed_over: 0 });
        FeedCell { log, partition, until, budget, state, ended: Notify::new() }
    }

    /// Works on the feed, then counts what it holds.
    fn with<T>(&self, work: impl FnOnce(&mut CellState) -> T) -> T {
        let mut state = self.state.lock();
        let before = state.feed.bytes();
        let answer = work(&mut state);
        self.budget.changed(before, state.feed.bytes());
        answer
    }

    /// A record has come.
    pub(crate) fn push(&self, offset: u64, epoch: u32, record: &[u8]) -> Filled {
        self.log.saw(self.partition, offset, epoch);
        let bytes_max = self.budget.feed_bytes_max();
        self.with(|state| {
            if !matches!(state.flow, Flow::Runs) {
                return Filled::Stop;
            }
            // What is known already is not worth a copy.
            if offset < state.feed.next() {
                return Filled::On;
            }
            let pushed = state.feed.push(offset, epoch, Bytes::copy_from_slice(record), bytes_max);
            let filled = match pushed {
                Pushed::Gap { from, to } => {
                    state.flow = Flow::Judged;
                    return Filled::Gap { from, to };
                }
                Pushed::Old => return Filled::On,
                Pushed::Full => Filled::Stop,
                Pushed::Taken => Filled::On,
            };
            state.passed_over = 0;
            state.wake();
            let is_last = self.until.is_some_and(|until| state.feed.next() >= until);
            if filled == Filled::On && !is_last {
                return Filled::On;
            }
            state.flow = if self.until.is_some() { Flow::Done } else { Flow::Full };
            self.ended.notify_one();
            Filled::Stop
        })
    }

    /// The consumer has reached the end of the partition, and stands there.
    pub(crate) fn reached_end(&self, end: u64) -> Filled {
        self.with(|state| {
            if !matches!(state.flow, Flow::Runs) {
                return Filled::Stop;
            }
            state.feed.saw_end(end);
            let from = state.feed.wanted();
            if from >= end {
                if from > state.feed.next() {
                    state.feed.reached_end();
                    state.wake();
                }
                return Filled::On;
            }
            state.flow = Flow::Judged;
            Filled::Gap { from, to: end }
        })
    }

    /// Something must be found out before more can come.
    pub(crate) fn await_judgement(&self) {
        self.with(|state| state.flow = Flow::Judged);
    }

    /// Offsets below `to` that have not come never held a record.
    pub(crate) fn vouch(&self, to: u64, epoch: Option<u32>) {
        self.with(|state| state.feed.vouch(to, epoch));
    }

    /// The consumer has passed over a record; answers how often that happened running.
    pub(crate) fn was_passed_over(&self) -> u32 {
        self.with(|state| {
            state.passed_over += 1;
            state.passed_over
        })
    }

    /// More may come from now on; answers whether it is wanted.
    pub(crate) fn resume(&self) -> bool {
        self.with(|state| match state.flow {
            Flow::Judged | Flow::Full | Flow::Due | Flow::Runs => {
                state.flow = Flow::Runs;
                true
            }
            Flow::Done | Flow::Failed(_) => false,
        })
    }

    /// Nothing more comes, and why. What stands before it can be read.
    pub(crate) fn fail(&self, failure: FeedFailure) {
        self.with(|state| {
            if matches!(state.flow, Flow::Failed(_)) {
                return;
            }
            state.feed.reached_end();
            state.flow = Flow::Failed(failure);
            state.wake();
        });
        self.ended.notify_one();
    }

    /// Nothing more comes here: readers go on elsewhere when they have taken what is left.
    pub(crate) fn finish(&self) {
        self.with(|state| {
            if !matches!(state.flow, Flow::Failed(_)) {
                state.flow = Flow::Done;
            }
            state.wake();
        });
    }

    /// Whether it tells nothing more to who joins.
    pub(crate) fn has_ended(&self) -> bool {
        self.with(|state| matches!(state.flow, Flow::Done | Flow::Failed(_)))
    }

    pub(crate) fn flow(&self) -> Flow {
        self.with(|state| state.flow.clone())
    }

    /// What is wanted next from the consumer.
    pub(crate) fn wanted(&self) -> u64 {
        self.with(|state| state.feed.wanted())
    }

    /// The same, and under which broker leader stands what comes before it, if that is known.
    pub(crate) fn wanted_place(&self) -> (u64, Option<u32>) {
        self.with(|state| (state.feed.wanted(), state.feed.wanted_epoch()))
    }

    /// The oldest offset that is known here.
    pub(crate) fn first(&self) -> u64 {
        self.with(|state| state.feed.first())
    }

    /// A reader stands at `position` from now on; answers whether that can be read here.
    pub(crate) fn join(&self, reader: ReaderId, position: u64) -> bool {
        self.with(|state| state.feed.join(reader, position))
    }

    /// A reader has gone; answers whether it was the last one.
    pub(crate) fn leave(&self, reader: ReaderId) -> bool {
        self.with(|state| {
            state.wakers.remove(&reader);
            state.feed.leave(reader)
        })
    }

    /// A reader goes on elsewhere, not before where it stands; answers whether more is due now.
    pub(crate) fn advance(&self, reader: ReaderId, position: u64) -> bool {
        self.with(|state| {
            state.feed.advance(reader, position);
            state.becomes_due()
        })
    }

    /// Ready if a reader at `position` finds something, here or elsewhere.
    pub(crate) fn poll_ready(
        &self,
        context: &mut Context<'_>,
        reader: ReaderId,
        position: u64,
    ) -> Poll<Readiness> {
        self.with(|state| {
            if position < state.feed.first() {
                return Poll::Ready(Readiness::Elsewhere);
            }
            if position < state.feed.next() {
                return Poll::Ready(Readiness::Here);
            }
            match state.flow {
                Flow::Failed(_) => Poll::Ready(Readiness::Here),
                Flow::Done => Poll::Ready(Readiness::Elsewhere),
                Flow::Runs | Flow::Full | Flow::Due | Flow::Judged => {
                    state.wakers.insert(reader, context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    /// What a reader finds, and whether more is due now; `None` is nothing yet.
    pub(crate) fn take(
        &self,
        reader: ReaderId,
        from: LogPosition,
        bytes_max: usize,
    ) -> (Option<Found>, bool) {
        self.with(|state| {
            if from.offset.0 < state.feed.first() {
                return (Some(Found::Elsewhere), false);
            }
            if let Some(page) = state.feed.take(reader, from, bytes_max) {
                return (Some(Found::Page(page)), state.becomes_due());
            }
            match &state.flow {
                Flow::Failed(failure) => (Some(Found::Failed(failure.to_error())), false),
                Flow::Done => (Some(Found::Elsewhere), false),
                Flow::Runs | Flow::Full | Flow::Due | Flow::Judged => (None, state.becomes_due()),
            }
        })
    }

    /// The end of the partition as it is known here, and as `told` elsewhere.
    pub(crate) fn known_end(&self, told: Option<u64>) -> LogOffset {
        self.with(|state| {
            state.feed.saw_end(told.unwrap_or_default());
            LogOffset(state.feed.end())
        })
    }
}

impl Drop for FeedCell {
    fn drop(&mut self) {
        self.budget.changed(self.state.get_mut().feed.bytes(), 0);
    }
}

impl CellState {
    fn wake(&mut self) {
        std::mem::take(&mut self.wakers).into_values().for_each(Waker::wake);
    }

    /// Whether a feed that was full has room for more since now.
    fn becomes_due(&mut self) -> bool {
        let is_due = matches!(self.flow, Flow::Full) && self.feed.has_room(FEED_BYTES_MAX);
        if is_due {
            self.flow = Flow::Due;
        }
        is_due
    }
}

impl FeedFailure {
    pub(crate) fn unavailable(error: &io::Error) -> FeedFailure {
        FeedFailure::Unavailable { why: Arc::from(error.to_string()) }
    }

    fn to_error(&self) -> LogReadError {
        match self {
            FeedFailure::Trimmed { first } => LogReadError::Trimmed { first: LogOffset(*first) },
            FeedFailure::Diverged { end } => LogReadError::Diverged { end: LogOffset(*end) },
            FeedFailure::Hole { at } => LogReadError::Hole { at: LogOffset(*at) },
            FeedFailure::Replaced { found } => LogReadError::Replaced { found: *found },
            FeedFailure::Missing => LogReadError::Missing,
            FeedFailure::Unavailable { why } => {
                LogReadError::Unavailable(io::Error::other(why.to_string()))
            }
            FeedFailure::Damaged { why } => LogReadError::Damaged { why: why.to_string() },
        }
    }
}
