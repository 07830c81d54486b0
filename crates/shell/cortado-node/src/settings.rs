//! What an operator may choose, checked once.
//!
//! Components (the log, the stores) are no settings: they are passed to
//! [`Cluster::start`](crate::Cluster::start). Start reading at [`RawSettings::validate`].

use cortado_driver::{COPY_BEYOND_RECORDS, TrimPolicy};
use cortado_gateway::NodeDescription;
use cortado_model::NodeId;
use cortado_replica::{FEATURE_LEVEL_MAX, FEATURE_LEVEL_NEXT};
use std::collections::BTreeSet;
use std::time::Duration;

/// The highest feature level that this build declares unless told otherwise.
pub const FEATURE_LEVEL: u32 = FEATURE_LEVEL_MAX as u32;
/// The level after, for tests of upgrades.
pub const NEXT_FEATURE_LEVEL: u32 = FEATURE_LEVEL_NEXT as u32;

/// What was written, before any check.
#[derive(Clone, Debug)]
pub struct RawSettings {
    /// How many nodes live in this process: 1 to 9.
    pub nodes: u32,
    /// Host and port where clients reach this process.
    pub address: String,
    /// What the node of this process tells of itself; its peer address is found out.
    pub description: NodeDescription,
    /// How fast failures are noticed.
    pub detection: cortado_cluster::RawSettings,
    /// Records that one partition's log gains between two rounds of digests at most: 1,000 or
    /// more. A log keeps what it gained in one to two rounds.
    pub trim_after_records: u64,
    /// Bytes that the logs of all partitions gain together between two rounds of digests: 1 MiB or
    /// more. Where the stores hold more than that, the rounds wait until the logs gained as much.
    pub trim_after_bytes: u64,
    /// Entries that each partition of the journal keeps: 10 or more.
    pub journal_entries_max: u64,
    /// A replica that has nothing copies a peer's state where its log holds more records than this.
    pub copy_beyond_records: u64,
    /// How often the settings of logs are looked at: 1 ms or more.
    pub log_look_ms: u64,
}

impl Default for RawSettings {
    fn default() -> RawSettings {
        RawSettings {
            nodes: 3,
            address: "127.0.0.1:7171".to_owned(),
            description: NodeDescription::default(),
            detection: cortado_cluster::RawSettings::default(),
            trim_after_records: 1 << 20,
            trim_after_bytes: 1 << 30,
            journal_entries_max: 10_000,
            copy_beyond_records: COPY_BEYOND_RECORDS,
            log_look_ms: 60_000,
        }
    }
}

impl RawSettings {
    /// Checks every setting and every relation between them.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(self) -> Result<Settings, SettingsError> {
        let refuse = |name, why: &str| Err(SettingsError { name, why: why.to_owned() });
        if !(1..=9).contains(&self.nodes) {
            return refuse("nodes", "a process holds 1 to 9 nodes");
        }
        let name = &self.description.name;
        if !name.is_empty() && !is_node_name(name) {
            return refuse("node", "a name is 1 to 63 of a-z, 0-9, dot and hyphen, no sign first");
        }
        if self.description.feature_level > NEXT_FEATURE_LEVEL {
            return refuse("feature_level", "no build declares more than the next level");
        }
        if self.address.is_empty() {
            return refuse("address", "clients need a host and a port");
        }
        if self.trim_after_records < 1_000 {
            return refuse("trim_after_records", "a round of digests needs 1,000 records or more");
        }
        if self.trim_after_bytes < 1 << 20 {
            return refuse("trim_after_bytes", "a round of digests needs 1 MiB of log or more");
        }
        if self.journal_entries_max < 10 {
            return refuse(
                "journal_entries_max",
                "a journal of fewer than 10 entries tells nothing",
            );
        }
        if self.log_look_ms == 0 {
            return refuse("log_look_ms", "to look at logs all the time leaves time for nothing");
        }
        let detection = self.detection.validate();
        let detection = detection
            .map_err(|error| SettingsError { name: "detection", why: error.to_string() })?;
        Ok(Settings {
            nodes: (1..=self.nodes).map(NodeId).collect(),
            address: self.address,
            description: self.description,
            detection,
            trim: TrimPolicy {
                after_records: self.trim_after_records,
                after_bytes: self.trim_after_bytes,
            },
            journal_entries_max: self.journal_entries_max,
            copy_beyond_records: self.copy_beyond_records,
            log_look: Duration::from_millis(self.log_look_ms),
        })
    }
}

/// Whether `text` can be the name of a node.
fn is_node_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = text.bytes();
    text.len() <= 63
        && bytes.next().is_some_and(is_plain)
        && bytes.all(|byte| is_plain(byte) || byte == b'.' || byte == b'-')
}

/// What was checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The nodes of this process, `n1` first; at least one.
    pub(crate) nodes: BTreeSet<NodeId>,
    /// Where clients reach them.
    pub(crate) address: String,
    pub(crate) description: NodeDescription,
    pub(crate) detection: cortado_cluster::Settings,
    pub(crate) trim: TrimPolicy,
    /// Of each partition of the journal.
    pub(crate) journal_entries_max: u64,
    pub(crate) copy_beyond_records: u64,
    /// Between two looks at the settings of logs.
    pub(crate) log_look: Duration,
}

impl Settings {
    /// The nodes of this process, in ascending order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().copied()
    }

    /// The highest feature level that the nodes of this process declare to read.
    pub(crate) fn feature_level(&self) -> u16 {
        let declared = u16::try_from(self.description.feature_level).unwrap_or(u16::MAX);
        if declared == 0 { FEATURE_LEVEL_MAX } else { declared }
    }

    /// What people call a node of this process.
    pub(crate) fn name_of(&self, node: NodeId) -> String {
        let NodeDescription { name, .. } = &self.description;
        if name.is_empty() { node.to_string() } else { name.clone() }
    }

    /// The same for a process whose nodes are not known beforehand.
    pub(crate) fn without_nodes(self) -> Settings {
        Settings { nodes: BTreeSet::new(), ..self }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting {name}: {why}")]
pub struct SettingsError {
    /// The setting.
    pub name: &'static str,
    /// The rule.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut RawSettings), want: Option<&str>) {
        let mut raw = RawSettings::default();
        change(&mut raw);
        assert_eq!(raw.validate().err().map(|error| error.name), want);
    }

    #[test]
    fn settings_are_checked_once() {
        check(|_| {}, None);
        check(|raw| raw.nodes = 0, Some("nodes"));
        check(|raw| raw.nodes = 10, Some("nodes"));
        check(|raw| raw.address.clear(), Some("address"));
        for name in ["a", "9", "tokyo-1.a"] {
            check(|raw| raw.description.name = name.to_owned(), None);
        }
        for name in ["-a", ".a", "A", "a_b", &"a".repeat(64), "a/b"] {
            check(|raw| raw.description.name = name.to_owned(), Some("node"));
        }
        check(|raw| raw.detection.beat_ms = Some(400), Some("detection"));
        check(|raw| raw.trim_after_records = 999, Some("trim_after_records"));
        check(|raw| raw.trim_after_bytes = 1, Some("trim_after_bytes"));
        check(|raw| raw.journal_entries_max = 9, Some("journal_entries_max"));
    }
}
