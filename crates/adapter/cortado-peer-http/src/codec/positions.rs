//! Ids, positions, keys and documents.

use super::input::{Input, WireError};
use super::wire::{Wire, put_number, put_string};
use bytes::{BufMut, BytesMut};
use cortado_driver::{DigestReport, Folded, PeerStanding, ReplicaRole, Resolution};
use cortado_model::{
    DatabaseId, DocumentKey, EntryRange, Etag, Generation, IndexId, LogOffset, NodeId,
    NodeIncarnation, PartitionId, RememberedKey, ReplicaIncarnation, Scn, StoreError,
    StoredDocument, TableId, WallMillis, Within,
};
use cortado_peer::{KnownLeader, ReplicaProgress, SnapshotId};
use cortado_replica::{ChainHash, Claimant, HistoryPoint};

wire_newtype! {
    ChainHash, DatabaseId, Generation, IndexId, LogOffset, NodeId, NodeIncarnation, SnapshotId,
    TableId, WallMillis,
}

wire_struct! {
    PartitionId { database, number }
    ReplicaIncarnation { node, life }
    KnownLeader { generation, stepped_down, node }
    HistoryPoint { scn, chain }
    Claimant { node, incarnation, over, opened }
    Folded { generation, below, accepted, claimant }
    PeerStanding { node, incarnation, role, folded, wall }
    DigestReport { node, at, below, digest }
    Resolution { keep, own, beyond }
    ReplicaProgress { partition, role, leader, applied, folded, has_room }
    EntryRange { within, prefix, low, high, descending }
}

wire_enum!(Within { 0 => Documents(table), 1 => Index(index), 2 => Expiry });

wire_enum!(StoreError { 0 => Full { why }, 1 => Damaged { why }, 2 => Failed { why } });

wire_enum!(ReplicaRole {
    0 => Offline, 1 => Restoring, 2 => Follower, 3 => Candidate, 4 => Opening, 5 => Leader,
    6 => SteppingDown, 7 => Diverged, 8 => Full, 9 => Disputed, 10 => NeedsUpgrade,
});

/// Looks random: eight bytes are shorter than a number's spelling.
impl Wire for Etag {
    fn put(&self, out: &mut BytesMut) {
        out.put_u64_le(self.0);
    }

    fn take(input: &mut Input) -> Result<Etag, WireError> {
        input.array().map(|bytes| Etag(u64::from_le_bytes(bytes)))
    }
}

impl Wire for Scn {
    fn put(&self, out: &mut BytesMut) {
        put_number(u64::from(self.generation.0), out);
        put_number(self.sequence.0, out);
    }

    fn take(input: &mut Input) -> Result<Scn, WireError> {
        let generation = Generation::take(input)?;
        let sequence = input.number()?;
        let fits = generation <= Generation::MAX && sequence <= cortado_model::Sequence::MAX.0;
        let scn = Scn::new(generation, cortado_model::Sequence(sequence));
        fits.then_some(scn).ok_or(WireError::Invalid("SCN"))
    }
}

impl Wire for DocumentKey {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.as_bytes(), out);
    }

    fn take(input: &mut Input) -> Result<DocumentKey, WireError> {
        DocumentKey::from_bytes(input.string()?.into()).ok_or(WireError::Invalid("key"))
    }
}

impl Wire for RememberedKey {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.as_bytes(), out);
    }

    fn take(input: &mut Input) -> Result<RememberedKey, WireError> {
        RememberedKey::from_bytes(input.string()?).ok_or(WireError::Invalid("idempotency key"))
    }
}

/// Its image, as records and stores keep it.
impl Wire for StoredDocument {
    fn put(&self, out: &mut BytesMut) {
        put_string(self.image(), out);
    }

    fn take(input: &mut Input) -> Result<StoredDocument, WireError> {
        StoredDocument::from_image(input.string()?).map_err(|_| WireError::Invalid("document"))
    }
}
