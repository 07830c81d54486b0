//! A cluster on this machine: three real brokers, three nodes and a router, each a process.
//!
//! Start reading at [`Site::start`].

use crate::connection::{Connection, request};
use crate::server::Server;
use anyhow::{Context, bail, ensure};
use cortado_kafka_brokers::{BrokerSettings, Compilation, KafkaBrokers, Lifetime, Pace};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

pub(crate) const NODES: [&str; 3] = ["n1", "n2", "n3"];
const BROKERS: u32 = 3;

/// What is measured, and where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The cortado binary
    #[arg(long, default_value = "target/release/cortado")]
    cortado: PathBuf,
    /// Where brokers and nodes keep their data
    #[arg(long, default_value = "target")]
    directory: PathBuf,
}

/// What runs. Everything ends with it.
pub(crate) struct Site {
    cortado: PathBuf,
    pub(crate) brokers: KafkaBrokers,
    nodes: [Option<Server>; 3],
    router: Server,
    folder: TempDir,
}

impl Site {
    /// Starts all of it; brokers are as in production.
    pub(crate) async fn start(Place { cortado, directory }: &Place) -> anyhow::Result<Site> {
        let folder = tempfile::tempdir_in(directory)?;
        let settings = BrokerSettings {
            folder: folder.path().join("kafka"),
            brokers: BROKERS,
            address: Ipv4Addr::LOCALHOST,
            pace: Pace::Defaults,
            clients: 0,
            secured: None,
            lifetime: Lifetime::OfThisProcess,
            compilation: Compilation::Full,
        };
        let brokers = tokio::task::spawn_blocking(move || KafkaBrokers::start(&settings)).await??;
        let init = ["cluster", "init", "--kafka", &brokers.bootstrap()];
        let init = Command::new(cortado).args(init).output().await;
        let init = init.with_context(|| format!("cannot run {}", cortado.display()))?;
        ensure!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let node = |name| Site::node(cortado, &brokers, folder.path(), name);
        let (one, two, three) = tokio::join!(node(NODES[0]), node(NODES[1]), node(NODES[2]));
        let nodes = [Some(one?), Some(two?), Some(three?)];
        let mut router = Command::new(cortado);
        router.args(["serve", "--role", "router", "--listen", "127.0.0.1:0"]);
        router.args(["--kafka", &brokers.bootstrap()]);
        let router = Server::start(router).await?;
        let cortado = cortado.to_owned();
        let site = Site { cortado, brokers, nodes, router, folder };
        site.await_status("/readyz", 200).await?;
        site.await_nodes().await?;
        Ok(site)
    }

    /// Waits until the router knows of every node: a database is placed on those that it knows.
    async fn await_nodes(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address()).await?;
        let list = request("GET", "/admin/v1/nodes", None);
        let names = NODES.map(|name| format!("\"{name}\""));
        loop {
            let listed = connection.text(&list).await?;
            if names.iter().all(|name| listed.contains(name)) {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn node(
        cortado: &Path,
        brokers: &KafkaBrokers,
        folder: &Path,
        name: &str,
    ) -> anyhow::Result<Server> {
        let mut command = Command::new(cortado);
        command.args(["serve", "--node", name, "--data"]).arg(folder.join(name));
        command.args(["--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"]);
        command.args(["--kafka", &brokers.bootstrap()]);
        Server::start(command).await
    }

    /// Where the router listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.router.address
    }

    /// `kill -9` of a node.
    pub(crate) async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].take().context("it does not run")?.kill().await
    }

    /// Stops a node as an operator does; returns when it has ended.
    pub(crate) async fn stop(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].take().context("it does not run")?.stop().await
    }

    /// Starts a node that has ended.
    pub(crate) async fn start_node(&mut self, node: usize) -> anyhow::Result<()> {
        let name = NODES[node];
        let started = Site::node(&self.cortado, &self.brokers, self.folder.path(), name).await?;
        self.nodes[node] = Some(started);
        Ok(())
    }

    /// A node that runs.
    pub(crate) fn running(&self, node: usize) -> anyhow::Result<&Server> {
        self.nodes[node].as_ref().context("it does not run")
    }

    /// Processor time of nodes and router so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let all = self.nodes.iter().flatten().chain([&self.router]);
        all.map(|server| cpu_seconds(Path::new("/proc").join(server.pid().to_string()))).sum()
    }

    /// Makes a database with a table `document` whose key is `id`.
    pub(crate) async fn declare(
        &self,
        database: &str,
        partitions: u32,
        replication: u32,
    ) -> anyhow::Result<()> {
        let path = format!("/admin/v1/databases/{database}");
        let body = format!(r#"{{"partitions":{partitions},"replication":{replication}}}"#);
        self.make(&request("PUT", &path, Some(&body))).await?;
        let table = format!("{path}/tables/document");
        self.make(&request("PUT", &table, Some(r#"{"key":["id"]}"#))).await
    }

    /// Repeats a declaration as long as its outcome is open: brokers may take long for many topics.
    async fn make(&self, declaration: &[u8]) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address()).await?;
        loop {
            match connection.exchange(declaration).await? {
                200 | 201 => return Ok(()),
                503 => sleep(Duration::from_millis(50)).await,
                refused => bail!("a declaration was answered {refused}"),
            }
        }
    }

    /// What the router answers to a GET.
    pub(crate) async fn get(&self, target: &str) -> anyhow::Result<Value> {
        let mut connection = Connection::open(self.address()).await?;
        let text = connection.text(&request("GET", target, None)).await?;
        let (_, body) = text.split_once("\r\n\r\n").context("an answer without a body")?;
        Ok(serde_json::from_str(body)?)
    }

    /// Waits until the router answers `target` so.
    pub(crate) async fn await_status(&self, target: &str, status: u16) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address()).await?;
        while connection.exchange(&request("GET", target, None)).await? != status {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// Processor time of a process or a thread, by its folder in `/proc`, in seconds.
pub(crate) fn cpu_seconds(folder: impl AsRef<Path>) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(folder.as_ref().join("stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a line of /proc without a name")?;
    // The name is the second field; user and system time are the 14th and 15th.
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// What Linux tells processes, whatever it counts in.
const TICKS_PER_SECOND: f64 = 100.0;
