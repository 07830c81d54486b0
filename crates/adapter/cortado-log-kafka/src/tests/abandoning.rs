//! What becomes of other partitions when one is abandoned.

use super::mock::{Mock, outcomes, send, spell};
use cortado_log::Producer;
use std::time::Duration;

/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(3_600);

#[test]
fn abandoning_one_partition_takes_no_append_of_another_along() {
    // Both share the one client, and wait for the one broker.
    let mock = Mock::new(1);
    let (mut one, mut other) = (mock.producer(0), mock.producer(1));
    for producer in [&mut one, &mut other] {
        send(producer, "before");
        assert_eq!(outcomes(producer), "a");
    }
    mock.cluster.broker_down(1).unwrap();
    send(&mut one, "abandoned");
    send(&mut other, "waits");
    let given_up: String = one.abandon().iter().map(spell).collect();
    assert_eq!(given_up, "p");
    assert_eq!(other.outstanding(), 1);
    // What it sends now keeps its order behind what waits.
    send(&mut other, "behind");
    let mut next = mock.producer(0);
    send(&mut next, "again");
    mock.cluster.broker_up(1).unwrap();
    assert_eq!((outcomes(&mut next).as_str(), outcomes(&mut other).as_str()), ("a", "aa"));
}

#[test]
fn what_was_abandoned_is_let_go_when_nobody_waits_for_its_client() {
    let mock = Mock::new(1);
    let mut one = mock.producer(0);
    send(&mut one, "before");
    assert_eq!(outcomes(&mut one), "a");
    mock.cluster.broker_round_trip_time(1, NEVER).unwrap();
    send(&mut one, "abandoned");
    assert_eq!(one.abandon().len(), 1);
    // Its reports, which nobody waits for, come from another thread.
    while mock.held_bytes() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn too_many_former_clients_are_closed_whoever_waits() {
    let mock = Mock::new(1);
    mock.cluster.broker_down(1).unwrap();
    let mut waits = mock.producer(1);
    send(&mut waits, "waits");
    // Each takes a client along, of which the first owes an answer.
    for _ in 0..4 {
        let mut one = mock.producer(0);
        let mut holds = mock.producer(2);
        send(&mut holds, "holds");
        send(&mut one, "abandoned");
        assert_eq!(one.abandon().len(), 1);
        drop(holds);
    }
    // Never sent, and never will be: that is definite.
    assert_eq!(outcomes(&mut waits), "n");
}

#[test]
fn a_record_that_is_not_taken_keeps_those_behind_it_back() {
    let mock = Mock::new(1);
    let mut producer = mock.producer(0);
    let too_large = bytes::Bytes::from(vec![0; cortado_log::RECORD_BYTES_MAX + 1]);
    producer.send(vec![bytes::Bytes::from_static(b"a"), too_large]);
    assert_eq!(outcomes(&mut producer), "nn");
    // Beyond the topic: the partition is not known.
    let mut beyond = mock.producer(4);
    send(&mut beyond, "a");
    assert_eq!(outcomes(&mut beyond), "n");
}
