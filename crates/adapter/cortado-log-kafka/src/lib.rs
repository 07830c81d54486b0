//! The log port and the port of beats on Apache Kafka: a topic for each life of a database, a Kafka
//! partition for each of its partitions.
//!
//! Decides nothing about generations: it orders bytes, and says what became of them. Start reading
//! at [`KafkaLog`], then `delivery_verdict.rs` for what an append answers and `feeds.rs` for what
//! is read.
//! Source: docs/protocols/replication.md, "The log port".

mod setting_error;
mod security;
mod settings;
mod open_error;
mod naming;
mod topic_demands;
mod seen_records;
mod known_logs;
mod scram;
mod broker_connection;
mod client_voice;
mod client_config;
mod cluster_admin;
mod lifecycle;
mod cluster_rights;
mod opening;
mod delivery_verdict;
mod outcome_queue;
mod polled_producer;
mod producer_client;
mod producer_pool;
mod partition_producer;
mod record_batches;
mod leader_call;
mod fetch_request;
mod gap_proof;
mod epoch_request;
mod epoch_proof;
mod feed;
mod feed_cell;
mod fetcher;
mod feeds;
mod partition_follower;
mod record_witness;
mod one_read;
mod watch;
mod thin_partition;
mod broker_survey;
mod beat_inbox;
mod beats;
#[cfg(test)]
mod tests;

pub use beats::KafkaBeats;
pub use broker_survey::SurveyedBroker;
pub use open_error::{KafkaOpenError, MissingRight, OPERATIONS_NEEDED};
pub use security::{
    KafkaPassword, KafkaSasl, KafkaSecurity, KafkaTls, OwnCertificate, SaslMechanism,
};
pub use setting_error::KafkaSettingError;
pub use settings::KafkaSettings;
pub use thin_partition::ThinPartition;

use broker_connection::BrokerDoor;
use cluster_admin::ClusterAdmin;
use cortado_log::{
    CreateError, Extent, Follower, Log, LogPage, LogReadError, LogSpec, LogTraits, LogUsage,
    Pending, Producer, RECORD_BYTES_MAX, RemoveError, TrimError, Verified, VerifyError,
};
use cortado_model::{Budget, LogId, LogOffset, LogPosition, PartitionId};
use feeds::Feeds;
use known_logs::KnownLogs;
use lifecycle::Lifecycle;
use opening::{longest_session, require_brokers};
use partition_follower::PartitionFollower;
use partition_producer::PartitionProducer;
use producer_pool::ProducerPool;
use record_witness::RecordWitness;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use watch::Watched;

/// What brokers have as their `broker.session.timeout.ms` unless they say otherwise.
const SESSION_MS_DEFAULT: u64 = 9_000;
/// Brokers that are quick to see a death need so long all the same where the active controller
/// dies.
const STALL_MIN: Duration = Duration::from_secs(5);

/// The ordered records of many partitions, in the topics of a Kafka cluster.
///
/// All that it does happens on its own threads and on the runtime in which it was opened, which
/// must have a thread besides those that wait for answers.
pub struct KafkaLog {
    runtime: Handle,
    known: Arc<KnownLogs>,
    lifecycle: Arc<Lifecycle>,
    producers: Arc<ProducerPool>,
    feeds: Arc<Feeds>,
    witness: Arc<RecordWitness>,
    session: Arc<AtomicU64>,
    watch: AbortHandle,
}

impl KafkaLog {
    /// Connects to a cluster, in which nothing is changed yet.
    ///
    /// # Errors
    /// See [`KafkaOpenError`].
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn open(settings: KafkaSettings) -> Result<KafkaLog, KafkaOpenError> {
        settings.check()?;
        let door = BrokerDoor::new(&settings.security).map_err(KafkaOpenError::Client)?;
        let (runtime, door) = (Handle::current(), Arc::new(door));
        cluster_rights::examine(&settings, &door).await?;
        let client = |error| KafkaOpenError::Client(io::Error::other(error));
        let admin = Arc::new(ClusterAdmin::new(settings.clone()).map_err(client)?);
        require_brokers(&admin, &settings).await?;
        let known = Arc::<KnownLogs>::default();
        let lifecycle = Arc::new(Lifecycle {
            settings: settings.clone(),
            admin: Arc::clone(&admin),
            known: Arc::clone(&known),
        });
        let producers = Arc::new(ProducerPool::new(&settings).map_err(client)?);
        let feeds = Feeds::start(&settings, (&admin, &door), &lifecycle, &runtime);
        let feeds = feeds.map_err(KafkaOpenError::Client)?;
        let witness = Arc::new(RecordWitness {
            runtime: runtime.clone(),
            known: Arc::clone(&known),
            feeds: Arc::downgrade(&feeds),
            within: settings.call_timeout,
        });
        let session = Arc::new(AtomicU64::new(SESSION_MS_DEFAULT));
        let watch = runtime.spawn(watch::watch(Watched {
            admin,
            known: Arc::clone(&known),
            lifecycle: Arc::clone(&lifecycle),
            feeds: Arc::downgrade(&feeds),
            witness: Arc::clone(&witness),
            session: Arc::clone(&session),
            interval: settings.identity_interval,
        }));
        let watch = watch.abort_handle();
        Ok(KafkaLog { runtime, known, lifecycle, producers, feeds, witness, session, watch })
    }

    /// How the brokers are set, for operators.
    ///
    /// # Errors
    /// They do not tell: the user of the log may lack the right to describe them.
    pub async fn survey(settings: &KafkaSettings) -> io::Result<Vec<SurveyedBroker>> {
        broker_survey::survey(settings.clone()).await
    }

    /// The partitions that fewer brokers keep in sync than should, for operators: some can be lost
    /// with fewer deaths, and those below `min.insync.replicas` take nothing.
    ///
    /// That passes by itself, so it is no drift.
    pub fn thin_partitions(&self) -> Pending<io::Result<Vec<ThinPartition>>> {
        let (known, lifecycle) = (Arc::clone(&self.known), Arc::clone(&self.lifecycle));
        let work =
            self.spawn(async move { thin_partition::find(&known.all(), &lifecycle.admin).await });
        Box::pin(async { work.await.unwrap_or_else(|error| Err(error.into())) })
    }

    /// After how long without a sign of life the cluster takes a broker for dead: until then its
    /// death holds up every partition that it is in sync with, whichever broker leads that.
    ///
    /// The longest that any broker has as its `broker.session.timeout.ms`.
    pub fn broker_session_timeout(&self) -> Pending<io::Result<Duration>> {
        let lifecycle = Arc::clone(&self.lifecycle);
        let work = self.spawn(async move { longest_session(&lifecycle.admin).await });
        Box::pin(async { work.await.unwrap_or_else(|error| Err(error.into())) })
    }

    /// Lets work go on whatever becomes of the caller.
    fn spawn<T, F>(&self, work: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.runtime.spawn(work)
    }
}

impl Log for KafkaLog {
    fn traits(&self) -> LogTraits {
        LogTraits { local: false, record_bytes_max: RECORD_BYTES_MAX }
    }

    fn create(&self, spec: &LogSpec) -> Pending<Result<LogId, CreateError>> {
        let (lifecycle, spec) = (Arc::clone(&self.lifecycle), spec.clone());
        let feeds = Arc::clone(&self.feeds);
        let work = self.spawn(async move {
            let created = lifecycle.create(&spec).await;
            feeds.tell_ends();
            created
        });
        Box::pin(async { work.await.unwrap_or_else(|e| Err(CreateError::Unavailable(e.into()))) })
    }

    fn verify(&self, spec: &LogSpec) -> Pending<Result<Verified, VerifyError>> {
        let (lifecycle, spec) = (Arc::clone(&self.lifecycle), spec.clone());
        let feeds = Arc::clone(&self.feeds);
        let work = self.spawn(async move {
            let verified = lifecycle.verify(&spec).await;
            feeds.tell_ends();
            verified
        });
        Box::pin(async { work.await.unwrap_or_else(|e| Err(VerifyError::Unavailable(e.into()))) })
    }

    fn remove(&self, spec: &LogSpec) -> Pending<Result<(), RemoveError>> {
        let (lifecycle, spec) = (Arc::clone(&self.lifecycle), spec.clone());
        let feeds = Arc::clone(&self.feeds);
        let work = self.spawn(async move {
            let removed = lifecycle.remove(&spec).await;
            feeds.tell_ends();
            removed
        });
        Box::pin(async { work.await.unwrap_or_else(|e| Err(RemoveError(e.into()))) })
    }

    fn extents(&self, partitions: &[PartitionId]) -> Pending<Result<Vec<Extent>, LogReadError>> {
        let (lifecycle, partitions) = (Arc::clone(&self.lifecycle), partitions.to_vec());
        let work = self.spawn(async move { lifecycle.extents(&partitions).await });
        Box::pin(async { work.await.unwrap_or_else(|e| Err(LogReadError::Unavailable(e.into()))) })
    }

    fn producer(&self, partition: PartitionId) -> Box<dyn Producer> {
        let (known, producers) = (Arc::clone(&self.known), Arc::clone(&self.producers));
        let witness = Arc::clone(&self.witness);
        let show = Arc::new(move |partition, log: &_| witness.show(partition, log));
        Box::new(PartitionProducer::new(known, producers, partition, show))
    }

    fn follow(&self, partition: PartitionId, from: LogPosition) -> Box<dyn Follower> {
        let (known, feeds) = (Arc::clone(&self.known), Arc::clone(&self.feeds));
        Box::new(PartitionFollower::new(known, feeds, partition, from))
    }

    fn read(
        &self,
        partition: PartitionId,
        from: LogPosition,
        bytes_max: usize,
    ) -> Pending<Result<LogPage, LogReadError>> {
        let lifecycle = Arc::clone(&self.lifecycle);
        let follower = {
            let (known, feeds) = (Arc::clone(&self.known), Arc::clone(&self.feeds));
            move || PartitionFollower::new(known, feeds, partition, from)
        };
        let read = one_read::read(lifecycle, follower, partition, from, bytes_max);
        let work = self.spawn(read);
        Box::pin(async { work.await.unwrap_or_else(|e| Err(LogReadError::Unavailable(e.into()))) })
    }

    fn local_end(&self, _partition: PartitionId) -> Option<LogOffset> {
        None
    }

    fn trim(
        &self,
        partition: PartitionId,
        log: LogId,
        below: LogOffset,
    ) -> Pending<Result<(), TrimError>> {
        let lifecycle = Arc::clone(&self.lifecycle);
        let work = self.spawn(async move { lifecycle.trim(partition, log, below).await });
        Box::pin(async { work.await.unwrap_or_else(|e| Err(TrimError::Unavailable(e.into()))) })
    }

    fn record_bytes_max(&self, partition: PartitionId) -> usize {
        self.known.of(partition).map_or(RECORD_BYTES_MAX, |log| log.record_bytes_max())
    }

    /// As long as a broker's death goes unnoticed, which holds up every partition that it is in
    /// sync with: the session, and some seconds for the controllers' own election.
    fn stall_max(&self) -> Duration {
        let session = Duration::from_millis(self.session.load(Ordering::Relaxed));
        session.max(STALL_MIN)
    }

    fn usage(&self) -> LogUsage {
        let (used_bytes, limit_bytes) = self.feeds.held();
        LogUsage {
            disk: None,
            cache: Budget { used_bytes, limit_bytes },
            queue: Budget {
                used_bytes: self.producers.bytes(),
                limit_bytes: self.producers.bytes_max(),
            },
        }
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.watch.abort();
        self.known.close();
    }
}
