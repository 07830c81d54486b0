//! Where in the one keyspace a partition lies: its id, big-endian, before each of its keys.
//!
//! Source: docs/formats/store.md, "In fjall".

use cortado_model::{DatabaseId, EntryKey, PartitionId};

/// Database and number of the partition.
pub(crate) const PREFIX_BYTES: usize = 8;

/// What stands before every key of `partition`.
pub(crate) fn prefix(partition: PartitionId) -> [u8; PREFIX_BYTES] {
    (u64::from(partition.database.0) << 32 | u64::from(partition.number)).to_be_bytes()
}

/// The least key above all that begin with the `prefix` of a partition and are its entries': no
/// space lies above the checkpoint's, and that has one key.
pub(crate) fn end(prefix: &[u8]) -> Vec<u8> {
    let mut end = EntryKey::Checkpoint.behind(prefix);
    end.push(0);
    end
}

/// The partition of a stored key; `None` for a key without prefix.
pub(crate) fn partition_of(key: &[u8]) -> Option<PartitionId> {
    let (database, rest) = key.split_first_chunk()?;
    let (number, _) = rest.split_first_chunk()?;
    let database = DatabaseId(u32::from_be_bytes(*database));
    Some(PartitionId { database, number: u32::from_be_bytes(*number) })
}
