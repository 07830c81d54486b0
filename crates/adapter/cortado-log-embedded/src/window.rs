//! Reads a file piece by piece through one buffer.
//!
//! Never writes. Start reading at [`Window`].

use crate::files::LogFile;
use std::io;

/// A part of a file in memory, moved to where it is wanted.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    file: &'a dyn LogFile,
    start: u64,
    bytes: Vec<u8>,
    /// How much is read at once, unless more is asked for.
    step_bytes: usize,
}

impl<'a> Window<'a> {
    /// Looks at nothing yet.
    pub(crate) fn new(file: &'a dyn LogFile, step_bytes: usize) -> Window<'a> {
        Window { file, start: 0, bytes: Vec::new(), step_bytes }
    }

    /// The bytes from `position` on: `count` of them, or fewer where the file ends.
    pub(crate) fn get(&mut self, position: u64, count: usize) -> io::Result<&[u8]> {
        let held = position.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = match held {
            Some(skip) if skip.saturating_add(count) <= self.bytes.len() => skip,
            Some(_) | None => {
                self.load(position, count.max(self.step_bytes))?;
                0
            }
        };
        let end = self.bytes.len().min(skip + count);
        Ok(&self.bytes[skip..end])
    }

    fn load(&mut self, position: u64, count: usize) -> io::Result<()> {
        self.bytes.resize(count, 0);
        // A failed read leaves nothing that could be taken for the file's bytes.
        self.start = position;
        let filled = self.file.read_at(&mut self.bytes, position).inspect_err(|_| {
            self.start = u64::MAX;
        })?;
        self.bytes.truncate(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::faulty::Disk;
    use crate::files::{Access, Files};

    #[test]
    fn a_read_at_the_edge_of_the_window_is_not_short() {
        let disk = Disk::default();
        let bytes: Vec<u8> = (0..=255).collect();
        disk.put("file", bytes.clone());
        let file = disk.open("file", Access::Read).unwrap();
        let mut window = Window::new(file.as_ref(), 64);
        for before in (0..bytes.len()).step_by(8) {
            for position in (before..bytes.len()).step_by(8) {
                for count in (8..96).step_by(8) {
                    // Loads the window at `before`; what is asked for then may reach beyond it.
                    window.get(before as u64, 8).unwrap();
                    let end = bytes.len().min(position + count);
                    let got = window.get(position as u64, count).unwrap();
                    assert_eq!(got, &bytes[position..end], "{before}, {position}, {count}");
                }
            }
        }
    }
}
