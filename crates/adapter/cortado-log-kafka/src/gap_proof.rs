//! Finding out whether offsets at which a consumer saw nothing ever held records.
//!
//! Start reading at [`GapProof::prove`].

use crate::broker_connection::malformed;
use crate::fetch_request::{FetchedBatches, fetch_question, read_batches};
use crate::known_logs::KnownLog;
use crate::leader_call::LeaderCall;
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
    pub(crate) leaders: Arc<LeaderCall>,
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
        let question = fetch_question(&log.topic, kafka_number(partition), from)?;
        let answer = self.leaders.ask(log, partition, &question, within).await?;
        match read_batches(&answer).ok_or_else(malformed)? {
            FetchedBatches { code: 0, batches } => Ok(batches),
            FetchedBatches { code, .. } => {
                Err(io::Error::other(format!("the fetch failed with code {code}")))
            }
        }
    }
}
