//! When the log is read: a follower in big strides, a leader only where it must.
//!
//! Start reading at [`Pace::wants`].

use crate::event::JobId;
use cortado_model::Millis;

/// A follower lets records gather this long, so that it wakes and writes its store for many at
/// once and leaves the processors to the leaders. What a request waits for is read at once.
const GATHER_MS: u64 = 5;
/// The same where many come: a batch costs the store much that does not grow with it.
const GATHER_BUSY_MS: u64 = 20;
/// Records of one read that make a follower busy.
const BUSY_RECORDS: usize = 4;
/// A log that cannot be read now is read again after this.
const RETRY_MS: u64 = 100;
/// Bytes of one read: enough for a good batch, few enough to stay within a processor's cache.
pub(crate) const READ_BYTES_MAX: usize = 1 << 20;

/// When the log is to be read next.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The read that is under way.
    reading: Option<JobId>,
    /// No read before, unless it is urgent.
    due: Option<Millis>,
    /// Not even then.
    rests: bool,
    busy: bool,
}

impl Pace {
    /// When to look again; `None` while a read is under way or nothing is behind.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.due.filter(|_| self.reading.is_none())
    }

    /// Whether to read now, where there is something to be read.
    ///
    /// * `urgent`: a read or a recovery waits for it, or this replica does more than follow.
    pub(crate) fn wants(&mut self, now: Millis, urgent: bool) -> bool {
        if self.reading.is_some() {
            return false;
        }
        let due = match self.due {
            Some(due) => due,
            None if urgent => now,
            None => {
                let gather_ms = if self.busy { GATHER_BUSY_MS } else { GATHER_MS };
                *self.due.insert(now.plus(gather_ms))
            }
        };
        now >= due || (urgent && !self.rests)
    }

    /// There is nothing to be read, or no room for it.
    pub(crate) fn idle(&mut self) {
        if self.reading.is_none() {
            (self.due, self.rests) = (None, false);
        }
    }

    pub(crate) fn begin(&mut self, job: JobId) {
        (self.reading, self.due, self.rests) = (Some(job), None, false);
    }

    /// Whether a read is under way.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// A read has come back; `false` if it is of another time.
    pub(crate) fn end(&mut self, job: JobId) -> bool {
        self.reading.take_if(|reading| *reading == job).is_some()
    }

    /// It brought this many records.
    pub(crate) fn came(&mut self, records: usize, now: Millis) {
        self.busy = records >= BUSY_RECORDS;
        if records == 0 {
            self.rest(now, GATHER_MS);
        }
    }

    /// It brought nothing, since the log cannot be read.
    pub(crate) fn failed(&mut self, now: Millis) {
        self.rest(now, RETRY_MS);
    }

    fn rest(&mut self, now: Millis, rest_ms: u64) {
        (self.due, self.rests) = (Some(now.plus(rest_ms)), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_lets_records_gather_unless_a_read_is_urgent() {
        let mut pace = Pace::default();
        assert!(!pace.wants(Millis(100), false));
        assert_eq!(pace.due(), Some(Millis(105)));
        assert!(!pace.wants(Millis(104), false));
        assert!(pace.wants(Millis(104), true));
        assert!(pace.wants(Millis(105), false));
        pace.begin(JobId(1));
        assert!(!pace.wants(Millis(106), true), "one read at a time");
        assert!(!pace.end(JobId(0)) && pace.end(JobId(1)));
        pace.came(BUSY_RECORDS, Millis(106));
        assert!(!pace.wants(Millis(106), false));
        assert_eq!(pace.due(), Some(Millis(126)));
    }

    #[test]
    fn a_log_that_cannot_be_read_is_left_alone_for_a_while() {
        let mut pace = Pace::default();
        pace.begin(JobId(1));
        assert!(pace.end(JobId(1)));
        pace.failed(Millis(10));
        assert!(!pace.wants(Millis(109), true));
        assert!(pace.wants(Millis(110), true));
        pace.idle();
        assert_eq!(pace.due(), None);
    }
}
