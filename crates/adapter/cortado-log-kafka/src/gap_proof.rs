//! Finding out whether offsets at which a consumer saw nothing ever held records.
//!
//! Start reading at [`GapProof::prove`].

use crate::cluster_admin::ClusterAdmin;
use crate::fetch_request::{FetchedBatches, fetch_batches};
use crate::known_logs::KnownLog;
use crate::lifecycle::kafka_number;
use crate::record_batches::{GapVerdict, judge_gap};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads stored batches from the brokers that lead partitions.
pub(crate) struct GapProof {
    pub(crate) admin: Arc<ClusterAdmin>,
    pub(crate) within: Duration,
}

impl GapProof {
    /// Judges a gap; asks again while the broker cannot be asked, until the time is over.
    ///
    /// # Errors
    /// It could not be asked.
    pub(crate) async fn prove(
        &self,
        log: &KnownLog,
        partition: u32,
        gap: Range<u64>,
    ) -> io::Result<GapVerdict> {
        let until = Instant::now() + self.within;
        let mut from = gap.start;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let why = match self.ask(log, partition, from, left).await {
                Ok(batches) => match judge_gap(from..gap.end, &batches) {
                    // What the answer had no room for is asked for next.
                    GapVerdict::ProvenUpTo(proven) if proven > from => {
                        from = proven;
                        continue;
                    }
                    GapVerdict::ProvenUpTo(_) => io::Error::from(io::ErrorKind::UnexpectedEof),
                    verdict => return Ok(verdict),
                },
                Err(error) => error,
            };
            if Instant::now() > until {
                return Err(why);
            }
            sleep(PAUSE).await;
        }
    }

    async fn ask(
        &self,
        log: &KnownLog,
        partition: u32,
        from: u64,
        within: Duration,
    ) -> io::Result<Vec<u8>> {
        let number = kafka_number(partition);
        let topic = self.admin.topic(&log.topic).await?;
        let partitions = topic.map(|topic| topic.partitions).unwrap_or_default();
        let found = partitions.into_iter().find(|found| found.number == number);
        let broker = found.and_then(|partition| partition.broker_leader);
        let broker = broker.ok_or_else(|| io::Error::other("the partition has no leader"))?;
        let address = (broker.host.as_str(), broker.port);
        let answer = fetch_batches(address, &log.topic, number, from, within).await?;
        match answer {
            FetchedBatches { code: 0, batches } => Ok(batches),
            FetchedBatches { code, .. } => {
                Err(io::Error::other(format!("the fetch failed with code {code}")))
            }
        }
    }
}
