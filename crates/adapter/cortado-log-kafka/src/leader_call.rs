//! Asking the broker that leads a partition what librdkafka does not ask.
//!
//! Requests of Kafka's protocol in the oldest versions that brokers of today speak, each on a
//! connection of its own: they are rare. Start reading at [`LeaderCall::ask`].

use crate::broker_connection::{BrokerDoor, Question, take, take_number};
use crate::cluster_admin::ClusterAdmin;
use crate::known_logs::KnownLog;
use crate::lifecycle::kafka_number;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Partitions that are asked about at once: a node that starts has a question for each.
const CALLS_AT_ONCE: usize = 16;

/// Asks leaders.
pub(crate) struct LeaderCall {
    admin: Arc<ClusterAdmin>,
    door: Arc<BrokerDoor>,
    turns: Semaphore,
}

impl LeaderCall {
    pub(crate) fn new(admin: &Arc<ClusterAdmin>, door: &Arc<BrokerDoor>) -> LeaderCall {
        let (admin, door) = (Arc::clone(admin), Arc::clone(door));
        LeaderCall { admin, door, turns: Semaphore::new(CALLS_AT_ONCE) }
    }

    /// Asks the broker that leads a partition now; answers what comes behind the header.
    ///
    /// # Errors
    /// There is no leader, it cannot be reached, does not answer in time, or answers something
    /// else.
    pub(crate) async fn ask(
        &self,
        log: &KnownLog,
        partition: u32,
        question: &Question,
        within: Duration,
    ) -> io::Result<Vec<u8>> {
        // It is never closed.
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        let number = kafka_number(partition);
        let topic = self.admin.topic(&log.topic).await?;
        let partitions = topic.map(|topic| topic.partitions).unwrap_or_default();
        let found = partitions.into_iter().find(|found| found.number == number);
        let broker = found.and_then(|partition| partition.broker_leader);
        let broker = broker.ok_or_else(|| io::Error::other("the partition has no leader"))?;
        let answer = timeout(within, async {
            let mut connection = self.door.open((broker.host.as_str(), broker.port)).await?;
            connection.ask(question).await
        });
        answer.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Takes the head of an answer about one partition of one topic: the throttle, the topic, and that
/// there is one of each.
pub(crate) fn take_one_partition(bytes: &mut &[u8]) -> Option<()> {
    let _throttle_ms = take_number::<4>(bytes)?;
    if take_number::<4>(bytes).map(i32::from_be_bytes)? != 1 {
        return None;
    }
    let topic_bytes = take_number::<2>(bytes).map(u16::from_be_bytes)?;
    take(bytes, usize::from(topic_bytes))?;
    (take_number::<4>(bytes).map(i32::from_be_bytes)? == 1).then_some(())
}
