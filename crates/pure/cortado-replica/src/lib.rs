//! One partition's state machine: from a log of records to documents, leaders and answers.
//!
//! Pure: no clock, no I/O, no randomness, no threads. `cortado-driver` feeds [`Input`]s
//! and orders what [`Effect`]s ask for; nodes and the simulator run exactly the same code.
//! Start reading at [`FoldState::judge`], then [`Replica::step`].
//! Source: docs/protocols/replication.md.

// So that no clock, file or thread has a name here; tests may use what they like. What this crate
// depends on may need `std`: the checksum asks the processor what it can do.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod fold;
mod log_time;
mod page;
mod protocol;
mod record;
mod replica;

pub use fold::{Breakage, Claimant, Conflict, FoldState, Gap, Leases, Stop, Verdict, VoidReason};
pub use page::RecordPage;
pub use protocol::{
    AppendFailure, AppendToken, Apply, Committed, DecidedWrite, Effect, Input, LeaseSettings,
    NotDone, Now, ReadNeed, ReplicaEvent, RequestEnd, RequestId, Settings,
};
pub use record::{
    Barrier, Body, ChainHash, Change, Claim, ClaimReason, Config, DecodeError, Draft, DraftChange,
    DraftValue, FEATURE_LEVEL_MAX, FEATURE_LEVEL_NEXT, Frame, FrameError, Genesis, Header,
    HistoryPoint, Idempotency, IndexAction, IndexChange, Need, Origin, PartitionIdentity, Record,
    ReplicaSet, StepDown, Transaction, Trim, decode, encode, etag_of,
};
pub use replica::{Identity, InFlightKey, Replica, Role, genesis_record};
