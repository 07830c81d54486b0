//! The jars of a broker: fetched once, checked every time.
//!
//! Start reading at [`fetch`].

use crate::cache;
use crate::error::{BrokersError, at};
use crate::java::Java;
use crate::repository::Repository;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// What is fetched, to the byte: `SHA-256  path`, a line for each jar, the path being that in a
/// Maven repository.
const SUMS: &str = include_str!("../broker/jars.sha256");

/// The jars of one version, in a folder of their own.
#[derive(Clone, Debug)]
pub(crate) struct Jars {
    /// The folder, and the name of what may be kept for these jars.
    pub(crate) folder: PathBuf,
    /// In the order of their names: an archive of classes fits no other order.
    pub(crate) files: Vec<PathBuf>,
}

impl Jars {
    /// The class path.
    pub(crate) fn class_path(&self) -> String {
        let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        files.join(":")
    }
}

/// Whether brokers can be started without a network.
///
/// # Errors
/// There is no folder to keep jars in.
pub fn are_fetched() -> Result<bool, BrokersError> {
    Ok(folder()?.join("jars").is_dir())
}

/// Answers the checked jars, fetching them first if need be.
///
/// # Errors
/// There is no way to their repository, or other bytes came than we know.
pub(crate) fn fetch(java: &Java) -> Result<Jars, BrokersError> {
    let folder = folder()?;
    let jars = folder.join("jars");
    if !jars.is_dir() {
        fetch_into(&Repository::find(), java, &folder, &jars)?;
    }
    check(&jars, SUMS)?;
    let mut files: Vec<_> = names(SUMS).map(|(_, name)| jars.join(name)).collect();
    files.sort();
    Ok(Jars { folder, files })
}

fn folder() -> Result<PathBuf, BrokersError> {
    let contents: String = names(SUMS).map(|(sum, name)| format!("{sum}  {name}\n")).collect();
    Ok(cache::folder()?.join(format!("kafka-{}", &fingerprint(contents.as_bytes())[..16])))
}

fn fetch_into(
    repository: &Repository,
    java: &Java,
    folder: &Path,
    jars: &Path,
) -> Result<(), BrokersError> {
    // A name of its own, so that two runs at once do not write into each other.
    let scratch = folder.join(format!("fetching-{}", std::process::id()));
    let arrived = scratch.join("jars");
    fs::create_dir_all(&scratch).map_err(at("make", &scratch))?;
    let paths: Vec<&str> = lines(SUMS).map(|(_, path)| path).collect();
    eprintln!("fetching {} jars of Apache Kafka from {}, once", paths.len(), repository.shown());
    let fetched = repository.fetch_into(&paths, java, &scratch, &arrived);
    let checked = fetched.and_then(|()| check(&arrived, SUMS));
    let moved = checked.map(|()| fs::rename(&arrived, jars));
    fs::remove_dir_all(&scratch).map_err(at("remove", &scratch))?;
    let moved = moved?;
    // Another run may have been faster.
    if jars.is_dir() { Ok(()) } else { moved.map_err(at("move the jars to", jars)) }
}

/// Compares the files of a folder with what we know of them.
fn check(folder: &Path, sums: &str) -> Result<(), BrokersError> {
    let other = |why| Err(BrokersError::OtherJars { why });
    for (sum, name) in names(sums) {
        let file = folder.join(name);
        let found = fingerprint(&fs::read(&file).map_err(at("read", &file))?);
        if found != sum {
            return other(format!("{} has SHA-256 {found}, not {sum}", file.display()));
        }
    }
    let found = fs::read_dir(folder).map_err(at("list", folder))?.count();
    let wanted = names(sums).count();
    if found == wanted { Ok(()) } else { other(format!("{found} files, not {wanted}")) }
}

/// Sum and path of each.
fn lines(sums: &str) -> impl Iterator<Item = (&str, &str)> {
    sums.lines().filter_map(|line| line.split_once("  "))
}

/// Sum and file of each.
fn names(sums: &str) -> impl Iterator<Item = (&str, &str)> {
    lines(sums).map(|(sum, path)| (sum, path.rsplit('/').next().unwrap_or(path)))
}

/// SHA-256, as lower-case hexadecimal digits.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::POM;

    #[test]
    fn other_bytes_and_other_files_are_refused() {
        let folder = tempfile::tempdir().expect("the machine has a directory for tests");
        let sums = format!("{}  a.jar\n", fingerprint(b"a"));
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("it is ours");
        };
        assert!(matches!(check(folder.path(), &sums), Err(BrokersError::Io { .. })));
        write("a.jar", "a");
        assert!(check(folder.path(), &sums).is_ok());
        write("b.jar", "b");
        assert!(matches!(check(folder.path(), &sums), Err(BrokersError::OtherJars { .. })));
        fs::remove_file(folder.path().join("b.jar")).expect("it is ours");
        write("a.jar", "b");
        assert!(matches!(check(folder.path(), &sums), Err(BrokersError::OtherJars { .. })));
    }

    #[test]
    fn the_list_names_what_the_project_file_asks_for() {
        for (wanted, jar) in [("kafka_2.13", "kafka_2.13-"), ("commons-validator", "commons-v")] {
            assert!(POM.contains(wanted) && names(SUMS).any(|(_, name)| name.starts_with(jar)));
        }
        assert!(names(SUMS).all(|(sum, name)| sum.len() == 64 && name.ends_with(".jar")));
    }
}
