//! What planted bugs do beyond leaving something out. See [`crate::mutant`].
//!
//! Never runs without a mutant. Start reading at [`World::answer_early`].

use super::{Address, World};
use crate::history::Reply;
use crate::mutant::Mutant;
use bytes::Bytes;
use cortado_model::LogOffset;
use cortado_replica::{AppendToken, Body, Committed, Effect, Frame, RequestId, decode};

impl World {
    /// For planted bugs: finds the append that the write has just become.
    pub(super) fn answer_early(&mut self, node: usize, partition: usize, request: RequestId) {
        let at_once = self.is(Mutant::AnswersWhenSent);
        if !at_once && !self.is(Mutant::AnswersWhenAppended) {
            return;
        }
        let Some(driver) = self.nodes[node].driver_mut(partition) else { return };
        let sent = driver.effects.iter().rev().find_map(|effect| match effect {
            Effect::Append { token, records } => Some((*token, records.last()?.clone())),
            Effect::Recover
            | Effect::Apply(_)
            | Effect::Answer { .. }
            | Effect::Digest { .. }
            | Effect::TrimBookmarks(_)
            | Effect::TrimLog(_)
            | Effect::Event(_) => None,
        });
        let Some((token, bytes)) = sent else { return };
        let scn = Frame::read_any(&bytes).expect("the core encodes records").header.scn;
        driver.appended.entry(token).or_default().push((request, scn));
        if at_once {
            let incarnation = driver.incarnation;
            self.answer_appended(Address { node, partition, incarnation }, token);
        }
    }

    /// For a planted bug: answers the writes of an append that the log has taken.
    pub(super) fn answer_appended(&mut self, to: Address, token: AppendToken) {
        let Some(driver) = self.driver_at(to) else { return };
        for (request, scn) in driver.appended.remove(&token).unwrap_or_default() {
            let waiting = self.driver_at(to).and_then(|driver| driver.take_waiting(request));
            if let Some((client, attempt)) = waiting.and_then(|waiting| waiting.client) {
                self.reply(to.partition, client, attempt, Reply::Committed { scn });
            }
        }
    }

    /// Applies what fenced leaders have written, from entries that are about to be folded.
    pub(super) fn apply_zombies(
        &mut self,
        node: usize,
        partition: usize,
        entries: &[(LogOffset, Bytes)],
    ) {
        let Some(driver) = self.nodes[node].driver(partition) else { return };
        let fold = driver.replica.fold();
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
