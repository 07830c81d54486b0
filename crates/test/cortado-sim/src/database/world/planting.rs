//! What planted bugs do beyond leaving something out. See [`crate::database::mutant`].
//!
//! Never runs without a mutant. Start reading at [`World::answer_appended`].

use super::{Address, World};
use crate::database::asker::Stage;
use crate::database::documents::AttemptId;
use crate::database::history::{Action, Reply, Write};
use bytes::Bytes;
use cortado_driver::RecordOutcome;
use cortado_model::LogOffset;
use cortado_replica::{Body, Claim, ClaimReason, Committed, Record, decode, encode};

impl World {
    /// Answers the writes in `records` before any replica has folded them.
    pub(super) fn answer_appended(&mut self, to: Address, records: &[Bytes]) {
        let uuid = self.genesis(to.partition).identity.partition;
        for bytes in records {
            let Ok(record) = decode(bytes, uuid) else { continue };
            let Body::Transaction(transaction) = &record.body else { continue };
            let Some(attempt) = AttemptId::of(transaction) else { continue };
            let Some(hosted) = self.hosted_at(to) else { return };
            let Some(unanswered) = hosted.unanswered.get_mut(&attempt) else { continue };
            if !std::mem::replace(&mut unanswered.is_told, true) {
                let (client, scn) = (unanswered.client, record.header.scn);
                self.reply(to.partition, client, attempt, Reply::Committed { scn });
            }
        }
    }

    /// Whether a write would be refused for what is in flight at the same leader.
    pub(super) fn seems_refused(&mut self, here: Address, write: &Write) -> bool {
        let Some((demanded, expected)) = write.condition else { return false };
        let Some(hosted) = self.hosted_at(here).filter(|hosted| hosted.leads()) else {
            return false;
        };
        let begun = hosted.unanswered.iter().rev();
        let begun = begun.filter(|(_, each)| each.stage.get() == Stage::Begun);
        let begun: Vec<AttemptId> = begun.map(|(attempt, _)| *attempt).collect();
        let newest = begun.into_iter().find_map(|attempt| {
            let Action::Write(other) = &self.history[self.operation_of(attempt)].action else {
                return None;
            };
            let change = other.changes.iter().find(|(key, _)| *key == demanded)?;
            Some(change.1)
        });
        newest.is_some_and(|value| value != expected)
    }

    /// What was appended is said to be by the leader that the replica has last read of.
    pub(super) fn forget_leaders(&mut self, to: Address, outcomes: &mut [RecordOutcome]) {
        let Some(hosted) = self.hosted_at(to) else { return };
        let Some(known) = hosted.driver.fold().map(|fold| fold.position.epoch) else { return };
        for outcome in outcomes {
            if let RecordOutcome::At(position) = outcome {
                position.epoch = known;
            }
        }
    }

    /// Claims that dispute a leader give another reason.
    pub(super) fn hide_disputes(&self, from: Address, records: Vec<Bytes>) -> Vec<Bytes> {
        let hosted = self.nodes[from.node].hosted(from.partition);
        let Some(fold) = hosted.and_then(|hosted| hosted.driver.fold()) else { return records };
        let uuid = fold.genesis.identity.partition;
        let hide = |bytes: Bytes| match decode(&bytes, uuid) {
            Ok(Record { header, body: Body::Claim(claim) })
                if claim.reason == ClaimReason::LeaderDisputed =>
            {
                let body = Body::Claim(Claim { reason: ClaimReason::Ordered, ..claim });
                encode(uuid, &Record { header, body }, fold.chain).0
            }
            Ok(_) | Err(_) => bytes,
        };
        records.into_iter().map(hide).collect()
    }

    /// Applies what fenced leaders have written, from entries that are about to be folded.
    pub(super) fn apply_zombies(&mut self, to: Address, entries: &[(LogOffset, Bytes)]) {
        let Address { node, partition, .. } = to;
        let Some(fold) = self.nodes[node].hosted(partition).and_then(|h| h.driver.fold()) else {
            return;
        };
        let (generation, next) = (fold.generation(), fold.position.offset);
        let uuid = fold.genesis.identity.partition;
        for (_, bytes) in entries.iter().filter(|(offset, _)| *offset >= next) {
            let Ok(record) = decode(bytes, uuid) else { continue };
            let header = record.header;
            if let Body::Transaction(transaction) = record.body
                && header.scn.generation < generation
            {
                let zombie = Committed { scn: header.scn, time: header.time, transaction };
                self.nodes[node].disk[partition].apply_unaccepted(&zombie);
            }
        }
    }
}
