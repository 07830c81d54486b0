//! What a delivery report says of a record: one table.
//!
//! Pure. A record is *not appended* only if librdkafka thinks that no broker has taken it, no
//! broker can have done so in an earlier try, and the code is one of which that is certain;
//! everything else is *perhaps*. Start reading at [`judge`].
//! Source: docs/operations/kafka.md, "What becomes of an append".

use cortado_kafka_ffi::DeliveryStatus;

/// What librdkafka reports of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryReport {
    /// The code of the Kafka protocol, or a negative one of librdkafka; 0 is none.
    pub(crate) code: i32,
    /// Whether it was perhaps written.
    pub(crate) status: DeliveryStatus,
    /// Where it stands, or below 0.
    pub(crate) offset: i64,
    /// Since it was handed over, a broker has refused something of this client with a code that
    /// also follows an append. librdkafka takes such a try for one that has written nothing, tries
    /// again, and reports what came of that.
    pub(crate) is_doubted: bool,
}

/// What follows for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryVerdict {
    /// It stands there.
    At(u64),
    /// It stands somewhere.
    Somewhere,
    /// It is not there, and never will be.
    NotAppended,
    /// It may be there, or come there.
    Perhaps,
}

/// Judges one report.
///
/// * `above`: one more than the highest offset that the log has acknowledged in this partition; an
///   acknowledgement below it is that of another log, or of a duplicate.
pub(crate) fn judge(report: DeliveryReport, above: u64) -> DeliveryVerdict {
    match (report.code, report.status) {
        (NONE, _) => match u64::try_from(report.offset) {
            Ok(offset) if offset >= above => DeliveryVerdict::At(offset),
            // -1: a duplicate; -1001: deduced from a later acknowledgement.
            Ok(_) | Err(_) => DeliveryVerdict::Somewhere,
        },
        (code, DeliveryStatus::NotPersisted) if !report.is_doubted && is_certain(code) => {
            DeliveryVerdict::NotAppended
        }
        (_, DeliveryStatus::NotPersisted | DeliveryStatus::PossiblyPersisted) => {
            DeliveryVerdict::Perhaps
        }
        // Written, and reported as failed: only reading tells.
        (_, DeliveryStatus::Persisted) => DeliveryVerdict::Perhaps,
    }
}

/// Whether a code says for certain that the record is not in the log, where librdkafka thinks so.
///
/// Not among them: -1 (unknown) and 13 (network exception), with which a broker may fail after it
/// has appended; 3, 6, 56 and 100, with which it answers who waits for the followers of what it
/// *has* appended, when its leadership, its disk or the topic ends meanwhile; and every code that
/// is not known.
fn is_certain(code: i32) -> bool {
    matches!(
        code,
        MESSAGE_TIMED_OUT
            | PURGED_FROM_QUEUE
            | INCONSISTENT
            | UNKNOWN_PARTITION
            | UNKNOWN_TOPIC
            | MESSAGE_TOO_LARGE
            | INVALID_TOPIC
            | RECORD_LIST_TOO_LARGE
            | INVALID_REQUIRED_ACKS
            | TOPIC_AUTHORIZATION_FAILED
            | CLUSTER_AUTHORIZATION_FAILED
            | INVALID_TIMESTAMP
            | UNSUPPORTED_VERSION
            | UNSUPPORTED_FOR_MESSAGE_FORMAT
            | POLICY_VIOLATION
            | STALE_PRODUCER
            | INVALID_PRODUCER_ID_MAPPING
            | FENCED_BROKER_LEADER
            | UNKNOWN_BROKER_LEADER
            | UNSUPPORTED_COMPRESSION
            | INVALID_RECORD
            | UNSTABLE_OFFSET_COMMIT
            | THROTTLING_QUOTA_EXCEEDED
            | PRODUCER_FENCED
    )
}

/// Whether the client that reports it can append no more.
pub(crate) fn ends_the_client(code: i32) -> bool {
    matches!(
        code,
        FATAL
            | INCONSISTENT
            | GAPLESS_GUARANTEE
            | OUT_OF_ORDER_SEQUENCE
            | STALE_PRODUCER
            | INVALID_PRODUCER_ID_MAPPING
            | PRODUCER_FENCED
    )
}

const NONE: i32 = 0;
const MESSAGE_TOO_LARGE: i32 = 10;
const INVALID_TOPIC: i32 = 17;
const RECORD_LIST_TOO_LARGE: i32 = 18;
const INVALID_REQUIRED_ACKS: i32 = 21;
const TOPIC_AUTHORIZATION_FAILED: i32 = 29;
const CLUSTER_AUTHORIZATION_FAILED: i32 = 31;
const INVALID_TIMESTAMP: i32 = 32;
const UNSUPPORTED_VERSION: i32 = 35;
const UNSUPPORTED_FOR_MESSAGE_FORMAT: i32 = 43;
const POLICY_VIOLATION: i32 = 44;
const OUT_OF_ORDER_SEQUENCE: i32 = 45;
const STALE_PRODUCER: i32 = 47;
const INVALID_PRODUCER_ID_MAPPING: i32 = 49;
const FENCED_BROKER_LEADER: i32 = 74;
const UNKNOWN_BROKER_LEADER: i32 = 75;
const UNSUPPORTED_COMPRESSION: i32 = 76;
const INVALID_RECORD: i32 = 87;
const UNSTABLE_OFFSET_COMMIT: i32 = 88;
const THROTTLING_QUOTA_EXCEEDED: i32 = 89;
const PRODUCER_FENCED: i32 = 90;
const GAPLESS_GUARANTEE: i32 = -148;
const INCONSISTENT: i32 = -149;
const FATAL: i32 = -150;
const PURGED_FROM_QUEUE: i32 = -152;
const UNKNOWN_TOPIC: i32 = -188;
const UNKNOWN_PARTITION: i32 = -190;
const MESSAGE_TIMED_OUT: i32 = -192;

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryStatus::{NotPersisted, Persisted, PossiblyPersisted};
    use DeliveryVerdict::{At, NotAppended, Perhaps, Somewhere};

    #[track_caller]
    fn check(code: i32, status: DeliveryStatus, offset: i64, above: u64, want: DeliveryVerdict) {
        let report = DeliveryReport { code, status, offset, is_doubted: false };
        assert_eq!(judge(report, above), want, "{report:?} above {above}");
        // What an earlier try may have done makes a failure open, and no success.
        let want = if want == NotAppended { Perhaps } else { want };
        let doubted = DeliveryReport { is_doubted: true, ..report };
        assert_eq!(judge(doubted, above), want, "{doubted:?} above {above}");
    }

    #[test]
    fn an_acknowledgement_names_a_place_only_if_it_lies_ahead() {
        check(0, Persisted, 7, 0, At(7));
        check(0, Persisted, 7, 7, At(7));
        check(0, Persisted, 7, 8, Somewhere);
        check(0, Persisted, 0, 1, Somewhere);
        check(0, Persisted, -1, 0, Somewhere);
        check(0, Persisted, -1001, 0, Somewhere);
        check(0, Persisted, 0, 0, At(0));
    }

    /// Every code that Kafka or librdkafka can tell, under each status.
    #[test]
    fn a_failure_is_definite_only_where_the_table_says_so() {
        let certain = [
            -192, -190, -188, -152, -149, 10, 17, 18, 21, 29, 31, 32, 35, 43, 44, 47, 49, 74, 75,
            76, 87, 88, 89, 90,
        ];
        for code in (-300..0).chain(1..200) {
            let not_persisted = if certain.contains(&code) { NotAppended } else { Perhaps };
            check(code, NotPersisted, -1001, 0, not_persisted);
            for status in [PossiblyPersisted, Persisted] {
                check(code, status, -1001, 0, Perhaps);
                // An offset beside an error proves nothing.
                check(code, status, 7, 0, Perhaps);
            }
        }
    }

    #[test]
    fn what_a_broker_may_say_after_it_has_appended_is_open() {
        // Unknown, time-out of the request, network exception, not enough replicas after append;
        // a topic, a leadership, a disk and a topic's id that ended while followers were waited
        // for.
        for code in [-1, 7, 13, 20, 3, 6, 56, 100] {
            check(code, NotPersisted, -1001, 0, Perhaps);
        }
    }

    #[test]
    fn a_client_that_was_fenced_or_has_lost_count_is_replaced() {
        for code in [-150, -149, -148, 45, 47, 49, 90] {
            assert!(ends_the_client(code), "{code}");
        }
        for code in [0, -192, -152, 10, 6, 19, 20] {
            assert!(!ends_the_client(code), "{code}");
        }
    }
}
