//! The workspace as cargo describes it: its root, crates and test targets.
//!
//! Reads manifests only; resolves and downloads nothing. Start reading at [`Project`].

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout that this command was started in.
#[derive(Debug, Default)]
pub(crate) struct Project {
    /// Folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Folder of what cargo builds.
    pub(crate) target: PathBuf,
    /// The workspace's crates by name.
    pub(crate) crates: BTreeMap<String, Crate>,
}

/// One member of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crate {
    /// Folder of its manifest, relative to the root, with `/` between the parts.
    pub(crate) folder: String,
    /// What it depends on, workspace members and others alike.
    pub(crate) dependencies: Vec<Dependency>,
    /// Names of its integration tests, the files in `tests/`.
    pub(crate) tests: Vec<String>,
    /// Names of its binaries.
    pub(crate) binaries: Vec<String>,
}

/// One line of a crate's dependency tables.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// The package's name, whatever it is called locally.
    pub(crate) name: String,
    /// Which table it stands in.
    pub(crate) table: Table,
}

/// The dependency tables of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// `[dependencies]`
    Normal,
    /// `[dev-dependencies]`: tests, benches and examples.
    Dev,
    /// `[build-dependencies]`
    Build,
}

impl Project {
    /// Asks `cargo metadata`.
    ///
    /// # Errors
    /// A sentence, when cargo fails or answers something unexpected.
    pub(crate) fn load() -> Result<Project, String> {
        let mut command = Command::new(cargo());
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("`cargo metadata` failed:\n{why}"));
        }
        let value: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("`cargo metadata` answered no JSON: {error}"))?;
        Project::from_metadata(&value)
            .ok_or_else(|| "`cargo metadata` answered in an unknown shape".to_owned())
    }

    /// Reads version 1 of cargo's metadata; `None` when a member that it promises is missing.
    fn from_metadata(value: &Value) -> Option<Project> {
        let root = PathBuf::from(value.get("workspace_root")?.as_str()?);
        let target = PathBuf::from(value.get("target_directory")?.as_str()?);
        let mut crates = BTreeMap::new();
        for package in value.get("packages")?.as_array()? {
            let name = package.get("name")?.as_str()?.to_owned();
            crates.insert(name, Crate::from_package(package, &root)?);
        }
        Some(Project { root, target, crates })
    }

    /// The crate named `name`.
    ///
    /// # Errors
    /// A sentence that says which command needs it.
    pub(crate) fn require(&self, name: &str, needed_by: &str) -> Result<&Crate, String> {
        self.crates.get(name).ok_or_else(|| {
            format!("{needed_by} needs the crate `{name}`, which is not in the workspace")
        })
    }
}

impl Crate {
    fn from_package(package: &Value, root: &Path) -> Option<Crate> {
        let manifest = Path::new(package.get("manifest_path")?.as_str()?);
        let folder = manifest.parent()?.strip_prefix(root).ok()?;
        let dependencies = package.get("dependencies")?.as_array()?;
        Some(Crate {
            folder: folder.to_str()?.replace('\\', "/"),
            dependencies: dependencies.iter().map(Dependency::from_entry).collect::<Option<_>>()?,
            tests: target_names(package, "test")?,
            binaries: target_names(package, "bin")?,
        })
    }
}

impl Dependency {
    fn from_entry(entry: &Value) -> Option<Dependency> {
        let table = match entry.get("kind")?.as_str() {
            None => Table::Normal,
            Some("dev") => Table::Dev,
            Some("build") => Table::Build,
            Some(_) => return None,
        };
        Some(Dependency { name: entry.get("name")?.as_str()?.to_owned(), table })
    }
}

/// Names of the targets of `package` that are of `kind`.
fn target_names(package: &Value, kind: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for target in package.get("targets")?.as_array()? {
        let kinds = target.get("kind")?.as_array()?;
        if kinds.iter().any(|each| each.as_str() == Some(kind)) {
            names.push(target.get("name")?.as_str()?.to_owned());
        }
    }
    Some(names)
}

/// The cargo that started this process, or the one on the path.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Whether a lane or step that cannot run here is a failure: true when `CI=true`.
pub(crate) fn everything_must_run() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_as_cargo_writes_it() {
        let text = r#"{
            "workspace_root": "/repo",
            "target_directory": "/repo/target",
            "packages": [{
                "name": "cortado-log", "manifest_path": "/repo/crates/port/cortado-log/Cargo.toml",
                "dependencies": [
                    {"name": "bytes", "kind": null}, {"name": "proptest", "kind": "dev"}],
                "targets": [
                    {"name": "cortado_log", "kind": ["lib"]},
                    {"name": "memory", "kind": ["test"]}]
            }]}"#;
        let value = serde_json::from_str(text).expect("JSON");
        let project = Project::from_metadata(&value).expect("the shape cargo documents");
        assert_eq!(project.target, Path::new("/repo/target"));
        let log = project.require("cortado-log", "this test").expect("listed above");
        assert_eq!(log.folder, "crates/port/cortado-log");
        assert_eq!(log.tests, ["memory"]);
        assert!(log.binaries.is_empty());
        let tables: Vec<_> = log.dependencies.iter().map(|d| (d.name.as_str(), d.table)).collect();
        assert_eq!(tables, [("bytes", Table::Normal), ("proptest", Table::Dev)]);
        let error = project.require("cortado-sim", "the sim lane").expect_err("not listed");
        assert!(error.contains("the sim lane needs the crate `cortado-sim`"), "{error}");
    }

    #[test]
    fn an_unknown_shape_is_refused() {
        for text in ["{}", r#"{"workspace_root": "/r"}"#] {
            let value = serde_json::from_str(text).expect("JSON");
            assert!(Project::from_metadata(&value).is_none(), "{text}");
        }
    }
}
