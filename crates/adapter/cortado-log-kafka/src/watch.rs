//! What nobody asks for: whether topics are still the ones that they were, and whether consumers
//! show what there is.
//!
//! A consumer says nothing when its topic is deleted, and reads on in the next one of that name.
//! Start reading at [`watch`].

use crate::cluster_admin::ClusterAdmin;
use crate::feeds::Feeds;
use crate::known_logs::{KnownLog, KnownLogs, Standing};
use crate::lifecycle::{Lifecycle, kafka_number, standing_of};
use crate::opening::longest_session;
use crate::record_witness::RecordWitness;
use cortado_kafka_ffi::OffsetEdge;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{debug, error};

/// Topics that are asked for at once.
const TOPICS_AT_ONCE: usize = 200;
/// How often is looked whether consumers show what there is.
const CONSUMERS_EVERY: Duration = Duration::from_secs(5);

/// How often brokers are asked how they are set: that changes when they start again.
const SESSION_EVERY: Duration = Duration::from_secs(60);

/// What the watch looks at; it ends when they have gone.
pub(crate) struct Watched {
    pub(crate) admin: Arc<ClusterAdmin>,
    pub(crate) known: Arc<KnownLogs>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) feeds: Weak<Feeds>,
    pub(crate) witness: Arc<RecordWitness>,
    /// The longest session of a broker, in milliseconds.
    pub(crate) session: Arc<AtomicU64>,
    pub(crate) interval: Duration,
}

/// Looks again and again.
pub(crate) async fn watch(watched: Watched) {
    // A broker that has died keeps who asks it waiting.
    tokio::select! {
        () = watch_logs(&watched) => {}
        () = watch_sessions(&watched) => {}
    }
}

async fn watch_sessions(watched: &Watched) {
    loop {
        look_at_sessions(watched).await;
        sleep(SESSION_EVERY).await;
    }
}

async fn watch_logs(watched: &Watched) {
    let mut identities = IdentityWatch::default();
    let mut consumers = ConsumerWatch::default();
    let (mut looked, mut waited) = (Instant::now(), Vec::new());
    loop {
        sleep(watched.interval).await;
        let Some(feeds) = watched.feeds.upgrade() else { return };
        feeds.relieve();
        watched.witness.show_all(&mut waited);
        identities.look(watched).await;
        feeds.tell_ends();
        if looked.elapsed() >= CONSUMERS_EVERY {
            looked = Instant::now();
            consumers.look(watched, &feeds).await;
        }
    }
}

async fn look_at_sessions(watched: &Watched) {
    match longest_session(&watched.admin).await {
        Ok(longest) => {
            let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
            watched.session.store(longest, Ordering::Relaxed);
        }
        // The user may lack the right: the default is a good guess, and advice was given at `init`.
        Err(error) => debug!(%error, "the brokers do not tell how long their sessions are"),
    }
}

/// Remembers what was seen once: a broker may learn late of what all others know.
#[derive(Default)]
struct IdentityWatch {
    seen: BTreeMap<Arc<str>, Standing>,
}

impl IdentityWatch {
    async fn look(&mut self, watched: &Watched) {
        let logs = watched.known.all();
        for logs in logs.chunks(TOPICS_AT_ONCE) {
            let names: Vec<_> = logs.iter().map(|log| Arc::clone(&log.topic)).collect();
            let found = match watched.admin.topics(names).await {
                Ok(found) => found,
                Err(error) => {
                    debug!(%error, "the topics of the log cannot be looked at");
                    continue;
                }
            };
            for (log, topic) in logs.iter().zip(found) {
                self.saw(&watched.known, log, standing_of(log, topic.as_ref()));
            }
        }
        let names: BTreeSet<_> = logs.iter().map(|log| &log.topic).collect();
        self.seen.retain(|topic, _| names.contains(topic));
    }

    fn saw(&mut self, known: &KnownLogs, log: &Arc<KnownLog>, standing: Standing) {
        if standing == Standing::Here {
            self.seen.remove(&log.topic);
            // An id is given once: brokers that had just started did not know it yet.
            known.mark(log, Standing::Here);
            return;
        }
        let before = self.seen.insert(Arc::clone(&log.topic), standing);
        if before == Some(standing) && known.mark(log, standing) {
            let topic = &*log.topic;
            match standing {
                Standing::Here => {}
                Standing::Gone => error!(topic, "the topic of a log was deleted"),
                Standing::Replaced(found) => {
                    error!(topic, log = %log.id, %found, "the topic of a log was created anew");
                }
            }
        }
    }
}

/// Remembers where feeds stood.
#[derive(Default)]
struct ConsumerWatch {
    /// By topic and number.
    stood: BTreeMap<(Arc<str>, u32), u64>,
    /// Consumers that showed nothing of what there was.
    silent: BTreeSet<usize>,
}

impl ConsumerWatch {
    /// A consumer that shows nothing of what there is, twice running, is made anew.
    async fn look(&mut self, watched: &Watched, feeds: &Feeds) {
        let mut stood = BTreeMap::new();
        let mut standing = Vec::new();
        for (fetcher, cell) in feeds.running() {
            let (place, next) = ((Arc::clone(&cell.log.topic), cell.partition), cell.wanted());
            if self.stood.get(&place) == Some(&next) {
                standing.push((fetcher, cell, next));
            }
            stood.insert(place, next);
        }
        self.stood = stood;
        let places: Vec<_> = standing
            .iter()
            .map(|(_, cell, _)| (Arc::clone(&cell.log.topic), kafka_number(cell.partition)))
            .collect();
        // Where nothing can be learned, nothing is wrong with the consumer alone.
        let Ok(ends) = watched.lifecycle.edges(&places, OffsetEdge::End).await else {
            self.silent.clear();
            return;
        };
        let mut silent = BTreeSet::new();
        for ((fetcher, cell, next), (end, _)) in standing.iter().zip(ends) {
            if end > *next && cell.wanted() == *next {
                silent.insert(*fetcher);
            }
        }
        for fetcher in silent.intersection(&self.silent) {
            feeds.renew(*fetcher);
        }
        self.silent = silent;
    }
}
