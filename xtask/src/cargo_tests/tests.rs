//! What cargo prints, line by line, and what is known from it.

use super::*;

/// A library of which one test fails, with the noise that a test may make.
const LIBRARY: &str = "\
     Running unittests src/lib.rs (target/debug/deps/cortado_log-cd2afdd12793d12c)

running 3 tests
test tests::good ... ok
test tests::soft - should panic ... FAILED
test tests::bad ... FAILED

failures:

---- tests::soft stdout ----
note: test did not panic as expected at src/lib.rs:9:128
---- tests::bad stdout ----
thread 'tests::bad' (3940) panicked at src/lib.rs:9:65:
failures:
    none that would be a test
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807/library/std/src/panicking.rs:689:5


failures:
    tests::bad
    tests::soft

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.21s

error: test failed, to rerun pass `-p cortado-log --lib`
";

const INTEGRATION: &str = "\
     Running tests/nodes/main.rs (target/debug/deps/nodes-4bdf55ed4aa96221)

running 1 test
test restarts::one ... FAILED

failures:

---- restarts::one stdout ----
assertion failed

failures:
    restarts::one

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.24s

error: test failed, to rerun pass `-p cortado-node --test nodes`
";

/// A target that ends in the middle of a test.
const DIES: &str = "\
     Running unittests src/lib.rs (target/debug/deps/cortado_http-f51203276c927d14)

running 2 tests
test tests::bad ... FAILED
error: test failed, to rerun pass `-p cortado-http --lib`

Caused by:
  process didn't exit successfully: `target/debug/deps/cortado_http` (signal: 6, SIGABRT)
";

/// Examples of one crate come in two groups: those that can be built together, and the others.
const EXAMPLES: &str = "\
   Doc-tests cortado_model

running 2 tests
test crates/pure/cortado-model/src/lib.rs - f (line 5) ... ok
test crates/pure/cortado-model/src/lib.rs - f (line 1) ... FAILED

failures:

---- crates/pure/cortado-model/src/lib.rs - f (line 1) stdout ----
Test executable failed (exit status: 101).

failures:
    crates/pure/cortado-model/src/lib.rs - f (line 1)

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.21s


running 1 test
test crates/pure/cortado-model/src/key.rs - g (line 9) - compile fail ... FAILED

failures:

failures:
    crates/pure/cortado-model/src/key.rs - g (line 9)

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s

all doctests ran in 0.82s; merged doctests compilation took 0.60s
error: doctest failed, to rerun pass `-p cortado-model --doc`
";

const HOLDS: &str = "\
   Doc-tests cortado_store

running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

";

const LAST: &str = "\
error: 2 targets failed:
    `-p cortado-log --lib`
    `-p cortado-node --test nodes`
";

/// What is known after `printed`: the failed tests by target and name, if they are all there is.
#[track_caller]
fn check(printed: &[&str], want: Option<&[(&str, &str)]>) {
    let mut output = TestOutput::default();
    printed.concat().lines().for_each(|line| output.see(line));
    let named = output.names_every_failure().then(|| {
        let named = output.failed.iter();
        named.map(|test| (test.target.as_str(), test.name.as_str())).collect::<Vec<_>>()
    });
    assert_eq!(named.as_deref(), want);
}

#[test]
fn failed_tests_are_known_by_target_and_name() {
    let library = [("-p cortado-log --lib", "tests::bad"), ("-p cortado-log --lib", "tests::soft")];
    let integration = [("-p cortado-node --test nodes", "restarts::one")];
    check(&[LIBRARY], Some(&library));
    check(
        &[HOLDS, LIBRARY, HOLDS, INTEGRATION, LAST],
        Some(&[&library[..], &integration].concat()),
    );
    let examples = [
        ("-p cortado-model --doc", "crates/pure/cortado-model/src/lib.rs - f (line 1)"),
        ("-p cortado-model --doc", "crates/pure/cortado-model/src/key.rs - g (line 9)"),
    ];
    check(&[EXAMPLES, HOLDS], Some(&examples));
}

#[test]
fn a_failure_that_is_no_test_is_not_known_by_name() {
    check(&["error[E0425]: cannot find value `x` in this scope\n"], None);
    check(&[DIES], None);
    check(&[INTEGRATION, DIES, LAST], None);
    // The run ends before cargo has said which target it was.
    let cut = INTEGRATION.split_once("error: ").expect("it is there").0;
    check(&[cut], None);
    check(&[LIBRARY, cut], None);
    // A list that is shorter than what was counted.
    check(&[&LIBRARY.replace("    tests::soft\n", "")], None);
    check(&[HOLDS], None);
}

/// The words with which a test is run alone.
#[track_caller]
fn check_alone(target: &str, name: &str, want: &str) {
    let test = FailedTest { target: target.to_owned(), name: name.to_owned() };
    let command = cargo_test(test.alone(), &[("CORTADO_DATASETS", "x".to_owned())]).to_string();
    let (before, words) = command.split_once("--color=never ").expect("in every command");
    assert_eq!(before, "CORTADO_DATASETS=x cargo test --workspace --no-fail-fast ");
    assert_eq!(words, want);
}

#[test]
fn a_repeated_test_runs_alone_and_in_the_same_build() {
    check_alone("-p cortado-log --lib", "tests::bad", "--lib -- --exact tests::bad");
    check_alone("-p cortado-node --test nodes", "a::b", "--test nodes -- --exact a::b");
    check_alone("-p cortado --bin cortado", "a::b", "--bin cortado -- --exact a::b");
    check_alone("-p x --doc", "crates/x/src/lib.rs - f (line 1)", "--doc -- crates/x/src/lib.rs");
}

#[test]
fn a_flaky_test_counts_as_passed() {
    let tally = Tally { passed: 5, failed: 2, skipped: 1 };
    let Outcome { verdict, tally, flaky } = repeated(tally, vec!["a".to_owned()]);
    assert!(matches!(verdict, Verdict::Failed(why) if why == "1 failed twice"));
    assert_eq!(tally, Tally { passed: 6, failed: 1, skipped: 1 });
    let flaky = [flaky, vec!["b".to_owned()]].concat();
    let outcome = repeated(Tally { passed: 5, failed: 2, skipped: 0 }, flaky);
    assert!(matches!(outcome.verdict, Verdict::Passed), "{outcome:?}");
    assert_eq!(outcome.tally, Tally { passed: 7, failed: 0, skipped: 0 });
    assert_eq!(outcome.flaky, ["a", "b"]);
}
