//! The logs that this process has created or verified: what topic they are, and whether they still
//! are.
//!
//! Start reading at [`KnownLogs::learn`].

use crate::seen_records::{HearEpoch, Heard, SeenRecords};
use cortado_log::{LogReadError, LogSpec, RECORD_BYTES_MAX};
use cortado_model::{DatabaseId, LogId, PartitionId};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// By database. A log that was replaced is another [`KnownLog`]; who holds the old one hears of it.
#[derive(Debug, Default)]
pub(crate) struct KnownLogs {
    logs: RwLock<BTreeMap<DatabaseId, Arc<KnownLog>>>,
    /// Under which id the topic of each database was first found: whatever takes its name later is
    /// not the database's, though it is looked at.
    first_ids: Mutex<BTreeMap<DatabaseId, LogId>>,
    /// Logs that have ended, and whose readers have not been told.
    ended: Mutex<Vec<Arc<KnownLog>>>,
}

/// One topic under one id.
#[derive(Debug)]
pub(crate) struct KnownLog {
    pub(crate) database: DatabaseId,
    pub(crate) topic: Arc<str>,
    pub(crate) id: LogId,
    pub(crate) partitions: u32,
    standing: Mutex<Standing>,
    /// Bytes of one record at most, as its topic was set when it was looked at last.
    record_bytes_max: AtomicUsize,
    /// By their numbers.
    known: Vec<KnownPartition>,
}

/// What this process knows of a partition.
#[derive(Debug, Default)]
struct KnownPartition {
    /// One above the highest offset that was acknowledged to it.
    acknowledged: AtomicU64,
    seen: Mutex<SeenRecords>,
}

/// What became of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there.
    Here,
    /// The topic was deleted.
    Gone,
    /// The topic was deleted and created again.
    Replaced(LogId),
}

impl KnownLogs {
    /// The log of a partition, if it is known and has that partition.
    pub(crate) fn of(&self, partition: PartitionId) -> Option<Arc<KnownLog>> {
        let logs = self.logs.read();
        logs.get(&partition.database).filter(|log| partition.number < log.partitions).cloned()
    }

    /// The log of a database.
    pub(crate) fn of_database(&self, database: DatabaseId) -> Option<Arc<KnownLog>> {
        self.logs.read().get(&database).cloned()
    }

    /// Under which id the topic of a database was first found.
    pub(crate) fn first_id(&self, database: DatabaseId) -> Option<LogId> {
        self.first_ids.lock().get(&database).copied()
    }

    /// All logs.
    pub(crate) fn all(&self) -> Vec<Arc<KnownLog>> {
        self.logs.read().values().cloned().collect()
    }

    /// The topic of a database was found under this id.
    pub(crate) fn learn(&self, spec: &LogSpec, topic: String, id: LogId) {
        self.first_ids.lock().entry(spec.database).or_insert(id);
        let mut logs = self.logs.write();
        let known = logs.get(&spec.database);
        let is_same = |log: &&Arc<KnownLog>| {
            log.id == id && *log.topic == *topic && log.partitions == spec.partitions
        };
        if let Some(log) = known.filter(is_same) {
            self.mark(log, Standing::Here);
            return;
        }
        let log = Arc::new(KnownLog {
            database: spec.database,
            topic: Arc::from(topic),
            id,
            partitions: spec.partitions,
            standing: Mutex::new(Standing::Here),
            record_bytes_max: AtomicUsize::new(RECORD_BYTES_MAX),
            known: (0..spec.partitions).map(|_| KnownPartition::default()).collect(),
        });
        if let Some(former) = logs.insert(spec.database, log) {
            self.mark(&former, Standing::Replaced(id));
        }
    }

    /// The database was dropped, and its topic deleted.
    pub(crate) fn forget(&self, database: DatabaseId) {
        self.first_ids.lock().remove(&database);
        if let Some(former) = self.logs.write().remove(&database) {
            self.mark(&former, Standing::Gone);
        }
    }

    /// Writes down what became of a log; answers whether that is news.
    pub(crate) fn mark(&self, log: &Arc<KnownLog>, standing: Standing) -> bool {
        let is_news = std::mem::replace(&mut *log.standing.lock(), standing) != standing;
        if is_news && standing != Standing::Here {
            self.ended.lock().push(Arc::clone(log));
            // What was acknowledged stands in it, and nobody will be shown where.
            (0..log.partitions).for_each(|partition| log.give_up_unseen(partition));
        }
        is_news
    }

    /// No consumer reads any log any more.
    pub(crate) fn close(&self) {
        for log in self.all() {
            (0..log.partitions).for_each(|partition| log.tell(partition, SeenRecords::close));
        }
    }

    /// Logs that have ended since the last time.
    pub(crate) fn take_ended(&self) -> Vec<Arc<KnownLog>> {
        std::mem::take(&mut *self.ended.lock())
    }
}

impl KnownLog {
    pub(crate) fn standing(&self) -> Standing {
        *self.standing.lock()
    }

    /// Why the log cannot be read any more, if that is so.
    pub(crate) fn ended(&self) -> Option<LogReadError> {
        match self.standing() {
            Standing::Here => None,
            Standing::Gone => Some(LogReadError::Missing),
            Standing::Replaced(found) => Some(LogReadError::Replaced { found }),
        }
    }

    /// Bytes of one record at most.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.record_bytes_max.load(Ordering::Relaxed)
    }

    /// Its topic takes records of so many bytes.
    pub(crate) fn bound_records(&self, bytes: usize) {
        self.record_bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// Remembers an acknowledged offset; answers what was remembered: one above the highest before.
    pub(crate) fn acknowledge(&self, partition: u32, offset: u64) -> u64 {
        self.known.get(partition as usize).map_or(0, |known| {
            known.acknowledged.fetch_max(offset.saturating_add(1), Ordering::Relaxed)
        })
    }

    /// A consumer shows the record at `offset`.
    pub(crate) fn saw(&self, partition: u32, offset: u64, epoch: u32) {
        let Some(known) = self.known.get(partition as usize) else { return };
        let heard = {
            let mut seen = known.seen.lock();
            if seen.is_cut_by(offset, epoch) {
                // What was acknowledged behind it is gone: offsets are given anew from here on.
                known.acknowledged.store(offset.saturating_add(1), Ordering::Relaxed);
            }
            seen.saw(offset, epoch)
        };
        tell(heard);
    }

    /// Tells `hear` when the record at `offset` is seen; answers whether it must wait for that.
    pub(crate) fn hear_epoch(&self, partition: u32, offset: u64, hear: HearEpoch) -> bool {
        let Some(known) = self.known.get(partition as usize) else { return false };
        let at_once = known.seen.lock().hear(offset, hear);
        let waits = at_once.is_none();
        // Without the lock: it may ask for more.
        tell(at_once.into_iter().collect());
        waits
    }

    /// What is acknowledged and was not seen will not be.
    pub(crate) fn give_up_unseen(&self, partition: u32) {
        self.tell(partition, SeenRecords::give_up);
    }

    /// Looks at what was seen of a partition.
    pub(crate) fn seen<T>(
        &self,
        partition: u32,
        look: impl FnOnce(&mut SeenRecords) -> T,
    ) -> Option<T> {
        self.known.get(partition as usize).map(|known| look(&mut known.seen.lock()))
    }

    fn tell(&self, partition: u32, work: impl FnOnce(&mut SeenRecords) -> Heard) {
        if let Some(heard) = self.seen(partition, work) {
            tell(heard);
        }
    }
}

fn tell(heard: Heard) {
    heard.into_iter().for_each(|(hear, epoch)| hear(epoch));
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::PartitionUuid;

    fn spec(partitions: u32) -> LogSpec {
        let (database, uuid) = (DatabaseId(7), PartitionUuid(1));
        LogSpec { database, name: "music".to_owned(), uuid, partitions }
    }

    fn id_of(logs: &KnownLogs, number: u32) -> Option<LogId> {
        logs.of(PartitionId { database: DatabaseId(7), number }).map(|log| log.id)
    }

    #[test]
    fn a_log_is_known_from_its_verification_to_its_removal() {
        let logs = KnownLogs::default();
        assert_eq!(id_of(&logs, 0), None);
        logs.learn(&spec(2), "t".to_owned(), LogId(1));
        assert_eq!((id_of(&logs, 1), id_of(&logs, 2)), (Some(LogId(1)), None));
        logs.forget(DatabaseId(7));
        assert_eq!(id_of(&logs, 0), None);
    }

    #[test]
    fn a_log_that_was_cut_acknowledges_its_offsets_anew() {
        let logs = KnownLogs::default();
        logs.learn(&spec(1), "t".to_owned(), LogId(1));
        let log = logs.of_database(DatabaseId(7)).unwrap();
        (0..8).for_each(|offset| log.saw(0, offset, 1));
        assert_eq!(log.acknowledge(0, 7), 0);
        // Another reader, of the past.
        log.saw(0, 3, 1);
        assert_eq!(log.acknowledge(0, 4), 8, "a jump back, or another log");
        // It was cut, and a later leader has written.
        log.saw(0, 4, 2);
        assert_eq!((log.acknowledge(0, 5), log.acknowledge(0, 6)), (5, 6));
    }

    #[test]
    fn who_holds_a_former_log_hears_what_became_of_it() {
        let logs = KnownLogs::default();
        logs.learn(&spec(2), "t".to_owned(), LogId(1));
        let former = logs.of_database(DatabaseId(7)).unwrap();
        assert_eq!(former.acknowledge(0, 5), 0);
        logs.learn(&spec(2), "t".to_owned(), LogId(1));
        assert_eq!((former.standing(), former.acknowledge(0, 3)), (Standing::Here, 6));
        logs.learn(&spec(2), "t".to_owned(), LogId(2));
        assert_eq!(former.standing(), Standing::Replaced(LogId(2)));
        assert_eq!(logs.first_id(DatabaseId(7)), Some(LogId(1)));
        let latter = logs.of_database(DatabaseId(7)).unwrap();
        // The new log begins anew: nothing of it jumps backwards.
        assert_eq!((latter.id, latter.acknowledge(0, 0)), (LogId(2), 0));
        logs.forget(DatabaseId(7));
        assert_eq!(latter.standing(), Standing::Gone);
        assert_eq!(logs.first_id(DatabaseId(7)), None);
        let ended: Vec<LogId> = logs.take_ended().iter().map(|log| log.id).collect();
        assert_eq!((ended, logs.take_ended().len()), (vec![LogId(1), LogId(2)], 0));
    }
}
