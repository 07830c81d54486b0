//! The records of one partition on their way from a consumer to those who read it.
//!
//! Pure. Holds what some reader has not taken, up to a bound: then the oldest go that the fastest
//! reader has taken, and who is behind reads them elsewhere. Nothing waits for the slowest. Start
//! reading at [`Feed::push`] and [`Feed::take`].

use bytes::Bytes;
use cortado_log::{LogEntry, LogPage};
use cortado_model::{LogOffset, LogPosition};
use std::collections::{BTreeMap, VecDeque};

/// A stretch of a partition, and who reads it.
#[derive(Debug)]
pub(crate) struct Feed {
    /// From here to `next` all is known: what is no entry never held a record.
    first: u64,
    /// Behind all that is known.
    next: u64,
    /// Under which broker leader stands what comes last before `next`, if that is known.
    next_epoch: Option<u32>,
    /// What stands between `next` and here, if anything, never held a record: readers are told with
    /// what comes next, so that they need not wake up for nothing.
    vouched: u64,
    /// As `next_epoch`, of `vouched`.
    vouched_epoch: Option<u32>,
    entries: VecDeque<FedEntry>,
    bytes: usize,
    /// The end of the partition, as far as it is known.
    end: u64,
    /// Where each reader stands.
    readers: BTreeMap<ReaderId, u64>,
}

#[derive(Debug)]
struct FedEntry {
    entry: LogEntry,
    epoch: u32,
}

/// One of the readers of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReaderId(pub(crate) u64);

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It was taken.
    Taken,
    /// It was taken, and there is no room for more.
    Full,
    /// It was not taken: these offsets before it are not explained.
    Gap {
        /// The first of them.
        from: u64,
        /// Where the record stands.
        to: u64,
    },
    /// It is known already.
    Old,
}

impl Feed {
    /// Begins at an offset, behind what stands under a broker leader of this epoch.
    pub(crate) fn new(from: u64, epoch: Option<u32>) -> Feed {
        Feed {
            first: from,
            next: from,
            next_epoch: epoch,
            vouched: from,
            vouched_epoch: epoch,
            entries: VecDeque::new(),
            bytes: 0,
            end: 0,
            readers: BTreeMap::new(),
        }
    }

    /// Behind all that can be read here.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// What is wanted next from the consumer.
    pub(crate) fn wanted(&self) -> u64 {
        self.next.max(self.vouched)
    }

    /// Under which broker leader stands what comes last before that, if it is known.
    pub(crate) fn wanted_epoch(&self) -> Option<u32> {
        if self.vouched > self.next { self.vouched_epoch } else { self.next_epoch }
    }

    /// The oldest offset that is known here.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The end of the partition, as far as it is known.
    pub(crate) fn end(&self) -> u64 {
        self.end.max(self.next)
    }

    /// The end was told.
    pub(crate) fn saw_end(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Nothing comes for the moment: a gap that is proven can be read.
    pub(crate) fn reached_end(&mut self) {
        self.next_epoch = self.wanted_epoch();
        self.next = self.wanted();
    }

    /// A reader stands at `position` from now on; answers whether that is known here, or will be.
    pub(crate) fn join(&mut self, reader: ReaderId, position: u64) -> bool {
        let is_here = position >= self.first;
        if is_here {
            self.readers.insert(reader, position);
            self.forget_taken();
        }
        is_here
    }

    /// A reader has gone; answers whether it was the last one.
    pub(crate) fn leave(&mut self, reader: ReaderId) -> bool {
        self.readers.remove(&reader);
        self.forget_taken();
        self.readers.is_empty()
    }

    /// A record has come.
    ///
    /// * `bytes_max`: how much may be held; the first record always may.
    pub(crate) fn push(
        &mut self,
        offset: u64,
        epoch: u32,
        record: Bytes,
        bytes_max: usize,
    ) -> Pushed {
        if offset < self.next {
            return Pushed::Old;
        }
        if offset > self.wanted() {
            return Pushed::Gap { from: self.wanted(), to: offset };
        }
        (self.next, self.next_epoch) = (offset + 1, Some(epoch));
        // Who is already beyond it has no use for it.
        if self.readers.values().any(|position| *position <= offset) {
            self.bytes += record.len();
            let entry = LogEntry { offset: LogOffset(offset), record };
            self.entries.push_back(FedEntry { entry, epoch });
        } else {
            self.forget_taken();
        }
        self.make_room(bytes_max);
        if self.bytes >= bytes_max && !self.entries.is_empty() {
            Pushed::Full
        } else {
            Pushed::Taken
        }
    }

    /// Offsets below `to` that have not come never held a record.
    ///
    /// * `epoch`: of the broker leader under which the last of them stands, if that is known.
    pub(crate) fn vouch(&mut self, to: u64, epoch: Option<u32>) {
        if to > self.wanted() {
            (self.vouched, self.vouched_epoch) = (to, epoch);
        }
    }

    /// What a reader gets that stands at `from`, up to about `bytes_max` bytes; `None` if there is
    /// nothing.
    ///
    /// `from` must not lie before [`first`](Self::first).
    pub(crate) fn take(
        &mut self,
        reader: ReaderId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Option<LogPage> {
        if from.offset.0 < self.first || from.offset.0 >= self.next {
            return None;
        }
        let begin = self.entries.partition_point(|fed| fed.entry.offset < from.offset);
        let mut page = LogPage { entries: Vec::new(), next: from, end: LogOffset(self.end()) };
        let (mut bytes, mut is_cut) = (0, false);
        for fed in self.entries.range(begin..) {
            bytes += fed.entry.record.len();
            // A page is of one leader.
            let is_other = fed.epoch != page.next.epoch || bytes > bytes_max;
            is_cut = is_other && !page.entries.is_empty();
            if is_cut {
                break;
            }
            let offset = LogOffset(fed.entry.offset.0 + 1);
            page.next = LogPosition { offset, epoch: fed.epoch };
            page.entries.push(fed.entry.clone());
        }
        // A gap behind the entries goes along with them if it is of the same leader.
        let epoch = self.next_epoch.unwrap_or(page.next.epoch);
        if !is_cut && (page.entries.is_empty() || epoch == page.next.epoch) {
            page.next = LogPosition { offset: LogOffset(self.next), epoch };
        }
        self.readers.insert(reader, page.next.offset.0);
        self.forget_taken();
        Some(page)
    }

    /// A reader goes on elsewhere, not before where it stands.
    pub(crate) fn advance(&mut self, reader: ReaderId, position: u64) {
        if let Some(stands) = self.readers.get_mut(&reader) {
            *stands = position;
            self.forget_taken();
        }
    }

    /// Whether so little is left that more should come: of what the fastest reader has not taken,
    /// since it waits for no other.
    pub(crate) fn has_room(&mut self, bytes_max: usize) -> bool {
        self.make_room(bytes_max / 2);
        self.entries.is_empty() || self.bytes < bytes_max / 2
    }

    /// Lets go of what every reader has taken.
    fn forget_taken(&mut self) {
        let slowest = self.readers.values().copied().min().unwrap_or(self.next);
        while let Some(fed) = self.entries.pop_front_if(|fed| fed.entry.offset.0 < slowest) {
            self.bytes -= fed.entry.record.len();
        }
        self.first = self.first.max(slowest.min(self.next));
    }

    /// Lets go of the oldest that the fastest reader has taken, while too much is held.
    fn make_room(&mut self, bytes_max: usize) {
        let fastest = self.readers.values().copied().max().unwrap_or(self.next);
        while self.bytes >= bytes_max
            && let Some(fed) = self.entries.pop_front_if(|fed| fed.entry.offset.0 < fastest)
        {
            self.bytes -= fed.entry.record.len();
            self.first = self.first.max(fed.entry.offset.0 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReaderId = ReaderId(1);
    const B: ReaderId = ReaderId(2);

    fn at(offset: u64) -> LogPosition {
        LogPosition { offset: LogOffset(offset), epoch: 0 }
    }

    fn push(feed: &mut Feed, offset: u64) -> Pushed {
        feed.push(offset, 3, Bytes::from_static(b"0123456789"), 30)
    }

    /// Offsets of the entries, and where to go on.
    fn take(feed: &mut Feed, reader: ReaderId, from: u64, bytes_max: usize) -> (Vec<u64>, u64) {
        feed.take(reader, at(from), bytes_max).map_or((Vec::new(), from), |page| {
            (page.entries.iter().map(|entry| entry.offset.0).collect(), page.next.offset.0)
        })
    }

    fn feed_with(readers: &[(ReaderId, u64)]) -> Feed {
        let mut feed = Feed::new(5, None);
        for (reader, position) in readers {
            assert!(feed.join(*reader, *position));
        }
        feed
    }

    #[test]
    fn a_reader_gets_what_has_come_and_nothing_is_kept_then() {
        let mut feed = feed_with(&[(A, 5)]);
        assert_eq!(take(&mut feed, A, 5, 100), (vec![], 5));
        assert_eq!((push(&mut feed, 5), push(&mut feed, 6)), (Pushed::Taken, Pushed::Taken));
        assert_eq!(take(&mut feed, A, 5, 10), (vec![5], 6));
        assert_eq!(take(&mut feed, A, 6, 0), (vec![6], 7));
        assert_eq!((feed.bytes(), feed.first(), feed.next()), (0, 7, 7));
        assert_eq!(push(&mut feed, 6), Pushed::Old);
    }

    #[test]
    fn a_feed_that_is_full_waits_for_its_fastest_reader() {
        let mut feed = feed_with(&[(A, 5), (B, 5)]);
        assert_eq!((push(&mut feed, 5), push(&mut feed, 6)), (Pushed::Taken, Pushed::Taken));
        assert_eq!(push(&mut feed, 7), Pushed::Full);
        assert!(!feed.has_room(30));
        // The slowest has not taken them: they are kept until room is needed.
        assert_eq!(take(&mut feed, A, 5, 20), (vec![5, 6], 7));
        assert_eq!(feed.bytes(), 30);
        assert!(feed.has_room(30));
        assert_eq!((feed.first(), feed.bytes()), (7, 10));
        assert_eq!(push(&mut feed, 8), Pushed::Taken);
        assert_eq!(take(&mut feed, B, 5, 100), (vec![], 5), "it has fallen behind");
        assert!(!feed.join(B, 5) && feed.join(B, 7));
    }

    #[test]
    fn a_record_longer_than_the_bound_is_held_alone() {
        let mut feed = feed_with(&[(A, 5)]);
        assert_eq!(feed.push(5, 0, Bytes::from(vec![0; 100]), 30), Pushed::Full);
        assert_eq!(take(&mut feed, A, 5, 10), (vec![5], 6));
        assert!(feed.has_room(30));
    }

    #[test]
    fn a_gap_is_passed_over_only_when_it_is_proven() {
        let mut feed = feed_with(&[(A, 5)]);
        assert_eq!(push(&mut feed, 8), Pushed::Gap { from: 5, to: 8 });
        assert_eq!(take(&mut feed, A, 5, 100), (vec![], 5));
        feed.vouch(8, None);
        assert_eq!((take(&mut feed, A, 5, 100), feed.wanted()), ((vec![], 5), 8));
        assert_eq!(push(&mut feed, 9), Pushed::Gap { from: 8, to: 9 });
        assert_eq!(push(&mut feed, 8), Pushed::Taken);
        assert_eq!(take(&mut feed, A, 5, 100), (vec![8], 9));
        // At the end there is nothing to tell it with.
        feed.vouch(12, None);
        feed.reached_end();
        assert_eq!(take(&mut feed, A, 9, 100), (vec![], 12));
    }

    #[test]
    fn a_record_inside_of_what_was_vouched_for_is_a_record() {
        let mut feed = feed_with(&[(A, 5)]);
        feed.vouch(8, None);
        assert_eq!(push(&mut feed, 6), Pushed::Taken);
        assert_eq!((take(&mut feed, A, 5, 100), feed.wanted()), ((vec![6], 7), 8));
    }

    #[test]
    fn what_lies_before_every_reader_is_not_kept() {
        let mut feed = feed_with(&[(A, 7)]);
        assert_eq!((push(&mut feed, 5), push(&mut feed, 6)), (Pushed::Taken, Pushed::Taken));
        assert_eq!((feed.bytes(), feed.first()), (0, 7));
        push(&mut feed, 7);
        feed.advance(A, 9);
        assert_eq!((feed.bytes(), feed.first()), (0, 8));
        push(&mut feed, 8);
        push(&mut feed, 9);
        assert_eq!(take(&mut feed, A, 9, 100), (vec![9], 10));
    }

    #[test]
    fn a_position_tells_when_its_last_record_was_appended() {
        let mut feed = feed_with(&[(A, 5)]);
        push(&mut feed, 5);
        feed.vouch(9, None);
        feed.reached_end();
        let page = feed.take(A, at(5), 100).unwrap();
        assert_eq!((page.next, page.end), (LogPosition { epoch: 3, ..at(9) }, LogOffset(9)));
        feed.vouch(12, Some(4));
        assert_eq!((feed.wanted(), feed.wanted_epoch()), (12, Some(4)));
        feed.reached_end();
        // What stands in a gap is of a leader, too.
        let page = feed.take(A, page.next, 100).unwrap();
        assert_eq!(page.next, LogPosition { epoch: 4, ..at(12) });
    }

    #[test]
    fn a_page_ends_where_the_log_changes_its_leader() {
        let mut feed = feed_with(&[(A, 5)]);
        let mut push = |offset, epoch| feed.push(offset, epoch, Bytes::from_static(b"0"), 1_000);
        for (offset, epoch) in [(5, 1), (6, 1), (7, 2)] {
            assert_eq!(push(offset, epoch), Pushed::Taken);
        }
        feed.vouch(10, Some(3));
        let mut position = LogPosition { epoch: 1, ..at(5) };
        let mut pages = Vec::new();
        for _ in 0..3 {
            if pages.len() == 2 {
                feed.reached_end();
            }
            let page = feed.take(A, position, 1_000).unwrap();
            position = page.next;
            pages.push((page.entries.len(), position.offset.0, position.epoch));
        }
        assert_eq!(pages, [(2, 7, 1), (1, 8, 2), (0, 10, 3)]);
    }

    #[test]
    fn the_last_reader_is_noticed() {
        let mut feed = feed_with(&[(A, 5), (B, 5)]);
        assert!(!feed.leave(A));
        assert!(feed.leave(B));
    }
}
