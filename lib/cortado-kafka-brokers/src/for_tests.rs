//! Brokers for a test, or the reason why it cannot have any.

use crate::brokers::{BrokerSettings, KafkaBrokers, Lifetime};
use crate::cache;
use crate::error::BrokersError;
use crate::secured::Secured;
use crate::state::Pace;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Starts brokers that end with this process; `None` where there is no Java or no Maven, and the
/// test cannot be run.
///
/// * `pace`: [`Pace::Steady`] unless the test ends brokers.
///
/// # Panics
/// They do not start; or there is no Java or no Maven, and `CI=true` says that all tests must run.
pub fn brokers_for_test(brokers: u32, clients: u32, pace: Pace) -> Option<KafkaBrokers> {
    start_for_test(brokers, clients, pace, None)
}

/// The same, with listeners for one user over TLS; nobody ends them.
///
/// # Panics
/// As [`brokers_for_test`].
pub fn secured_brokers_for_test(brokers: u32, secured: Secured) -> Option<KafkaBrokers> {
    start_for_test(brokers, 0, Pace::Steady, Some(secured))
}

fn start_for_test(
    brokers: u32,
    clients: u32,
    pace: Pace,
    secured: Option<Secured>,
) -> Option<KafkaBrokers> {
    let must_run = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    let folder = cache::folder().map(|cache| {
        let (tests, number) = (cache.join("tests"), fastrand::u32(..));
        sweep(&tests);
        tests.join(format!("{NAME}{}-{number:08x}", std::process::id()))
    });
    let lifetime = Lifetime::OfThisProcess;
    let settings =
        folder.map(|folder| BrokerSettings { folder, brokers, pace, clients, secured, lifetime });
    match settings.and_then(|settings| KafkaBrokers::start(&settings)) {
        Ok(brokers) => Some(brokers),
        Err(error @ (BrokersError::NotInstalled { .. } | BrokersError::NotFetched { .. }))
            if !must_run =>
        {
            // Not `eprintln!`, which is shown of tests that fail only.
            let _ = writeln!(io::stderr(), "skipped: there are no Kafka brokers here: {error}");
            None
        }
        Err(error) => panic!("brokers for a test: {error}"),
    }
}

/// What the folders of tests are called, before the id of the process.
const NAME: &str = "kafka-";

/// Removes what tests have left behind that were killed: their brokers ended with them.
fn sweep(tests: &Path) {
    for entry in fs::read_dir(tests).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next());
        let has_ended = |id: &str| !Path::new("/proc").join(id).exists();
        if process.is_some_and(has_ended) {
            // Another test may be faster.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_test_left_is_removed_and_nothing_else() {
        let tests = tempfile::tempdir().expect("the machine has a directory for tests");
        let own = format!("{NAME}{}-00000001", std::process::id());
        // No process has an id so high.
        let left = format!("{NAME}999999999-00000001");
        for name in [own.as_str(), left.as_str(), "other"] {
            fs::create_dir(tests.path().join(name)).expect("it is ours");
        }
        sweep(tests.path());
        let is_there = |name: &str| tests.path().join(name).exists();
        assert!(is_there(&own) && is_there("other") && !is_there(&left));
        sweep(&tests.path().join("nothing"));
    }
}
