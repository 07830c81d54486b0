//! Where the documents of an import come from: a file or standard input, gzipped or not.
//!
//! Start reading at [`Source::open`].

use crate::failure::Failure;
use flate2::read::MultiGzDecoder;
use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes to be read, and how far that has come.
pub(crate) struct Source {
    input: Counted<Box<dyn Read + Send>>,
    /// Of the file, where it is a regular one.
    file: Option<Metadata>,
}

/// What a source holds, unpacked.
pub(crate) struct Unpacked {
    /// The bytes.
    pub(crate) input: Box<dyn Read + Send>,
    /// How many bytes of the file itself were read so far, where that is another number.
    pub(crate) packed: Option<Arc<AtomicU64>>,
}

impl Source {
    /// Opens `path`; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
        if path == Path::new("-") {
            // As in `… < FILE`; which file that is does not matter where it cannot be told.
            let opened = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            let metadata = opened.and_then(|file| file.metadata()).ok();
            return Ok(Source::new(Box::new(io::stdin()), metadata));
        }
        let unreadable =
            |error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{} is a directory", path.display()))
                .next("import its files one by one"));
        }
        Ok(Source::new(Box::new(file), Some(metadata)))
    }

    fn new(input: Box<dyn Read + Send>, metadata: Option<Metadata>) -> Source {
        Source { input: Counted::new(input), file: metadata.filter(Metadata::is_file) }
    }

    /// The file, if it is a regular one.
    pub(crate) fn file(&self) -> Option<&Metadata> {
        self.file.as_ref()
    }

    /// The length of the file, where it is known.
    pub(crate) fn bytes_total(&self) -> Option<u64> {
        self.file.as_ref().map(Metadata::len)
    }

    /// Unpacks what is gzipped, which its first two bytes tell. Waits for them.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn unpacked(mut self) -> io::Result<Unpacked> {
        let mut head = Vec::new();
        self.input.by_ref().take(GZIP.len() as u64).read_to_end(&mut head)?;
        let is_packed = head == GZIP;
        let packed = Arc::clone(&self.input.count);
        let whole = Cursor::new(head).chain(self.input);
        Ok(if is_packed {
            Unpacked { input: Box::new(MultiGzDecoder::new(whole)), packed: Some(packed) }
        } else {
            Unpacked { input: Box::new(whole), packed: None }
        })
    }
}

/// Source: RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Counts what is read.
struct Counted<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    fn new(input: R) -> Counted<R> {
        Counted { input, count: Arc::default() }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(into)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// What comes out of a source of `bytes`.
    fn unpacked(bytes: &'static [u8]) -> io::Result<Vec<u8>> {
        let source = Source::new(Box::new(bytes), None);
        let mut text = Vec::new();
        source.unpacked()?.input.read_to_end(&mut text).map(|_| text)
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text).and_then(|()| packer.finish()).expect("a vector")
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes() {
        for plain in [&b"{}\n"[..], b"", b"{", b"\x1f"] {
            assert_eq!(unpacked(plain).expect("read"), plain);
        }
        // As `cat a.gz b.gz` writes it.
        let both = [packed(b"{}\n"), packed(b"[]")].concat().leak();
        assert_eq!(unpacked(both).expect("read"), b"{}\n[]");
        let cut = packed(b"{\"a\":1}").leak();
        assert!(unpacked(&cut[..cut.len() - 9]).is_err(), "a cut file is no whole file");
    }
}
