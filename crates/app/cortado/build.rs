//! Tells the binary from which commit it is built, for the metric `cortado_build_info`.
//!
//! `CORTADO_REVISION` decides if it is set, as a package does that is built without git.

use std::path::Path;
use std::process::Command;

fn main() {
    let named = std::env::var("CORTADO_REVISION").ok();
    let revision = named.or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    let revision = revision.unwrap_or_else(|| String::from("unknown"));
    println!("cargo::rustc-env=CORTADO_REVISION={revision}");
    println!("cargo::rerun-if-env-changed=CORTADO_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    // Grows with every commit and checkout. A file that is not there would mean: always.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// The one line that git answers, if there is a git and a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| line.trim().to_owned())
}
