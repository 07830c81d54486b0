//! Progress that arrives, late, twice or not at all.

use super::*;
use cortado_cluster::KnownLeader;
use cortado_driver::ReplicaRole;
use cortado_model::{DatabaseId, LogOffset, Scn, WallMillis};

const PARTITION: PartitionId = PartitionId { database: DatabaseId(1), number: 0 };

fn replica(folded: u64) -> ReplicaProgress {
    ReplicaProgress {
        partition: PARTITION,
        role: ReplicaRole::Follower,
        leader: KnownLeader::default(),
        applied: Scn::ZERO,
        folded: LogOffset(folded),
        has_room: true,
    }
}

/// What node 2 tells in one of its lives.
fn told(life: u64, number: u64, complete: bool, replicas: Vec<ReplicaProgress>) -> Progress {
    Progress {
        node: NodeId(2),
        incarnation: NodeIncarnation(life),
        wall: WallMillis(0),
        fit: true,
        reaches_log: true,
        unreached: Vec::new(),
        number,
        heard: None,
        complete,
        replicas,
    }
}

/// What is known of the replica, and what is acknowledged, after these.
#[track_caller]
fn check(messages: Vec<Progress>, folded: Option<u64>, heard: Option<(u64, u64)>) {
    let progress = PeerProgress::default();
    for message in messages {
        progress.hear(message, Millis(5));
    }
    let known = progress.of(PARTITION, Millis(5));
    assert_eq!(known.first().map(|(_, known)| known.folded.0), folded);
    let heard = heard.map(|(life, number)| (NodeIncarnation(life), number));
    assert_eq!(progress.heard(NodeId(2)).0, heard);
}

#[test]
fn what_is_told_counts_and_what_is_missed_is_not_acknowledged() {
    let all = |number, folded| told(1, number, true, vec![replica(folded)]);
    let news = |number, folded| told(1, number, false, vec![replica(folded)]);
    check(vec![], None, None);
    check(vec![all(1, 7)], Some(7), Some((1, 1)));
    check(vec![all(1, 7), news(2, 8)], Some(8), Some((1, 2)));
    // The third is newer than nothing at all, but the second may have told of another replica.
    check(vec![all(1, 7), news(3, 9)], Some(9), None);
    check(vec![all(1, 7), news(3, 9), news(4, 10)], Some(10), None);
    check(vec![all(1, 7), news(3, 9), all(4, 10)], Some(10), Some((1, 4)));
    // Late, or twice.
    check(vec![all(1, 7), news(3, 9), news(2, 8)], Some(9), None);
    check(vec![all(1, 7), news(2, 8), news(2, 8)], Some(8), Some((1, 2)));
    // Before everything was told there is something to miss.
    check(vec![news(2, 8)], Some(8), None);
}

#[test]
fn a_newer_life_makes_void_what_was_told_before() {
    let first = told(1, 9, true, vec![replica(7)]);
    check(vec![first.clone(), told(2, 1, true, vec![])], None, Some((2, 1)));
    check(vec![told(2, 1, true, vec![]), first], None, Some((2, 1)));
}

#[test]
fn everything_makes_void_what_is_not_told_again() {
    check(vec![told(1, 1, true, vec![replica(7)]), told(1, 2, true, vec![])], None, Some((1, 2)));
}

#[test]
fn a_node_that_is_silent_is_not_counted_on() {
    let progress = PeerProgress::default();
    progress.hear(told(1, 1, true, vec![replica(7)]), Millis(5));
    let known = |at| progress.of(PARTITION, Millis(at)).len();
    assert_eq!((known(5 + SILENCE_MS), known(6 + SILENCE_MS)), (1, 0));
    assert_eq!(progress.speakers(Millis(6 + SILENCE_MS)), []);
    progress.hear(told(1, 2, false, vec![]), Millis(6 + SILENCE_MS));
    assert_eq!(known(7 + SILENCE_MS), 1);
}

#[test]
fn what_is_not_named_any_more_is_reached_again() {
    let progress = PeerProgress::default();
    let says = |number, unreached| {
        let told = Progress { unreached, ..told(1, number, false, Vec::new()) };
        progress.hear(told, Millis(5));
        progress.unreached(NodeId(2))
    };
    assert_eq!(progress.unreached(NodeId(2)), []);
    assert_eq!(says(1, vec![PARTITION]), [PARTITION]);
    assert_eq!(says(3, Vec::new()), []);
    // Late news are no news.
    assert_eq!(says(2, vec![PARTITION]), []);
}
