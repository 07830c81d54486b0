//! Where an export goes: a regular file that is replaced as a whole, or a stream.
//!
//! A file appears whole or not at all; what is no regular file stays what it is.
//! Start reading at [`Destination::open`].

use crate::failure::Failure;
use crate::output::tell;
use crate::terminal::stdout;
use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// An open destination.
pub(super) enum Destination {
    /// Takes the place of `path` at the end.
    Replacement { out: BufWriter<NamedTempFile>, path: PathBuf },
    /// Standard output, a device, a pipe: what is written is gone at once.
    Stream(Box<dyn Write>),
}

impl Destination {
    /// Opens `path`; `-` is standard output. A pipe without a reader is waited for.
    ///
    /// # Errors
    /// It cannot be written. Nothing was changed then.
    pub(super) fn open(path: &Path) -> Result<Destination, Failure> {
        if path == Path::new("-") {
            return Ok(standard());
        }
        let opened = match behind_links(path).map_err(|error| unwritable(path, &error))? {
            Found::Own { descriptor: 1 } => return Ok(standard()),
            Found::Own { descriptor: 2 } => io::stderr().as_fd().try_clone_to_owned().map(stream),
            Found::Own { descriptor } => open_own(path, descriptor),
            Found::Nothing { path } => replacement(path, None),
            Found::File { path, metadata } if metadata.is_file() => {
                replacement(path, Some(&metadata))
            }
            Found::File { metadata, .. } if is_stream(metadata.file_type()) => open_stream(path),
            Found::File { metadata, .. } if metadata.is_dir() => {
                Err(io::Error::from(ErrorKind::IsADirectory))
            }
            Found::File { .. } => Err(io::Error::other("it is neither a file nor a pipe")),
        };
        opened.map_err(|error| unwritable(path, &error))
    }

    /// Makes what was written permanent.
    ///
    /// # Errors
    /// It could not be written in full; a file is as it was then.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Destination::Stream(mut out) => Ok(out.flush()?),
            Destination::Replacement { out, path } => {
                persist(out, &path).map_err(|error| unwritable(&path, &error))
            }
        }
    }

    /// The file that is replaced at the end, if one is.
    pub(super) fn replaced(&self) -> Option<&Path> {
        match self {
            Destination::Stream(_) => None,
            Destination::Replacement { path, .. } => Some(path),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Destination::Replacement { out, path } => {
                out.write(bytes).map_err(|error| unfinished(path, &error))
            }
            Destination::Stream(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Destination::Replacement { out, path } => {
                out.flush().map_err(|error| unfinished(path, &error))
            }
            Destination::Stream(out) => out.flush(),
        }
    }
}

fn standard() -> Destination {
    let out = stdout();
    if out.is_terminal() {
        return Destination::Stream(Box::new(out));
    }
    Destination::Stream(Box::new(BufWriter::new(out)))
}

/// What a path names, behind its symbolic links.
enum Found {
    File {
        path: PathBuf,
        metadata: Metadata,
    },
    /// It can be created.
    Nothing {
        path: PathBuf,
    },
    /// A descriptor of this very process, such as `/dev/stdout`: it is not to be replaced by name.
    Own {
        descriptor: u32,
    },
}

/// As many as the system follows. Source: path_resolution(7).
const LINKS_MAX: usize = 40;

fn behind_links(path: &Path) -> io::Result<Found> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Some(descriptor) = own_descriptor(&path) {
            return Ok(Found::Own { descriptor });
        }
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = folder_of(&path).join(target);
            }
            Ok(metadata) => return Ok(Found::File { path, metadata }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Found::Nothing { path });
            }
            Err(error) => return Err(error),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// The descriptor that a path below `/proc/self/fd` names.
fn own_descriptor(path: &Path) -> Option<u32> {
    let folder = path.parent()?.canonicalize().ok()?;
    let own = Path::new("/proc/self/fd").canonicalize().ok()?;
    (folder == own).then(|| path.file_name()?.to_str()?.parse().ok())?
}

fn folder_of(path: &Path) -> &Path {
    // Of a bare file name, the parent is the empty path.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn is_stream(file_type: FileType) -> bool {
    file_type.is_fifo() || file_type.is_char_device() || file_type.is_block_device()
}

fn open_stream(path: &Path) -> io::Result<Destination> {
    OpenOptions::new().write(true).open(path).map(stream)
}

/// Opens what stands behind a descriptor of this process once more. In a regular file, that would
/// write over what stands there, from the beginning.
fn open_own(path: &Path, descriptor: u32) -> io::Result<Destination> {
    if fs::metadata(path)?.is_file() {
        let text = format!("it is open already; export to - with `>&{descriptor}` instead");
        return Err(io::Error::other(text));
    }
    open_stream(path)
}

fn stream(opened: impl Into<File>) -> Destination {
    Destination::Stream(Box::new(BufWriter::new(opened.into())))
}

/// A file beside `path`, with the mode and the owner of the one that it replaces.
fn replacement(path: PathBuf, replaced: Option<&Metadata>) -> io::Result<Destination> {
    // As any new file: the umask takes its part away.
    let mode = replaced.map_or(0o666, |replaced| replaced.mode() & 0o7777);
    let beside = tempfile::Builder::new()
        .prefix(".cortado-export-")
        .permissions(Permissions::from_mode(mode & 0o777))
        .tempfile_in(folder_of(&path))?;
    if let Some(replaced) = replaced {
        // Asks what the replacement would not: whether the file itself may be written.
        OpenOptions::new().write(true).open(&path)?;
        let file = beside.as_file();
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (replaced.uid(), replaced.gid()) {
            fchown(file, Some(replaced.uid()), Some(replaced.gid())).map_err(|error| {
                let text = format!("its owner could not be kept ({error}); export to a new file");
                io::Error::new(error.kind(), text)
            })?;
        }
        // Behind the owner, whose change takes special bits away.
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(Destination::Replacement { out: BufWriter::new(beside), path })
}

fn persist(out: BufWriter<NamedTempFile>, path: &Path) -> io::Result<()> {
    let beside = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    // The file is replaced: at worst, a power failure brings the former one back.
    if let Err(error) = File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
        tell(&format!(
            "{} is written, but its folder could not be synced: {error}",
            path.display()
        ));
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {}", path.display(), cause(error)))
}

/// The same of a file that was begun beside it.
fn unfinished(path: &Path, error: &io::Error) -> io::Error {
    let path = path.display();
    let text = format!("{path} cannot be written: {}; it is as it was", cause(error));
    io::Error::new(error.kind(), text)
}

/// What went wrong, without the name of the file beside the one that was asked for.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" at path \"").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(path: &Path, text: &str) -> Result<(), Failure> {
        let mut out = Destination::open(path)?;
        out.write_all(text.as_bytes())?;
        out.finish()
    }

    fn mode_of(path: &Path) -> u32 {
        path.metadata().expect("it exists").mode() & 0o7777
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named_as_it_was_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("none/file");
        let failure = write(&file, "").expect_err("there is no such folder");
        let (told, name) = (format!("{failure:?}"), file.display().to_string());
        assert!(told.contains(&format!("{name} cannot be written: No such file")), "{told}");
        assert!(!told.contains(".cortado-export-"), "{told}");
        // As the one beside it says it when its disk is full.
        let full = "No space left on device at path \"/mnt/.cortado-export-x\"";
        let told = unfinished(&file, &io::Error::new(ErrorKind::StorageFull, full));
        let want = format!("{name} cannot be written: No space left on device; it is as it was");
        assert_eq!((told.kind(), told.to_string()), (ErrorKind::StorageFull, want));
    }

    #[test]
    fn a_file_is_replaced_through_links_and_keeps_its_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "older").expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
        let (link, further) = (folder.path().join("link"), folder.path().join("further"));
        symlink("file", &link).expect("linked");
        symlink(&link, &further).expect("linked");
        write(&further, "newer").expect("written");
        assert!(link.is_symlink() && further.is_symlink() && !file.is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("read"), "newer");
        assert_eq!(mode_of(&file), 0o600);
        // What is not there is created where the link points to.
        fs::remove_file(&file).expect("removed");
        write(&link, "new").expect("written");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("read"), "new");
    }

    #[test]
    fn what_was_not_finished_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "older").expect("written");
        let mut out = Destination::open(&file).expect("open");
        out.write_all(b"half").and_then(|()| out.flush()).expect("written");
        drop(out);
        assert_eq!(fs::read_to_string(&file).expect("read"), "older");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        write(Path::new("/dev/null"), "gone").expect("written");
        assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());
        let folder = tempfile::tempdir().expect("a folder");
        assert!(write(folder.path(), "text").is_err());
        let around = folder.path().join("around");
        symlink(&around, &around).expect("linked");
        assert!(write(&around, "text").is_err());
        assert!(write(&folder.path().join("none").join("file"), "text").is_err());
    }
}
