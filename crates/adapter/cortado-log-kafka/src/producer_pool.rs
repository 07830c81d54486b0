//! A fixed number of clients that append: a partition always uses the same one, so that its order
//! stays in one place, until that one must be replaced.
//!
//! Abandoning a producer replaces its client for what is sent from then on. What other partitions
//! have under way there goes on and is answered: the former client is closed when nobody waits for
//! an answer of it any more. Start reading at [`ProducerPool::gave_up`].

use crate::client_config::QUEUED_BYTES_MAX;
use crate::producer_client::ProducerClient;
use crate::settings::KafkaSettings;
use cortado_model::PartitionId;
use parking_lot::Mutex;
use rdkafka::error::KafkaResult;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// A client that is younger is not replaced: what stalls it would stall the next one, too, such as
/// a broker's death until the cluster has noticed it.
const REPLACED_AFTER: Duration = Duration::from_secs(2);
/// Former clients of one lane that still owe answers. One more, and the oldest is closed whoever
/// waits: each has threads and connections, and holds records.
const FORMER_MAX: usize = 2;

/// The clients.
pub(crate) struct ProducerPool {
    settings: KafkaSettings,
    lanes: Vec<Mutex<Lane>>,
    /// Made ahead of time: a new one needs up to half a second to its first acknowledgement.
    spare: Arc<Mutex<Option<Arc<ProducerClient>>>>,
    /// A client that is younger is not replaced.
    patience: Duration,
}

/// One client, and those that it has replaced.
struct Lane {
    client: Arc<ProducerClient>,
    /// When it came into use.
    since: Instant,
    /// Oldest first.
    former: Vec<Arc<ProducerClient>>,
}

/// Which client of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneNumber(usize);

impl ProducerPool {
    pub(crate) fn new(settings: &KafkaSettings) -> KafkaResult<ProducerPool> {
        ProducerPool::with_patience(settings, REPLACED_AFTER)
    }

    /// * `patience`: how old a client is before it is replaced because it does not answer.
    pub(crate) fn with_patience(
        settings: &KafkaSettings,
        patience: Duration,
    ) -> KafkaResult<ProducerPool> {
        let lane = |_| {
            let client = Arc::new(ProducerClient::new(settings)?);
            Ok(Mutex::new(Lane { client, since: Instant::now(), former: Vec::new() }))
        };
        let lanes = (0..settings.producers).map(lane).collect::<KafkaResult<_>>()?;
        let (settings, spare) = (settings.clone(), Arc::default());
        let pool = ProducerPool { settings, lanes, spare, patience };
        pool.prepare_spare();
        Ok(pool)
    }

    /// The lane of a partition: neighbours use different ones.
    pub(crate) fn lane_of(&self, partition: PartitionId) -> LaneNumber {
        let number = u64::from(partition.database.0) * 31 + u64::from(partition.number);
        LaneNumber((number % self.lanes.len() as u64) as usize)
    }

    /// The client for what is sent next in a lane; has taken upon itself to answer `records`.
    /// `None` if there is none, and none can be made.
    pub(crate) fn reserve(&self, lane: LaneNumber, records: usize) -> Option<Arc<ProducerClient>> {
        loop {
            let client = Arc::clone(&self.lanes[lane.0].lock().client);
            if client.reserve(records) {
                return Some(client);
            }
            warn!("a Kafka producer can go on no more; a new one takes its place");
            if !self.replace(lane, &client) {
                return None;
            }
        }
    }

    /// A producer was abandoned, and `records` of it are not answered.
    pub(crate) fn gave_up(&self, lane: LaneNumber, client: &Arc<ProducerClient>, records: usize) {
        client.settle(records);
        let is_old = self.lanes[lane.0].lock().since.elapsed() >= self.patience;
        if records > 0 && is_old {
            info!(records, "a Kafka producer does not answer; a new one takes its place");
            self.replace(lane, client);
        }
        self.sweep(lane);
    }

    /// Bytes of the records that are handed over and not answered.
    pub(crate) fn bytes(&self) -> u64 {
        let of_lane = |lane: &Mutex<Lane>| {
            let lane = lane.lock();
            lane.client.bytes() + lane.former.iter().map(|client| client.bytes()).sum::<u64>()
        };
        self.lanes.iter().map(of_lane).sum()
    }

    /// How many that may be, as long as no client is replaced.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.lanes.len() as u64 * QUEUED_BYTES_MAX
    }

    /// Another client than `client` for what is sent from now on; answers whether there is one.
    fn replace(&self, lane: LaneNumber, client: &Arc<ProducerClient>) -> bool {
        let Some(next) = self.take_spare() else { return false };
        let mut lane = self.lanes[lane.0].lock();
        if !Arc::ptr_eq(&lane.client, client) {
            // Another partition was faster.
            *self.spare.lock() = Some(next);
            return true;
        }
        let former = std::mem::replace(&mut lane.client, next);
        lane.since = Instant::now();
        lane.former.push(former);
        let surplus = lane.former.len().saturating_sub(FORMER_MAX);
        for oldest in lane.former.drain(..surplus) {
            oldest.close();
        }
        drop(lane);
        self.prepare_spare();
        true
    }

    /// Closes former clients of which nobody waits for an answer.
    pub(crate) fn sweep(&self, lane: LaneNumber) {
        let mut lane = self.lanes[lane.0].lock();
        lane.former.retain(|client| !client.close_if_idle());
    }

    /// Those that are in use.
    #[cfg(test)]
    pub(crate) fn clients(&self) -> Vec<Arc<ProducerClient>> {
        self.lanes.iter().map(|lane| Arc::clone(&lane.lock().client)).collect()
    }

    fn take_spare(&self) -> Option<Arc<ProducerClient>> {
        let spare = self.spare.lock().take();
        let made = || match ProducerClient::new(&self.settings) {
            Ok(client) => Some(Arc::new(client)),
            Err(error) => {
                warn!(%error, "no Kafka producer can be made");
                None
            }
        };
        spare.or_else(made)
    }

    fn prepare_spare(&self) {
        let (settings, spare) = (self.settings.clone(), Arc::clone(&self.spare));
        thread::spawn(move || {
            if let Ok(client) = ProducerClient::new(&settings) {
                *spare.lock() = Some(Arc::new(client));
            }
        });
    }
}
