//! redb: a copy-on-write B-tree in one file, in Rust.

use crate::engine::{CACHE_BYTES, Engine, SYNC_EVERY_BYTES};
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::path::Path;

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");

pub struct Redb {
    database: Database,
    not_synced_bytes: usize,
}

impl Redb {
    pub fn open(directory: &Path) -> Redb {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(directory.join("redb")).expect("redb opens");
        Redb { database, not_synced_bytes: 0 }
    }

    fn write(&mut self, entries: &[(&[u8], &[u8])], durability: Durability) {
        let mut transaction = self.database.begin_write().expect("redb begins");
        transaction.set_durability(durability).expect("nothing else is open");
        {
            let mut table = transaction.open_table(ENTRIES).expect("redb has its table");
            for (key, value) in entries {
                table.insert(*key, *value).expect("redb inserts");
            }
        }
        transaction.commit().expect("redb commits");
    }
}

impl Engine for Redb {
    fn apply(&mut self, writes: &[(Vec<u8>, Vec<u8>)], position: (&[u8], &[u8])) {
        let mut entries: Vec<_> = writes.iter().map(|(k, v)| (&k[..], &v[..])).collect();
        entries.push(position);
        self.not_synced_bytes += entries.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        let durability = match self.not_synced_bytes < SYNC_EVERY_BYTES {
            true => Durability::None,
            false => {
                self.not_synced_bytes = 0;
                Durability::Immediate
            }
        };
        self.write(&entries, durability);
    }

    fn get(&self, key: &[u8]) -> Option<usize> {
        self.get_value(key).map(|value| value.len())
    }

    fn get_value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let transaction = self.database.begin_read().expect("redb begins");
        let table = transaction.open_table(ENTRIES).ok()?;
        table.get(key).expect("redb reads").map(|value| value.value().to_vec())
    }

    fn scan(&self, key: &[u8], count: usize) -> usize {
        let transaction = self.database.begin_read().expect("redb begins");
        let table = transaction.open_table(ENTRIES).expect("redb has its table");
        let found = table.range(key..).expect("redb reads").take(count);
        found.map(|entry| entry.expect("redb reads").1.value().len().min(1)).sum()
    }

    fn close(mut self: Box<Self>) {
        self.write(&[], Durability::Immediate);
    }
}
