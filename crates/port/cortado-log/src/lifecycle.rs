//! The logs of a database as things that are made, checked and removed.
//!
//! Source: docs/protocols/replication.md, "The log port".

use cortado_model::{DatabaseId, LogId, PartitionUuid};
use std::io;

/// Which database's logs. One life of a database: a dropped and re-created one has another id and
/// UUID, and so other logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpec {
    /// The database.
    pub database: DatabaseId,
    /// Its name, for operators who look at the log with other tools.
    pub name: String,
    /// Its UUID, zero for `_cluster`, whose log is found by its name alone.
    pub uuid: PartitionUuid,
    /// How many partitions it has; 1 or more.
    pub partitions: u32,
}

/// What [`Log::verify`](crate::Log::verify) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The identity; another one than before means another log.
    pub log: LogId,
    /// Settings that are not as they should be. While there is one, the logs should not be
    /// appended to.
    pub drift: Vec<Drift>,
}

/// A setting of a log that endangers what was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The setting, as the log's own tools call it.
    pub setting: String,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
}

/// Why logs were not created. Some of them may have been; create them again.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// They exist with another number of partitions.
    #[error("the log of this database has {found} partitions, not {wanted}")]
    OtherPartitions {
        /// How many there are.
        found: u32,
        /// How many there should be.
        wanted: u32,
    },
    /// Passing; try again.
    #[error("the log cannot be created now")]
    Unavailable(#[source] io::Error),
}

/// Why nothing can be said of logs.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// They do not exist.
    #[error("the log of this database does not exist")]
    Missing,
    /// They have another number of partitions.
    #[error("the log of this database has {found} partitions, not {wanted}")]
    OtherPartitions {
        /// How many there are.
        found: u32,
        /// How many there should be.
        wanted: u32,
    },
    /// Passing; try again.
    #[error("the log cannot be reached")]
    Unavailable(#[source] io::Error),
}

/// Why logs were not removed. Some of them may have been; remove them again.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be removed now")]
pub struct RemoveError(#[source] pub io::Error);

/// Why a log keeps what it was allowed to forget. Trim it again.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    /// The log is another one; offsets of the old one mean nothing in it.
    #[error("the log was replaced: its identity is {found}")]
    Replaced {
        /// Its identity now.
        found: LogId,
    },
    /// There is no such log.
    #[error("the log of this partition does not exist")]
    Missing,
    /// The log could not write it down.
    #[error("the log cannot be trimmed now")]
    Unavailable(#[source] io::Error),
}
