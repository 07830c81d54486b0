//! Writes, evaluated against everything that the leader has promised so far, and their answers.
//!
//! Start reading at [`Life::on_write`].

use crate::action::{Action, Reply};
use crate::event::JobId;
use crate::finds::{Finding, PendingWrite, Shown};
use crate::halt::Halt;
use crate::idempotency::{BUDGET_BYTES, FirstAnswer, KeyedWrite, live, over_budget};
use crate::life::{Life, Room};
use crate::remembered_answer::code_of;
use crate::requests::{Settled, Waiting};
use crate::turn::Turn;
use crate::write::{Caller, Refused, TableRules, UnknownWhy, WriteOrder, Written};
use alloc::boxed::Box;
use alloc::vec::Vec;
use cortado_document::{
    Change, Current, Done, Evaluated, Foreseen, Operation, Refusal, Schema, ValidationBudget,
};
use cortado_model::{
    Findings, LogOffset, PartitionId, RememberedKey, StoreError, StoredDocument, WallMillis,
};
use cortado_replica::{
    DecidedWrite, Draft, DraftChange, DraftValue, Idempotency, Input, NotDone, ReadNeed,
    RequestEnd, Role,
};

/// What a write comes to when it is evaluated.
enum Evaluation {
    /// These changes, if they commit.
    Publish { changes: Vec<DraftChange>, results: Vec<Done> },
    /// Nothing to publish: the answer rests on what is in flight.
    Settle(Settled),
    /// It would take too long: documents have changed since they were looked at. To be tried again.
    Changed,
}

impl<C: Caller> Life<C> {
    pub(crate) fn on_write(
        &mut self,
        caller: C,
        order: WriteOrder,
        log_end: Option<LogOffset>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        if self.core.role() == Role::Leader && self.room != Room::Here {
            self.look_around(turn);
        }
        let generation = self.core.fold().generation();
        let pending = PendingWrite::new(caller, order, log_end, generation);
        self.go_on(Box::new(pending), turn)
    }

    /// The store has shown what a write or an answer rests on.
    pub(crate) fn on_found(
        &mut self,
        job: JobId,
        found: Result<Findings, StoreError>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let Some(finding) = self.finds.take(job) else { return Ok(()) };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                reply(finding.into_caller(), Reply::NotDone(NotDone::Offline), turn);
                return Err(Halt::from(error));
            }
        };
        let done = match finding {
            Finding::Write(mut pending) => {
                pending.take(found);
                self.go_on(pending, turn)
            }
            Finding::Recall { caller, name, fingerprint } => {
                let recalled = self.first_answer(&name, found.remembered.as_ref(), turn)?;
                let answer = match recalled {
                    Some(first) => repeat(&first, fingerprint),
                    // What was in flight is gone: evaluate it again.
                    None => Reply::NotDone(NotDone::Changing),
                };
                reply(caller, answer, turn);
                Ok(())
            }
        };
        // Only now: the write that has come back may have missed what was applied meanwhile.
        self.forget_recent();
        done
    }

    /// Duty 4: looks up what is not known yet, then evaluates and feeds a write with nothing fed in
    /// between.
    fn go_on(
        &mut self,
        mut pending: Box<PendingWrite<C>>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let same = pending.generation == self.core.fold().generation();
        // What the store has shown may lack what another leader has written.
        let why =
            self.why_not_leading(&pending.order, turn).or((!same).then_some(NotDone::Changing));
        if let Some(why) = why {
            reply(pending.caller, Reply::NotDone(why), turn);
            return Ok(());
        }
        if self.knows(&pending) {
            return self.evaluate_now(pending, turn);
        }
        // All of it anew: what one look has shown may not go with what another shows.
        let operations = pending.order.operations.iter().enumerate();
        let unknown = operations.filter(|(_, operation)| !self.has_newest(operation));
        let (asked, keys) = unknown
            .map(|(index, operation)| (index, (operation.table, operation.key.clone())))
            .unzip();
        let name = pending.order.keyed.as_ref().map(|keyed| keyed.name.clone());
        pending.ask(asked);
        let job = turn.job();
        self.finds.insert(job, Finding::Write(pending));
        turn.act(Action::Find { job, keys, name });
        Ok(())
    }

    /// Whether everything is known that a write rests on.
    fn knows(&self, pending: &PendingWrite<C>) -> bool {
        let mut operations = pending.order.operations.iter().zip(&pending.shown);
        let documents = operations.all(|(operation, shown)| {
            matches!(shown, Shown::Known(_)) || self.has_newest(operation)
        });
        documents && (pending.order.keyed.is_none() || pending.remembered.is_some())
    }

    fn evaluate_now(
        &mut self,
        pending: Box<PendingWrite<C>>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        if !pending.caller.begin() {
            // Withdrawn: the client has been told that nothing was begun.
            return Ok(());
        }
        let evaluation = match self.evaluate(&pending, turn) {
            Ok(evaluation) => evaluation,
            Err(error) => {
                reply(pending.caller, Reply::NotDone(NotDone::Offline), turn);
                return Err(Halt::from(error));
            }
        };
        let PendingWrite { caller, order: WriteOrder { keyed, .. }, log_end, .. } = *pending;
        match evaluation {
            Evaluation::Publish { changes, results } => {
                let idempotency = keyed.as_ref().map(|keyed| Idempotency {
                    name: keyed.name.clone(),
                    fingerprint: keyed.fingerprint,
                    ttl_ms: Some(keyed.ttl_ms),
                    statuses: results.iter().copied().map(code_of).collect(),
                });
                let draft = Draft { changes, idempotency: idempotency.into_iter().collect() };
                let name = keyed.map(|keyed| keyed.name);
                let request = self.requests.insert(Waiting::Write { caller, results, name });
                self.step(Input::Write(DecidedWrite { request, draft }), turn)
            }
            Evaluation::Changed => {
                reply(caller, Reply::NotDone(NotDone::Changing), turn);
                Ok(())
            }
            Evaluation::Settle(outcome) => {
                let request = self.requests.insert(Waiting::Settle { caller, outcome });
                let need = log_end.map_or(turn.settings.proof, ReadNeed::Folded);
                self.step(Input::Settle { request, need }, turn)
            }
        }
    }

    fn why_not_leading(&self, order: &WriteOrder, turn: &Turn<'_, C>) -> Option<NotDone> {
        let kept_bytes_max = turn.settings.replica.in_flight_bytes_max;
        match self.core.role() {
            Role::Leader if self.stopping || !self.applying.knows_all() => Some(NotDone::Changing),
            Role::Leader if self.is_full() => Some(NotDone::Overloaded),
            // The store is behind, or a look into it does not come back.
            Role::Leader if self.applying.recent().bytes() >= kept_bytes_max => {
                Some(NotDone::Overloaded)
            }
            // What frees room, and what the cluster itself needs, is done on a full disk, too.
            Role::Leader if order.only_removes() || turn.me.partition == PartitionId::CLUSTER => {
                None
            }
            // It would be committed, and could not be applied.
            Role::Leader if self.room == Room::Nowhere => Some(NotDone::LogRefused),
            Role::Leader if self.room == Room::Sought => Some(NotDone::Changing),
            Role::Leader => None,
            Role::Opening | Role::SteppingDown => Some(NotDone::Changing),
            Role::Follower | Role::Candidate => Some(NotDone::NotLeader),
            Role::Offline | Role::Diverged | Role::Disputed => Some(NotDone::Offline),
        }
    }

    fn evaluate(
        &self,
        pending: &PendingWrite<C>,
        turn: &Turn<'_, C>,
    ) -> Result<Evaluation, StoreError> {
        let WriteOrder { tables, operations, foreseen, keyed } = &pending.order;
        let tables = tables.as_deref();
        if let Some(keyed) = keyed
            && let Some(settled) = self.recognise(keyed, pending.remembered.as_ref(), turn)?
        {
            return Ok(Evaluation::Settle(settled));
        }
        let mut changes = Vec::with_capacity(operations.len());
        let mut results = Vec::with_capacity(operations.len());
        // Room for the header, the name under an idempotency key and a status for each operation.
        let mut bytes = 1_024 + 2 * operations.len();
        // For all of them together, since the partition waits.
        let mut budget = ValidationBudget::full();
        for (index, operation) in operations.iter().enumerate() {
            let rules = tables.and_then(|tables| tables.rules(operation.table));
            let foreseen = foreseen.get(index).and_then(Option::as_ref);
            let found = self.newest(operation, &pending.shown[index]);
            let schema = rules.and_then(|rules| rules.schema);
            let before = budget;
            let evaluated = match evaluate_one(operation, found, schema, foreseen, &mut budget) {
                Ok(evaluated) => evaluated,
                // Not by itself, and not as it was foreseen, but together with those before it.
                Err(Refusal::SchemaTooExpensive) if budget != before && !before.is_full() => {
                    return Ok(Evaluation::Changed);
                }
                Err(refusal) => {
                    let refused = Refused::Operation { operation: index, refusal };
                    return Ok(Evaluation::Settle(Settled::Refused(refused)));
                }
            };
            results.push(evaluated.done);
            let Some(change) = evaluated.change else { continue };
            let draft = draft(rules, operation, change);
            let value_bytes = draft.value.as_ref().map_or(0, |value| value.json.len());
            bytes += 80 + draft.key.as_bytes().len() + value_bytes;
            changes.push(draft);
        }
        let bytes_max = turn.settings.record_bytes_max;
        if bytes > bytes_max {
            let too_large = Refused::TooLarge { bytes, bytes_max };
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
    fn recognise(
        &self,
        keyed: &KeyedWrite,
        found: Option<&Findings>,
        turn: &Turn<'_, C>,
    ) -> Result<Option<Settled>, StoreError> {
        let KeyedWrite { name, fingerprint, .. } = keyed;
        let fingerprint = *fingerprint;
        if self.requests.has_write(name) {
            return Ok(Some(Settled::Again { name: name.clone(), fingerprint }));
        }
        let remembered = found.and_then(|found| found.remembered.as_ref());
        if let Some(first) = self.first_answer(name, remembered, turn)? {
            return Ok(Some(Settled::Repeated { first, fingerprint }));
        }
        let now = self.log_time(turn);
        let retry_after_ms = found.and_then(|found| over_budget(found, BUDGET_BYTES, now));
        Ok(retry_after_ms
            .map(|retry_after_ms| Settled::Refused(Refused::Budget { retry_after_ms })))
    }

    /// The live answer under a name: the one that is on its way into the store, or what that holds.
    fn first_answer(
        &self,
        name: &RememberedKey,
        stored: Option<&cortado_model::Remembered>,
        turn: &Turn<'_, C>,
    ) -> Result<Option<FirstAnswer>, StoreError> {
        live(self.applying.recent().remembered(name).or(stored), self.log_time(turn))
    }

    /// The log time that a record would get now. The age of an answer is counted by it when the
    /// answer is looked up as when it was written: by the wall clock alone, a leader whose clock is
    /// ahead would forget what its peers still remember.
    fn log_time(&self, turn: &Turn<'_, C>) -> WallMillis {
        self.core.log_time(turn.now)
    }

    /// Whether the newest state of a document need not be looked up.
    fn has_newest(&self, operation: &Operation) -> bool {
        let Operation { table, key, .. } = operation;
        self.core.in_flight(*table, key).is_some()
            || self.applying.recent().document(*table, key).is_some()
    }

    /// The newest promised state of an operation's document.
    fn newest<'a>(&'a self, operation: &Operation, shown: &'a Shown) -> Option<&'a StoredDocument> {
        let Operation { table, key, .. } = operation;
        match self.core.in_flight(*table, key) {
            Some(change) => change.document.as_ref(),
            None => match (self.applying.recent().document(*table, key), shown) {
                (Some(document), _) => document,
                (None, Shown::Known(document)) => document.as_ref(),
                (None, Shown::Unknown) => None,
            },
        }
    }
}

/// One operation against the document that it finds.
fn evaluate_one(
    operation: &Operation,
    found: Option<&StoredDocument>,
    schema: Option<&Schema>,
    foreseen: Option<&Foreseen>,
    budget: &mut ValidationBudget,
) -> Result<Evaluated, Refusal> {
    let json = found.map(StoredDocument::json);
    let current = found.zip(json.as_ref());
    let current = current.map(|(stored, value)| Current { etag: stored.head.etag, value });
    operation.evaluate(current, schema, foreseen, budget)
}

/// Answers, as the batches before them are in the store.
impl<C> Life<C> {
    /// Tells every caller whose answer is due.
    pub(crate) fn answer_due(&mut self, turn: &mut Turn<'_, C>) {
        while let Some((waiting, answer)) = self.take_due() {
            self.answer(waiting, answer, turn);
        }
    }

    fn answer(&mut self, waiting: Waiting<C>, answer: RequestEnd, turn: &mut Turn<'_, C>) {
        let (caller, answer) = match waiting {
            Waiting::Write { caller, results, .. } => (
                caller,
                match answer {
                    RequestEnd::Committed { scn, time, etag } => {
                        Reply::Written(Box::new(Written {
                            scn,
                            time,
                            etag,
                            results,
                            repeated: false,
                        }))
                    }
                    RequestEnd::NotDone(why) => Reply::NotDone(why),
                    // `Ready` never answers a write; if it did, the outcome would be unknown.
                    RequestEnd::Unknown | RequestEnd::Ready => {
                        Reply::Unknown(UnknownWhy::LogFailed)
                    }
                },
            ),
            Waiting::Settle { caller, outcome } => match answer {
                RequestEnd::Ready => match self.settled(outcome) {
                    Ok(answer) => (caller, answer),
                    Err((name, fingerprint)) => {
                        return self.recall(caller, name, fingerprint, turn);
                    }
                },
                RequestEnd::NotDone(why) => (caller, Reply::NotDone(why)),
                // Nothing was published for it, so nothing can have happened.
                RequestEnd::Unknown | RequestEnd::Committed { .. } => {
                    (caller, Reply::NotDone(NotDone::Offline))
                }
            },
            Waiting::Read(caller) | Waiting::HandOff(caller) => (
                caller,
                match answer {
                    RequestEnd::Ready | RequestEnd::Committed { .. } => Reply::Ready,
                    RequestEnd::NotDone(why) => Reply::NotDone(why),
                    RequestEnd::Unknown => Reply::NotDone(NotDone::Offline),
                },
            ),
        };
        reply(caller, answer, turn);
    }

    /// What a write without a transaction is answered; or what must be looked up before.
    fn settled(&self, outcome: Settled) -> Result<Reply, (RememberedKey, u128)> {
        let fold = self.core.fold();
        match outcome {
            Settled::Refused(refused) => Ok(Reply::Refused(refused)),
            Settled::Unchanged(results) => Ok(Reply::Written(Box::new(Written {
                scn: fold.last,
                time: fold.time,
                etag: cortado_replica::etag_of(fold.genesis.identity.partition, fold.last),
                results,
                repeated: false,
            }))),
            Settled::Repeated { first, fingerprint } => Ok(repeat(&first, fingerprint)),
            Settled::Again { name, fingerprint } => Err((name, fingerprint)),
        }
    }

    /// Looks for the first answer to a write that came again while the first was on its way.
    fn recall(
        &mut self,
        caller: C,
        name: RememberedKey,
        fingerprint: u128,
        turn: &mut Turn<'_, C>,
    ) {
        let job = turn.job();
        turn.act(Action::Find { job, keys: Vec::new(), name: Some(name.clone()) });
        self.finds.insert(job, Finding::Recall { caller, name, fingerprint });
    }
}

fn reply<C>(caller: C, reply: Reply, turn: &mut Turn<'_, C>) {
    turn.act(Action::Reply { caller, reply });
}

/// The first answer to a write that came again.
fn repeat(first: &FirstAnswer, fingerprint: u128) -> Reply {
    let FirstAnswer { time, answer } = first;
    match answer.results() {
        Some(results) if answer.fingerprint == fingerprint => Reply::Written(Box::new(Written {
            scn: answer.scn,
            time: *time,
            etag: answer.etag,
            results,
            repeated: true,
        })),
        Some(_) | None => Reply::Refused(Refused::KeyReused),
    }
}

fn draft(rules: Option<TableRules<'_>>, operation: &Operation, change: Change) -> DraftChange {
    let value = match change {
        Change::Write(document) => Some(DraftValue {
            schema_version: rules.map_or(0, |rules| rules.schema_version),
            expires: None,
            json: document.into_bytes(),
        }),
        Change::Remove => None,
    };
    let (table, key) = (operation.table, operation.key.clone());
    DraftChange { table, key, value, before: None, index: Vec::new() }
}
