//! Writes: to the leader, and again to the next one, until the outcome is known.
//!
//! Start reading at [`Gateway::write`].

use super::{Gateway, NotDoneWhy, UnknownWhy, WriteError, WriteRequest, Written};
use crate::asker::{Asker, Input, Ticket};
use crate::catalog::Database;
use crate::replica_handle::ReplicaHandle;
use crate::routes::Route;
use cortado_cluster::{Doubt, Repetition, RouteAttempt, RouteStep, TryOutcome};
use cortado_document::check_operations;
use cortado_driver::{self as driver, KeyedWrite, Reply, Tables, WriteOrder};
use cortado_model::{LogOffset, PartitionId, RememberedKey};
use cortado_replica::NotDone;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, timeout, timeout_at};

/// A leader that serves not yet, or no longer, is asked again after this if nothing is heard.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// What clients are told when the cluster is busy, or between two leaders.
const RETRY_AFTER_MS: u64 = 1_000;

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
    ) -> Result<Written, WriteError> {
        let begun = Instant::now();
        let number = check_operations(&request.operations, database.partitions);
        let number = number.map_err(WriteError::Malformed)?;
        let partition = database.partition_id(number);
        let written = self.publish(Some(database), partition, request).await;
        self.count_write(&written, begun);
        written
    }

    /// Does a write in `partition`; `None` is the database of `_cluster`.
    pub(crate) async fn publish(
        &self,
        database: Option<&Arc<Database>>,
        partition: PartitionId,
        request: WriteRequest,
    ) -> Result<Written, WriteError> {
        let route = self.process.routes.route(partition);
        let mut changes = route.changes();
        let mut attempt = RouteAttempt::new(match &request.idempotency {
            Some(_) => Repetition::Remembered,
            None => Repetition::Doubled,
        });
        loop {
            let tried = self.try_once(&route, database, &request).await;
            match attempt.judge(tried.outcome()) {
                RouteStep::TryAgain => {}
                RouteStep::Answer | RouteStep::NotDone => return tried.into_result(),
                RouteStep::Unknown(doubt) => return Err(unknown(doubt)),
            }
            let pause = ASK_AGAIN.min(request.deadline.saturating_duration_since(Instant::now()));
            // Either a change or the pause: both mean to look again.
            let _ = timeout(pause, changes.changed()).await;
        }
    }

    /// Asks whoever leads; waits for a leader until the deadline.
    async fn try_once(
        &self,
        route: &Route,
        database: Option<&Arc<Database>>,
        request: &WriteRequest,
    ) -> Tried {
        if self.process.is_ending() {
            return Tried::Declined(NotDoneWhy::Ending);
        }
        match self.leader(route, request.deadline).await {
            Some(leader) => {
                let log_end = self.process.log.local_end(route.partition);
                ask(&leader, log_end, database, request).await
            }
            None if !self.exists(route.partition.database) => {
                Tried::Answered(Err(WriteError::NoSuchDatabase))
            }
            None if route.waits_for_room() => Tried::Declined(NotDoneWhy::LogFull),
            None => Tried::Declined(NotDoneWhy::NoLeader),
        }
    }

    fn count_write(&self, written: &Result<Written, WriteError>, begun: Instant) {
        let metrics = &self.process.metrics;
        match written {
            Ok(Written { repeated: true, .. }) => metrics.writes_repeated.add(1),
            Ok(Written { repeated: false, .. }) => {
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

/// Asks one leader, and waits for its answer until the deadline.
///
/// * `log_end`: where the log ends now, if that can be read locally.
async fn ask(
    leader: &ReplicaHandle,
    log_end: Option<LogOffset>,
    database: Option<&Arc<Database>>,
    request: &WriteRequest,
) -> Tried {
    let ticket = Arc::new(Ticket::default());
    let (caller, answer) = Asker::with(&ticket);
    let order = WriteOrder {
        tables: database.map(|database| Arc::clone(database) as Arc<dyn Tables>),
        operations: request.operations.clone(),
        keyed: keyed(request),
    };
    match leader.offer(Input::Write { caller, order, log_end }) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Tried::Declined(NotDoneWhy::Overloaded),
        Err(TrySendError::Closed(_)) => return Tried::NotHere,
    }
    match timeout_at(request.deadline, leader.answer(answer)).await {
        Ok(Some(Reply::Written(written))) => {
            Tried::Answered(Ok(Written::of(*written, leader.partition)))
        }
        Ok(Some(Reply::Refused(refused))) => Tried::Answered(Err(WriteError::from(refused))),
        Ok(Some(Reply::NotDone(why))) => Tried::not_done(why),
        Ok(Some(Reply::Unknown(driver::UnknownWhy::LogFailed))) => Tried::LogFailed,
        // A write is never answered with `Ready`; if it were, nobody could tell.
        Ok(Some(Reply::Unknown(driver::UnknownWhy::LeaderLost) | Reply::Ready)) => {
            Tried::LeaderLost
        }
        // The replica went away, with the write begun or still in line.
        Ok(None) if ticket.withdraw() => Tried::NotHere,
        Ok(None) => Tried::LeaderLost,
        Err(_) if ticket.withdraw() => Tried::DeadlineBefore,
        Err(_) => Tried::DeadlineAfter,
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

/// How one try ended.
enum Tried {
    Answered(Result<Written, WriteError>),
    NotHere,
    Declined(NotDoneWhy),
    DeadlineBefore,
    LeaderLost,
    LogFailed,
    DeadlineAfter,
}

impl Tried {
    fn not_done(why: NotDone) -> Tried {
        match why {
            NotDone::NotLeader | NotDone::Changing | NotDone::Offline => Tried::NotHere,
            NotDone::Overloaded => Tried::Declined(NotDoneWhy::Overloaded),
            NotDone::LogRefused => Tried::Declined(NotDoneWhy::LogFull),
            NotDone::LogUnusable => Tried::Declined(NotDoneWhy::Unusable),
            NotDone::Exhausted => Tried::Declined(NotDoneWhy::ReadOnly),
        }
    }

    fn outcome(&self) -> TryOutcome {
        match self {
            Tried::Answered(_) => TryOutcome::Answered,
            Tried::NotHere => TryOutcome::NotHere,
            Tried::Declined(_) => TryOutcome::Declined,
            Tried::DeadlineBefore => TryOutcome::DeadlineBefore,
            Tried::LeaderLost => TryOutcome::LeaderLost,
            Tried::LogFailed => TryOutcome::LogFailed,
            Tried::DeadlineAfter => TryOutcome::DeadlineAfter,
        }
    }

    /// What to tell a client, if no other try counts.
    fn into_result(self) -> Result<Written, WriteError> {
        let not_done = |why| WriteError::NotDone { why, retry_after_ms: RETRY_AFTER_MS };
        match self {
            Tried::Answered(answer) => answer,
            Tried::NotHere => Err(not_done(NotDoneWhy::NoLeader)),
            Tried::Declined(why) => Err(not_done(why)),
            Tried::DeadlineBefore => Err(WriteError::DeadlineBefore),
            Tried::LeaderLost => Err(unknown(Doubt::LeaderLost)),
            Tried::LogFailed => Err(unknown(Doubt::LogFailed)),
            Tried::DeadlineAfter => Err(unknown(Doubt::Deadline)),
        }
    }
}

fn unknown(doubt: Doubt) -> WriteError {
    let why = match doubt {
        Doubt::LeaderLost => UnknownWhy::LeaderLost,
        Doubt::LogFailed => UnknownWhy::LogFailed,
        Doubt::Deadline => UnknownWhy::Deadline,
    };
    WriteError::Unknown { why }
}
