//! The words that every other crate speaks: ids, positions, keys, limits.
//!
//! Pure: no clock, no I/O, no randomness. Nothing here decides anything.
//! Start reading at [`Scn`].

mod budget;
mod ids;
mod key;
pub mod limits;
mod scn;
mod stored_document;
mod time;

pub use budget::Budget;
pub use ids::{
    ClusterUuid, DatabaseId, Etag, LogId, LogOffset, NodeId, NodeIncarnation, PartitionId,
    PartitionUuid, Position, ReplicaIncarnation, TableId,
};
pub use key::{DocumentKey, KeyError};
pub use scn::{Generation, ParseScnError, Scn, ScnBounds, Sequence};
pub use stored_document::{DOCUMENT_HEAD_BYTES, DocumentHead, ImageError, StoredDocument};
pub use time::{Millis, WallMillis};
