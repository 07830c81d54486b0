//! Writes whose operations stand each for itself.

use crate::rig::{Rig, create, delete, order_of, put};
use bytes::Bytes;
use cortado_document::{Document, DocumentAction, Done, Operation, Refusal, Schema, SchemaText};
use cortado_driver::{
    Action, Event, Refused, Reply, Surroundings, TableRules, Tables, WriteMode, WriteOrder, Written,
};
use cortado_model::TableId;
use cortado_replica::{Body, NotDone, decode};
use std::sync::Arc;

/// What each operation of `client` was answered.
#[track_caller]
fn ended(rig: &Rig, client: u32) -> &[Result<Written, Refused>] {
    match rig.reply(client) {
        Some(Reply::Each(ended)) => ended,
        other => panic!("client {client} was answered {other:?}"),
    }
}

/// How each operation went; `None` for one that was refused.
#[track_caller]
fn dones(rig: &Rig, client: u32) -> Vec<Option<Done>> {
    let done = |each: &Result<Written, _>| each.as_ref().ok().map(|written| written.results[0]);
    ended(rig, client).iter().map(done).collect()
}

fn is_unmet(ended: &Result<Written, Refused>) -> bool {
    let Err(Refused::Operation { refusal, .. }) = ended else { return false };
    matches!(refusal, Refusal::ConditionFailed { .. })
}

/// Names under which the last record remembers something, and the documents that it changes.
fn last_record(rig: &Rig) -> (usize, usize) {
    let uuid = crate::rig::genesis().identity.partition;
    let record = decode(rig.log.last().expect("a log has records"), uuid).expect("it is one");
    match record.body {
        Body::Transaction(transaction) => {
            (transaction.idempotency.len(), transaction.changes.len())
        }
        other => panic!("{other:?} is no transaction"),
    }
}

#[test]
fn a_refused_operation_refuses_no_other() {
    let mut rig = Rig::leading();
    rig.write(1, put("old"), None);
    rig.append();
    rig.bulk(2, vec![put("a"), create("old"), delete("gone"), put("old")], false);
    assert_eq!(rig.reply(2), None, "nothing is committed yet");
    assert!(rig.append() && !rig.append(), "one record");
    let want = [Some(Done::Created), None, Some(Done::Missing), Some(Done::Replaced)];
    assert_eq!(dones(&rig, 2), want);
    let ended = ended(&rig, 2);
    assert!(is_unmet(&ended[1]), "{ended:?}");
    let [Ok(first), .., Ok(last)] = ended else { panic!("{ended:?}") };
    assert_eq!((first.scn, first.etag), (last.scn, last.etag));
    assert_eq!(last_record(&rig), (0, 2));
}

#[test]
fn a_bulk_that_changes_nothing_is_no_record() {
    let mut rig = Rig::leading();
    rig.write(1, put("old"), None);
    rig.append();
    rig.bulk(2, vec![create("old"), delete("gone")], false);
    assert!(!rig.append());
    assert_eq!(dones(&rig, 2), [None, Some(Done::Missing)]);
}

#[test]
fn refusals_of_a_bulk_wait_for_what_they_rest_on() {
    let mut rig = Rig::leading();
    rig.write(1, put("x"), None);
    rig.bulk(2, vec![create("x")], false);
    assert_eq!(rig.reply(2), None, "the document that it meets may never be");
    rig.append();
    assert!(is_unmet(&ended(&rig, 2)[0]));
}

#[test]
fn each_operation_is_remembered_under_the_key_unless_it_is_refused() {
    let mut rig = Rig::leading();
    rig.write(1, put("b"), None);
    rig.append();
    let operations = || vec![put("a"), create("b"), delete("c")];
    rig.bulk(2, operations(), true);
    rig.append();
    assert_eq!(last_record(&rig), (2, 1));
    assert_eq!(dones(&rig, 2), [Some(Done::Created), None, Some(Done::Missing)]);
    let first = ended(&rig, 2)[0].clone().expect("it was done");
    // What others have done since changes nothing of what is remembered.
    for (client, operation) in [(3, delete("a")), (4, delete("b")), (5, put("c"))] {
        rig.write(client, operation, None);
        rig.append();
    }
    rig.bulk(6, operations(), true);
    rig.append();
    assert_eq!(last_record(&rig), (1, 1), "the one that was refused is tried again");
    assert_eq!(dones(&rig, 6), [Some(Done::Created), Some(Done::Created), Some(Done::Missing)]);
    let [again, now, nothing] = ended(&rig, 6) else { panic!("three were asked for") };
    assert_eq!(*again, Ok(Written { repeated: true, ..first }));
    assert!(now.as_ref().is_ok_and(|written| !written.repeated));
    assert!(nothing.as_ref().is_ok_and(|written| written.repeated));
    rig.write(7, create("c"), None);
    assert!(matches!(rig.reply(7), Some(Reply::Refused(_))), "it was not deleted again");
}

#[test]
fn a_remembered_place_belongs_to_its_operation() {
    let mut rig = Rig::leading();
    rig.bulk(1, vec![put("a"), put("b")], true);
    rig.append();
    rig.bulk(2, vec![put("a"), put("c"), put("d")], true);
    rig.append();
    let [first, second, third] = ended(&rig, 2) else { panic!("three were asked for") };
    assert!(first.as_ref().is_ok_and(|written| written.repeated));
    assert_eq!(*second, Err(Refused::KeyReused));
    assert!(third.as_ref().is_ok_and(|written| !written.repeated));
}

#[test]
fn a_bulk_waits_for_its_key_that_is_on_its_way_and_is_evaluated_anew() {
    let mut rig = Rig::leading();
    rig.bulk(1, vec![put("a"), put("b")], true);
    rig.bulk(2, vec![put("a"), put("b"), put("c")], true);
    assert!(rig.append(), "the first one");
    assert_eq!(dones(&rig, 1), [Some(Done::Created); 2]);
    assert_eq!(rig.reply(2), None);
    assert!(rig.append() && !rig.append(), "only what is new of the second one");
    assert_eq!(last_record(&rig), (1, 1));
    let repeated = ended(&rig, 2).iter().map(|each| each.as_ref().is_ok_and(|it| it.repeated));
    assert_eq!(repeated.collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn a_bulk_that_waits_for_its_key_has_not_begun_when_its_leader_goes() {
    let mut rig = Rig::leading();
    rig.bulk(1, vec![put("a")], true);
    rig.bulk(2, vec![put("a")], true);
    rig.on(Event::Stop);
    rig.on(Event::Stop);
    rig.settle();
    assert!(matches!(rig.reply(1), Some(Reply::Unknown(_))), "{:?}", rig.reply(1));
    assert!(matches!(rig.reply(2), Some(Reply::NotDone(_))), "{:?}", rig.reply(2));
}

#[test]
fn a_record_ends_before_a_document_that_it_changes() {
    let mut rig = Rig::leading();
    rig.bulk(1, vec![put("a"), put("b"), delete("a"), put("c")], false);
    rig.append();
    assert_eq!(dones(&rig, 1), [Some(Done::Created); 2], "the others are to come anew");
    // What changes nothing is in nobody's way.
    rig.bulk(2, vec![create("a"), put("a"), put("d")], false);
    rig.append();
    assert_eq!(dones(&rig, 2), [None, Some(Done::Replaced), Some(Done::Created)]);
}

#[test]
fn a_record_takes_as_many_operations_as_fit() {
    let settings = |settings: &mut cortado_driver::Settings| settings.log.record_bytes_max = 2_000;
    let mut rig = Rig::with(settings).lead();
    rig.bulk(1, (0..100).map(|number| put(&number.to_string())).collect(), false);
    rig.append();
    let done = ended(&rig, 1).len();
    assert!((2..20).contains(&done), "{done} of some 100 bytes each");
    assert_eq!(last_record(&rig), (0, done));
}

#[test]
fn an_operation_that_no_record_takes_is_refused_alone() {
    let settings = |settings: &mut cortado_driver::Settings| settings.log.record_bytes_max = 1_200;
    let mut rig = Rig::with(settings).lead();
    let long = "x".repeat(200);
    rig.bulk(1, vec![put(&long), put("a")], false);
    rig.append();
    let [too_large, done] = ended(&rig, 1) else { panic!("both are answered") };
    assert!(matches!(too_large, Err(Refused::TooLarge { .. })), "{too_large:?}");
    assert!(done.is_ok());
}

#[test]
fn all_keys_of_a_bulk_are_looked_up_at_once() {
    let mut rig = Rig::leading();
    rig.inline = false;
    rig.bulk(1, vec![put("a"), put("b")], true);
    let looks = |action: &&Action<_>| matches!(action, Action::Find { .. });
    assert_eq!(rig.wanted.iter().filter(looks).count(), 1);
    let (job, found) = rig.take_find().unwrap();
    assert_eq!((found.documents.len(), found.remembered.len()), (2, 2));
    rig.on(Event::Found(job, Ok(found)));
    rig.settle();
    assert!(rig.append());
}

#[test]
fn what_a_bulk_removes_is_removed_without_room_and_what_grows_is_refused() {
    let mut rig = Rig::leading();
    rig.bulk(1, vec![put("x"), put("y")], true);
    rig.append();
    rig.on(Event::Room(false));
    rig.bulk(2, vec![put("z"), delete("x")], false);
    assert_eq!(rig.reply(2), Some(&Reply::NotDone(NotDone::Changing)), "there may be room");
    let Action::LookAround(job) = rig.take() else { panic!("it looks for room") };
    rig.on(Event::Around(job, Surroundings::default()));
    rig.bulk(3, vec![put("z"), delete("x"), put("x")], false);
    rig.append();
    let [full, removed] = ended(&rig, 3) else { panic!("it ends before the same document") };
    assert_eq!(*full, Err(Refused::NoRoom));
    assert!(removed.is_ok());
    // What was done before is told, whether there is room or not.
    rig.bulk(4, vec![put("x"), put("y"), put("z")], true);
    let [Ok(first), Ok(second), third] = ended(&rig, 4) else { panic!("{:?}", rig.reply(4)) };
    assert!(first.repeated && second.repeated);
    assert_eq!(*third, Err(Refused::NoRoom));
}

/// A schema with so many patterns that members are expensive.
#[derive(Debug)]
struct Patterns(Schema);

impl Patterns {
    fn new(count: usize) -> Arc<Patterns> {
        let patterns = (0..count).map(|number| format!(r#""x{number}$":true"#));
        let patterns = patterns.collect::<Vec<_>>().join(",");
        let text = format!(r#"{{"patternProperties":{{{patterns}}}}}"#);
        let text = SchemaText::parse(text.as_bytes()).expect("a schema's text");
        Arc::new(Patterns(Schema::compile(&text).expect("a schema")))
    }
}

impl Tables for Patterns {
    fn rules(&self, _: TableId) -> Option<TableRules<'_>> {
        Some(TableRules { schema: Some(&self.0), schema_version: 1 })
    }
}

/// A put of a document with so many members.
fn wide(name: &str, members: usize) -> Operation {
    let members = (0..members).map(|number| format!(r#""m{number}":1"#)).collect::<Vec<_>>();
    let text = Bytes::from(format!("{{{}}}", members.join(",")));
    let value = Document::parse(text).expect("a document");
    Operation { action: DocumentAction::Put { value }, ..put(name) }
}

/// Of the steps that a partition may take at a time, a wide document takes more than a half here,
/// and a very wide one more than all.
#[test]
fn a_record_ends_before_an_operation_that_is_only_with_others_too_expensive() {
    let mut rig = Rig::leading();
    let tables: Arc<dyn Tables> = Patterns::new(300);
    let mut ask = |client, operations| {
        let order = order_of(WriteMode::Each, operations, Vec::new());
        rig.order(client, WriteOrder { tables: Some(Arc::clone(&tables)), ..order });
        rig.append();
        ended(&rig, client).to_vec()
    };
    let both = ask(1, vec![put("a"), wide("b", 1_100), wide("c", 1_100), put("d")]);
    assert!(both.len() == 2 && both.iter().all(Result::is_ok), "{both:?}");
    let others = ask(2, vec![wide("c", 1_100), put("d")]);
    assert!(others.len() == 2 && others.iter().all(Result::is_ok), "{others:?}");
    let alone = ask(3, vec![wide("e", 2_200), put("f")]);
    let too_expensive = |refused: &_| {
        matches!(refused, Refused::Operation { refusal: Refusal::SchemaTooExpensive, .. })
    };
    assert!(alone[0].as_ref().is_err_and(too_expensive), "{:?}", alone[0]);
    // All or nothing: it comes again, and more is known of it then.
    let order = order_of(WriteMode::Whole, vec![wide("g", 1_100), wide("h", 1_100)], Vec::new());
    rig.order(4, WriteOrder { tables: Some(tables), ..order });
    assert_eq!(rig.reply(4), Some(&Reply::NotDone(NotDone::Changing)));
}
