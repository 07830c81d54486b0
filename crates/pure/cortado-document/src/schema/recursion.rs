//! Finds schemas that refer to themselves without descending into the document: each turn of such
//! a circle would find the same value again, for ever.

use super::rules::{Rules, SchemaNumber};
use crate::budget::{Budget, TooExpensive};

/// A subschema on such a circle, if there is one. Without recursion: chains may be long.
///
/// # Errors
/// There are more ways to follow than steps left.
pub(super) fn find(
    rules: &Rules,
    budget: &mut Budget,
) -> Result<Option<SchemaNumber>, TooExpensive> {
    let anchored = anchored(rules);
    let mut next = |schema: SchemaNumber| -> Result<Vec<SchemaNumber>, TooExpensive> {
        let mut behind = Vec::new();
        for keyword in &rules.schemas[schema].keywords {
            let in_place = keyword.in_place(&anchored);
            budget.charge(1 + in_place.len())?;
            behind.extend(in_place);
        }
        Ok(behind)
    };
    let mut states = vec![State::New; rules.schemas.len()];
    for start in 0..rules.schemas.len() {
        // Each schema with those that are still to be seen behind it.
        let mut way = Vec::new();
        if states[start] == State::New {
            states[start] = State::Open;
            way.push((start, next(start)?));
        }
        while let Some((schema, behind)) = way.last_mut() {
            let Some(to) = behind.pop() else {
                states[*schema] = State::Done;
                way.pop();
                continue;
            };
            match states[to] {
                State::Open => return Ok(Some(to)),
                State::Done => {}
                State::New => {
                    states[to] = State::Open;
                    way.push((to, next(to)?));
                }
            }
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// For each dynamic anchor all schemas that bear it.
fn anchored(rules: &Rules) -> Vec<Vec<SchemaNumber>> {
    let mut anchored = Vec::new();
    for (anchor, schema) in rules.dynamic_anchors.iter().flatten() {
        if anchored.len() <= *anchor {
            anchored.resize(anchor + 1, Vec::new());
        }
        anchored[*anchor].push(*schema);
    }
    anchored
}
