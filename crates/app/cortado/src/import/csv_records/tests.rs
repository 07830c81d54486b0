//! What records become, whatever separates and quotes their cells.

use super::*;
use crate::import::source::Unpacked;
use serde_json::json;
use std::io::Cursor;

fn begin(file: &str, schema: Option<&Value>) -> Result<CsvRecords, HeaderError> {
    let input = Box::new(Cursor::new(file.to_owned()));
    CsvRecords::begin(Window::new(Unpacked { input, packed: None }), schema)
}

/// Each record as `line:object`, a refused one as `line!reason`.
#[track_caller]
fn check(file: &str, want: &[&str]) {
    let schema = json!({"properties": {"n": {"type": ["integer", "null"]}}});
    let mut records = begin(file, Some(&schema)).unwrap_or_else(|error| panic!("{error}"));
    let mut found = Vec::new();
    while let Some(piece) = records.next().expect("readable") {
        assert_eq!(piece.position as usize, found.len() + 1);
        found.push(match piece.text {
            Ok(text) => format!("{}:{}", piece.line, String::from_utf8(text).expect("UTF-8")),
            Err(torn) => format!("{}!{}", piece.line, torn.reason),
        });
    }
    assert_eq!(found, want);
}

#[test]
fn the_header_says_what_separates_cells() {
    let want = [r#"2:{"a":"x","b":"y"}"#];
    check("a,b\nx,y\n", &want);
    check("a\tb\r\nx\ty", &want);
    check("a;b\nx;y\n", &want);
    check("\"a\",\"b\"\n\"x\",\"y\"\n", &want);
    check("a\nx\n", &[r#"2:{"a":"x"}"#]);
}

#[test]
fn cells_may_hold_everything() {
    check("a,b\n\"x,\"\"y\"\"\n z\",東京\n", &["2:{\"a\":\"x,\\\"y\\\"\\n z\",\"b\":\"東京\"}"]);
    check(
        "a,n\n,1\nx,\n,\n\ny,null\n",
        &["2:{\"n\":1}", "3:{\"a\":\"x\"}", "4:{}", "6:{\"a\":\"y\",\"n\":null}"],
    );
    check("n\n1.5\nmany\n", &["2:{\"n\":1.5}", "3:{\"n\":\"many\"}"]);
}

#[test]
fn a_record_of_another_length_is_refused_alone() {
    let refused = "3!the record has 1 cell, the header has 2";
    check(
        "a,b\n1,2\n3\n4,5\n",
        &["2:{\"a\":\"1\",\"b\":\"2\"}", refused, "4:{\"a\":\"4\",\"b\":\"5\"}"],
    );
}

#[test]
fn a_missing_quote_costs_a_bounded_part() {
    let long = "x".repeat(9 << 20);
    let file = format!("a,b\n\"{long}\n1,2\n");
    let reason = "2!it is longer than 8 MiB: is a closing quote missing?";
    check(&file, &[reason, "3:{\"a\":\"1\",\"b\":\"2\"}"]);
}

#[test]
fn a_quote_that_is_never_closed_swallows_nothing_in_silence() {
    let unclosed = "!a closing quote is missing: the last cell goes on to the end of the file";
    let first = "2:{\"a\":\"1\",\"b\":\"x\"}";
    check("a,b\n1,x\n2,\"y\n3,z\n", &[first, &format!("3{unclosed}")]);
    check("a\tb\n1\tx\n2\t\"", &[first, &format!("3{unclosed}")]);
    // Those that are closed where the file ends, and what begins no quote.
    for last in ["2,\"y\"", "2,\"y\"\n", "2,\"y\"\r\n", "2,y", "2,y\r"] {
        check(&format!("a,b\n1,x\n{last}"), &[first, "3:{\"a\":\"2\",\"b\":\"y\"}"]);
    }
    check("a,b\n1,x\n2,y\"\n", &[first, "3:{\"a\":\"2\",\"b\":\"y\\\"\"}"]);
    check("a,b\n1,x\n\n\r\n", &[first]);
}

#[test]
fn a_record_of_too_many_cells_says_so() {
    let file = format!("a,b\n{}\n1,2\n", ",".repeat(20_000));
    check(&file, &["2!it has more than 10,000 cells", "3:{\"a\":\"1\",\"b\":\"2\"}"]);
}

#[test]
fn what_is_no_header_is_refused() {
    let refused = |file: &str| begin(file, None).map(drop).expect_err("no header").to_string();
    assert!(refused("a,b,a\n").contains("two columns named \"a\""));
    assert!(refused("a\0b\n").contains("a byte of zero"));
    assert!(refused(&"x".repeat(70_000)).contains("longer than 64 KiB"));
}
