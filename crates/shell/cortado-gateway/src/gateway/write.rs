//! Writes: to the leader, and again to the next one, until the outcome is known.
//!
//! Start reading at [`Gateway::write`].

use super::request::RETRY_AFTER_MS;
use super::search::Search;
use super::{Gateway, NotDoneWhy, UnknownReason, WriteError, WriteReceipt, WriteRequest};
use crate::catalog::Database;
use cortado_cluster::{Doubt, Repetition, RouteAttempt, RouteStep, TryOutcome};
use cortado_document::{TransactionError, check_operations};
use cortado_driver::{KeyedWrite, Refused, UnknownWhy, WriteMode, Written};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_model::{PartitionId, RememberedKey, Scn};
use cortado_peer::{CallError, KnownLeader, Write, WriteAnswer};
use cortado_replica::NotDone;
use std::sync::Arc;
use tokio::time::Instant;

impl Gateway {
    /// Does a write of one resource: all of its operations or none.
    ///
    /// Waits for a leader until the deadline. A write with an idempotency key survives the death
    /// of its leader: the next one is asked and answers as the first would have.
    ///
    /// # Errors
    /// See [`WriteError`]: every variant but `Unknown` says that the write is definitely not done.
    pub async fn write(
        &self,
        database: &Arc<Database>,
        request: WriteRequest,
    ) -> Result<WriteReceipt, WriteError> {
        let begun = Instant::now();
        let number = check_operations(&request.operations, database.partitions);
        let number = number.map_err(WriteError::Malformed)?;
        let written = self.publish(database.partition_id(number), request).await;
        self.count_write(&written, begun);
        written
    }

    /// Does a write in `partition`.
    pub(crate) async fn publish(
        &self,
        partition: PartitionId,
        request: WriteRequest,
    ) -> Result<WriteReceipt, WriteError> {
        let keyed = keyed(&request).into_iter().collect();
        let WriteRequest { operations, deadline, .. } = request;
        // No transaction has more changes than its format promises, not even one of the system's.
        if operations.len() > OPERATIONS_MAX {
            let operations_max = OPERATIONS_MAX;
            return Err(WriteError::Malformed(TransactionError::TooMany { operations_max }));
        }
        let (catalog, mode) = (Scn::ZERO, WriteMode::Whole);
        let write = Write { partition, catalog, operations, mode, keyed, deadline };
        match self.route_write(&write).await? {
            Acknowledged::Whole(written) => Ok(WriteReceipt::of(*written, partition)),
            // Another build, or a bug: it cannot be told what was done.
            Acknowledged::Each(_) => Err(unknown(Doubt::LeaderLost)),
        }
    }

    /// Has the leader of its partition do `write`, whoever that is by then.
    ///
    /// * `write`: of any catalog; the newest counts at each try.
    pub(super) async fn route_write(&self, write: &Write) -> Result<Acknowledged, WriteError> {
        let begun = Instant::now();
        let mut search = Search::new(self, write.partition);
        let is_remembered = !write.keyed.is_empty();
        let mut attempt = RouteAttempt::new(if is_remembered {
            Repetition::Remembered
        } else {
            Repetition::Doubled
        });
        loop {
            let partition = write.partition;
            let stands = search.has_begun().then(|| self.lasting_standstill(partition, begun));
            let tried = match stands.flatten() {
                Some(why) => Tried::Declined(NotDoneWhy::StandsStill(why)),
                None => self.try_once(&mut search, write).await,
            };
            match attempt.judge(tried.outcome()) {
                RouteStep::TryAgain => search.wait(tried.known(), write.deadline).await,
                RouteStep::Answer => {
                    search.served();
                    return tried.into_result();
                }
                RouteStep::NotDone if tried.is_unled() => {
                    let why = self.standstill(write.partition, begun).await;
                    let why = why.map_or(NotDoneWhy::NoLeader, NotDoneWhy::StandsStill);
                    return Err(not_done(why));
                }
                RouteStep::NotDone => return tried.into_result(),
                RouteStep::Unknown(doubt) => return Err(unknown(doubt)),
            }
        }
    }

    /// Asks the known leader, or a replica that may know the leader.
    async fn try_once(&self, search: &mut Search<'_>, write: &Write) -> Tried {
        let partition = search.route.partition;
        if self.is_ending() {
            return Tried::Declined(NotDoneWhy::Ending);
        }
        // On the first try the leader itself says so.
        if search.has_begun() && !self.exists(partition.database) {
            return Tried::Answered(Err(WriteError::NoSuchDatabase));
        }
        if Instant::now() >= write.deadline {
            return if search.has_begun() {
                Tried::Declined(NotDoneWhy::NoLeader)
            } else {
                Tried::DeadlineBefore
            };
        }
        let Some((_, target)) = search.next() else { return Tried::NotHere(None) };
        // Only what is stored has changed tables; barriers have not.
        let write = Write { catalog: self.catalog().scn, ..write.clone() };
        let answered = tokio::select! {
            biased;
            answered = target.write(write) => answered,
            () = search.superseded() => Err(CallError::Lost),
        };
        match answered {
            Ok(answer) => Tried::of(answer),
            Err(CallError::Unreachable) => Tried::NotHere(None),
            Err(CallError::Lost) => Tried::LeaderLost,
            Err(CallError::Late) => Tried::DeadlineAfter,
        }
    }

    pub(super) fn count_write(&self, written: &Result<WriteReceipt, WriteError>, begun: Instant) {
        let metrics = self.metrics();
        match written {
            Ok(WriteReceipt { repeated: true, .. }) => metrics.writes_repeated.add(1),
            Ok(WriteReceipt { repeated: false, .. }) => {
                metrics.writes_done.add(1);
                metrics.write.observe(begun.elapsed());
            }
            Err(
                WriteError::Malformed(_)
                | WriteError::Refused { .. }
                | WriteError::KeyReused
                | WriteError::TooLarge { .. }
                | WriteError::NoSuchDatabase,
            ) => metrics.writes_refused.add(1),
            Err(WriteError::NotDone { .. } | WriteError::DeadlineBefore) => {
                metrics.writes_not_done.add(1);
            }
            Err(WriteError::Unknown { .. }) => metrics.writes_unknown.add(1),
        }
    }
}

/// How the write is recognised when it comes again, if it has a key.
fn keyed(request: &WriteRequest) -> Option<KeyedWrite> {
    let idempotency = request.idempotency.as_ref()?;
    // All operations are of one resource, but for those of `_cluster`, whose keys are random.
    let resource = request.operations.first()?.key.resource();
    let name = RememberedKey::new(resource, &idempotency.key, 0);
    let (fingerprint, ttl_ms) = (idempotency.fingerprint, idempotency.ttl_ms);
    Some(KeyedWrite { name, fingerprint, ttl_ms })
}

/// What a leader has acknowledged.
pub(super) enum Acknowledged {
    /// A whole write.
    Whole(Box<Written>),
    /// Operations that stand each for itself, from the first one on.
    Each(Vec<Result<Written, Refused>>),
}

/// How one try ended.
enum Tried {
    Answered(Result<Acknowledged, WriteError>),
    /// With the leader, as far as the node that was asked knows.
    NotHere(Option<KnownLeader>),
    Declined(NotDoneWhy),
    DeadlineBefore,
    LeaderLost,
    LogFailed,
    DeadlineAfter,
}

impl Tried {
    fn of(answer: WriteAnswer) -> Tried {
        match answer {
            WriteAnswer::Written(written) => Tried::Answered(Ok(Acknowledged::Whole(written))),
            WriteAnswer::Each(ended) => Tried::Answered(Ok(Acknowledged::Each(ended))),
            WriteAnswer::Refused(refused) => Tried::Answered(Err(WriteError::from(refused))),
            WriteAnswer::NotDone(why) => Tried::not_done(why),
            WriteAnswer::WrongNode(leader) => Tried::NotHere(Some(leader)),
            WriteAnswer::NoSuchDatabase => Tried::Answered(Err(WriteError::NoSuchDatabase)),
            WriteAnswer::NoRoom => Tried::Declined(NotDoneWhy::LogFull),
            WriteAnswer::LogDrift => Tried::Declined(NotDoneWhy::LogDrift),
            WriteAnswer::Late => Tried::DeadlineBefore,
            WriteAnswer::Unknown(UnknownWhy::LogFailed) => Tried::LogFailed,
            WriteAnswer::Unknown(UnknownWhy::LeaderLost) => Tried::LeaderLost,
            WriteAnswer::UnknownLate => Tried::DeadlineAfter,
        }
    }

    fn not_done(why: NotDone) -> Tried {
        match why {
            NotDone::NotLeader | NotDone::Changing | NotDone::Offline => Tried::NotHere(None),
            NotDone::Overloaded => Tried::Declined(NotDoneWhy::Overloaded),
            NotDone::LogRefused => Tried::Declined(NotDoneWhy::LogFull),
            NotDone::LogUnusable => Tried::Declined(NotDoneWhy::Unusable),
            NotDone::Exhausted => Tried::Declined(NotDoneWhy::ReadOnly),
        }
    }

    fn known(&self) -> Option<KnownLeader> {
        match self {
            Tried::NotHere(known) => *known,
            Tried::Answered(_)
            | Tried::Declined(_)
            | Tried::DeadlineBefore
            | Tried::LeaderLost
            | Tried::LogFailed
            | Tried::DeadlineAfter => None,
        }
    }

    fn outcome(&self) -> TryOutcome {
        match self {
            Tried::Answered(_) => TryOutcome::Answered,
            Tried::NotHere(_) => TryOutcome::NotHere,
            Tried::Declined(_) => TryOutcome::Declined,
            Tried::DeadlineBefore => TryOutcome::DeadlineBefore,
            Tried::LeaderLost => TryOutcome::LeaderLost,
            Tried::LogFailed => TryOutcome::LogFailed,
            Tried::DeadlineAfter => TryOutcome::DeadlineAfter,
        }
    }

    /// Whether no leader was found.
    fn is_unled(&self) -> bool {
        matches!(self, Tried::NotHere(_) | Tried::Declined(NotDoneWhy::NoLeader))
    }

    /// What to tell a client, if no other try counts.
    fn into_result(self) -> Result<Acknowledged, WriteError> {
        match self {
            Tried::Answered(answer) => answer,
            Tried::NotHere(_) => Err(not_done(NotDoneWhy::NoLeader)),
            Tried::Declined(why) => Err(not_done(why)),
            Tried::DeadlineBefore => Err(WriteError::DeadlineBefore),
            Tried::LeaderLost => Err(unknown(Doubt::LeaderLost)),
            Tried::LogFailed => Err(unknown(Doubt::LogFailed)),
            Tried::DeadlineAfter => Err(unknown(Doubt::Deadline)),
        }
    }
}

fn not_done(why: NotDoneWhy) -> WriteError {
    WriteError::NotDone { why, retry_after_ms: RETRY_AFTER_MS }
}

fn unknown(doubt: Doubt) -> WriteError {
    let why = match doubt {
        Doubt::LeaderLost => UnknownReason::LeaderLost,
        Doubt::LogFailed => UnknownReason::LogFailed,
        Doubt::Deadline => UnknownReason::Deadline,
    };
    WriteError::Unknown { why }
}
