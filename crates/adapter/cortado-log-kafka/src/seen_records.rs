//! Under which broker leader the records of a partition were appended, as far as this process has
//! read it.
//!
//! An acknowledgement does not tell the epoch; who reads the record learns it, mostly a moment
//! before the acknowledgement comes. What is acknowledged and not yet seen waits here. Pure. Start
//! reading at [`SeenRecords::saw`] and [`SeenRecords::hear`].

use std::collections::VecDeque;
use std::fmt;

/// Hears under which epoch a record stands; `None` if that is not to be learned.
pub(crate) type HearEpoch = Box<dyn FnOnce(Option<u32>) + Send>;

/// What was seen last, and who waits to see more.
#[derive(Default)]
pub(crate) struct SeenRecords {
    /// The latest records that were seen running, all of one epoch.
    run: Option<Run>,
    /// In ascending order of their offsets, as they were acknowledged. Each is a record that a
    /// producer holds, and those are bounded.
    waiting: VecDeque<(u64, HearEpoch)>,
    /// Somebody sees to it that a consumer shows what is waited for.
    is_shown: bool,
    /// No consumer reads any more.
    is_closed: bool,
}

/// Records without another one between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// A record stands here.
    since: u64,
    /// One above the last.
    next: u64,
    epoch: u32,
}

/// Those who have something to hear, and what.
pub(crate) type Heard = Vec<(HearEpoch, Option<u32>)>;

impl SeenRecords {
    /// A consumer shows the record at `offset`. The answer is to be told without locks.
    #[must_use]
    pub(crate) fn saw(&mut self, offset: u64, epoch: u32) -> Heard {
        match &mut self.run {
            Some(run) if run.epoch == epoch && offset >= run.next => run.next = offset + 1,
            // Another consumer reads what is of the past.
            Some(run) if offset < run.next && epoch <= run.epoch => {}
            // The log's leader has changed, or it was cut and written again.
            run => *run = Some(Run { since: offset, next: offset + 1, epoch }),
        }
        let mut heard = Vec::new();
        // What was passed over is not shown any more.
        while let Some((at, hear)) = self.waiting.pop_front_if(|(at, _)| *at <= offset) {
            heard.push((hear, if at == offset { Some(epoch) } else { self.epoch_at(at) }));
        }
        heard
    }

    /// Lets `hear` wait until the record at `offset` is seen; answers it where it need not, with
    /// what is to be told at once.
    pub(crate) fn hear(
        &mut self,
        offset: u64,
        hear: HearEpoch,
    ) -> Option<(HearEpoch, Option<u32>)> {
        if let Some(epoch) = self.epoch_at(offset) {
            return Some((hear, Some(epoch)));
        }
        if self.is_closed || self.run.is_some_and(|run| offset < run.next) {
            return Some((hear, None));
        }
        let at = self.waiting.partition_point(|(at, _)| *at <= offset);
        self.waiting.insert(at, (offset, hear));
        None
    }

    /// Whether a record at `offset` under `epoch` shows that the log has lost what was seen there.
    pub(crate) fn is_cut_by(&self, offset: u64, epoch: u32) -> bool {
        self.run.is_some_and(|run| epoch > run.epoch && offset < run.next)
    }

    fn epoch_at(&self, offset: u64) -> Option<u32> {
        let run = self.run.filter(|run| (run.since..run.next).contains(&offset));
        run.map(|run| run.epoch)
    }

    /// The epoch of the latest leader of whom something was read.
    pub(crate) fn latest_epoch(&self) -> Option<u32> {
        self.run.map(|run| run.epoch)
    }

    /// Whether it was seen that the last record before `offset` has this epoch.
    pub(crate) fn confirms(&self, offset: u64, epoch: u32) -> bool {
        self.run.is_some_and(|run| run.epoch == epoch && run.since < offset && offset <= run.next)
    }

    /// Where a record of a later epoch stands that whoever reads on at `offset`, behind a record of
    /// `epoch`, has not read: the log was cut before it, and written again.
    pub(crate) fn contradicts(&self, offset: u64, epoch: u32) -> Option<u64> {
        let run = self.run.filter(|run| run.epoch > epoch && run.since < offset);
        run.map(|run| run.since)
    }

    /// The oldest record that is waited for.
    pub(crate) fn oldest_waiting(&mut self) -> Option<u64> {
        self.waiting.front().map(|(at, _)| *at)
    }

    /// The oldest record that is waited for; if there is none, nobody shows any from now on.
    pub(crate) fn oldest_unseen(&mut self) -> Option<u64> {
        let oldest = self.oldest_waiting();
        self.is_shown &= oldest.is_some();
        oldest
    }

    /// The caller sees to it that a consumer shows what is waited for, unless another one does.
    pub(crate) fn begin_showing(&mut self) -> bool {
        let begins = !self.is_shown && !self.waiting.is_empty();
        self.is_shown |= begins;
        begins
    }

    /// Nothing that is waited for will be seen.
    #[must_use]
    pub(crate) fn give_up(&mut self) -> Heard {
        self.is_shown = false;
        self.waiting.drain(..).map(|(_, hear)| (hear, None)).collect()
    }

    /// Nothing will be seen any more.
    #[must_use]
    pub(crate) fn close(&mut self) -> Heard {
        self.is_closed = true;
        self.give_up()
    }
}

impl fmt::Debug for SeenRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting: Vec<u64> = self.waiting.iter().map(|(at, _)| *at).collect();
        let mut seen = f.debug_struct("SeenRecords");
        seen.field("run", &self.run).field("waiting", &waiting).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was heard: the offset, and the epoch.
    type Told = Arc<Mutex<Vec<(u64, Option<u32>)>>>;

    fn hear(told: &Told, offset: u64) -> HearEpoch {
        let told = Arc::clone(told);
        Box::new(move |epoch| told.lock().unwrap().push((offset, epoch)))
    }

    fn tell(heard: Heard) {
        heard.into_iter().for_each(|(hear, epoch)| hear(epoch));
    }

    /// Whether it waits.
    fn wait(seen: &mut SeenRecords, told: &Told, offset: u64) -> bool {
        let at_once = seen.hear(offset, hear(told, offset));
        let waits = at_once.is_none();
        tell(at_once.into_iter().collect());
        waits
    }

    #[test]
    fn an_acknowledged_record_is_told_when_it_is_seen_whichever_comes_first() {
        let (mut seen, told) = (SeenRecords::default(), Told::default());
        tell(seen.saw(4, 1));
        assert!(!wait(&mut seen, &told, 4));
        assert!(wait(&mut seen, &told, 5) && wait(&mut seen, &told, 6));
        assert_eq!(seen.oldest_unseen(), Some(5));
        tell(seen.saw(5, 1));
        tell(seen.saw(6, 2));
        assert_eq!(*told.lock().unwrap(), [(4, Some(1)), (5, Some(1)), (6, Some(2))]);
        assert_eq!((seen.oldest_unseen(), seen.latest_epoch()), (None, Some(2)));
    }

    #[test]
    fn what_was_passed_over_is_not_guessed() {
        let (mut seen, told) = (SeenRecords::default(), Told::default());
        assert!(wait(&mut seen, &told, 5));
        tell(seen.saw(7, 3));
        // Of a leader before the one that is known.
        assert!(!wait(&mut seen, &told, 6));
        assert_eq!(*told.lock().unwrap(), [(5, None), (6, None)]);
        assert!(wait(&mut seen, &told, 8));
        tell(seen.close());
        assert!(!wait(&mut seen, &told, 9));
        assert_eq!(told.lock().unwrap()[2..], [(8, None), (9, None)]);
    }

    #[test]
    fn a_log_that_was_cut_and_written_again_contradicts_who_read_it_before() {
        let mut seen = SeenRecords::default();
        (3..8).for_each(|offset| tell(seen.saw(offset, 1)));
        assert!(seen.confirms(8, 1) && seen.confirms(4, 1) && !seen.confirms(3, 1));
        assert!(!seen.confirms(8, 0) && !seen.confirms(9, 1));
        assert_eq!(seen.contradicts(8, 1), None);
        tell(seen.saw(5, 2));
        assert_eq!((seen.contradicts(6, 1), seen.contradicts(8, 1)), (Some(5), Some(5)));
        // Up to there both have the same.
        assert_eq!(seen.contradicts(5, 1), None);
        // Another consumer shows what is older: that changes nothing.
        tell(seen.saw(3, 1));
        assert_eq!(seen.latest_epoch(), Some(2));
    }

    #[test]
    fn one_at_a_time_sees_to_what_is_waited_for() {
        let (mut seen, told) = (SeenRecords::default(), Told::default());
        assert!(!seen.begin_showing(), "nothing is waited for");
        assert!(wait(&mut seen, &told, 0));
        assert!(seen.begin_showing() && !seen.begin_showing());
        tell(seen.saw(0, 0));
        assert_eq!(seen.oldest_unseen(), None);
        assert!(wait(&mut seen, &told, 1) && seen.begin_showing());
    }
}
