//! What a replica asks the others before it leads, and when it misses a record.

use crate::rig::{LOG, Rig, genesis};
use cortado_driver::{
    Action, Event, Folded, JobId, LogExtent, News, PeerAnswers, PeerStanding, PeerState,
    ReplicaRole, Reply, Surroundings,
};
use cortado_model::{Generation, LogOffset, NodeId, ReplicaIncarnation, Scn, Sequence, WallMillis};
use cortado_replica::{
    Barrier, Body, ChainHash, Claim, ClaimReason, Claimant, Header, HistoryPoint, NotDone,
    ReadNeed, Record, StepDown, Transaction, encode,
};

pub(crate) fn scn(generation: u32, sequence: u64) -> Scn {
    Scn::new(Generation(generation), Sequence(sequence))
}

/// A record of node 2, behind what the replica has folded.
pub(crate) fn of_node_2(rig: &mut Rig, scn: Scn, body: Body) {
    let incarnation = ReplicaIncarnation::default();
    let header = Header { scn, node: NodeId(2), incarnation, time: WallMillis(0) };
    let chain = rig.driver.fold().map(|fold| fold.chain).unwrap_or_default();
    let record = Record { header, body };
    rig.log.push(encode(genesis().identity.partition, &record, chain).0);
    rig.log_end();
}

/// A follower of node 2, which has opened generation 1.
pub(crate) fn following() -> Rig {
    follow(Rig::new())
}

/// The same of a replica that has folded its genesis.
pub(crate) fn follow(mut rig: Rig) -> Rig {
    let claim = Claim { reason: ClaimReason::NeverLed, evidence: 0, seen: Scn::ZERO };
    of_node_2(&mut rig, scn(1, 0), Body::Claim(claim));
    let opening = rig.driver.fold().and_then(|fold| fold.claimant).map(|claimant| claimant.over);
    of_node_2(&mut rig, scn(1, 1), Body::Barrier(Barrier { opening }));
    rig
}

fn claim(rig: &mut Rig) {
    rig.on(Event::Claim { reason: ClaimReason::LeaderDead, evidence: 0 });
    rig.settle();
}

/// It has claimed generation 2.
fn claiming() -> Rig {
    let mut rig = following();
    claim(&mut rig);
    assert!(rig.append(), "it has claimed");
    rig
}

/// The question that is asked now, if one is.
fn take_question(rig: &mut Rig) -> Option<JobId> {
    let asks = |action: &Action<_>| matches!(action, Action::AskPeers(_));
    let at = rig.wanted.iter().position(asks)?;
    match rig.wanted.remove(at) {
        Some(Action::AskPeers(job)) => Some(job),
        _ => None,
    }
}

/// Who is asked to claim now.
fn take_plea(rig: &mut Rig) -> Option<NodeId> {
    let asks = |action: &Action<_>| matches!(action, Action::AskToClaim { .. });
    let at = rig.wanted.iter().position(asks)?;
    match rig.wanted.remove(at) {
        Some(Action::AskToClaim { node }) => Some(node),
        _ => None,
    }
}

/// Another replica, as far as this one and with the same.
fn peer(rig: &Rig, node: u32) -> PeerStanding {
    let standing = rig.driver.standing(WallMillis(0));
    PeerStanding { node: NodeId(node), role: ReplicaRole::Follower, ..standing }
}

fn with(peer: PeerStanding, change: impl FnOnce(Folded) -> Folded) -> PeerStanding {
    PeerStanding { folded: peer.folded.map(change), ..peer }
}

/// The same, that has accepted one record more before the claim.
fn with_more(peer: PeerStanding) -> PeerStanding {
    with(peer, |folded| {
        let over = HistoryPoint { scn: scn(1, 2), chain: ChainHash(7) };
        let accepted = HistoryPoint { chain: ChainHash(8), ..folded.accepted };
        let claimant = folded.claimant.map(|claimant| Claimant { over, ..claimant });
        Folded { accepted, claimant, ..folded }
    })
}

/// The same, before the claim.
fn before_claim(peer: PeerStanding) -> PeerStanding {
    with(peer, |folded| Folded { generation: Generation(1), ..folded })
}

fn answer(rig: &mut Rig, job: JobId, heard: &[PeerStanding], unheard: usize) {
    let heard = heard.to_vec();
    rig.on(Event::Peers(job, PeerAnswers { heard, unheard, placed: 3, may_claim: true }));
    rig.settle();
}

fn pass(rig: &mut Rig, ms: u64) {
    rig.now = rig.now.plus(ms);
    rig.on(Event::Tick);
    rig.settle();
}

fn is_told(rig: &Rig, news: fn(&News) -> bool) -> bool {
    rig.news.iter().any(news)
}

#[test]
fn a_claimant_opens_as_soon_as_all_who_live_have_the_same() {
    let mut rig = claiming();
    let job = take_question(&mut rig).expect("it asks");
    assert!(!rig.append(), "it opens nothing before");
    let same = [peer(&rig, 2), peer(&rig, 3)];
    answer(&mut rig, job, &same, 0);
    assert!(rig.append(), "it opens");
    assert_eq!(rig.driver.role(), ReplicaRole::Leader);
    assert!(
        !rig.driver.is_unverified() && !is_told(&rig, |n| matches!(n, News::Unverified { .. }))
    );
    pass(&mut rig, 5_000);
    assert_eq!(take_question(&mut rig), None, "it knows");
}

#[test]
fn a_claimant_waits_for_who_has_not_folded_its_claim_and_asks_again() {
    let mut rig = claiming();
    let mut job = take_question(&mut rig).expect("it asks");
    for pause_ms in [10, 20, 40, 80, 80] {
        let heard = [peer(&rig, 2), before_claim(peer(&rig, 3))];
        answer(&mut rig, job, &heard, 0);
        pass(&mut rig, pause_ms - 1);
        assert_eq!(take_question(&mut rig), None);
        pass(&mut rig, 1);
        job = take_question(&mut rig).expect("it asks again");
    }
    let heard = [peer(&rig, 2), peer(&rig, 3)];
    answer(&mut rig, job, &heard, 0);
    assert!(rig.append() && !rig.driver.is_unverified());
}

#[test]
fn answers_are_awaited_with_a_bound_and_the_first_that_comes_is_compared() {
    let mut rig = claiming();
    let job = take_question(&mut rig).expect("it asks");
    pass(&mut rig, 269); // of 300, of which 30 have passed
    assert!(!rig.append());
    pass(&mut rig, 1);
    assert!(rig.append(), "it opens though no replica has answered");
    assert!(rig.driver.is_unverified());
    assert!(is_told(&rig, |news| matches!(news, News::Unverified { .. })));
    answer(&mut rig, job, &[], 2);
    pass(&mut rig, 1_000);
    let job = take_question(&mut rig).expect("it goes on asking");
    let comes = [peer(&rig, 3)];
    answer(&mut rig, job, &comes, 0);
    assert!(!rig.driver.is_unverified());
    assert!(is_told(&rig, |news| matches!(news, News::Verified { .. })));
}

#[test]
fn who_opens_alone_compares_with_the_replica_that_is_placed_later() {
    let mut rig = claiming();
    let answer_of = |rig: &mut Rig, job, heard: &[PeerStanding], placed| {
        let heard = heard.to_vec();
        rig.on(Event::Peers(job, PeerAnswers { heard, unheard: 0, placed, may_claim: true }));
        rig.settle();
    };
    let job = take_question(&mut rig).expect("it asks");
    answer_of(&mut rig, job, &[], 1);
    assert!(rig.append() && rig.driver.is_unverified(), "nobody is waited for");
    pass(&mut rig, 10);
    let job = take_question(&mut rig).expect("it asks on");
    answer_of(&mut rig, job, &[], 1);
    for _ in 0..2 {
        pass(&mut rig, 9_999);
        assert_eq!(take_question(&mut rig), None, "there may be none for years");
        pass(&mut rig, 1);
        let job = take_question(&mut rig).expect("it asks now and then");
        answer_of(&mut rig, job, &[], 1);
        assert!(rig.driver.is_unverified());
    }
    pass(&mut rig, 10_000);
    let job = take_question(&mut rig).expect("it asks now and then");
    let comes = [peer(&rig, 2)];
    answer_of(&mut rig, job, &comes, 2);
    assert!(!rig.driver.is_unverified());
    pass(&mut rig, 60_000);
    assert_eq!(take_question(&mut rig), None, "it knows");
}

#[test]
fn who_finds_another_history_when_it_leads_says_so_and_a_person_decides() {
    let mut rig = claiming();
    let job = take_question(&mut rig).expect("it asks");
    let comes = PeerStanding { role: ReplicaRole::Offline, ..with_more(peer(&rig, 2)) };
    pass(&mut rig, 300);
    assert!(rig.append());
    answer(&mut rig, job, &[comes], 0);
    assert!(is_told(&rig, |news| matches!(news, News::Diverged { opened: true, .. })));
    assert_eq!((rig.driver.role(), take_plea(&mut rig)), (ReplicaRole::Leader, None));
}

#[test]
fn a_claimant_that_lacks_what_another_has_does_not_open_and_asks_that_one_to_claim() {
    let mut rig = claiming();
    rig.read(1, ReadNeed::Applied(scn(1, 2)));
    let job = take_question(&mut rig).expect("it asks");
    let heard = [peer(&rig, 2), with_more(peer(&rig, 3))];
    answer(&mut rig, job, &heard, 0);
    assert!(!rig.append() && rig.driver.role() == ReplicaRole::Diverged);
    assert_eq!(take_plea(&mut rig), Some(NodeId(3)));
    assert_eq!(rig.reply(1), Some(&Reply::NotDone(NotDone::Offline)));
    rig.read(2, ReadNeed::Applied(scn(1, 1)));
    assert_eq!(rig.reply(2), Some(&Reply::NotDone(NotDone::Offline)));
    claim(&mut rig);
    assert!(!rig.append(), "it is no candidate");
    pass(&mut rig, 1_000);
    let job = take_question(&mut rig).expect("the plea may have been lost");
    answer(&mut rig, job, &heard, 0);
    assert_eq!(take_plea(&mut rig), Some(NodeId(3)));
    assert!(!rig.wanted.iter().any(|action| matches!(action, Action::ClearStore(_))));
}

#[test]
fn the_successor_that_a_step_down_names_asks_no_replica() {
    for (to, asks) in [(Some(NodeId(1)), false), (Some(NodeId(3)), true), (None, true)] {
        let mut rig = following();
        of_node_2(&mut rig, scn(1, 2), Body::StepDown(StepDown { to }));
        claim(&mut rig);
        assert!(rig.append(), "it has claimed");
        assert_eq!(take_question(&mut rig).is_some(), asks, "{to:?}");
    }
}

/// A follower in a gap: 1:2 is missing at offset 3.
fn missing() -> Rig {
    let mut rig = following();
    of_node_2(&mut rig, scn(1, 3), Body::Barrier(Barrier::default()));
    assert!(is_told(&rig, |news| matches!(news, News::GapBegan(_))));
    rig
}

fn accepted(peer: PeerStanding, sequence: u64, below: u64) -> PeerStanding {
    with(peer, |folded| {
        let accepted = HistoryPoint { scn: scn(1, sequence), ..folded.accepted };
        Folded { accepted, below: LogOffset(below), ..folded }
    })
}

#[test]
fn who_alone_has_lost_a_record_copies_from_who_has_it() {
    let mut rig = missing();
    let job = take_question(&mut rig).expect("it asks whose gap it is in");
    claim(&mut rig);
    assert!(!rig.append(), "it is no candidate before it knows");
    let heard = [peer(&rig, 2), accepted(peer(&rig, 3), 3, 5)];
    answer(&mut rig, job, &heard, 0);
    assert_eq!(rig.driver.role(), ReplicaRole::Follower, "n3 has folded more than this one");
    rig.log.push("a stranger's".into());
    rig.log_end();
    assert!(is_told(&rig, |news| matches!(news, News::LostRecord { .. })));
    assert_eq!(rig.driver.role(), ReplicaRole::Restoring);
    let job = rig.take_ask();
    let extent = LogExtent { log: LOG, first: LogOffset::ZERO, end: LogOffset(5) };
    rig.on(Event::Extent(job, Ok(extent)));
    let around = rig.wanted.pop_back();
    let Some(Action::LookAround(job)) = around else { panic!("it asks who can help: {around:?}") };
    let peer = |node, serves| PeerState {
        node: NodeId(node),
        readable: true,
        has_room: true,
        serves,
        folded: LogOffset(9),
    };
    let peers = vec![peer(2, true), peer(3, false)];
    rig.on(Event::Around(job, Surroundings { peers, ..Surroundings::default() }));
    let from = |action: &Action<_>| match action {
        Action::InstallSnapshot { from, .. } => Some(*from),
        _ => None,
    };
    assert_eq!(rig.wanted.iter().find_map(from), Some(NodeId(3)), "n2 may be in the same gap");
}

#[test]
fn who_is_in_the_gap_of_all_stays_a_candidate() {
    let mut rig = missing();
    let job = take_question(&mut rig).expect("it asks");
    let heard = [peer(&rig, 2), peer(&rig, 3)];
    answer(&mut rig, job, &heard, 0);
    claim(&mut rig);
    assert!(rig.append(), "no replica has what is missing");
}

#[test]
fn the_age_of_a_state_that_may_lack_a_record_is_unknown() {
    let mut rig = following();
    assert!(!rig.driver.may_lack_record());
    rig = missing();
    assert!(rig.driver.may_lack_record(), "it asks whose gap it is in");
    let job = take_question(&mut rig).expect("it asks");
    let heard = [peer(&rig, 2), accepted(peer(&rig, 3), 3, 9)];
    answer(&mut rig, job, &heard, 0);
    assert!(rig.driver.may_lack_record(), "n3 has what it may still find");
    of_node_2(&mut rig, scn(1, 2), Body::Barrier(Barrier::default()));
    assert!(!rig.driver.may_lack_record(), "it has found it");

    let mut rig = missing();
    let job = take_question(&mut rig).expect("it asks");
    let heard = [peer(&rig, 2), peer(&rig, 3)];
    answer(&mut rig, job, &heard, 0);
    assert!(!rig.driver.may_lack_record(), "no replica has it");
}

#[test]
fn a_replica_that_hears_no_other_stays_a_candidate() {
    let mut rig = missing();
    assert!(take_question(&mut rig).is_some());
    let wait_ms = 550; // D·(1+ρ)
    pass(&mut rig, wait_ms - 1);
    claim(&mut rig);
    assert!(!rig.append());
    pass(&mut rig, wait_ms);
    claim(&mut rig);
    assert!(rig.append());
}

#[test]
fn a_gap_that_closes_was_none() {
    let mut rig = missing();
    let job = take_question(&mut rig).expect("it asks");
    let heard = [accepted(peer(&rig, 2), 3, 9)];
    answer(&mut rig, job, &heard, 1);
    of_node_2(&mut rig, scn(1, 2), Body::Barrier(Barrier::default()));
    pass(&mut rig, 5_000);
    assert!(!is_told(&rig, |news| matches!(news, News::LostRecord { .. })));
    claim(&mut rig);
    assert!(rig.append());
}

#[test]
fn a_question_that_is_never_answered_is_asked_again() {
    let mut rig = claiming();
    assert!(take_question(&mut rig).is_some());
    pass(&mut rig, 300);
    assert!(rig.append());
    assert_eq!(take_question(&mut rig), None);
    pass(&mut rig, 1_000);
    assert!(take_question(&mut rig).is_some());
}

/// It disputes generation 2 of node 2, whose leader has lost a write.
pub(crate) fn disputing() -> Rig {
    let mut rig = following();
    of_node_2(&mut rig, scn(1, 2), Body::Transaction(Transaction::default()));
    let claim = Claim { reason: ClaimReason::LeaderDead, evidence: 0, seen: Scn::ZERO };
    of_node_2(&mut rig, scn(2, 0), Body::Claim(claim));
    let opening = Some(HistoryPoint { scn: Scn::ZERO, chain: ChainHash(7) });
    of_node_2(&mut rig, scn(2, 1), Body::Barrier(Barrier { opening }));
    assert_eq!(rig.driver.role(), ReplicaRole::Disputed);
    assert!(is_told(&rig, |news| matches!(news, News::Disputed { .. })));
    rig
}

#[test]
fn who_disputes_a_leader_claims_if_most_do() {
    let mut rig = disputing();
    claim(&mut rig);
    assert!(!rig.append(), "detection alone lets it claim nothing");
    rig.read(1, ReadNeed::Applied(scn(1, 1)));
    assert_eq!(rig.reply(1), Some(&Reply::NotDone(NotDone::Offline)));
    let job = take_question(&mut rig).expect("it asks at once");
    let leader = with_more(peer(&rig, 2));
    answer(&mut rig, job, &[leader], 1);
    assert!(!rig.append(), "it is one of three");
    pass(&mut rig, 1_000);
    let job = take_question(&mut rig).expect("it asks again");
    let same = peer(&rig, 3);
    answer(&mut rig, job, &[leader, same], 0);
    assert!(rig.append(), "it is one of two of three");
    let fold = rig.driver.fold().expect("it lives");
    assert_eq!(fold.claimant.map(|won| (won.node, won.over.scn)), Some((NodeId(1), scn(1, 2))));
}

/// As a router, or a life that has not registered: what the others say is not for it to act on.
#[test]
fn who_may_not_claim_leaves_a_dispute_to_the_others() {
    let mut rig = disputing();
    let job = take_question(&mut rig).expect("it asks at once");
    let heard = vec![with_more(peer(&rig, 2)), peer(&rig, 3), peer(&rig, 4)];
    let answers = PeerAnswers { heard, unheard: 0, placed: 3, may_claim: false };
    rig.on(Event::Peers(job, answers.clone()));
    rig.settle();
    assert!(!rig.append(), "it may not, though all others dispute the leader");
    pass(&mut rig, 1_000);
    let job = take_question(&mut rig).expect("it asks again");
    rig.on(Event::Peers(job, PeerAnswers { may_claim: true, ..answers }));
    rig.settle();
    assert!(rig.append(), "by now it has registered");
}

#[test]
fn who_disputes_a_leader_stands_still_when_that_serves() {
    let mut rig = disputing();
    let job = take_question(&mut rig).expect("it asks at once");
    of_node_2(&mut rig, scn(2, 2), Body::Transaction(Transaction::default()));
    assert!(rig.driver.stands_still() && rig.driver.role() == ReplicaRole::Disputed);
    let same = [peer(&rig, 2), peer(&rig, 3)];
    answer(&mut rig, job, &same, 0);
    assert!(!rig.append());
}
