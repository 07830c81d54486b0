//! Rounds of digests: when one begins, who reports, and what the log may forget then.

use crate::rig::Rig;
use cortado_driver::{Action, DigestReport, Event, Hashed, News, PeerState, Surroundings};
use cortado_model::NodeId;

/// A node that can be read as the leader looks around, or cannot.
fn peer(rig: &Rig, node: u32, readable: bool) -> PeerState {
    let folded = rig.driver.applied().1;
    PeerState { node: NodeId(node), readable, has_room: true, serves: false, folded }
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

/// A round on request.
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

/// What was told of rounds since the last call.
fn told(rig: &mut Rig) -> Vec<News> {
    let of_rounds = |news: &News| matches!(news, News::Agreed { .. } | News::TooFewDigests { .. });
    core::mem::take(&mut rig.news).into_iter().filter(of_rounds).collect()
}

#[test]
fn a_log_forgets_nothing_that_a_replica_may_lack() {
    let mut rig = Rig::leading();
    for (reporting, agrees) in [(&[2, 3][..], true), (&[2][..], false)] {
        round(&mut rig, reporting);
        let (at, below) = rig.driver.applied();
        let want = if agrees {
            News::Agreed { at, replicas: 3, below, again: false }
        } else {
            News::TooFewDigests { at, missing: vec![NodeId(3)] }
        };
        assert_eq!(told(&mut rig), [want]);
        assert!(!rig.append(), "nothing is to be forgotten yet");
    }
    round(&mut rig, &[2, 3]);
    assert!(rig.append(), "what all agreed on in an earlier round may go");
}

#[test]
fn whose_digest_is_missing_is_told_by_name_and_once() {
    let mut rig = Rig::leading();
    let too_few = |rig: &Rig, missing: &[u32]| {
        let missing = missing.iter().copied().map(NodeId).collect();
        News::TooFewDigests { at: rig.driver.applied().0, missing }
    };
    round(&mut rig, &[2]);
    assert_eq!(told(&mut rig), [too_few(&rig, &[3])]);
    round(&mut rig, &[2]);
    assert_eq!(told(&mut rig), [], "that is known");
    // Node 2 can be read, and is waited for in vain.
    round(&mut rig, &[]);
    assert_eq!(told(&mut rig), []);
    rig.now = rig.now.plus(10 * 60_000);
    idle(&mut rig);
    let now = around(&rig, [true, false]);
    assert!(looks(&mut rig, now));
    assert_eq!(told(&mut rig), [too_few(&rig, &[2, 3])]);
    for again in [true, false] {
        round(&mut rig, &[2, 3]);
        let agreed = told(&mut rig);
        assert!(matches!(agreed[..], [News::Agreed { again: told, .. }] if told == again));
        rig.append();
    }
}

#[test]
fn a_round_begins_again_when_who_was_missing_can_report() {
    let mut rig = Rig::leading();
    round(&mut rig, &[2]);
    let mut look = |readable| {
        idle(&mut rig);
        let around = around(&rig, readable);
        assert!(looks(&mut rig, around));
        rig.append()
    };
    for _ in 0..9 {
        assert!(!look([true, true]), "it has just been asked");
    }
    assert!(!look([true, false]), "it could not answer now, either");
    assert!(look([true, true]), "a round begins");
    told(&mut rig);
    report(&mut rig, &[2, 3]);
    assert!(matches!(told(&mut rig)[..], [News::Agreed { again: true, .. }]));
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
