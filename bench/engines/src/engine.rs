//! What a store asks of its engine, and how much memory each engine gets.

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

/// The cache of each engine that has one of its own. All also have the operating system's.
pub const CACHE_BYTES: usize = 64 << 20;
/// The memtable of those that have one, and what redb may lose.
pub const SYNC_EVERY_BYTES: usize = 32 << 20;
