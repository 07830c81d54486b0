//! A cluster of brokers in a folder.
//!
//! Start reading at [`KafkaBrokers::start`].

use crate::archive;
use crate::broker_process::BrokerProcess;
use crate::broker_process::ProcessState::{self, Ended};
use crate::error::{BrokersError, at};
use crate::format::{data_of, folder_of, format_folders, fresh_id};
use crate::guarded_process::{GuardedProcess, OBEYS_WITHIN, wait_until};
use crate::jars::{self, Jars};
use crate::java::Java;
use crate::launch::{Compilation, Launcher, wait_until_ready};
use crate::ports;
use crate::secured::{Secured, authority_of};
use crate::state::{BrokerState, ClientListener, ClusterState, Pace};
use parking_lot::Mutex;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What cluster to make.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// A folder that is not there yet, for the cluster alone.
    pub folder: PathBuf,
    /// How many brokers, each a controller too; 1 to 9.
    pub brokers: u32,
    /// Where they listen, and are told to be reached: an address of this machine.
    pub address: Ipv4Addr,
    /// How soon a broker is thought dead.
    pub pace: Pace,
    /// How many clients get listeners of their own, behind a relay that they bring; 0 to 9.
    pub clients: u32,
    /// Who may come over TLS, with SASL; nobody without it.
    pub secured: Option<Secured>,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// How its code is compiled, until it is opened anew.
    pub compilation: Compilation,
}

/// How long brokers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until they are ended by hand.
    UntilEnded,
    /// As long as the [`KafkaBrokers`], or this process, if that ends first. The folder goes too.
    OfThisProcess,
}

/// A cluster of brokers on this machine.
#[derive(Debug)]
pub struct KafkaBrokers {
    folder: PathBuf,
    lifetime: Lifetime,
    launcher: Launcher,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: ClusterState,
    /// By broker.
    guards: BTreeMap<u32, GuardedProcess>,
    /// Whether the folder outlives the brokers.
    is_kept: bool,
}

/// What a broker does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerStatus {
    /// It runs, as this process.
    Runs(i32),
    /// It is paused, as this process.
    Paused(i32),
    /// It does not run.
    Ended,
}

/// Ports may be taken between finding and using them: so often others are tried.
const TRIES: u32 = 3;

impl KafkaBrokers {
    /// Fetches, formats and starts a cluster, and waits until every broker can be used.
    ///
    /// # Errors
    /// See [`BrokersError`]; nothing is left running, or in the folder.
    pub fn start(settings: &BrokerSettings) -> Result<KafkaBrokers, BrokersError> {
        let java = Java::find()?;
        let jars = jars::fetch(&java)?;
        let archive = archive_flags(&java, &jars);
        let compilation = settings.compilation;
        KafkaBrokers::start_with(settings, &Launcher { java, jars, archive, compilation })
    }

    fn start_with(
        settings: &BrokerSettings,
        launcher: &Launcher,
    ) -> Result<KafkaBrokers, BrokersError> {
        let (brokers, clients) = (settings.brokers, settings.clients);
        if !(1..=9).contains(&brokers) || clients > 9 {
            return Err(BrokersError::Impossible { brokers, clients });
        }
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match KafkaBrokers::try_start(settings, launcher.clone()) {
                Err(BrokersError::NotReady { last_lines, .. })
                    if tries > 0 && last_lines.contains("Address already in use") => {}
                done => return done,
            }
        }
    }

    fn try_start(
        settings: &BrokerSettings,
        launcher: Launcher,
    ) -> Result<KafkaBrokers, BrokersError> {
        let folder = &settings.folder;
        let state = plan(settings)?;
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(at("make", parent))?;
        }
        // Whoever makes the folder has it: a second start is refused here.
        fs::create_dir(folder).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                BrokersError::AlreadyThere { folder: folder.clone() }
            }
            _ => at("make", folder)(error),
        })?;
        // Brokers find their folders from wherever they run.
        let folder = fs::canonicalize(folder).map_err(at("find", folder))?;
        let formatted = format_folders(&launcher, &state, &folder);
        let ids: Vec<u32> = state.brokers.iter().map(|broker| broker.id).collect();
        let inner = Mutex::new(Inner { state, guards: BTreeMap::new(), is_kept: false });
        let cluster = KafkaBrokers { folder, lifetime: settings.lifetime, launcher, inner };
        let launched = formatted.and_then(|()| {
            ids.iter().try_for_each(|id| cluster.launch(*id))?;
            ids.iter().try_for_each(|id| cluster.wait_until_ready(*id))
        });
        match launched {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.end()?;
                Err(error)
            }
        }
    }

    /// The cluster that was started in `folder`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(folder: &Path) -> Result<KafkaBrokers, BrokersError> {
        let state = ClusterState::read(folder)?;
        let folder = fs::canonicalize(folder).map_err(at("find", folder))?;
        let java = Java::find()?;
        let jars = jars::fetch(&java)?;
        let archive = archive_flags(&java, &jars);
        let launcher = Launcher { java, jars, archive, compilation: Compilation::Quick };
        let inner = Mutex::new(Inner { state, guards: BTreeMap::new(), is_kept: false });
        Ok(KafkaBrokers { folder, lifetime: Lifetime::UntilEnded, launcher, inner })
    }

    /// Every broker, and what it does.
    pub fn status(&self) -> Vec<(BrokerState, BrokerStatus)> {
        let inner = self.inner.lock();
        let status = |broker: &BrokerState| (broker.clone(), status_of(broker));
        inner.state.brokers.iter().map(status).collect()
    }

    /// Where clients find the cluster, as their `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.join(|at, broker| format!("{at}:{}", broker.port))
    }

    /// The same for client `number` (from 1), which has listeners of its own.
    pub fn bootstrap_of_client(&self, number: usize) -> String {
        self.join(|at, broker| {
            let client = broker.clients.get(number.wrapping_sub(1));
            client.map(|client| format!("{at}:{}", client.advertised)).unwrap_or_default()
        })
    }

    fn join(&self, address: impl Fn(Ipv4Addr, &BrokerState) -> String) -> String {
        let state = &self.inner.lock().state;
        let addresses = state.brokers.iter().map(|broker| address(state.address, broker));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The same over TLS, with SASL; empty where no broker listens for that.
    pub fn bootstrap_secured(&self) -> String {
        self.join(|at, broker| {
            broker.secured_port.map(|port| format!("{at}:{port}")).unwrap_or_default()
        })
    }

    /// The authority that has signed the certificates of brokers that listen for TLS.
    pub fn authority(&self) -> PathBuf {
        authority_of(&self.folder)
    }

    /// The folder of the whole cluster.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder in which a broker keeps everything; not to be touched while it runs.
    pub fn data_folder(&self, id: u32) -> PathBuf {
        data_of(&self.folder, id)
    }

    /// Ends a broker as a power failure would, but for the page cache.
    ///
    /// # Errors
    /// There is no such broker, or it does not run.
    pub fn kill(&self, id: u32) -> Result<(), BrokersError> {
        self.end_process(id, Signal::KILL)
    }

    /// Ends a broker in good order: it hands over what it leads.
    ///
    /// # Errors
    /// There is no such broker, or it does not run.
    pub fn stop(&self, id: u32) -> Result<(), BrokersError> {
        self.end_process(id, Signal::TERM)
    }

    fn end_process(&self, id: u32, signal: Signal) -> Result<(), BrokersError> {
        let process = self.running(id)?;
        // A paused one hears of it when it goes on.
        process.signal(signal)?;
        process.signal(Signal::CONT)?;
        if !wait_until(process, &[Ended], OBEYS_WITHIN) {
            process.signal(Signal::KILL)?;
            wait_until(process, &[Ended], OBEYS_WITHIN);
        }
        let guard = self.inner.lock().guards.remove(&id);
        drop(guard);
        Ok(())
    }

    /// Starts a broker that does not run, where it ended, and waits until it can be used.
    ///
    /// # Errors
    /// There is no such broker, it runs, or it does not come up.
    pub fn start_again(&self, id: u32) -> Result<(), BrokersError> {
        self.launch(id)?;
        self.wait_until_ready(id)
    }

    /// Lets a broker stand still: its connections stay, and nothing comes of them.
    ///
    /// # Errors
    /// There is no such broker, or it does not run.
    pub fn pause(&self, id: u32) -> Result<(), BrokersError> {
        let process = self.running(id)?;
        process.signal(Signal::STOP)?;
        wait_until(process, &[ProcessState::Paused, Ended], OBEYS_WITHIN);
        Ok(())
    }

    /// Lets a paused broker go on.
    ///
    /// # Errors
    /// There is no such broker, or it does not run.
    pub fn resume(&self, id: u32) -> Result<(), BrokersError> {
        let process = self.running(id)?;
        process.signal(Signal::CONT)?;
        wait_until(process, &[ProcessState::Runs, Ended], OBEYS_WITHIN);
        Ok(())
    }

    /// Lets the folder stay when the brokers end: for who must find out what went wrong.
    pub fn keep_folder(&self) {
        self.inner.lock().is_kept = true;
    }

    /// Ends all brokers and removes the folder, unless it is kept.
    ///
    /// # Errors
    /// A process cannot be ended, or the folder not be removed.
    pub fn end(&self) -> Result<(), BrokersError> {
        let brokers = self.inner.lock().state.brokers.clone();
        let processes: Vec<_> = brokers.iter().filter_map(|broker| broker.process).collect();
        processes.iter().try_for_each(|process| process.signal(Signal::KILL))?;
        let guards = std::mem::take(&mut self.inner.lock().guards);
        drop(guards);
        for process in processes {
            wait_until(process, &[Ended], OBEYS_WITHIN);
        }
        if self.inner.lock().is_kept {
            return Ok(());
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(at("remove", &self.folder)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Starts the process of a broker and writes it down.
    fn launch(&self, id: u32) -> Result<(), BrokersError> {
        let mut inner = self.inner.lock();
        let process = inner.state.broker(id)?.process;
        if let Some(process) = process.filter(|process| process.state() != Ended) {
            return Err(BrokersError::Runs { id, pid: process.pid });
        }
        let folder = folder_of(&self.folder, id);
        let process = match self.lifetime {
            Lifetime::UntilEnded => self.launcher.start(&folder)?,
            Lifetime::OfThisProcess => {
                let guarded = self.launcher.start_guarded(&folder)?;
                let process = guarded.process();
                inner.guards.insert(id, guarded);
                process
            }
        };
        for broker in inner.state.brokers.iter_mut().filter(|broker| broker.id == id) {
            broker.process = Some(process);
        }
        inner.state.write(&self.folder)
    }

    fn wait_until_ready(&self, id: u32) -> Result<(), BrokersError> {
        let (address, broker) = {
            let state = &self.inner.lock().state;
            (state.address, state.broker(id)?.clone())
        };
        let process = broker.process.ok_or(BrokersError::RunsNot { id })?;
        let place = SocketAddr::from((address, broker.port));
        wait_until_ready(id, process, place, &folder_of(&self.folder, id))
    }

    fn running(&self, id: u32) -> Result<BrokerProcess, BrokersError> {
        let process = self.inner.lock().state.broker(id)?.process;
        process.filter(|process| process.state() != Ended).ok_or(BrokersError::RunsNot { id })
    }
}

impl Drop for KafkaBrokers {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::OfThisProcess
            && let Err(error) = self.end()
        {
            eprintln!("brokers in {}: {error}", self.folder.display());
        }
    }
}

fn plan(settings: &BrokerSettings) -> Result<ClusterState, BrokersError> {
    let (brokers, clients) = (settings.brokers as usize, settings.clients as usize);
    let secured = usize::from(settings.secured.is_some());
    let mut ports =
        ports::free_at(settings.address, brokers * (2 + 2 * clients + secured))?.into_iter();
    let mut port = || ports.next().unwrap_or_default();
    let brokers = (1..=settings.brokers).map(|id| BrokerState {
        id,
        directory_id: fresh_id(),
        port: port(),
        controller_port: port(),
        secured_port: settings.secured.as_ref().map(|_| port()),
        clients: (0..clients)
            .map(|_| ClientListener { listen: port(), advertised: port() })
            .collect(),
        process: None,
    });
    let brokers = brokers.collect();
    Ok(ClusterState {
        cluster_id: fresh_id(),
        address: settings.address,
        pace: settings.pace,
        secured: settings.secured.clone(),
        brokers,
    })
}

fn status_of(broker: &BrokerState) -> BrokerStatus {
    let Some(process) = broker.process else { return BrokerStatus::Ended };
    match process.state() {
        ProcessState::Runs => BrokerStatus::Runs(process.pid),
        ProcessState::Paused => BrokerStatus::Paused(process.pid),
        Ended => BrokerStatus::Ended,
    }
}

/// The flags with which a Java uses the archive of classes, which is made if it is not there.
///
/// Brokers start without one, too: who waits hears why it takes longer.
fn archive_flags(java: &Java, jars: &Jars) -> Vec<String> {
    let file = archive::file_of(java, jars);
    if !file.is_file() {
        eprintln!("making an archive of the broker's classes, once: {}", file.display());
        if let Err(error) = make_archive(java, jars, &file) {
            eprintln!("brokers start without an archive of their classes: {error}");
            return Vec::new();
        }
    }
    archive::use_flags(&file)
}

/// Runs one broker that writes the archive when it ends.
fn make_archive(java: &Java, jars: &Jars, file: &Path) -> Result<(), BrokersError> {
    let name = format!("archiving-{}", std::process::id());
    let scratch = file.with_file_name(format!("{name}.jsa"));
    let settings = BrokerSettings {
        folder: file.with_file_name(name),
        brokers: 1,
        address: Ipv4Addr::LOCALHOST,
        pace: Pace::Steady,
        clients: 0,
        secured: None,
        lifetime: Lifetime::OfThisProcess,
        compilation: Compilation::Quick,
    };
    let archive = archive::make_flags(&scratch);
    let (java, jars, compilation) = (java.clone(), jars.clone(), settings.compilation);
    let launcher = Launcher { java, jars, archive, compilation };
    let brokers = KafkaBrokers::start_with(&settings, &launcher)?;
    brokers.stop(1)?;
    drop(brokers);
    fs::rename(&scratch, file).map_err(at("make", file))
}
