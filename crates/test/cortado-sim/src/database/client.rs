//! A client: one request at a time, tries again where that is safe, remembers what it has seen.
//!
//! Decides what to ask for; the world carries it there. Start reading at [`Client::choose`].

use crate::database::documents::{AttemptId, KeyNumber, ValueId};
use crate::database::history::{Action, Level, Write};
use crate::database::reach::Reach;
use crate::kernel::random::Random;
use cortado_cluster::{KnownLeader, KnownRoute, LeaderSearch, Repetition, RouteAttempt};
use cortado_model::Scn;
use std::collections::BTreeMap;

/// What one client knows.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it knows of who leads each partition, as a gateway does.
    pub(crate) routes: Vec<KnownRoute>,
    /// The search for the leader that its last request needs, and who led then, as far as it knew.
    pub(crate) search: LeaderSearch,
    pub(crate) known: KnownLeader,
    /// The node that it has asked last.
    pub asked: usize,
    /// The newest state that it has met in each partition.
    pub tokens: Vec<Scn>,
    /// The last value that it has seen of each document.
    pub seen: BTreeMap<(usize, KeyNumber), ValueId>,
    /// The try that it waits for.
    pub waiting: Option<AttemptId>,
    /// What is known of its last request after the tries so far.
    pub(crate) route: RouteAttempt,
    /// Which nodes its requests have reached.
    pub(crate) reach: Reach,
}

/// Operations of a bulk at most.
pub const BULK_MAX: u64 = 4;

/// How often a client tries one thing.
pub const TRIES_MAX: usize = 8;

impl Client {
    /// A client that knows nothing.
    pub fn new(partitions: usize) -> Client {
        Client {
            routes: vec![KnownRoute::default(); partitions],
            search: LeaderSearch::default(),
            known: KnownLeader::default(),
            asked: 0,
            tokens: vec![Scn::ZERO; partitions],
            seen: BTreeMap::new(),
            waiting: None,
            route: RouteAttempt::new(Repetition::Harmless),
            reach: Reach::default(),
        }
    }

    /// Something to want of `partition`, and whether it shall have an idempotency key.
    ///
    /// * `keys`: how many documents there are.
    /// * `value`: a number that no other write uses.
    pub fn choose(
        &self,
        partition: usize,
        keys: u64,
        value: ValueId,
        random: &mut Random,
    ) -> (Action, bool) {
        let key = KeyNumber(random.below(keys));
        let seen = self.seen.get(&(partition, key)).copied().unwrap_or_default();
        let write = |condition, changes| Action::Write(Write { condition, changes });
        let keyed = random.below(5) < 3;
        let action = match random.below(100) {
            0..22 => write(None, vec![(key, value)]),
            22..28 => write(None, vec![(key, ValueId::ABSENT)]),
            28..44 => write(Some((key, seen)), vec![(key, value)]),
            44..50 => {
                // What is demanded of one document decides what becomes of another.
                let other = KeyNumber((key.0 + random.between(1, keys - 1)) % keys);
                write(Some((key, seen)), vec![(other, value)])
            }
            50..53 => {
                let other = KeyNumber((key.0 + random.between(1, keys - 1)) % keys);
                write(None, vec![(key, value), (other, ValueId::ABSENT)])
            }
            53..56 => return (self.bulk(partition, keys, value, random), keyed),
            56..58 => {
                let condition = random.coin().then_some((key, seen));
                let mut changes = vec![(key, value)];
                let other = KeyNumber((key.0 + random.between(1, keys - 1)) % keys);
                changes.push((other, value));
                write(condition, changes)
            }
            58..76 => return (self.read(Level::Strong, key, keys, partition, random), false),
            76..86 => return (self.read(Level::Strict, key, keys, partition, random), false),
            86..96 => return (self.read(Level::Session, key, keys, partition, random), false),
            _ => return (self.read(Level::Eventual, key, keys, partition, random), false),
        };
        (action, keyed)
    }

    /// A few documents, each for itself: some of them under a condition, some documents twice.
    ///
    /// * `value`: the first of [`BULK_MAX`] numbers that no other write uses.
    fn bulk(&self, partition: usize, keys: u64, value: ValueId, random: &mut Random) -> Action {
        let first = random.below(keys);
        let parts = (0..random.between(1, BULK_MAX)).map(|part| {
            // Some name the first document once more.
            let step = if random.below(4) == 0 { 0 } else { part };
            let key = KeyNumber((first + step) % keys);
            let seen = self.seen.get(&(partition, key)).copied().unwrap_or_default();
            let condition = (random.below(3) == 0).then_some((key, seen));
            let removes = part == 0 && condition.is_none() && random.below(4) == 0;
            let value = if removes { ValueId::ABSENT } else { ValueId(value.0 + part) };
            Write { condition, changes: vec![(key, value)] }
        });
        Action::Bulk(parts.collect())
    }

    fn read(
        &self,
        level: Level,
        key: KeyNumber,
        keys: u64,
        partition: usize,
        random: &mut Random,
    ) -> Action {
        let all = random.below(4) == 0;
        let keys = if all { (0..keys).map(KeyNumber).collect() } else { vec![key] };
        Action::Read { level, keys, token: self.tokens[partition] }
    }
}
