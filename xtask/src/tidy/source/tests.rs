//! What a file is taken apart into.

use super::*;

/// The code of `text` with blanks squeezed, and the text of its comments.
#[track_caller]
fn check(text: &str, code: &str, comments: &[&str]) {
    let source = Source::new("src/x.rs", text);
    assert_eq!(source.code.len(), text.len(), "{text}");
    assert_eq!(source.code.lines().count(), text.lines().count(), "{text}");
    let squeezed = source.code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed, code, "{text}");
    let got: Vec<_> = source.comments.iter().map(|c| &text[c.start..c.end]).collect();
    assert_eq!(got, comments, "{text}");
}

#[test]
fn comments_are_told_from_code() {
    check("a; // one\nb;", "a; b;", &["// one"]);
    check("/* x /* y */ z */ a", "a", &["/* x /* y */ z */"]);
    check("/// é\nfn f() {}", "fn f() {}", &["/// é"]);
    check("a / b", "a / b", &[]);
    check("a /* open", "a", &["/* open"]);
}

#[test]
fn literals_are_blanked() {
    check(r#"f("// no", 'x')"#, "f(\" \", ' ')", &[]);
    check(r#""a \" {" {"#, "\" \" {", &[]);
    check("r#\"a \" { \"# {", "r#\" \"# {", &[]);
    check("br\"\\\" {", "br\" \" {", &[]);
    check(r"'\'' {", "' ' {", &[]);
    check("b'{' '日' {", "b' ' ' ' {", &[]);
    check("\"open {", "\"", &[]);
}

#[test]
fn what_only_looks_like_a_literal_is_code() {
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", &[]);
    check("r#type + for_r", "r#type + for_r", &[]);
    check("'outer: loop {}", "'outer: loop {}", &[]);
    check("var\"x\"", "var\" \"", &[]);
}

#[test]
fn kinds_of_comments() {
    let kinds = |text| Source::new("x.rs", text).comments[0].kind;
    for doc in ["/// a", "//! a", "/** a */", "/*! a */"] {
        assert_eq!(kinds(doc), CommentKind::Doc, "{doc}");
    }
    for plain in ["// a", "//// a", "/* a */", "/**/"] {
        assert_eq!(kinds(plain), CommentKind::Plain, "{plain}");
    }
}

const HALF_TESTS: &str = "\
fn a() { b(\"{\") }

#[cfg(test)]
mod tests {
    #[test]
    fn t() {}
}
fn c() {}
#[cfg(test)]
mod more;
fn d() {}
";

#[test]
fn tests_are_told_from_code() {
    let source = Source::new("src/x.rs", HALF_TESTS);
    let is_test = |line: usize| source.is_test(source.line_starts[line - 1]);
    let got: Vec<_> = (1..=11).filter(|line| is_test(*line)).collect();
    assert_eq!(got, [3, 4, 5, 6, 7, 9, 10]);
    assert_eq!(source.lines_without_tests(), 4);
    assert_eq!(source.test_blocks().collect::<Vec<_>>(), [3..8, 9..11]);
    for path in ["crates/x/tests/a.rs", "src/x/tests.rs", "benches/b.rs"] {
        let whole = Source::new(path, HALF_TESTS);
        assert!(whole.is_test(0), "{path}");
        assert_eq!(whole.lines_without_tests(), 0, "{path}");
    }
}

#[test]
fn an_essence_has_literals_but_no_tests_comments_or_layout() {
    let essence = |text| Source::new("src/x.rs", text).essence();
    assert_eq!(essence(HALF_TESTS), "fn a() { b(\"{\") } fn c() {} fn d() {}");
    assert_eq!(essence("/// Doc.\nconst M:  u8 = // why\n  7;"), "const M: u8 = 7;");
    assert_ne!(essence("const M: &str = \"a\";"), essence("const M: &str = \"b\";"));
}

#[test]
fn words_and_blocks_are_found() {
    let found = |word| find_words("fn f, fn_, afn fn", word).collect::<Vec<_>>();
    assert_eq!(found("fn"), [0, 15]);
    assert_eq!(block_after("fn f(a: [u8; 2]) { { } } x", 0), Some(0..24));
    assert_eq!(block_after("fn f(); {", 0), Some(0..7));
    assert_eq!(block_after("fn f() { {", 0), None);
}
