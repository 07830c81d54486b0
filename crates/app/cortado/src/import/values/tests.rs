//! What a file is cut into, at every size of read.

use super::*;
use crate::import::source::Unpacked;
use std::io::{self, Read};

/// Gives `step` bytes at a time, so that every boundary is met.
struct Slow {
    rest: Vec<u8>,
    step: usize,
}

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.step.min(self.rest.len()).min(into.len());
        into[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}

fn values(file: &[u8], step: usize) -> Values {
    let input = Box::new(Slow { rest: file.to_vec(), step });
    Values::new(Window::new(Unpacked { input, packed: None }))
}

/// Each piece as `line:text`, a broken one as `line!text`, then the failure, if there is one.
fn cut(file: &str, step: usize) -> Vec<String> {
    let mut values = values(file.as_bytes(), step);
    let mut found = Vec::new();
    let mut bytes = 0;
    loop {
        match values.next() {
            Ok(Some(piece)) => {
                assert_eq!(piece.position as usize, found.len() + 1);
                bytes += piece.bytes;
                let text = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
                found.push(match piece.text {
                    Ok(whole) => format!("{}:{}", piece.line, text(whole)),
                    Err(torn) => format!("{}!{}", piece.line, text(torn.text.expect("short"))),
                });
            }
            Ok(None) => {
                assert!(bytes <= file.len() as u64);
                assert!(values.next().expect("ended is ended").is_none());
                return found;
            }
            Err(failure) => {
                found.push(failure.to_string());
                return found;
            }
        }
    }
}

#[track_caller]
fn check(file: &str, want: &[&str]) {
    for step in [1, 2, 3, 7, 64, 4096] {
        assert_eq!(cut(file, step), want, "{step} bytes at a time");
    }
}

#[test]
fn arrays_are_cut_into_their_elements() {
    check("[]", &[]);
    check(" [ ] \n", &[]);
    check(r#"[{"a":1}]"#, &[r#"1:{"a":1}"#]);
    check(
        "[{\"a\":[1,2]},\n {\"b\":{\"c\":\",\"}}]\n",
        &[r#"1:{"a":[1,2]}"#, r#"2:{"b":{"c":","}}"#],
    );
    check(r#"[{"a":"\"],{\\"},{"b":"]"}]"#, &[r#"1:{"a":"\"],{\\"}"#, r#"1:{"b":"]"}"#]);
    check("[\n  {\n    \"a\": 1\n  },\n  2\n]", &["2:{\n    \"a\": 1\n  }", "5:2"]);
    check("[[{}],{}]", &["1:[{}]", "1:{}"]);
    check("[1][2]\n{}", &["1:1", "1:2", "2:{}"]);
}

#[test]
fn values_are_cut_as_values_and_not_as_lines() {
    check("{\"a\":1}\n{\"b\":2}", &["1:{\"a\":1}", "2:{\"b\":2}"]);
    check("{\"a\":1}{\"b\":2} {\"c\":3}", &["1:{\"a\":1}", "1:{\"b\":2}", "1:{\"c\":3}"]);
    check("{\"a\":1},\r\n{\"b\":2},\r\n", &["1:{\"a\":1}", "2:{\"b\":2}"]);
    check("\u{1e}{}\n\u{1e}{}\n", &["1:{}", "2:{}"]);
    check("1 \"x\" null-1.5e3[]", &["1:1", "1:\"x\"", "1!null-1.5e3[]"]);
    let pretty = "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"c\": [\n    {\n    }\n  ]\n}";
    let both = format!("{pretty}\n{pretty}\n");
    check(&both, &[&format!("1:{pretty}"), &format!("10:{pretty}")]);
    check("", &[]);
    check(" \n\n", &[]);
}

#[test]
fn a_broken_element_leaves_the_others_whole() {
    check("[{a:1},{\"b\":2}]", &["1!{a:1}", "1:{\"b\":2}"]);
    check("[1}},2]", &["1:1", "1!}}", "1:2"]);
    check("[1,,2,]", &["1:1", "1:2"]);
    check("[{\"a\":[1},{\"b\":2}]", &["1!{\"a\":[1}", "1:{\"b\":2}"]);
    check("[{\"a\":1,{\"b\":2},{\"c\":3}]{}", &["1!{\"a\":1,{\"b\":2},{\"c\":3}", "1:{}"]);
    check("[{\"a\":'x'},{}]", &["1!{\"a\":'x'}", "1:{}"]);
    check(
        "[\n  {},\n  {\n    \"a\": {\n      b\n  },\n  {\n    \"c\": 3\n  }\n]\n",
        &["2:{}", "3!{\n    \"a\": {\n      b\n  },\n", "7:{\n    \"c\": 3\n  }"],
    );
}

#[test]
fn a_line_that_is_cut_costs_no_other_line() {
    let (first, last) = ("{\"a\":1}\n", "{\"z\":26}\n");
    for broken in
        ["{\"b\":\"x", "{\"b\"", "{\"b\":1", "{\"b\":1,", "{", "{broken", "{\"b\":{\"c\":1}"]
    {
        let want = ["1:{\"a\":1}", &format!("2!{broken}\n"), "3:{\"z\":26}"];
        check(&format!("{first}{broken}\n{last}"), &want);
        // As the first of the file, too.
        check(&format!("{broken}\n{last}"), &[&format!("1!{broken}\n"), "2:{\"z\":26}"]);
    }
    check("{\"a\":1}\n{\"b\":2", &["1:{\"a\":1}", "2!{\"b\":2"]);
}

#[test]
fn a_part_of_a_broken_value_is_no_value() {
    // As a collection of features is often written, with one comma missing.
    let collection = "{\"features\":[\n{\"id\":1},\n{\"id\":2}\n{\"id\":3},\n{\"id\":4}\n]}";
    check(&format!("{collection}\n{{}}"), &[&format!("1!{collection}"), "7:{}"]);
    // Long before the break, and where no value was whole.
    for file in [
        "{\"a\":1,,\"l\":[\n{\"id\":2},\n{\"id\":3}\n]}",
        "{\"a\":1,,\"b\":2,\n\"l\":[\n{\"id\":2},\n{\"id\":3}\n]}",
        "{\"a\":\"x\"y\",\"l\":[\n{\"id\":2},\n{\"id\":3}\n]}",
        "{\"a\":1,,\"o\":\n{\"id\":2}\n}",
    ] {
        check(file, &[&format!("1!{file}")]);
    }
    // Values of several lines that are not indented.
    let broken = "{\n\"id\":2,\n\"l\":[\n{\"id\":3}\n{\"id\":4}\n]\n}";
    let whole = "{\n\"id\":1\n}";
    check(
        &format!("{whole}\n{broken}\n{whole}"),
        &[&format!("1:{whole}"), &format!("4!{broken}"), &format!("11:{whole}")],
    );
    let trailing = "{\"features\":[\n{\"id\":1},\n]}";
    check(&format!("{trailing}\n{{}}"), &[&format!("1!{trailing}"), "4:{}"]);
    let pretty = "{\n  \"a\": x y,\n  \"list\": [\n    {\n      \"id\": 1\n    }\n  ]\n}";
    check(&format!("{pretty}\n{pretty}"), &[&format!("1!{pretty}"), &format!("9!{pretty}")]);
}

#[test]
fn text_that_is_no_json_is_passed_over_as_one() {
    check("one two\nthree\n{\"a\":1}\n", &["1!one two\nthree\n", "3:{\"a\":1}"]);
    let rest = "}\n  \"x\": [\n    {\n      \"id\": 1\n    }\n  ]\n}\n";
    check(&format!("{{}}\n{rest}{{}}"), &["1:{}", &format!("2!{rest}"), "9:{}"]);
}

#[test]
fn a_file_that_cannot_be_cut_says_where() {
    let cut_off = "the array is cut off after document 1, in line 2: its ] is missing";
    check("[{\"a\":1},\n{\"b\"", &["1:{\"a\":1}", cut_off]);
    check("[{\"a\":1},\n", &["1:{\"a\":1}", cut_off]);
}

#[test]
fn a_reason_says_what_is_missing_and_where() {
    let reason = |file: &str| {
        let piece = values(file.as_bytes(), 64).next().expect("cut").expect("a piece");
        piece.text.expect_err("broken").reason
    };
    let name = "not a JSON object: a member's name in double quotes is missing, at its byte 2";
    assert_eq!(reason("{a:1}"), name);
    assert!(reason("{\"a\" 1}").contains("a colon is missing, at its byte 6"));
    assert!(reason("{\"a\":\"x\ny\"}").contains("a line end inside a string"));
    assert!(reason("{\"a\":1]").contains("wrong kind"));
    assert!(reason("{\"a\":").contains("the file ends inside it"));
    assert!(reason(&"[".repeat(20_000).replacen('[', "{\"a\":", 1)).contains("nested too deeply"));
}

#[test]
fn a_value_without_end_is_passed_over() {
    let long = "x".repeat(PIECE_BYTES_MAX);
    let file = format!("[{{\"a\":[\n{{}},\"{long}\"],\"b\":\"]\"}},7]");
    let mut values = values(file.as_bytes(), 1 << 20);
    let first = values.next().expect("cut").expect("a piece").text.err();
    let torn = Torn { reason: TOO_LONG.to_owned(), text: None };
    assert!(first == Some(torn), "it is too long, and is not kept");
    let second = values.next().expect("cut").expect("a piece");
    assert_eq!((second.position, second.text), (2, Ok(b"7".to_vec())));
}

#[test]
fn what_has_no_end_at_all_takes_bounded_room() {
    for endless in ["{\"a\":\"", "[[", "{\"a\":", "x "] {
        let input = Box::new(io::Cursor::new(endless.repeat((12 << 20) / endless.len())));
        let mut values = Values::new(Window::new(Unpacked { input, packed: None }));
        while let Ok(Some(_)) = values.next() {}
        let held = values.window.held_bytes();
        assert!(held < 3 * PIECE_BYTES_MAX, "{endless:?} holds {held} bytes");
    }
}
