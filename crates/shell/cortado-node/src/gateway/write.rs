//! Writes: to the leader, and again to the next one, until the outcome is known.
//!
//! Start reading at [`Gateway::write`].

use super::{Gateway, NotDoneWhy, UnknownWhy, WriteError, WriteRequest, Written};
use crate::asker::{Asker, Input, Ticket};
use crate::catalog::Database;
use crate::replica_handle::ReplicaHandle;
use cortado_document::check_operations;
use cortado_driver::{self as driver, KeyedWrite, Reply, Tables, WriteOrder};
use cortado_model::{PartitionId, RememberedKey};
use cortado_replica::NotDone;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
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
            let attempt = self.attempt(&leader, database, &request).await;
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
    ) -> Attempt {
        let ticket = Arc::new(Ticket::default());
        let (caller, answer) = Asker::with(&ticket);
        let order = WriteOrder {
            tables: database.map(|database| Arc::clone(database) as Arc<dyn Tables>),
            operations: request.operations.clone(),
            keyed: keyed(request),
        };
        let log_end = self.process.log.local_end(leader.partition);
        match leader.offer(Input::Write { caller, order, log_end }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Attempt::NotDone(NotDone::Overloaded),
            Err(TrySendError::Closed(_)) => return Attempt::NotDone(NotDone::Offline),
        }
        match timeout_at(request.deadline, leader.answer(answer)).await {
            Ok(Some(Reply::Written(written))) => {
                Attempt::Done(Written::of(*written, leader.partition))
            }
            Ok(Some(Reply::Refused(refused))) => Attempt::Final(WriteError::from(refused)),
            Ok(Some(Reply::NotDone(why))) => Attempt::NotDone(why),
            Ok(Some(Reply::Unknown(driver::UnknownWhy::LogFailed))) => {
                Attempt::Unknown(UnknownWhy::LogFailed)
            }
            // A write is never answered with `Ready`; if it were, nobody could tell.
            Ok(Some(Reply::Unknown(driver::UnknownWhy::LeaderLost) | Reply::Ready)) => {
                Attempt::Unknown(UnknownWhy::LeaderLost)
            }
            // The replica went away, with the write begun or still in line.
            Ok(None) if ticket.withdraw() => Attempt::NotDone(NotDone::Offline),
            Ok(None) => Attempt::Unknown(UnknownWhy::LeaderLost),
            Err(_) if ticket.withdraw() => Attempt::DeadlineBefore,
            Err(_) => Attempt::Unknown(UnknownWhy::Deadline),
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

/// How the write is recognised when it comes again, if it has a key.
fn keyed(request: &WriteRequest) -> Option<KeyedWrite> {
    let idempotency = request.idempotency.as_ref()?;
    // All operations are of one resource, but for those of `_cluster`, whose keys are random.
    let resource = request.operations.first()?.key.resource();
    let name = RememberedKey::new(resource, &idempotency.key, 0);
    let (fingerprint, ttl_ms) = (idempotency.fingerprint, idempotency.ttl_ms);
    Some(KeyedWrite { name, fingerprint, ttl_ms })
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
