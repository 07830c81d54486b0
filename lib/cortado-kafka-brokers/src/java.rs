//! The Java that brokers run on.

use crate::error::BrokersError;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The first Java that Kafka 4 runs on.
const VERSION_MIN: u32 = 17;

/// A Java that is new enough.
#[derive(Clone, Debug)]
pub(crate) struct Java {
    /// The program.
    pub(crate) program: PathBuf,
    /// All that it says of its version: an archive of classes fits no other.
    pub(crate) version: String,
}

impl Java {
    /// `JAVA_HOME`'s, or the one on the path.
    ///
    /// # Errors
    /// There is none, or it is too old.
    pub(crate) fn find() -> Result<Java, BrokersError> {
        let home = env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
        let program = home.map_or_else(
            || PathBuf::from("java"),
            |home| PathBuf::from(home).join("bin").join("java"),
        );
        let missing = |why: String| BrokersError::NotInstalled {
            program: "java",
            why,
            package: "openjdk-17-jre-headless",
        };
        let output = Command::new(&program).arg("-version").stdin(Stdio::null()).output();
        let output = output.map_err(|error| missing(format!("{}: {error}", program.display())))?;
        let version = String::from_utf8_lossy(&output.stderr).into_owned();
        match major(&version) {
            Some(VERSION_MIN..) => Ok(Java { program, version }),
            Some(major) => Err(missing(format!("version {major}, need {VERSION_MIN}"))),
            None => Err(missing(format!("an unknown version: {}", version.trim()))),
        }
    }
}

/// The major version in `openjdk version "17.0.15" 2025-04-15` and the like.
fn major(told: &str) -> Option<u32> {
    let quoted = told.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '+', '_']);
    let first = parts.next()?.parse().ok()?;
    // Up to Java 8 it began with 1.
    if first == 1 { parts.next()?.parse().ok() } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_vendors_write_them() {
        for (told, want) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", Some(17)),
            ("openjdk version \"25\" 2025-09-16 LTS", Some(25)),
            ("openjdk version \"21-ea\" 2023-09-19", Some(21)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("bash: java: command not found", None),
            ("", None),
        ] {
            assert_eq!(major(told), want, "{told}");
        }
    }
}
