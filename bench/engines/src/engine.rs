//! What a store asks of its engine, and the engines that are compared.

use std::path::Path;

/// One engine in the mode in which it keeps a consistent prefix of the batches without a sync for
/// each of them, or as few as it allows.
pub trait Engine {
    /// Applies all writes or none, and the position with them.
    fn apply(&mut self, writes: &[(Vec<u8>, Vec<u8>)], position: (&[u8], &[u8]));

    /// Reads one value; answers its length.
    fn get(&self, key: &[u8]) -> Option<usize>;

    /// Reads one value.
    fn get_value(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Reads up to `count` entries from `key` on, values included; answers how many there were.
    fn scan(&self, key: &[u8], count: usize) -> usize;

    /// Closes cleanly, with everything on the disk.
    fn close(self: Box<Self>);
}

/// The engines in the order in which they take turns.
pub const ENGINES: [Kind; 5] =
    [Kind::Fjall, Kind::Redb, Kind::Lmdb, Kind::LmdbNoSync, Kind::Rocksdb];

/// An engine in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its log left to the operating system; synced by itself before each flush.
    Fjall,
    /// Commits without durability, one with it for every [`SYNC_EVERY_BYTES`].
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
            Kind::Fjall => Box::new(crate::engines::fjall::Fjall::open(directory)),
            Kind::Redb => Box::new(crate::engines::redb::Redb::open(directory)),
            Kind::Lmdb => Box::new(crate::engines::lmdb::Lmdb::open(directory, false)),
            Kind::LmdbNoSync => Box::new(crate::engines::lmdb::Lmdb::open(directory, true)),
            Kind::Rocksdb => Box::new(crate::engines::rocksdb::Rocksdb::open(directory)),
        }
    }
}

/// The cache of each engine that has one of its own. All also have the operating system's.
pub const CACHE_BYTES: usize = 64 << 20;
/// The memtable of those that have one, and what redb may lose.
pub const SYNC_EVERY_BYTES: usize = 32 << 20;
