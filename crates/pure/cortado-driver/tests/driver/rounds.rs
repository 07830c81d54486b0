//! Rounds of digests: when one begins, who reports, and what the log may forget then.

use crate::rig::Rig;
use cortado_driver::{Action, DigestReport, Event, Hashed, News, Peer, Surroundings};
use cortado_model::NodeId;

/// A node that can be read as the leader looks around, or cannot.
fn peer(rig: &Rig, node: u32, readable: bool) -> Peer {
    let folded = rig.driver.applied().1;
    Peer { node: NodeId(node), readable, has_room: true, serves: false, folded }
}

/// The surroundings of a leader of three replicas.
///
/// * `readable`: those of nodes 2 and 3.
fn around(rig: &Rig, readable: [bool; 2]) -> Surroundings {
    let peers = vec![peer(rig, 2, readable[0]), peer(rig, 3, readable[1])];
    Surroundings { peers, holders: [1, 2, 3].map(NodeId).to_vec(), ..Surroundings::default() }
}

/// Answers the leader's look around; `false` if there is none.
fn looks(rig: &mut Rig, around: Surroundings) -> bool {
    let look = rig.wanted.iter().position(|action| matches!(action, Action::LookAround(_)));
    let Some(Action::LookAround(job)) = look.and_then(|at| rig.wanted.remove(at)) else {
        return false;
    };
    rig.on(Event::Around(job, around));
    rig.settle();
    true
}

/// A minute passes in which nothing happens but the timer of an idle replica.
fn idle(rig: &mut Rig) {
    rig.now = rig.now.plus(60_000);
    rig.on(Event::Tick);
    rig.settle();
}

/// A round that somebody asks for.
fn round(rig: &mut Rig, reporting: &[u32]) {
    rig.on(Event::Verify);
    rig.settle();
    assert!(rig.append(), "it begins a round");
    report(rig, reporting);
}

/// These nodes report what the leader, node 1, has too; node 3 cannot be read as the round ends,
/// and has not been away for long.
fn report(rig: &mut Rig, reporting: &[u32]) {
    let hash = rig.wanted.iter().position(|action| matches!(action, Action::Hash { .. }));
    let Some(Action::Hash { job, .. }) = hash.and_then(|at| rig.wanted.remove(at)) else {
        panic!("it hashes its own state")
    };
    let (at, below) = rig.driver.applied();
    for node in reporting.iter().copied().map(NodeId) {
        rig.on(Event::Digest(DigestReport { node, at, below, digest: 7 }));
    }
    rig.on(Event::Hashed(job, Ok(Hashed { digest: 7, first_expiry: None })));
    rig.settle();
    let around = around(rig, [true, false]);
    assert!(looks(rig, around), "it looks who should have reported");
}

#[test]
fn a_log_forgets_nothing_that_a_replica_may_lack() {
    let mut rig = Rig::leading();
    for (reporting, agrees) in [(&[2, 3][..], true), (&[2][..], false)] {
        rig.news.clear();
        round(&mut rig, reporting);
        let agreed = rig.news.iter().any(|news| matches!(news, News::Agreed { .. }));
        let missing = News::TooFewDigests { at: rig.driver.applied().0, reports: 2, replicas: 3 };
        assert_eq!((agreed, rig.news.contains(&missing)), (agrees, !agrees), "{:?}", rig.news);
        assert!(!rig.append(), "nothing is to be forgotten yet");
    }
    round(&mut rig, &[2, 3]);
    assert!(rig.append(), "what all agreed on in an earlier round may go");
}

#[test]
fn a_quiet_leader_begins_a_round_when_other_logs_have_grown() {
    let mut rig = Rig::leading();
    for (log_bytes, begins) in [(5, false), (4 + (1 << 30), false), (5 + (1 << 30), true)] {
        idle(&mut rig);
        let around = Surroundings { log_bytes, ..around(&rig, [true, true]) };
        assert!(looks(&mut rig, around), "it looks how much there is");
        assert_eq!(rig.append(), begins, "at {log_bytes} bytes");
    }
}
