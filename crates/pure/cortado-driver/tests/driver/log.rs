//! The log: read in strides, recovered from its silence.

use crate::peers::{follow, scn};
use crate::rig::{APPEND_TIMEOUT_MS, LOG, Rig, genesis, key, put};
use cortado_driver::{
    Action, AskLog, Event, FollowError, LogExtent, LogLimits, News, RecordOutcome, ReplicaRole,
};
use cortado_model::{
    LogId, LogOffset, LogPosition, NodeId, ReplicaIncarnation, TableId, WallMillis,
};
use cortado_replica::{Body, Change, ClaimReason, Header, ReadNeed, Record, Transaction, encode};

fn end_of(rig: &Rig) -> LogExtent {
    LogExtent { log: LOG, first: LogOffset::ZERO, end: LogOffset(rig.log.len() as u64) }
}

#[test]
fn a_silent_producer_is_given_up_and_what_it_says_later_counts_for_nothing() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    let records = rig.take_append().unwrap();
    let silent = rig.producer;
    rig.now = rig.now.plus(APPEND_TIMEOUT_MS - 1);
    rig.settle();
    assert_eq!(rig.producer, silent);
    assert!(rig.driver.wake_at().is_some_and(|at| at <= rig.now.plus(1)));
    rig.now = rig.now.plus(1);
    rig.settle();
    assert!(rig.producer != silent && rig.news.contains(&News::ProducerAbandoned { appends: 1 }));
    // The record has landed all the same, and is found.
    rig.log.extend(records);
    rig.on(Event::Outcomes { producer: silent, outcomes: vec![RecordOutcome::NotAppended] });
    let job = rig.take_ask();
    rig.on(Event::Extent(job, Ok(end_of(&rig))));
    rig.settle();
    assert!(!rig.append(), "nothing is published again");
    rig.is_written(1);
}

#[test]
fn a_log_that_may_stall_for_longer_is_waited_for() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.take_append().unwrap();
    let silent = rig.producer;
    let limits = LogLimits { record_bytes_max: 1 << 20, append_timeout_ms: 3 * APPEND_TIMEOUT_MS };
    rig.driver.heed(limits);
    rig.now = rig.now.plus(3 * APPEND_TIMEOUT_MS - 1);
    rig.settle();
    assert_eq!(rig.producer, silent);
    rig.now = rig.now.plus(1);
    rig.settle();
    assert_ne!(rig.producer, silent);
}

/// A replica that is told to claim before it could read its log.
fn claiming_unread() -> Rig {
    let mut rig = Rig::clearing();
    rig.unread = Some(FollowError::Unavailable);
    rig.clear();
    rig.on(Event::Claim { reason: ClaimReason::NeverLed, evidence: 0 });
    rig.settle();
    while rig.reads < 1 {
        rig.pass();
    }
    assert_eq!(rig.driver.role(), ReplicaRole::Follower);
    rig
}

#[test]
fn a_life_claims_when_it_has_read_what_its_log_holds_and_no_sooner() {
    let mut rig = claiming_unread();
    assert!(!rig.append());
    while rig.reads < 2 {
        rig.pass();
    }
    assert_eq!(rig.driver.role(), ReplicaRole::Candidate);
    assert!(rig.append(), "it has claimed");
}

#[test]
fn in_a_log_that_was_cut_off_nothing_is_claimed() {
    let mut rig = claiming_unread();
    rig.unread = Some(FollowError::Truncated { end: LogOffset::ZERO });
    while rig.reads < 2 {
        rig.pass();
    }
    assert_eq!(rig.driver.role(), ReplicaRole::Disputed);
    assert!(!rig.append());
}

#[test]
fn what_is_not_in_the_log_is_published_again() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    let lost = rig.take_append().unwrap();
    let producer = rig.producer;
    rig.on(Event::Outcomes { producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    let job = rig.take_ask();
    rig.on(Event::Extent(job, Err(AskLog { why: "out of reach".to_owned() })));
    rig.settle();
    assert!(rig.wanted.is_empty(), "it is asked again in a while");
    rig.now = rig.driver.wake_at().expect("it is");
    rig.settle();
    let job = rig.take_ask();
    rig.on(Event::Extent(job, Ok(end_of(&rig))));
    rig.settle();
    let again = rig.take_append().expect("it is published again");
    assert_eq!(again, lost, "to the byte");
    assert_eq!(rig.reply(1), None);
    rig.log.extend(again);
    let at =
        RecordOutcome::At(LogPosition { offset: LogOffset(rig.log.len() as u64 - 1), epoch: 0 });
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![at] });
    rig.settle();
    rig.is_written(1);
}

/// The end of another log is none of this one's, wherever it lies.
#[test]
fn the_extent_of_a_log_that_has_taken_its_place_stops_the_replica() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.take_append().expect("the write is published");
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    let job = rig.take_ask();
    let other = LogExtent { log: LogId(8), ..end_of(&rig) };
    rig.on(Event::Extent(job, Ok(other)));
    rig.settle();
    assert!(!rig.append(), "nothing is published into it");
    assert!(rig.driver.stands_still());
}

/// A leader whose recovery is told an end before what it has folded, and what it reads there then.
#[track_caller]
fn check_an_end_in_the_past(unread: Option<FollowError>, role: ReplicaRole) {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.take_append().expect("the write is published");
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    let (job, reads) = (rig.take_ask(), rig.reads);
    rig.unread = unread;
    let end = LogOffset(rig.log.len() as u64 - 1);
    rig.on(Event::Extent(job, Ok(LogExtent { log: LOG, first: LogOffset(0), end })));
    rig.settle();
    assert_eq!(rig.reads, reads + 1, "it is found out which log that is");
    assert_eq!(rig.driver.role(), role);
    // An old end does no harm: what was not found is published again.
    assert_eq!(rig.append(), role == ReplicaRole::Leader);
}

#[test]
fn a_log_that_ends_before_what_was_folded_is_read_before_anything_is_published() {
    check_an_end_in_the_past(None, ReplicaRole::Leader);
    let truncated = FollowError::Truncated { end: LogOffset(1) };
    check_an_end_in_the_past(Some(truncated), ReplicaRole::Disputed);
    let replaced = FollowError::Replaced { found: LogId(8) };
    check_an_end_in_the_past(Some(replaced), ReplicaRole::Offline);
    check_an_end_in_the_past(Some(FollowError::Missing), ReplicaRole::Offline);
}

/// There is nothing to be read, and there will be nothing: who leads waits for it.
#[test]
fn an_end_in_the_past_is_asked_for_again() {
    let mut rig = Rig::leading();
    rig.pends = true;
    rig.write(1, put("x"), None);
    rig.take_append().expect("the write is published");
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    for _ in 0..2 {
        let job = rig.take_ask();
        let end = LogOffset(rig.log.len() as u64 - 1);
        rig.on(Event::Extent(job, Ok(LogExtent { log: LOG, first: LogOffset::ZERO, end })));
        rig.settle();
        assert!(!rig.append(), "it may be true");
        rig.now = rig.driver.wake_at().expect("it is asked again");
        rig.settle();
    }
    let job = rig.take_ask();
    rig.on(Event::Extent(job, Ok(end_of(&rig))));
    rig.settle();
    assert!(rig.append());
}

#[test]
fn a_log_that_fails_is_heard_of_though_nothing_new_is_there() {
    let mut rig = Rig::leading();
    rig.on(Event::LogFailed(FollowError::Unavailable));
    assert_eq!(rig.driver.role(), ReplicaRole::Leader);
    rig.on(Event::LogFailed(FollowError::Replaced { found: LogId(8) }));
    rig.settle();
    assert_eq!(rig.driver.role(), ReplicaRole::Offline);
    assert!(rig.driver.stands_still());
}

#[test]
fn what_comes_during_a_recovery_is_published_after_it() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    let landed = rig.take_append().unwrap();
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    let job = rig.take_ask();
    rig.write(2, put("y"), None);
    assert!(rig.take_append().is_none(), "the log must speak first");
    rig.log.extend(landed);
    rig.on(Event::Extent(job, Ok(end_of(&rig))));
    rig.settle();
    rig.is_written(1);
    assert_eq!(rig.reply(2), None, "the log has not refused it");
    assert!(rig.append());
    rig.is_written(2);
}

#[test]
fn recovery_waits_for_every_record_below_the_end() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    let records = rig.take_append().unwrap();
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    let job = rig.take_ask();
    // The end is told before the reader can see the record.
    let end = LogOffset(rig.log.len() as u64 + 1);
    rig.on(Event::Extent(job, Ok(LogExtent { log: LOG, first: LogOffset::ZERO, end })));
    rig.settle();
    assert!(!rig.append() && rig.reply(1).is_none());
    rig.log.extend(records);
    rig.now = rig.driver.wake_at().expect("it reads again");
    rig.settle();
    rig.is_written(1);
}

#[test]
fn a_driver_that_recovers_still_answers() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.take_append();
    rig.on(Event::Outcomes { producer: rig.producer, outcomes: vec![RecordOutcome::Perhaps] });
    rig.settle();
    // The log never tells its end.
    let folded = rig.driver.applied().1;
    rig.read(2, ReadNeed::Folded(folded));
    assert!(rig.reply(2).is_some());
    rig.on(Event::Condemned { why: "told so".to_owned() });
    rig.settle();
    assert_eq!(rig.driver.role(), ReplicaRole::Restoring);
    assert!(rig.reply(1).is_some(), "the caller is told");
}

/// Appends `count` transactions of node 2, of about 100 bytes each.
fn transact(rig: &mut Rig, count: u64) {
    let mut chain = rig.driver.fold().expect("it folds").chain;
    for sequence in 2..2 + count {
        let change = Change {
            table: TableId(1),
            key: key(&format!("{sequence:080}")),
            document: None,
            before: None,
            index: Vec::new(),
        };
        let incarnation = ReplicaIncarnation::default();
        let header =
            Header { scn: scn(1, sequence), node: NodeId(2), incarnation, time: WallMillis(0) };
        let transaction = Transaction { changes: vec![change], idempotency: Vec::new() };
        let record = Record { header, body: Body::Transaction(transaction) };
        let (bytes, next) = encode(genesis().identity.partition, &record, chain);
        rig.log.push(bytes);
        chain = next;
    }
}

/// A replica that was away for long, with a store that is slower than its log.
#[track_caller]
fn check_gathering(gather_bytes_max: usize) {
    let mut rig = follow(Rig::with(|settings| settings.gather_bytes_max = gather_bytes_max));
    rig.inline = false;
    transact(&mut rig, 100);
    rig.log_end();
    let end = LogOffset(rig.log.len() as u64);
    let folded = |rig: &Rig| rig.driver.fold().expect("it folds").position.offset;
    let (mut batches, mut bytes) = (0, 0);
    while folded(&rig) < end {
        // As often as it wants, and as long: it wants nothing in the end.
        for _ in 0..100 {
            rig.pass();
        }
        assert_eq!(rig.driver.wake_at(), None, "only the store's answer helps");
        let gathered_bytes = rig.driver.gathered_bytes();
        assert!(gathered_bytes < 2 * gather_bytes_max + 100);
        assert!(gathered_bytes >= gather_bytes_max || folded(&rig) == end);
        while let Some((job, batch)) = rig.take_apply() {
            batches += 1;
            bytes += batch.payload_bytes();
            assert!(batch.payload_bytes() < 2 * gather_bytes_max + 100);
            rig.applied(job, batch);
        }
        assert!(rig.driver.wake_at().is_some() || folded(&rig) == end, "it reads on by itself");
    }
    assert_eq!((rig.driver.applied().1, rig.driver.gathered_bytes()), (end, 0));
    assert!(batches > 5 && bytes > 8_000, "{batches} batches of {bytes} bytes");
}

#[test]
fn no_more_is_read_than_the_store_can_take() {
    check_gathering(1_000);
    // Shorter than each record.
    check_gathering(1);
}

/// What a reading error leads to.
#[track_caller]
fn check(error: FollowError, role: ReplicaRole, stands_still: bool) {
    let mut rig = Rig::new();
    let mut actions = Vec::new();
    let now = cortado_replica::Now { clock: rig.now, wall: cortado_model::WallMillis(1) };
    rig.driver.on(now, Event::LogEnd(LogOffset(9)), &mut actions);
    let later = cortado_replica::Now { clock: rig.now.plus(60), ..now };
    rig.driver.on(now, Event::Settle, &mut actions);
    rig.driver.on(later, Event::Settle, &mut actions);
    let job = actions.iter().find_map(|action| match action {
        Action::ReadPage { job, .. } => Some(*job),
        _ => None,
    });
    let job = job.expect("the log is read");
    rig.driver.on(later, Event::Page(job, Err(error.clone())), &mut actions);
    assert_eq!((rig.driver.role(), rig.driver.stands_still()), (role, stands_still), "{error:?}");
    let cleared = actions.iter().any(|action| matches!(action, Action::ClearStore(_)));
    assert!(!cleared, "nothing is thrown away at once: {error:?}");
}

#[test]
fn a_log_that_cannot_be_read_is_treated_by_its_kind() {
    check(FollowError::Unavailable, ReplicaRole::Follower, false);
    check(FollowError::Trimmed { first: LogOffset(5) }, ReplicaRole::Restoring, false);
    check(FollowError::Broken { why: "x".to_owned() }, ReplicaRole::Restoring, false);
    check(FollowError::Truncated { end: LogOffset(0) }, ReplicaRole::Disputed, false);
    check(FollowError::Replaced { found: LogId(8) }, ReplicaRole::Offline, true);
}
