//! What the oracle makes of operations and their tries.

use super::*;
use crate::database::documents::AttemptId;
use crate::database::history::{Attempt, Write};
use cortado_cluster::Doubt;
use cortado_model::{Generation, Scn, Sequence};
use cortado_replica::NotDone;
use std::collections::BTreeMap;

const KEY: KeyNumber = KeyNumber(1);

fn scn(sequence: u64) -> Scn {
    Scn::new(Generation(1), Sequence(sequence))
}

fn write(value: u64, tries: &[(u64, Option<(u64, Reply)>)]) -> Operation {
    let changes = vec![(KEY, ValueId(value))];
    operation(Action::Write(Write { condition: None, changes }), tries)
}

fn read(level: Level, value: u64, from: u64, to: u64) -> Operation {
    let values = BTreeMap::from([(KEY, ValueId(value))]);
    let seen = Reply::Values { scn: scn(1), values };
    let action = Action::Read { level, keys: vec![KEY], token: Scn::ZERO };
    operation(action, &[(from, Some((to, seen)))])
}

fn operation(action: Action, tries: &[(u64, Option<(u64, Reply)>)]) -> Operation {
    let attempts = tries.iter().map(|(invoked, ended)| Attempt {
        id: AttemptId(1),
        invoked: Moment(*invoked),
        ended: ended.clone().map(|(at, reply)| (Moment(at), reply)),
        floor: Scn::ZERO,
    });
    Operation { client: 0, partition: 0, action, key: None, attempts: attempts.collect() }
}

#[track_caller]
fn check_history(history: &[Operation], strong: bool, want: bool) {
    assert_eq!(check(history, 1, strong, true).result.is_ok(), want, "{history:#?}");
}

#[test]
fn a_definite_error_is_no_write() {
    let not_done = Some((2, Reply::NotDone(NotDone::NotLeader)));
    let denied = write(7, &[(1, not_done.clone())]);
    check_history(&[denied.clone(), read(Level::Strict, 7, 3, 4)], true, false);
    let unknown = write(7, &[(1, Some((2, Reply::Unknown(Doubt::LeaderLost))))]);
    check_history(&[unknown, read(Level::Strict, 7, 3, 4)], true, true);
    let then_unknown = write(7, &[(1, not_done), (3, None)]);
    check_history(&[then_unknown.clone(), read(Level::Strict, 7, 5, 6)], true, true);
    check_history(&[read(Level::Strict, 7, 1, 2), then_unknown], true, false);
}

#[test]
fn tries_of_one_key_are_one_write() {
    let committed = Some((9, Reply::Committed { scn: scn(1) }));
    let retried = write(7, &[(1, Some((2, Reply::Unknown(Doubt::LeaderLost)))), (5, committed)]);
    // The first try may have done it, before the second one began.
    check_history(&[retried.clone(), read(Level::Strict, 7, 3, 4)], true, true);
    let other = write(8, &[(3, Some((4, Reply::Committed { scn: scn(2) })))]);
    let seen = [read(Level::Strict, 7, 10, 11), read(Level::Strict, 8, 12, 13)];
    check_history(&[retried, other, seen[0].clone(), seen[1].clone()], true, false);
}

#[test]
fn levels_promise_what_they_say() {
    let committed = write(7, &[(1, Some((2, Reply::Committed { scn: scn(1) })))]);
    let stale = |level| {
        let action = Action::Read { level, keys: vec![KEY], token: Scn::ZERO };
        let seen = Reply::Values { scn: Scn::ZERO, values: BTreeMap::new() };
        operation(action, &[(3, Some((4, seen)))])
    };
    check_history(&[committed.clone(), stale(Level::Strict)], false, false);
    check_history(&[committed.clone(), stale(Level::Strong)], true, false);
    check_history(&[committed.clone(), stale(Level::Strong)], false, true);
    check_history(&[committed.clone(), stale(Level::Session)], true, true);
    check_history(&[committed, stale(Level::Eventual)], true, true);
}
