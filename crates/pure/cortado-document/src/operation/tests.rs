//! What each kind of write does to a document that is there, and to one that is not.

use super::*;
use crate::condition::Match;
use crate::json::{JsonError, Malformed};
use crate::schema::SchemaText;
use bytes::Bytes;
use serde_json::{Value, json};

const ETAG: &str = "000000000000a1b2";

fn document(text: &str) -> Document {
    Document::parse(Bytes::copy_from_slice(text.as_bytes())).expect("a document")
}

fn put(text: &str) -> DocumentAction {
    DocumentAction::Put { value: document(text) }
}

fn merge(text: &str) -> DocumentAction {
    DocumentAction::Merge { patch: MergePatch::parse(text.as_bytes()).expect("a patch") }
}

fn steps(text: &str) -> DocumentAction {
    DocumentAction::JsonPatch { patch: JsonPatch::parse(text.as_bytes()).expect("a patch") }
}

fn if_match(tag: &str) -> Condition {
    Condition { if_match: Match::parse_bare(tag), if_none_match: None }
}

fn if_none_match(tag: &str) -> Condition {
    Condition { if_match: None, if_none_match: Match::parse_bare(tag) }
}

fn no_condition() -> Condition {
    Condition::default()
}

fn compile(schema: &Value) -> Schema {
    let text = SchemaText::parse(schema.to_string().as_bytes()).expect("JSON");
    Schema::compile(&text).expect("a schema")
}

fn operation(resource: &str, action: DocumentAction, condition: Condition) -> Operation {
    let key = DocumentKey::from_parts(&[resource, "x"]).expect("a key");
    Operation { table: TableId(1), key, action, condition }
}

/// How a write goes, and the value it leaves: `None` for no change, `""` for a tombstone.
type Outcome = Result<(Done, Option<&'static str>), Refusal>;

/// A refusal by a condition; [`check`] fills in the state that the document is in.
fn unmet(unmet: Unmet) -> Outcome {
    Err(Refusal::ConditionFailed { unmet, current: None })
}

/// Evaluates against `{"n":1}` with the etag above, and against nothing.
#[track_caller]
fn check(action: DocumentAction, condition: Condition, existing: Outcome, missing: Outcome) {
    let operation = operation("r", action, condition);
    let current = Current { etag: Etag(0xa1b2), value: br#"{"n":1}"# };
    for (current, want) in [(Some(current), existing), (None, missing)] {
        let etag = current.map(|current| current.etag);
        let want = want.map_err(|refusal| match refusal {
            Refusal::ConditionFailed { unmet, .. } => {
                Refusal::ConditionFailed { unmet, current: etag }
            }
            other => other,
        });
        let evaluated = operation.evaluate(current, None, None, &mut ValidationBudget::full());
        let got = evaluated.map(|evaluated| {
            let change = evaluated.change.map(|change| match change {
                Change::Write(value) => value,
                Change::Remove => Document::from_stored(Bytes::new()),
            });
            (evaluated.done, change)
        });
        let value = |text: &str| Document::from_stored(Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(got, want.map(|(done, change)| (done, change.map(value))));
    }
}

#[test]
fn a_put_creates_or_replaces() {
    let new = r#"{"n":2}"#;
    let created = || Ok((Done::Created, Some(new)));
    let replaced = || Ok((Done::Replaced, Some(new)));
    let no_match = || unmet(Unmet::IfMatch);
    let exists = || unmet(Unmet::IfNoneMatch);
    check(put(new), no_condition(), replaced(), created());
    check(put(new), if_match(ETAG), replaced(), no_match());
    check(put(new), if_match("*"), replaced(), no_match());
    check(put(new), if_match("other"), no_match(), no_match());
    check(put(new), if_none_match("*"), exists(), created());
    check(put(new), if_none_match(ETAG), exists(), created());
    check(put(new), if_none_match("other"), replaced(), created());
    // The same value again is a write all the same.
    check(
        put(r#"{"n":1}"#),
        no_condition(),
        Ok((Done::Replaced, Some(r#"{"n":1}"#))),
        Ok((Done::Created, Some(r#"{"n":1}"#))),
    );
}

#[test]
fn a_patch_never_creates() {
    let patched = || Ok((Done::Patched, Some(r#"{"n":1,"m":2}"#)));
    let no_match = || unmet(Unmet::IfMatch);
    for patch in [merge(r#"{"m":2}"#), steps(r#"[{"op":"add","path":"/m","value":2}]"#)] {
        check(patch.clone(), no_condition(), patched(), Err(Refusal::Missing));
        check(patch.clone(), if_match(ETAG), patched(), no_match());
        check(patch.clone(), if_none_match("*"), unmet(Unmet::IfNoneMatch), Err(Refusal::Missing));
    }
    check(
        merge("{}"),
        no_condition(),
        Ok((Done::Patched, Some(r#"{"n":1}"#))),
        Err(Refusal::Missing),
    );
}

#[test]
fn an_unmet_condition_and_a_missing_document_win_over_what_the_write_says() {
    let test = || steps(r#"[{"op":"test","path":"/n","value":9}]"#);
    let failed = Err(Refusal::Patch(PatchError::TestFailed { step: 0 }));
    check(test(), no_condition(), failed.clone(), Err(Refusal::Missing));
    let no_match = || unmet(Unmet::IfMatch);
    check(test(), if_match("other"), no_match(), no_match());
    check(test(), if_match(ETAG), failed, no_match());
    let refused = JsonError::Malformed { offset: 0, why: Malformed::Unexpected };
    assert_ne!(Refusal::Patch(PatchError::Refused(refused)), Refusal::Missing);
}

#[test]
fn a_delete_of_nothing_is_no_refusal() {
    let deleted = || Ok((Done::Deleted, Some("")));
    let no_match = || unmet(Unmet::IfMatch);
    let exists = || unmet(Unmet::IfNoneMatch);
    check(DocumentAction::Delete, no_condition(), deleted(), Ok((Done::Missing, None)));
    check(DocumentAction::Delete, if_match(ETAG), deleted(), no_match());
    check(DocumentAction::Delete, if_match("other"), no_match(), no_match());
    check(DocumentAction::Delete, if_none_match("*"), exists(), Ok((Done::Missing, None)));
}

#[test]
fn a_check_changes_nothing() {
    let checked = || Ok((Done::Checked, None));
    let no_match = || unmet(Unmet::IfMatch);
    let exists = || unmet(Unmet::IfNoneMatch);
    check(DocumentAction::Check, if_match(ETAG), checked(), no_match());
    check(DocumentAction::Check, if_match("*"), checked(), no_match());
    check(DocumentAction::Check, if_none_match("*"), exists(), checked());
    check(DocumentAction::Check, if_none_match(ETAG), exists(), checked());
}

#[test]
fn what_was_foreseen_counts_for_the_state_that_it_was_foreseen_for() {
    let schema = json!({"properties":{"n":{"maximum":2}}});
    let schema = compile(&schema);
    let at = |etag: u64, value: &'static [u8]| Current { etag: Etag(etag), value };
    let evaluate = |write: &Operation, now: Current<'_>, foreseen: Option<&Foreseen>| {
        let budget = &mut ValidationBudget::full();
        let evaluated = write.evaluate(Some(now), Some(&schema), foreseen, budget);
        let unused = budget.is_full();
        (evaluated.map(|evaluated| evaluated.change), unused)
    };
    let one = at(1, br#"{"n":1}"#);
    let foresee = |write: &Operation| {
        write
            .foresee(Some(one), Some(&schema), &mut ValidationBudget::brief())
            .expect("it is short")
    };
    let merge = operation("r", merge(r#"{"m":1}"#), no_condition());
    let foreseen = foresee(&merge);
    let want = |value: &'static str| {
        Ok(Some(Change::Write(Document::from_stored(Bytes::from_static(value.as_bytes())))))
    };
    assert_eq!(evaluate(&merge, one, Some(&foreseen)), (want(r#"{"n":1,"m":1}"#), true));
    let changed = at(2, br#"{"n":2}"#);
    assert_eq!(evaluate(&merge, changed, Some(&foreseen)), (want(r#"{"n":2,"m":1}"#), false));
    let spoiled = at(2, br#"{"n":3}"#);
    let (refused, _) = evaluate(&merge, spoiled, Some(&foreseen));
    assert!(matches!(refused, Err(Refusal::SchemaViolated(_))));
    // What a put makes does not depend on what is there; its condition does.
    let put = operation("r", put(r#"{"n":9}"#), if_match("0000000000000001"));
    let foreseen = foresee(&put);
    let (refused, unused) = evaluate(&put, one, Some(&foreseen));
    assert!(matches!(refused, Err(Refusal::SchemaViolated(_))) && unused);
    let (refused, _) = evaluate(&put, changed, Some(&foreseen));
    assert!(matches!(refused, Err(Refusal::ConditionFailed { .. })));
}

#[test]
fn the_result_of_every_write_obeys_the_schema() {
    let schema = json!({"properties":{"n":{"type":"integer"}},"required":["n"]});
    let schema = compile(&schema);
    let current = Current { etag: Etag(1), value: br#"{"n":1}"# };
    let evaluate = |action: DocumentAction| {
        let refusal = operation("r", action, no_condition()).evaluate(
            Some(current),
            Some(&schema),
            None,
            &mut ValidationBudget::full(),
        );
        match refusal {
            Err(Refusal::SchemaViolated(violations)) => Some(violations[0].path.clone()),
            other => other.map(|_| None).expect("a schema violation or none"),
        }
    };
    assert_eq!(evaluate(put(r#"{"n":2}"#)), None);
    assert_eq!(evaluate(put(r#"{"n":"2"}"#)), Some("/n".to_owned()));
    assert_eq!(evaluate(merge(r#"{"n":null}"#)), Some(String::new()));
    assert_eq!(
        evaluate(steps(r#"[{"op":"replace","path":"/n","value":[]}]"#)),
        Some("/n".to_owned())
    );
    assert_eq!(evaluate(DocumentAction::Delete), None);
}

/// What a list of operations is refused for, whatever the state.
#[track_caller]
fn check_list(operations: &[Operation], want: Result<u32, TransactionError>) {
    assert_eq!(check_operations(operations, 16), want);
}

#[test]
fn a_transaction_has_one_resource_and_no_key_twice() {
    let first = || operation("r", DocumentAction::Delete, no_condition());
    let partition = partition_of("r", 16);
    check_list(&[first()], Ok(partition));
    check_list(&[], Err(TransactionError::Empty));
    check_list(&[first(), first()], Err(TransactionError::RepeatedKey { operation: 1 }));
    let other_table = Operation { table: TableId(2), ..first() };
    check_list(&[first(), other_table], Ok(partition));
    let other = operation("r2", DocumentAction::Delete, no_condition());
    check_list(&[first(), other], Err(TransactionError::CrossResource { operation: 1 }));
    let unconditional = operation("r", DocumentAction::Check, no_condition());
    check_list(&[unconditional], Err(TransactionError::NothingToCheck { operation: 0 }));
    let conditional = operation("r", DocumentAction::Check, if_none_match("*"));
    check_list(&[conditional], Ok(partition));
    let many: Vec<_> = (0..1_001)
        .map(|i| Operation {
            key: DocumentKey::from_parts(&["r", &i.to_string()]).expect("a key"),
            ..first()
        })
        .collect();
    check_list(&many[..1_000], Ok(partition));
    check_list(&many, Err(TransactionError::TooMany { operations_max: 1_000 }));
}
