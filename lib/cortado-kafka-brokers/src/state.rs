//! What a cluster's folder remembers: a file that is written whole, or not at all.

use crate::broker_process::BrokerProcess;
use crate::error::{BrokersError, at};
use crate::secured::Secured;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// A cluster as its folder remembers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClusterState {
    pub(crate) cluster_id: String,
    /// Where its brokers listen, and are reached.
    #[serde(default = "loopback")]
    pub(crate) address: Ipv4Addr,
    pub(crate) pace: Pace,
    #[serde(default)]
    pub(crate) secured: Option<Secured>,
    pub(crate) brokers: Vec<BrokerState>,
}

/// How soon brokers are thought dead, by one another and by the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    /// Within a second or three: for who waits for failovers.
    Quick,
    /// As Kafka has it: 8 to 13 seconds.
    Defaults,
    /// A minute later, which is never where none dies: for machines that have much to do.
    Steady,
}

/// One broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BrokerState {
    /// Counts from 1.
    pub id: u32,
    /// The name of its folder in Kafka's own words.
    pub(crate) directory_id: String,
    /// Where clients reach it, and other brokers.
    pub port: u16,
    /// Where controllers reach one another.
    pub controller_port: u16,
    /// Where clients reach it over TLS, with SASL.
    #[serde(default)]
    pub secured_port: Option<u16>,
    /// One for each client that has listeners of its own.
    pub clients: Vec<ClientListener>,
    /// The process that was started last, running or not.
    pub(crate) process: Option<BrokerProcess>,
}

/// A broker's listener for one client, behind a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientListener {
    /// Where the broker listens: what a relay connects to.
    pub listen: u16,
    /// What the broker tells the client: where a relay must listen.
    pub advertised: u16,
}

/// What a folder means that does not say it.
fn loopback() -> Ipv4Addr {
    Ipv4Addr::LOCALHOST
}

impl ClusterState {
    pub(crate) fn read(folder: &Path) -> Result<ClusterState, BrokersError> {
        let file = file(folder);
        let text = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BrokersError::NotThere { folder: folder.to_owned() });
            }
            read => read.map_err(at("read", &file))?,
        };
        serde_json::from_slice(&text)
            .map_err(|error| at("understand", &file)(io::Error::other(error)))
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), BrokersError> {
        let (file, scratch) = (file(folder), folder.join("cluster.json.new"));
        let text = serde_json::to_vec_pretty(self);
        let text = text.map_err(|error| at("write", &file)(io::Error::other(error)))?;
        fs::write(&scratch, text).map_err(at("write", &scratch))?;
        fs::rename(&scratch, &file).map_err(at("write", &file))
    }

    pub(crate) fn broker(&self, id: u32) -> Result<&BrokerState, BrokersError> {
        self.brokers.iter().find(|broker| broker.id == id).ok_or_else(|| {
            let ids: Vec<_> = self.brokers.iter().map(|broker| broker.id.to_string()).collect();
            BrokersError::NoSuchBroker { id, ids: ids.join(", ") }
        })
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("cluster.json")
}
