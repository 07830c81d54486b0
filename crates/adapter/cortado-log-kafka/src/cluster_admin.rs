//! Asking the cluster, and changing topics: every call has a bound, and a client that has fallen
//! silent is replaced.
//!
//! Start reading at [`ClusterAdmin::topics`].

use crate::client_config;
use crate::client_voice::ClientVoice;
use crate::settings::KafkaSettings;
use cortado_kafka_ffi::{
    AdminCallError, DescribedTopic, ListedOffset, OffsetEdge, describe_topics, list_offsets,
};
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

type Client = AdminClient<ClientVoice>;

/// So many calls running without an answer, and the client is made anew: one that was made while
/// all brokers were down has been seen to answer nothing for long afterwards.
const SILENT_MAX: u32 = 3;
/// How long one try to learn offsets may take.
const OFFSETS_WITHIN: Duration = Duration::from_secs(3);
/// Above a call's own bound: its answer says why it failed.
const GRACE: Duration = Duration::from_secs(1);

/// One client for all questions.
pub(crate) struct ClusterAdmin {
    settings: KafkaSettings,
    client: Mutex<Arc<Client>>,
    /// Calls running that had no answer.
    silent: AtomicU32,
}

/// What became of the wish for a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicCreated {
    Created,
    ExistsAlready,
}

impl ClusterAdmin {
    pub(crate) fn new(settings: KafkaSettings) -> KafkaResult<ClusterAdmin> {
        let client = Mutex::new(Arc::new(make(&settings)?));
        Ok(ClusterAdmin { settings, client, silent: AtomicU32::new(0) })
    }

    /// What some broker knows of topics; `None` for one that it does not know.
    pub(crate) async fn topics(
        &self,
        names: Vec<Arc<str>>,
    ) -> io::Result<Vec<Option<DescribedTopic>>> {
        self.ask(move |client, timeout| {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            describe_topics(client.inner(), &names, timeout)
        })
        .await
    }

    /// The same of one topic.
    pub(crate) async fn topic(&self, name: &str) -> io::Result<Option<DescribedTopic>> {
        let mut topics = self.topics(vec![Arc::from(name)]).await?;
        Ok(topics.pop().flatten())
    }

    /// Where partitions begin or end.
    pub(crate) async fn offsets(
        &self,
        partitions: Vec<(Arc<str>, i32)>,
        edge: OffsetEdge,
    ) -> io::Result<Vec<ListedOffset>> {
        // A try that began with a broker that does not know the topic yet comes to nothing, and
        // lasts as long as it may: better several.
        self.ask(move |client, timeout| {
            let timeout = timeout.min(OFFSETS_WITHIN);
            let partitions: Vec<(&str, i32)> =
                partitions.iter().map(|(topic, number)| (topic.as_ref(), *number)).collect();
            list_offsets(client.inner(), &partitions, edge, timeout)
        })
        .await
    }

    /// The ids of the brokers that are there.
    pub(crate) async fn brokers(&self) -> io::Result<Vec<i32>> {
        let mut brokers = self
            .ask(|client, timeout| {
                let metadata = client.inner().fetch_metadata(Some("__consumer_offsets"), timeout);
                let metadata = metadata.map_err(|error| failed(&error))?;
                Ok(metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect())
            })
            .await?;
        let all: &mut Vec<i32> = &mut brokers;
        all.sort_unstable();
        Ok(brokers)
    }

    /// Makes a topic.
    ///
    /// * `replicas`: by partition, the brokers that keep it; empty where the cluster chooses.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        replication: &TopicReplicas<'_>,
        settings: &[(&'static str, String)],
    ) -> io::Result<TopicCreated> {
        let count = i32::try_from(partitions).map_err(io::Error::other)?;
        let replication = match replication {
            TopicReplicas::Chosen(factor) => {
                TopicReplication::Fixed(i32::try_from(*factor).map_err(io::Error::other)?)
            }
            TopicReplicas::Assigned(assigned) => TopicReplication::Variable(assigned),
        };
        let mut topic = NewTopic::new(name, count, replication);
        for (setting, value) in settings {
            topic = topic.set(setting, value);
        }
        let client = self.client();
        let created = client.create_topics([&topic], &self.options());
        let results = self.bounded(created).await?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(TopicCreated::Created),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(TopicCreated::ExistsAlready),
            Some(Err((_, code))) => Err(io::Error::other(format!("topic {name}: {code}"))),
            None => Err(io::Error::other("the cluster told nothing of the new topic")),
        }
    }

    /// Deletes a topic; nothing to delete is no error.
    pub(crate) async fn delete_topic(&self, name: &str) -> io::Result<()> {
        let client = self.client();
        let deleted = client.delete_topics(&[name], &self.options());
        let results = self.bounded(deleted).await?;
        match results.into_iter().next() {
            Some(Ok(_))
            | Some(Err((
                _,
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
            ))) => Ok(()),
            Some(Err((_, code))) => Err(io::Error::other(format!("topic {name}: {code}"))),
            None => Err(io::Error::other("the cluster told nothing of the deletion")),
        }
    }

    /// The settings of a topic; none at all of one that does not exist.
    pub(crate) async fn topic_settings(&self, name: &str) -> io::Result<BTreeMap<String, String>> {
        let client = self.client();
        let topic = ResourceSpecifier::Topic(name);
        let described = client.describe_configs([&topic], &self.options());
        let results = self.bounded(described).await?;
        let told = |code| io::Error::other(format!("settings of topic {name}: {code}"));
        let resource = results.into_iter().next().transpose().map_err(told)?;
        let entries = resource.map(|resource| resource.entries).unwrap_or_default();
        Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    /// Lets a partition forget what stands below an offset that is at most its end.
    ///
    /// Answers `false` where the offset lies beyond the end.
    pub(crate) async fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        below: u64,
    ) -> io::Result<bool> {
        let mut offsets = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(below).map_err(io::Error::other)?);
        offsets.add_partition_offset(topic, partition, offset).map_err(io::Error::other)?;
        let client = self.client();
        let deleted = client.delete_records(&offsets, &self.options());
        let done = self.bounded(deleted).await?;
        match done.elements().first().map(|element| element.error()) {
            Some(Ok(())) => Ok(true),
            Some(Err(error))
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetOutOfRange) =>
            {
                Ok(false)
            }
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Err(io::Error::other("the cluster told nothing of the trim")),
        }
    }

    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.lock())
    }

    fn options(&self) -> AdminOptions {
        let timeout = Some(self.settings.call_timeout);
        AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
    }

    /// Asks on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client, Duration) -> Result<T, AdminCallError> + Send + 'static,
    ) -> io::Result<T> {
        let (client, timeout) = (self.client(), self.settings.call_timeout);
        let asked = tokio::task::spawn_blocking(move || question(&client, timeout)).await;
        let answer = asked.map_err(io::Error::other)?;
        self.heard(!matches!(
            &answer,
            Err(AdminCallError::NoAnswer { .. })
                | Err(AdminCallError::Failed { code: TIMED_OUT, .. })
        ));
        answer.map_err(io::Error::other)
    }

    async fn bounded<T>(&self, call: impl Future<Output = KafkaResult<T>>) -> io::Result<T> {
        let bound = self.settings.call_timeout + GRACE;
        let answer = match tokio::time::timeout(bound, call).await {
            Ok(answer) => answer.map_err(io::Error::other),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        };
        self.heard(!matches!(&answer, Err(error) if error.kind() == io::ErrorKind::TimedOut));
        answer
    }

    /// Counts calls without an answer, and replaces a client that has fallen silent.
    fn heard(&self, answered: bool) {
        if answered {
            self.silent.store(0, Ordering::Relaxed);
            return;
        }
        if self.silent.fetch_add(1, Ordering::Relaxed) + 1 < SILENT_MAX {
            return;
        }
        self.silent.store(0, Ordering::Relaxed);
        if let Ok(client) = make(&self.settings) {
            let former = std::mem::replace(&mut *self.client.lock(), Arc::new(client));
            // To let go of a client waits for its threads.
            thread::spawn(move || drop(former));
        }
    }
}

/// librdkafka's own code for what was not answered in time.
const TIMED_OUT: i32 = -185;

/// Who keeps the partitions of a new topic.
pub(crate) enum TopicReplicas<'a> {
    /// So many brokers of the cluster's choice.
    Chosen(usize),
    /// By partition; the first one leads.
    Assigned(&'a [&'a [i32]]),
}

fn make(settings: &KafkaSettings) -> KafkaResult<Client> {
    client_config::admin(settings).create_with_context(ClientVoice)
}

fn failed(error: &KafkaError) -> AdminCallError {
    let code = error.rdkafka_error_code().map_or(-1, |code| code as i32);
    AdminCallError::Failed { code, text: error.to_string() }
}
