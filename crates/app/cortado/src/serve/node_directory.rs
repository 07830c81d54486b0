//! Which node a data directory is: a small file, written once.
//!
//! Start reading at [`NodeDirectory`]. Source: docs/formats/node-identity.md, "The seat".

use crate::{durable_file, logging, private_files};
use cortado_model::NodeId;
use cortado_node::{DirectoryError, NodeSeats};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

/// The name of the file.
const SEAT: &str = "seat";
/// The version of the format.
const FORMAT: u32 = 1;
/// A file has four short lines: what is longer is something else.
const FILE_BYTES_MAX: u64 = 1_000;

/// The folder of a node's identity, as far as it says which node that is.
#[derive(Debug)]
pub(crate) struct NodeDirectory {
    folder: PathBuf,
}

impl NodeDirectory {
    /// The file in `folder`, which is made when the node is decided upon.
    pub(crate) fn new(folder: PathBuf) -> NodeDirectory {
        NodeDirectory { folder }
    }

    fn failed(&self, what: &str, source: io::Error) -> DirectoryError {
        DirectoryError::Failed { what: format!("{} {what}", self.file().display()), source }
    }

    fn damaged(&self, why: &str) -> DirectoryError {
        let file = self.file();
        DirectoryError::Damaged { why: format!("{}: {why}", file.display()) }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(SEAT)
    }
}

impl NodeSeats for NodeDirectory {
    fn taken(&self, name: &str) -> Result<Option<NodeId>, DirectoryError> {
        let mut bytes = Vec::new();
        let file = private_files::open(&self.file());
        match file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("cannot be read", error)),
        }
        let Some((own, node)) = parse(&bytes) else {
            return Err(self.damaged(
                "not what was written there; restore it from a backup, or begin anew in another \
                 folder and let that one in with `cortado node replace`",
            ));
        };
        if own != name {
            return Err(self.damaged(&format!(
                "this data directory is node {own}, not {name}: start it with --node {own}, or \
                 choose another folder with --data"
            )));
        }
        Ok(Some(node))
    }

    fn take(&self, name: &str, node: NodeId) -> Result<(), DirectoryError> {
        logging::name_own_node(node.0, name);
        if self.taken(name)? == Some(node) {
            return Ok(());
        }
        let folder = &self.folder;
        let made = private_files::create_folder(folder).and_then(|()| match folder.parent() {
            // A file is only as durable as the folders above it.
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        });
        let written = made.and_then(|()| durable_file::replace(folder, SEAT, &text(name, node)));
        written.map_err(|error| self.failed("cannot be written", error))
    }
}

/// What the file says.
fn text(name: &str, node: NodeId) -> String {
    let said = format!("cortado node seat {FORMAT}\nname {name}\nid {}\n", node.0);
    let checksum = crc32c::crc32c(said.as_bytes());
    format!("{said}crc32c {checksum:08x}\n")
}

/// Reads what [`text`] wrote; nothing else passes.
fn parse(bytes: &[u8]) -> Option<(String, NodeId)> {
    let said = std::str::from_utf8(bytes).ok()?;
    let mut lines = said.lines().skip(1);
    let name = lines.next()?.strip_prefix("name ")?.to_owned();
    let node = NodeId(lines.next()?.strip_prefix("id ")?.parse().ok()?);
    // The checksum with everything else, by the letter.
    (said == text(&name, node)).then_some((name, node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stays_the_node_that_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = NodeDirectory::new(folder.path().join("identities"));
        assert_eq!(directory.taken("a").expect("read"), None);
        directory.take("a", NodeId(77)).expect("written");
        assert_eq!(directory.taken("a").expect("read"), Some(NodeId(77)));
        // It never registered, and takes over another one's id.
        directory.take("a", NodeId(78)).expect("written");
        assert_eq!(directory.taken("a").expect("read"), Some(NodeId(78)));
        let refused = directory.taken("b").expect_err("another name").to_string();
        assert!(refused.contains("is node a, not b"), "{refused}");
    }

    #[test]
    fn what_was_not_written_does_not_pass() {
        let whole = text("a", NodeId(77));
        assert_eq!(parse(whole.as_bytes()), Some(("a".to_owned(), NodeId(77))));
        for other in [whole.replace("77", "78"), whole.replace("name a", "name b"), String::new()] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
        for end in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..end]), None, "{end}");
        }
    }
}
