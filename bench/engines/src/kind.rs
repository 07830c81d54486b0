//! The engines that are compared, by name.
//!
//! Start reading at [`Kind`].

use crate::engine::Engine;
use crate::engines::fjall::Fjall;
use crate::engines::lmdb::Lmdb;
use crate::engines::redb::Redb;
use crate::engines::rocksdb::Rocksdb;
use std::path::Path;

/// The engines in the order in which they take turns.
pub const ENGINES: [Kind; 5] =
    [Kind::Fjall, Kind::Redb, Kind::Lmdb, Kind::LmdbNoSync, Kind::Rocksdb];

/// An engine in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its log left to the operating system; synced by itself before each flush.
    Fjall,
    /// Commits without durability, one with it for every
    /// [`SYNC_EVERY_BYTES`](crate::engine::SYNC_EVERY_BYTES).
    Redb,
    /// Through heed, without the sync of its meta page: one sync for each batch, but a prefix.
    Lmdb,
    /// Through heed, without any sync: for orientation, since a power cut may tear it.
    LmdbNoSync,
    /// Without its log, with atomic flushes: a prefix as of the last flush.
    Rocksdb,
}

impl Kind {
    /// How it is written on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fjall => "fjall",
            Kind::Redb => "redb",
            Kind::Lmdb => "heed",
            Kind::LmdbNoSync => "heed-nosync",
            Kind::Rocksdb => "rocksdb",
        }
    }

    /// Reads what [`name`](Self::name) wrote.
    pub fn parse(name: &str) -> Option<Kind> {
        ENGINES.into_iter().find(|kind| kind.name() == name)
    }

    /// Opens or makes the engine's store in `directory`.
    pub fn open(self, directory: &Path) -> Box<dyn Engine> {
        match self {
            Kind::Fjall => Box::new(Fjall::open(directory)),
            Kind::Redb => Box::new(Redb::open(directory)),
            Kind::Lmdb => Box::new(Lmdb::open(directory, false)),
            Kind::LmdbNoSync => Box::new(Lmdb::open(directory, true)),
            Kind::Rocksdb => Box::new(Rocksdb::open(directory)),
        }
    }
}
