//! What a replica in doubt makes of an operator's choice.

use crate::peers::{disputing, of_node_2, scn};
use crate::rig::{LOG, Rig};
use cortado_driver::{Action, Event, JobId, LookedThrough, ReplicaRole, Resolution};
use cortado_model::{Generation, LogOffset, LogPosition, NodeId, WallMillis};
use cortado_replica::{Body, ChainHash, Claim, ClaimReason, FoldState, HistoryPoint, Transaction};

/// It disputes a leader that has served.
fn in_doubt() -> Rig {
    let mut rig = disputing();
    of_node_2(&mut rig, scn(2, 2), Body::Transaction(Transaction::default()));
    assert_eq!(rig.driver.role(), ReplicaRole::Disputed);
    rig.wanted.clear();
    rig
}

fn own(rig: &Rig) -> HistoryPoint {
    rig.driver.standing(WallMillis(0)).folded.expect("it has folded").accepted
}

fn choose(rig: &mut Rig, keep: u32, own: HistoryPoint) {
    let resolution = Resolution { keep: NodeId(keep), own, beyond: LogOffset::ZERO };
    rig.on(Event::Resolve(resolution));
    rig.settle();
}

/// What its whole log is looked through for, if it is.
fn take_look(rig: &mut Rig) -> Option<JobId> {
    let looks = |action: &Action<_>| matches!(action, Action::LookThrough(_));
    let at = rig.wanted.iter().position(looks)?;
    match rig.wanted.remove(at) {
        Some(Action::LookThrough(job)) => Some(job),
        _ => None,
    }
}

fn looked_through(rig: &mut Rig, job: JobId, highest: u32) {
    let end = LogPosition { offset: LogOffset(rig.log.len() as u64), epoch: 0 };
    let (checkpoint, highest) = (rig.checkpoint.clone(), Generation(highest));
    let found = LookedThrough { log: LOG, checkpoint, end, highest };
    rig.on(Event::LookedThrough(job, Ok(found)));
    rig.settle();
}

#[test]
fn a_history_that_an_operator_has_chosen_goes_on_behind_the_log() {
    let mut rig = in_doubt();
    let (own, before) = (own(&rig), rig.checkpoint.clone());
    choose(&mut rig, 1, own);
    let job = take_look(&mut rig).expect("it looks through its log");
    looked_through(&mut rig, job, 4);
    let end = LogOffset(rig.log.len() as u64);
    assert_eq!(rig.driver.role(), ReplicaRole::Disputed, "the log does not say so yet");
    assert_eq!(rig.checkpoint, before, "nothing is stored");
    assert!(rig.append(), "it claims");
    let fold = rig.driver.fold().expect("it lives");
    assert_eq!(fold.claimant.map(|won| won.node), Some(NodeId(1)));
    assert_eq!((fold.generation(), fold.dispute()), (Generation(5), None), "above all others");
    let stored = FoldState::decode(&rig.checkpoint.clone().expect("it is stored")).expect("whole");
    assert_eq!((stored.generation(), stored.trimmed_below()), (Generation(5), end));
}

#[test]
fn what_the_operator_was_not_shown_is_left_alone() {
    let mut rig = in_doubt();
    let other = HistoryPoint { chain: ChainHash(1), ..own(&rig) };
    choose(&mut rig, 1, other);
    choose(&mut rig, 3, other);
    assert_eq!((take_look(&mut rig), rig.driver.role()), (None, ReplicaRole::Disputed));
    // Nor is one that is not in doubt.
    let mut rig = crate::peers::following();
    let own = own(&rig);
    choose(&mut rig, 1, own);
    choose(&mut rig, 3, own);
    assert_eq!((take_look(&mut rig), rig.driver.role()), (None, ReplicaRole::Follower));
}

#[test]
fn who_has_another_history_copies_and_keeps_its_own_until_then() {
    let mut rig = in_doubt();
    let own = own(&rig);
    choose(&mut rig, 3, own);
    assert_eq!(rig.driver.role(), ReplicaRole::Restoring);
    let cleared = rig.wanted.iter().any(|action| matches!(action, Action::ClearStore(_)));
    assert!(!cleared, "nothing is thrown away");
}

#[test]
fn a_claim_that_comes_first_ends_the_try() {
    let mut rig = in_doubt();
    let own = own(&rig);
    choose(&mut rig, 1, own);
    let job = take_look(&mut rig).expect("it looks through its log");
    looked_through(&mut rig, job, 2);
    let claims = rig.take_append().expect("it claims");
    let before = rig.checkpoint.clone();
    let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 0, seen: scn(2, 2) };
    of_node_2(&mut rig, scn(3, 0), Body::Claim(claim));
    assert_eq!((rig.driver.role(), claims.len()), (ReplicaRole::Disputed, 1));
    assert_eq!(rig.checkpoint, before, "it has what it had");
    // Told again, it is above that one.
    let own = self::own(&rig);
    choose(&mut rig, 1, own);
    let job = take_look(&mut rig).expect("it looks through its log again");
    looked_through(&mut rig, job, 3);
    assert!(rig.append());
    assert_eq!(rig.driver.fold().map(FoldState::generation), Some(Generation(4)));
}
