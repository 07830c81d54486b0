//! What it is worth that a store takes the batches of many partitions in one commit.
//!
//! The store alone, on one thread, as a lane calls it; nothing is synced. Start reading at
//! [`commits`].

use crate::report::{self, Round, median};
use cortado_model::{
    Batch, DatabaseId, DocumentHead, DocumentKey, Etag, Generation, PartitionId, Scn, Sequence,
    StoredDocument, TableId, WallMillis,
};
use cortado_store::{Store, StoreError};
use cortado_store_fjall::{FjallStore, Settings};
use fastrand::Rng;
use hdrhistogram::Histogram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many partitions have a batch waiting at once.
const PARTITIONS: [u32; 4] = [1, 4, 16, 64];
/// Documents of a partition, written over and over.
const DOCUMENTS: u64 = 10_000;
const VALUE_BYTES: usize = 1_000;
/// What a fold state takes.
const CHECKPOINT_BYTES: usize = 160;

/// How much to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the stores lie; the disk that is measured
    #[arg(long, default_value = "target")]
    directory: PathBuf,
    /// Rounds of each way to commit
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each round; making the batches is not counted
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

/// One commit for all batches that wait, beside one for each of them.
pub(crate) fn commits(options: &Options) -> anyhow::Result<()> {
    report::heading(
        "Turns of fjall: a batch of 1 to 4 documents of 1 KB for each partition, no sync",
    );
    for partitions in PARTITIONS {
        let directory = tempfile::tempdir_in(&options.directory)?;
        let mut each = Subject::open(&directory.path().join("each"), partitions)?;
        let mut all = Subject::open(&directory.path().join("all"), partitions)?;
        let time = Duration::from_secs(options.seconds);
        let (mut of_each, mut of_all) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            of_each.push(each.round(time, |store, batches| {
                batches
                    .into_iter()
                    .try_for_each(|(partition, batch)| store.apply_one(partition, batch))
            })?);
            of_all.push(all.round(time, |store, batches| store.apply(batches))?);
        }
        report::rate(&format!("{partitions} partitions, a commit for each"), &of_each);
        report::rate(&format!("{partitions} partitions, one commit"), &of_all);
        // Of a turn without a flush or a compaction in its way: these cost both the same.
        let (each_us, all_us) = (median(&of_each, Round::p50), median(&of_all, Round::p50));
        report::ratio("p50 of one commit / of a commit for each", all_us, each_us);
    }
    Ok(())
}

/// A store that is written to in one way.
struct Subject {
    store: FjallStore,
    partitions: u32,
    random: Rng,
    sequence: u64,
}

impl Subject {
    fn open(directory: &Path, partitions: u32) -> anyhow::Result<Subject> {
        let store = FjallStore::open(&Settings::new(directory))?;
        // The same documents for both.
        Ok(Subject { store, partitions, random: Rng::with_seed(7), sequence: 0 })
    }

    /// Applies what waits, again and again, until that has taken so much time.
    fn round(
        &mut self,
        time: Duration,
        apply: impl Fn(&FjallStore, Vec<(PartitionId, Batch)>) -> Result<(), StoreError>,
    ) -> anyhow::Result<Round> {
        let mut latencies = Histogram::<u64>::new(3)?;
        let mut busy = Duration::ZERO;
        while busy < time {
            let batches = self.waiting();
            let begun = Instant::now();
            apply(&self.store, batches)?;
            let took = begun.elapsed();
            latencies.record(took.as_micros() as u64)?;
            busy += took;
        }
        Ok(Round::new(latencies, busy))
    }

    /// A batch for every partition.
    fn waiting(&mut self) -> Vec<(PartitionId, Batch)> {
        self.sequence += 1;
        let partition = |number| PartitionId { database: DatabaseId(1), number };
        (0..self.partitions).map(|number| (partition(number), self.batch())).collect()
    }

    fn batch(&mut self) -> Batch {
        let count = self.random.usize(1..=4);
        let documents = (0..count).map(|_| {
            let key = DocumentKey::from_parts(&[format!("{:032}", self.random.u64(..DOCUMENTS))]);
            (TableId(1), key.expect("a short key"), Some(self.document()))
        });
        let documents = documents.collect();
        let checkpoint = vec![7; CHECKPOINT_BYTES].into();
        Batch { documents, checkpoint, ..Batch::default() }
    }

    /// Half of it can be compressed.
    fn document(&mut self) -> StoredDocument {
        let head = DocumentHead {
            schema_version: 1,
            etag: Etag(self.sequence),
            scn: Scn::new(Generation(1), Sequence(self.sequence)),
            time: WallMillis(self.sequence),
            expires: None,
        };
        let mut value = vec![b'a'; VALUE_BYTES];
        self.random.fill(&mut value[..VALUE_BYTES / 2]);
        StoredDocument::new(head, &value)
    }
}
