//! What requests to partitions that nothing serves have found out together.
//!
//! Asks nobody. Start reading at [`Standstills::lasting`].

use super::request::Standstill;
use cortado_model::PartitionId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long replicas must have stood so before requests end for it: a replica in doubt may agree
/// with most others and claim by itself, which takes it less.
const LASTS: Duration = Duration::from_millis(500);
/// Replicas are asked again after this while requests wait.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What was said longer ago ends no request: it may have been resolved since.
const FRESH: Duration = Duration::from_millis(500);
/// What nobody has asked for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The looks at the replicas of partitions that were made lately.
#[derive(Default)]
pub(super) struct Standstills {
    looks: Mutex<BTreeMap<PartitionId, Looks>>,
}

impl Standstills {
    /// What a partition has stood still for, and still does.
    pub(super) fn lasting(&self, partition: PartitionId, now: Instant) -> Option<Standstill> {
        self.looks.lock().get(&partition)?.lasting(now)
    }

    /// Whether the last look has found that it stands still.
    pub(super) fn has_found(&self, partition: PartitionId) -> bool {
        self.looks.lock().get(&partition).is_some_and(|looks| looks.found.is_some())
    }

    /// Whether it is time for a look, which whoever asks makes then, and ends.
    pub(super) fn begin_look(&self, partition: PartitionId, now: Instant) -> bool {
        let mut looks = self.looks.lock();
        if looks.get(&partition).is_some_and(|looks| !looks.is_due(now)) {
            return false;
        }
        looks.retain(|_, one| !one.is_forgotten(now));
        looks.entry(partition).or_default().is_looking = true;
        true
    }

    /// A look has found this.
    pub(super) fn end_look(&self, partition: PartitionId, now: Instant, found: Option<Standstill>) {
        self.looks.lock().entry(partition).or_default().end(now, found);
    }
}

/// The looks at the replicas of one partition.
#[derive(Clone, Copy, Default)]
struct Looks {
    /// One is under way, for all requests that wait.
    is_looking: bool,
    /// When the last one ended.
    ended: Option<Instant>,
    /// What it found, and since when all have found it.
    found: Option<(Standstill, Instant)>,
}

impl Looks {
    fn is_due(&self, now: Instant) -> bool {
        !self.is_looking && self.ended.is_none_or(|ended| now - ended >= LOOK_AGAIN)
    }

    fn end(&mut self, now: Instant, found: Option<Standstill>) {
        let since = self.found.filter(|(before, _)| Some(*before) == found);
        self.found = found.map(|why| (why, since.map_or(now, |(_, since)| since)));
        (self.is_looking, self.ended) = (false, Some(now));
    }

    /// What has lasted and is known to last.
    fn lasting(&self, now: Instant) -> Option<Standstill> {
        let is_fresh = self.ended.is_some_and(|ended| now - ended <= FRESH);
        let (why, since) = self.found.filter(|_| is_fresh)?;
        (now - since >= LASTS).then_some(why)
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        !self.is_looking && self.ended.is_none_or(|ended| now - ended >= FORGOTTEN)
    }
}
