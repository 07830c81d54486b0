//! Bodies of records as bytes. Every byte is described in docs/formats/record.md.
//!
//! Decoding never panics and never allocates more than the input is long.
//! Start reading at [`encode`] and [`Frame::record`].

use super::decode_error::{DecodeError, Need};
use super::field::{get, get_bytes, get_node, get_option, get_scn, put_bytes, put_option};
use super::frame::FrameWriter;
use super::transaction::{get_transaction, put_transaction, transaction_bytes};
use super::version::{FEATURE_LEVEL_FIRST, FEATURE_LEVEL_NEXT, VERSION};
use super::{
    Barrier, Body, ChainHash, Claim, ClaimReason, Config, Frame, Genesis, HistoryPoint, Kind,
    Origin, PartitionIdentity, Record, ReplicaSet, StepDown, Trim,
};
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use cortado_model::{ClusterUuid, DatabaseId, LogId, LogOffset, PartitionUuid, WallMillis};

/// Writes `record` of `partition`, which is of the first feature level, as the one that follows
/// `previous`; returns its own chain hash, too.
pub fn encode(
    partition: PartitionUuid,
    record: &Record,
    previous: ChainHash,
) -> (Bytes, ChainHash) {
    encode_at(FEATURE_LEVEL_FIRST, partition, record, previous)
}

/// As [`encode`], for a partition of another feature level: who has a lower one reads nothing.
pub(crate) fn encode_at(
    level: u16,
    partition: PartitionUuid,
    record: &Record,
    previous: ChainHash,
) -> (Bytes, ChainHash) {
    let bytes = match &record.body {
        Body::Transaction(transaction) => transaction_bytes(transaction),
        Body::Config(Config::Indexes(definitions)) => definitions.len(),
        Body::Genesis(Genesis { replicas, .. }) | Body::Config(Config::Replicas(replicas)) => {
            160 + 4 * replicas.nodes().len()
        }
        Body::Claim(_) | Body::Barrier(_) | Body::StepDown(_) | Body::Config(_) => 64,
    };
    let kind = kind_of(&record.body);
    let mut frame = FrameWriter::new((partition, level), &record.header, kind, bytes);
    put_body(&mut frame.out, &record.body);
    frame.finish(previous)
}

/// Reads a record of `partition`; documents share `bytes`' memory.
///
/// # Errors
/// The bytes are not what [`encode`] wrote: foreign, damaged, or of a newer build.
pub fn decode(bytes: &Bytes, partition: PartitionUuid) -> Result<Record, DecodeError> {
    Frame::read(bytes, partition)?.record()
}

impl Frame {
    /// What the record says; documents share its memory.
    ///
    /// # Errors
    /// This build cannot read it, or no build could.
    pub fn record(&self) -> Result<Record, DecodeError> {
        if self.version != VERSION {
            return Err(Need::RecordVersion(self.version).into());
        }
        check_level(self.feature)?;
        let mut input = self.body();
        let body = get_body(self.kind, &mut input)?;
        if input.has_remaining() {
            return Err(DecodeError::Damaged("bytes behind the end"));
        }
        let record = Record { header: self.header, body };
        if let Body::Transaction(transaction) = &record.body
            && !transaction.is_at(self.header.scn, self.header.time)
        {
            return Err(DecodeError::Damaged("a document names another transaction"));
        }
        Ok(record)
    }
}

fn kind_of(body: &Body) -> Kind {
    match body {
        Body::Genesis(_) => Kind::GENESIS,
        Body::Claim(_) => Kind::CLAIM,
        Body::Transaction(_) => Kind::TRANSACTION,
        Body::Barrier(_) => Kind::BARRIER,
        Body::StepDown(_) => Kind::STEP_DOWN,
        Body::Config(Config::Trim(_)) => Kind::TRIM,
        Body::Config(Config::Digest) => Kind::DIGEST,
        Body::Config(Config::Lease { .. }) => Kind::LEASE,
        Body::Config(Config::Feature { .. }) => Kind::FEATURE,
        Body::Config(Config::Replicas(_)) => Kind::REPLICAS,
        Body::Config(Config::Indexes(_)) => Kind::INDEXES,
    }
}

fn put_body(out: &mut BytesMut, body: &Body) {
    match body {
        Body::Genesis(genesis) => put_genesis(out, genesis),
        Body::Claim(claim) => {
            out.put_u64_le(claim.seen.to_u64());
            out.put_u128_le(claim.evidence);
            out.put_u8(reason_number(claim.reason));
        }
        Body::Transaction(transaction) => put_transaction(out, transaction),
        Body::Barrier(barrier) => put_option(out, barrier.opening.as_ref(), put_history_point),
        Body::StepDown(step_down) => {
            put_option(out, step_down.to.as_ref(), |out, node| out.put_u32_le(node.0));
        }
        Body::Config(Config::Trim(trim)) => put_trim(out, trim),
        Body::Config(Config::Lease { duration_ms }) => out.put_u32_le(*duration_ms),
        Body::Config(Config::Feature { level }) => out.put_u16_le(*level),
        Body::Config(Config::Replicas(replicas)) => put_replicas(out, replicas),
        Body::Config(Config::Indexes(definitions)) => put_bytes(out, definitions),
        Body::Config(Config::Digest) => {}
    }
}

fn get_body(kind: Kind, input: &mut Bytes) -> Result<Body, DecodeError> {
    Ok(match kind {
        Kind::GENESIS => Body::Genesis(get_genesis(input)?),
        Kind::CLAIM => Body::Claim(Claim {
            seen: get_scn(input)?,
            evidence: get(input, Bytes::try_get_u128_le)?,
            reason: reason_of(get(input, Bytes::try_get_u8)?),
        }),
        Kind::TRANSACTION => Body::Transaction(get_transaction(input)?),
        Kind::BARRIER => Body::Barrier(Barrier { opening: get_option(input, get_history_point)? }),
        Kind::STEP_DOWN => Body::StepDown(StepDown { to: get_option(input, get_node)? }),
        Kind::TRIM => Body::Config(Config::Trim(get_trim(input)?)),
        Kind::DIGEST => Body::Config(Config::Digest),
        Kind::LEASE => {
            Body::Config(Config::Lease { duration_ms: get(input, Bytes::try_get_u32_le)? })
        }
        Kind::FEATURE => Body::Config(Config::Feature { level: get_feature_level(input)? }),
        Kind::REPLICAS => Body::Config(Config::Replicas(get_replicas(input)?)),
        Kind::INDEXES => Body::Config(Config::Indexes(get_bytes(input)?)),
        // A number is no enum of ours: every other value is a newer build's.
        Kind(unknown) => return Err(Need::Kind(unknown).into()),
    })
}

/// A genesis, in a record and in a fold state alike.
pub(crate) fn put_genesis(out: &mut BytesMut, genesis: &Genesis) {
    out.put_u128_le(genesis.identity.partition.0);
    out.put_u128_le(genesis.identity.cluster.0);
    out.put_u32_le(genesis.identity.database.0);
    out.put_u32_le(genesis.identity.number);
    out.put_u16_le(genesis.feature_level);
    out.put_u32_le(genesis.lease_ms);
    put_replicas(out, &genesis.replicas);
    put_option(out, genesis.origin.as_ref(), |out, origin| {
        out.put_u128_le(origin.cluster.0);
        out.put_u128_le(origin.partition.0);
        out.put_u128_le(origin.log.0);
        put_history_point(out, &origin.history);
        out.put_u64_le(origin.time.0);
    });
}

/// The inverse of [`put_genesis`].
pub(crate) fn get_genesis(input: &mut Bytes) -> Result<Genesis, DecodeError> {
    let identity = PartitionIdentity {
        partition: PartitionUuid(get(input, Bytes::try_get_u128_le)?),
        cluster: ClusterUuid(get(input, Bytes::try_get_u128_le)?),
        database: DatabaseId(get(input, Bytes::try_get_u32_le)?),
        number: get(input, Bytes::try_get_u32_le)?,
    };
    Ok(Genesis {
        identity,
        feature_level: get_feature_level(input)?,
        lease_ms: get(input, Bytes::try_get_u32_le)?,
        replicas: get_replicas(input)?,
        origin: get_option(input, get_origin)?,
    })
}

/// What all replicas must understand, this one included.
pub(crate) fn get_feature_level(input: &mut Bytes) -> Result<u16, DecodeError> {
    match get(input, Bytes::try_get_u16_le)? {
        0 => Err(DecodeError::Damaged("feature levels begin with 1")),
        level => check_level(level).map(|()| level),
    }
}

/// Whether any node of this build can read that level. What a node declares may be less.
fn check_level(needed: u16) -> Result<(), DecodeError> {
    if needed <= FEATURE_LEVEL_NEXT {
        return Ok(());
    }
    Err(Need::Feature { needed, own: FEATURE_LEVEL_NEXT }.into())
}

fn get_origin(input: &mut Bytes) -> Result<Origin, DecodeError> {
    Ok(Origin {
        cluster: ClusterUuid(get(input, Bytes::try_get_u128_le)?),
        partition: PartitionUuid(get(input, Bytes::try_get_u128_le)?),
        log: LogId(get(input, Bytes::try_get_u128_le)?),
        history: get_history_point(input)?,
        time: WallMillis(get(input, Bytes::try_get_u64_le)?),
    })
}

pub(crate) fn put_replicas(out: &mut BytesMut, replicas: &ReplicaSet) {
    // A partition has a handful of replicas.
    out.put_u32_le(replicas.nodes().len() as u32);
    replicas.nodes().iter().for_each(|node| out.put_u32_le(node.0));
}

pub(crate) fn get_replicas(input: &mut Bytes) -> Result<ReplicaSet, DecodeError> {
    let count = get(input, Bytes::try_get_u32_le)?;
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(get_node(input)?);
    }
    if !nodes.is_sorted_by(|a, b| a < b) {
        return Err(DecodeError::Damaged("nodes out of order"));
    }
    Ok(nodes.into_iter().collect())
}

pub(crate) fn put_trim(out: &mut BytesMut, trim: &Trim) {
    out.put_u64_le(trim.below.0);
    out.put_u128_le(trim.log.0);
    out.put_u64_le(trim.snapshot.to_u64());
}

pub(crate) fn get_trim(input: &mut Bytes) -> Result<Trim, DecodeError> {
    Ok(Trim {
        below: LogOffset(get(input, Bytes::try_get_u64_le)?),
        log: LogId(get(input, Bytes::try_get_u128_le)?),
        snapshot: get_scn(input)?,
    })
}

pub(crate) fn put_history_point(out: &mut BytesMut, point: &HistoryPoint) {
    out.put_u64_le(point.scn.to_u64());
    out.put_u128_le(point.chain.0);
}

pub(crate) fn get_history_point(input: &mut Bytes) -> Result<HistoryPoint, DecodeError> {
    Ok(HistoryPoint { scn: get_scn(input)?, chain: ChainHash(get(input, Bytes::try_get_u128_le)?) })
}

fn reason_number(reason: ClaimReason) -> u8 {
    match reason {
        ClaimReason::NeverLed => 1,
        ClaimReason::LeaderDead => 2,
        ClaimReason::LeaderRestarted => 3,
        ClaimReason::SteppedDown => 4,
        ClaimReason::SequencesUsedUp => 5,
        ClaimReason::Ordered => 6,
        ClaimReason::ClaimantDiverged => 7,
        ClaimReason::LeaderDisputed => 8,
        ClaimReason::DisputeResolved => 9,
        ClaimReason::Other(number) => number,
    }
}

fn reason_of(number: u8) -> ClaimReason {
    match number {
        1 => ClaimReason::NeverLed,
        2 => ClaimReason::LeaderDead,
        3 => ClaimReason::LeaderRestarted,
        4 => ClaimReason::SteppedDown,
        5 => ClaimReason::SequencesUsedUp,
        6 => ClaimReason::Ordered,
        7 => ClaimReason::ClaimantDiverged,
        8 => ClaimReason::LeaderDisputed,
        9 => ClaimReason::DisputeResolved,
        other => ClaimReason::Other(other),
    }
}

#[cfg(test)]
mod tests;
