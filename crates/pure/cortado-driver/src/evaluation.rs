//! Writes, evaluated against everything that the leader has promised so far, and their answers.
//!
//! Start reading at [`Life::on_write`].

use crate::action::{Action, Reply};
use crate::event::JobId;
use crate::finds::{Finding, PendingWrite, Shown};
use crate::halt::Halt;
use crate::idempotency::{BUDGET_BYTES, FirstAnswer, KeyedWrite, live, over_budget};
use crate::life::{Life, Room};
use crate::promise::Promise;
use crate::remembered_answer::code_of;
use crate::requests::{Settled, Waiting};
use crate::turn::Turn;
use crate::write::{Caller, Refused, TableRules, UnknownWhy, WriteMode, WriteOrder, Written};
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

/// Of a record's header, more or less.
pub(crate) const HEAD_BYTES: usize = 1_024;

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
                let stored = found.remembered.first().and_then(Option::as_ref);
                let answer = match self.first_answer(&name, stored, turn)? {
                    Some(first) => alone(repeat(&first, fingerprint)),
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
    fn go_on(&mut self, pending: Box<PendingWrite<C>>, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
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
        self.look_up(pending, turn);
        Ok(())
    }

    /// Whether everything is known that a write rests on.
    fn knows(&self, pending: &PendingWrite<C>) -> bool {
        let mut operations = pending.order.operations.iter().zip(&pending.shown);
        let documents = operations.all(|(operation, shown)| {
            matches!(shown, Shown::Known(_)) || self.has_newest(operation)
        });
        documents && (pending.order.keyed.is_empty() || pending.remembered.is_some())
    }

    fn evaluate_now(
        &mut self,
        pending: Box<PendingWrite<C>>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        if pending.order.mode == WriteMode::Each {
            return self.evaluate_each(pending, turn);
        }
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
                let idempotency = keyed.iter().map(|keyed| remember(keyed, &results)).collect();
                let draft = Draft { changes, idempotency };
                self.publish(caller, draft, Promise::Whole(results), turn)
            }
            Evaluation::Changed => {
                reply(caller, Reply::NotDone(NotDone::Changing), turn);
                Ok(())
            }
            Evaluation::Settle(outcome) => {
                let waiting = Waiting::Settle { caller, outcome };
                self.go_on_settled(waiting, log_end, turn)
            }
        }
    }

    /// Publishes a write; `promise` is answered if it commits.
    pub(crate) fn publish(
        &mut self,
        caller: C,
        draft: Draft,
        promise: Promise,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let names = draft.idempotency.iter().map(|entry| entry.name.clone()).collect();
        let request = self.requests.insert(Waiting::Write { caller, promise, names });
        self.step(Input::Write(DecidedWrite { request, draft }), turn)
    }

    /// Goes on with `waiting` when everything is committed that it rests on.
    pub(crate) fn go_on_settled(
        &mut self,
        waiting: Waiting<C>,
        log_end: Option<LogOffset>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let request = self.requests.insert(waiting);
        let need = log_end.map_or(turn.settings.proof, ReadNeed::Folded);
        self.step(Input::Settle { request, need }, turn)
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
            // Each operation is told for itself.
            Role::Leader if self.room == Room::Nowhere && order.mode == WriteMode::Each => None,
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
        let WriteOrder { operations, keyed, .. } = &pending.order;
        if let Some(KeyedWrite { name, fingerprint, .. }) = keyed.first()
            && self.requests.has_write(name)
        {
            let (name, fingerprint) = (name.clone(), *fingerprint);
            return Ok(Evaluation::Settle(Settled::Again { name, fingerprint }));
        }
        if let Some(ended) = self.recognise(pending, 0, turn)? {
            return Ok(Evaluation::Settle(Settled::Ended(ended)));
        }
        let mut changes = Vec::with_capacity(operations.len());
        let mut results = Vec::with_capacity(operations.len());
        // Room for the header, the name under an idempotency key and a status for each operation.
        let mut bytes = HEAD_BYTES + 2 * operations.len();
        // For all of them together, since the partition waits.
        let mut budget = ValidationBudget::full();
        for index in 0..operations.len() {
            let (done, change) = match self.evaluate_at(pending, index, &mut budget) {
                Some(Ok(evaluated)) => evaluated,
                Some(Err(refused)) => return Ok(Evaluation::Settle(Settled::Ended(Err(refused)))),
                None => return Ok(Evaluation::Changed),
            };
            results.push(done);
            bytes += change.as_ref().map_or(0, bytes_of);
            changes.extend(change);
        }
        let bytes_max = turn.settings.log.record_bytes_max;
        if bytes > bytes_max {
            let too_large = Refused::TooLarge { bytes, bytes_max };
            return Ok(Evaluation::Settle(Settled::Ended(Err(too_large))));
        }
        // Under a key it is a record all the same: a repetition must find this answer, and not do
        // to what others have written since what could not be done now.
        if changes.is_empty() && keyed.is_empty() {
            return Ok(Evaluation::Settle(Settled::Unchanged(Promise::Whole(results))));
        }
        Ok(Evaluation::Publish { changes, results })
    }

    /// What becomes of a write by its idempotency key alone; `None` if it has none, or a new one.
    ///
    /// * `at`: which of its keys counts.
    pub(crate) fn recognise(
        &self,
        pending: &PendingWrite<C>,
        at: usize,
        turn: &Turn<'_, C>,
    ) -> Result<Option<Result<Written, Refused>>, StoreError> {
        let Some(KeyedWrite { name, fingerprint, .. }) = pending.order.keyed.get(at) else {
            return Ok(None);
        };
        let found = pending.remembered.as_ref();
        let remembered = found.and_then(|found| found.remembered.get(at)?.as_ref());
        if let Some(first) = self.first_answer(name, remembered, turn)? {
            return Ok(Some(repeat(&first, *fingerprint)));
        }
        let now = self.log_time(turn);
        let retry_after_ms = found.and_then(|found| over_budget(found, BUDGET_BYTES, now));
        Ok(retry_after_ms.map(|retry_after_ms| Err(Refused::Budget { retry_after_ms })))
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

    /// How an operation of a write goes, and what it leaves behind; `None` if it is too expensive
    /// only together with those before it.
    ///
    /// * `budget`: what they have left of it.
    pub(crate) fn evaluate_at(
        &self,
        pending: &PendingWrite<C>,
        at: usize,
        budget: &mut ValidationBudget,
    ) -> Option<Result<(Done, Option<DraftChange>), Refused>> {
        let (order, operation) = (&pending.order, &pending.order.operations[at]);
        let rules = order.tables.as_ref().and_then(|tables| tables.rules(operation.table));
        let schema = rules.and_then(|rules| rules.schema);
        let foreseen = order.foreseen.get(at).and_then(Option::as_ref);
        let found = self.newest(operation, &pending.shown[at]);
        let before = *budget;
        Some(match evaluate_one(operation, found, schema, foreseen, budget) {
            Ok(Evaluated { done, change }) => {
                Ok((done, change.map(|change| draft(rules, operation, change))))
            }
            // Neither by itself nor as it was foreseen.
            Err(Refusal::SchemaTooExpensive) if *budget != before && !before.is_full() => {
                return None;
            }
            Err(refusal) => Err(Refused::Operation { operation: at, refusal }),
        })
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
            Waiting::Write { caller, promise, .. } => (
                caller,
                match answer {
                    RequestEnd::Committed { scn, time, etag } => promise.keep(scn, time, etag),
                    RequestEnd::NotDone(why) => Reply::NotDone(why),
                    // `Ready` never answers a write; if it did, the outcome would be unknown.
                    RequestEnd::Unknown | RequestEnd::Ready => {
                        Reply::Unknown(UnknownWhy::LogFailed)
                    }
                },
            ),
            Waiting::Anew(pending) => match answer {
                RequestEnd::Ready => return self.look_up(pending, turn),
                RequestEnd::NotDone(why) => (pending.caller, Reply::NotDone(why)),
                RequestEnd::Unknown | RequestEnd::Committed { .. } => {
                    (pending.caller, Reply::NotDone(NotDone::Offline))
                }
            },
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
            Settled::Ended(ended) => Ok(alone(ended)),
            Settled::Unchanged(promise) => {
                let etag = cortado_replica::etag_of(fold.genesis.identity.partition, fold.last);
                Ok(promise.keep(fold.last, fold.time, etag))
            }
            Settled::Again { name, fingerprint } => Err((name, fingerprint)),
        }
    }

    /// Asks the store for everything that a write rests on and that is not on its way into it.
    fn look_up(&mut self, mut pending: Box<PendingWrite<C>>, turn: &mut Turn<'_, C>) {
        // All of it anew: what one look has shown may not go with what another shows.
        let operations = pending.order.operations.iter().enumerate();
        let unknown = operations.filter(|(_, operation)| !self.has_newest(operation));
        let (asked, keys) = unknown
            .map(|(index, operation)| (index, (operation.table, operation.key.clone())))
            .unzip();
        let names = pending.order.keyed.iter().map(|keyed| keyed.name.clone()).collect();
        pending.ask(asked);
        let job = turn.job();
        self.finds.insert(job, Finding::Write(pending));
        turn.act(Action::Find { job, keys, names });
    }

    /// Whether the newest state of a document need not be looked up.
    fn has_newest(&self, operation: &Operation) -> bool {
        let Operation { table, key, .. } = operation;
        self.core.in_flight(*table, key).is_some()
            || self.applying.recent().document(*table, key).is_some()
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
        turn.act(Action::Find { job, keys: Vec::new(), names: [name.clone()].into() });
        self.finds.insert(job, Finding::Recall { caller, name, fingerprint });
    }
}

pub(crate) fn reply<C>(caller: C, reply: Reply, turn: &mut Turn<'_, C>) {
    turn.act(Action::Reply { caller, reply });
}

/// The first answer to a write that came again.
fn repeat(first: &FirstAnswer, fingerprint: u128) -> Result<Written, Refused> {
    let FirstAnswer { time, answer } = first;
    let (scn, etag) = (answer.scn, answer.etag);
    match answer.results() {
        Some(results) if answer.fingerprint == fingerprint => {
            Ok(Written { scn, time: *time, etag, results, repeated: true })
        }
        Some(_) | None => Err(Refused::KeyReused),
    }
}

/// The answer to a write that is one.
fn alone(ended: Result<Written, Refused>) -> Reply {
    ended.map_or_else(Reply::Refused, |written| Reply::Written(Box::new(written)))
}

/// What is remembered of a write that comes to `results`.
pub(crate) fn remember(keyed: &KeyedWrite, results: &[Done]) -> Idempotency {
    Idempotency {
        name: keyed.name.clone(),
        fingerprint: keyed.fingerprint,
        ttl_ms: Some(keyed.ttl_ms),
        statuses: results.iter().copied().map(code_of).collect(),
    }
}

/// About how many bytes a change takes in its record.
pub(crate) fn bytes_of(draft: &DraftChange) -> usize {
    let value_bytes = draft.value.as_ref().map_or(0, |value| value.json.len());
    80 + draft.key.as_bytes().len() + value_bytes
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
