//! Calls: what one node asks of another.
//!
//! Start reading at [`WireCall`].

use super::frame::{begin, open, seal};
use super::input::{Input, WireError};
use super::wire::{Wire, put_number};
use bytes::{BufMut, Bytes, BytesMut};
use cortado_document::{DocumentAction, Operation};
use cortado_model::{DatabaseId, PartitionId};
use cortado_peer::{ChangeReplicas, HandOff, Level, Look, Read, SnapshotId, Write};
use std::time::Duration;
use tokio::time::Instant;

/// The latest deadline that is carried: what takes longer than a day is given up.
const REMAINING_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Room for a small call without growing.
const CAPACITY: usize = 512;

/// One call, with its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireCall {
    /// See [`Peer::write`](cortado_peer::Peer::write).
    Write(Write),
    /// See [`Peer::read`](cortado_peer::Peer::read).
    Read(Read),
    /// See [`Peer::hand_off`](cortado_peer::Peer::hand_off).
    HandOff(HandOff),
    /// See [`Peer::verify`](cortado_peer::Peer::verify).
    Verify(PartitionId, Instant),
    /// See [`Peer::report`](cortado_peer::Peer::report).
    Report(Option<DatabaseId>, Instant),
    /// See [`Peer::standing`](cortado_peer::Peer::standing).
    Standing(PartitionId, Instant),
    /// See [`Peer::open_snapshot`](cortado_peer::Peer::open_snapshot).
    OpenSnapshot(PartitionId, Instant),
    /// See [`Peer::snapshot_chunk`](cortado_peer::Peer::snapshot_chunk).
    SnapshotChunk(SnapshotId, u64, Instant),
    /// See [`Peer::change_replicas`](cortado_peer::Peer::change_replicas).
    ChangeReplicas(ChangeReplicas),
    /// See [`Peer::holdings`](cortado_peer::Peer::holdings).
    Holdings(Option<Vec<PartitionId>>, Instant),
}

wire_enum!(Level { 0 => Strong, 1 => Strict, 2 => AtLeast(scn), 3 => Bounded { max_lag_ms } });

wire_enum!(Look {
    0 => Get(table, key), 1 => Find { keys, bytes_max }, 2 => Page { range, limit, bytes_max },
    3 => Position, 4 => History { since },
});

impl WireCall {
    /// When the asking node gives up.
    pub fn deadline(&self) -> Instant {
        match self {
            WireCall::Write(write) => write.deadline,
            WireCall::Read(read) => read.deadline,
            WireCall::HandOff(order) => order.deadline,
            WireCall::ChangeReplicas(order) => order.deadline,
            WireCall::Verify(_, deadline)
            | WireCall::Report(_, deadline)
            | WireCall::Standing(_, deadline)
            | WireCall::OpenSnapshot(_, deadline)
            | WireCall::SnapshotChunk(_, _, deadline)
            | WireCall::Holdings(_, deadline) => *deadline,
        }
    }

    /// The kind of its frame; the reply's is the same.
    pub(super) fn kind(&self) -> u8 {
        match self {
            WireCall::Write(_) => 1,
            WireCall::Read(_) => 2,
            WireCall::HandOff(_) => 3,
            WireCall::Verify(..) => 4,
            WireCall::Report(..) => 5,
            WireCall::Standing(..) => 6,
            WireCall::OpenSnapshot(..) => 7,
            WireCall::SnapshotChunk(..) => 8,
            WireCall::ChangeReplicas(_) => 9,
            WireCall::Holdings(..) => 10,
        }
    }

    /// The call as a frame. The deadline becomes the time that remains, in microseconds: the nodes'
    /// clocks need not agree.
    pub fn encode(&self, now: Instant) -> Bytes {
        let mut out = begin(self.kind(), self.size_guess());
        let remaining = self.deadline().saturating_duration_since(now).min(REMAINING_MAX);
        put_number(u64::try_from(remaining.as_micros()).unwrap_or(u64::MAX), &mut out);
        match self {
            WireCall::Write(write) => put_write(write, &mut out),
            WireCall::Read(Read { partition, level, look, deadline: _ }) => {
                partition.put(&mut out);
                level.put(&mut out);
                look.put(&mut out);
            }
            WireCall::HandOff(HandOff { partition, to, deadline: _ }) => {
                partition.put(&mut out);
                to.put(&mut out);
            }
            WireCall::Report(database, _) => database.put(&mut out),
            WireCall::Verify(partition, _)
            | WireCall::Standing(partition, _)
            | WireCall::OpenSnapshot(partition, _) => partition.put(&mut out),
            WireCall::SnapshotChunk(snapshot, number, _) => {
                snapshot.put(&mut out);
                number.put(&mut out);
            }
            WireCall::ChangeReplicas(order) => put_change(order, &mut out),
            WireCall::Holdings(partitions, _) => partitions.put(&mut out),
        }
        seal(out)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn decode(frame: Bytes, now: Instant) -> Result<WireCall, WireError> {
        let (kind, mut input) = open(frame)?;
        if !(1..=10).contains(&kind) {
            return Err(WireError::UnknownKind { kind });
        }
        let remaining = Duration::from_micros(input.number()?);
        if remaining > REMAINING_MAX {
            return Err(WireError::Invalid("deadline"));
        }
        let call = take_call(kind, now + remaining, &mut input)?;
        input.finish()?;
        Ok(call)
    }

    fn size_guess(&self) -> usize {
        let WireCall::Write(write) = self else { return CAPACITY };
        let value = |operation: &Operation| match &operation.action {
            DocumentAction::Put { value } => value.as_bytes().len(),
            DocumentAction::Merge { patch } => patch.text().len(),
            DocumentAction::JsonPatch { .. } | DocumentAction::Delete | DocumentAction::Check => 0,
        };
        let values: usize = write.operations.iter().map(value).sum();
        values + CAPACITY * (1 + write.operations.len() / 4)
    }
}

fn put_write(write: &Write, out: &mut BytesMut) {
    let Write { partition, catalog, operations, mode, keyed, deadline: _ } = write;
    partition.put(out);
    catalog.put(out);
    operations.put(out);
    mode.put(out);
    keyed.put(out);
}

fn put_change(order: &ChangeReplicas, out: &mut BytesMut) {
    let ChangeReplicas { partition, generation, from, to, declared_at, deadline: _ } = order;
    partition.put(out);
    generation.put(out);
    from.put(out);
    to.put(out);
    declared_at.put(out);
}

fn take_call(kind: u8, deadline: Instant, input: &mut Input) -> Result<WireCall, WireError> {
    Ok(match kind {
        1 => WireCall::Write(Write {
            partition: Wire::take(input)?,
            catalog: Wire::take(input)?,
            operations: Wire::take(input)?,
            mode: Wire::take(input)?,
            keyed: Wire::take(input)?,
            deadline,
        }),
        2 => WireCall::Read(Read {
            partition: Wire::take(input)?,
            level: Wire::take(input)?,
            look: Wire::take(input)?,
            deadline,
        }),
        3 => WireCall::HandOff(HandOff {
            partition: Wire::take(input)?,
            to: Wire::take(input)?,
            deadline,
        }),
        4 => WireCall::Verify(Wire::take(input)?, deadline),
        5 => WireCall::Report(Wire::take(input)?, deadline),
        6 => WireCall::Standing(Wire::take(input)?, deadline),
        7 => WireCall::OpenSnapshot(Wire::take(input)?, deadline),
        8 => WireCall::SnapshotChunk(Wire::take(input)?, Wire::take(input)?, deadline),
        9 => WireCall::ChangeReplicas(ChangeReplicas {
            partition: Wire::take(input)?,
            generation: Wire::take(input)?,
            from: Wire::take(input)?,
            to: Wire::take(input)?,
            declared_at: Wire::take(input)?,
            deadline,
        }),
        10 => WireCall::Holdings(Wire::take(input)?, deadline),
        kind => return Err(WireError::UnknownKind { kind }),
    })
}
