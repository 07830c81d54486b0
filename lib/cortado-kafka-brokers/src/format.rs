//! Formatting the folders of a new cluster: one by Kafka's own tool, the others after it.
//!
//! Start reading at [`format_folders`].

use crate::error::{BrokersError, at};
use crate::launch::Launcher;
use crate::properties::server_properties;
use crate::secured::{Secured, write_certificates};
use crate::state::{BrokerState, ClusterState};
use std::fs;
use std::path::{Path, PathBuf};

/// The file in which Kafka keeps a folder's names.
const NAMES: &str = "meta.properties";

/// An id as Kafka spells it: 16 bytes that no other has.
pub(crate) fn fresh_id() -> String {
    let bytes: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
}

/// The folder of a broker.
pub(crate) fn folder_of(cluster: &Path, broker: u32) -> PathBuf {
    cluster.join(format!("broker-{broker}"))
}

/// The folder in which a broker keeps everything.
pub(crate) fn data_of(cluster: &Path, broker: u32) -> PathBuf {
    folder_of(cluster, broker).join("data")
}

/// Makes the folder of each broker, with all that its first start needs.
pub(crate) fn format_folders(
    launcher: &Launcher,
    cluster: &ClusterState,
    folder: &Path,
) -> Result<(), BrokersError> {
    for broker in &cluster.brokers {
        let own = folder_of(folder, broker.id);
        fs::create_dir_all(&own).map_err(at("make", &own))?;
        Launcher::prepare(&own)?;
        let properties = own.join("server.properties");
        let text = server_properties(cluster, broker, &data_of(folder, broker.id));
        fs::write(&properties, text).map_err(at("write", &properties))?;
    }
    if cluster.secured.is_some() {
        let folders = cluster.brokers.iter().map(|broker| folder_of(folder, broker.id));
        write_certificates(folder, &folders.collect::<Vec<_>>())?;
    }
    let Some((first, others)) = cluster.brokers.split_first() else { return Ok(()) };
    format_first(launcher, cluster, &folder_of(folder, first.id))?;
    let formatted = data_of(folder, first.id);
    others.iter().try_for_each(|broker| {
        let data = data_of(folder, broker.id);
        copy_folder(&formatted, &data)?;
        rename(&data.join(NAMES), broker)
    })?;
    // The tool has drawn an id of its own.
    rename(&formatted.join(NAMES), first)
}

fn format_first(
    launcher: &Launcher,
    cluster: &ClusterState,
    own: &Path,
) -> Result<(), BrokersError> {
    let not_formatted = |why| BrokersError::NotFormatted { why };
    let mut tool = launcher.java("kafka.tools.StorageTool", own, &own.join("format.log"));
    // With `=`, since an id may begin with a hyphen.
    tool.arg("format").arg(format!("--cluster-id={}", cluster.cluster_id));
    tool.arg("-c").arg(own.join("server.properties"));
    tool.args(cluster.secured.iter().flat_map(Secured::format_arguments));
    let output = tool.output().map_err(|error| not_formatted(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    Err(not_formatted(format!("{}\n{out}{err}", output.status)))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), BrokersError> {
    fs::create_dir_all(to).map_err(at("make", to))?;
    for entry in fs::read_dir(from).map_err(at("list", from))? {
        let path = entry.map_err(at("list", from))?.path();
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(at("copy", &path))?;
        }
    }
    Ok(())
}

/// Gives a formatted folder the names of `broker`.
fn rename(file: &Path, broker: &BrokerState) -> Result<(), BrokersError> {
    let text = fs::read_to_string(file).map_err(at("read", file))?;
    fs::write(file, renamed(&text, broker)).map_err(at("write", file))
}

fn renamed(text: &str, broker: &BrokerState) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some(("node.id", _)) => format!("node.id={}\n", broker.id),
        Some(("directory.id", _)) => format!("directory.id={}\n", broker.directory_id),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_the_names_of_its_broker() {
        let broker = BrokerState {
            id: 2,
            directory_id: "D".to_owned(),
            port: 1,
            controller_port: 2,
            secured_port: None,
            clients: Vec::new(),
            process: None,
        };
        let text = "#\nnode.id=1\ndirectory.id=x=\nversion=1\ncluster.id=c\n";
        let want = "#\nnode.id=2\ndirectory.id=D\nversion=1\ncluster.id=c\n";
        assert_eq!(renamed(text, &broker), want);
    }

    #[test]
    fn ids_differ_and_have_the_length_that_kafka_expects() {
        let (one, other) = (fresh_id(), fresh_id());
        assert!(one != other && one.len() == 22, "{one} {other}");
    }
}
