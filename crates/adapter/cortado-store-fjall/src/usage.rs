//! What a store takes up: files, table blocks in memory, memtables.
//!
//! Start reading at [`measure`].

use crate::memtables::{MEMTABLE_BYTES_MAX, MEMTABLES_MAX};
use cortado_model::Budget;
use cortado_store::StoreUsage;
use fjall::{AbstractTree, Database, Keyspace};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Looks at the files, and asks the engine for the rest.
pub(crate) fn measure(directory: &Path, database: &Database, entries: &Keyspace) -> StoreUsage {
    StoreUsage {
        disk_bytes: disk_bytes(directory).ok(),
        cache: Budget { used_bytes: database.cache_size(), limit_bytes: database.cache_capacity() },
        memtables: Budget {
            // The engine does not tell the size of a full one; the flusher has filled it.
            used_bytes: entries.tree.active_memtable().size()
                + entries.tree.sealed_memtable_count() as u64 * MEMTABLE_BYTES_MAX,
            limit_bytes: MEMTABLES_MAX * MEMTABLE_BYTES_MAX,
        },
    }
}

/// What the files of a folder take up, those of its folders included; a file that goes away
/// meanwhile is gone.
///
/// Not their lengths: the engine makes a log of 64 MiB that is mostly a hole.
fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for found in fs::read_dir(folder)? {
        let path = found?.path();
        // 512 bytes: the unit of `blocks`, whatever the file system's own is.
        let measured = fs::symlink_metadata(&path).and_then(|metadata| {
            if metadata.is_dir() { disk_bytes(&path) } else { Ok(metadata.blocks() * 512) }
        });
        bytes += match measured {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            measured => measured?,
        };
    }
    Ok(bytes)
}
