//! Any bytes as a record: read whole, and with magic, tag and checksum put right.
//!
//! Start reading at [`look_at`].

#![no_main]

use bytes::Bytes;
use cortado_model::{ClusterUuid, DatabaseId, LogId, LogOffset, LogPosition, PartitionUuid};
use cortado_replica::{
    FoldState, Frame, Genesis, PartitionIdentity, RecordPage, ReplicaSet, decode,
};
use libfuzzer_sys::fuzz_target;

const PARTITION: PartitionUuid = PartitionUuid(7);
/// Magic and tag.
const PREFIX_BYTES: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    look_at(Bytes::copy_from_slice(bytes));
    look_at(sealed(bytes));
});

fn look_at(bytes: Bytes) {
    let _ = Frame::read_any(&bytes);
    let _ = decode(&bytes, PARTITION);
    let next = LogPosition { offset: LogOffset(1), epoch: 0 };
    let page = RecordPage { from: LogOffset::ZERO, entries: vec![(LogOffset::ZERO, bytes)], next };
    let _ = before_the_first().fold(page);
}

/// `bytes` behind a magic, a tag and a checksum that hold.
fn sealed(bytes: &[u8]) -> Bytes {
    let mut sealed = b"CtRd".to_vec();
    sealed.extend(PARTITION.tag().to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&sealed[..PREFIX_BYTES]), bytes);
    sealed.extend(crc.to_le_bytes());
    sealed.extend(bytes);
    sealed.into()
}

fn before_the_first() -> FoldState {
    let identity = PartitionIdentity {
        partition: PARTITION,
        cluster: ClusterUuid(1),
        database: DatabaseId(1),
        number: 0,
    };
    FoldState::before(Genesis::new(identity, ReplicaSet::default()), LogId::UNKNOWN)
}
