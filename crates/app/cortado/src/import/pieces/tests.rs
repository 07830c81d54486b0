//! What a file is cut into, at every size of read.

use super::*;

/// Gives `step` bytes at a time, so that every boundary is met.
struct Slow<'a> {
    rest: &'a [u8],
    step: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.step.min(self.rest.len()).min(into.len());
        let (now, rest) = self.rest.split_at(length);
        into[..length].copy_from_slice(now);
        self.rest = rest;
        Ok(length)
    }
}

/// Each piece as `line:text`, then the failure, if there is one.
fn cut(file: &str, step: usize) -> Vec<String> {
    let mut pieces = Pieces::new(Slow { rest: file.as_bytes(), step });
    let mut found = Vec::new();
    let mut bytes = 0;
    loop {
        match pieces.next() {
            Ok(Some(piece)) => {
                assert_eq!(piece.position as usize, found.len() + 1);
                bytes += piece.bytes;
                let text = piece.text.expect("short enough");
                found.push(format!("{}:{}", piece.line, String::from_utf8_lossy(&text)));
            }
            Ok(None) => {
                assert!(bytes <= file.len() as u64);
                assert!(pieces.next().expect("ended is ended").is_none());
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
fn arrays_are_cut_at_their_own_commas() {
    check("[]", &[]);
    check(" [ ] \n", &[]);
    check(r#"[{"a":1}]"#, &[r#"1:{"a":1}"#]);
    check(
        "[{\"a\":[1,2]},\n {\"b\":{\"c\":\",\"}}]\n",
        &[r#"1:{"a":[1,2]}"#, r#"2:{"b":{"c":","}}"#],
    );
    check(r#"[{"a":"\"],{\\"},{"b":"]"}]"#, &[r#"1:{"a":"\"],{\\"}"#, r#"1:{"b":"]"}"#]);
    check("[\n  {\n    \"a\": 1\n  },\n  2\n]", &["2:{\n    \"a\": 1\n  }", "5:2"]);
    check("\u{feff}[1]", &["1:1"]);
}

#[test]
fn lines_are_cut_at_line_ends() {
    check("{\"a\":1}\n{\"b\":2}", &["1:{\"a\":1}", "2:{\"b\":2}"]);
    check(
        "\n{\"a\":1}\r\n\r\n  {broken\n{\"b\":2}\n",
        &["2:{\"a\":1}", "4:{broken", "5:{\"b\":2}"],
    );
    check("\u{feff}{}\n", &["1:{}"]);
    check("", &[]);
    check(" \n\n", &[]);
}

#[test]
fn a_bad_element_leaves_the_others_whole() {
    check("[{a:1},{\"b\":2}]", &["1:{a:1}", "1:{\"b\":2}"]);
    check("[1}},2]", &["1:1}}", "1:2"]);
    check("[1,,2]", &["1:1", "1:", "1:2"]);
    check("[1,]", &["1:1", "1:"]);
}

#[test]
fn a_file_that_cannot_be_cut_says_where() {
    let cut_off = "the array is cut off after document 1, in line 2: its ] is missing";
    check("[{\"a\":1},\n{\"b\"", &["1:{\"a\":1}", cut_off]);
    check("[1]\n x", &["1:1", "line 2: something follows the end of the array"]);
    check("name,lat\n", &[&ReadFailure::NotJson.to_string()]);
}

#[test]
fn a_document_without_end_is_passed_over() {
    let long = format!("[\"{}\",7]", "x".repeat(PIECE_BYTES_MAX));
    let mut pieces = Pieces::new(long.as_bytes());
    let first = pieces.next().expect("cut").expect("a piece");
    assert_eq!(first.text, Err(TooLong));
    let second = pieces.next().expect("cut").expect("a piece");
    assert_eq!((second.position, second.text), (2, Ok(b"7".to_vec())));
}
