//! Worlds that end with what only a person can mend: a log that has lost its tail, a leader of a
//! newer build, histories in dispute. What is lost there, the log or that person has lost; what is
//! left must be kept.
//!
//! Start reading at [`World::begin_to_keep`].

use super::{Address, Phase, World};
use crate::database::coverage::{CoveragePoint, Fault};
use crate::database::invariants::kept::{self, Kept};
use crate::database::node::Node;
use crate::database::scenario::Scenario;
use crate::kernel::time::SECOND;
use crate::kernel::violation::Violation;
use bytes::Bytes;
use cortado_driver::ReplicaRole;
use cortado_model::{LogOffset, PartitionUuid, Scn};
use cortado_replica::{Barrier, Body, ChainHash, Header, Record, encode};
use xxhash_rust::xxh3::Xxh3;

/// How long everything is watched: longer than any driver rests.
const WATCHED_US: u64 = 12 * SECOND;
/// By then, every replica that must stand still does.
const STANDS_US_MAX: u64 = 8 * SECOND;

impl World {
    /// The faults stop, and the last one strikes; answers whether this world ends so.
    pub(super) fn begin_to_keep(&mut self) -> bool {
        match self.plan.scenario {
            Scenario::Truncated => self.lose_tails(),
            Scenario::KafkaUnclean | Scenario::KafkaRecreated => {
                return self.begin_to_keep_lost();
            }
            Scenario::Upgrade => {}
            Scenario::Disputed => {
                // What came to stand was kept from then on.
                self.keep_none_yet();
                self.phase = Phase::Keeping { since: self.kernel.now };
                self.stop_faults();
                return true;
            }
            Scenario::Outvoted if self.unheard_has_served() => {
                // What it has acknowledged counts: a person decides.
                self.check_leads_on();
                self.keep_none_yet();
                self.phase = Phase::Keeping { since: self.kernel.now };
                self.stop_faults();
                return true;
            }
            _ => return false,
        }
        self.kernel.listen_only_to(kept::NAME);
        let is_upgrade = self.plan.scenario == Scenario::Upgrade;
        for store in self.nodes.iter_mut().flat_map(|node| &mut node.disk) {
            // Only what survives a crash can be asked for.
            store.flush(0);
        }
        let ends: Vec<_> = (0..self.plan.partitions).map(|p| self.log.end(p)).collect();
        let keeps = |node: &Node| {
            let stores =
                node.disk.iter().zip(&ends).enumerate().map(|(partition, (store, end))| {
                    // One that is being built anew is about to be replaced.
                    let lives = node
                        .hosted(partition)
                        .is_none_or(|hosted| hosted.driver.role() != ReplicaRole::Restoring);
                    // A log that is as long as its replicas has lost nothing.
                    let robbed = store.image().reached.offset > *end;
                    ((is_upgrade && lives) || robbed).then(|| Kept::of(store.image()))
                });
            stores.collect()
        };
        self.kept = self.nodes.iter().map(keeps).collect();
        self.phase = Phase::Keeping { since: self.kernel.now };
        self.stop_faults();
        true
    }

    /// A replica was shown a stranger's bytes instead of a record: histories may part from here on,
    /// and what clients are told may rest on either.
    pub(super) fn keep_none_yet(&mut self) {
        self.kernel.listen_only_to(kept::NAME);
        self.expect_to_keep();
    }

    /// Replicas may come to stand from here on.
    pub(super) fn expect_to_keep(&mut self) {
        if self.kept.is_empty() {
            self.kept = vec![vec![None; self.plan.partitions]; self.nodes.len()];
        }
    }

    /// A replica has come to stand: it deletes nothing from now on.
    pub(super) fn keep_from_now(&mut self, here: Address) {
        let Address { node, partition, .. } = here;
        self.nodes[node].disk[partition].flush(0);
        let kept = Kept::of(self.nodes[node].disk[partition].image());
        if let Some(place) = self.kept.get_mut(node) {
            place[partition].get_or_insert(kept);
        }
    }

    /// Is everything kept still?
    pub(super) fn inspect_kept(&mut self, since: crate::kernel::time::Moment) {
        if matches!(self.plan.scenario, Scenario::KafkaUnclean | Scenario::KafkaRecreated) {
            return self.inspect_lost(since);
        }
        let watched_us = self.kernel.now.since(since);
        let is_upgrade = self.plan.scenario == Scenario::Upgrade;
        if is_upgrade {
            self.lead_newer();
        }
        for node in 0..self.nodes.len() {
            for partition in 0..self.plan.partitions {
                let who = format!("n{}.p{partition}", node + 1);
                let image = self.nodes[node].disk[partition].image();
                let Some(held) = self.kept[node][partition] else { continue };
                let result = match is_upgrade {
                    true => held.check_no_less(&who, image),
                    false => held.check_same(&who, image),
                };
                self.check(result);
                let all = matches!(self.plan.scenario, Scenario::Truncated | Scenario::Upgrade);
                if watched_us > STANDS_US_MAX && all {
                    self.check_stands(node, partition, &who, is_upgrade);
                }
            }
        }
        if watched_us > WATCHED_US {
            self.begin_to_resolve();
        }
    }

    /// The log starts again without its last records, which every replica holds.
    fn lose_tails(&mut self) {
        self.log.forget_transit();
        for node in 0..self.nodes.len() {
            self.crash(node);
        }
        for partition in 0..self.plan.partitions {
            let (first, end) = (self.log.first(partition), self.log.end(partition));
            let stores = self.nodes.iter().map(|node| node.disk[partition].image().reached.offset);
            let held = stores.min().unwrap_or_default().min(end);
            if held > first {
                let lost = self.kernel.random.between(1, (held.0 - first.0).min(30));
                self.log.truncate(partition, LogOffset(held.0 - lost));
                self.coverage.fault(Fault::LogTruncated);
            }
        }
    }

    /// Every leader that has nothing under way is a newer build, and writes what only such can
    /// read.
    fn lead_newer(&mut self) {
        if self.log.is_busy() {
            return;
        }
        for partition in 0..self.plan.partitions {
            for node in 0..self.nodes.len() {
                let Some(record) = self.newer_record(node, partition) else { continue };
                self.coverage.fault(Fault::NewerLeader);
                let end = self.log.end(partition);
                self.partitions[partition].newer_at.get_or_insert(end);
                let _unheard = self.land(partition, vec![record], None);
            }
        }
    }

    fn newer_record(&self, node: usize, partition: usize) -> Option<Bytes> {
        let hosted = self.nodes[node].hosted(partition).filter(|hosted| hosted.leads())?;
        let idle = hosted.producer.sent.is_empty() && hosted.actions.is_empty();
        let fold = hosted.driver.fold().filter(|_| idle && hosted.inbox.is_empty())?;
        // What has landed since may have taken the place.
        let is_newest = fold.last == self.partitions[partition].truth.last;
        let header = Header {
            scn: Scn::new(fold.last.generation, fold.last.sequence.next()),
            node: self.nodes[node].id,
            incarnation: hosted.driver.incarnation(),
            time: fold.time,
        };
        let uuid = fold.genesis.identity.partition;
        is_newest.then(|| newer_record(uuid, header, fold.chain))
    }

    fn check_stands(&mut self, node: usize, partition: usize, who: &str, is_upgrade: bool) {
        let Some(hosted) = self.nodes[node].hosted(partition) else { return };
        let (role, stands) = (hosted.driver.role(), hosted.driver.stands_still());
        let barred = match is_upgrade {
            true => self.partitions[partition].newer_at,
            false => Some(LogOffset::ZERO),
        };
        let next = hosted.next_offset();
        // A follower that has come to nothing new is right to follow.
        let goes_on = next.is_some_and(|next| barred.is_some_and(|barred| next > barred));
        let leads = hosted.leads() && barred.is_some();
        if goes_on || leads {
            let what = if is_upgrade { "what it cannot read" } else { "the end of its log" };
            let details = format!("{who} is {} beyond {what}", role.name());
            return self.check(Err(Violation::new(kept::NAME, details)));
        }
        if stands {
            return self.coverage.reach(CoveragePoint::StoodStill);
        }
        if !is_upgrade {
            self.check(kept::check_role(who, role));
            self.coverage.reach(CoveragePoint::Robbed);
        }
        // Else it was being built anew when every replica it could copy from came to stand.
    }

    /// Nothing more is asked of a world of this kind than that.
    pub(super) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }
}

/// A record as a newer build would write it behind `previous`: of a version unknown here.
/// Source: docs/formats/record.md.
fn newer_record(partition: PartitionUuid, header: Header, previous: ChainHash) -> Bytes {
    const CRC_AT: usize = 12;
    const VERSION_AT: usize = 16;
    const CHAIN_AT: usize = 52;
    const BODY_AT: usize = 68;
    let record = Record { header, body: Body::Barrier(Barrier::default()) };
    let mut bytes = encode(partition, &record, previous).0.to_vec();
    bytes[VERSION_AT] += 1;
    let mut hash = Xxh3::new();
    for part in [
        &bytes[..CRC_AT],
        &bytes[VERSION_AT..CHAIN_AT],
        &previous.0.to_le_bytes(),
        &bytes[BODY_AT..],
    ] {
        hash.update(part);
    }
    bytes[CHAIN_AT..BODY_AT].copy_from_slice(&hash.digest128().to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..CRC_AT]), &bytes[VERSION_AT..]);
    bytes[CRC_AT..VERSION_AT].copy_from_slice(&crc.to_le_bytes());
    bytes.into()
}
