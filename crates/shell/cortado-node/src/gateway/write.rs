//! Writes: to the leader, and again to the next one, until the outcome is known.
//!
//! Start reading at [`Gateway::write`].

use super::{Gateway, NotDoneWhy, UnknownWhy, WriteError, WriteRequest, Written};
use crate::catalog::Database;
use crate::gateway::keys::{KeyGuard, remembered_in};
use crate::inbox::{DriverInput, Ticket, WriteCommand, WriteEnd};
use crate::replica_handle::ReplicaHandle;
use crate::routes::Route;
use bytes::Bytes;
use cortado_document::check_operations;
use cortado_model::PartitionId;
use cortado_replica::NotDone;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

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
        let key_guard = match &request.idempotency {
            Some(idempotency) => {
                let key = &idempotency.key;
                let guard = self.take_key(database, partition, key, request.deadline).await?;
                Some(guard)
            }
            None => None,
        };
        let route = self.process.routes.route(partition);
        let mut attempts = Attempts { changes: route.changes(), perhaps: false };
        loop {
            if self.process.is_ending() {
                return Err(attempts.give_up(NotDoneWhy::Ending));
            }
            let Some(leader) = self.leader(&route, request.deadline).await else {
                let full = route.waits_for_room();
                return Err(match self.exists(partition.database) {
                    true if full => attempts.give_up(NotDoneWhy::LogFull),
                    true => attempts.give_up(NotDoneWhy::NoLeader),
                    false => WriteError::NoSuchDatabase,
                });
            };
            let attempt = self.attempt(&leader, database, &request, key_guard.as_ref()).await;
            if let Some(outcome) = attempts.judge(attempt, &request) {
                return outcome;
            }
            let pause = ASK_AGAIN.min(request.deadline.saturating_duration_since(Instant::now()));
            // Either a change or the pause: both mean to look again.
            let _ = timeout(pause, attempts.changes.changed()).await;
        }
    }

    async fn attempt(
        &self,
        leader: &ReplicaHandle,
        database: Option<&Arc<Database>>,
        request: &WriteRequest,
        key_guard: Option<&Arc<KeyGuard>>,
    ) -> Attempt {
        let (reply, answer) = oneshot::channel();
        let ticket = Arc::new(Ticket::default());
        let command = WriteCommand {
            database: database.cloned(),
            operations: request.operations.clone(),
            idempotency: request.idempotency.clone(),
            ticket: Arc::clone(&ticket),
            reply,
            key_guard: key_guard.cloned(),
        };
        match leader.offer(DriverInput::Write(Box::new(command))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Attempt::NotDone(NotDone::Overloaded),
            Err(TrySendError::Closed(_)) => return Attempt::NotDone(NotDone::Offline),
        }
        match timeout_at(request.deadline, answer).await {
            Ok(Ok(Ok(written))) => Attempt::Done(written),
            Ok(Ok(Err(WriteEnd::Final(error)))) => Attempt::Final(error),
            Ok(Ok(Err(WriteEnd::NotDone(why)))) => Attempt::NotDone(why),
            Ok(Ok(Err(WriteEnd::Unknown))) => Attempt::Unknown(UnknownWhy::LogFailed),
            // The replica went away, with the write begun or still in line.
            Ok(Err(_)) if ticket.withdraw() => Attempt::NotDone(NotDone::Offline),
            Ok(Err(_)) => Attempt::Unknown(UnknownWhy::LeaderLost),
            Err(_) if ticket.withdraw() => Attempt::DeadlineBefore,
            Err(_) => Attempt::Unknown(UnknownWhy::Deadline),
        }
    }

    /// Makes sure that an idempotency key is used by this write alone, in the whole database.
    async fn take_key(
        &self,
        database: Option<&Arc<Database>>,
        partition: PartitionId,
        key: &Bytes,
        deadline: Instant,
    ) -> Result<Arc<KeyGuard>, WriteError> {
        let name = (partition.database, key.clone());
        let guard = self.process.keys.take(name, deadline).await;
        let guard = guard.ok_or(WriteError::DeadlineBefore)?;
        let partitions = database.map_or(1, |database| database.partitions);
        let perhaps = self.process.keys.filter(partition.database).may_hold(key);
        let now = self.process.clock.now().wall;
        for number in (0..partitions).filter(|number| *number != partition.number) {
            let other = PartitionId { database: partition.database, number };
            // Everything that a serving leader has answered is in its store, and what it has not
            // answered holds its key. Without one, the check is as good as the best replica: a
            // partition that is down must not keep the others from serving.
            let Some(replica) = self.best_replica(&self.process.routes.route(other)) else {
                continue;
            };
            if !perhaps && replica.keys_are_known() {
                continue;
            }
            let view = replica.store.view(other);
            match view.and_then(|view| remembered_in(view.as_ref(), key, now)) {
                Ok(None) => {}
                Ok(Some(_)) => return Err(WriteError::KeyReused),
                Err(error) => warn!(partition = %other, %error, "idempotency key not looked up"),
            }
        }
        Ok(Arc::new(guard))
    }

    fn best_replica(&self, route: &Route) -> Option<Arc<ReplicaHandle>> {
        route.serving().or_else(|| {
            let replicas = route.replicas().into_iter();
            let readable = replicas.filter(|replica| replica.role().is_readable());
            readable.max_by_key(|replica| replica.folded())
        })
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

/// How one leader answered.
enum Attempt {
    Done(Written),
    Final(WriteError),
    NotDone(NotDone),
    Unknown(UnknownWhy),
    DeadlineBefore,
}

/// What is known of a write after some attempts.
struct Attempts {
    changes: watch::Receiver<u64>,
    /// An earlier attempt may have been committed. Then a leader's refusal still counts, since it
    /// has looked for the key; but that nothing came of a *later* attempt says nothing.
    perhaps: bool,
}

impl Attempts {
    /// The end of the write, or `None` to try again.
    fn judge(
        &mut self,
        attempt: Attempt,
        request: &WriteRequest,
    ) -> Option<Result<Written, WriteError>> {
        match attempt {
            Attempt::Done(written) => Some(Ok(written)),
            Attempt::Final(error) => Some(Err(error)),
            Attempt::NotDone(NotDone::NotLeader | NotDone::Changing | NotDone::Offline) => None,
            Attempt::NotDone(NotDone::Overloaded) => {
                Some(Err(self.give_up(NotDoneWhy::Overloaded)))
            }
            Attempt::NotDone(NotDone::LogRefused) => Some(Err(self.give_up(NotDoneWhy::LogFull))),
            Attempt::NotDone(NotDone::LogUnusable) => Some(Err(self.give_up(NotDoneWhy::Unusable))),
            Attempt::NotDone(NotDone::Exhausted) => Some(Err(self.give_up(NotDoneWhy::ReadOnly))),
            Attempt::Unknown(UnknownWhy::LeaderLost) if request.idempotency.is_some() => {
                self.perhaps = true;
                None
            }
            Attempt::Unknown(why) => Some(Err(WriteError::Unknown { why })),
            Attempt::DeadlineBefore if self.perhaps => {
                Some(Err(WriteError::Unknown { why: UnknownWhy::LeaderLost }))
            }
            Attempt::DeadlineBefore => Some(Err(WriteError::DeadlineBefore)),
        }
    }

    fn give_up(&self, why: NotDoneWhy) -> WriteError {
        match self.perhaps {
            true => WriteError::Unknown { why: UnknownWhy::LeaderLost },
            false => WriteError::NotDone { why, retry_after_ms: RETRY_AFTER_MS },
        }
    }
}
