//! What the layers below refuse, in the words of the API.
//!
//! Statuses are in [`crate::status`]; here are codes and explanations. Start reading at
//! [`of_write`].

use crate::call::Call;
use crate::failure::Failure;
use cortado_document::{
    JsonError, PatchError, Refusal, SchemaError, TransactionError, Unacceptable, Unmet, Violation,
};
use cortado_gateway::{
    AdminError, InvalidDeclaration, NotDoneWhy, Obstacle, ReadError, Standstill, Uncertainty,
    UnknownReason, Unserved, WriteError,
};
use cortado_model::{Etag, StoreError, with_causes};
use cortado_node::NodeError;
use cortado_wire::{Code, Outcome, Reason};

/// What a client can do where no replica leads.
const WITHOUT_LEADER: &str = "retry: the next leader serves within seconds; if this lasts, \
    `cortado explain DATABASE/PARTITION` says why no node leads";

/// Why a write was not acknowledged.
///
/// Refused operations are named by their index; a caller with only one drops it.
pub(crate) fn of_write(error: WriteError) -> Failure {
    let detail = error.to_string();
    match error {
        WriteError::Malformed(error) => of_transaction(error),
        WriteError::Refused { operation, refusal } => of_refusal(refusal).with_operation(operation),
        WriteError::KeyReused => Failure::new(Code::IdempotencyKeyReused, detail),
        WriteError::TooLarge { .. } => Failure::new(Code::TransactionTooLarge, detail),
        WriteError::NotDone { why, retry_after_ms } => {
            of_unserved(code_of_not_done(why), detail, retry_after_ms)
        }
        WriteError::DeadlineBefore => Failure::new(Code::DeadlinePassed, detail),
        WriteError::NoSuchDatabase => Failure::new(Code::NoSuchDatabase, detail),
        WriteError::Unknown { why } => {
            let code = match why {
                UnknownReason::Deadline => Code::DeadlinePassed,
                UnknownReason::LeaderLost | UnknownReason::LogFailed => Code::OutcomeUnknown,
            };
            // A key that is added now makes the repetition another request.
            let next = "if the request had an Idempotency-Key, retry with the same one; \
                        else read the document back before retrying";
            let detail = format!("{detail}; {next}");
            Failure::new(code, detail).with_outcome(Outcome::Unknown)
        }
    }
}

/// What may be served later.
fn of_unserved(code: Code, detail: String, retry_after_ms: u64) -> Failure {
    let detail = match code {
        Code::NoLeader => format!("{detail}; {WITHOUT_LEADER}"),
        _ => detail,
    };
    Failure::new(code, detail).with_retry_after_ms(retry_after_ms)
}

fn code_of_not_done(why: NotDoneWhy) -> Code {
    match why {
        NotDoneWhy::NoLeader => Code::NoLeader,
        NotDoneWhy::StandsStill(why) => code_of_standstill(why),
        NotDoneWhy::Overloaded => Code::Overloaded,
        NotDoneWhy::IdempotencyBudget => Code::IdempotencyBudget,
        NotDoneWhy::LogFull => Code::StorageFull,
        NotDoneWhy::Unusable => Code::LogUnavailable,
        NotDoneWhy::ReadOnly => Code::ReadOnly,
        NotDoneWhy::LogDrift => Code::LogDrift,
        NotDoneWhy::Ending => Code::ShuttingDown,
    }
}

fn code_of_standstill(why: Standstill) -> Code {
    match why {
        Standstill::Disputed => Code::Disputed,
        Standstill::NeedsUpgrade => Code::NeedsUpgrade,
    }
}

/// Why the cluster's own documents were not read or written.
fn code_of_obstacle(why: &Obstacle) -> Code {
    match why {
        Obstacle::Write(WriteError::NotDone { why, .. }) => code_of_not_done(*why),
        Obstacle::Read(ReadError::StandsStill { why, .. }) => code_of_standstill(*why),
        Obstacle::Read(ReadError::Unserved { why: Unserved::NoLeader, .. })
        | Obstacle::NoLeader => Code::NoLeader,
        Obstacle::Read(_)
        | Obstacle::Write(_)
        | Obstacle::Stored(_)
        | Obstacle::Behind
        | Obstacle::Log(_)
        | Obstacle::LogLate
        | Obstacle::NoStepDown(_)
        | Obstacle::Ending => Code::Unavailable,
    }
}

fn of_refusal(refusal: Refusal) -> Failure {
    let detail = refusal.to_string();
    match refusal {
        Refusal::ConditionFailed { unmet, current } => of_condition(unmet, current),
        Refusal::Missing => Failure::new(Code::NoSuchDocument, detail),
        Refusal::Patch(error) => of_patch(error),
        Refusal::SchemaViolated(violations) => {
            let reason = |Violation { path, why }| Reason { path, why };
            let reasons = violations.into_iter().map(reason).collect();
            Failure::new(Code::SchemaViolated, detail).with_reasons(reasons)
        }
        Refusal::SchemaTooExpensive => Failure::new(Code::SchemaTooExpensive, detail),
    }
}

/// Which condition a document does not meet, and the state that it is in.
pub(crate) fn of_condition(unmet: Unmet, current: Option<Etag>) -> Failure {
    let detail = match (unmet, current) {
        (Unmet::IfMatch, None) => "If-Match does not hold: the document does not exist",
        (Unmet::IfMatch, Some(_)) => {
            "If-Match does not hold: the document is in another state, which the etag of this \
             answer names; read it, decide again, and repeat the request with that etag"
        }
        (Unmet::IfNoneMatch, _) => {
            "If-None-Match does not hold: the document exists in a state that it names"
        }
    };
    let failure = Failure::new(Code::ConditionFailed, detail);
    match current {
        Some(etag) => failure.with_etag(etag),
        None => failure,
    }
}

/// Why some operations are not a transaction.
fn of_transaction(error: TransactionError) -> Failure {
    let failure = |code| Failure::new(code, error.to_string());
    match error {
        TransactionError::Empty => failure(Code::EmptyTransaction),
        TransactionError::TooMany { .. } => failure(Code::TooManyOperations),
        TransactionError::CrossResource { operation } => {
            failure(Code::CrossResource).with_operation(operation)
        }
        TransactionError::RepeatedKey { operation } => {
            failure(Code::RepeatedKey).with_operation(operation)
        }
        TransactionError::NothingToCheck { operation } => {
            failure(Code::NothingToCheck).with_operation(operation)
        }
    }
}

/// Why a patch is invalid, or has no result.
pub(crate) fn of_patch(error: PatchError) -> Failure {
    let detail = error.to_string();
    let code = match error {
        PatchError::Json(error) => return of_json(error, Code::BodyTooLarge),
        PatchError::TooManySteps { .. } => Code::TooManyOperations,
        PatchError::TestFailed { .. } => Code::PatchTestFailed,
        PatchError::CopiesTooMuch { .. } | PatchError::Refused(JsonError::TooLarge { .. }) => {
            Code::DocumentTooLarge
        }
        PatchError::NotAnArray
        | PatchError::BadStep { .. }
        | PatchError::BadPointer { .. }
        | PatchError::NoSuchPlace { .. }
        | PatchError::IntoItself { .. }
        | PatchError::TooMuchWork
        | PatchError::Refused(JsonError::Malformed { .. } | JsonError::Unacceptable { .. }) => {
            Code::PatchFailed
        }
        PatchError::Damaged => Code::Internal,
    };
    Failure::new(code, detail)
}

/// Why some bytes are refused as JSON.
///
/// * `too_large`: what it is that has a limit here.
pub(crate) fn of_json(error: JsonError, too_large: Code) -> Failure {
    let detail = error.to_string();
    match error {
        JsonError::Malformed { offset, .. } => {
            Failure::new(Code::MalformedJson, detail).with_offset(offset)
        }
        JsonError::Unacceptable { offset, why } => {
            let code = match why {
                Unacceptable::NotAnObject => Code::NotAnObject,
                Unacceptable::NumberOutOfRange
                | Unacceptable::NumberTooLong
                | Unacceptable::TooManyFields
                | Unacceptable::NameTooLong
                | Unacceptable::NulInName => Code::UnacceptableJson,
            };
            Failure::new(code, detail).with_offset(offset)
        }
        JsonError::TooLarge { .. } => Failure::new(too_large, detail),
    }
}

/// Why a read was not served.
///
/// * `is_late`: whether a deadline that the client itself set has passed.
pub(crate) fn of_read(error: ReadError, is_late: bool) -> Failure {
    let detail = error.to_string();
    match error {
        ReadError::Unserved { .. } if is_late => Failure::new(Code::DeadlinePassed, detail),
        ReadError::Unserved { why: Unserved::NoLeader, retry_after_ms } => {
            of_unserved(Code::NoLeader, detail, retry_after_ms)
        }
        ReadError::Unserved { retry_after_ms, .. } => {
            of_unserved(Code::Unavailable, detail, retry_after_ms)
        }
        ReadError::StandsStill { why, retry_after_ms } => {
            Failure::new(code_of_standstill(why), detail).with_retry_after_ms(retry_after_ms)
        }
        ReadError::NoSuchDatabase => Failure::new(Code::NoSuchDatabase, detail),
        ReadError::NoSuchPartition => Failure::new(Code::NoSuchPartition, detail),
        ReadError::Store(error) => {
            Failure::new(Code::Unavailable, format!("{}; retry later", words_of_store(&error)))
        }
        ReadError::BadAnswer { .. } => Failure::new(Code::Unavailable, detail),
    }
}

/// Which file is damaged is nothing to tell a client; the node has logged it.
fn words_of_store(error: &StoreError) -> &'static str {
    match error {
        StoreError::Damaged { .. } => "the replica is rebuilding its store",
        StoreError::Failed { .. } => "the store has failed",
        StoreError::Full { .. } => "the store is full",
    }
}

impl Call<'_> {
    /// Why a read of this request was not served.
    pub(crate) fn read_failure(&self, error: ReadError) -> Failure {
        of_read(error, self.is_late())
    }
}

/// Why a declaration or an order was not carried out.
///
/// * `conflict`: what it means here that something exists and differs.
pub(crate) fn of_admin(error: AdminError, conflict: Code) -> Failure {
    let detail = with_causes(&error);
    match error {
        AdminError::NoSuchDatabase => Failure::new(Code::NoSuchDatabase, detail),
        AdminError::NoSuchTable => Failure::new(Code::NoSuchTable, detail),
        AdminError::NoSuchPartition => Failure::new(Code::NoSuchPartition, detail),
        AdminError::CannotLead => {
            let detail = format!("{detail}; GET /admin/v1/cluster shows the replicas");
            Failure::new(Code::Conflict, detail)
        }
        AdminError::NotRegistered => Failure::new(Code::NoSuchNode, detail),
        AdminError::NodeRuns
        | AdminError::NoHistory { .. }
        | AdminError::NodeDrained
        | AdminError::LastNode
        | AdminError::NotPlanned { .. }
        | AdminError::ChangeUnderWay { .. }
        | AdminError::ChangeCancelled => Failure::new(Code::Conflict, detail),
        AdminError::NoSuchChange => {
            let detail = format!("{detail}; GET /admin/v1/moves lists those that are not");
            Failure::new(Code::NoSuchChange, detail)
        }
        AdminError::BadName => Failure::new(Code::BadName, detail),
        AdminError::Invalid(InvalidDeclaration::Schema {
            source: SchemaError::TooExpensive,
            ..
        }) => Failure::new(Code::SchemaTooExpensive, detail),
        AdminError::Invalid(_) => Failure::new(Code::BadDeclaration, detail),
        AdminError::Conflict { reasons } => {
            let reason = |why| Reason { path: String::new(), why };
            let detail = "it already exists with a different declaration; see reasons";
            Failure::new(conflict, detail).with_reasons(reasons.into_iter().map(reason).collect())
        }
        AdminError::NotDone { why, retry_after_ms } => {
            of_unserved(code_of_obstacle(&why), detail, retry_after_ms)
        }
        AdminError::Unknown(why) => {
            let next = match why {
                Uncertainty::Write(_) | Uncertainty::NotVisible | Uncertainty::Unfinished(_) => {
                    "repeat the request: a declaration does nothing twice"
                }
                Uncertainty::Unresolved => {
                    "GET /admin/v1/cluster shows the replicas; repeat the request"
                }
                Uncertainty::Interrupted
                | Uncertainty::LeaderSilent
                | Uncertainty::PinStays { .. }
                | Uncertainty::NoSuccessor(_) => {
                    "GET /admin/v1/cluster shows who leads the partition"
                }
            };
            let detail = format!("{detail}; {next}");
            Failure::new(Code::OutcomeUnknown, detail).with_outcome(Outcome::Unknown)
        }
    }
}

/// Why a node was not killed or started.
pub(crate) fn of_node(error: NodeError) -> Failure {
    let code = match error {
        NodeError::NoSuchNode => Code::NoSuchNode,
        NodeError::AlreadyRunning | NodeError::NotRunning | NodeError::StoreInUse => Code::Conflict,
        NodeError::Ending => Code::ShuttingDown,
        NodeError::Refused { .. }
        | NodeError::Directory(_)
        | NodeError::Store(_)
        | NodeError::StoreForeign { .. }
        | NodeError::Place(_) => Code::Unavailable,
    };
    Failure::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: &Failure, next: &str) {
        assert_eq!(failure.code(), Code::OutcomeUnknown);
        assert!(failure.detail().contains(next), "{}", failure.detail());
    }

    #[test]
    fn an_open_outcome_says_how_to_find_out() {
        let write = of_write(WriteError::Unknown { why: UnknownReason::LeaderLost });
        check(&write, "if the request had an Idempotency-Key, retry with the same one");
        check(&write, "else read the document back before retrying");
        let admin = |why| of_admin(AdminError::Unknown(why), Code::Conflict);
        check(&admin(Uncertainty::Write(UnknownReason::LogFailed)), "repeat the request");
        check(&admin(Uncertainty::NotVisible), "repeat the request");
        check(&admin(Uncertainty::LeaderSilent), "shows who leads the partition");
    }

    #[test]
    fn who_finds_no_leader_is_told_what_to_do() {
        let check = |failure: Failure| {
            assert_eq!(failure.code(), Code::NoLeader);
            assert!(failure.detail().contains("retry: the next leader"), "{}", failure.detail());
            assert!(failure.into_late().code() == Code::DeadlinePassed);
        };
        let retry_after_ms = 1_000;
        let none = NotDoneWhy::NoLeader;
        let write = || WriteError::NotDone { why: none, retry_after_ms };
        let read = || ReadError::Unserved { why: Unserved::NoLeader, retry_after_ms };
        check(of_write(write()));
        check(of_read(read(), false));
        for why in [Obstacle::NoLeader, Obstacle::Write(write()), Obstacle::Read(read())] {
            check(of_admin(AdminError::NotDone { why, retry_after_ms }, Code::Conflict));
        }
        // Replicas that lag are another matter.
        let why = Unserved::SessionAhead;
        let behind = of_read(ReadError::Unserved { why, retry_after_ms }, false);
        assert_eq!(behind.code(), Code::Unavailable);
    }

    #[test]
    fn a_store_that_is_not_read_is_told_by_its_kind() {
        let check = |error: fn(String) -> StoreError, want: &str| {
            let failure = of_read(ReadError::Store(error("file 7".to_owned())), false);
            assert_eq!((failure.code(), failure.detail()), (Code::Unavailable, want));
        };
        let rebuilding = "the replica is rebuilding its store; retry later";
        check(|why| StoreError::Damaged { why }, rebuilding);
        check(|why| StoreError::Failed { why }, "the store has failed; retry later");
        check(|why| StoreError::Full { why }, "the store is full; retry later");
    }
}
