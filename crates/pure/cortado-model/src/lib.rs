//! The words that every other crate speaks: ids, positions, keys, limits.
//!
//! Pure: no clock, no I/O, no randomness. Nothing here decides anything.
//! Start reading at [`Scn`].

// So that no clock, file or thread has a name here; tests may use what they like. What this crate
// depends on may need `std`: the checksum asks the processor what it can do.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod back_off;
mod batch;
mod beat;
mod budget;
mod causes;
mod entry;
mod entry_range;
mod found;
mod ids;
mod key;
pub mod limits;
mod mixing;
mod remembered;
mod scn;
mod store_error;
mod stored_document;
mod time;

pub use back_off::{BACK_OFF_MS_MAX, back_off_ms, doubled};
pub use batch::{Batch, EntryChange, EntryName};
pub use beat::{Beat, BeatError, BeatStream};
pub use budget::Budget;
pub use causes::with_causes;
pub use entry::{Entry, EntryKey, Space};
pub use entry_range::{EntryRange, Within, successor};
pub use found::Findings;
pub use ids::{
    ClusterUuid, DatabaseId, DirectoryUuid, Etag, IndexId, LogId, LogOffset, LogPosition, NodeId,
    NodeIncarnation, PartitionId, PartitionUuid, ReplicaIncarnation, TableId,
};
pub use key::{DocumentKey, KeyError};
pub use mixing::{SPLIT_MIX_STEP, mixed};
pub use remembered::{Remembered, RememberedKey};
pub use scn::{Generation, ParseScnError, Scn, ScnBounds, Sequence};
pub use store_error::StoreError;
pub use stored_document::{DOCUMENT_HEAD_BYTES, DocumentHead, ImageError, StoredDocument};
pub use time::{Millis, WallMillis};
