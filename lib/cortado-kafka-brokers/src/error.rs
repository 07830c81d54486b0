//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why brokers are not as was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokersError {
    /// A program is missing.
    #[error("{program} is not installed or too old: {why}; Debian's package `{package}` has it")]
    NotInstalled {
        /// Its name on the path.
        program: &'static str,
        /// What was found.
        why: String,
        /// Where it is.
        package: &'static str,
    },
    /// The jars could not be fetched.
    #[error(
        "{by} did not fetch the broker's jars ({why}); look at what it said, then try again. Maven \
         (Debian: `maven`) goes by its settings.xml; CORTADO_MAVEN_REPOSITORY names a mirror for \
         the java of a JDK"
    )]
    NotFetched {
        /// The program.
        by: &'static str,
        /// How it ended.
        why: String,
    },
    /// The jars are not the ones that we know.
    #[error("the broker's jars are not those of broker/jars.sha256: {why}")]
    OtherJars {
        /// The first difference.
        why: String,
    },
    /// There is a cluster in the folder.
    #[error(
        "{} is there already: `down` removes it, `start N` starts a stopped broker",
        folder.display()
    )]
    AlreadyThere {
        /// The folder.
        folder: PathBuf,
    },
    /// There is none.
    #[error("there are no brokers in {}: `up` makes some", folder.display())]
    NotThere {
        /// The folder.
        folder: PathBuf,
    },
    /// The cluster has no broker of that number.
    #[error("there is no broker {id}; they are {ids}")]
    NoSuchBroker {
        /// What was asked for.
        id: u32,
        /// Those that there are.
        ids: String,
    },
    /// The broker runs, and the command makes sense for one that does not.
    #[error("broker {id} runs already, as process {pid}")]
    Runs {
        /// The broker.
        id: u32,
        /// Its process.
        pid: i32,
    },
    /// The broker does not run, and the command makes sense for one that does.
    #[error("broker {id} does not run: `start {id}` starts it")]
    RunsNot {
        /// The broker.
        id: u32,
    },
    /// A broker has ended, or takes no connections.
    #[error("broker {id} is not ready: {why}\n{last_lines}")]
    NotReady {
        /// The broker.
        id: u32,
        /// What was seen.
        why: String,
        /// The end of its output.
        last_lines: String,
    },
    /// The storage tool failed.
    #[error("the storage tool did not format a folder: {why}")]
    NotFormatted {
        /// How it ended, and its output.
        why: String,
    },
    /// The numbers make no cluster.
    #[error("{brokers} brokers with {clients} clients each are not possible: 1 to 9, and 0 to 9")]
    Impossible {
        /// How many brokers were asked for.
        brokers: u32,
        /// How many clients.
        clients: u32,
    },
    /// No port is free.
    #[error("found no free port between {from} and {to}")]
    NoPort {
        /// The first that was tried.
        from: u16,
        /// The last.
        to: u16,
    },
    /// The operating system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Names what was tried with `path` when it failed.
pub(crate) fn at<'a>(
    doing: &'a str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> BrokersError + 'a {
    move |source| BrokersError::Io { doing: format!("{doing} {}", path.display()), source }
}
