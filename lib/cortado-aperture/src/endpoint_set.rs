//! Everything a balancer knows about its endpoints, and which of them picks may see.
//!
//! Changes one at a time, behind a lock that no pick takes. What it decides it hands out as a new
//! snapshot and as effects. Start reading at [`EndpointSet`]; then `handover`, which makes before
//! it breaks, `openings`, and `escape`, for when most of an aperture is down.

mod escape;
mod handover;
mod openings;

use crate::change::{Change, Effect};
use crate::endpoint::{Context, Endpoint, SharedEndpoint};
use crate::load::LoadMetric;
use crate::order::{RingKey, RingOrder};
use crate::place::Place;
use crate::report::Report;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::subset::{Candidate, Position, Subset, Subsetter, Widening};
use crate::time::Nanos;
use crate::weight::Weight;
use escape::Escape;
use openings::{Openings, Stage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The endpoints of a balancer in ring order, with all that is decided about them.
pub(crate) struct EndpointSet<K, T, M: LoadMetric> {
    order: RingOrder,
    subsetter: Box<dyn Subsetter>,
    metric: M,
    settings: Settings,
    context: Arc<Context>,
    entries: BTreeMap<(Place, K), Entry<K, T, M>>,
    openings: Openings<K>,
    /// When the present aperture must give way to the next one; `None` if it is the right one.
    handover_until: Option<Nanos>,
    escape: Escape,
    laps: u32,
    /// Whether picks should see something else than they do.
    is_stale: bool,
    tally: Tally,
}

/// One endpoint.
struct Entry<K, T, M: LoadMetric> {
    endpoint: SharedEndpoint<K, T, M>,
    weight: Weight,
    ordinal: Option<u32>,
    /// In units of the subset that should be used; 0 outside it.
    wanted: u128,
    /// In units of the aperture that picks see; 0 outside it.
    serving: u128,
    /// Whether it belongs to the subset that is not widened.
    is_usual: bool,
    stage: Stage,
    /// Discovery has removed it; it stays on probation.
    is_leaving: bool,
    /// Since when it has had no request; `None` while it has.
    idle_since: Option<Nanos>,
}

/// What has happened since the beginning.
#[derive(Default)]
struct Tally {
    rebuilds: u64,
    added: u64,
    removed: u64,
    expired: u64,
    widenings: u64,
}

impl<K: RingKey, T, M: LoadMetric> EndpointSet<K, T, M> {
    pub(crate) fn new(
        order: RingOrder,
        subsetter: Box<dyn Subsetter>,
        metric: M,
        settings: Settings,
        context: Arc<Context>,
    ) -> Self {
        EndpointSet {
            order,
            subsetter,
            metric,
            settings,
            context,
            entries: BTreeMap::new(),
            openings: Openings::new(settings.openings_max),
            handover_until: None,
            escape: Escape::default(),
            laps: 0,
            is_stale: false,
            tally: Tally::default(),
        }
    }

    pub(crate) fn update(
        &mut self,
        now: Nanos,
        changes: impl IntoIterator<Item = Change<K, T>>,
    ) -> Vec<Effect<K>> {
        let mut is_changed = false;
        for change in changes {
            is_changed |= match change {
                Change::Insert(key, weight, target) => self.insert(key, weight, target),
                Change::Weigh(key, weight) => self.weigh(&key, weight),
                Change::Remove(key) => self.remove(&key),
            };
        }
        if is_changed { self.rebuild(now) } else { Vec::new() }
    }

    pub(crate) fn stand_at(&mut self, now: Nanos, position: Position) -> Vec<Effect<K>> {
        if self.subsetter.on_position(position) { self.rebuild(now) } else { Vec::new() }
    }

    pub(crate) fn tick(&mut self, now: Nanos) -> Vec<Effect<K>> {
        let mut effects = Vec::new();
        let outstanding = self.outstanding() as u64;
        let has_left = self.end_probation();
        let is_resized = self.subsetter.on_load(now, outstanding);
        let is_rewidened = self.settings.escape && self.check_escape(now);
        if has_left || is_resized || is_rewidened {
            effects = self.rebuild(now);
        } else if self.handover_until.is_some() {
            self.hand_over(now);
        }
        self.expire(now, &mut effects);
        effects
    }

    /// Another target for an endpoint; it has to be opened again.
    pub(crate) fn replace(&mut self, now: Nanos, key: &K, target: T) -> Vec<Effect<K>> {
        if self.set_target(key, target) { self.settle(now) } else { Vec::new() }
    }

    pub(crate) fn opened(&mut self, now: Nanos, key: &K, is_open: bool) -> Vec<Effect<K>> {
        let place = self.order.place(key);
        if self.openings.finish(key)
            && let Some(entry) = self.entries.get_mut(&(place, key.clone()))
        {
            entry.stage = if is_open { Stage::Open } else { Stage::Failed };
            entry.idle_since = None;
            if !is_open {
                entry.endpoint.close(now);
            }
        }
        self.settle(now)
    }

    pub(crate) fn find(&self, key: &K) -> Option<&SharedEndpoint<K, T, M>> {
        let place = self.order.place(key);
        self.entries.get(&(place, key.clone())).map(|entry| &entry.endpoint)
    }

    /// What picks should see from now on, if that is something else.
    pub(crate) fn take_snapshot(&mut self) -> Option<Snapshot<K, T, M>> {
        if !std::mem::take(&mut self.is_stale) {
            return None;
        }
        let serving = self.entries.values().filter(|entry| entry.serving > 0);
        let shares = serving.map(|entry| (Arc::clone(&entry.endpoint), entry.serving));
        Some(Snapshot::new(shares.collect()))
    }

    pub(crate) fn report(&self) -> Report {
        let serving = || self.entries.values().filter(|entry| entry.serving > 0);
        let mut ring_hash = 0;
        for ((place, _), entry) in &self.entries {
            ring_hash = crate::random::hash_of(place.0, ring_hash ^ u64::from(entry.weight.0));
        }
        Report {
            endpoints: self.entries.len(),
            aperture: serving().count(),
            alive: serving().filter(|entry| entry.endpoint.is_alive()).count(),
            laps: self.laps,
            widening: self.escape.widening().steps(),
            is_handing_over: self.handover_until.is_some(),
            outstanding: self.outstanding(),
            opening: self.openings.under_way(),
            waiting: self.entries.values().filter(|e| e.stage == Stage::Waiting).count(),
            ring_hash,
            rebuilds: self.tally.rebuilds,
            added: self.tally.added,
            removed: self.tally.removed,
            expired: self.tally.expired,
            widenings: self.tally.widenings,
            panics: self.context.panics(),
        }
    }

    /// Answers whether anything has changed, as the next two do.
    fn insert(&mut self, key: K, weight: Weight, target: T) -> bool {
        let place = self.order.place(&key);
        if let Some(entry) = self.entries.get_mut(&(place, key.clone())) {
            entry.weight = weight;
            entry.is_leaving = false;
            return self.set_target(&key, target);
        }
        let salt = place.0 as u64 ^ (place.0 >> 64) as u64;
        let ordinal = key.ordinal();
        let endpoint = Endpoint::new(key.clone(), target, &self.metric, salt, &self.context);
        let entry = Entry {
            endpoint: Arc::new(endpoint),
            weight,
            ordinal,
            wanted: 0,
            serving: 0,
            is_usual: false,
            stage: Stage::Closed,
            is_leaving: false,
            idle_since: None,
        };
        self.entries.insert((place, key), entry);
        self.tally.added += 1;
        true
    }

    fn weigh(&mut self, key: &K, weight: Weight) -> bool {
        let place = self.order.place(key);
        let entry = self.entries.get_mut(&(place, key.clone()));
        entry.is_some_and(|entry| std::mem::replace(&mut entry.weight, weight) != weight)
    }

    fn remove(&mut self, key: &K) -> bool {
        let place = (self.order.place(key), key.clone());
        let Some(entry) = self.entries.get_mut(&place) else { return false };
        if self.settings.probation && entry.endpoint.is_alive() {
            entry.is_leaving = true;
            return false;
        }
        self.entries.remove(&place);
        self.openings.finish(key);
        self.tally.removed += 1;
        true
    }

    fn set_target(&mut self, key: &K, target: T) -> bool {
        let place = (self.order.place(key), key.clone());
        let Some(entry) = self.entries.get_mut(&place) else { return false };
        entry.endpoint = Arc::new(entry.endpoint.with_target(target));
        entry.stage = Stage::Closed;
        self.openings.finish(key);
        self.is_stale |= entry.serving > 0;
        true
    }

    /// Lets go of those that discovery has removed and that have failed since.
    fn end_probation(&mut self) -> bool {
        if !self.settings.probation {
            return false;
        }
        let before = self.entries.len();
        self.entries.retain(|_, entry| !entry.is_leaving || entry.endpoint.is_alive());
        let left = before - self.entries.len();
        self.tally.removed += left as u64;
        left > 0
    }

    /// Chooses the subset anew.
    fn rebuild(&mut self, now: Nanos) -> Vec<Effect<K>> {
        self.tally.rebuilds += 1;
        let candidates = self.entries.iter().map(|((place, _), entry)| Candidate {
            place: *place,
            weight: entry.weight,
            ordinal: entry.ordinal,
        });
        let candidates: Vec<Candidate> = candidates.collect();
        let widening = self.escape.widening();
        let subset = self.subsetter.subset(&candidates, widening);
        let usual = match widening {
            Widening::NONE => None,
            _ => Some(self.subsetter.subset(&candidates, Widening::NONE)),
        };
        self.laps = subset.laps;
        self.mark(&subset, usual.as_ref().unwrap_or(&subset));
        self.settle(now)
    }

    /// Writes down who is wanted.
    fn mark(&mut self, subset: &Subset, usual: &Subset) {
        let mut units = vec![(0, false); self.entries.len()];
        subset.shares.iter().for_each(|share| units[share.index].0 = share.units);
        usual.shares.iter().for_each(|share| units[share.index].1 = true);
        for (entry, (wanted, is_usual)) in self.entries.values_mut().zip(units) {
            (entry.wanted, entry.is_usual) = (wanted, is_usual);
        }
        // Who has left is still served by no one else, but picks must not see it any more.
        self.is_stale = true;
    }

    /// Brings openings and the aperture in line with who is wanted.
    fn settle(&mut self, now: Nanos) -> Vec<Effect<K>> {
        let mut effects = Vec::new();
        self.queue_openings(&mut effects);
        self.hand_over(now);
        effects
    }

    fn outstanding(&self) -> usize {
        self.entries.values().map(|entry| entry.endpoint.outstanding()).sum()
    }
}
