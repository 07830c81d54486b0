//! Records as bytes. Every byte is described in docs/formats/record.md.
//!
//! Decoding never panics and never allocates more than the input is long.

use super::{
    Body, ChainHash, Change, Claim, Config, Genesis, Header, Idempotency, Record, StepDown,
    Transaction, Trim, Written,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_model::{
    ClusterUuid, DatabaseId, DocumentKey, Etag, LogOffset, NodeId, NodeIncarnation, PartitionUuid,
    ReplicaIncarnation, Scn, TableId, WallMillis,
};
use xxhash_rust::xxh3::Xxh3;

/// Version of the format that [`encode`] writes.
const VERSION: u8 = 1;
/// Where the chain hash stands: behind everything of fixed length.
const CHAIN_AT: usize = 36;
/// Where the body begins.
const BODY_AT: usize = CHAIN_AT + 16;

/// Bits of a replica's life below those of its node.
const LIFE_BITS: u32 = 22;

const KIND_GENESIS: u8 = 1;
const KIND_CLAIM: u8 = 2;
const KIND_TRANSACTION: u8 = 3;
const KIND_BARRIER: u8 = 4;
const KIND_STEP_DOWN: u8 = 5;
const KIND_TRIM: u8 = 6;
const KIND_DIGEST: u8 = 7;
const KIND_HEARTBEAT: u8 = 8;

/// A record and the chain hash it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What the bytes say.
    pub record: Record,
    /// The chain hash that its producer computed.
    pub chain: ChainHash,
}

/// Writes `record` as the one that follows `previous`; returns its own chain hash, too.
pub fn encode(record: &Record, previous: ChainHash) -> (Bytes, ChainHash) {
    let mut out = BytesMut::with_capacity(BODY_AT + body_bytes_hint(&record.body));
    out.put_u32_le(0);
    out.put_u8(VERSION);
    out.put_u8(kind_of(&record.body));
    out.put_u16_le(0);
    out.put_u64_le(record.header.scn.to_u64());
    out.put_u32_le(record.header.node.0);
    out.put_u64_le(packed(record.header.incarnation));
    out.put_u64_le(record.header.time.0);
    out.put_u128_le(0);
    put_body(&mut out, &record.body);
    let chain = chain_after(previous, &out);
    out[CHAIN_AT..BODY_AT].copy_from_slice(&chain.0.to_le_bytes());
    let crc = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    (out.freeze(), chain)
}

/// Reads one record; documents' values share `bytes`' memory.
///
/// # Errors
/// The bytes are not what [`encode`] wrote: damaged, or of a newer version.
pub fn decode(bytes: &Bytes) -> Result<Decoded, DecodeError> {
    if bytes.len() < BODY_AT {
        return Err(DecodeError::Damaged("shorter than a header"));
    }
    let mut input = bytes.clone();
    let crc = input.get_u32_le();
    if crc != crc32c::crc32c(&input) {
        return Err(DecodeError::Damaged("checksum differs"));
    }
    let version = input.get_u8();
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { version });
    }
    let kind = input.get_u8();
    if input.get_u16_le() != 0 {
        return Err(DecodeError::Damaged("reserved bytes are used"));
    }
    let scn = get_scn(&mut input)?;
    let node = NodeId(input.get_u32_le());
    let incarnation = unpacked(input.get_u64_le());
    let time = WallMillis(input.get_u64_le());
    let chain = ChainHash(input.get_u128_le());
    let body = get_body(kind, &mut input)?;
    if input.has_remaining() {
        return Err(DecodeError::Damaged("bytes behind the end"));
    }
    let header = Header { scn, node, incarnation, time };
    Ok(Decoded { record: Record { header, body }, chain })
}

/// A replica's life in 8 bytes: 22 bits of its count below the node's, milliseconds since 1970.
pub(crate) fn packed(incarnation: ReplicaIncarnation) -> u64 {
    incarnation.node.0 << LIFE_BITS | u64::from(incarnation.life)
}

/// The inverse of [`packed`].
pub(crate) fn unpacked(number: u64) -> ReplicaIncarnation {
    let life = (number & ((1 << LIFE_BITS) - 1)) as u32;
    ReplicaIncarnation { node: NodeIncarnation(number >> LIFE_BITS), life }
}

/// The chain hash of the record in `bytes` when it follows `previous`.
///
/// Covers all but the checksum; where the record's own hash stands, `previous` is hashed instead.
pub(crate) fn chain_after(previous: ChainHash, bytes: &[u8]) -> ChainHash {
    let mut hash = Xxh3::new();
    hash.update(&bytes[4..CHAIN_AT]);
    hash.update(&previous.0.to_le_bytes());
    hash.update(&bytes[BODY_AT..]);
    ChainHash(hash.digest128())
}

/// Bytes that are no record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not what was written.
    #[error("the record is damaged: {0}")]
    Damaged(&'static str),
    /// Written by a newer Cortado.
    #[error("the record has format version {version}, this Cortado reads up to {VERSION}")]
    UnknownVersion {
        /// The version it names.
        version: u8,
    },
}

fn kind_of(body: &Body) -> u8 {
    match body {
        Body::Genesis(_) => KIND_GENESIS,
        Body::Claim(_) => KIND_CLAIM,
        Body::Transaction(_) => KIND_TRANSACTION,
        Body::Barrier => KIND_BARRIER,
        Body::StepDown(_) => KIND_STEP_DOWN,
        Body::Config(Config::Trim(_)) => KIND_TRIM,
        Body::Config(Config::Digest) => KIND_DIGEST,
        Body::Heartbeat => KIND_HEARTBEAT,
    }
}

fn body_bytes_hint(body: &Body) -> usize {
    let Body::Transaction(transaction) = body else { return 64 };
    let change_bytes = |change: &Change| {
        40 + change.key.as_bytes().len() + change.written.as_ref().map_or(0, |w| w.value.len())
    };
    64 + transaction.changes.iter().map(change_bytes).sum::<usize>()
}

fn put_body(out: &mut BytesMut, body: &Body) {
    match body {
        Body::Genesis(genesis) => {
            out.put_u128_le(genesis.partition.0);
            out.put_u128_le(genesis.cluster.0);
            out.put_u32_le(genesis.database.0);
            out.put_u32_le(genesis.number);
        }
        Body::Claim(claim) => {
            out.put_u64_le(claim.seen.to_u64());
            put_bytes(out, claim.address.as_bytes());
        }
        Body::Transaction(transaction) => put_transaction(out, transaction),
        Body::StepDown(step_down) => match step_down.to {
            Some(node) => {
                out.put_u8(1);
                out.put_u32_le(node.0);
            }
            None => out.put_u8(0),
        },
        Body::Config(Config::Trim(trim)) => {
            out.put_u64_le(trim.below.0);
            out.put_u64_le(trim.snapshot.to_u64());
        }
        Body::Barrier | Body::Config(Config::Digest) | Body::Heartbeat => {}
    }
}

fn put_transaction(out: &mut BytesMut, transaction: &Transaction) {
    match &transaction.idempotency {
        Some(idempotency) => {
            out.put_u8(1);
            put_bytes(out, &idempotency.key);
            out.put_u128_le(idempotency.fingerprint);
            // At most 1,000 operations.
            out.put_u32_le(idempotency.statuses.len() as u32);
            for status in &idempotency.statuses {
                out.put_u16_le(*status);
            }
        }
        None => out.put_u8(0),
    }
    out.put_u32_le(transaction.changes.len() as u32);
    for change in &transaction.changes {
        out.put_u32_le(change.table.0);
        put_bytes(out, change.key.as_bytes());
        out.put_u64_le(change.etag.0);
        match &change.written {
            Some(written) => {
                out.put_u8(1);
                out.put_u32_le(written.schema_version);
                put_bytes(out, &written.value);
            }
            None => out.put_u8(0),
        }
    }
}

/// Length, then bytes. No part of a record reaches 4 GiB: the largest body has 8 MiB.
fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

fn get_body(kind: u8, input: &mut Bytes) -> Result<Body, DecodeError> {
    Ok(match kind {
        KIND_GENESIS => Body::Genesis(Genesis {
            partition: PartitionUuid(get(input, Bytes::try_get_u128_le)?),
            cluster: ClusterUuid(get(input, Bytes::try_get_u128_le)?),
            database: DatabaseId(get(input, Bytes::try_get_u32_le)?),
            number: get(input, Bytes::try_get_u32_le)?,
        }),
        KIND_CLAIM => {
            let seen = get_scn(input)?;
            let address = String::from_utf8(get_bytes(input)?.to_vec())
                .map_err(|_| DecodeError::Damaged("an address is not UTF-8"))?;
            Body::Claim(Claim { address, seen })
        }
        KIND_TRANSACTION => Body::Transaction(get_transaction(input)?),
        KIND_BARRIER => Body::Barrier,
        KIND_STEP_DOWN => {
            let to = match get_flag(input)? {
                true => Some(NodeId(get(input, Bytes::try_get_u32_le)?)),
                false => None,
            };
            Body::StepDown(StepDown { to })
        }
        KIND_TRIM => Body::Config(Config::Trim(Trim {
            below: LogOffset(get(input, Bytes::try_get_u64_le)?),
            snapshot: get_scn(input)?,
        })),
        KIND_DIGEST => Body::Config(Config::Digest),
        KIND_HEARTBEAT => Body::Heartbeat,
        _ => return Err(DecodeError::Damaged("unknown kind")),
    })
}

fn get_transaction(input: &mut Bytes) -> Result<Transaction, DecodeError> {
    let idempotency = match get_flag(input)? {
        true => Some(get_idempotency(input)?),
        false => None,
    };
    let count = get(input, Bytes::try_get_u32_le)?;
    let mut changes = Vec::new();
    for _ in 0..count {
        let table = TableId(get(input, Bytes::try_get_u32_le)?);
        let key = DocumentKey::from_bytes(get_bytes(input)?.to_vec())
            .ok_or(DecodeError::Damaged("a key has no parts"))?;
        let etag = Etag(get(input, Bytes::try_get_u64_le)?);
        let written = match get_flag(input)? {
            true => Some(Written {
                schema_version: get(input, Bytes::try_get_u32_le)?,
                value: get_bytes(input)?,
            }),
            false => None,
        };
        changes.push(Change { table, key, etag, written });
    }
    Ok(Transaction { changes, idempotency })
}

fn get_idempotency(input: &mut Bytes) -> Result<Idempotency, DecodeError> {
    let key = get_bytes(input)?;
    let fingerprint = get(input, Bytes::try_get_u128_le)?;
    let count = get(input, Bytes::try_get_u32_le)?;
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(get(input, Bytes::try_get_u16_le)?);
    }
    Ok(Idempotency { key, fingerprint, statuses })
}

fn get<T>(
    input: &mut Bytes,
    read: impl Fn(&mut Bytes) -> Result<T, bytes::TryGetError>,
) -> Result<T, DecodeError> {
    read(input).map_err(|_| DecodeError::Damaged("ends early"))
}

fn get_scn(input: &mut Bytes) -> Result<Scn, DecodeError> {
    Scn::from_u64(get(input, Bytes::try_get_u64_le)?)
        .ok_or(DecodeError::Damaged("an SCN has its top bit set"))
}

fn get_flag(input: &mut Bytes) -> Result<bool, DecodeError> {
    match get(input, Bytes::try_get_u8)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Damaged("a flag is neither 0 nor 1")),
    }
}

fn get_bytes(input: &mut Bytes) -> Result<Bytes, DecodeError> {
    let len = get(input, Bytes::try_get_u32_le)? as usize;
    if input.len() < len {
        return Err(DecodeError::Damaged("ends early"));
    }
    Ok(input.split_to(len))
}

#[cfg(test)]
mod tests;
