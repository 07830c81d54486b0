//! Writes: evaluated against everything that was promised, answered when that is in the store.

use crate::rig::{LOG, Rig, create, delete, order_of, put};
use cortado_document::{Done, Refusal, Schema, SchemaText, ValidationBudget};
use cortado_driver::{
    Action, Event, RecordOutcome, Refused, ReplicaRole, Reply, WAITING_MAX, WriteMode, WriteOrder,
};
use cortado_model::{LogOffset, Scn, StoreError};
use cortado_replica::{NotDone, ReadNeed};

fn is_refused(reply: Option<&Reply>) -> bool {
    matches!(
        reply,
        Some(Reply::Refused(Refused::Operation { refusal: Refusal::ConditionFailed { .. }, .. }))
    )
}

#[test]
fn a_write_is_answered_when_it_is_in_the_store_and_no_sooner() {
    let mut rig = Rig::leading();
    rig.inline = false;
    rig.write(1, put("x"), None);
    let (find, found) = rig.take_find().expect("its document is looked up");
    rig.on(Event::Found(find, Ok(found)));
    rig.settle();
    assert!(rig.append());
    assert_eq!(rig.reply(1), None, "it is committed, and in no store");
    let (job, batch) = rig.take_apply().unwrap();
    assert_eq!(batch.documents.len(), 1);
    rig.applied(job, batch);
    assert_eq!(rig.is_written(1).results, [Done::Created]);
}

#[test]
fn batches_follow_one_another_and_share_what_comes_meanwhile() {
    let mut rig = Rig::leading();
    rig.write(1, put("a"), None);
    rig.write(2, put("b"), None);
    rig.write(3, put("c"), None);
    rig.inline = false;
    assert!(rig.append());
    let (job, first) = rig.take_apply().unwrap();
    while rig.append() {}
    assert!(rig.take_apply().is_none(), "one at a time");
    rig.applied(job, first);
    let (job, second) = rig.take_apply().unwrap();
    assert_eq!(second.documents.len(), 2);
    assert_eq!((rig.reply(2), rig.reply(3)), (None, None));
    rig.applied(job, second);
    (1..=3).for_each(|client| assert_eq!(rig.is_written(client).results, [Done::Created]));
}

#[test]
fn a_write_sees_what_is_committed_and_not_in_the_store() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.inline = false;
    rig.append();
    let (job, batch) = rig.take_apply().unwrap();
    rig.write(2, create("x"), None);
    assert!(rig.take_find().is_none(), "it is known without a look");
    assert_eq!(rig.reply(2), None, "a refusal rests on what is not in the store yet");
    rig.applied(job, batch);
    assert!(is_refused(rig.reply(2)));
}

#[test]
fn a_look_that_missed_what_was_applied_meanwhile_is_made_good() {
    let mut rig = Rig::leading();
    rig.inline = false;
    rig.write(1, create("x"), None);
    rig.write(2, create("x"), None);
    let (first, nothing) = rig.take_find().unwrap();
    let (second, nothing_either) = rig.take_find().unwrap();
    rig.on(Event::Found(first, Ok(nothing)));
    rig.settle();
    rig.append();
    let (job, batch) = rig.take_apply().unwrap();
    rig.applied(job, batch);
    assert_eq!(rig.is_written(1).results, [Done::Created]);
    // The second one looked before all that, and is heard of only now.
    rig.on(Event::Found(second, Ok(nothing_either)));
    rig.settle();
    assert!(is_refused(rig.reply(2)), "{:?}", rig.reply(2));
}

#[test]
fn a_repetition_that_overtakes_the_first_answer_is_answered_like_it() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), Some("k"));
    rig.write(2, put("x"), Some("k"));
    assert_eq!(rig.reply(2), None);
    while rig.append() {}
    let first = rig.is_written(1).clone();
    let second = rig.is_written(2);
    assert!(second.repeated && !first.repeated);
    assert_eq!((second.scn, second.etag, &second.results), (first.scn, first.etag, &first.results));
}

#[test]
fn a_repetition_that_looked_before_the_first_was_applied_finds_it() {
    let mut rig = Rig::leading();
    rig.inline = false;
    rig.write(1, put("x"), Some("k"));
    rig.write(2, put("x"), Some("k"));
    let (first, nothing) = rig.take_find().unwrap();
    let (second, nothing_either) = rig.take_find().unwrap();
    rig.on(Event::Found(first, Ok(nothing)));
    rig.settle();
    rig.append();
    let (job, batch) = rig.take_apply().unwrap();
    rig.applied(job, batch);
    let etag = rig.is_written(1).etag;
    rig.on(Event::Found(second, Ok(nothing_either)));
    rig.settle();
    assert!(!rig.append(), "it was done before");
    assert!(rig.is_written(2).repeated && rig.is_written(2).etag == etag);
}

#[test]
fn a_keyed_delete_of_nothing_is_a_record_and_its_repetition_deletes_nothing() {
    let mut rig = Rig::leading();
    rig.write(1, delete("x"), Some("k"));
    assert!(rig.append(), "it is remembered");
    assert_eq!(rig.is_written(1).results, [Done::Missing]);
    rig.write(2, put("x"), None);
    rig.append();
    rig.write(3, delete("x"), Some("k"));
    assert_eq!(rig.is_written(3).results, [Done::Missing]);
    rig.write(4, create("x"), None);
    assert!(is_refused(rig.reply(4)), "the document is still there");
}

/// Answers are forgotten by log time, so they are looked up by it.
#[test]
fn the_age_of_an_answer_is_counted_in_log_time() {
    let mut rig = Rig::leading();
    let mut write = |client, wall_ahead_ms, name, key| {
        rig.wall_ahead_ms = wall_ahead_ms;
        rig.write(client, put(name), key);
        while rig.append() {}
        rig.is_written(client).repeated
    };
    // Remembered for a minute.
    assert!(!write(1, 0, "x", Some("k")));
    write(2, 59_000, "y", None);
    assert!(write(3, -3_600_000, "x", Some("k")), "log time has not come so far");
    // Now it has, and stays there though the clock is set back.
    write(4, 61_000, "y", None);
    assert!(!write(5, 0, "x", Some("k")), "its replicas may have forgotten it");
}

/// A wall clock that was ahead for years would keep every answer for years.
#[test]
fn answers_are_forgotten_although_a_clock_that_ran_ahead_was_set_right() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let mut rig = Rig::leading();
    let mut write = |client, passed_ms, wall_ahead_ms| {
        rig.now = rig.now.plus(passed_ms);
        rig.wall_ahead_ms = wall_ahead_ms;
        rig.write(client, put("x"), Some("k"));
        while rig.append() {}
        rig.is_written(client).repeated
    };
    // Remembered for a minute of log time, which goes at half the pace from then on.
    assert!(!write(1, 0, YEAR_MS));
    assert!(write(2, 119_000, 0));
    assert!(!write(3, 3_000, 0));
}

#[test]
fn an_unkeyed_delete_of_nothing_appends_nothing() {
    let mut rig = Rig::leading();
    rig.write(1, delete("x"), None);
    assert!(!rig.append());
    assert_eq!(rig.is_written(1).results, [Done::Missing]);
}

#[test]
fn a_key_of_another_request_is_refused() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), Some("k"));
    rig.append();
    let name = cortado_model::RememberedKey::new("cher", b"k", 0);
    let keyed = cortado_driver::KeyedWrite { name, fingerprint: 8, ttl_ms: 1_000 };
    rig.order(2, order_of(WriteMode::Whole, vec![put("x")], vec![keyed]));
    assert_eq!(rig.reply(2), Some(&Reply::Refused(Refused::KeyReused)));
}

/// A schema that accepts no document, for a document of a table that has none: what was found out
/// before the write came counts.
#[test]
fn what_was_foreseen_of_a_write_is_not_found_out_again() {
    let mut rig = Rig::leading();
    let schema = Schema::compile(&SchemaText::parse(b"false").unwrap()).unwrap();
    let operations = vec![put("x")];
    let budget = &mut ValidationBudget::brief();
    let foreseen = vec![operations[0].foresee(None, Some(&schema), budget)];
    let order = order_of(WriteMode::Whole, operations, Vec::new());
    rig.order(1, WriteOrder { foreseen, ..order });
    let is_refused = matches!(
        rig.reply(1),
        Some(Reply::Refused(Refused::Operation { refusal: Refusal::SchemaViolated(_), .. }))
    );
    assert!(is_refused && !rig.append());
}

#[test]
fn a_record_that_no_log_takes_is_refused() {
    let mut rig = Rig::leading();
    let operations = (0..12_000).map(|number| put(&number.to_string())).collect();
    rig.order(1, order_of(WriteMode::Whole, operations, Vec::new()));
    let too_large = matches!(rig.reply(1), Some(Reply::Refused(Refused::TooLarge { .. })));
    assert!(too_large && !rig.append());
}

#[test]
fn a_session_read_waits_until_the_store_shows_it() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.inline = false;
    let scn = Scn::new(cortado_model::Generation(1), cortado_model::Sequence(2));
    rig.read(2, ReadNeed::Applied(scn));
    rig.append();
    let (job, batch) = rig.take_apply().unwrap();
    assert_eq!(rig.reply(2), None);
    rig.applied(job, batch);
    assert_eq!((rig.is_written(1).scn, rig.reply(2)), (scn, Some(&Reply::Ready)));
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    let mut rig = Rig::leading();
    let never = ReadNeed::Folded(LogOffset(u64::MAX));
    for client in 0..WAITING_MAX as u32 {
        rig.on(Event::Read { caller: crate::rig::Client(client), need: never });
    }
    assert!(rig.replies.is_empty());
    rig.read(u32::MAX, never);
    assert_eq!(rig.reply(u32::MAX), Some(&Reply::NotDone(NotDone::Overloaded)));
    rig.write(u32::MAX - 1, put("x"), None);
    assert_eq!(rig.reply(u32::MAX - 1), Some(&Reply::NotDone(NotDone::Overloaded)));
}

#[test]
fn no_more_is_committed_than_the_store_can_take() {
    let settings = |settings: &mut cortado_driver::Settings| {
        settings.replica.in_flight_bytes_max = 600;
    };
    let mut rig = Rig::with(settings).lead();
    rig.inline = false;
    let mut client = 0;
    while rig.replies.is_empty() {
        client += 1;
        rig.write(client, put(&format!("{client}")), None);
        if let Some((job, found)) = rig.take_find() {
            rig.on(Event::Found(job, Ok(found)));
            rig.settle();
        }
        rig.append();
        assert!(rig.driver.gathered_bytes() < 1_000);
    }
    assert_eq!(rig.reply(client), Some(&Reply::NotDone(NotDone::Overloaded)));
    while let Some((job, batch)) = rig.take_apply() {
        rig.applied(job, batch);
    }
    rig.is_written(client - 1);
    rig.inline = true;
    rig.write(0, put("x"), None);
    rig.append();
    rig.is_written(0);
}

#[test]
fn a_look_that_does_not_come_back_stops_writes_and_then_ends_the_life() {
    let settings = |settings: &mut cortado_driver::Settings| {
        settings.replica.in_flight_bytes_max = 600;
    };
    let mut rig = Rig::with(settings).lead();
    rig.inline = false;
    rig.write(0, put("x"), None);
    let (lost, _) = rig.take_find().expect("the document is looked up");
    rig.inline = true;
    let mut client = 0;
    while rig.replies.last().is_none_or(|(_, reply)| matches!(reply, Reply::Written(_))) {
        client += 1;
        rig.write(client, put("y"), None);
        rig.append();
    }
    // All is in the store; what that has not shown to the one who looks is kept.
    assert_eq!(rig.reply(client), Some(&Reply::NotDone(NotDone::Overloaded)));
    assert_eq!((rig.driver.gathered_bytes(), rig.driver.waiting_requests()), (0, 1));
    rig.on(Event::Found(lost, Err(StoreError::Failed { why: "no answer".to_owned() })));
    assert_eq!(rig.reply(0), Some(&Reply::NotDone(NotDone::Offline)));
    // Nothing of that life is left, and the next one begins with what is in the store.
    assert_eq!((rig.driver.waiting_requests(), rig.driver.fold()), (0, None));
    rig.now = rig.driver.wake_at().expect("it begins again");
    rig.settle();
    rig.wanted.retain(|action| matches!(action, Action::Survey(_)));
    rig.survey(LOG, 0);
    rig.settle();
    assert_eq!(rig.driver.role(), ReplicaRole::Follower);
}

#[test]
fn what_the_log_has_refused_is_looked_up_again() {
    let mut rig = Rig::leading();
    rig.write(1, create("x"), None);
    let records = rig.take_append().unwrap();
    rig.inline = false;
    rig.write(2, create("x"), None);
    // It rests on the first, which is in flight; that comes to nothing.
    let producer = rig.producer;
    let outcomes = vec![RecordOutcome::NotAppended; records.len()];
    rig.on(Event::Outcomes { producer, outcomes });
    rig.settle();
    assert_eq!(rig.reply(1), None, "only reading tells");
    let cortado_driver::Action::AskExtent(job) = rig.take() else { panic!("the log is asked") };
    let extent = cortado_driver::LogExtent {
        log: LOG,
        first: LogOffset::ZERO,
        end: LogOffset(rig.log.len() as u64),
    };
    rig.on(Event::Extent(job, Ok(extent)));
    rig.settle();
    assert_eq!(rig.reply(1), Some(&Reply::NotDone(NotDone::LogRefused)));
    assert!(!is_refused(rig.reply(2)), "nothing is there that would refuse it");
}
