//! Histories that a document can have gone through, and others.

use super::*;

/// Steps, one a line: when it began, when it ended (`-` for never known), what it was.
/// `w5` writes 5, `c3>5` writes 5 over 3, `!3` was refused for it did not hold 3, `r5` read 5.
#[track_caller]
fn check(history: &str, want: bool) {
    let steps: Vec<Step> = history.split(',').map(parse).collect();
    let outcome = search(&steps);
    match want {
        true => assert_eq!(outcome, Outcome::Explained, "{history}"),
        false => assert!(matches!(outcome, Outcome::Impossible { .. }), "{history}: {outcome:?}"),
    }
}

fn parse(text: &str) -> Step {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [invoked, ended, deed] = words[..] else { panic!("three words: {text}") };
    let value = |digits: &str| ValueId(digits.parse().unwrap());
    let deed = match (deed.split_at(1), deed.split_once('>')) {
        (("c", _), Some((expected, new))) => {
            Deed::WriteIf { expected: value(&expected[1..]), value: value(new) }
        }
        (("w", digits), _) => Deed::Write(value(digits)),
        (("r", digits), _) => Deed::Read(value(digits)),
        (("!", digits), _) => Deed::RefuseIf { expected: value(digits) },
        _ => panic!("no deed: {text}"),
    };
    let ended = (ended != "-").then(|| Moment(ended.parse().unwrap()));
    Step { invoked: Moment(invoked.parse().unwrap()), ended, deed }
}

#[test]
fn what_one_document_can_do_is_explained() {
    check("1 2 r0", true);
    check("1 2 w1, 3 4 r1, 5 6 w0, 7 8 r0", true);
    check("1 9 w1, 2 3 r0, 4 5 r1", true); // the write lies between the reads
    check("1 9 w1, 1 9 w2, 2 8 r2, 10 11 r1", true); // in either order
    check("1 2 w1, 3 4 c1>2, 5 6 r2, 7 8 !1", true);
    check("1 9 c0>1, 1 9 !0", true);
    check("1 2 w1, 3 9 c1>2, 3 9 c2>3, 10 11 r3", true);
}

#[test]
fn unknown_outcomes_stay_open() {
    check("1 - w1, 3 4 r0, 50 60 r1", true); // takes effect late
    check("1 - w1, 3 4 r0, 50 60 r0", true); // or never
    check("1 - w1, 3 4 r1, 50 60 r0", false); // but not backwards
    check("1 - c5>1, 3 4 r0", true); // may have been refused
    check("1 - c5>1, 3 4 r1", false); // cannot have happened
    check("1 - w5, 2 - c5>1, 3 4 r1, 5 6 r1", true);
    check("9 - w1, 3 4 r1", false); // not before it was asked for
    check("1 - w1, 2 - w2, 3 4 r2, 5 6 r1", true);
    check("1 - w1, 2 - w2, 3 4 r2, 5 6 r1, 7 8 r2", false); // each at most once
}

#[test]
fn what_no_document_can_do_is_found() {
    check("1 2 w1, 3 4 r0", false); // lost write or stale read
    check("1 2 w1, 3 4 w2, 5 6 r1", false); // stale read
    check("1 2 r1", false); // never written
    check("3 4 w1, 1 2 r1", false); // read before it was written
    check("1 2 w1, 3 4 w2, 5 6 r2, 7 8 r1", false); // back in time
    check("1 9 w1, 2 3 r1, 4 5 r0", false); // seen, then unseen
    check("1 2 w1, 3 9 c1>2, 3 9 c1>3", false); // lost update
    check("1 2 w1, 3 4 !1", false); // refused for no reason
    check("1 2 w1, 3 4 c0>2", false); // dirty condition
    check("1 2 w1, 3 4 w0, 5 6 r1", false); // resurrected delete
    check("1 9 w1, 1 9 w2, 10 11 r1, 12 13 r2", false); // one of them was last
    check("1 2 w1, 3 9 c1>2, 4 5 r2, 6 7 !2, 8 9 r2", false);
}

#[test]
fn long_histories_with_many_open_writes_are_decided() {
    let mut steps = Vec::new();
    for n in 1..=400_u64 {
        let ended = (!n.is_multiple_of(7)).then_some(Moment(n * 10 + 15));
        steps.push(Step { invoked: Moment(n * 10), ended, deed: Deed::Write(ValueId(n)) });
        let last = if n.is_multiple_of(7) { n - 1 } else { n };
        let deed = Deed::Read(ValueId(last));
        steps.push(Step { invoked: Moment(n * 10 + 6), ended: Some(Moment(n * 10 + 17)), deed });
    }
    assert_eq!(search(&steps), Outcome::Explained);
    let deed = Deed::Read(ValueId(5));
    steps.push(Step { invoked: Moment(5_000), ended: Some(Moment(5_001)), deed });
    assert!(matches!(search(&steps), Outcome::Impossible { .. } | Outcome::Undecided));
}
