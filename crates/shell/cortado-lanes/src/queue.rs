//! What waits for a lane: of each partition in order, one thing at a time.
//!
//! Holds no lock and runs nothing. Start reading at [`Queue::take`].

use cortado_model::{Batch, PartitionId};
use cortado_store::{Store, StoreError};
use std::collections::{BTreeMap, VecDeque};

/// Is told what became of a batch.
pub(crate) type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Looks at the store, or is told why it cannot.
pub(crate) type Work = Box<dyn FnOnce(Result<&dyn Store, StoreError>) + Send>;

/// One thing that is asked of a lane.
pub(crate) enum Job {
    /// Apply a batch.
    Apply { batch: Batch, done: Done },
    /// Look at the store between two batches.
    Run(Work),
}

impl Job {
    /// Tells who asked that it will not be done.
    pub(crate) fn refuse(self, why: StoreError) {
        match self {
            Job::Apply { done, .. } => done(Err(why)),
            Job::Run(work) => work(Err(why)),
        }
    }
}

/// What a lane does next. Its partitions are the lane's until they are [released](Queue::release).
pub(crate) enum Turn {
    /// Apply these in one commit: one of each partition.
    Commit(Vec<Applying>),
    /// Run one piece of work.
    Run(PartitionId, Work),
}

/// A batch on its way into the store.
pub(crate) struct Applying {
    pub(crate) partition: PartitionId,
    pub(crate) batch: Batch,
    pub(crate) done: Done,
}

/// Bytes of one commit, unless a single batch has more: what others wait for, some ten
/// milliseconds of a store in memory.
const COMMIT_BYTES_MAX: usize = 8 << 20;

/// Jobs in lines, one for each partition.
///
/// Bounded by who asks: a driver has one batch under way and waits for its end before it asks for
/// the next one.
#[derive(Default)]
pub(crate) struct Queue {
    /// Partitions of which something waits or is being done.
    lines: BTreeMap<PartitionId, Line>,
    /// Partitions whose next job may begin, in the order in which they came to that.
    ready: VecDeque<PartitionId>,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// A lane is at it.
    busy: bool,
}

impl Queue {
    /// Puts a job at the end of its partition's line; answers whether it may begin now.
    pub(crate) fn push(&mut self, partition: PartitionId, job: Job) -> bool {
        let line = self.lines.entry(partition).or_default();
        line.jobs.push_back(job);
        let begins = !line.busy && line.jobs.len() == 1;
        if begins {
            self.ready.push_back(partition);
        }
        begins
    }

    /// Takes what has waited longest; with a batch, all others that may begin too and fit into a
    /// commit. `None`: nothing may begin.
    pub(crate) fn take(&mut self) -> Option<Turn> {
        let first = self.ready.pop_front()?;
        let mut batches = Vec::new();
        let mut bytes = match self.begin(first)? {
            Job::Run(work) => return Some(Turn::Run(first, work)),
            Job::Apply { batch, done } => {
                let bytes = bytes_of(&batch);
                batches.push(Applying { partition: first, batch, done });
                bytes
            }
        };
        // Once round: what is not taken comes to stand as it stood.
        for _ in 0..self.ready.len() {
            let Some(partition) = self.ready.pop_front() else { break };
            match self.next_batch_bytes(partition) {
                Some(more) if bytes + more <= COMMIT_BYTES_MAX => {
                    if let Some(Job::Apply { batch, done }) = self.begin(partition) {
                        bytes += more;
                        batches.push(Applying { partition, batch, done });
                    }
                }
                Some(_) | None => self.ready.push_back(partition),
            }
        }
        Some(Turn::Commit(batches))
    }

    /// Whether something may begin.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The lane is done with a partition: its next job may begin.
    pub(crate) fn release(&mut self, partition: PartitionId) {
        let Some(line) = self.lines.get_mut(&partition) else { return };
        line.busy = false;
        if line.jobs.is_empty() {
            self.lines.remove(&partition);
        } else {
            self.ready.push_back(partition);
        }
    }

    /// Empties every line, each in its order.
    pub(crate) fn drain(&mut self) -> Vec<Job> {
        self.ready.clear();
        self.lines.values_mut().flat_map(|line| line.jobs.drain(..)).collect()
    }

    fn begin(&mut self, partition: PartitionId) -> Option<Job> {
        let line = self.lines.get_mut(&partition)?;
        line.busy = true;
        line.jobs.pop_front()
    }

    /// How big the next job of a line is, if that is a batch.
    fn next_batch_bytes(&self, partition: PartitionId) -> Option<usize> {
        match self.lines.get(&partition)?.jobs.front()? {
            Job::Apply { batch, .. } => Some(bytes_of(batch)),
            Job::Run(_) => None,
        }
    }
}

/// What a batch weighs: bytes of keys and values.
fn bytes_of(batch: &Batch) -> usize {
    let documents = batch.documents.iter().map(|(_, key, document)| {
        key.as_bytes().len() + document.as_ref().map_or(0, |document| document.image().len())
    });
    let entries = batch.entries.iter().map(|change| {
        change.name.key().behind(&[]).len() + change.value.as_ref().map_or(0, bytes::Bytes::len)
    });
    let remember = batch.remember.iter().map(|(key, remembered)| {
        // By key and by expiry.
        2 * key.as_bytes().len() + remembered.answer.len()
    });
    let bookmarks = batch.bookmarks.iter().map(|(_, bookmark)| bookmark.len());
    let parts = documents.chain(entries).chain(remember).chain(bookmarks);
    parts.sum::<usize>() + batch.checkpoint.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cortado_model::DatabaseId;

    /// A batch of so many bytes.
    fn batch(bytes: usize) -> Job {
        let batch = Batch { checkpoint: vec![0; bytes].into(), ..Batch::default() };
        Job::Apply { batch, done: Box::new(|_| {}) }
    }

    fn work() -> Job {
        Job::Run(Box::new(|_| {}))
    }

    fn partition(number: u32) -> PartitionId {
        PartitionId { database: DatabaseId(1), number }
    }

    /// What is taken next: `run n`, or `commit` and the partitions.
    fn taken(queue: &mut Queue) -> String {
        match queue.take() {
            None => "nothing".to_owned(),
            Some(Turn::Run(partition, _)) => format!("run {}", partition.number),
            Some(Turn::Commit(batches)) => {
                let numbers = batches.iter().map(|one| one.partition.number.to_string());
                format!("commit {}", numbers.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[track_caller]
    fn check(queue: &mut Queue, want: &str) {
        assert_eq!(taken(queue), want);
    }

    fn queue(jobs: impl IntoIterator<Item = (u32, Job)>) -> Queue {
        let mut queue = Queue::default();
        for (number, job) in jobs {
            queue.push(partition(number), job);
        }
        queue
    }

    #[test]
    fn batches_that_wait_share_a_commit() {
        let mut queue = queue([(3, batch(1)), (1, batch(1)), (2, batch(1))]);
        check(&mut queue, "commit 3 1 2");
        check(&mut queue, "nothing");
    }

    #[test]
    fn of_a_partition_one_job_is_under_way() {
        let mut queue =
            queue([(1, batch(1)), (1, batch(1)), (1, work()), (2, work()), (1, batch(1))]);
        check(&mut queue, "commit 1");
        check(&mut queue, "run 2");
        check(&mut queue, "nothing");
        for want in ["commit 1", "run 1", "commit 1", "nothing"] {
            queue.release(partition(1));
            check(&mut queue, want);
        }
        queue.release(partition(1));
        queue.release(partition(2));
        assert!(queue.lines.is_empty(), "nothing is kept of what is done");
        assert!(queue.push(partition(1), batch(1)), "it may begin at once");
        check(&mut queue, "commit 1");
    }

    #[test]
    fn works_do_not_share_and_keep_their_turn() {
        let mut queue = queue([(1, batch(1)), (2, work()), (3, batch(1)), (4, work())]);
        check(&mut queue, "commit 1 3");
        queue.push(partition(5), batch(1));
        check(&mut queue, "run 2");
        check(&mut queue, "run 4");
        check(&mut queue, "commit 5");
    }

    #[test]
    fn a_commit_is_bounded_but_takes_one_batch_at_least() {
        const HALF: usize = COMMIT_BYTES_MAX / 2;
        let mut queue =
            queue([(1, batch(HALF)), (2, batch(HALF + 1)), (3, batch(HALF - 9)), (4, batch(10))]);
        check(&mut queue, "commit 1 3");
        check(&mut queue, "commit 2 4");
        queue.push(partition(5), batch(2 * COMMIT_BYTES_MAX));
        queue.push(partition(6), batch(0));
        check(&mut queue, "commit 5");
        check(&mut queue, "commit 6");
    }

    #[test]
    fn what_is_drained_never_begins() {
        let mut queue = queue([(1, batch(1)), (1, batch(1)), (2, work())]);
        check(&mut queue, "commit 1");
        assert_eq!(queue.drain().len(), 2);
        check(&mut queue, "nothing");
        queue.release(partition(1));
        check(&mut queue, "nothing");
    }

    #[test]
    fn a_batch_weighs_what_it_brings() {
        use cortado_model::{
            DocumentHead, DocumentKey, EntryChange, EntryName, Etag, IndexId, Remembered,
            RememberedKey, Scn, StoredDocument, TableId, WallMillis,
        };
        let head = DocumentHead {
            schema_version: 1,
            etag: Etag(1),
            scn: Scn::ZERO,
            time: WallMillis(0),
            expires: None,
        };
        let document = StoredDocument::new(head, &[b'a'; 1_000]);
        let image = document.image().len();
        let key = DocumentKey::from_parts(&["abc"]).unwrap();
        let name = EntryName::Index { index: IndexId(1), place: Bytes::from_static(b"place") };
        let time = WallMillis(0);
        let answer = Bytes::from_static(b"answer");
        let batch = Batch {
            documents: vec![(TableId(1), key.clone(), Some(document)), (TableId(1), key, None)],
            entries: vec![EntryChange { name, value: Some(Bytes::from_static(b"12")) }],
            remember: vec![(
                RememberedKey::new("r", b"k", 0),
                Remembered { time, expires: time, answer },
            )],
            bookmarks: vec![(Scn::ZERO, Bytes::from_static(b"mark"))],
            checkpoint: Bytes::from_static(b"check"),
            ..Batch::default()
        };
        let entry = 1 + 4 + 5 + 2;
        assert_eq!(bytes_of(&batch), image + 4 + 4 + entry + 2 * 6 + 6 + 4 + 5);
        assert_eq!(bytes_of(&Batch::default()), 0);
    }
}
