//! Patches: the examples of both standards, fidelity, limits, and a comparison with another
//! implementation.

use super::*;
use crate::json::{Malformed, Unacceptable};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Applies a merge patch; both texts and the result to the byte.
#[track_caller]
fn check_merge(current: &str, patch: &str, want: &str) {
    let patch = MergePatch::parse(patch.as_bytes()).expect("a patch");
    let got = patch.apply(current.as_bytes()).expect("a document");
    assert_eq!(String::from_utf8_lossy(got.as_bytes()), want);
}

/// Applies a JSON patch; both texts and the result to the byte.
#[track_caller]
fn check_steps(current: &str, patch: Value, want: Result<&str, PatchError>) {
    let patch = JsonPatch::parse(patch.to_string().as_bytes());
    let got = patch.and_then(|patch| patch.apply(current.as_bytes()));
    let got = got.as_ref().map(|got| std::str::from_utf8(got.as_bytes()).expect("UTF-8"));
    assert_eq!(got, want.as_ref().map(|want| *want));
}

const NOT_AN_OBJECT: JsonError =
    JsonError::Unacceptable { offset: 0, why: Unacceptable::NotAnObject };

/// RFC 7396, appendix A, as far as documents are objects.
#[test]
fn merge_patch_follows_the_examples_of_its_standard() {
    check_merge(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
    check_merge(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
    check_merge(r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#);
    check_merge(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
    check_merge(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
    check_merge(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
    check_merge(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
    check_merge(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
    check_merge(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
    check_merge(r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
    // Arrays are values: their nulls stay.
    check_merge(r#"{}"#, r#"{"a":[null,{"b":null}]}"#, r#"{"a":[null,{"b":null}]}"#);
    check_merge(r#"{"a":1}"#, r#"{}"#, r#"{"a":1}"#);
}

#[test]
fn a_patch_keeps_what_it_does_not_name_to_the_byte() {
    let current = concat!(
        r#"{"u":18446744073709551615,"i":-9223372036854775808,"one":1.0,"e":1e2,"z":-0,"#,
        r#""s":"\u0041\/","x":1,"deep":{"y":0.10,"q":2,"k":[1.50]}}"#
    );
    let (before, after) = current.split_once(r#""x":1,"#).expect("it has x");
    check_merge(current, r#"{"x":null}"#, &format!("{before}{after}"));
    check_merge(current, r#"{"x":2}"#, &format!("{before}\"x\":2,{after}"));
    let inner = current.replace("\"q\":2", "\"q\":7.00");
    check_merge(current, r#"{ "deep" : { "q" : 7.00 } }"#, &inner);
    check_steps(current, json!([{"op":"remove","path":"/x"}]), Ok(&format!("{before}{after}")));
    let inserted = current.replace("[1.50]", "[true,1.50]");
    check_steps(current, json!([{"op":"add","path":"/deep/k/0","value":true}]), Ok(&inserted));
}

#[test]
fn a_merge_patch_may_not_make_a_document_something_else() {
    for patch in ["[]", "1", "null", "\"a\""] {
        let patch = MergePatch::parse(patch.as_bytes()).expect("a patch");
        assert_eq!(patch.apply(b"{}"), Err(PatchError::Refused(NOT_AN_OBJECT)));
    }
    let huge = MergePatch::parse(format!("{{\"b\":\"{}\"}}", "x".repeat(1 << 19)).as_bytes());
    let current = format!("{{\"a\":\"{}\"}}", "y".repeat(1 << 19));
    let too_large = PatchError::Refused(JsonError::TooLarge { bytes_max: 1 << 20 });
    assert_eq!(huge.expect("a patch").apply(current.as_bytes()), Err(too_large));
    let bad = MergePatch::parse(br#"{"a":1,"a":2}"#);
    assert_eq!(bad, Err(JsonError::Malformed { offset: 8, why: Malformed::DuplicateName }));
    let inexact = MergePatch::parse(br#"{"a":1e400}"#);
    let why = Unacceptable::NumberOutOfRange;
    assert_eq!(inexact, Err(JsonError::Unacceptable { offset: 5, why }));
}

/// RFC 6902, appendix A.1 to A.9.
#[test]
fn json_patch_follows_the_examples_of_its_standard() {
    let (add, remove, replace) = ("add", "remove", "replace");
    let foo = r#"{"foo":"bar"}"#;
    check_steps(
        foo,
        json!([{"op":add,"path":"/baz","value":"qux"}]),
        Ok(r#"{"foo":"bar","baz":"qux"}"#),
    );
    check_steps(
        r#"{"foo":["bar","baz"]}"#,
        json!([{"op":add,"path":"/foo/1","value":"qux"}]),
        Ok(r#"{"foo":["bar","qux","baz"]}"#),
    );
    check_steps(r#"{"baz":"qux","foo":"bar"}"#, json!([{"op":remove,"path":"/baz"}]), Ok(foo));
    check_steps(
        r#"{"foo":["bar","qux","baz"]}"#,
        json!([{"op":remove,"path":"/foo/1"}]),
        Ok(r#"{"foo":["bar","baz"]}"#),
    );
    check_steps(
        r#"{"baz":"qux","foo":"bar"}"#,
        json!([{"op":replace,"path":"/baz","value":"boo"}]),
        Ok(r#"{"baz":"boo","foo":"bar"}"#),
    );
    check_steps(
        r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
        json!([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]),
        Ok(r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#),
    );
    check_steps(
        r#"{"foo":["all","grass","cows","eat"]}"#,
        json!([{"op":"move","from":"/foo/1","path":"/foo/3"}]),
        Ok(r#"{"foo":["all","cows","eat","grass"]}"#),
    );
    check_steps(
        r#"{"baz":"qux","foo":["a",2,"c"]}"#,
        json!([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]),
        Ok(r#"{"baz":"qux","foo":["a",2,"c"]}"#),
    );
    check_steps(
        r#"{"baz":"qux"}"#,
        json!([{"op":"test","path":"/baz","value":"bar"}]),
        Err(PatchError::TestFailed { step: 0 }),
    );
}

/// RFC 6902, appendix A.10 to A.16.
#[test]
fn json_patch_follows_the_further_examples_of_its_standard() {
    let add = "add";
    let foo = r#"{"foo":"bar"}"#;
    check_steps(
        foo,
        json!([{"op":add,"path":"/child","value":{"grandchild":{}}}]),
        Ok(r#"{"foo":"bar","child":{"grandchild":{}}}"#),
    );
    check_steps(
        foo,
        json!([{"op":add,"path":"/baz","value":"qux","xyz":123}]),
        Ok(r#"{"foo":"bar","baz":"qux"}"#),
    );
    check_steps(
        foo,
        json!([{"op":add,"path":"/baz/bat","value":"qux"}]),
        Err(PatchError::NoSuchPlace { step: 0 }),
    );
    check_steps(
        r#"{"/":9,"~1":10}"#,
        json!([{"op":"test","path":"/~01","value":10},{"op":"test","path":"/~1","value":9}]),
        Ok(r#"{"/":9,"~1":10}"#),
    );
    check_steps(
        r#"{"/":9,"~1":10}"#,
        json!([{"op":"test","path":"/~01","value":"10"}]),
        Err(PatchError::TestFailed { step: 0 }),
    );
    check_steps(
        r#"{"foo":["bar"]}"#,
        json!([{"op":add,"path":"/foo/-","value":["abc","def"]}]),
        Ok(r#"{"foo":["bar",["abc","def"]]}"#),
    );
}

#[test]
fn a_step_that_does_not_fit_fails_the_whole_patch() {
    let current = r#"{"a":[1,2],"b":{"c":1}}"#;
    let nowhere = |step| Err(PatchError::NoSuchPlace { step });
    let one = |op: &str, path: &str| json!([{"op":op,"path":path,"value":0,"from":"/b/c"}]);
    for path in [
        "/x",
        "/a/2",
        "/a/-",
        "/a/01",
        "/a/+1",
        "/a/-1",
        "/a/1e0",
        "/a//",
        "/b/c/d",
        "/a/99999999999999999999",
    ] {
        check_steps(current, one("remove", path), nowhere(0));
        check_steps(current, one("replace", path), nowhere(0));
        check_steps(current, one("test", path), Err(PatchError::TestFailed { step: 0 }));
    }
    for path in ["/x/y", "/a/3", "/a/01", "/b/c/d"] {
        check_steps(current, one("add", path), nowhere(0));
        check_steps(current, one("copy", path), nowhere(0));
    }
    check_steps(current, json!([{"op":"copy","path":"/x","from":"/y"}]), nowhere(0));
    check_steps(
        current,
        json!([{"op":"add","path":"/x","value":1},{"op":"remove","path":"/y"}]),
        nowhere(1),
    );
    check_steps(
        current,
        json!([{"op":"move","from":"/b","path":"/b/c/x"}]),
        Err(PatchError::IntoItself { step: 0 }),
    );
    check_steps(current, json!([{"op":"move","from":"/b","path":"/b"}]), Ok(current));
    check_steps(
        r#"{"a":[{},{}]}"#,
        json!([{"op":"move","from":"/a/0","path":"/a/0/b"}]),
        Err(PatchError::IntoItself { step: 0 }),
    );
    let refused = Err(PatchError::Refused(NOT_AN_OBJECT));
    check_steps(current, json!([{"op":"remove","path":""}]), nowhere(0));
    check_steps(current, json!([{"op":"replace","path":"","value":[]}]), refused);
    check_steps(current, json!([{"op":"add","path":"","value":{"n":1}}]), Ok(r#"{"n":1}"#));
}

#[test]
fn a_test_compares_values_not_spelling() {
    let current = r#"{"a":1.0,"b":[1,{"x":1,"y":2}],"s":"\u0041","u":18446744073709551615}"#;
    let test = |path: &str, value: Value| json!([{"op":"test","path":path,"value":value}]);
    check_steps(current, test("/a", json!(1)), Ok(current));
    check_steps(current, test("/b", json!([1.0, {"y":2,"x":1}])), Ok(current));
    check_steps(current, test("/s", json!("A")), Ok(current));
    let failed = || Err(PatchError::TestFailed { step: 0 });
    // The nearest double of u64::MAX is 2^64, which is another number.
    check_steps(current, test("/u", json!(18446744073709551616.0_f64)), failed());
    check_steps(current, test("/u", json!(18446744073709551614_u64)), failed());
    check_steps(current, test("/a", json!("1.0")), failed());
    check_steps(current, test("/a", json!(null)), failed());
    check_steps(current, test("/b", json!([1])), failed());
    check_steps(current, test("/b/1", json!({"x":1})), failed());
}

#[test]
fn a_test_compares_numbers_to_the_last_digit() {
    let current = r#"{"v":35.686975000000003,"u":18446744073709551617,"d":{"\u0061":[1.50]}}"#;
    let test = |path: &str, value: &str, want: bool| {
        let patch = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
        let got = JsonPatch::parse(patch.as_bytes()).expect("a patch").apply(current.as_bytes());
        match got {
            // Nothing is spelled otherwise because it was looked at.
            Ok(got) => assert!(want && *got.as_bytes() == *current, "{patch}"),
            Err(error) => assert_eq!((want, error), (false, PatchError::TestFailed { step: 0 })),
        }
    };
    test("/v", "35.6869750000000030", true);
    test("/v", "35.686975000000004", false);
    test("/u", "18446744073709551617.0", true);
    test("/u", "18446744073709551616", false);
    test("", r#"{"d":{"a":[1.5]},"u":18446744073709551617,"v":35.686975000000003}"#, true);
    test("", r#"{"d":{"a":[1.5]},"u":18446744073709551617}"#, false);
    test("", "1", false);
}

#[test]
fn a_malformed_patch_is_refused_before_it_is_applied() {
    let parse = |patch: &str| JsonPatch::parse(patch.as_bytes()).map(|_| ());
    assert_eq!(parse("[]"), Ok(()));
    assert_eq!(parse("{}"), Err(PatchError::NotAnArray));
    assert_eq!(parse("null"), Err(PatchError::NotAnArray));
    let bad = |step| Err(PatchError::BadStep { step });
    assert_eq!(parse("[1]"), bad(0));
    assert_eq!(parse(r#"[{"op":"remove","path":"/a"},{"op":"remove"}]"#), bad(1));
    assert_eq!(parse(r#"[{"op":"add","path":"/a"}]"#), bad(0));
    assert_eq!(parse(r#"[{"op":"spam","path":"/a"}]"#), bad(0));
    assert_eq!(parse(r#"[{"op":"move","path":"/a"}]"#), bad(0));
    assert_eq!(parse(r#"[{"op":1,"path":"/a"}]"#), bad(0));
    let pointer = Err(PatchError::BadPointer { step: 0 });
    for path in ["a", "/~", "/~2", "/a~", " /a", &"/a".repeat(65)] {
        assert_eq!(parse(&format!(r#"[{{"op":"remove","path":"{path}"}}]"#)), pointer, "{path}");
    }
    let offset = Malformed::DuplicateName;
    let twice = parse(r#"[{"op":"remove","op":"add","path":"/a"}]"#);
    assert_eq!(twice, Err(PatchError::Json(JsonError::Malformed { offset: 17, why: offset })));
    let step = r#"{"op":"remove","path":"/a"},"#;
    let many = format!("[{}{}]", step.repeat(1_000), step.trim_end_matches(','));
    assert_eq!(parse(&many), Err(PatchError::TooManySteps { steps_max: 1_000 }));
    let many = format!("[{}{}]", step.repeat(999), step.trim_end_matches(','));
    assert_eq!(parse(&many), Ok(()));
}

#[test]
fn a_patch_is_read_again_as_it_was_written() {
    let merge = MergePatch::parse(br#"{ "a" : null , "b" : {"c":1.5e3} }"#).expect("a patch");
    assert_eq!(MergePatch::parse(merge.text().as_bytes()), Ok(merge));
    let text = br#"[{"value":[1, "\u00e9"],"path":"/a~1b/~01/\"\n","op":"add","x":0},
        {"op":"remove","path":""}, {"op":"replace","path":"/c","value":1e300},
        {"op":"move","from":"/e","path":"/f"}, {"op":"copy","from":"/g","path":"/h/-"},
        {"op":"test","path":"/","value":null}]"#;
    let steps = JsonPatch::parse(text).expect("a patch");
    let written = steps.to_text();
    assert!(written.len() <= text.len(), "{written}");
    assert_eq!(JsonPatch::parse(written.as_bytes()), Ok(steps));
}

#[test]
fn growth_is_bounded() {
    let double = json!({"op":"copy","from":"","path":"/a"});
    check_steps(
        r#"{"a":1,"text":"some text that is copied"}"#,
        Value::from(vec![double; 1_000]),
        Err(PatchError::CopiesTooMuch { bytes_max: 8 << 20 }),
    );
    let current = format!("{{\"a\":\"{}\"}}", "x".repeat(600_000));
    check_steps(
        &current,
        json!([{"op":"copy","from":"/a","path":"/b"}]),
        Err(PatchError::Refused(JsonError::TooLarge { bytes_max: 1 << 20 })),
    );
    // Each step moves half a million items.
    let long = format!("{{\"a\":[{}0]}}", "0,".repeat(500_000));
    let first = json!({"op":"add","path":"/a/0","value":1});
    check_steps(&long, Value::from(vec![first; 1_000]), Err(PatchError::TooMuchWork));
    let whole = json!({"op":"test","path":"/a","value":[]});
    let tests = [vec![json!({"op":"add","path":"/a/-","value":1})], vec![whole; 1]].concat();
    check_steps(&long, Value::from(tests), Err(PatchError::TestFailed { step: 1 }));
    // One step builds 60 levels, the next one adds 60 below the last of them.
    let deep = (0..60).fold(json!({}), |inner, _| json!({"a":inner}));
    check_steps(
        "{}",
        json!([
            {"op":"add","path":"/a","value":deep},
            {"op":"add","path":"/a".repeat(60),"value":deep}
        ]),
        Err(PatchError::Refused(JsonError::Malformed { offset: 320, why: Malformed::TooDeep })),
    );
}

#[test]
fn damaged_documents_are_no_cause_for_a_panic() {
    let patch = MergePatch::parse(b"{\"a\":1}").expect("a patch");
    assert_eq!(patch.apply(b"\xFF"), Err(PatchError::Damaged));
    for current in ["", "{", "{\"a", "{\"a\":}", "[", "{\"a\"1}"] {
        let _ = patch.apply(current.as_bytes());
        check_steps_total(current);
    }
}

fn check_steps_total(current: &str) {
    let patch = json!([{"op":"add","path":"/a/b/0","value":1}]).to_string();
    let _ = JsonPatch::parse(patch.as_bytes()).expect("a patch").apply(current.as_bytes());
}

/// Values over few names, so that patches hit.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        (0..4_i64).prop_map(Value::from),
        "[a~/\"]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            any_object_of(inner),
        ]
    })
}

fn any_object_of(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[ab~/\"]", inner, 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn any_step() -> impl Strategy<Value = Value> {
    let pointer =
        || prop::collection::vec(prop_oneof!["a", "b", "0", "1", "-", "~0", "~1", "\""], 0..4);
    let op = prop_oneof!["add", "remove", "replace", "move", "copy", "test"];
    (op, pointer(), pointer(), any_value()).prop_map(|(op, path, from, value)| {
        let text =
            |parts: Vec<String>| parts.iter().map(|part| format!("/{part}")).collect::<String>();
        json!({"op":op,"path":text(path),"from":text(from),"value":value})
    })
}

proptest! {
    #[test]
    fn merging_agrees_with_another_implementation(
        current in any_object_of(any_value()), patch in any_object_of(any_value())
    ) {
        let mut want = current.clone();
        json_patch::merge(&mut want, &patch);
        let merge = MergePatch::parse(patch.to_string().as_bytes()).expect("a patch");
        let got = merge.apply(current.to_string().as_bytes()).expect("a document");
        let value: Value = serde_json::from_slice(got.as_bytes()).expect("JSON");
        prop_assert_eq!(&value, &want);
        // Merging twice is merging once.
        prop_assert_eq!(merge.apply(got.as_bytes()), Ok(got.clone()));
        // The empty patch changes nothing, not even a byte.
        let nothing = MergePatch::parse(b"{}").expect("a patch");
        prop_assert_eq!(nothing.apply(got.as_bytes()), Ok(got));
    }

    #[test]
    fn steps_agree_with_another_implementation(
        current in any_object_of(any_value()), steps in prop::collection::vec(any_step(), 0..6)
    ) {
        let patch = Value::from(steps);
        let mut want = current.clone();
        let theirs: json_patch::Patch = serde_json::from_value(patch.clone()).expect("a patch");
        let ours = JsonPatch::parse(patch.to_string().as_bytes()).expect("a patch");
        let got = ours.apply(current.to_string().as_bytes());
        match json_patch::patch_unsafe(&mut want, &theirs) {
            Ok(()) if want.is_object() => {
                let got = got.expect("the other one succeeds");
                let value: Value = serde_json::from_slice(got.as_bytes()).expect("JSON");
                prop_assert_eq!(value, want);
            }
            Ok(()) => prop_assert_eq!(got, Err(PatchError::Refused(NOT_AN_OBJECT))),
            Err(_) => prop_assert!(got.is_err()),
        }
    }
}
