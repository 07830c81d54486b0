//! What the demonstration on processes runs: three brokers, three nodes, a router, in one folder.
//!
//! Every process ends with this one, even when this one is killed. Start reading at [`Site`].

use super::stage::Stage;
use crate::failure::Failure;
use crate::output::for_shell;
use cortado_kafka_brokers::{
    BrokerSettings, BrokersError, Compilation, GuardedProcess, KafkaBrokers, Lifetime, Pace,
    are_fetched, cache_folder, free_ports,
};
use cortado_model::with_causes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The brokers: as many as a log has copies.
const BROKERS: u32 = 3;
pub(super) const NODES: [&str; 3] = ["n1", "n2", "n3"];
const ROUTER: &str = "router";
/// Brokers that have just started on a busy machine may be slow to answer.
const INIT_TRIES: u32 = 5;
const PREFIX: &str = "demo";

/// The folder, and the processes in it.
#[derive(Debug)]
pub(super) struct Site {
    folder: PathBuf,
    program: PathBuf,
    brokers: Arc<KafkaBrokers>,
    /// By the name of the process: where it listens for clients, and for nodes.
    ports: BTreeMap<&'static str, (u16, u16)>,
    /// Those that run.
    processes: Mutex<BTreeMap<&'static str, GuardedProcess>>,
}

impl Site {
    /// Makes the folder, and starts the brokers in it.
    ///
    /// * `folder`: one that is not there yet; a new one among what is kept if there is none.
    /// * `pace`: how soon a broker is thought dead.
    ///
    /// # Errors
    /// No Java, no jars, no place. Nothing is left.
    pub(super) async fn start(
        folder: Option<PathBuf>,
        pace: Pace,
        stage: &Stage,
    ) -> Result<Site, Failure> {
        let folder = match folder {
            Some(folder) => folder,
            None => {
                let demos = cache_folder().map_err(|error| refused(&error))?.join("demo");
                demos.join(format!("{}-{:08x}", std::process::id(), fastrand::u32(..)))
            }
        };
        if !are_fetched().map_err(|error| refused(&error))? {
            stage.fact("Apache Kafka is fetched from Maven Central, once: 29 MB")?;
        }
        let parent = folder.parent().unwrap_or(Path::new(".")).to_owned();
        fs::create_dir_all(&parent).map_err(Failure::new)?;
        fs::create_dir(&folder).map_err(|error| {
            Failure::usage(format!("cannot make {}: {error}", folder.display()))
                .next("--dir takes a folder that is not there yet")
        })?;
        let folder = fs::canonicalize(folder).map_err(Failure::new)?;
        let settings = BrokerSettings {
            folder: folder.join("kafka"),
            brokers: BROKERS,
            address: Ipv4Addr::LOCALHOST,
            pace,
            clients: 0,
            secured: None,
            lifetime: Lifetime::OfThisProcess,
            compilation: Compilation::Quick,
        };
        let started = blocking(move || KafkaBrokers::start(&settings)).await;
        let brokers = match started {
            Ok(brokers) => Arc::new(brokers),
            Err(failure) => {
                // Nothing is in it.
                let _ = fs::remove_dir(&folder);
                return Err(failure);
            }
        };
        let names = NODES.into_iter().chain([ROUTER]);
        let ports = free_ports(2 * (NODES.len() + 1)).map_err(|error| refused(&error))?;
        let ports = names.zip(ports.chunks(2)).map(|(name, pair)| (name, (pair[0], pair[1])));
        Ok(Site {
            folder,
            program: env::current_exe().map_err(Failure::new)?,
            brokers,
            ports: ports.collect(),
            processes: Mutex::default(),
        })
    }

    /// Where everything is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The addresses of nodes and router, as `--url` takes them.
    pub(super) fn urls(&self) -> String {
        let url = |(port, _): &(u16, u16)| format!("http://127.0.0.1:{port}");
        self.ports.values().map(url).collect::<Vec<_>>().join(",")
    }

    /// The address of the router.
    pub(super) fn router_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[ROUTER].0)
    }

    /// Shows the brokers.
    pub(super) fn tell_brokers(&self, stage: &Stage) -> Result<(), Failure> {
        stage.fact(&format!(
            "{BROKERS} brokers of Apache Kafka, each a controller too: {}",
            self.brokers.bootstrap()
        ))?;
        Ok(())
    }

    /// `cortado cluster init`, as an operator runs it.
    pub(super) async fn begin_cluster(&self, stage: &Stage) -> Result<(), Failure> {
        let kafka = self.brokers.bootstrap();
        let words = ["cluster", "init", "--kafka", &kafka, "--prefix", PREFIX];
        stage.command(&words)?;
        let mut tries = INIT_TRIES;
        loop {
            tries -= 1;
            let mut command = self.cortado(&words);
            command.stdin(Stdio::null());
            let output = spawn_blocking(move || command.output()).await;
            let output = output.map_err(Failure::new)?.map_err(Failure::new)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match (output.status.success(), tries) {
                (true, _) => return Ok(()),
                // It does nothing twice.
                (false, 1..) => stage.fact(&format!("once more: {}", said.trim()))?,
                (false, 0) => {
                    return Err(Failure::new(format!("cortado cluster init: {}", said.trim())));
                }
            }
        }
    }

    /// Starts all nodes and the router.
    pub(super) fn start_all(&self, stage: &Stage) -> Result<(), Failure> {
        for name in self.ports.keys() {
            stage.command(&self.words(name))?;
            self.start_process(name)?;
        }
        Ok(())
    }

    /// Starts a node or the router.
    pub(super) fn start_process(&self, name: &str) -> Result<(), Failure> {
        let (name, _) = self.ports.get_key_value(name).ok_or_else(|| unknown(name))?;
        let words = self.words(name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = GuardedProcess::start(&self.cortado(&words), &self.log_of(name));
        self.processes.lock().insert(name, process.map_err(|error| refused(&error))?);
        Ok(())
    }

    /// SIGKILL for a node: no goodbye.
    pub(super) async fn kill_node(&self, name: &str) -> Result<(), Failure> {
        let process = self.processes.lock().remove(name).ok_or_else(|| unknown(name))?;
        blocking(move || process.kill()).await
    }

    /// SIGKILL for a broker.
    pub(super) async fn kill_broker(&self, id: u32) -> Result<(), Failure> {
        let brokers = Arc::clone(&self.brokers);
        blocking(move || brokers.kill(id)).await
    }

    /// Starts a broker again, and waits until it can be used.
    pub(super) async fn start_broker(&self, id: u32) -> Result<(), Failure> {
        let brokers = Arc::clone(&self.brokers);
        blocking(move || brokers.start_again(id)).await
    }

    /// Starts what has ended again, as a service manager would; answers what it was, and why.
    pub(super) fn start_what_ended(&self) -> Result<Vec<String>, Failure> {
        let mut processes = self.processes.lock();
        let ended = processes.iter().filter(|(_, process)| process.has_ended());
        let ended: Vec<&'static str> = ended.map(|(name, _)| *name).collect();
        ended.iter().for_each(|name| drop(processes.remove(name)));
        drop(processes);
        let mut told = Vec::new();
        for name in ended {
            let log = fs::read_to_string(self.log_of(name)).unwrap_or_default();
            let mut lines = log.lines().rev();
            let why = lines.find(|line| line.contains("error")).unwrap_or("without a word");
            told.push(format!("{name} has ended: {}", why.trim()));
            self.start_process(name)?;
        }
        Ok(told)
    }

    /// Ends everything, nodes in order and brokers at once; removes the folder unless it is kept.
    pub(super) async fn end(self, is_kept: bool) -> Result<(), Failure> {
        let processes = self.processes.into_inner();
        let brokers = self.brokers;
        if is_kept {
            brokers.keep_folder();
        }
        let stopped = blocking(move || {
            // Side by side: each hands over to those that are left, and waits for them.
            let stops: Vec<_> = processes
                .into_values()
                .map(|process| std::thread::spawn(move || process.stop()))
                .collect();
            let stopped = stops.into_iter().map(|stop| stop.join().unwrap_or(Ok(())));
            let stopped: Result<Vec<()>, BrokersError> = stopped.collect();
            brokers.end().and(stopped.map(drop))
        });
        stopped.await?;
        if !is_kept {
            fs::remove_dir_all(&self.folder).map_err(Failure::new)?;
        }
        Ok(())
    }

    fn words(&self, name: &str) -> Vec<String> {
        let (listen, peer_listen) = self.ports[name];
        let kafka = self.brokers.bootstrap();
        let mut words = vec!["serve".to_owned()];
        let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        if name == ROUTER {
            add("--role", "router".to_owned());
        } else {
            add("--node", name.to_owned());
            add("--data", self.folder.join(name).display().to_string());
            add("--peer-listen", format!("127.0.0.1:{peer_listen}"));
        }
        add("--listen", format!("127.0.0.1:{listen}"));
        add("--kafka", kafka);
        add("--prefix", PREFIX.to_owned());
        words
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// This binary, free of what the caller has set for other servers.
    fn cortado<T: AsRef<str>>(&self, words: &[T]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words.iter().map(AsRef::as_ref));
        for (name, _) in env::vars_os() {
            let is_ours = name.to_str().is_some_and(|name| name.starts_with("CORTADO_"));
            if is_ours && name != "CORTADO_LOG" {
                command.env_remove(name);
            }
        }
        command.env_remove("NOTIFY_SOCKET");
        command
    }
}

impl Stage {
    /// A command line, as it could be typed.
    fn command<T: AsRef<str>>(&self, words: &[T]) -> Result<(), Failure> {
        let words: Vec<_> = words.iter().map(|word| for_shell(word.as_ref())).collect();
        Ok(self.fact(&format!("$ cortado {}", words.join(" ")))?)
    }
}

fn unknown(name: &str) -> Failure {
    Failure::new(format!("{name} is no process of the demonstration"))
}

/// Why there is no cluster, and what to do about it.
fn refused(error: &BrokersError) -> Failure {
    let failure = Failure::new(with_causes(error));
    match error {
        BrokersError::NotInstalled { .. } => failure
            .next("install a JDK of version 17 or newer, and set JAVA_HOME if there are many"),
        _ => failure,
    }
}

/// Waits for what would hold up others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokersError> + Send + 'static,
) -> Result<T, Failure> {
    let done = spawn_blocking(work).await.map_err(Failure::new)?;
    done.map_err(|error| refused(&error))
}
