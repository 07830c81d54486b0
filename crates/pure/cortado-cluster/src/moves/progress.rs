//! How far a change has come, and when it will be over.
//!
//! Start reading at [`progress_of`].

use super::change::{ChangeState, PlannedChange};
use super::step::MovingPartition;
use alloc::collections::VecDeque;
use cortado_model::Millis;

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveProgress {
    /// Replicas that have been copied and have joined.
    pub replicas_done: u32,
    /// Of so many.
    pub replicas: u32,
    /// Bytes that have been copied, those of replicas on their way among them.
    pub bytes_done: u64,
    /// Of so many; more than were planned if data has been written meanwhile.
    pub bytes: u64,
    /// Replicas that are being copied.
    pub copying: u32,
    /// In how many milliseconds it will be over, as it goes now; `None` while that cannot be told.
    pub eta_ms: Option<u64>,
}

/// How far `change` has come.
///
/// * `partitions`: all that it has targets for.
/// * `bytes_per_second`: as measured; `None` as long as nothing was.
pub fn progress_of(
    change: &PlannedChange,
    partitions: &[MovingPartition],
    bytes_per_second: Option<u64>,
) -> MoveProgress {
    let (mut replicas_left, mut bytes_left, mut copying) = (0, 0_u64, 0);
    for partition in partitions {
        let copying_to = partition.is_copying_to();
        let joining = partition.moving.and_then(|moving| moving.add);
        for node in partition.target.nodes() {
            if partition.placement.contains(*node) {
                continue;
            }
            if copying_to == Some(*node) {
                copying += 1;
                let copied = partition.replicas.get(node).map_or(0, |state| state.copied_bytes);
                bytes_left += partition.bytes.saturating_sub(copied);
                replicas_left += 1;
            } else if joining != Some(*node) {
                bytes_left += partition.bytes;
                replicas_left += 1;
            }
        }
    }
    let replicas = change.replicas.max(replicas_left);
    let bytes = change.bytes.max(bytes_left);
    let limit = Some(change.limits.bytes_per_second).filter(|limit| *limit > 0);
    let rate = match (bytes_per_second, limit) {
        (Some(measured), Some(limit)) => Some(measured.min(limit)),
        (measured, limit) => measured.or(limit),
    };
    let goes_on = change.state == ChangeState::Running || replicas_left == 0;
    let eta_ms = rate.filter(|rate| *rate > 0 && goes_on);
    MoveProgress {
        replicas_done: replicas - replicas_left,
        replicas,
        bytes_done: bytes - bytes_left,
        bytes,
        copying,
        eta_ms: eta_ms.map(|rate| bytes_left.saturating_mul(1_000).div_ceil(rate)),
    }
}

/// Measures how fast bytes come, over the last minute.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    /// When so many bytes had come, oldest first.
    samples: VecDeque<(Millis, u64)>,
}

/// A rate of longer ago says little about now.
const WINDOW_MS: u64 = 60_000;
/// A sample each second of the window: more would tell nothing more.
const SAMPLES_MAX: usize = 61;

impl RateMeter {
    /// So many bytes have come in all. `now` must not go backwards.
    pub fn note(&mut self, now: Millis, bytes: u64) {
        // What has begun anew, after a cancelled change for example, is measured anew.
        if self.samples.back().is_some_and(|(_, before)| *before > bytes) {
            self.samples.clear();
        }
        while self.samples.front().is_some_and(|(at, _)| now.since(*at) > WINDOW_MS)
            || self.samples.len() >= SAMPLES_MAX
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now, bytes));
    }

    /// Bytes a second; `None` as long as nothing can be said.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let ((began, first), (ended, last)) = (self.samples.front()?, self.samples.back()?);
        let took_ms = ended.since(*began);
        (took_ms > 0).then(|| (last - first).saturating_mul(1_000) / took_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let mut meter = RateMeter::default();
        assert_eq!(meter.bytes_per_second(), None);
        meter.note(Millis(0), 0);
        assert_eq!(meter.bytes_per_second(), None);
        meter.note(Millis(1_000), 500);
        assert_eq!(meter.bytes_per_second(), Some(500));
        for second in 2..200 {
            meter.note(Millis(1_000 * second), 500 + 2_000 * (second - 1));
        }
        assert_eq!(meter.bytes_per_second(), Some(2_000));
        meter.note(Millis(200_000), 7);
        assert_eq!(meter.bytes_per_second(), None);
    }
}
