//! One partition's state machine: from a log of records to documents, leaders and answers.
//!
//! Pure: no clock, no I/O, no randomness, no threads. The driver in `cortado-node` feeds
//! [`Input`]s and executes [`Effect`]s; the simulator drives exactly the same code.
//! Start reading at [`FoldState::judge`], then [`Replica::step`].
//! Source: docs/protocols/replication.md.

mod fold;
mod protocol;
mod record;
mod replica;

pub use fold::{Breakage, Claimant, FoldState, Verdict, Why};
pub use protocol::{
    Answer, AppendFailure, AppendToken, Apply, Committed, DraftChange, DraftIdempotency, Effect,
    Event, Input, LeaseSettings, NotDone, Now, ReadNeed, RequestId, Settings, Write,
};
pub use record::{
    Body, ChainHash, Change, Claim, Config, DecodeError, Decoded, Genesis, Header, Idempotency,
    Record, StepDown, Transaction, Trim, Written, decode, encode, etag_of,
};
pub use replica::{Identity, InFlightKey, Replica, Role, genesis_record, heartbeat_record};
