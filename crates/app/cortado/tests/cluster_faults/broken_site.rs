//! A cluster of processes on real brokers, and what can be broken between them: a relay on every
//! way from a node to the brokers, and from the others to a node; or a network, with a namespace
//! for each node.
//!
//! Start reading at [`BrokenSite::start`].

use crate::hard::{Disks, WallClocks};
use crate::harness::http::Http;
use crate::harness::ran::{Ran, binary};
use crate::harness::{BOUND, Server};
use crate::log_tools::LogTools;
use crate::namespaces::{self, Namespaces};
use cortado_kafka_brokers::{
    BrokerStatus, KafkaBrokers, Pace, brokers_for_test, brokers_for_test_at,
};
use cortado_relay::{Relay, TcpRelay};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Nodes, and brokers.
pub(crate) const NODES: usize = 3;
const BROKERS: u32 = 3;
/// The file with which processes prove that they belong together, on a network.
const SECRET: &str = "secret";
/// Between two looks at a condition: processes and brokers share this machine.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Three nodes, three brokers, a router, and what is between them.
pub(crate) struct BrokenSite {
    pub(crate) brokers: KafkaBrokers,
    pub(crate) tools: LogTools,
    /// One for each node; none where there are namespaces.
    pub(crate) ways: Vec<Ways>,
    namespaces: Option<Namespaces>,
    nodes: Vec<Option<Server>>,
    /// Nodes that are started as the next version.
    next: [bool; NODES],
    /// Nodes whose wall clock is told by a file.
    strange_clock: [bool; NODES],
    /// What they keep their data on, where there may be such.
    disks: Option<Disks>,
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
        Some(BrokenSite::start_with(brokers, runtime, ways, None))
    }

    /// The same in a network, which is made in the namespace of this process.
    pub(crate) fn start_in_namespaces() -> Option<BrokenSite> {
        let namespaces = Namespaces::make(NODES);
        let brokers = brokers_for_test_at(namespaces::BROKERS, BROKERS, Pace::Quick)?;
        let runtime = Runtime::new().expect("threads");
        Some(BrokenSite::start_with(brokers, runtime, Vec::new(), Some(namespaces)))
    }

    fn start_with(
        brokers: KafkaBrokers,
        runtime: Runtime,
        ways: Vec<Ways>,
        namespaces: Option<Namespaces>,
    ) -> BrokenSite {
        let folder = tempfile::tempdir().expect("the machine has a directory for tests");
        let nodes = (0..NODES).map(|_| None).collect();
        let data: Vec<PathBuf> = (0..NODES).map(|node| data_in(folder.path(), node)).collect();
        data.iter().for_each(|data| fs::create_dir(data).expect("it is new"));
        let tools = LogTools::new(brokers.bootstrap());
        fs::write(folder.path().join(SECRET), [b's'; 32]).expect("it is new");
        let mut site = BrokenSite {
            brokers,
            tools,
            ways,
            nodes,
            next: [false; NODES],
            strange_clock: [false; NODES],
            disks: if namespaces.is_none() { Disks::mount(&data) } else { None },
            namespaces,
            router: None,
            folder,
            _runtime: runtime,
        };
        site.begin_cluster();
        (0..NODES).for_each(|node| site.start_node(node));
        site.start_router();
        site.wait_until("ready", is_ready);
        site.declare();
        site.wait_until("led", are_all_led);
        site
    }

    fn begin_cluster(&self) {
        let begun = Instant::now();
        loop {
            let mut init = self.cortado(&["cluster", "init"], &self.brokers.bootstrap());
            init.args(["--output", "json"]);
            let ran = Ran::of(init, "");
            if ran.code == 0 || begun.elapsed() > BOUND || !is_of_brokers(&ran.err) {
                ran.done();
                return;
            }
        }
    }

    fn declare(&self) {
        self.create("fault", 6, &["register", "ledger", "bulk"]);
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
        let server = run_patiently(|| self.node_command(node, self.next[node]));
        let server = server.unwrap_or_else(|said| panic!("no {}:\n{said}", Self::name(node)));
        self.nodes[node] = Some(server);
    }

    /// Stops a node that runs, and starts it as the next version, or as this one again.
    pub(crate) fn renew_as(&mut self, node: usize, next: bool) {
        self.stop_node(node);
        self.next[node] = next;
        self.heal();
    }

    /// What a node of this version says that is started now; it must end by itself.
    pub(crate) fn refusal_of_this_version(&mut self, node: usize) -> String {
        self.stop_node(node);
        run_patiently(|| self.node_command(node, false)).err().expect("it must not start")
    }

    /// Whether every node was last started as the next version.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.next == [true; NODES]
    }

    fn node_command(&self, node: usize, next: bool) -> Command {
        let name = BrokenSite::name(node);
        let words = ["serve", "--node", &name];
        let mut command = match self.ways.get(node) {
            Some(ways) => {
                let mut command = self.cortado(&words, &self.brokers.bootstrap_of_client(node + 1));
                command.args(["--listen", "127.0.0.1:0"]);
                command.args(["--peer-listen", &format!("127.0.0.1:{}", ways.peer_port)]);
                command.args(["--peer-advertise", &ways.peers.address().to_string()]);
                command
            }
            None => {
                let mut command = self.cortado(&words, &self.brokers.bootstrap());
                let address = Namespaces::address(node);
                command.args(["--listen", &format!("{address}:0"), "--peer-listen"]);
                command.arg(format!("{address}:{}", namespaces::PEER_PORT));
                self.on_private_network(&mut command);
                command
            }
        };
        command.arg("--data").arg(self.data(node));
        command.args(next.then_some("--next-format"));
        if self.strange_clock[node] {
            let clocks = WallClocks::make(self.folder.path()).expect("it was looked for");
            clocks.show(&mut command, &self.clock_file(node));
        }
        match (&self.disks, &self.namespaces) {
            (Some(disks), _) => disks.among(&command),
            (None, Some(namespaces)) => namespaces.among(node, &command),
            (None, None) => command,
        }
    }

    fn on_private_network(&self, command: &mut Command) {
        command.arg("--peer-network-private");
        command.arg("--peer-secret-file").arg(self.folder.path().join(SECRET));
    }

    /// The network between nodes and brokers, where there is one.
    pub(crate) fn network(&self) -> &Namespaces {
        self.namespaces.as_ref().expect("the site was started in namespaces")
    }

    fn data(&self, node: usize) -> PathBuf {
        data_in(self.folder.path(), node)
    }

    fn clock_file(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("clock-{}", Self::name(node)))
    }

    /// Stops a node and starts it again with a wall clock of its own, which is right.
    pub(crate) fn renew_with_clock(&mut self, node: usize) {
        self.stop_node(node);
        self.set_clock(node, 0);
        self.strange_clock[node] = true;
        self.start_node(node);
    }

    /// The clock of such a node steps: it is so many seconds ahead from then on.
    pub(crate) fn set_clock(&self, node: usize, seconds: i64) {
        WallClocks::set(&self.clock_file(node), seconds);
    }

    /// Its disk takes nothing more.
    pub(crate) fn fill_disk(&self, node: usize) {
        self.disks.as_ref().expect("it was looked for").fill(&self.data(node));
    }

    /// It has room again.
    pub(crate) fn empty_disk(&self, node: usize) {
        self.disks.as_ref().expect("it was looked for").empty(&self.data(node));
    }

    fn start_router(&mut self) {
        // Routers read what any node may write: they come first.
        let router = self.another_router(true);
        self.router = Some(router.unwrap_or_else(|said| panic!("no router:\n{said}")));
    }

    /// Starts a router, as the next version or as this one; what it says if it does not start.
    pub(crate) fn another_router(&self, next: bool) -> Result<Server, String> {
        run_patiently(|| {
            let words = ["serve", "--role", "router", "--listen", "127.0.0.1:0"];
            let mut command = self.cortado(&words, &self.brokers.bootstrap());
            command.args(next.then_some("--next-format"));
            if self.namespaces.is_some() {
                self.on_private_network(&mut command);
            }
            command
        })
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
        if let Some(namespaces) = &self.namespaces {
            namespaces.heal();
        }
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
            if let Some(disks) = &self.disks {
                disks.empty(&self.data(node));
            }
            if std::mem::take(&mut self.strange_clock[node]) && self.nodes[node].is_some() {
                self.stop_node(node);
            }
            // A service manager would start it again.
            drop(self.nodes[node].take_if(Server::has_ended));
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

/// Starts a server as service managers do: again, while the brokers of a busy machine are slow.
fn run_patiently(command: impl Fn() -> Command) -> Result<Server, String> {
    let begun = Instant::now();
    loop {
        match Server::run(command()) {
            Err(said) if begun.elapsed() < BOUND && is_of_brokers(&said) => {}
            ran => return ran,
        }
    }
}

/// Whether a process has ended because it did not hear from brokers in time.
fn is_of_brokers(said: &str) -> bool {
    ["does not answer", "cannot be read"].iter().any(|why| said.contains(why))
}

fn data_in(folder: &Path, node: usize) -> PathBuf {
    folder.join(BrokenSite::name(node))
}

/// Who leads the partitions of `fault`, by their numbers.
pub(crate) fn leaders(http: &mut Http) -> Vec<Option<String>> {
    let partitions = http.get("/admin/v1/databases/fault/partitions").json();
    let partitions = partitions["partitions"].as_array().cloned().unwrap_or_default();
    partitions.iter().map(|one| one["leader"].as_str().map(str::to_owned)).collect()
}

/// How many partitions a node leads.
pub(crate) fn leadership_of(http: &mut Http, name: &str) -> usize {
    let leaders = leaders(http);
    leaders.iter().filter(|leader| leader.as_deref() == Some(name)).count()
}

fn are_all_led(http: &mut Http) -> bool {
    let leaders = leaders(http);
    !leaders.is_empty() && leaders.iter().all(Option::is_some)
}

fn is_ready(http: &mut Http) -> bool {
    http.get("/admin/v1/cluster").json()["ready"] == Value::Bool(true)
}
