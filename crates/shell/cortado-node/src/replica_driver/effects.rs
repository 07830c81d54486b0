//! Doing what the core wants done.
//!
//! Start reading at [`ReplicaDriver::absorb`], then [`ReplicaDriver::settle`].

use super::requests::{Settled, Waiting};
use super::restart::extent;
use super::{Halt, ReplicaDriver};
use crate::events::EventKind;
use crate::gateway::{WriteError, Written};
use crate::idempotency::remembered_in;
use crate::inbox::WriteEnd;
use crate::remembered_answer::RememberedAnswer;
use bytes::Bytes;
use cortado_model::limits::IDEMPOTENCY_TTL_MS_MAX;
use cortado_model::{
    Batch, Generation, LogOffset, NodeId, PartitionId, Remembered, RememberedKey, Scn, WallMillis,
    with_causes,
};
use cortado_replica::{
    Answer, Apply, Committed, Effect, Event, FoldState, RequestId, Stop, Trim, Why,
};
use cortado_store::StoreError;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

impl ReplicaDriver<'_> {
    /// Sorts what the core wants done. Appends go out first, stores and answers come with
    /// [`settle`](Self::settle), so that neighbours share a batch.
    pub(super) fn absorb(&mut self) -> Result<(), Halt> {
        let mut effects = std::mem::take(&mut self.effects);
        let mut halt = Ok(());
        for effect in effects.drain(..) {
            let done = self.absorb_one(effect);
            halt = halt.and(done);
        }
        // Keeps its memory.
        self.effects = effects;
        if self.appends.is_full() {
            self.send_appends();
        }
        halt
    }

    fn absorb_one(&mut self, effect: Effect) -> Result<(), Halt> {
        match effect {
            Effect::Append { token, records } => self.appends.collect(token, records),
            Effect::Recover => self.recovering = true,
            Effect::Apply(apply) => merge(&mut self.to_apply, *apply),
            Effect::Answer { request, answer } => self.answers.push((request, answer)),
            Effect::Digest { at } => {
                self.apply()?;
                self.hash_state(at)?;
            }
            Effect::TrimBookmarks(trim) => {
                self.apply()?;
                self.trim_bookmarks(trim);
            }
            Effect::TrimLog(trim) => self.trim_log(trim),
            Effect::Event(event) => return self.on_event(event),
        }
        Ok(())
    }

    /// Duty 5: appends, then the store, then the answers.
    pub(super) fn settle(&mut self) -> Result<(), Halt> {
        self.absorb()?;
        self.send_appends();
        self.apply()?;
        if !self.answers.is_empty() {
            // Whoever is answered may look at once: the handle must not lag behind.
            self.show();
            let mut answers = std::mem::take(&mut self.answers);
            for (request, answer) in answers.drain(..) {
                self.answer(request, answer);
            }
            self.answers = answers;
        }
        Ok(())
    }

    /// Duty 6: committed transactions and the fold state behind them, in one batch.
    pub(super) fn apply(&mut self) -> Result<(), Halt> {
        let Some(apply) = self.to_apply.take() else { return Ok(()) };
        let partition = self.handle.partition;
        let transactions = apply.transactions.len() as u64;
        let state = apply.state.clone();
        self.handle.show_applying(state.last);
        let mut batch = batch_of(apply);
        batch.trim_bookmarks_below = self.trim_bookmarks_below.take();
        let begun = Instant::now();
        self.context.vitals.store_begun();
        let applied = self.context.store.apply(partition, batch);
        let took = begun.elapsed();
        // A store that says that it is full works as it should.
        let works = matches!(applied, Ok(()) | Err(StoreError::Full { .. }));
        self.context.vitals.store_ended(took, works);
        applied.map_err(halt_of)?;
        self.context.metrics.apply.observe(took);
        self.context.metrics.transactions.add(transactions);
        self.stored = state;
        self.rounds.applied(transactions);
        if partition == PartitionId::CLUSTER && transactions > 0 {
            self.context.catalog_changed.notify_one();
        }
        Ok(())
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        let Some(waiting) = self.requests.take(request) else { return };
        match waiting {
            Waiting::Write { reply, results, .. } => {
                let answer = match answer {
                    Answer::Committed { scn, time, etag } => Ok(Written {
                        partition: self.handle.partition.number,
                        scn,
                        time,
                        etag,
                        results,
                        repeated: false,
                    }),
                    Answer::NotDone(why) => Err(WriteEnd::NotDone(why)),
                    // A write is never answered with `Ready`; if it were, nobody could tell.
                    Answer::Unknown | Answer::Ready => Err(WriteEnd::Unknown),
                };
                let _ = reply.send(answer);
            }
            Waiting::Settle { reply, outcome } => {
                let answer = match answer {
                    Answer::Ready => self.settled(outcome),
                    Answer::NotDone(why) => Err(WriteEnd::NotDone(why)),
                    // Nothing was published for it, so nothing can have happened.
                    Answer::Unknown | Answer::Committed { .. } => {
                        Err(WriteEnd::NotDone(cortado_replica::NotDone::Offline))
                    }
                };
                let _ = reply.send(answer);
            }
            Waiting::Read(reply) | Waiting::HandOff(reply) => {
                let answer = match answer {
                    Answer::Ready | Answer::Committed { .. } => Ok(()),
                    Answer::NotDone(why) => Err(why),
                    Answer::Unknown => Err(cortado_replica::NotDone::Offline),
                };
                // A caller that has gone away wants no answer.
                let _ = reply.send(answer);
            }
        }
    }

    fn settled(&mut self, outcome: Settled) -> Result<Written, WriteEnd> {
        let fold = self.core.fold();
        match outcome {
            Settled::Refused(error) => Err(WriteEnd::Final(error)),
            Settled::Unchanged(results) => Ok(Written {
                partition: self.handle.partition.number,
                scn: fold.last,
                time: fold.time,
                etag: cortado_replica::etag_of(fold.genesis.identity.partition, fold.last),
                results,
                repeated: false,
            }),
            Settled::Remembered { name, fingerprint } => match self.remembered(&name) {
                Ok(Some((time, answer))) => {
                    self.repeat(time, &answer, fingerprint).map_err(WriteEnd::Final)
                }
                // What was in flight is gone, or the store is: evaluate it again.
                Ok(None) | Err(_) => Err(WriteEnd::NotDone(cortado_replica::NotDone::Changing)),
            },
        }
    }

    /// The first answer to a write that came again.
    fn repeat(
        &self,
        time: WallMillis,
        answer: &RememberedAnswer,
        fingerprint: u128,
    ) -> Result<Written, WriteError> {
        match answer.results() {
            Some(results) if answer.fingerprint == fingerprint => Ok(Written {
                partition: self.handle.partition.number,
                scn: answer.scn,
                time,
                etag: answer.etag,
                results,
                repeated: true,
            }),
            Some(_) | None => Err(WriteError::KeyReused),
        }
    }

    /// Whether the last leadership is of this life of this node, and not of an earlier one that
    /// is being read again.
    fn is_claimant(&self) -> bool {
        let me = &self.context.me;
        self.core.fold().claimant.as_ref().is_some_and(|claimant| {
            (claimant.node, claimant.incarnation.node) == (me.node, me.incarnation)
        })
    }

    fn on_event(&mut self, event: Event) -> Result<(), Halt> {
        let partition = self.handle.partition;
        let node = self.context.node();
        let now = self.context.clock.steady();
        match event {
            Event::Heard { node, incarnation } => {
                if !self.heard.contains(&(node, incarnation)) {
                    self.heard.push((node, incarnation));
                }
            }
            Event::NewGeneration { generation, leader, previous_end } => {
                self.on_new_generation(generation, leader, previous_end);
            }
            Event::Serving { generation } => {
                info!(%partition, %node, %generation, "serving as leader");
            }
            Event::Resigned { generation, not_done } => {
                self.context.metrics.resignations.add(1);
                info!(%partition, %node, %generation, not_done, "resigned");
            }
            Event::SteppedDown { generation, to } => {
                // Here too, the former leader's own report is enough.
                if self.is_claimant() {
                    let to = to.map(tracing::field::display);
                    info!(%partition, %node, %generation, to, "leader stepped down");
                }
                self.handle.update_leadership(|shown| {
                    shown.stepped_down = Some(cortado_replica::StepDown { to });
                    shown.since = now;
                });
            }
            Event::ClaimLost { generation } => {
                self.context.metrics.claims_lost.add(1);
                info!(%partition, %node, %generation, "claim lost");
            }
            Event::Void { offset, why } => {
                self.context.metrics.count_void(why);
                self.tell_of_void(offset, why);
            }
            Event::GapBegan(gap) => {
                let (since, offset) = (gap.since, gap.noticed);
                warn!(%partition, %node, %since, %offset, "records are missing in the log");
            }
            Event::GapEnded { since } => {
                info!(%partition, %node, %since, "no record is missing any more");
            }
            Event::Republishing { records } => {
                warn!(%partition, records, "publishing again from the checkpoint");
            }
            Event::Stopped { offset, why: stop } => {
                error!(%partition, %node, %offset, %stop, "replica has stopped");
                return Err(halt_before(offset, &stop));
            }
        }
        Ok(())
    }

    /// The fold has accepted a claim.
    fn on_new_generation(&self, generation: Generation, leader: NodeId, previous_end: Scn) {
        let (partition, node) = (self.handle.partition, self.context.node());
        let now = self.context.clock.steady();
        // Of all replicas' reports, the new leader's own is enough.
        if self.is_claimant() {
            info!(%partition, %node, %generation, %previous_end, "claim accepted");
        } else {
            debug!(%partition, %node, %generation, %leader, %previous_end, "claim seen");
        }
        let claimant = self.core.fold().claimant.as_ref();
        let incarnation = claimant.map(|claimant| (claimant.node, claimant.incarnation));
        self.handle.update_leadership(|shown| {
            shown.generation = generation;
            shown.leader = incarnation;
            shown.stepped_down = None;
            shown.since = now;
        });
    }

    /// A record was passed over.
    fn tell_of_void(&mut self, offset: LogOffset, why: Why) {
        let partition = self.handle.partition;
        match why {
            Why::Heartbeat => {}
            Why::Foreign => {
                if let Some(records) = self.strangers.met(Instant::now()) {
                    warn!(%partition, %offset, records, "foreign records in the log");
                }
            }
            Why::NotNextGeneration
            | Why::NotAReplica
            | Why::Zombie
            | Why::Stranger
            | Why::MissingClaim
            | Why::Duplicate
            | Why::Gap
            | Why::AfterStepDown
            | Why::BeforeGenesis => debug!(%partition, %offset, ?why, "record is void"),
        }
    }

    /// What is remembered under a name, unless it has expired.
    pub(super) fn remembered(
        &self,
        name: &RememberedKey,
    ) -> Result<Option<(WallMillis, RememberedAnswer)>, StoreError> {
        let view = self.context.store.view(self.handle.partition)?;
        remembered_in(view.as_ref(), name, self.log_time())
    }

    /// The log time that a record would get now. The age of an answer is counted by it when the
    /// answer is looked up as when it was written: by the wall clock alone, a leader whose clock is
    /// ahead would forget what its peers still remember.
    pub(super) fn log_time(&self) -> WallMillis {
        self.core.fold().time.max(self.context.clock.now().wall)
    }

    /// Tells the decision log what became of this replica.
    pub(super) fn explain(&self, kind: EventKind, what: String, evidence: Vec<String>) {
        self.context.decisions.explain(kind, Some(self.handle.partition), what, evidence);
    }

    /// Forgets bookmarks that lead into what the log may forget.
    fn trim_bookmarks(&mut self, trim: Trim) {
        match self.first_bookmark_at(trim) {
            Ok(scn) => self.trim_bookmarks_below = scn.or(self.trim_bookmarks_below),
            Err(error) => {
                warn!(partition = %self.handle.partition, %error, "bookmarks not trimmed");
            }
        }
    }

    /// Lets the log forget, if it has not yet: a new leader cannot tell what the former one did.
    fn trim_log(&self, trim: Trim) {
        let partition = self.handle.partition;
        let context = Arc::clone(self.context);
        self.context.spawn(async move {
            let extent = extent(&context, partition).await;
            if extent.is_ok_and(|extent| extent.first >= trim.below) {
                return;
            }
            match context.log.trim(partition, trim.log, trim.below).await {
                Ok(()) => {
                    let (below, snapshot) = (trim.below, trim.snapshot);
                    info!(%partition, %below, %snapshot, "log trimmed");
                    let what = format!("the log may forget offsets below {}", trim.below);
                    let evidence = vec![format!("equal snapshots at {}", trim.snapshot)];
                    let kind = EventKind::Trim;
                    context.decisions.explain(kind, Some(partition), what, evidence);
                }
                Err(error) => warn!(%partition, error = with_causes(&error), "log not trimmed"),
            }
        });
    }

    /// The SCN below which every bookmark points below `trim.below`.
    fn first_bookmark_at(&self, trim: Trim) -> Result<Option<Scn>, StoreError> {
        let view = self.context.store.view(self.handle.partition)?;
        let mut at = trim.snapshot;
        while let Some((scn, bytes)) = view.bookmark(at)? {
            let usable = FoldState::decode(&bytes).is_ok_and(|s| s.position.offset >= trim.below);
            let before = scn.to_u64().checked_sub(1).and_then(Scn::from_u64);
            match before {
                Some(before) if usable => at = before,
                Some(_) | None => return Ok(Some(at)),
            }
        }
        Ok(None)
    }
}

/// Adds an apply behind another one.
fn merge(to_apply: &mut Option<Apply>, apply: Apply) {
    match to_apply {
        None => *to_apply = Some(apply),
        Some(merged) => {
            merged.transactions.extend(apply.transactions);
            merged.bookmarks.extend(apply.bookmarks);
            merged.state = apply.state;
        }
    }
}

/// The store's words for what the core wants applied.
fn batch_of(apply: Apply) -> Batch {
    let mut batch = Batch { checkpoint: apply.state.encode(), ..Batch::default() };
    for Committed { scn, time, transaction } in apply.transactions {
        for idempotency in transaction.idempotency {
            // All changes of a transaction share its etag; without changes there is none to tell.
            let etag = cortado_replica::etag_of(apply.state.genesis.identity.partition, scn);
            let answer = RememberedAnswer {
                scn,
                etag,
                fingerprint: idempotency.fingerprint,
                statuses: idempotency.statuses,
            };
            let ttl_ms = idempotency.ttl_ms.unwrap_or(IDEMPOTENCY_TTL_MS_MAX);
            let expires = WallMillis(time.0.saturating_add(u64::from(ttl_ms)));
            let remembered = Remembered { time, expires, answer: answer.encode() };
            batch.remember.push((idempotency.name, remembered));
        }
        for change in transaction.changes {
            batch.documents.push((change.table, change.key, change.document));
        }
    }
    if !batch.remember.is_empty() {
        batch.forget_before = Some(apply.state.time);
    }
    for state in &apply.bookmarks {
        batch.bookmarks.push((state.last, Bytes::clone(&state.encode())));
    }
    batch
}

/// What it means for the replica that it cannot go past the record at `at`.
fn halt_before(at: LogOffset, stop: &Stop) -> Halt {
    let why = stop.to_string();
    match stop {
        Stop::Broken(_) => Halt::Broken { at, why },
        Stop::Behind(_) => Halt::Behind { at, why },
        Stop::NeedsUpgrade(_) | Stop::Disputed(_) => Halt::StandsStill { why },
    }
}

/// Duty 6: what each failure of the store means for the replica.
pub(super) fn halt_of(error: StoreError) -> Halt {
    match error {
        StoreError::Full { why } => Halt::StoreFull { why },
        StoreError::Damaged { why } => Halt::Damaged { why },
        StoreError::Failed { why } => Halt::StoreFailed { why },
    }
}
