//! Writes whose operations stand each for itself: one record for all that change something.
//!
//! Each operation comes to what it would have come to alone, one after the other. Start reading at
//! [`Life::evaluate_each`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

use crate::action::Reply;
use crate::evaluation::{HEAD_BYTES, bytes_of, remember, reply};
use crate::finds::PendingWrite;
use crate::halt::Halt;
use crate::life::{Life, Room};
use crate::promise::{Ending, Promise};
use crate::requests::{Settled, Waiting};
use crate::turn::Turn;
use crate::write::{Caller, Refused, grows};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use cortado_document::{Operation, ValidationBudget};
use cortado_model::{PartitionId, StoreError};
use cortado_replica::{Draft, NotDone};

/// One record gets no more once it has this many bytes: others wait for it in the same log. A patch
/// may leave much more behind than it has itself, so that who sends it cannot tell.
const RECORD_BYTES: usize = 1 << 20;

/// What the operations come to so far.
#[derive(Default)]
struct Endings {
    draft: Draft,
    /// About how many the draft's record has, beside its header.
    bytes: usize,
    endings: Vec<Ending>,
}

impl<C: Caller> Life<C> {
    /// Evaluates a write whose operations stand each for itself, and publishes what they change.
    pub(crate) fn evaluate_each(
        &mut self,
        pending: Box<PendingWrite<C>>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let log_end = pending.log_end;
        if pending.order.keyed.iter().any(|keyed| self.requests.has_write(&keyed.name)) {
            // Nothing is begun before it is known what became of the one that is on its way.
            return self.go_on_settled(Waiting::Anew(pending), log_end, turn);
        }
        if !pending.caller.begin() {
            // Withdrawn: the client has been told that nothing was begun.
            return Ok(());
        }
        let Endings { draft, endings, .. } = match self.endings(&pending, turn) {
            Ok(endings) => endings,
            Err(error) => {
                reply(pending.caller, Reply::NotDone(NotDone::Offline), turn);
                return Err(Halt::from(error));
            }
        };
        let (caller, promise) = (pending.caller, Promise::Each(endings));
        if draft.changes.is_empty() && draft.idempotency.is_empty() {
            let outcome = Settled::Unchanged(promise);
            return self.go_on_settled(Waiting::Settle { caller, outcome }, log_end, turn);
        }
        self.publish(caller, draft, promise, turn)
    }

    /// What the operations come to, from the first one on, for as many as one record takes.
    fn endings(
        &self,
        pending: &PendingWrite<C>,
        turn: &Turn<'_, C>,
    ) -> Result<Endings, StoreError> {
        let bytes_max = turn.settings.log.record_bytes_max;
        let mut so_far = Endings::default();
        let mut changed = BTreeSet::new();
        // For all of them together, since the partition waits.
        let mut budget = ValidationBudget::full();
        let is_full = self.room == Room::Nowhere && turn.me.partition != PartitionId::CLUSTER;
        for (at, operation) in pending.order.operations.iter().enumerate() {
            let Operation { table, key, .. } = operation;
            if changed.contains(&(*table, key)) {
                // The state that it would find has no etag yet.
                break;
            }
            if let Some(ended) = self.recognise(pending, at, turn)? {
                so_far.endings.push(Ending::Settled(ended));
                continue;
            }
            if is_full && grows(operation) {
                // It would be committed, and could not be applied.
                so_far.endings.push(Ending::Settled(Err(Refused::NoRoom)));
                continue;
            }
            let (done, change) = match self.evaluate_at(pending, at, &mut budget) {
                Some(Ok(evaluated)) => evaluated,
                Some(Err(refused)) => {
                    so_far.endings.push(Ending::Settled(Err(refused)));
                    continue;
                }
                // Others wait for it no longer than for those before it.
                None => break,
            };
            let keyed = pending.order.keyed.get(at);
            let name_bytes = keyed.map_or(0, |keyed| 80 + keyed.name.as_bytes().len());
            let own_bytes = change.as_ref().map_or(0, bytes_of) + name_bytes;
            let (is_first, bytes) = (so_far.bytes == 0, HEAD_BYTES + so_far.bytes + own_bytes);
            if !is_first && bytes > RECORD_BYTES.min(bytes_max) {
                break;
            }
            if bytes > bytes_max {
                let too_large = Refused::TooLarge { bytes, bytes_max };
                so_far.endings.push(Ending::Settled(Err(too_large)));
                continue;
            }
            if change.is_some() {
                changed.insert((*table, key));
            }
            so_far.bytes += own_bytes;
            so_far.draft.changes.extend(change);
            so_far.draft.idempotency.extend(keyed.map(|keyed| remember(keyed, &[done])));
            so_far.endings.push(Ending::Done(done));
        }
        Ok(so_far)
    }
}
