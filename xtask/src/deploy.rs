//! The lane `deploy`: what `deploy/` holds is what systemd, Compose, Kubernetes and Prometheus
//! take.
//!
//! Each check is the tool that those who deploy have, or the schema that it goes by. Validators of
//! Python are installed below `.cache` once for each list. Start reading at [`check`].

use crate::fingerprint;
use crate::process::{Ended, Invocation, is_installed, version_of};
use crate::project::Project;
use crate::report::{Outcome, Ran, Verdict};
use std::fs;
use std::path::{Path, PathBuf};

const UNIT: &str = "deploy/systemd/cortado.service";
const COMPOSE: &str = "deploy/compose/compose.yaml";
const KUBERNETES: &str = "deploy/kubernetes/cortado.yaml";
const MONITORING: &str = "deploy/monitoring";
const PINS: &str = "deploy/requirements.txt";

/// Runs every check that can be run here.
pub(crate) fn check(project: &Project) -> Ran {
    let checks = [check_unit, check_schemas, check_alerts];
    let outcomes = checks.iter().map(|check| check(project));
    let outcomes: Result<Vec<Outcome>, String> = outcomes.collect();
    outcomes?.into_iter().reduce(Outcome::and).ok_or_else(|| "it has no checks".to_owned())
}

/// The unit, with a program in the place of ours, which is not installed.
fn check_unit(project: &Project) -> Ran {
    if !is_installed("systemd-analyze") {
        return skipped("the unit: systemd-analyze is not installed; Debian's `systemd` has it");
    }
    let unit = read(&project.root, UNIT)?;
    let (tried, found) = with_program(&unit, "/bin/true");
    if found != 1 {
        return Ok(Verdict::Failed(format!("{UNIT} has {found} lines ExecStart")).counted_once());
    }
    let scratch = cache(project)?;
    let file = scratch.join("cortado.service");
    fs::write(&file, tried).map_err(|error| format!("{}: {error}", file.display()))?;
    let words = ["verify", "--man=no", &shown(&file)].map(str::to_owned);
    let verify = Invocation::new("systemd-analyze", words);
    // It says of an unknown setting that it ignores it, and ends well.
    let mut complaints = Vec::new();
    let ended = verify.run_watched(&project.root, |line| {
        if line.contains("cortado.service") {
            complaints.push(line.to_owned());
        }
    })?;
    let verdict = match (ended, complaints.first()) {
        (Ended::Well, None) => Verdict::Passed,
        (Ended::Badly { why, .. }, None) => Verdict::Failed(why),
        (_, Some(complaint)) => Verdict::Failed(complaint.clone()),
    };
    Ok(verdict.counted_once())
}

/// The unit with another program, and how many lines name one.
fn with_program(unit: &str, program: &str) -> (String, usize) {
    let mut found = 0;
    let line = |line: &str| {
        let Some(command) = line.strip_prefix("ExecStart=") else { return format!("{line}\n") };
        found += 1;
        let arguments = command.split_once(' ').map_or("", |(_, arguments)| arguments);
        format!("ExecStart={program} {arguments}\n")
    };
    (unit.lines().map(line).collect(), found)
}

/// Compose and Kubernetes, by their schemas.
fn check_schemas(project: &Project) -> Ran {
    let python = match validators(project) {
        Ok(folder) => folder.join("bin"),
        Err(why) => return skipped(&format!("Compose and Kubernetes: {why}")),
    };
    let compose = ["--builtin-schema", "vendor.compose-spec", COMPOSE];
    let compose = Invocation::new(&shown(&python.join("check-jsonschema")), compose);
    let kubernetes = ["--strict", "--quiet", KUBERNETES];
    let kubernetes = Invocation::new(&shown(&python.join("kubernetes-validate")), kubernetes);
    Ok(run(&project.root, &compose)?.and(run(&project.root, &kubernetes)?))
}

/// The alerts, and what each fires for.
fn check_alerts(project: &Project) -> Ran {
    if !is_installed("promtool") {
        return skipped("alerts: promtool is not installed; Debian's `prometheus` brings it");
    }
    let folder = project.root.join(MONITORING);
    let promtool = |words: [&str; 3]| run(&folder, &Invocation::new("promtool", words));
    let config = promtool(["check", "config", "prometheus.yaml"])?;
    Ok(config.and(promtool(["test", "rules", "alerts.test.yaml"])?))
}

fn run(folder: &Path, command: &Invocation) -> Ran {
    let verdict = match command.run(folder)? {
        Ended::Well => Verdict::Passed,
        Ended::Badly { why, .. } => Verdict::Failed(format!("`{command}`: {why}")),
    };
    Ok(verdict.counted_once())
}

fn skipped(why: &str) -> Ran {
    Ok(Verdict::Skipped(why.to_owned()).counted_once())
}

/// The folder of the environment of Python that has the validators.
///
/// # Errors
/// A sentence: what is missing, or could not be installed.
fn validators(project: &Project) -> Result<PathBuf, String> {
    if !is_installed("python3") {
        return Err("python3 is not installed; Debian's `python3-venv` has it".to_owned());
    }
    let mut pinned = read(&project.root, PINS)?.into_bytes();
    let cache = cache(project)?;
    // An environment of Python is bound to its place and to its interpreter.
    pinned.extend(version_of("python3").into_iter().flatten().chain(shown(&cache).into_bytes()));
    let folder = cache.join(&fingerprint::of(&pinned)[..16]);
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(folder);
    }
    let pip = shown(&folder.join("bin").join("pip"));
    let steps: [(&str, &[&str]); 2] = [
        ("python3", &["-m", "venv", &shown(&folder)]),
        (&pip, &["install", "--quiet", "--disable-pip-version-check", "-r", PINS]),
    ];
    for (program, words) in steps {
        let step = Invocation::new(program, words.iter().copied());
        if let Ended::Badly { why, .. } = step.run(&project.root)? {
            return Err(format!("`{step}`: {why}"));
        }
    }
    fs::write(&complete, "").map_err(|error| format!("{}: {error}", complete.display()))?;
    Ok(folder)
}

fn cache(project: &Project) -> Result<PathBuf, String> {
    let cache = project.root.join(".cache").join("cortado-deploy");
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    Ok(cache)
}

fn read(root: &Path, path: &str) -> Result<String, String> {
    fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_tried_with_a_program_that_is_there() {
        let unit = "[Service]\nExecStart=/usr/local/bin/cortado serve --config f\nUser=a\n";
        let (tried, found) = with_program(unit, "/bin/true");
        assert_eq!(tried, "[Service]\nExecStart=/bin/true serve --config f\nUser=a\n");
        assert_eq!(found, 1);
        assert_eq!(with_program("[Service]\n", "/bin/true").1, 0);
    }
}
