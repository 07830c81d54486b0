//! The table: what each answer of a broker says about the records that were sent.
//!
//! Start reading at [`verdict`]. Sources: Kafka's protocol guide; `DelayedProduce`, which answers
//! `NOT_LEADER_OR_FOLLOWER` and `UNKNOWN_TOPIC_OR_PARTITION` to who waits for the followers of what
//! *was* appended, when the leadership or the topic ends meanwhile.

use crate::cluster::ProduceAnswer;
use crate::code::ErrorCode;
use crate::defect::ClientDefect;

/// What one try has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In the log: at this offset and by this leader, if the broker knows.
    Stands(Option<(u64, u32)>),
    /// Not in the log by this try. Try again.
    Refused,
    /// Not in the log by this try, and never by another.
    RefusedForGood,
    /// Perhaps in the log. Try again: the broker knows it if it is.
    Open,
    /// Perhaps in the log, and the producer's numbering is broken.
    Broken,
}

/// What `answer` says.
///
/// * `is_oldest`: nothing that was sent before is unanswered.
/// * `defect`: a planted bug.
pub fn verdict(answer: ProduceAnswer, is_oldest: bool, defect: Option<ClientDefect>) -> Verdict {
    use ClientDefect as Defect;
    let code = match answer {
        ProduceAnswer::At { base, epoch } => return Verdict::Stands(Some((base, epoch))),
        ProduceAnswer::Disconnected => {
            let trusts = defect == Some(Defect::TrustsDisconnect);
            return if trusts { Verdict::Refused } else { Verdict::Open };
        }
        ProduceAnswer::Failed(code) => code,
    };
    match code {
        ErrorCode::DuplicateSequence => Verdict::Stands(None),
        ErrorCode::NotEnoughReplicas => Verdict::Refused,
        ErrorCode::MessageTooLarge => Verdict::RefusedForGood,
        // Behind what failed it had to fail, too.
        ErrorCode::OutOfOrderSequence if !is_oldest => Verdict::Refused,
        ErrorCode::OutOfOrderSequence | ErrorCode::ProducerFenced => Verdict::Broken,
        ErrorCode::NotLeader if defect == Some(Defect::TrustsNotLeader) => Verdict::Refused,
        ErrorCode::RequestTimedOut if defect == Some(Defect::TrustsTimeout) => Verdict::Refused,
        ErrorCode::NotEnoughReplicasAfterAppend
            if defect == Some(Defect::TrustsAfterAppend) =>
        {
            Verdict::Refused
        }
        ErrorCode::NotLeader
        | ErrorCode::RequestTimedOut
        | ErrorCode::NotEnoughReplicasAfterAppend
        // A disk may fail in the middle of an append.
        | ErrorCode::StorageError
        // The topic was there a moment ago.
        | ErrorCode::UnknownTopicOrPartition
        // What no broker answers to this request.
        | ErrorCode::OffsetOutOfRange
        | ErrorCode::OffsetNotAvailable
        | ErrorCode::TopicExists
        | ErrorCode::InvalidReplication => Verdict::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_refused_before_the_append_is_refused() {
        for code in ErrorCode::ALL {
            let said = verdict(ProduceAnswer::Failed(code), true, None);
            let is_refused = matches!(said, Verdict::Refused | Verdict::RefusedForGood);
            let before = [ErrorCode::NotEnoughReplicas, ErrorCode::MessageTooLarge];
            assert_eq!(is_refused, before.contains(&code), "{code:?}: {said:?}");
        }
        assert_eq!(verdict(ProduceAnswer::Disconnected, true, None), Verdict::Open);
        assert_eq!(
            verdict(ProduceAnswer::At { base: 7, epoch: 2 }, false, None),
            Verdict::Stands(Some((7, 2)))
        );
    }

    #[test]
    fn a_batch_behind_one_that_failed_is_not_the_producers_end() {
        let answer = ProduceAnswer::Failed(ErrorCode::OutOfOrderSequence);
        assert_eq!(verdict(answer, false, None), Verdict::Refused);
        assert_eq!(verdict(answer, true, None), Verdict::Broken);
    }
}
