//! The folder that holds everything a server must find again, and the lock on it.
//!
//! Knows which folder is whose; what is in them belongs to the log and the stores.
//! Start reading at [`DataDirectory::open`]. Source: docs/formats/data-directory.md.

mod abandoned;
mod names;
mod reserve;
#[cfg(test)]
mod tests;

use crate::durable_file::{self, UNFINISHED};
use crate::failure::Failure;
use crate::private_files;
use cortado_model::ClusterUuid;
use names::{LOCK, TEMPORARY, TEMPORARY_PREFIX};
pub(crate) use reserve::Reserve;
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;
use tracing::warn;

/// The file that makes a folder a data directory.
const MARKER: &str = "CORTADO";
/// The folder of the log.
pub(crate) const LOG_FOLDER: &str = "log";
/// The folder of the nodes.
const NODES_FOLDER: &str = "nodes";
/// The folder of the nodes' identities.
const IDENTITIES_FOLDER: &str = "identities";
/// The format of what is in the folders: that of the log, the stores and the records in them.
const FORMAT: u32 = 3;

/// A data directory, locked by this process.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    /// Whose data it is, once that is known.
    cluster: Option<String>,
    holds: Holds,
    /// Held for as long as the directory is used.
    _lock: File,
    /// Removes the folder at the end, if it is temporary.
    temporary: Option<TempDir>,
}

/// What a data directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A log, and all nodes of `cortado dev`.
    Everything,
    /// One node of `cortado serve`, whose log is elsewhere.
    Node,
}

impl DataDirectory {
    /// Opens the directory `path` of one node, or makes one of it if it is empty or missing.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub(crate) fn open_node(path: &Path) -> Result<DataDirectory, Failure> {
        DataDirectory::open_for(path, Holds::Node)
    }

    /// Opens `path`, or makes a data directory of it if it is empty or missing.
    ///
    /// # Errors
    /// In use, not writable, of another format, or a folder with other files. Nothing was changed
    /// then.
    pub(crate) fn open(path: &Path) -> Result<DataDirectory, Failure> {
        DataDirectory::open_for(path, Holds::Everything)
    }

    fn open_for(path: &Path, holds: Holds) -> Result<DataDirectory, Failure> {
        let directory = DataDirectory::take(path, holds)?;
        if directory.is_new() {
            // Before anything is served: a disk may be filled at any moment.
            Reserve::of(path).look(Instant::now());
        }
        // Whoever names it wants to keep it, whatever it was made for.
        let mark = path.join(TEMPORARY);
        match fs::remove_file(&mark) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Some later server would take it for abandoned.
            Err(error) => return Err(unusable(&mark, "cannot be removed", &error)),
        }
        Ok(directory)
    }

    fn take(path: &Path, holds: Holds) -> Result<DataDirectory, Failure> {
        if path.exists() && !path.is_dir() {
            return Err(Failure::new(format!("{} is not a directory", path.display()))
                .next("a data directory is a folder: choose another path with --data"));
        }
        let made = private_files::create_folder(path);
        made.map_err(|error| unusable(path, "cannot be created", &error))?;
        let marker = Marker::read(path)?;
        if let Some(other) = marker.as_ref().map(|marker| marker.holds).filter(|it| *it != holds) {
            let failure = format!("{} holds {}", path.display(), other.described());
            return Err(Failure::new(failure).next("choose another folder with --data"));
        }
        let inside = foreign_file(path)?;
        if let (None, Some(name)) = (&marker, inside) {
            return Err(Failure::new(format!(
                "{} holds other files ({name}) and is not a Cortado data directory: the file \
                 {MARKER} is missing",
                path.display()
            ))
            .next("choose an empty or a new folder with --data"));
        }
        let lock = lock(path, marker.is_some())?;
        if let Err(error) = private_files::shut(path) {
            warn!(data = %path.display(), %error, "other users may look into the data directory");
        }
        let marker = match marker {
            Some(marker) => marker,
            None => {
                let marker = Marker { cluster: None, holds };
                marker.write(path)?;
                marker
            }
        };
        let directory = DataDirectory {
            path: path.to_owned(),
            cluster: marker.cluster,
            holds,
            _lock: lock,
            temporary: None,
        };
        directory.prepare_log()?;
        directory.check_identities()?;
        Ok(directory)
    }

    /// Makes a data directory that is removed when it is dropped, and removes those of processes
    /// that died. It has no reserve: nobody misses what is in it, and it may be in memory.
    ///
    /// # Errors
    /// There is no place for temporary files.
    pub(crate) fn temporary() -> Result<DataDirectory, Failure> {
        abandoned::remove_all(&std::env::temp_dir());
        let made = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir();
        let made = made.map_err(|error| {
            Failure::new(format!("cannot create a temporary folder: {error}"))
                .next("name a folder with --data")
        })?;
        let directory = DataDirectory::take(made.path(), Holds::Everything)?;
        // Only now that it is locked: one that is not in use is removed by any other process.
        let marked = private_files::create(&made.path().join(TEMPORARY));
        marked.map_err(|error| unusable(made.path(), "cannot be written", &error))?;
        Ok(DataDirectory { temporary: Some(made), ..directory })
    }

    /// The log's folder must be there once a cluster has lived here: the log is the truth.
    fn prepare_log(&self) -> Result<(), Failure> {
        let log = self.log();
        if self.holds == Holds::Node {
            return Ok(());
        }
        if self.cluster.is_some() && !log.exists() {
            return Err(self.log_lost(format!("the log is missing: {} is gone", log.display())));
        }
        let made = private_files::create_folder(&log);
        made.map_err(|error| unusable(&log, "cannot be created", &error))
    }

    /// There was a log, and it is not there any more.
    pub(crate) fn log_lost(&self, what: String) -> Failure {
        let (log, nodes) = (self.log(), self.nodes());
        Failure::new(what)
            .next(format!("restore {} from a backup, with all of its files", log.display()))
            .next(format!(
                "keep {} as it is: the stores may be the last copies of what the log held",
                nodes.display()
            ))
    }

    /// The identities must be there once a cluster has lived here: lives are counted nowhere else.
    fn check_identities(&self) -> Result<(), Failure> {
        let identities = self.identities();
        if self.cluster.is_none() || identities.exists() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the nodes' identities are missing: {} does not exist",
            identities.display()
        ))
        .next("restore it from a backup, or begin anew in another folder"))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no cluster has lived here yet: until the first start has succeeded.
    pub(crate) fn is_new(&self) -> bool {
        self.cluster.is_none()
    }

    /// Whether it goes away at the end.
    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// The log's folder.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG_FOLDER)
    }

    /// The folder of the nodes, one subfolder for each.
    pub(crate) fn nodes(&self) -> PathBuf {
        self.path.join(NODES_FOLDER)
    }

    /// The folder that says who the nodes are.
    pub(crate) fn identities(&self) -> PathBuf {
        self.path.join(IDENTITIES_FOLDER)
    }

    /// Whose data it is, once the first start has succeeded.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The same as a number.
    pub(crate) fn cluster_uuid(&self) -> Option<ClusterUuid> {
        let digits = self.cluster()?;
        u128::from_str_radix(digits, 16).ok().map(ClusterUuid)
    }

    /// Refuses a log of another cluster than the one that is `noted`.
    pub(crate) fn check_cluster(&self, noted: &str, cluster: &str) -> Result<(), Failure> {
        if noted == cluster {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} belongs to cluster {noted}, but the log to cluster {cluster}",
            self.path.display()
        ))
        .next(match self.holds {
            Holds::Everything => "restore the folders log and nodes that belong to it",
            Holds::Node => "check kafka and prefix, or choose another folder with --data",
        }))
    }

    /// Notes whose data this is; from now on, data of another cluster is refused.
    ///
    /// # Errors
    /// It is another cluster's, or cannot be noted.
    pub(crate) fn belongs_to(&mut self, cluster: &str) -> Result<(), Failure> {
        match &self.cluster {
            Some(noted) => self.check_cluster(noted, cluster),
            None => {
                let marker = Marker { cluster: Some(cluster.to_owned()), holds: self.holds };
                marker.write(&self.path)?;
                self.cluster = marker.cluster;
                Ok(())
            }
        }
    }
}

/// The subfolder of one node's store, below [`DataDirectory::nodes`].
pub(crate) fn store_folder(nodes: &Path, node: cortado_model::NodeId) -> PathBuf {
    nodes.join(node.to_string()).join("store")
}

/// What the file [`MARKER`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marker {
    /// 32 hexadecimal digits; absent until the first start has succeeded.
    cluster: Option<String>,
    holds: Holds,
}

/// The line of a marker that says so of a node's directory.
const NODE_LINE: &str = "node of cortado serve";

impl Holds {
    fn described(self) -> &'static str {
        match self {
            Holds::Everything => "the data of `cortado dev`, and no node of `cortado serve`",
            Holds::Node => "a node of `cortado serve`, and no data of `cortado dev`",
        }
    }
}

impl Marker {
    /// Reads the marker; `None` if the file does not exist.
    fn read(directory: &Path) -> Result<Option<Marker>, Failure> {
        let path = directory.join(MARKER);
        let mut text = String::new();
        // A marker has three lines: what is longer is something else.
        let read =
            private_files::open(&path).and_then(|file| file.take(1_000).read_to_string(&mut text));
        match read {
            Ok(_) => Marker::parse(&text)
                .map(Some)
                .map_err(|why| Failure::new(format!("{}: {why}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, "cannot be read", &error)),
        }
    }

    fn parse(text: &str) -> Result<Marker, String> {
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("cortado data directory "));
        let version: u32 = version
            .and_then(|version| version.parse().ok())
            .ok_or("not the marker of a Cortado data directory")?;
        if version != FORMAT {
            return Err(format!(
                "the data has format {version}, but this version of Cortado reads only format \
                 {FORMAT}; use the version that wrote it"
            ));
        }
        let mut marker = Marker { cluster: None, holds: Holds::Everything };
        for line in lines {
            match line.strip_prefix("cluster ") {
                Some(cluster) => marker.cluster = Some(cluster.to_owned()),
                None if line == NODE_LINE => marker.holds = Holds::Node,
                None => return Err(format!("unknown line {line:?}")),
            }
        }
        Ok(marker)
    }

    /// Replaces the marker, durably and at once.
    fn write(&self, directory: &Path) -> Result<(), Failure> {
        let mut text = format!("cortado data directory {FORMAT}\n");
        if self.holds == Holds::Node {
            let _ = writeln!(text, "{NODE_LINE}");
        }
        if let Some(cluster) = &self.cluster {
            let _ = writeln!(text, "cluster {cluster}");
        }
        let (path, written) =
            (directory.join(MARKER), durable_file::replace(directory, MARKER, &text));
        written.map_err(|error| unusable(&path, "cannot be written", &error))
    }
}

/// The name of a file in `directory`, if there is one; what an interrupted first start left
/// does not count.
fn foreign_file(directory: &Path) -> Result<Option<String>, Failure> {
    let unreadable = |error| unusable(directory, "cannot be read", &error);
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if name != LOCK && name != *format!("{MARKER}{UNFINISHED}") && name != "lost+found" {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Takes the lock, and writes who holds it.
///
/// * `is_ours`: the directory is one already, and may have a reserve of room.
fn lock(directory: &Path, is_ours: bool) -> Result<File, Failure> {
    let path = directory.join(LOCK);
    let opened = private_files::options().write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| unusable(&path, "cannot be written", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(directory, &mut file)),
        Err(TryLockError::Error(error)) => return Err(unusable(&path, "cannot be locked", &error)),
    }
    if is_ours {
        // A disk that is full must not keep the server from starting.
        Reserve::of(directory).look(Instant::now());
    }
    match file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
        Ok(()) => Ok(file),
        // The id is a help, not a need.
        Err(error) if error.kind() == ErrorKind::StorageFull => Ok(file),
        Err(error) => Err(unusable(directory, "cannot be written", &error)),
    }
}

fn in_use(directory: &Path, lock: &mut File) -> Failure {
    let mut holder = String::new();
    // The id is a help, not a need.
    let _ = lock.take(20).read_to_string(&mut holder);
    let process = match holder.trim() {
        "" => "another process".to_owned(),
        id => format!("process {id}"),
    };
    Failure::new(format!("{} is in use by {process}", directory.display()))
        .next("stop that server, or choose another folder with --data")
}

/// What an error of the system means for a data directory.
fn unusable(path: &Path, what: &str, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("{} {what}: {error}", path.display()));
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            failure.next("make it writable for this user, or choose another folder with --data")
        }
        // What opening a link says to who does not follow it.
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => failure.next(
            "it is a symbolic link, which no server has made: find out who has, then remove it",
        ),
        ErrorKind::NotADirectory => {
            failure.next("a data directory is a folder: choose another path with --data")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            failure.next("make room on that disk, then start again")
        }
        _ => failure,
    }
}
