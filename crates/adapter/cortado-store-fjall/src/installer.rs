//! Installing a snapshot in portions, each with how far it goes.

use crate::engine::Engine;
use crate::layout::{self, PREFIX_BYTES};
use crate::portions::Portions;
use bytes::Bytes;
use cortado_model::{Entry, EntryKey, PartitionId};
use cortado_store::encoding::{check_snapshot_entry, parse_progress, progress_value};
use cortado_store::{Installer, StoreError};

/// A portion and the progress that it makes are one batch of the engine: after a crash the progress
/// says what is there.
pub(crate) struct FjallInstaller<'a> {
    portions: Portions<'a>,
    prefix: [u8; PREFIX_BYTES],
    name: Bytes,
    after: Option<Bytes>,
}

impl FjallInstaller<'_> {
    /// Begins the snapshot `name` in a partition that holds nothing.
    pub(crate) fn begin<'a>(
        engine: &'a Engine,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<FjallInstaller<'a>, StoreError> {
        let name = Bytes::copy_from_slice(name);
        let mut installer = FjallInstaller::new(engine, partition, name, None);
        installer.commit()?;
        Ok(installer)
    }

    /// Goes on with the snapshot `name`; `None` if the partition holds anything else.
    pub(crate) fn go_on<'a>(
        engine: &'a Engine,
        partition: PartitionId,
        name: &[u8],
    ) -> Result<Option<FjallInstaller<'a>>, StoreError> {
        let progress = engine.view(partition).progress()?;
        let progress = progress.as_ref().map(parse_progress).transpose()?;
        let known = progress.filter(|(known, _)| known == name);
        Ok(known.map(|(name, after)| FjallInstaller::new(engine, partition, name, after)))
    }

    fn new(
        engine: &Engine,
        partition: PartitionId,
        name: Bytes,
        after: Option<Bytes>,
    ) -> FjallInstaller<'_> {
        let (portions, prefix) = (Portions::new(engine), layout::prefix(partition));
        FjallInstaller { portions, prefix, name, after }
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
