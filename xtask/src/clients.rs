//! What the lane `clients` needs from elsewhere: a browser, and two generators of clients.
//!
//! The generators are installed below `.cache` in the versions that the tests pin, once for each
//! such list. The browser is a package of the system. Start reading at [`Tools::find`].

use crate::fingerprint;
use crate::process::{Ended, Invocation, is_installed, version_of};
use crate::project::Project;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the tests keep what they pin.
const PINS: &str = "crates/app/cortado/tests/clients";
/// Browsers that run without a screen, the smallest first.
const BROWSERS: [&str; 5] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome"];

/// What was found or installed; each other one is a sentence that says what is missing.
#[derive(Debug)]
pub(crate) struct Tools {
    /// A Chromium.
    pub(crate) browser: Result<String, String>,
    /// The folder with `node` and `python`.
    pub(crate) generators: Result<PathBuf, String>,
}

impl Tools {
    /// Looks for everything, and installs what it can below `.cache`.
    pub(crate) fn find(project: &Project) -> Tools {
        Tools { browser: find_browser(), generators: install_generators(project) }
    }
}

fn find_browser() -> Result<String, String> {
    let found = BROWSERS.into_iter().find(|browser| is_installed(browser));
    found.map(str::to_owned).ok_or_else(|| {
        "no Chromium is installed; Debian's package `chromium-headless-shell` brings one".to_owned()
    })
}

fn install_generators(project: &Project) -> Result<PathBuf, String> {
    for (program, package) in [("node", "nodejs"), ("npm", "npm"), ("python3", "python3-venv")] {
        if !is_installed(program) {
            return Err(format!("{program} is not installed; Debian's package `{package}` has it"));
        }
    }
    let pins = project.root.join(PINS);
    let lists = ["typescript/package.json", "typescript/package-lock.json"];
    let mut pinned = Vec::new();
    for list in lists.iter().chain(&["python/requirements.txt"]) {
        let path = pins.join(list);
        pinned.extend(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    let cache = project.root.join(".cache").join("cortado-clients");
    // An environment of Python is bound to its place and to its interpreter.
    pinned.extend(version_of("python3").into_iter().flatten().chain(shown(&cache).into_bytes()));
    let folder = cache.join(&fingerprint::of(&pinned)[..16]);
    // Programs of Python know their own place, so it is made where it stays; the file comes last.
    let complete = folder.join("complete");
    if !complete.is_file() {
        install(project, &pins, &folder)?;
        fs::write(&complete, "").map_err(|error| format!("{}: {error}", complete.display()))?;
    }
    Ok(folder)
}

fn install(project: &Project, pins: &Path, folder: &Path) -> Result<(), String> {
    let node = folder.join("node");
    fs::create_dir_all(&node).map_err(|error| format!("{}: {error}", node.display()))?;
    for list in ["package.json", "package-lock.json"] {
        let copied = fs::copy(pins.join("typescript").join(list), node.join(list));
        copied.map_err(|error| format!("{list}: {error}"))?;
    }
    let (node, python) = (shown(&node), shown(&folder.join("python")));
    let pip = format!("{python}/bin/pip");
    let list = shown(&pins.join("python").join("requirements.txt"));
    let steps: [(&str, &[&str]); 3] = [
        ("npm", &["ci", "--prefix", &node, "--silent", "--no-audit", "--no-fund"]),
        ("python3", &["-m", "venv", &python]),
        (&pip, &["install", "--quiet", "--disable-pip-version-check", "-r", &list]),
    ];
    for (program, arguments) in steps {
        let step = Invocation::new(program, arguments.iter().copied());
        if let Ended::Badly { why, .. } = step.run(&project.root)? {
            return Err(format!("`{step}`: {why}"));
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
