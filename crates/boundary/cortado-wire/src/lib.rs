//! The HTTP API as data: bodies, headers, error codes, tokens, and the OpenAPI document.
//!
//! Sends and receives nothing, and knows no status of any error. Servers and clients share it.
//! Start reading at [`Code`], then [`TransactionBody`].

mod code;
mod problem;
mod documents;
mod bulk;
mod changes;
mod admin;
mod moves;
mod position;
mod session;
mod cursor;
pub mod headers;
pub mod media;
pub mod openapi;
mod shape;
mod raw_json;
mod calendar;
mod percent;
mod text;
mod short_text;
mod varint;

pub use admin::{
    ClusterAnswer, DatabaseAnswer, DatabaseBody, DatabaseStatusAnswer, DatabasesAnswer,
    EventAnswer, EventsAnswer, HandoffBody, HistoryAnswer, NodeAnswer, NodesAnswer,
    PartitionAnswer, PartitionsAnswer, ReplicaAnswer, ResolveAnswer, ResolveBody, TableAnswer,
    TableBody, TablesAnswer, UpgradeAnswer, UpgradeNodeAnswer,
};
pub use bulk::{BulkAnswer, BulkBody, BulkFailure, BulkResult, write_bulk};
pub use changes::{ChangeBody, ChangeKind, ChangeLine, TransactionWriter, write_heartbeat};
pub use code::Code;
pub use cursor::{BadCursor, Cursor, CursorBinding};
pub use documents::{
    BatchAnswer, BatchBody, BatchKey, BatchResult, ListedDocument, OperationBody, OperationKind,
    OperationResult, PageAnswer, PageWriter, TransactionAnswer, TransactionBody, WriteAnswer,
    write_answer,
};
pub use moves::{
    MoveChangeAnswer, MoveLimitsAnswer, MoveLimitsBody, MoveOrderBody, MovePlanAnswer,
    MoveWaitingAnswer, MovesAnswer, PlannedMoveAnswer,
};
pub use percent::{percent_decode, percent_encode};
pub use position::{ParsePositionError, Position, Since};
pub use problem::{Outcome, Problem, Reason};
pub use raw_json::RawJson;
pub use session::{BadSession, SESSION_BYTES_MAX, SessionToken, encode as encode_session};
pub use shape::read_object;
pub use short_text::ShortText;
pub use text::JsonText;
