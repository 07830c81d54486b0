//! What a client wants, in the words that a driver takes.
//!
//! Decides nothing about what it comes to: that is the driver's. Start reading at [`order_of`].

use crate::database::documents::{AttemptId, KeyNumber, TABLE, ValueId, remembered_key};
use crate::database::history::Write;
use bytes::Bytes;
use cortado_document::{Condition, Document, DocumentAction, JsonPatch, Match, Operation, Tag};
use cortado_driver::{KeyedWrite, TableRules, Tables, WriteMode, WriteOrder};
use cortado_model::{Etag, TableId};
use std::sync::Arc;

/// The write `wanted` as an order; `None` if its condition needs an unknown etag.
///
/// * `etag`: of the state that the condition demands, if the client knows it and wants to say it.
/// * `ttl_ms`: for how long answers to writes that leave documents behind are remembered.
pub fn order_of(
    wanted: &Write,
    attempt: AttemptId,
    key: Option<&Bytes>,
    etag: Option<Etag>,
    ttl_ms: Option<u32>,
) -> Option<WriteOrder> {
    let condition = wanted.condition;
    let demanded_of = |number: KeyNumber| condition.filter(|(other, _)| *other == number);
    let changes = wanted.changes.iter();
    let changes = changes.map(|(number, value)| {
        let expected = demanded_of(*number).map(|(_, expected)| expected);
        change(*number, *value, expected, etag)
    });
    let check = condition.filter(|(number, _)| wanted.changes.iter().all(|(n, _)| n != number));
    let check = check.map(|(number, expected)| {
        let condition = demand(expected, etag)?;
        Some(operation(number, DocumentAction::Check, condition))
    });
    let operations = check.into_iter().chain(changes).collect::<Option<Vec<Operation>>>()?;
    let removes = wanted.changes.iter().all(|(_, value)| *value == ValueId::ABSENT);
    let keyed = key.map(|key| KeyedWrite {
        name: remembered_key(key, 0),
        fingerprint: fingerprint(key),
        // Removals alone have nothing else that names the try.
        ttl_ms: ttl_ms.filter(|_| !removes).unwrap_or(attempt.to_ttl_ms()),
    });
    let (tables, keyed) = (Some(Arc::new(TablesOf(attempt)) as _), keyed.into_iter().collect());
    let (foreseen, mode) = (Vec::new(), WriteMode::Whole);
    Some(WriteOrder { tables, operations, foreseen, mode, keyed })
}

/// The writes `parts`, each for itself, as one order; as [`order_of`].
///
/// * `etag_of`: of the state that a part demands.
pub fn bulk_of(
    parts: &[Write],
    attempt: AttemptId,
    key: Option<&Bytes>,
    etag_of: impl Fn(&Write) -> Option<Etag>,
    ttl_ms: Option<u32>,
) -> Option<WriteOrder> {
    let parts = parts.iter().map(|part| order_of(part, attempt, key, etag_of(part), ttl_ms));
    let mut orders = parts.collect::<Option<Vec<WriteOrder>>>()?.into_iter();
    let mut bulk = WriteOrder { mode: WriteMode::Each, ..orders.next()? };
    for (order, index) in orders.zip(1..) {
        bulk.operations.extend(order.operations);
        bulk.keyed.extend(key.zip(order.keyed.first()).map(|(key, keyed)| {
            let name = remembered_key(key, index);
            KeyedWrite { name, fingerprint: keyed.fingerprint + u128::from(index), ..*keyed }
        }));
    }
    Some(bulk)
}

/// The tables as one try sees them: no schema, and a version that names the try.
#[derive(Debug)]
struct TablesOf(AttemptId);

impl Tables for TablesOf {
    fn rules(&self, _: TableId) -> Option<TableRules<'_>> {
        Some(TableRules { schema: None, schema_version: self.0.0 })
    }
}

/// Hash of what is asked: keys are unique to operations here, so the key stands for the request.
fn fingerprint(key: &[u8]) -> u128 {
    key.iter().fold(7, |sum, byte| sum * 31 + u128::from(*byte))
}

fn operation(number: KeyNumber, action: DocumentAction, condition: Condition) -> Operation {
    Operation { table: TABLE, key: number.to_key(), action, condition }
}

fn change(
    number: KeyNumber,
    value: ValueId,
    expected: Option<ValueId>,
    etag: Option<Etag>,
) -> Option<Operation> {
    if value == ValueId::ABSENT {
        let condition = expected.map_or(Some(Condition::default()), |e| demand(e, etag))?;
        return Some(operation(number, DocumentAction::Delete, condition));
    }
    let put = |condition| {
        let value = Document::parse(value.to_json()).expect("a number in an object is a document");
        Some(operation(number, DocumentAction::Put { value }, condition))
    };
    match expected {
        None => put(Condition::default()),
        Some(expected) => match demand(expected, etag) {
            Some(condition) => put(condition),
            None => {
                let (was, is) = (expected.0, value.0);
                let steps = format!(
                    r#"[{{"op":"test","path":"/v","value":{was}}},
                        {{"op":"replace","path":"/v","value":{is}}}]"#
                );
                let patch = JsonPatch::parse(steps.as_bytes()).expect("two steps are a patch");
                Some(operation(number, DocumentAction::JsonPatch { patch }, Condition::default()))
            }
        },
    }
}

/// The condition that a document holds `expected`; `None` if only its value can tell.
fn demand(expected: ValueId, etag: Option<Etag>) -> Option<Condition> {
    if expected == ValueId::ABSENT {
        let if_none_match = Some(Match::Any);
        return Some(Condition { if_match: None, if_none_match });
    }
    let if_match = Some(Match::Tags(vec![Tag::Strong(etag?)]));
    Some(Condition { if_match, if_none_match: None })
}
