//! Lives: how one begins, ends, and what follows.

use crate::rig::{Client, LOG, Rig, delete, put};
use cortado_driver::{
    Action, CopyError, CopyRefusal, Event, LogExtent, News, PeerState, ReplicaRole, Reply,
    Surroundings, SurveyError, UnknownWhy,
};
use cortado_model::{Generation, LogId, LogOffset, NodeId, Scn, StoreError};
use cortado_replica::{
    Body, ClaimReason, Config, FEATURE_LEVEL_MAX, Frame, NotDone, ReadNeed, ReplicaSet, StepDown,
};

fn full() -> StoreError {
    StoreError::Full { why: "no space".to_owned() }
}

/// A leader with a write whose batch the store is about to answer.
fn applying() -> Rig {
    let mut rig = Rig::leading();
    rig.write(0, put("w"), None);
    rig.append();
    rig.write(1, put("x"), None);
    rig.inline = false;
    rig.append();
    rig
}

#[test]
fn a_life_that_ends_answers_all_callers_and_waits_for_its_batch() {
    let mut rig = applying();
    rig.read(2, ReadNeed::Folded(LogOffset(99)));
    rig.write(3, put("y"), None);
    rig.on(Event::Condemned { why: "it differs".to_owned() });
    assert_eq!(rig.reply(1), Some(&Reply::Unknown(UnknownWhy::LeaderLost)));
    assert_eq!(rig.reply(2), Some(&Reply::NotDone(NotDone::Offline)));
    assert_eq!(rig.reply(3), Some(&Reply::NotDone(NotDone::Offline)), "it was only looked up");
    assert_eq!(rig.driver.role(), ReplicaRole::Offline);
    let (job, batch) = rig.take_apply().unwrap();
    let waits = |action: &Action<_>| matches!(action, Action::AskExtent(_));
    assert!(!rig.wanted.iter().any(waits), "the store is still at work");
    rig.applied(job, batch);
    assert!(rig.wanted.iter().any(waits) && rig.driver.role() == ReplicaRole::Restoring);
}

#[test]
fn a_leader_that_must_end_leaves_a_step_down_behind() {
    let mut rig = Rig::leading();
    rig.on(Event::Condemned { why: "it differs".to_owned() });
    assert!(rig.take_append().is_some());
}

#[test]
fn a_leader_steps_down_when_another_replica_has_met_a_store_that_failed() {
    let mut rig = Rig::leading();
    rig.on(Event::StoreFailed { why: "gone".to_owned() });
    assert!(rig.take_append().is_some() && rig.driver.role() == ReplicaRole::Offline);
}

#[test]
fn a_full_store_is_waited_for_and_found_again() {
    let mut rig = applying();
    rig.fail_apply(full());
    assert_eq!(rig.reply(1), Some(&Reply::Unknown(UnknownWhy::LeaderLost)));
    assert_eq!(rig.driver.role(), ReplicaRole::Full);
    rig.take_append();
    for answer in [Err(full()), Ok(())] {
        rig.now = rig.driver.wake_at().expect("it looks again");
        rig.settle();
        let Action::ProbeStore(job) = rig.take() else { panic!("the store is tried") };
        rig.on(Event::Probed(job, answer));
    }
    assert!(rig.driver.role() != ReplicaRole::Full && rig.news.contains(&News::HasRoom));
    rig.survey(LOG, 0);
    rig.inline = true;
    rig.settle();
    rig.log_end();
    assert_eq!(
        rig.driver.incarnation().life,
        2,
        "other replicas must tell it from the life before"
    );
}

#[test]
fn a_leader_whose_state_alone_finds_no_room_leads_on() {
    let mut rig = Rig::new();
    rig.inline = false;
    let mut rig = rig.lead();
    rig.fail_apply(full());
    assert_eq!(rig.driver.role(), ReplicaRole::Leader);
    rig.inline = true;
    rig.write(0, put("w"), None);
    rig.append();
    rig.is_written(0);
}

/// A replica that has led and claims again, with a batch on its way into its store.
fn claiming() -> Rig {
    let mut rig = applying();
    rig.on(Event::HandOff { caller: Client(2), to: Some(NodeId(1)) });
    rig.settle();
    rig.append();
    rig.on(Event::Claim { reason: ClaimReason::SteppedDown, evidence: 0 });
    rig.settle();
    rig
}

#[test]
fn a_claimant_that_finds_no_room_opens_its_generation_and_steps_down() {
    let mut rig = claiming();
    rig.append();
    rig.fail_apply(full());
    assert_eq!(rig.driver.role(), ReplicaRole::Opening, "others take it for their leader");
    rig.append();
    assert_eq!(rig.driver.role(), ReplicaRole::Full);
    let records = rig.take_append().expect("it gives the leadership up");
    let body = Frame::read_any(&records[0]).unwrap().record().unwrap().body;
    assert_eq!(body, Body::StepDown(StepDown { to: None }));
}

#[test]
fn a_claimant_that_finds_no_room_does_not_wait_for_ever() {
    let mut rig = claiming();
    rig.fail_apply(full());
    assert_eq!(rig.driver.role(), ReplicaRole::Candidate);
    rig.now = rig.now.plus(5_000);
    rig.settle();
    assert_eq!(rig.driver.role(), ReplicaRole::Full);
}

#[test]
fn a_failed_store_is_told_of_and_opened_again() {
    let mut rig = applying();
    rig.fail_apply(StoreError::Failed { why: "gone".to_owned() });
    let failed = rig.wanted.iter().any(|action| matches!(action, Action::FailStore { .. }));
    assert!(failed && rig.driver.role() == ReplicaRole::Offline);
}

/// Found by the simulator (`full`, seed 3): a batch that had failed was awaited for ever.
#[test]
fn a_damaged_store_is_built_anew_at_once() {
    let mut rig = applying();
    rig.fail_apply(StoreError::Damaged { why: "a bit".to_owned() });
    assert_eq!(rig.reply(1), Some(&Reply::Unknown(UnknownWhy::LeaderLost)));
    assert_eq!(rig.driver.role(), ReplicaRole::Restoring);
    rig.take_ask();
}

/// Found by the simulator (`unusable`, seed 14): a new life waited to be told of an end that its
/// survey had told already.
#[test]
fn a_life_knows_the_end_that_its_survey_has_told() {
    let mut rig = Rig::clearing();
    rig.clear();
    assert_eq!(rig.driver.applied().1, LogOffset::ZERO);
    rig.pass();
    assert_eq!(rig.driver.applied().1, LogOffset(1));
}

#[test]
fn an_end_that_is_told_before_a_life_begins_counts() {
    let mut rig = Rig::clearing();
    rig.log.push("a stranger's".into());
    rig.on(Event::LogEnd(LogOffset(2)));
    rig.clear();
    rig.pass();
    assert_eq!(rig.driver.applied().1, LogOffset(2));
}

/// A replica that has nothing, with a log of three records, of which it folds at most two.
fn joining() -> Rig {
    let mut rig = Rig::surveying_with(LOG, |settings| settings.copy_beyond_records = 2);
    rig.log.extend(["a stranger's", "another"].map(Into::into));
    rig.survey(LOG, 0);
    let Action::ClearStore(job) = rig.take() else { panic!("the store is not cleared") };
    rig.on(Event::Cleared(job, Ok(())));
    let Action::AskExtent(job) = rig.take() else { panic!("it begins to fold") };
    rig.on(Event::Extent(job, Ok(OF_THREE)));
    rig
}

const OF_THREE: LogExtent = LogExtent { log: LOG, first: LogOffset::ZERO, end: LogOffset(3) };

#[test]
fn a_replica_that_has_nothing_copies_one_where_its_log_is_long() {
    let mut rig = joining();
    let Action::LookAround(job) = rig.take() else { panic!("nobody is looked for") };
    let peer = PeerState {
        node: NodeId(2),
        readable: true,
        has_room: true,
        serves: false,
        folded: LogOffset(3),
    };
    let peers = vec![peer];
    let around = Surroundings { peers, holders: Vec::new(), log_bytes: 0, state_bytes: 0 };
    rig.on(Event::Around(job, around));
    let Action::InstallSnapshot { from, .. } = rig.take() else { panic!("nothing is copied") };
    assert_eq!(from, NodeId(2));
}

#[test]
fn a_replica_that_finds_nobody_to_copy_folds_its_log_however_long() {
    let mut rig = joining();
    let around =
        || Surroundings { peers: Vec::new(), holders: Vec::new(), log_bytes: 0, state_bytes: 0 };
    let mut looks = 0;
    // Others may have told nothing yet of how far they are.
    while !matches!(rig.wanted.front(), Some(Action::ClearStore(_))) {
        let Action::LookAround(job) = rig.take() else { panic!("nobody is looked for") };
        rig.on(Event::Around(job, around()));
        looks += 1;
        if let Some(next) = rig.driver.wake_at().filter(|_| rig.wanted.is_empty()) {
            rig.now = next;
            rig.on(Event::Tick);
            let job = rig.take_ask();
            rig.on(Event::Extent(job, Ok(OF_THREE)));
        }
    }
    assert!(looks > 1);
    for _ in 0..2 {
        rig.clear();
        if rig.driver.role() == ReplicaRole::Follower {
            break;
        }
        rig.survey(LOG, 0);
    }
    rig.pass();
    assert_eq!(rig.driver.applied().1, LogOffset(3));
}

#[test]
fn only_a_leader_publishes_facts() {
    let lease = || Event::Configure(Config::Lease { duration_ms: 77 });
    let mut rig = Rig::new();
    rig.on(lease());
    rig.settle();
    assert!(!rig.append(), "a follower passes it over");
    let mut rig = Rig::leading();
    rig.on(lease());
    rig.settle();
    assert!(rig.append());
    assert_eq!(rig.driver.fold().map(|fold| fold.leases.duration_ms), Some(77));
    rig.on(Event::Configure(Config::Feature { level: FEATURE_LEVEL_MAX + 1 }));
    rig.settle();
    assert!(!rig.append(), "a leader publishes nothing that it cannot read");
}

#[test]
fn a_replica_set_is_changed_by_one_node_and_only_from_what_it_was() {
    let set = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<ReplicaSet>();
    let mut rig = Rig::leading();
    let state = |rig: &Rig| {
        let fold = rig.driver.fold().expect("it runs");
        (fold.generation(), fold.replicas.clone())
    };
    let (generation, first) = state(&rig);
    let nodes: Vec<u32> = first.nodes().iter().map(|node| node.0).collect();
    let more: Vec<u32> = nodes.iter().copied().chain([9]).collect();
    let change = |from: &[u32], to: &[u32], generation| Event::ChangeReplicas {
        generation,
        from: set(from),
        to: set(to),
    };
    for refused in [
        // An order of an earlier leadership, or one that rests on another set.
        change(&nodes, &more, Generation(generation.0 - 1)),
        change(&more, &nodes, generation),
        // Two nodes at once, no node at all, or not the leader.
        change(&nodes, &[more.as_slice(), &[10]].concat(), generation),
        change(&nodes, &[], generation),
        change(&nodes, &nodes[1..], generation),
        Event::Configure(Config::Replicas(set(&more))),
    ] {
        rig.on(refused);
        rig.settle();
        assert!(!rig.append());
    }
    rig.on(change(&nodes, &more, generation));
    // The same once more, and another one that would cross it.
    rig.on(change(&nodes, &more, generation));
    rig.on(change(&nodes, &[nodes.as_slice(), &[8]].concat(), generation));
    rig.settle();
    assert!(rig.append());
    assert_eq!(state(&rig).1, set(&more));
    assert_eq!(rig.driver.leadership().replicas, set(&more));
    rig.on(change(&more, &nodes, generation));
    rig.settle();
    assert!(rig.append());
    assert_eq!(state(&rig).1, first);
}

#[test]
fn another_log_is_not_read_and_nothing_is_deleted() {
    let mut rig = Rig::surveying(LOG);
    rig.survey(LogId(10), 0);
    rig.settle();
    assert!(rig.driver.stands_still() && rig.wanted.is_empty());
    rig.read(1, ReadNeed::Applied(Scn::ZERO));
    assert_eq!(rig.reply(1), Some(&Reply::NotDone(NotDone::Offline)));
    rig.on(Event::Stop);
    assert!(rig.ended);
}

#[test]
fn a_log_that_ends_below_the_checkpoint_is_left_alone_and_looked_at_again() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.append();
    let checkpoint = rig.checkpoint.clone();
    let mut rig = Rig::surveying(LOG);
    rig.checkpoint = checkpoint;
    rig.survey(LOG, 0);
    rig.settle();
    assert_eq!(rig.driver.role(), ReplicaRole::Disputed);
    assert!(rig.wanted.is_empty() && !rig.driver.stands_still());
    assert!(matches!(rig.news[..], [News::Contradicted { at: None, .. }]), "{:?}", rig.news);
    rig.now = rig.driver.wake_at().expect("it looks again");
    rig.settle();
    rig.survey(LOG, 0);
    assert_eq!(rig.news.len(), 1, "told once");
}

#[test]
fn a_log_that_is_out_of_reach_first_and_then_gone_is_told_as_both() {
    let mut rig = Rig::surveying(LOG);
    for why in ["out of reach", "out of reach", "does not exist", "does not exist"] {
        let Action::Survey(job) = rig.take() else { panic!("no survey is wanted") };
        rig.on(Event::Surveyed(job, Err(SurveyError::Log { why: why.to_owned() })));
        rig.now = rig.driver.wake_at().expect("it looks again");
        rig.settle();
    }
    let reasons = rig.news.iter().filter_map(|news| match news {
        News::Contradicted { at: None, why } => Some(why.as_str()),
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["out of reach", "does not exist"]);
}

/// Answers a replica that is built anew, whose log begins at `first`: these `peers` can help.
fn look_around(rig: &mut Rig, first: u64, peers: Vec<PeerState>) {
    let Action::AskExtent(job) = rig.take() else { panic!("the log is asked") };
    let extent = LogExtent { log: LOG, first: LogOffset(first), end: LogOffset(9) };
    rig.on(Event::Extent(job, Ok(extent)));
    let Action::LookAround(job) = rig.take() else { panic!("it asks who can help") };
    rig.on(Event::Around(job, Surroundings { peers, ..Surroundings::default() }));
}

#[test]
fn a_replica_behind_the_log_copies_from_who_can_help_and_from_the_next_if_not() {
    let mut rig = Rig::surveying(LOG);
    rig.survey(LOG, 5);
    rig.clear();
    assert_eq!((rig.driver.role(), rig.driver.restorations()), (ReplicaRole::Restoring, 1));
    let peer = |node, folded| PeerState {
        node: NodeId(node),
        readable: true,
        has_room: true,
        serves: node == 3,
        folded: LogOffset(folded),
    };
    let peers = vec![peer(2, 9), peer(3, 8), peer(4, 4)];
    look_around(&mut rig, 5, peers);
    let Action::InstallSnapshot { job, from: NodeId(3) } = rig.take() else { panic!("not n3") };
    rig.on(Event::Installed(job, Err(CopyError::Refused(CopyRefusal::Gone))));
    let Action::InstallSnapshot { job, from: NodeId(2) } = rig.take() else { panic!("not n2") };
    rig.on(Event::Installed(job, Ok((Scn::ZERO, LogOffset(9)))));
    assert!(matches!(rig.take(), Action::Survey(_)));
}

#[test]
fn a_store_that_takes_no_snapshot_is_given_no_other_one_at_once() {
    let mut rig = Rig::surveying(LOG);
    rig.survey(LOG, 5);
    rig.clear();
    let peer = |node| PeerState {
        node: NodeId(node),
        readable: true,
        has_room: true,
        serves: false,
        folded: LogOffset(9),
    };
    let peers = vec![peer(2), peer(3)];
    look_around(&mut rig, 5, peers);
    let Action::InstallSnapshot { job, .. } = rig.take() else { panic!("nothing is copied") };
    rig.on(Event::Installed(job, Err(CopyError::Store(full()))));
    assert!(rig.wanted.is_empty() && rig.driver.role() == ReplicaRole::Offline);
    let failed = rig.news.iter().find_map(|news| match news {
        News::SnapshotFailed { why, .. } => Some(why.as_str()),
        _ => None,
    });
    let want = "the snapshot cannot be written into the store: the store is full: no space";
    assert_eq!(failed, Some(want));
    rig.now = rig.driver.wake_at().expect("there may be room later");
    rig.settle();
    assert!(matches!(rig.take(), Action::Survey(_)));
}

#[test]
fn a_store_that_fails_under_a_snapshot_is_opened_again() {
    let mut rig = Rig::surveying(LOG);
    rig.survey(LOG, 5);
    rig.clear();
    let (node, folded) = (NodeId(2), LogOffset(9));
    let peer = PeerState { node, readable: true, has_room: true, serves: true, folded };
    look_around(&mut rig, 5, vec![peer]);
    let Action::InstallSnapshot { job, .. } = rig.take() else { panic!("nothing is copied") };
    let failed = StoreError::Failed { why: "gone".to_owned() };
    rig.on(Event::Installed(job, Err(CopyError::Store(failed))));
    assert!(matches!(rig.take(), Action::FailStore { .. }), "{:?}", rig.wanted);
}

#[test]
fn a_replica_does_not_throw_away_what_no_other_has() {
    let mut rig = Rig::surveying(LOG);
    rig.survey(LOG, 5);
    rig.clear();
    look_around(&mut rig, 5, Vec::new());
    assert!(rig.wanted.is_empty() && rig.driver.role() == ReplicaRole::Offline);
    assert!(rig.driver.wake_at().is_some(), "a replica that can help may come");
}

#[test]
fn a_state_that_is_wrong_is_not_served_while_another_replica_can_help() {
    let mut rig = Rig::leading();
    rig.append();
    rig.on(Event::Condemned { why: "it differs".to_owned() });
    let leader = PeerState {
        node: NodeId(2),
        readable: true,
        has_room: true,
        serves: true,
        folded: LogOffset(9),
    };
    let mut rests = Vec::new();
    for _ in 0..3 {
        rig.wanted.retain(|action| matches!(action, Action::AskExtent(_)));
        look_around(&mut rig, 1, vec![leader]);
        let Action::InstallSnapshot { job, .. } = rig.take() else { panic!("nothing is copied") };
        rig.on(Event::Installed(job, Err(CopyError::Store(full()))));
        assert!(rig.wanted.is_empty() && rig.driver.role() == ReplicaRole::Restoring);
        let again = rig.driver.wake_at().expect("it tries again");
        rests.push(again.since(rig.now));
        rig.now = again;
        rig.settle();
    }
    assert_eq!(rests, [5_000, 10_000, 20_000]);
    // What is left may be all there is.
    look_around(&mut rig, 1, Vec::new());
    assert_eq!(rig.driver.role(), ReplicaRole::Offline);
    rig.now = rig.driver.wake_at().expect("it goes on");
    rig.settle();
    assert!(matches!(rig.take(), Action::Survey(_)));
}

#[test]
fn a_driver_that_is_told_to_stop_settles_what_it_has_begun() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.on(Event::Stop);
    rig.write(2, put("y"), None);
    assert_eq!(rig.reply(2), Some(&Reply::NotDone(NotDone::Changing)));
    assert!(!rig.ended);
    rig.append();
    rig.is_written(1);
    assert!(rig.ended);
}

#[test]
fn a_driver_that_is_told_twice_to_stop_ends_with_what_is_open() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.on(Event::Stop);
    rig.settle();
    assert!(!rig.ended && rig.reply(1).is_none());
    rig.on(Event::Stop);
    assert!(rig.ended);
    assert_eq!(rig.reply(1), Some(&Reply::Unknown(UnknownWhy::LeaderLost)));
}

#[test]
fn a_leader_without_room_removes_documents_all_the_same() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.append();
    rig.is_written(1);
    rig.on(Event::Room(false));
    rig.write(2, delete("x"), None);
    let Action::LookAround(job) = rig.take() else { panic!("it looks for room") };
    rig.on(Event::Around(job, Surroundings::default()));
    rig.append();
    rig.is_written(2);
    rig.write(3, put("x"), None);
    assert_eq!(rig.reply(3), Some(&Reply::NotDone(NotDone::LogRefused)));
}

#[test]
fn a_leader_without_room_steps_down_for_a_replica_that_has_room() {
    let mut rig = Rig::leading();
    rig.on(Event::Room(false));
    rig.write(1, put("x"), None);
    assert_eq!(rig.reply(1), Some(&Reply::NotDone(NotDone::Changing)));
    let Action::LookAround(job) = rig.take() else { panic!("it looks for room") };
    rig.on(Event::Around(job, Surroundings::default()));
    rig.write(2, put("x"), None);
    assert_eq!(rig.reply(2), Some(&Reply::NotDone(NotDone::LogRefused)), "there is none");
    let Action::LookAround(job) = rig.take() else { panic!("it looks again") };
    let peer = |node, has_room, folded| PeerState {
        node: NodeId(node),
        readable: true,
        has_room,
        serves: false,
        folded: LogOffset(folded),
    };
    let peers = vec![peer(2, true, 1), peer(3, true, 2), peer(4, false, 3)];
    rig.on(Event::Around(job, Surroundings { peers, ..Surroundings::default() }));
    rig.settle();
    assert!(rig.append(), "it steps down");
    assert_eq!(rig.driver.role(), ReplicaRole::Follower);
    let stepped_down = rig.driver.leadership().stepped_down;
    assert_eq!(stepped_down, Some(StepDown { to: Some(NodeId(3)) }), "who has room and most");
}
