//! What an append answers when the cluster answers each code that it may.

use super::mock::{Mock, outcomes, send};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};
use std::thread;

/// A record is appended, the next is answered with `codes` in turn, and another one follows.
fn outcomes_with(codes: &[Code]) -> String {
    let mock = Mock::new(1);
    let mut producer = mock.producer(0);
    send(&mut producer, "before");
    let mut told = outcomes(&mut producer);
    mock.cluster.request_errors(RDKafkaApiKey::Produce, codes);
    send(&mut producer, "struck");
    told.push_str(&outcomes(&mut producer));
    send(&mut producer, "behind");
    told.push_str(&outcomes(&mut producer));
    told
}

/// Each has a cluster of its own; eight at a time.
#[track_caller]
fn check(codes: &[Code], want: &str) {
    for codes in codes.chunks(8) {
        thread::scope(|scope| {
            let struck = codes.iter().map(|code| scope.spawn(|| (*code, outcomes_with(&[*code]))));
            for done in struck.collect::<Vec<_>>() {
                let (code, told) = done.join().unwrap();
                assert_eq!(told, want, "{code:?}");
            }
        });
    }
}

#[test]
fn what_passes_is_tried_again_until_it_is_appended() {
    check(
        &[
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_INVALID_MSG,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            Code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        ],
        "aaa",
    );
}

#[test]
fn what_is_refused_was_not_appended_and_the_next_record_is() {
    check(
        &[
            Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            Code::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
            Code::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
            Code::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
            Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
            Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION,
            Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
            Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
            Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
            Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
            Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE,
            Code::RD_KAFKA_RESP_ERR_INVALID_RECORD,
            Code::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
            Code::RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
            Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
        ],
        "ana",
    );
}

#[test]
fn what_a_broker_may_say_after_it_has_appended_is_open() {
    check(
        &[
            Code::RD_KAFKA_RESP_ERR_UNKNOWN,
            Code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID,
        ],
        "apa",
    );
}

#[test]
fn a_duplicate_stands_somewhere() {
    check(&[Code::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER], "asa");
}

#[test]
fn after_a_try_that_was_lost_nothing_is_definite() {
    let lost = Code::RD_KAFKA_RESP_ERR__TRANSPORT;
    for code in [
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    ] {
        assert_eq!(outcomes_with(&[lost, code]), "apa", "{code:?}");
    }
}

/// A broker answers so to who waits for the followers of what it has appended, too.
const AFTER_AN_APPEND: [Code; 3] = [
    Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
];

#[test]
fn what_was_refused_by_a_former_leader_is_open_when_the_next_try_is_refused() {
    for before in AFTER_AN_APPEND {
        let told = outcomes_with(&[before, Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
        assert_eq!(told, "apa", "{before:?}");
    }
}

#[test]
fn what_was_refused_by_a_former_leader_is_open_when_it_is_not_tried_again() {
    for before in AFTER_AN_APPEND {
        let mock = Mock::new(1);
        let mut producer = mock.producer(0);
        send(&mut producer, "before");
        assert_eq!(outcomes(&mut producer), "a");
        // Far more often than it can be tried until the client is closed.
        mock.cluster.request_errors(RDKafkaApiKey::Produce, &[before; 1_000]);
        send(&mut producer, "struck");
        while mock.doubts() == 0 {
            thread::yield_now();
        }
        // Now it waits in the client's queue for its next try.
        mock.close_clients();
        assert_eq!(outcomes(&mut producer), "p", "{before:?}");
    }
}

#[test]
fn a_topic_that_may_not_be_written_refuses_what_follows_too() {
    assert_eq!(outcomes_with(&[Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]), "ann");
}
