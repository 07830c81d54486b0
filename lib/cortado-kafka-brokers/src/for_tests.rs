//! Brokers for a test, or the reason why it cannot have any.

use crate::brokers::{BrokerSettings, KafkaBrokers, Lifetime};
use crate::cache;
use crate::error::BrokersError;
use crate::launch::Compilation;
use crate::secured::Secured;
use crate::state::Pace;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

/// Starts brokers that end with this process; `None` where there is no Java or no Maven, and the
/// test cannot be run.
///
/// * `pace`: [`Pace::Steady`] unless the test ends brokers.
///
/// # Panics
/// They do not start; or there is no Java or no Maven, and `CI=true` says that all tests must run.
pub fn brokers_for_test(brokers: u32, clients: u32, pace: Pace) -> Option<KafkaBrokers> {
    start_for_test(Ipv4Addr::LOCALHOST, brokers, clients, pace, None)
}

/// As [`brokers_for_test`], at another address of this machine.
///
/// # Panics
/// As [`brokers_for_test`].
pub fn brokers_for_test_at(address: Ipv4Addr, brokers: u32, pace: Pace) -> Option<KafkaBrokers> {
    start_for_test(address, brokers, 0, pace, None)
}

/// Three brokers that nobody breaks, for all tests of this process: they start once, with the first
/// test that asks, and end with the process, whose death removes their folder.
///
/// # Panics
/// As [`brokers_for_test`].
pub fn shared_brokers_for_test() -> Option<Arc<KafkaBrokers>> {
    static SHARED: OnceLock<Option<Arc<KafkaBrokers>>> = OnceLock::new();
    let start = || {
        let brokers = brokers_for_test(3, 0, Pace::Steady)?;
        if let Err(error) = remove_when_this_ends(brokers.folder()) {
            // The next test to start brokers sweeps it away.
            let _ = writeln!(io::stderr(), "the brokers' folder stays: {error}");
        }
        Some(Arc::new(brokers))
    };
    SHARED.get_or_init(start).clone()
}

/// Waits for the end of its standard input, then for the brokers', which write until then.
const REMOVE: &str = r#"read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1" && exit
  sleep 1
done"#;

/// Has a shell remove `folder` when this process ends, in whatever way.
fn remove_when_this_ends(folder: &Path) -> io::Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", REMOVE, "sh"]).arg(folder).process_group(0);
    let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // It stays open as long as this process lives, and no other process inherits it.
    std::mem::forget(shell.spawn()?.stdin.take());
    Ok(())
}

/// As [`brokers_for_test`], with listeners for one user over TLS; nobody ends them.
///
/// # Panics
/// As [`brokers_for_test`].
pub fn secured_brokers_for_test(brokers: u32, secured: Secured) -> Option<KafkaBrokers> {
    start_for_test(Ipv4Addr::LOCALHOST, brokers, 0, Pace::Steady, Some(secured))
}

fn start_for_test(
    address: Ipv4Addr,
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
    let settings = folder.map(|folder| BrokerSettings {
        folder,
        brokers,
        address,
        pace,
        clients,
        secured,
        lifetime,
        compilation: Compilation::Quick,
    });
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

    #[test]
    fn a_folder_goes_with_the_process_that_asked_for_it() {
        let parent = tempfile::tempdir().expect("the machine has a directory for tests");
        let folder = parent.path().join("brokers");
        fs::create_dir(&folder).expect("it is ours");
        let mut shell = Command::new("sh");
        shell.args(["-c", REMOVE, "sh"]).arg(&folder).stdin(Stdio::piped());
        let mut shell = shell.spawn().expect("there is a shell");
        assert!(shell.try_wait().expect("it was started").is_none() && folder.exists());
        drop(shell.stdin.take());
        shell.wait().expect("it was started");
        assert!(!folder.exists());
    }
}
