//! Logs as topics that are made, checked, trimmed and deleted.
//!
//! Brokers learn of topics one after the other: what one of them does not know is looked for again
//! before it is believed. Start reading at [`Lifecycle::create`].

use crate::cluster_admin::{ClusterAdmin, TopicReplicas};
use crate::known_logs::{KnownLog, KnownLogs, Standing};
use crate::naming::topic_of;
use crate::settings::KafkaSettings;
use crate::topic_demands::{TopicDemands, record_bytes_max};
use cortado_kafka_ffi::{DescribedTopic, ListedOffset, OffsetEdge};
use cortado_log::{
    CreateError, Extent, LogReadError, LogSpec, RemoveError, TrimError, Verified, VerifyError,
};
use cortado_model::{LogId, LogOffset, PartitionId};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// So many looks must agree that a topic is not there, or is another one: a second, in which a
/// broker that has much to do hears what the others know.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is done with topics as a whole.
pub(crate) struct Lifecycle {
    pub(crate) settings: KafkaSettings,
    pub(crate) admin: Arc<ClusterAdmin>,
    pub(crate) known: Arc<KnownLogs>,
}

impl Lifecycle {
    /// Makes the topic of a database, unless it is there; waits until each partition is led.
    pub(crate) async fn create(&self, spec: &LogSpec) -> Result<LogId, CreateError> {
        let name = topic_of(&self.settings.topic_prefix, spec);
        let demands = TopicDemands::of_logs(&self.settings);
        let settings: Vec<_> = demands.settings().collect();
        let replicas = TopicReplicas::Chosen(demands.replication_factor());
        let unavailable = CreateError::Unavailable;
        let found = self.admin.topic(&name).await.map_err(unavailable)?;
        if found.is_none() {
            let created = self.admin.create_topic(&name, spec.partitions, &replicas, &settings);
            created.await.map_err(unavailable)?;
        }
        let topic = self.led_topic(&name).await.map_err(unavailable)?;
        let (found, wanted) = (topic.partitions.len() as u32, spec.partitions);
        if found != wanted {
            return Err(CreateError::OtherPartitions { found, wanted });
        }
        let id = LogId(topic.id);
        self.known.learn(spec, name, id);
        Ok(id)
    }

    /// Waits until a topic that was made is known, and each of its partitions has a leader.
    pub(crate) async fn led_topic(&self, name: &str) -> io::Result<DescribedTopic> {
        let until = Instant::now() + self.settings.call_timeout;
        loop {
            let topic = self.admin.topic(name).await?;
            let is_led = |topic: &DescribedTopic| {
                topic.partitions.iter().all(|partition| partition.broker_leader.is_some())
            };
            match topic.filter(is_led) {
                Some(topic) => return Ok(topic),
                None if Instant::now() < until => sleep(LOOK_EVERY).await,
                None => {
                    let why = "not every partition of the topic has a leader yet";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
            }
        }
    }

    /// Looks for the topic of a database, and how it differs from what it should be.
    pub(crate) async fn verify(&self, spec: &LogSpec) -> Result<Verified, VerifyError> {
        let name = topic_of(&self.settings.topic_prefix, spec);
        let unavailable = VerifyError::Unavailable;
        let until = Instant::now() + self.settings.call_timeout;
        let (topic, told) = loop {
            let topic = self.settled_topic(&name, None).await.map_err(unavailable)?;
            let Some(topic) = topic else {
                if let Some(known) = self.known.of_database(spec.database) {
                    self.known.mark(&known, Standing::Gone);
                }
                return Err(VerifyError::Missing);
            };
            let told = self.admin.topic_settings(&name).await.map_err(unavailable)?;
            // A broker that does not know the topic yet, or no longer, tells none.
            if !told.is_empty() {
                break (topic, told);
            }
            if Instant::now() > until {
                let why = "the brokers do not tell the settings of the topic";
                return Err(unavailable(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            sleep(LOOK_EVERY).await;
        };
        let (found, wanted) = (topic.partitions.len() as u32, spec.partitions);
        if found != wanted {
            return Err(VerifyError::OtherPartitions { found, wanted });
        }
        let demands = TopicDemands::of_logs(&self.settings);
        let drift = demands.drift(&topic, |name| told.get(name).cloned());
        let log = LogId(topic.id);
        self.known.learn(spec, name, log);
        if let Some(known) = self.known.of_database(spec.database) {
            known.bound_records(record_bytes_max(&told));
        }
        Ok(Verified { log, drift })
    }

    /// Deletes the topic of a database, and waits until it is not known any more.
    pub(crate) async fn remove(&self, spec: &LogSpec) -> Result<(), RemoveError> {
        let name = topic_of(&self.settings.topic_prefix, spec);
        // Not the id that was found last: to look at a topic that was made anew is no proof that
        // it is the database's.
        let id = self.known.first_id(spec.database).map(|id| id.0);
        let topic = self.settled_topic(&name, id).await.map_err(RemoveError)?;
        if let (Some(topic), Some(id)) = (&topic, id)
            && topic.id != id
        {
            let why = format!(
                "topic {name} was made anew by somebody else; look at it, and delete it by hand"
            );
            return Err(RemoveError(io::Error::other(why)));
        }
        if topic.is_some() {
            self.admin.delete_topic(&name).await.map_err(RemoveError)?;
            self.wait_until_gone(&name).await.map_err(RemoveError)?;
        }
        self.known.forget(spec.database);
        Ok(())
    }

    async fn wait_until_gone(&self, name: &str) -> io::Result<()> {
        let until = Instant::now() + self.settings.call_timeout;
        while self.settled_topic(name, None).await?.is_some() {
            if Instant::now() > until {
                let why = "the topic was deleted, and brokers still know it";
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// A topic as it is known, looked for again if it is not, or not under `id`.
    pub(crate) async fn settled_topic(
        &self,
        name: &str,
        id: Option<u128>,
    ) -> io::Result<Option<DescribedTopic>> {
        let mut topic = self.admin.topic(name).await?;
        for _ in 1..LOOKS {
            if topic.as_ref().is_some_and(|topic| id.is_none_or(|id| topic.id == id)) {
                break;
            }
            sleep(LOOK_EVERY).await;
            topic = self.admin.topic(name).await?;
        }
        Ok(topic)
    }

    /// The settings of a topic that is there: a broker that does not know it yet tells none.
    pub(crate) async fn settled_settings(
        &self,
        name: &str,
    ) -> io::Result<BTreeMap<String, String>> {
        let until = Instant::now() + self.settings.call_timeout;
        loop {
            let told = self.admin.topic_settings(name).await?;
            if !told.is_empty() || Instant::now() > until {
                return Ok(told);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Which log stands under the name of a known one now.
    pub(crate) async fn identity(&self, log: &KnownLog) -> io::Result<Standing> {
        let topic = self.settled_topic(&log.topic, Some(log.id.0)).await?;
        Ok(standing_of(log, topic.as_ref()))
    }

    /// Lets a partition forget what stands below an offset.
    pub(crate) async fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Result<(), TrimError> {
        let unavailable = TrimError::Unavailable;
        let known = self.known.of(partition).ok_or(TrimError::Missing)?;
        match self.identity(&known).await.map_err(unavailable)? {
            Standing::Here if known.id == log => {}
            Standing::Here => return Err(TrimError::Replaced { found: known.id }),
            Standing::Gone => return Err(TrimError::Missing),
            Standing::Replaced(found) => return Err(TrimError::Replaced { found }),
        }
        let number = kafka_number(partition.number);
        let until = Instant::now() + self.settings.call_timeout;
        let mut below = below.0;
        // Beyond the end means the end, which is told: to name no offset would also take what is
        // appended meanwhile.
        while !self.admin.delete_records(&known.topic, number, below).await.map_err(unavailable)? {
            let edges = [(Arc::clone(&known.topic), number)];
            let ends = self.edges(&edges, OffsetEdge::End).await;
            let end = ends.map_err(read_failure).map_err(unavailable)?;
            below = below.min(end.first().map_or(0, |(end, _)| *end));
            if Instant::now() > until {
                return Err(unavailable(io::ErrorKind::TimedOut.into()));
            }
        }
        Ok(())
    }

    /// Where partitions begin and end, and in which logs.
    pub(crate) async fn extents(
        &self,
        partitions: &[PartitionId],
    ) -> Result<Vec<Extent>, LogReadError> {
        let find = |partition: &PartitionId| self.known.of(*partition);
        let logs: Option<Vec<_>> = partitions.iter().map(find).collect();
        let logs = logs.ok_or(LogReadError::Missing)?;
        let places: Vec<_> = logs
            .iter()
            .zip(partitions)
            .map(|(log, partition)| (Arc::clone(&log.topic), kafka_number(partition.number)))
            .collect();
        // The edges of a log that is gone are asked for in vain: who it was is answered first.
        let (ids, firsts, ends) = tokio::try_join!(
            self.ids(&logs),
            self.edges(&places, OffsetEdge::First),
            self.edges(&places, OffsetEdge::End),
        )?;
        let edges = ids.into_iter().zip(firsts.into_iter().zip(ends));
        Ok(edges
            .map(|(log, ((first, _), (end, epoch)))| {
                // Both are asked for at once: the log may have been trimmed in between.
                let (first, end) = (LogOffset(first.min(end)), LogOffset(end));
                Extent { log, first, end, epoch: epoch.unwrap_or_default() }
            })
            .collect())
    }

    /// The ids under which logs stand now, one for each, in their order.
    async fn ids(&self, logs: &[Arc<KnownLog>]) -> Result<Vec<LogId>, LogReadError> {
        let mut found: Vec<(&Arc<str>, LogId)> = Vec::new();
        let mut ids = Vec::with_capacity(logs.len());
        for log in logs {
            let known = found.iter().find(|(topic, _)| **topic == log.topic).map(|(_, id)| *id);
            let id = match known {
                Some(id) => id,
                None => match self.identity(log).await.map_err(LogReadError::Unavailable)? {
                    Standing::Here => log.id,
                    Standing::Replaced(found) => found,
                    Standing::Gone => return Err(LogReadError::Missing),
                },
            };
            if known.is_none() {
                found.push((&log.topic, id));
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Where partitions begin or end, in the order asked; asks again while leaders change.
    pub(crate) async fn edges(
        &self,
        places: &[(Arc<str>, i32)],
        edge: OffsetEdge,
    ) -> Result<Vec<(u64, Option<u32>)>, LogReadError> {
        let until = Instant::now() + self.settings.call_timeout;
        let logs = self.known.all();
        let logs: BTreeMap<_, _> = logs.iter().map(|log| (&*log.topic, log)).collect();
        loop {
            let asked = self.admin.offsets(places.to_vec(), edge).await;
            let why = match asked {
                Ok(listed) => {
                    let find = |place| {
                        let found = edge_of(&listed, place)?;
                        let log = logs.get(&*place.0).filter(|_| edge == OffsetEdge::End);
                        log.map_or(Ok(()), |log| refuse_old(log, place.1, found.1))?;
                        Ok(found)
                    };
                    let found: Result<Vec<_>, String> = places.iter().map(find).collect();
                    match found {
                        Ok(found) => return Ok(found),
                        Err(why) => why,
                    }
                }
                Err(error) => error.to_string(),
            };
            if Instant::now() > until {
                let why = self.asked_in_vain(&why);
                return Err(LogReadError::Unavailable(io::Error::other(why)));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn asked_in_vain(&self, why: &str) -> String {
        let KafkaSettings { bootstrap_servers, call_timeout, .. } = &self.settings;
        let waited = call_timeout.as_secs_f64();
        format!("{why}; asked for {waited} s, of the brokers known from {bootstrap_servers}")
    }
}

/// What became of `log`, if this is found under the name of its topic.
pub(crate) fn standing_of(log: &KnownLog, found: Option<&DescribedTopic>) -> Standing {
    match found {
        None => Standing::Gone,
        Some(topic) if topic.id == log.id.0 => Standing::Here,
        Some(topic) => Standing::Replaced(LogId(topic.id)),
    }
}

/// A partition's number as Kafka spells it.
pub(crate) fn kafka_number(number: u32) -> i32 {
    // A database has far fewer, and its topic as many.
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn edge_of(listed: &[ListedOffset], place: &(Arc<str>, i32)) -> Result<(u64, Option<u32>), String> {
    let (topic, number) = place;
    let mut listed = listed.iter();
    let found = listed.find(|listed| *listed.topic == **topic && listed.partition == *number);
    match found.map(|listed| &listed.found) {
        Some(Ok(edge)) => Ok(*edge),
        Some(Err(error)) => Err(format!("partition {number} of topic {topic}: {error}")),
        None => Err(format!("partition {number} of topic {topic}: no broker tells its offsets")),
    }
}

/// Refuses what is told by a broker that led before one of whom something was read: it has been
/// replaced, and does not know it.
fn refuse_old(log: &KnownLog, partition: i32, epoch: Option<u32>) -> Result<(), String> {
    let number = u32::try_from(partition).unwrap_or(u32::MAX);
    let latest = log.seen(number, |seen| seen.latest_epoch()).flatten();
    match (latest, epoch) {
        (Some(latest), Some(epoch)) if epoch < latest => Err(format!(
            "partition {partition} of {}: a former leader of epoch {epoch} answers, and {latest} \
             was seen",
            log.topic
        )),
        _ => Ok(()),
    }
}

fn read_failure(error: LogReadError) -> io::Error {
    match error {
        LogReadError::Unavailable(error) => error,
        other => io::Error::other(other),
    }
}
