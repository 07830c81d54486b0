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
use tokio::time::{Instant, timeout};

type Client = AdminClient<ClientVoice>;

/// So many tries running without an answer, and the client is made anew: one that was made while
/// all brokers were down has been seen to answer nothing for long afterwards.
const SILENT_MAX: u32 = 3;
/// How long one try of a call may take, or a tenth of what the call may, if that is more. A try
/// waits for the broker that it was meant for, which may have died, or that did not know a topic
/// yet: better several.
const TRY_WITHIN: Duration = Duration::from_secs(3);
/// Above a call's own bound: its answer says why it failed.
const GRACE: Duration = Duration::from_secs(1);

/// One client for all questions.
pub(crate) struct ClusterAdmin {
    settings: KafkaSettings,
    client: Mutex<Arc<Client>>,
    /// Tries running that had no answer.
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
        self.ask(move |client, timeout| {
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
                let metadata = client.inner().fetch_metadata(Some(ANY_TOPIC), timeout);
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
        let results = self.order(|client, options| client.create_topics([&topic], options)).await?;
        match results.into_iter().next() {
            Some(Ok(_)) => Ok(TopicCreated::Created),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(TopicCreated::ExistsAlready),
            Some(Err((_, code))) => Err(io::Error::other(format!("topic {name}: {code}"))),
            None => Err(io::Error::other("the cluster told nothing of the new topic")),
        }
    }

    /// Deletes a topic; nothing to delete is no error.
    pub(crate) async fn delete_topic(&self, name: &str) -> io::Result<()> {
        let results = self.order(|client, options| client.delete_topics(&[name], options)).await?;
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
        let topic = ResourceSpecifier::Topic(name);
        let results =
            self.order(|client, options| client.describe_configs([&topic], options)).await?;
        let told = |code| io::Error::other(format!("settings of topic {name}: {code}"));
        let resource = results.into_iter().next().transpose().map_err(told)?;
        let entries = resource.map(|resource| resource.entries).unwrap_or_default();
        Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    /// A setting of a broker, as it runs; `None` if it does not tell.
    pub(crate) async fn broker_setting(
        &self,
        broker: i32,
        name: &str,
    ) -> io::Result<Option<String>> {
        let resource = ResourceSpecifier::Broker(broker);
        let results =
            self.order(|client, options| client.describe_configs([&resource], options)).await?;
        let told = |code| io::Error::other(format!("settings of broker {broker}: {code}"));
        let resource = results.into_iter().next().transpose().map_err(told)?;
        Ok(resource.and_then(|resource| resource.get(name)?.value.clone()))
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
        let done = self.order(|client, options| client.delete_records(&offsets, options)).await?;
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

    fn try_within(&self) -> Duration {
        let call = self.settings.call_timeout;
        TRY_WITHIN.max(call / 10).min(call)
    }

    /// Asks on a thread that may block, again while nothing answers, until the time is over.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&Client, Duration) -> Result<T, AdminCallError> + Send + Sync + 'static,
    ) -> io::Result<T> {
        let question = Arc::new(question);
        let until = Instant::now() + self.settings.call_timeout;
        loop {
            let (client, question) = (self.client(), Arc::clone(&question));
            let within = self.try_within();
            let asked = move || {
                let answer = question(&client, within);
                if answer.as_ref().is_err_and(is_passing) {
                    look_around(&client, within);
                }
                answer
            };
            let asked = tokio::task::spawn_blocking(asked).await.map_err(io::Error::other)?;
            let is_passing = asked.as_ref().is_err_and(is_passing);
            self.heard(!is_passing);
            if !is_passing || Instant::now() > until {
                return asked.map_err(io::Error::other);
            }
        }
    }

    /// Gives an order that may be given twice, again while nothing answers, until the time is over.
    async fn order<T, F>(&self, order: impl Fn(&Client, &AdminOptions) -> F) -> io::Result<T>
    where
        F: Future<Output = KafkaResult<T>>,
    {
        let until = Instant::now() + self.settings.call_timeout;
        let within = self.try_within();
        // What the cluster does with it may take longer than a try; the next one finds it done.
        let options = AdminOptions::new().request_timeout(Some(within));
        let options = options.operation_timeout(Some(self.settings.call_timeout));
        loop {
            let client = self.client();
            let answer = timeout(within + GRACE, order(&client, &options)).await;
            let is_passing = match &answer {
                Ok(Ok(_)) => false,
                Ok(Err(error)) => is_passing(&failed(error)),
                Err(_) => true,
            };
            self.heard(!is_passing);
            if is_passing && Instant::now() < until {
                let look = move || look_around(&client, within);
                tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
                continue;
            }
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            return answer.map_err(late)?.map_err(io::Error::other);
        }
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

/// Learns anew which brokers there are: calls go to the one that the cluster names as its
/// controller, and it may have died since.
fn look_around(client: &Client, within: Duration) {
    // Whatever comes of it: the next try tells.
    let _ = client.inner().fetch_metadata(Some(ANY_TOPIC), within);
}

/// Asked for because a topic must be named; it need not be there.
const ANY_TOPIC: &str = "__consumer_offsets";

/// Whether another try may have an answer.
fn is_passing(error: &AdminCallError) -> bool {
    match error {
        AdminCallError::NoAnswer { .. } => true,
        AdminCallError::Failed { code, .. } => matches!(
            *code,
            TRANSPORT
                | TIMED_OUT
                | ALL_BROKERS_DOWN
                | NO_ENTRY
                | REQUEST_TIMED_OUT
                | NOT_CONTROLLER
        ),
    }
}

/// Codes of the protocol, and negative ones of librdkafka.
const REQUEST_TIMED_OUT: i32 = 7;
const NOT_CONTROLLER: i32 = 41;
const NO_ENTRY: i32 = -156;
const TIMED_OUT: i32 = -185;
const ALL_BROKERS_DOWN: i32 = -187;
const TRANSPORT: i32 = -195;

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
    let code = match error {
        // The crate tells no code of these, though they are nothing else.
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    };
    let code = code.map_or(-1, |code| code as i32);
    AdminCallError::Failed { code, text: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_order_that_was_not_answered_in_time_is_given_again() {
        for code in [RDKafkaErrorCode::OperationTimedOut, RDKafkaErrorCode::BrokerTransportFailure]
        {
            assert!(is_passing(&failed(&KafkaError::AdminOp(code))), "{code:?}");
        }
        let refused = KafkaError::AdminOp(RDKafkaErrorCode::ClusterAuthorizationFailed);
        assert!(!is_passing(&failed(&refused)));
    }

    #[tokio::test]
    async fn a_client_that_answers_nothing_is_made_anew() {
        // Something listens there, and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = KafkaSettings::new(silent.local_addr().unwrap().to_string());
        settings.call_timeout = Duration::from_millis(50);
        let admin = ClusterAdmin::new(settings).unwrap();
        let first = admin.client();
        for _ in 0..SILENT_MAX {
            assert!(admin.topic("t").await.is_err());
        }
        assert!(!Arc::ptr_eq(&first, &admin.client()));
    }
}
