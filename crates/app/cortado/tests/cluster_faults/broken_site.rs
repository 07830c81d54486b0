//! A cluster of processes on real brokers, and a relay on every way that can be cut: from each node
//! to the brokers, and from the others to each node.
//!
//! Start reading at [`BrokenSite::start`].

use crate::harness::http::Http;
use crate::harness::ran::{Ran, binary};
use crate::harness::{BOUND, Server};
use crate::log_tools::LogTools;
use cortado_kafka_brokers::{BrokerStatus, KafkaBrokers, Pace, brokers_for_test};
use cortado_relay::{Relay, TcpRelay};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Nodes, and brokers.
pub(crate) const NODES: usize = 3;
const BROKERS: u32 = 3;
/// Between two looks at a condition: processes and brokers share this machine.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Three nodes, three brokers, a router, and what is between them.
pub(crate) struct BrokenSite {
    pub(crate) brokers: KafkaBrokers,
    pub(crate) tools: LogTools,
    pub(crate) ways: Vec<Ways>,
    nodes: Vec<Option<Server>>,
    router: Option<Server>,
    folder: TempDir,
    /// Relays run on it.
    _runtime: Runtime,
}

/// The ways of one node that a test can break.
pub(crate) struct Ways {
    /// From it to each broker.
    pub(crate) kafka: Vec<TcpRelay>,
    /// From all others to it.
    pub(crate) peers: Relay,
    peer_port: u16,
}

impl BrokenSite {
    /// Starts all of it, with the table `fault/register` and the table `fault/ledger`; `None` where
    /// there can be no brokers.
    pub(crate) fn start() -> Option<BrokenSite> {
        let brokers = brokers_for_test(BROKERS, NODES as u32, Pace::Quick)?;
        let runtime = Runtime::new().expect("threads");
        let ways = (0..NODES).map(|node| Ways::of(node, &brokers, &runtime)).collect();
        let folder = tempfile::tempdir().expect("the machine has a directory for tests");
        let nodes = (0..NODES).map(|_| None).collect();
        let (tools, router) = (LogTools::new(brokers.bootstrap()), None);
        let mut site =
            BrokenSite { brokers, tools, ways, nodes, router, folder, _runtime: runtime };
        let mut init = site.cortado(&["cluster", "init"], &site.brokers.bootstrap());
        init.args(["--output", "json"]);
        Ran::of(init, "").done();
        (0..NODES).for_each(|node| site.start_node(node));
        site.start_router();
        site.wait_until("ready", is_ready);
        site.declare();
        site.wait_until("led", are_all_led);
        Some(site)
    }

    fn declare(&self) {
        self.create("fault", 6, &["register", "ledger"]);
    }

    /// Makes a database with these tables; on a busy machine that may take more than one request.
    pub(crate) fn create(&self, name: &str, partitions: usize, tables: &[&str]) {
        let path = format!("/admin/v1/databases/{name}");
        let wanted = json!({"partitions": partitions, "replication": NODES});
        let is_done = |http: &mut Http, path: &str, wanted: &Value| {
            let created = http.put(path, wanted);
            let may_pass = matches!(created.status, 200 | 201 | 503 | 504);
            assert!(may_pass, "{path}: {created:?}");
            created.status < 300
        };
        self.wait_until("created", |http| is_done(http, &path, &wanted));
        for table in tables {
            let (path, wanted) = (format!("{path}/tables/{table}"), json!({"key": ["id"]}));
            self.wait_until("created", |http| is_done(http, &path, &wanted));
        }
    }

    fn cortado(&self, arguments: &[&str], kafka: &str) -> Command {
        let mut command = binary();
        command.args(arguments).args(["--kafka", kafka, "--prefix", "fault"]);
        command
    }

    /// What a node is called.
    pub(crate) fn name(node: usize) -> String {
        format!("n{}", node + 1)
    }

    /// Starts a node that does not run, and waits until it serves.
    pub(crate) fn start_node(&mut self, node: usize) {
        let name = BrokenSite::name(node);
        let ways = &self.ways[node];
        let kafka = self.brokers.bootstrap_of_client(node + 1);
        let mut command = self.cortado(&["serve", "--node", &name], &kafka);
        command.arg("--data").arg(self.folder.path().join(&name));
        command.args(["--listen", "127.0.0.1:0"]);
        command.args(["--peer-listen", &format!("127.0.0.1:{}", ways.peer_port)]);
        command.args(["--peer-advertise", &ways.peers.address().to_string()]);
        let server = Server::run(command).unwrap_or_else(|said| panic!("no {name}:\n{said}"));
        self.nodes[node] = Some(server);
    }

    fn start_router(&mut self) {
        let words = ["serve", "--role", "router", "--listen", "127.0.0.1:0"];
        let command = self.cortado(&words, &self.brokers.bootstrap());
        let router = Server::run(command).unwrap_or_else(|said| panic!("no router:\n{said}"));
        self.router = Some(router);
    }

    /// `kill -9`.
    pub(crate) fn kill_node(&mut self, node: usize) {
        self.nodes[node].take().expect("it runs").kill();
    }

    /// SIGTERM, and a graceful end.
    pub(crate) fn stop_node(&mut self, node: usize) {
        let ended = self.nodes[node].take().expect("it runs").stop();
        assert!(ended.success(), "{}: {ended}", BrokenSite::name(node));
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal_node(&self, node: usize, signal: &str) {
        let pid = self.node(node).pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success(), "{signal} was not delivered");
    }

    /// A node that runs.
    pub(crate) fn node(&self, node: usize) -> &Server {
        self.nodes[node].as_ref().expect("it runs")
    }

    /// The brokers that run, by their ids.
    pub(crate) fn brokers_that_run(&self) -> Vec<u32> {
        let status = self.brokers.status().into_iter();
        let runs = status.filter(|(_, status)| matches!(status, BrokerStatus::Runs(_)));
        runs.map(|(broker, _)| broker.id).collect()
    }

    /// The door of clients.
    pub(crate) fn router(&self) -> &Server {
        self.router.as_ref().expect("it was started")
    }

    /// A connection to the router.
    pub(crate) fn http(&self) -> Http {
        self.router().http()
    }

    /// Where the router listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.router().address
    }

    /// The node that leads most.
    pub(crate) fn busiest(&self) -> usize {
        let leaders = leaders(&mut self.http());
        let leads = |node: &usize| {
            let name = BrokenSite::name(*node);
            leaders.iter().filter(|leader| leader.as_deref() == Some(&name)).count()
        };
        (0..NODES).max_by_key(leads).expect("there are some")
    }

    /// Waits until the router says so, without burning the processor that others need.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&mut Http) -> bool) {
        let (begun, mut http) = (Instant::now(), self.http());
        while !condition(&mut http) {
            assert!(begun.elapsed() < BOUND, "not {what}:\n{}", self.said());
            thread::park_timeout(LOOK);
        }
    }

    /// What everybody has said, the ends of it.
    pub(crate) fn said(&self) -> String {
        let cluster = self.http().get("/admin/v1/cluster").json();
        let all = self.nodes.iter().chain([&self.router]).flatten();
        let ends = all.map(|server| {
            let said = server.said();
            let lines: Vec<_> = said.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        });
        ends.fold(format!("{cluster:#}"), |all, one| format!("{all}\n--\n{one}"))
    }

    /// Everything runs, and every way is open; waits until the cluster is as it should be.
    pub(crate) fn heal(&mut self) {
        for ways in &self.ways {
            ways.kafka.iter().for_each(TcpRelay::heal);
            ways.peers.tcp.heal();
            ways.peers.udp.heal();
        }
        for (broker, status) in self.brokers.status() {
            let again = match status {
                BrokerStatus::Ended => self.brokers.start_again(broker.id),
                BrokerStatus::Paused(_) => self.brokers.resume(broker.id),
                BrokerStatus::Runs(_) => Ok(()),
            };
            again.unwrap_or_else(|error| panic!("broker {}: {error}", broker.id));
        }
        for node in 0..NODES {
            match &self.nodes[node] {
                Some(_) => self.signal_node(node, "-CONT"),
                None => self.start_node(node),
            }
        }
        self.wait_until("ready", is_ready);
        self.wait_until("led", are_all_led);
    }
}

impl Ways {
    fn of(node: usize, brokers: &KafkaBrokers, runtime: &Runtime) -> Ways {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let kafka = brokers.status().into_iter().map(|(broker, _)| {
            let client = broker.clients[node];
            runtime
                .block_on(TcpRelay::listen(local(client.advertised), local(client.listen)))
                .expect("the port was free")
        });
        let kafka = kafka.collect();
        let peer_port = TcpListener::bind(local(0)).and_then(|free| free.local_addr());
        let peer_port = peer_port.expect("a port is free").port();
        let peers = runtime.block_on(Relay::start(local(peer_port))).expect("a port is free");
        Ways { kafka, peers, peer_port }
    }
}

/// Who leads the partitions of `fault`, by their numbers.
pub(crate) fn leaders(http: &mut Http) -> Vec<Option<String>> {
    let partitions = http.get("/admin/v1/databases/fault/partitions").json();
    let partitions = partitions["partitions"].as_array().cloned().unwrap_or_default();
    partitions.iter().map(|one| one["leader"].as_str().map(str::to_owned)).collect()
}

fn are_all_led(http: &mut Http) -> bool {
    let leaders = leaders(http);
    !leaders.is_empty() && leaders.iter().all(Option::is_some)
}

fn is_ready(http: &mut Http) -> bool {
    http.get("/admin/v1/cluster").json()["ready"] == Value::Bool(true)
}
