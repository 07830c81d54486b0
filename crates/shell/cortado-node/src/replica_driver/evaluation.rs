//! Writes, evaluated against everything that the leader has promised so far.
//!
//! Start reading at [`ReplicaDriver::on_write`].

use super::effects::halt_of;
use super::requests::Settled;
use super::{Halt, ReplicaDriver};
use crate::catalog::Database;
use crate::gateway::{NotDoneWhy, WriteError};
use crate::idempotency::{BUDGET_BYTES, KeyedWrite, over_budget, remembered_in};
use crate::inbox::{WriteCommand, WriteEnd};
use crate::remembered_answer::code_of;
use crate::replica_handle::ReplicaHandle;
use cortado_document::{Change, Current, Done, Operation};
use cortado_model::StoredDocument;
use cortado_replica::{
    Draft, DraftChange, DraftValue, Idempotency, Input, NotDone, ReadNeed, Role, Write,
};
use cortado_store::StoreError;
use std::sync::Arc;

/// What a write comes to when it is evaluated.
enum Evaluation {
    /// These changes, if they commit.
    Publish { changes: Vec<DraftChange>, results: Vec<Done> },
    /// Nothing to publish: the answer rests on what is in flight.
    Settle(Settled),
}

impl ReplicaDriver<'_> {
    /// Duty 4: evaluates and feeds a write with nothing fed in between.
    pub(super) fn on_write(&mut self, command: WriteCommand) -> Result<(), Halt> {
        let WriteCommand { database, operations, keyed, ticket, reply } = command;
        if !ticket.begin() {
            // Withdrawn: the client has been told that nothing was begun.
            return Ok(());
        }
        self.give_way_if_full()?;
        if let Some(why) = self.why_not_leading() {
            let _ = reply.send(Err(WriteEnd::NotDone(why)));
            return Ok(());
        }
        if self.to_apply.is_some() || !self.effects.is_empty() {
            // What was committed is in flight no longer and must be in the store instead.
            if let Err(halt) = self.settle() {
                let _ = reply.send(Err(WriteEnd::NotDone(NotDone::Offline)));
                return Err(halt);
            }
        }
        let evaluation = self.evaluate(database.as_deref(), operations, keyed.as_ref());
        match evaluation {
            Ok(Evaluation::Publish { changes, results }) => {
                let idempotency = keyed.as_ref().map(|keyed| Idempotency {
                    name: keyed.name.clone(),
                    fingerprint: keyed.fingerprint,
                    ttl_ms: Some(keyed.ttl_ms),
                    statuses: results.iter().copied().map(code_of).collect(),
                });
                let draft = Draft { changes, idempotency: idempotency.into_iter().collect() };
                let request = self.requests.write(reply, results, keyed.map(|keyed| keyed.name));
                self.step(Input::Write(Write { request, draft }));
            }
            Ok(Evaluation::Settle(outcome)) => {
                let request = self.requests.settle(reply, outcome);
                let need = match self.context.log.local_end(self.handle.partition) {
                    Some(end) => ReadNeed::Folded(end),
                    None => ReadNeed::Lease,
                };
                self.step(Input::Settle { request, need });
            }
            Err(error) => {
                let _ = reply.send(Err(WriteEnd::NotDone(NotDone::Offline)));
                return Err(halt_of(error));
            }
        }
        self.absorb()
    }

    /// Steps down if a replica of this node has found the store full, and another node has room.
    /// Without one, it leads on: what it has can be read.
    fn give_way_if_full(&mut self) -> Result<(), Halt> {
        if self.core.role() != Role::Leader || !self.handle.waits_for_room() {
            return Ok(());
        }
        let replicas = self.context.routes.route(self.handle.partition).replicas();
        let fit =
            |other: &Arc<ReplicaHandle>| other.role().is_readable() && !other.waits_for_room();
        if !replicas.iter().any(fit) {
            return Ok(());
        }
        let request = self.requests.nobody();
        self.step(Input::HandOff { to: None, request });
        self.absorb()
    }

    fn why_not_leading(&self) -> Option<NotDone> {
        match self.core.role() {
            Role::Leader if self.stopping => Some(NotDone::Changing),
            Role::Leader if self.requests.is_full() => Some(NotDone::Overloaded),
            // It would be committed, and could not be applied.
            Role::Leader if self.handle.waits_for_room() => Some(NotDone::LogRefused),
            Role::Leader => None,
            Role::Opening | Role::SteppingDown => Some(NotDone::Changing),
            Role::Follower | Role::Candidate => Some(NotDone::NotLeader),
            Role::Offline => Some(NotDone::Offline),
        }
    }

    fn evaluate(
        &self,
        database: Option<&Database>,
        operations: Vec<Operation>,
        keyed: Option<&KeyedWrite>,
    ) -> Result<Evaluation, StoreError> {
        if let Some(keyed) = keyed
            && let Some(settled) = self.recognise(keyed)?
        {
            return Ok(Evaluation::Settle(settled));
        }
        let mut changes = Vec::with_capacity(operations.len());
        let mut results = Vec::with_capacity(operations.len());
        // Room for the header, the name under an idempotency key and a status for each operation.
        let mut bytes = 1_024 + 2 * operations.len();
        for (index, operation) in operations.into_iter().enumerate() {
            let evaluated = match self.evaluate_one(database, &operation)? {
                Ok(evaluated) => evaluated,
                Err(refusal) => {
                    let refused = WriteError::Refused { operation: index, refusal };
                    return Ok(Evaluation::Settle(Settled::Refused(refused)));
                }
            };
            results.push(evaluated.done);
            let Some(change) = evaluated.change else { continue };
            let draft = draft(database, operation, change);
            let value_bytes = draft.value.as_ref().map_or(0, |value| value.json.len());
            bytes += 80 + draft.key.as_bytes().len() + value_bytes;
            changes.push(draft);
        }
        let bytes_max = self.context.log.traits().record_bytes_max;
        if bytes > bytes_max {
            let too_large = WriteError::TooLarge { bytes, bytes_max };
            return Ok(Evaluation::Settle(Settled::Refused(too_large)));
        }
        // Under a key it is a record all the same: a repetition must find this answer, and not do
        // to what others have written since what could not be done now.
        if changes.is_empty() && keyed.is_none() {
            return Ok(Evaluation::Settle(Settled::Unchanged(results)));
        }
        Ok(Evaluation::Publish { changes, results })
    }

    /// What becomes of a write by its idempotency key alone; `None` if the key is new.
    fn recognise(&self, keyed: &KeyedWrite) -> Result<Option<Settled>, StoreError> {
        let KeyedWrite { name, fingerprint, .. } = keyed;
        let (name, fingerprint) = (name.clone(), *fingerprint);
        let view = self.context.store.view(self.handle.partition)?;
        let now = self.log_time();
        if self.requests.has_write(&name) || remembered_in(view.as_ref(), &name, now)?.is_some() {
            return Ok(Some(Settled::Remembered { name, fingerprint }));
        }
        let retry_after_ms = over_budget(view.as_ref(), BUDGET_BYTES, now)?;
        Ok(retry_after_ms.map(|retry_after_ms| {
            let why = NotDoneWhy::IdempotencyBudget;
            Settled::Refused(WriteError::NotDone { why, retry_after_ms })
        }))
    }

    /// One operation against the newest promised state of its document.
    fn evaluate_one(
        &self,
        database: Option<&Database>,
        operation: &Operation,
    ) -> Result<Result<cortado_document::Evaluated, cortado_document::Refusal>, StoreError> {
        let table = database.and_then(|database| database.table_by_id(operation.table));
        let schema = table.and_then(|table| table.schema.as_ref());
        if let Some(change) = self.core.in_flight(operation.table, &operation.key) {
            let document = change.document.as_ref().map(|d| (d.head.etag, d.json()));
            let current = document.as_ref().map(|(etag, value)| Current { etag: *etag, value });
            return Ok(operation.evaluate(current, schema));
        }
        let partition = self.handle.partition;
        let stored = self.context.store.get(partition, operation.table, &operation.key)?;
        let json = stored.as_ref().map(StoredDocument::json);
        let current = stored.as_ref().zip(json.as_ref());
        let current = current.map(|(stored, value)| Current { etag: stored.head.etag, value });
        Ok(operation.evaluate(current, schema))
    }
}

fn draft(database: Option<&Database>, operation: Operation, change: Change) -> DraftChange {
    let table = database.and_then(|database| database.table_by_id(operation.table));
    let value = match change {
        Change::Write(document) => Some(DraftValue {
            schema_version: table.map_or(0, |table| table.schema_version),
            expires: None,
            json: document.into_bytes(),
        }),
        Change::Remove => None,
    };
    let (table, key) = (operation.table, operation.key);
    DraftChange { table, key, value, before: None, index: Vec::new() }
}
