//! Who the nodes of a data directory are, and how often each has lived: a small file for each.
//!
//! Start reading at [`NodeIdentities`]. Source: docs/formats/node-identity.md.

#[cfg(test)]
mod tests;

use crate::{durable_file, private_files};
use cortado_model::{DirectoryUuid, NodeId, NodeIncarnation};
use cortado_node::{DirectoryError, NodeDirectories, NodeIdentity};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The version of the format.
const FORMAT: u32 = 2;
/// A file has five short lines: what is longer is something else.
const FILE_BYTES_MAX: u64 = 1_000;

/// The folder of the identities of all nodes.
#[derive(Debug)]
pub(crate) struct NodeIdentities {
    folder: PathBuf,
}

impl NodeIdentities {
    /// Those in `folder`, which is made when the first node begins to live.
    pub(crate) fn new(folder: PathBuf) -> NodeIdentities {
        NodeIdentities { folder }
    }

    /// Who `node` was in its last life; a new identity if it has never lived here.
    fn last(&self, node: NodeId) -> Result<NodeIdentity, DirectoryError> {
        let path = self.folder.join(node.to_string());
        let mut bytes = Vec::new();
        let file = private_files::open(&path);
        match file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => parse(node, &bytes).map_err(|why| damaged(&path, node, why)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(NodeIdentity::new()),
            Err(error) => Err(failed(&path, "cannot be read", error)),
        }
    }
}

impl NodeDirectories for NodeIdentities {
    fn begin_life(
        &self,
        node: NodeId,
        above: NodeIncarnation,
    ) -> Result<NodeIdentity, DirectoryError> {
        let folder = &self.folder;
        let made = private_files::create_folder(folder).and_then(|()| match folder.parent() {
            // A file is only as durable as the folders above it.
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        });
        made.map_err(|error| failed(folder, "cannot be made", error))?;
        let name = node.to_string();
        let next = self.last(node)?.next(above);
        let used_up = || damaged(&folder.join(&name), node, "the incarnations are used up");
        let next = next.ok_or_else(used_up)?;
        durable_file::replace(folder, &name, &text(node, next))
            .map_err(|error| failed(&folder.join(&name), "cannot be written", error))?;
        Ok(next)
    }
}

/// What a file says of `node`.
fn text(node: NodeId, identity: NodeIdentity) -> String {
    let NodeIdentity { directory, incarnation } = identity;
    let said = format!(
        "cortado node identity {FORMAT}\nnode {node}\ndirectory {directory}\n\
         incarnation {incarnation}\n"
    );
    let checksum = crc32c::crc32c(said.as_bytes());
    format!("{said}crc32c {checksum:08x}\n")
}

/// Reads what [`text`] wrote of `node`; nothing else passes.
fn parse(node: NodeId, bytes: &[u8]) -> Result<NodeIdentity, &'static str> {
    let not_ours = "not the identity of a Cortado node";
    let said = std::str::from_utf8(bytes).map_err(|_| not_ours)?;
    let rest = said.strip_prefix("cortado node identity ").ok_or(not_ours)?;
    let (version, rest) = rest.split_once('\n').ok_or(not_ours)?;
    if version != FORMAT.to_string() {
        return Err("unknown format; use the version of Cortado that wrote it");
    }
    let member = |name: &str| {
        let mut members = rest.lines().filter_map(|line| line.split_once(' '));
        members.find(|(found, _)| *found == name).map(|(_, value)| value)
    };
    if member("node") != Some(&node.to_string()) {
        return Err("it belongs to a different node");
    }
    let directory = member("directory").and_then(|digits| u128::from_str_radix(digits, 16).ok());
    let incarnation = member("incarnation").and_then(|digits| digits.parse().ok());
    let (directory, incarnation) = directory.zip(incarnation).ok_or(not_ours)?;
    let identity = NodeIdentity {
        directory: DirectoryUuid(directory),
        incarnation: NodeIncarnation(incarnation),
    };
    // The checksum with everything else, by the letter.
    if said == text(node, identity) { Ok(identity) } else { Err("its checksum does not match") }
}

fn damaged(path: &Path, node: NodeId, why: &str) -> DirectoryError {
    let path = path.display();
    DirectoryError::Damaged {
        why: format!(
            "{path}: {why}; restore it from a backup; or move it away, start again, and let the \
             node's new identity in with `cortado node replace {node}`"
        ),
    }
}

fn failed(path: &Path, what: &str, source: io::Error) -> DirectoryError {
    DirectoryError::Failed { what: format!("{} {what}", path.display()), source }
}
