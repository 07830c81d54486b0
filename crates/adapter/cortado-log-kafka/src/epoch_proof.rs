//! Finding out whether a log still holds what somebody has read of it.
//!
//! Offsets alone do not tell: a log that was cut, and has grown again, has other records there.
//! Start reading at [`EpochProof::prove`].
//! Source: KIP-320.

use crate::broker_connection::malformed;
use crate::epoch_request::{EpochEnd, epoch_question, read_end};
use crate::known_logs::KnownLog;
use crate::leader_call::LeaderCall;
use crate::lifecycle::kafka_number;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the brokers that lead partitions.
pub(crate) struct EpochProof {
    pub(crate) leaders: Arc<LeaderCall>,
    pub(crate) within: Duration,
}

/// What follows for a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochVerdict {
    /// The log holds what was read before it.
    Holds,
    /// It holds that up to this offset only.
    PartsAt(u64),
    /// The broker does not know a leader that has appended: ask again.
    Unknown,
}

impl EpochProof {
    /// Judges a position behind a record of `epoch`; asks again while no broker knows, until the
    /// time is over.
    ///
    /// # Errors
    /// No broker knows, or none can be asked.
    pub(crate) async fn prove(
        &self,
        log: &KnownLog,
        partition: u32,
        offset: u64,
        epoch: u32,
    ) -> io::Result<Option<u64>> {
        let question = epoch_question(&log.topic, kafka_number(partition), epoch)?;
        let until = Instant::now() + self.within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = self.leaders.ask(log, partition, &question, left).await;
            let why = match answer.and_then(|answer| read_end(&answer).ok_or_else(malformed)) {
                Ok(end) => match judge_end(end, offset, epoch) {
                    EpochVerdict::Holds => return Ok(None),
                    EpochVerdict::PartsAt(at) => return Ok(Some(at)),
                    EpochVerdict::Unknown => io::Error::other(format!(
                        "the broker does not know epoch {epoch} of the partition (code {})",
                        end.code
                    )),
                },
                Err(error) => error,
            };
            if Instant::now() > until {
                return Err(why);
            }
            sleep(PAUSE).await;
        }
    }
}

/// Judges a position at `offset`, behind a record of `epoch`.
fn judge_end(
    EpochEnd { code, epoch: found, end }: EpochEnd,
    offset: u64,
    epoch: u32,
) -> EpochVerdict {
    let (Ok(found), Ok(end)) = (u32::try_from(found), u64::try_from(end)) else {
        // A broker that leads knows every epoch up to its own.
        return EpochVerdict::Unknown;
    };
    match code {
        0 if found == epoch && offset <= end => EpochVerdict::Holds,
        // Where it has no record of that leader, all behind the one before is another history.
        0 => EpochVerdict::PartsAt(end.min(offset)),
        _ => EpochVerdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((code, epoch, end): (i16, i32, i64), want: EpochVerdict) {
        assert_eq!(judge_end(EpochEnd { code, epoch, end }, 10, 3), want);
    }

    #[test]
    fn a_position_holds_if_its_leader_has_appended_up_to_there() {
        check((0, 3, 10), EpochVerdict::Holds);
        check((0, 3, 11), EpochVerdict::Holds);
        check((0, 3, 9), EpochVerdict::PartsAt(9));
        // It was cut to where an earlier leader has ended.
        check((0, 2, 7), EpochVerdict::PartsAt(7));
        check((0, 2, 12), EpochVerdict::PartsAt(10));
    }

    #[test]
    fn who_does_not_know_is_asked_again() {
        check((0, -1, -1), EpochVerdict::Unknown);
        // Not the leader, fenced, an unknown leader.
        for code in [6, 74, 75] {
            check((code, -1, -1), EpochVerdict::Unknown);
            check((code, 3, 9), EpochVerdict::Unknown);
        }
    }
}
