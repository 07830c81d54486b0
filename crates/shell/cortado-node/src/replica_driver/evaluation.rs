//! Writes, evaluated against everything that the leader has promised so far.
//!
//! Start reading at [`ReplicaDriver::on_write`].

use super::effects::halt_of;
use super::requests::{Settled, WriteReply};
use super::{Halt, ReplicaDriver};
use crate::catalog::Database;
use crate::gateway::{IdempotencyKey, WriteError};
use crate::inbox::{WriteCommand, WriteEnd};
use crate::remembered_answer::code_of;
use cortado_document::{Change, Current, Done, Operation};
use cortado_log::RECORD_BYTES_MAX;
use cortado_replica::{
    Draft, DraftChange, DraftValue, Idempotency, Input, NotDone, ReadNeed, RequestKey, Role, Write,
};
use cortado_store::StoreError;

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
        let WriteCommand { database, operations, idempotency, ticket, reply, key_guard } = command;
        if !ticket.begin() {
            // Withdrawn: the client has been told that nothing was begun.
            return Ok(());
        }
        let reply = WriteReply { reply, key_guard };
        if let Some(why) = self.why_not_leading() {
            reply.answer(Err(WriteEnd::NotDone(why)));
            return Ok(());
        }
        if self.to_apply.is_some() || !self.effects.is_empty() {
            // What was committed is in flight no longer and must be in the store instead.
            if let Err(halt) = self.settle() {
                reply.answer(Err(WriteEnd::NotDone(NotDone::Offline)));
                return Err(halt);
            }
        }
        let idempotency = idempotency.map(|IdempotencyKey { key, fingerprint }| {
            // All operations of a request write the same resource.
            let resource = operations.first().map_or("", |operation| operation.key.resource());
            let resource = resource.to_owned().into();
            (RequestKey { resource, key, index: 0 }, fingerprint)
        });
        let evaluation = self.evaluate(database.as_deref(), operations, idempotency.as_ref());
        match evaluation {
            Ok(Evaluation::Publish { changes, results }) => {
                let idempotency = idempotency.map(|(key, fingerprint)| Idempotency {
                    key,
                    fingerprint,
                    statuses: results.iter().copied().map(code_of).collect(),
                    retention_ms: None,
                });
                let draft = Draft { changes, idempotency: idempotency.into_iter().collect() };
                let request = self.requests.write(reply, results);
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
                reply.answer(Err(WriteEnd::NotDone(NotDone::Offline)));
                return Err(halt_of(error));
            }
        }
        self.absorb()
    }

    fn why_not_leading(&self) -> Option<NotDone> {
        match self.core.role() {
            Role::Leader if self.stopping => Some(NotDone::Changing),
            Role::Leader if self.requests.is_full() => Some(NotDone::Overloaded),
            // It would be committed, and could not be applied.
            Role::Leader if self.context.waits_for_room() => Some(NotDone::LogRefused),
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
        idempotency: Option<&(RequestKey, u128)>,
    ) -> Result<Evaluation, StoreError> {
        if let Some((key, fingerprint)) = idempotency
            && (self.core.in_flight_key(key).is_some() || self.remembered(&key.key)?.is_some())
        {
            let (key, fingerprint) = (key.key.clone(), *fingerprint);
            return Ok(Evaluation::Settle(Settled::Remembered { key, fingerprint }));
        }
        let mut changes = Vec::with_capacity(operations.len());
        let mut results = Vec::with_capacity(operations.len());
        // Room for the header, the idempotency key and a status for each operation.
        let mut bytes = 512 + 2 * operations.len();
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
        if bytes > RECORD_BYTES_MAX {
            let too_large = WriteError::TooLarge { bytes, bytes_max: RECORD_BYTES_MAX };
            return Ok(Evaluation::Settle(Settled::Refused(too_large)));
        }
        if changes.is_empty() {
            return Ok(Evaluation::Settle(Settled::Unchanged(results)));
        }
        Ok(Evaluation::Publish { changes, results })
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
        let current =
            stored.as_ref().map(|stored| Current { etag: stored.etag, value: &stored.value });
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
