//! Installing a snapshot in portions, each with how far it goes.

use crate::FjallStore;
use crate::layout::{self, PREFIX_BYTES};
use crate::portions::Portions;
use bytes::Bytes;
use cortado_model::{Entry, EntryKey, PartitionId};
use cortado_store::encoding::{check_snapshot_entry, parse_progress, progress_value};
use cortado_store::{Installer, Store, StoreError};

/// A portion and the progress that it makes are one batch of the engine: after a crash the progress
/// says what is there.
pub(crate) struct FjallInstaller<'a> {
    portions: Portions<'a>,
    prefix: [u8; PREFIX_BYTES],
    name: Bytes,
    after: Option<Bytes>,
}

impl FjallInstaller<'_> {
    /// Goes on with the snapshot `name`, or begins it in a partition that holds nothing else.
    pub(crate) fn open<'a>(
        store: &'a FjallStore,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<FjallInstaller<'a>, StoreError> {
        let progress = store.fjall_view(partition).progress()?;
        let progress = progress.as_ref().map(parse_progress).transpose()?;
        let known = progress.filter(|(known, _)| known == name);
        let is_new = known.is_none();
        if is_new {
            store.remove(partition)?;
        }
        let mut installer = FjallInstaller {
            portions: Portions::new(store),
            prefix: layout::prefix(partition),
            name: Bytes::copy_from_slice(name),
            after: known.and_then(|(_, after)| after),
        };
        if is_new {
            installer.commit()?;
        }
        Ok(installer)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let progress = progress_value(&self.name, self.after.as_deref());
        self.portions.put(EntryKey::InstallProgress.behind(&self.prefix), progress)?;
        self.portions.commit()
    }
}

impl Installer for FjallInstaller<'_> {
    fn after(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    fn put(&mut self, entry: Entry) -> Result<(), StoreError> {
        check_snapshot_entry(self.after(), &entry)?;
        self.portions.put([&self.prefix[..], &entry.key].concat(), entry.value)?;
        self.after = Some(entry.key);
        if self.portions.is_full() { self.commit() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>, checkpoint: Bytes) -> Result<(), StoreError> {
        self.portions.put(EntryKey::Checkpoint.behind(&self.prefix), checkpoint)?;
        // In the same batch.
        self.portions.remove(EntryKey::InstallProgress.behind(&self.prefix))?;
        self.portions.commit()
    }
}
