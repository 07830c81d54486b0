//! What a partition's log means, folded once more from the written rules, without the core's code.
//!
//! Sees every record at the moment it lands and knows what every replica will make of it.
//! Start reading at [`Truth::land`]. Source: docs/protocols/replication.md, "The fold".

use crate::database::documents::{AttemptId, KeyNumber, ValueId, document_hash, remembered_hash};
use bytes::Bytes;
use cortado_driver::RememberedAnswer;
use cortado_model::{
    DocumentKey, Generation, LogOffset, NodeId, PartitionUuid, Remembered, RememberedKey,
    ReplicaIncarnation, Scn, Sequence, WallMillis,
};
use cortado_replica::{Body, ClaimReason, Config, Genesis, Transaction, decode, etag_of};
use std::collections::BTreeMap;

/// One partition as its log's order alone decides it.
#[derive(Debug, Default)]
pub struct Truth {
    begun: bool,
    /// The last accepted record.
    pub last: Scn,
    /// Behind the last record that has landed.
    pub end: LogOffset,
    stepped_down: bool,
    /// The current generation's leader has done more than to show that it leads.
    served: bool,
    /// Who may claim; none named is every node.
    pub replicas: Vec<NodeId>,
    /// Who won each generation.
    pub winners: BTreeMap<Generation, Winner>,
    /// The accepted transactions, in order.
    pub transactions: Vec<Accepted>,
    /// Where the transaction of each try stands.
    pub attempts: BTreeMap<AttemptId, Scn>,
    /// Every use of each idempotency key, in order.
    pub keys: BTreeMap<RememberedKey, Vec<Use>>,
    /// Every accepted record, with how it came there.
    pub accepted: Vec<Milestone>,
    documents: BTreeMap<DocumentKey, (ValueId, u64)>,
    digest: u64,
}

/// A life of a node.
pub type Winner = (NodeId, ReplicaIncarnation);

/// A transaction that counts.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its place.
    pub scn: Scn,
    /// Its log time.
    pub time: WallMillis,
    /// What it changes.
    pub transaction: Transaction,
    /// Hash of the state behind it.
    pub digest: u64,
    /// What every document holds behind it.
    pub values: BTreeMap<KeyNumber, ValueId>,
}

/// A use of an idempotency key.
#[derive(Clone, Debug)]
pub struct Use {
    /// Where its transaction stands.
    pub scn: Scn,
    /// What every store remembers of it.
    pub remembered: Remembered,
}

/// A record that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// Its place.
    pub scn: Scn,
    /// Its log time.
    pub time: WallMillis,
    /// What it was.
    pub kind: Kind,
}

/// What an accepted record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first record of the log.
    Genesis,
    /// The beginning of a generation.
    Claim,
    /// The end of one.
    StepDown,
    /// Nothing but that its leader leads.
    Barrier,
    /// Anything else.
    Other,
}

impl Truth {
    /// Takes the record of `partition`, or of a stranger, that has just landed; answers whether it
    /// counts.
    pub fn land(&mut self, bytes: &Bytes, partition: PartitionUuid) -> Option<Milestone> {
        self.end = self.end.plus(1);
        let record = decode(bytes, partition).ok()?;
        let header = record.header;
        let here = (header.node, header.incarnation);
        let generation = self.last.generation;
        let is_next = self.begun
            && !self.stepped_down
            && header.scn == Scn::new(generation, Sequence(self.last.sequence.0 + 1))
            && self.winners.get(&generation) == Some(&here);
        let kind = match &record.body {
            Body::Genesis(_) if self.begun => return None,
            Body::Genesis(_) => Kind::Genesis,
            Body::Claim(claim) if claim.reason == ClaimReason::LeaderDisputed && self.served => {
                return None;
            }
            Body::Claim(_) if !self.may_claim(header.node) => return None,
            Body::Claim(_) if self.begun && header.scn == Scn::opening(generation.next()) => {
                self.winners.insert(generation.next(), here);
                Kind::Claim
            }
            Body::Claim(_) => return None,
            Body::Barrier(_) if is_next => Kind::Barrier,
            Body::Transaction(_) | Body::Config(_) if is_next => Kind::Other,
            Body::StepDown(_) if is_next => Kind::StepDown,
            Body::Transaction(_) | Body::Barrier(_) | Body::Config(_) | Body::StepDown(_) => {
                return None;
            }
        };
        match &record.body {
            Body::Genesis(Genesis { replicas, .. }) | Body::Config(Config::Replicas(replicas)) => {
                self.replicas = replicas.nodes().to_vec();
            }
            Body::Claim(_)
            | Body::Transaction(_)
            | Body::Barrier(_)
            | Body::StepDown(_)
            | Body::Config(_) => {}
        }
        self.begun = true;
        self.stepped_down = kind == Kind::StepDown;
        self.served = match kind {
            Kind::Genesis | Kind::Claim => false,
            Kind::Barrier => self.served,
            Kind::StepDown | Kind::Other => true,
        };
        self.last = match &record.body {
            Body::Genesis(genesis) => genesis.origin.map_or(Scn::ZERO, |origin| origin.history.scn),
            Body::Claim(_)
            | Body::Transaction(_)
            | Body::Barrier(_)
            | Body::StepDown(_)
            | Body::Config(_) => header.scn,
        };
        if let Body::Transaction(transaction) = record.body {
            self.accept(header.scn, header.time, transaction, partition);
        }
        let milestone = Milestone { scn: header.scn, time: header.time, kind };
        self.accepted.push(milestone);
        Some(milestone)
    }

    /// The log ends at `end`: offsets below that were not told of hold no record.
    pub fn reaches(&mut self, end: LogOffset) {
        self.end = end;
    }

    /// Whether `node` may claim.
    pub fn may_claim(&self, node: NodeId) -> bool {
        self.replicas.is_empty() || self.replicas.contains(&node)
    }

    /// Whether the current leader is `node`, and has done more than to show that it leads.
    pub fn is_served_by(&self, node: NodeId) -> bool {
        let winner = self.winners.get(&self.last.generation);
        self.served && winner.is_some_and(|(winner, _)| *winner == node)
    }

    /// The transaction at `scn`.
    pub fn transaction(&self, scn: Scn) -> Option<&Accepted> {
        let at = self.transactions.binary_search_by_key(&scn, |accepted| accepted.scn).ok()?;
        Some(&self.transactions[at])
    }

    /// The transaction that follows the one at `scn`, or the first one.
    pub fn transaction_after(&self, scn: Scn) -> Option<&Accepted> {
        let at = self.transactions.partition_point(|accepted| accepted.scn <= scn);
        self.transactions.get(at)
    }

    /// Hash of the state behind the transaction at `scn`; `0:0` is before the first.
    pub fn digest_at(&self, scn: Scn) -> Option<u64> {
        if scn == Scn::ZERO {
            return Some(0);
        }
        self.transaction(scn).map(|accepted| accepted.digest)
    }

    /// The last transaction at or before `scn`; `0:0` if there is none.
    pub fn newest_at(&self, scn: Scn) -> Scn {
        self.between(Scn::ZERO, scn).last().map_or(Scn::ZERO, |accepted| accepted.scn)
    }

    /// The accepted transactions behind `after`, up to `last`.
    pub fn between(&self, after: Scn, last: Scn) -> &[Accepted] {
        let from = self.transactions.partition_point(|accepted| accepted.scn <= after);
        let to = self.transactions.partition_point(|accepted| accepted.scn <= last);
        &self.transactions[from..to.max(from)]
    }

    /// Sum of the hashes of what a store remembers behind the transaction at `scn`, as far as it
    /// has not expired at `time`.
    pub fn remembered_at(&self, scn: Scn, time: WallMillis) -> u64 {
        let newest = self.keys.iter().filter_map(|(name, uses)| {
            let newest = uses.iter().rev().find(|each| each.scn <= scn)?;
            let live = newest.remembered.expires >= time;
            live.then(|| remembered_hash(name, &newest.remembered))
        });
        newest.fold(0, u64::wrapping_add)
    }

    /// What every document held behind the transaction at `scn`.
    pub fn values_at(&self, scn: Scn) -> Option<&BTreeMap<KeyNumber, ValueId>> {
        self.transaction(scn).map(|accepted| &accepted.values)
    }

    fn accept(
        &mut self,
        scn: Scn,
        time: WallMillis,
        transaction: Transaction,
        partition: PartitionUuid,
    ) {
        for change in &transaction.changes {
            let old = match &change.document {
                Some(document) => {
                    let hash = document_hash(&change.key, document);
                    self.digest = self.digest.wrapping_add(hash);
                    let value = ValueId::of_json(&document.json());
                    self.documents.insert(change.key.clone(), (value, hash))
                }
                None => self.documents.remove(&change.key),
            };
            self.digest = self.digest.wrapping_sub(old.map_or(0, |(_, hash)| hash));
        }
        if let Some(attempt) = AttemptId::of(&transaction) {
            self.attempts.insert(attempt, scn);
        }
        for idempotency in &transaction.idempotency {
            let answer = RememberedAnswer {
                scn,
                etag: etag_of(partition, scn),
                fingerprint: idempotency.fingerprint,
                statuses: idempotency.statuses.clone(),
            };
            let ttl_ms = idempotency.ttl_ms.map_or(0, u64::from);
            let expires = WallMillis(time.0 + ttl_ms);
            let remembered = Remembered { time, expires, answer: answer.encode() };
            let uses = self.keys.entry(idempotency.name.clone()).or_default();
            uses.push(Use { scn, remembered });
        }
        let documents = self.documents.iter();
        let values = documents.map(|(key, (value, _))| (KeyNumber::of(key), *value)).collect();
        self.transactions.push(Accepted { scn, time, transaction, digest: self.digest, values });
    }
}
