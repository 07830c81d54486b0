//! Any bytes as a snapshot: as they are, and behind a header that names a partition's state.
//!
//! The first byte says how the stream is cut into chunks, which must mean nothing.

#![no_main]

use bytes::Bytes;
use cortado_model::{
    ClusterUuid, DatabaseId, Entry, LogId, PartitionId, PartitionUuid, StoreError,
};
use cortado_peer::{SnapshotReader, write_snapshot};
use cortado_replica::{FoldState, Genesis, PartitionIdentity, ReplicaSet};
use cortado_store::encoding::check_snapshot_entry;
use libfuzzer_sys::fuzz_target;
use std::iter::empty;

const PARTITION: PartitionId = PartitionId { database: DatabaseId(3), number: 1 };
/// The end of a snapshot without entries: kind, count, checksum.
const END_BYTES: usize = 1 + 8 + 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let chunk_bytes = usize::from(*cut) + 1;
    for stream in [bytes.to_vec(), [&header()[..], bytes].concat()] {
        assert_eq!(read(&stream, chunk_bytes), read(&stream, stream.len().max(1)));
    }
});

/// The entries, and whether the last of them is an error.
fn read(stream: &[u8], chunk_bytes: usize) -> Result<Vec<Entry>, StoreError> {
    let (_, entries) =
        SnapshotReader::open(stream.chunks(chunk_bytes).map(Bytes::copy_from_slice))?;
    let mut last: Option<Bytes> = None;
    entries
        .map(|entry| {
            let entry = entry?;
            // What follows must not depend on whether the store would take it.
            let _ = check_snapshot_entry(last.as_deref(), &entry);
            last = Some(entry.key.clone());
            Ok(entry)
        })
        .collect()
}

/// Everything before the first entry.
fn header() -> Vec<u8> {
    let identity = PartitionIdentity {
        partition: PartitionUuid(7),
        cluster: ClusterUuid(1),
        database: PARTITION.database,
        number: PARTITION.number,
    };
    let genesis = Genesis::new(identity, ReplicaSet::default());
    let checkpoint = FoldState::before(genesis, LogId::UNKNOWN).encode();
    let mut snapshot = Vec::new();
    let sink = |chunk: Bytes| {
        snapshot.extend_from_slice(&chunk);
        true
    };
    write_snapshot(PARTITION, &checkpoint, empty(), sink).expect("there is nothing to read");
    snapshot.truncate(snapshot.len() - END_BYTES);
    snapshot
}
