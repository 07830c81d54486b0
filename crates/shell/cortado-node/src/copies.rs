//! The snapshots that this node copies: how far each is, and how fast it may come.
//!
//! Start reading at [`Copies`]. Source: docs/protocols/moves.md, "Pace".

use cortado_cluster::{ChangeState, MoveStage};
use cortado_gateway::Catalog;
use cortado_model::{NodeId, PartitionId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A snapshot that is asked for less often is given up by its source: half of what that waits.
const CHUNK_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether a chunk may be asked for by now.
const LOOK: Duration = Duration::from_millis(50);

/// What is being copied.
#[derive(Default)]
pub(crate) struct Copies {
    bytes: Mutex<BTreeMap<PartitionId, u64>>,
}

/// One copy, as long as it lasts.
pub(crate) struct Copying<'a> {
    copies: &'a Copies,
    partition: PartitionId,
}

/// How fast a copy may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyPace {
    /// As it will.
    Unbounded,
    /// So many bytes a second.
    BytesPerSecond(u64),
    /// It rests, and keeps its source from giving it up.
    Resting,
}

impl Copies {
    /// A copy begins.
    pub(crate) fn begin(&self, partition: PartitionId) -> Copying<'_> {
        self.bytes.lock().insert(partition, 0);
        Copying { copies: self, partition }
    }

    /// What has come of a snapshot; `None` if none is copied.
    pub(crate) fn of(&self, partition: PartitionId) -> Option<u64> {
        self.bytes.lock().get(&partition).copied()
    }
}

impl Copying<'_> {
    /// So many bytes more have come.
    pub(crate) fn add(&self, bytes: usize) {
        if let Some(copied) = self.copies.bytes.lock().get_mut(&self.partition) {
            *copied += bytes as u64;
        }
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.copies.bytes.lock().remove(&self.partition);
    }
}

impl CopyPace {
    /// How fast `node` may copy `partition`: as the change says for which its replica moves there.
    pub(crate) fn of(catalog: &Catalog, partition: PartitionId, node: NodeId) -> CopyPace {
        let moving = catalog.moving(partition).map(|(moving, _)| moving);
        let Some(moving) = moving.filter(|moving| moving.add == Some(node)) else {
            // One that lost what it had is missed.
            return CopyPace::Unbounded;
        };
        let Some(change) = catalog.change(moving.change) else { return CopyPace::Unbounded };
        if change.state == ChangeState::Paused {
            return CopyPace::Resting;
        }
        let copies = catalog.moves().filter(|moving| {
            moving.change == change.id && moving.stage == MoveStage::Copying && moving.add.is_some()
        });
        // A cluster has at most some thousands of partitions.
        let copies = copies.count() as u32;
        change
            .limits
            .bytes_per_second_of_one(copies)
            .map_or(CopyPace::Unbounded, CopyPace::BytesPerSecond)
    }

    /// How long so many bytes may take.
    fn time_of(self, bytes: usize) -> Duration {
        match self {
            CopyPace::Unbounded => Duration::ZERO,
            CopyPace::Resting => CHUNK_WAIT_MAX,
            CopyPace::BytesPerSecond(rate) => {
                let ms = (bytes as u64).saturating_mul(1_000) / rate.max(1);
                Duration::from_millis(ms).min(CHUNK_WAIT_MAX)
            }
        }
    }
}

/// Blocks until the next chunk may be asked for.
///
/// * `begun`: when the last one was asked for, and how many bytes it brought.
/// * `pace`: as it is now; looked at again and again.
pub(crate) fn await_turn(
    (begun, bytes): (Instant, usize),
    pace: impl Fn() -> CopyPace,
    is_ending: impl Fn() -> bool,
) {
    loop {
        let due = begun + pace().time_of(bytes);
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() || is_ending() {
            return;
        }
        std::thread::sleep(wait.min(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_takes_as_long_as_its_share_of_the_budget_and_never_loses_its_source() {
        let time = |pace: CopyPace| pace.time_of(256 << 10);
        assert_eq!(time(CopyPace::Unbounded), Duration::ZERO);
        assert_eq!(time(CopyPace::BytesPerSecond(1 << 20)), Duration::from_millis(250));
        assert_eq!(time(CopyPace::BytesPerSecond(1)), CHUNK_WAIT_MAX);
        assert_eq!(time(CopyPace::Resting), CHUNK_WAIT_MAX);
    }

    #[test]
    fn a_copy_is_counted_while_it_lasts() {
        let (copies, partition) = (Copies::default(), PartitionId::CLUSTER);
        let copying = copies.begin(partition);
        copying.add(7);
        copying.add(5);
        assert_eq!(copies.of(partition), Some(12));
        drop(copying);
        assert_eq!(copies.of(partition), None);
    }
}
