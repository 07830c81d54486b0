//! LMDB through heed: a copy-on-write B-tree in a memory map, in C.

use crate::engine::Engine;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};
use std::ops::Bound;
use std::path::Path;

pub struct Lmdb {
    entries: Database<'static, Bytes, Bytes>,
    env: &'static Env,
}

impl Lmdb {
    pub fn open(directory: &Path, no_sync: bool) -> Lmdb {
        let flags = match no_sync {
            true => EnvFlags::NO_SYNC,
            false => EnvFlags::NO_META_SYNC,
        };
        let mut options = EnvOpenOptions::new();
        options.map_size(16 << 30);
        // SAFETY: no other process opens this directory, and a torn file is what is measured.
        let env = unsafe { options.flags(flags).open(directory) }.expect("LMDB opens");
        // Once in the life of a process.
        let env: &'static Env = Box::leak(Box::new(env));
        let transaction = env.write_txn().expect("LMDB begins");
        let entries = env.create_databases_and_commit(transaction, |opener, transaction| {
            let entries = opener.create_database::<Bytes, Bytes>(transaction, None);
            entries.map(CommitOrAbort::<_, ()>::Commit)
        });
        let entries = entries.expect("LMDB has its tree").unwrap_commit();
        Lmdb { entries, env }
    }
}

impl Engine for Lmdb {
    fn apply(&mut self, writes: &[(Vec<u8>, Vec<u8>)], position: (&[u8], &[u8])) {
        let mut transaction = self.env.write_txn().expect("LMDB begins");
        for (key, value) in writes {
            self.entries.put(&mut transaction, key, value).expect("LMDB puts");
        }
        self.entries.put(&mut transaction, position.0, position.1).expect("LMDB puts");
        transaction.commit().expect("LMDB commits");
    }

    fn get(&self, key: &[u8]) -> Option<usize> {
        let transaction = self.env.read_txn().expect("LMDB begins");
        // Copied, as a value that outlives the transaction has to be.
        let value = self.entries.get(&transaction, key).expect("LMDB reads");
        value.map(|value| std::hint::black_box(value.to_vec()).len())
    }

    fn get_value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let transaction = self.env.read_txn().expect("LMDB begins");
        self.entries.get(&transaction, key).expect("LMDB reads").map(<[u8]>::to_vec)
    }

    fn scan(&self, key: &[u8], count: usize) -> usize {
        let transaction = self.env.read_txn().expect("LMDB begins");
        let range = (Bound::Included(key), Bound::Unbounded);
        let found = self.entries.range(&transaction, &range).expect("LMDB reads").take(count);
        found.map(|entry| entry.expect("LMDB reads").1.len().min(1)).sum()
    }

    fn close(self: Box<Self>) {
        self.env.force_sync().expect("LMDB syncs");
    }
}
