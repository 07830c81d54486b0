//! A disk in memory that keeps apart what is written and what is durable, and fails when told to.
//!
//! Its power can be cut at every write, sync and change of a name; [`Disk::after_cut`] is what a
//! machine might find afterwards. Start reading at [`Disk`].

use super::{Access, Files, LockGuard, LogFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// One directory on a disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    state: Arc<(Mutex<State>, Condvar)>,
    locked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    /// What a machine finds for certain.
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync of the directory.
    pending_names: Vec<NameChange>,
    contents: Vec<Content>,
    steps: u64,
    cut_at: Option<u64>,
    faults: Vec<Fault>,
    /// How long all files together may be.
    space_bytes: Option<u64>,
    syncs_held: bool,
    read_only: bool,
    reads_fail: bool,
    bytes_written: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, usize),
    Removed(String),
}

/// A file: as the process sees it, as the medium has it, and what has been written since.
#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
    /// Writes and syncs so far.
    touches: u64,
    /// Every name that it has had, oldest first.
    names: Vec<String>,
}

/// Fails one operation on a file whose name contains `name`.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) kind: io::ErrorKind,
    pub(crate) at: At,
}

/// Which operation fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The next write, after it has taken this many bytes.
    Write { taken: usize },
    /// The next sync; what was to be synced is lost, and later syncs do not know of it.
    Sync,
    /// The next read.
    Read,
    /// The next deletion.
    Remove,
}

/// A sector is written or not, or only its first bytes are; the others stay.
const SECTOR_BYTES: usize = 512;

impl Disk {
    /// Cuts the power at the `step`-th write, sync or change of a name from now, counted from 0.
    pub(crate) fn cut_at(&self, step: u64) {
        let mut state = self.lock();
        state.cut_at = Some(state.steps + step);
    }

    /// Writes, syncs and changes of names so far.
    pub(crate) fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Writes and syncs of one file so far.
    pub(crate) fn touches(&self, name: &str) -> u64 {
        let state = self.lock();
        state.contents[state.names[name]].touches
    }

    /// Bytes of all writes so far.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.lock().bytes_written
    }

    /// Files that were ever made, the lost and deleted ones included.
    pub(crate) fn files(&self) -> usize {
        self.lock().contents.len()
    }

    /// Every name that the file has had which now is called `name`, oldest first.
    pub(crate) fn names_of(&self, name: &str) -> Vec<String> {
        let state = self.lock();
        state.contents[state.names[name]].names.clone()
    }

    /// Lets a new process use the disk after a cut that only the old process has noticed.
    pub(crate) fn restore_power(&self) {
        self.lock().cut_at = None;
    }

    /// One of the disks that a machine might find when the power is cut now.
    ///
    /// * `choice`: 0 keeps nothing that was not synced, 1 keeps everything, every other number
    ///   chooses among the sectors and the changes of names.
    pub(crate) fn after_cut(&self, choice: u64) -> Disk {
        let state = self.lock();
        let mut dice = Dice { choice, rolls: 0 };
        let mut names = state.durable_names.clone();
        // The file system orders its own notes, so that they land up to some point.
        let landed = dice.up_to(state.pending_names.len());
        for change in &state.pending_names[..landed] {
            change.apply(&mut names);
        }
        let contents = state.contents.iter().map(|content| content.after_cut(&mut dice)).collect();
        drop(state);
        let after = Disk::default();
        *after.lock() = State { durable_names: names.clone(), names, contents, ..State::default() };
        after
    }

    /// Another disk with the same bytes, all of them durable.
    pub(crate) fn copy(&self) -> Disk {
        self.after_cut(1)
    }

    /// Deletes a file without the log's knowledge.
    pub(crate) fn lose(&self, name: &str) {
        let mut state = self.lock();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// Puts a file there without the log's knowledge.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.lock();
        let id = state.contents.len();
        state.contents.push(Content { seen: bytes.clone(), durable: bytes, ..Content::default() });
        state.names.insert(name.to_owned(), id);
        state.durable_names.insert(name.to_owned(), id);
    }

    /// Fails an operation that is to come.
    pub(crate) fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Lets all files together be no longer than `bytes` from now on.
    pub(crate) fn limit_space(&self, bytes: Option<u64>) {
        self.lock().space_bytes = bytes;
    }

    /// Bytes of all files that have a name.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Makes every sync wait, or go on.
    pub(crate) fn hold_syncs(&self, held: bool) {
        self.lock().syncs_held = held;
        self.state.1.notify_all();
    }

    /// Refuses every change.
    pub(crate) fn make_read_only(&self) {
        self.lock().read_only = true;
    }

    /// Fails every read of a file, or lets them succeed.
    pub(crate) fn fail_reads(&self, fail: bool) {
        self.lock().reads_fail = fail;
    }

    /// Changes bytes without the log's knowledge.
    pub(crate) fn corrupt(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let id = state.names[name];
        let content = &mut state.contents[id];
        change(&mut content.seen);
        content.durable = content.seen.clone();
        content.pending.clear();
    }

    /// The bytes of a file, as the process sees them.
    pub(crate) fn bytes_of(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.contents[state.names[name]].seen.clone()
    }

    /// Everything that is there, to see whether something has changed.
    pub(crate) fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        let content = |id: &usize| state.contents[*id].seen.clone();
        state.names.iter().map(|(name, id)| (name.clone(), content(id))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }
}

impl State {
    fn used_bytes(&self) -> u64 {
        self.names.values().map(|id| self.contents[*id].seen.len() as u64).sum()
    }

    /// Counts a boundary; answers whether the power has just been cut, and fails afterwards.
    fn step(&mut self) -> io::Result<bool> {
        let step = self.steps;
        self.steps += 1;
        match self.cut_at {
            Some(at) if step > at => Err(io::Error::other("the power is off")),
            Some(at) => Ok(step == at),
            None => Ok(false),
        }
    }

    fn change_name(&mut self, change: NameChange) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let cut = self.step()?;
        change.apply(&mut self.names);
        if let NameChange::Set(name, id) = &change {
            self.contents[*id].names.push(name.clone());
        }
        self.pending_names.push(change);
        cut_off(cut)
    }

    /// The next fault of file `id` of the kind that `hits` tells.
    fn take_fault(&mut self, id: usize, hits: impl Fn(&At) -> bool) -> Option<Fault> {
        let (name, _) = self.names.iter().find(|(_, named)| **named == id)?;
        let found = |fault: &Fault| name.contains(fault.name) && hits(&fault.at);
        let index = self.faults.iter().position(found)?;
        Some(self.faults.remove(index))
    }
}

fn cut_off(cut: bool) -> io::Result<()> {
    if cut { Err(io::Error::other("the power was cut")) } else { Ok(()) }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, id) => {
                names.retain(|_, other| other != id);
                names.insert(name.clone(), *id);
            }
            NameChange::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    fn after_cut(&self, dice: &mut Dice) -> Content {
        let mut bytes = self.durable.clone();
        for (position, written) in &self.pending {
            let mut at = 0;
            while at < written.len() {
                let place = *position as usize + at;
                let sector_end = (place / SECTOR_BYTES + 1) * SECTOR_BYTES;
                let piece = &written[at..written.len().min(at + sector_end - place)];
                let landed = dice.up_to(piece.len());
                put(&mut bytes, place, &piece[..landed]);
                at += piece.len();
            }
        }
        let names = self.names.clone();
        Content { seen: bytes.clone(), durable: bytes, names, ..Content::default() }
    }
}

fn put(bytes: &mut Vec<u8>, position: usize, written: &[u8]) {
    let end = position + written.len();
    if bytes.len() < end && !written.is_empty() {
        bytes.resize(end, 0);
    }
    if !written.is_empty() {
        bytes[position..end].copy_from_slice(written);
    }
}

/// Chooses what survives; the same choice gives the same disk.
struct Dice {
    choice: u64,
    rolls: u64,
}

impl Dice {
    /// Nothing, all, or (one time in four) a part of `count`.
    fn up_to(&mut self, count: usize) -> usize {
        match self.choice {
            0 => return 0,
            1 => return count,
            _ => {}
        }
        self.rolls += 1;
        // SplitMix64, a public-domain mixing function.
        let mut mixed = self.choice.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(self.rolls);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        match mixed % 8 {
            0..3 => 0,
            3..6 => count,
            _ => (mixed >> 8) as usize % (count + 1),
        }
    }
}

/// One file of a [`Disk`].
#[derive(Debug)]
struct Handle {
    disk: Disk,
    id: usize,
    access: Access,
}

impl Files for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.lock();
        let id = state.contents.len();
        state.contents.push(Content::default());
        state.change_name(NameChange::Set(name.to_owned(), id))?;
        drop(state);
        Ok(Arc::new(Handle { disk: self.clone(), id, access: Access::Write }))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn LogFile>> {
        let id = self.lock().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { disk: self.clone(), id, access }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        let id = state.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        state.change_name(NameChange::Set(to.to_owned(), id))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        let id = state.names.get(name).copied();
        if let Some(fault) = id.and_then(|id| state.take_fault(id, |at| *at == At::Remove)) {
            return Err(fault.kind.into());
        }
        state.change_name(NameChange::Removed(name.to_owned()))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.lock();
        cut_off(state.step()?)?;
        state.durable_names = state.names.clone();
        state.pending_names.clear();
        Ok(())
    }

    fn free_bytes(&self) -> Option<u64> {
        let state = self.lock();
        Some(state.space_bytes?.saturating_sub(state.used_bytes()))
    }

    fn lock(&self, access: Access) -> io::Result<Option<LockGuard>> {
        if self.lock().read_only && access == Access::Write {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let taken = self.locked.swap(true, Ordering::SeqCst);
        Ok((!taken).then(|| Box::new(Unlock(Arc::clone(&self.locked))) as LockGuard))
    }
}

#[derive(Debug)]
struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl LogFile for Handle {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        if state.reads_fail {
            return Err(io::Error::other("reads fail"));
        }
        if let Some(fault) = state.take_fault(self.id, |at| *at == At::Read) {
            return Err(fault.kind.into());
        }
        let seen = &state.contents[self.id].seen;
        let start = seen.len().min(position as usize);
        let count = buffer.len().min(seen.len() - start);
        buffer[..count].copy_from_slice(&seen[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        assert_eq!(self.access, Access::Write, "a file that was opened for reading is written");
        let mut state = self.disk.lock();
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let mut taken = bytes.len();
        let is_write = |at: &At| matches!(at, At::Write { .. });
        if let Some(fault) = state.take_fault(self.id, is_write) {
            let At::Write { taken: limit } = fault.at else { unreachable!() };
            if limit == 0 {
                return Err(fault.kind.into());
            }
            taken = taken.min(limit);
            // What is left fails when it is tried, as a real short write does.
            state.faults.push(Fault { at: At::Write { taken: 0 }, ..fault });
        }
        if let Some(space) = state.space_bytes {
            let length = state.contents[self.id].seen.len() as u64;
            let free = space.saturating_sub(state.used_bytes());
            let reach = (length + free).saturating_sub(position);
            taken = taken.min(usize::try_from(reach).unwrap_or(usize::MAX));
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let cut = state.step()?;
        state.bytes_written += taken as u64;
        let content = &mut state.contents[self.id];
        content.touches += 1;
        put(&mut content.seen, position as usize, &bytes[..taken]);
        content.pending.push((position, bytes[..taken].to_vec()));
        cut_off(cut)?;
        Ok(taken)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        while state.syncs_held {
            state = self.disk.state.1.wait(state).unwrap();
        }
        cut_off(state.step()?)?;
        let fault = state.take_fault(self.id, |at| *at == At::Sync);
        let content = &mut state.contents[self.id];
        content.touches += 1;
        let pending = std::mem::take(&mut content.pending);
        if let Some(fault) = fault {
            return Err(fault.kind.into());
        }
        for (position, written) in pending {
            put(&mut content.durable, position as usize, &written);
        }
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.lock().contents[self.id].seen.len() as u64)
    }
}
