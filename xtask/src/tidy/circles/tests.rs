//! Which uses are arrows, and which arrows are circles.

use super::*;
use crate::tidy::check_fixture;
use crate::tidy::finding::Finding;

/// Whether `from.rs` with this code uses which of the other files of a small crate.
#[track_caller]
fn check_arrows(code: &str, want: &[&str]) {
    let files = [
        (
            "x/src/lib.rs",
            "mod from; pub mod a; mod c; pub use a::Again; use c::Hidden; fn top() {}",
        ),
        ("x/src/from.rs", code),
        ("x/src/from/inner.rs", "pub struct Inner;"),
        ("x/src/a.rs", "mod b; pub use b::Again; pub use b::*; pub struct A;"),
        ("x/src/a/b.rs", "pub struct Again; pub fn open() {} pub enum Hue { Red }"),
        ("x/src/c.rs", "pub struct Hidden;"),
    ];
    let tree = Tree::of(&files);
    let arrows = Modules::of("x/src/", &tree).arrows();
    let got: Vec<&str> = arrows["x/src/from.rs"].keys().map(|path| &path[6..]).collect();
    assert_eq!(got, want, "{code}");
}

#[test]
fn a_use_is_an_arrow_to_where_the_item_is_defined() {
    check_arrows("use crate::a::A;", &["a.rs"]);
    check_arrows("use super::a::A;", &["a.rs"]);
    check_arrows("use crate::{a::{self, A}, top};", &["a.rs", "lib.rs"]);
    check_arrows("use crate::a::A as Other;", &["a.rs"]);
    check_arrows("use crate::a::*;", &["a.rs"]);
    check_arrows("use crate::a::Hue::{self, Red};", &["a/b.rs"]);
    check_arrows("use bytes::Bytes; use std::fmt::{self, Debug};", &[]);
}

#[test]
fn a_reexport_is_seen_through() {
    check_arrows("use crate::Again;", &["a/b.rs"]);
    check_arrows("use crate::a::Again;", &["a/b.rs"]);
    check_arrows("use crate::a::open;", &["a/b.rs"]);
    check_arrows("use crate::Hidden;", &["c.rs"]);
}

#[test]
fn a_module_is_used_where_something_in_it_is() {
    check_arrows("use crate::a;", &[]);
    check_arrows("use crate::a; fn f() { a::open(); }", &["a/b.rs"]);
    check_arrows("use crate::a; fn f() -> a::A { a::A }", &["a.rs"]);
    check_arrows("fn f() { crate::a::open(); super::top(); }", &["a/b.rs", "lib.rs"]);
    check_arrows("fn f(it: Vec<crate::c::Hidden>) {}", &["c.rs"]);
}

#[test]
fn a_child_is_used_by_more_than_its_declaration() {
    check_arrows("mod inner;", &[]);
    check_arrows("mod inner; pub(crate) use inner::Inner;", &[]);
    check_arrows("mod inner; pub use inner::Inner; fn f(_: Inner) {}", &["from/inner.rs"]);
    check_arrows("mod inner; use inner::Inner;", &["from/inner.rs"]);
    check_arrows("mod inner; fn f(_: inner::Inner) {}", &["from/inner.rs"]);
}

#[test]
fn tests_comments_and_visibilities_are_no_arrows() {
    check_arrows("#[cfg(test)] mod tests { use crate::a::A; fn f() { crate::top(); } }", &[]);
    check_arrows("#[cfg(test)] use crate::a::A;", &[]);
    check_arrows("// use crate::a::A;\n/// See [`crate::a::A`].\nfn f() { \"crate::a::A\"; }", &[]);
    check_arrows("pub(in crate::a) fn f() -> impl Fn() + use<'_> { || () }", &[]);
    check_arrows("fn f(self) { self.a::<u8>(); <A as B>::c(); other::crate_::a::A; }", &[]);
}

/// What is found in a crate whose files use each other as `a>b` says.
#[track_caller]
fn check_circles(arrows: &[&str], want: &[&str]) {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (from, to) in arrows.iter().filter_map(|arrow| arrow.split_once('>')) {
        let item = to.to_uppercase();
        texts.entry(from).or_default().push_str(&format!("use crate::{to}::{item};\n"));
        texts.entry(to).or_default();
    }
    let files: Vec<(String, String)> =
        texts.into_iter().map(|(name, text)| (format!("x/src/{name}.rs"), text)).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let mut findings = Findings::default();
    check(&Tree::of(&files), &mut findings);
    let got: Vec<_> = findings.into_sorted().iter().map(Finding::to_string).collect();
    assert_eq!(got, want, "{arrows:?}");
}

#[test]
fn files_that_reach_one_another_are_a_circle() {
    check_circles(&["a>b", "b>c", "a>c"], &[]);
    check_circles(
        &["a>c", "a>b", "b>a"],
        &["x/src/a.rs:2: circle: 2 files use one another: a.rs → b.rs → a.rs"],
    );
    check_circles(
        &["a>b", "b>c", "c>a", "c>d"],
        &["x/src/a.rs:1: circle: 3 files use one another: a.rs → b.rs → c.rs → a.rs"],
    );
    check_circles(
        &["a>b", "b>c", "c>d", "d>a", "d>c"],
        &["x/src/c.rs:1: circle: 4 files use one another: c.rs → d.rs → c.rs; also a.rs, b.rs"],
    );
    check_circles(
        &["a>b", "b>a", "b>c", "c>d", "d>c"],
        &[
            "x/src/a.rs:1: circle: 2 files use one another: a.rs → b.rs → a.rs",
            "x/src/c.rs:1: circle: 2 files use one another: c.rs → d.rs → c.rs",
        ],
    );
}

#[test]
fn a_child_that_needs_its_parent_and_is_needed_by_it_is_a_circle() {
    let child = ("x/src/a/b.rs", "use super::A; pub struct B(A);");
    let parent = ("x/src/a.rs", "mod b; use b::B; pub struct A; fn f(_: B) {}");
    check_fixture(check, &[parent, child], &["x/src/a.rs:1: circle"]);
    let passes_on = ("x/src/a.rs", "mod b; pub use b::B; pub struct A;");
    check_fixture(check, &[passes_on, child], &[]);
    let needs_nothing = ("x/src/a/b.rs", "use crate::c::C; pub struct B(C);");
    check_fixture(check, &[parent, needs_nothing, ("x/src/c.rs", "pub struct C;")], &[]);
}

#[test]
fn crates_and_binaries_are_looked_at_apart() {
    let library = ("x/src/lib.rs", "mod a; fn top() { a::f(); }");
    let child = ("x/src/a.rs", "pub fn f() {}");
    let main = ("x/src/main.rs", "use x::top; fn main() { crate::a::f(); }");
    let other = ("y/src/a.rs", "use crate::top;");
    let other_root = ("y/src/lib.rs", "mod a; pub fn top() {}");
    check_fixture(check, &[library, child, main, other, other_root], &[]);
    let alone = ("x/src/main.rs", "mod a; fn main() { a::f(); } struct Top;");
    let circular = ("x/src/a.rs", "use crate::Top; pub fn f(_: Top) {}");
    check_fixture(check, &[alone, circular], &["x/src/a.rs:1: circle"]);
    check_fixture(check, &[("x/src/bin/a.rs", "use crate::b::B;")], &[]);
}
