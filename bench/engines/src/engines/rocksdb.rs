//! RocksDB: a log-structured engine in C++.

use crate::engine::{CACHE_BYTES, Engine, SYNC_EVERY_BYTES};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, Options, WriteBatch,
    WriteOptions,
};
use std::path::Path;

pub struct Rocksdb {
    database: DB,
    write: WriteOptions,
}

impl Rocksdb {
    pub fn open(directory: &Path) -> Rocksdb {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_atomic_flush(true);
        options.set_write_buffer_size(SYNC_EVERY_BYTES);
        options.set_max_background_jobs(2);
        options.set_block_based_table_factory(&blocks);
        let [none, lz4] = [DBCompressionType::None, DBCompressionType::Lz4];
        options.set_compression_per_level(&[none, none, lz4, lz4, lz4, lz4, lz4]);
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        Rocksdb { database: DB::open(&options, directory).expect("RocksDB opens"), write }
    }
}

impl Engine for Rocksdb {
    fn apply(&mut self, writes: &[(Vec<u8>, Vec<u8>)], position: (&[u8], &[u8])) {
        let mut batch = WriteBatch::default();
        for (key, value) in writes {
            batch.put(key, value);
        }
        batch.put(position.0, position.1);
        self.database.write_opt(batch, &self.write).expect("RocksDB writes");
    }

    fn get(&self, key: &[u8]) -> Option<usize> {
        let value = self.database.get_pinned(key).expect("RocksDB reads");
        value.map(|value| std::hint::black_box(value.to_vec()).len())
    }

    fn get_value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.database.get(key).expect("RocksDB reads")
    }

    fn scan(&self, key: &[u8], count: usize) -> usize {
        let found = self.database.iterator(IteratorMode::From(key, Direction::Forward));
        found.take(count).map(|entry| entry.expect("RocksDB reads").1.len().min(1)).sum()
    }

    fn close(self: Box<Self>) {
        self.database.flush().expect("RocksDB flushes");
    }
}
