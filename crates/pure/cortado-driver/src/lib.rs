//! Everything that a replica's driver decides between one partition's core and the world: writes
//! evaluated, requests, rounds, recovery, restart and resync.
//!
//! Pure: no clock, no I/O, no randomness, no threads. `cortado-node` and `cortado-sim` tell it
//! [`Event`]s and carry out [`Action`]s; both run exactly this code.
//! Start reading at [`Driver::on`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

// So that no clock, file or thread has a name here; tests may use what they like.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod action;
mod agreement;
mod appends;
mod asking;
mod applying;
mod bookmark;
mod bulk;
mod comparison;
mod driver;
mod driving;
mod evaluation;
mod event;
mod finds;
mod foreign_records;
mod gap;
mod halt;
mod idempotency;
mod leadership;
mod life;
mod news;
mod pace;
mod peers;
mod promise;
mod recent;
mod rebuilding;
mod recovery;
mod remembered_answer;
mod requests;
mod resolving;
mod restart;
mod role;
mod rounds;
mod serving;
mod settings;
mod stage;
mod standing;
mod turn;
mod write;

pub use action::{Action, Reply};
pub use bookmark::first_bookmark_at;
pub use driver::Driver;
pub use event::{
    AskLog, CopyCause, CopyError, CopyOf, CopyRefusal, DigestReport, Event, FollowError, Hashed,
    JobId, LogExtent, LookedThrough, PeerState, RecordOutcome, Resolution, Surroundings, Survey,
    SurveyError,
};
pub use idempotency::{BUDGET_BYTES, KeyedWrite};
pub use leadership::FoldedLeadership;
pub use news::News;
pub use remembered_answer::{AnswerError, RememberedAnswer};
pub use requests::{INBOX_MAX, WAITING_MAX};
pub use role::ReplicaRole;
pub use serving::{Level, Proof, Serving, Sighting};
pub use settings::{COPY_BEYOND_RECORDS, GATHER_BYTES_MAX, LogLimits, Me, Settings, TrimPolicy};
pub use standing::{Folded, PeerAnswers, PeerStanding};
pub use write::{Caller, Refused, TableRules, Tables, UnknownWhy, WriteMode, WriteOrder, Written};
