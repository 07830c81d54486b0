//! A real server in a process of its own, and a client that hides nothing.
//!
//! Included by each program of tests with `mod harness;`. Start reading at [`Server`].

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its part of it")]

pub mod guard;
pub mod http;
pub mod ran;

use guard::Guard;
use http::Http;
use ran::binary;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at a condition: a test that never rests takes a core from what it waits for.
const LOOK: Duration = Duration::from_millis(5);

/// Long enough for any condition on any machine; a test that waits this long has failed.
pub const BOUND: Duration = Duration::from_secs(120);

/// `cortado dev` on a free port. Killed when dropped.
pub struct Server {
    process: Child,
    _guard: Guard,
    pub address: SocketAddr,
    said: Arc<Mutex<String>>,
    listeners: Vec<thread::JoinHandle<()>>,
    addresses: Mutex<Receiver<SocketAddr>>,
}

impl Server {
    /// Starts a server on `data` and waits until it is ready.
    pub fn start(data: &Path) -> Server {
        Server::run(Server::command(data)).unwrap_or_else(|said| panic!("no server:\n{said}"))
    }

    /// The command line of a server on `data`.
    pub fn command(data: &Path) -> Command {
        let mut command = binary();
        command.arg("dev").args(["--listen", "127.0.0.1:0", "--data"]).arg(data);
        command
    }

    /// Runs a command line that ends in a server; what it said if it ended instead.
    pub fn run(mut command: Command) -> Result<Server, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("cannot run the binary");
        let guard = Guard::of(&process);
        let said = Arc::new(Mutex::new(String::new()));
        let (found, addresses) = std::sync::mpsc::channel();
        let output = process.stdout.take().expect("piped");
        let errors = process.stderr.take().expect("piped");
        let listeners =
            vec![listen(output, said.clone(), found.clone()), listen(errors, said.clone(), found)];
        match addresses.recv_timeout(BOUND) {
            Ok(address) => {
                let addresses = Mutex::new(addresses);
                let server = Server { process, _guard: guard, address, said, listeners, addresses };
                server.wait_until("ready", |http| http.get("/readyz").status == 200);
                Ok(server)
            }
            Err(_) => {
                let _ = process.kill();
                let status = process.wait().expect("it was started");
                listeners.into_iter().for_each(|listener| listener.join().expect("a listener"));
                let said = said.lock().expect("whole").clone();
                Err(format!("{said}\n{status}"))
            }
        }
    }

    /// A connection of its own.
    pub fn http(&self) -> Http {
        Http::new(self.address)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Everything it has printed so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("whole").clone()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it was started").is_some()
    }

    /// SIGKILL: no goodbye.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was started");
    }

    /// SIGTERM, and the graceful end that must follow.
    pub fn stop(self) -> ExitStatus {
        self.stop_by("-15")
    }

    /// A signal, and the graceful end that must follow.
    pub fn stop_by(mut self, signal: &str) -> ExitStatus {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success(), "signal {signal} was not delivered");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("it was started") {
                return status;
            }
            assert!(begun.elapsed() < BOUND, "no end after signal {signal}:\n{}", self.said());
            thread::park_timeout(LOOK);
        }
    }

    /// Waits for the next server that the same command line starts.
    pub fn next(mut self) -> Server {
        let next = self.addresses.lock().expect("whole").recv_timeout(BOUND);
        self.address = next.unwrap_or_else(|_| panic!("no next server:\n{}", self.said()));
        self
    }

    /// Waits for its end, whatever brings it; how it ended and what it said.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("it was started") {
                // Both streams are at their ends when what they say is all there.
                for listener in self.listeners.drain(..) {
                    listener.join().expect("a listener");
                }
                return (status, self.said());
            }
            assert!(begun.elapsed() < BOUND, "it does not end:\n{}", self.said());
            thread::park_timeout(LOOK);
        }
    }

    /// Waits until `condition` holds.
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut(&mut Http) -> bool) {
        let begun = Instant::now();
        let mut http = self.http();
        while !condition(&mut http) {
            assert!(begun.elapsed() < BOUND, "not {what}:\n{}", self.said());
            thread::park_timeout(LOOK);
        }
    }

    /// Creates a database and a table with the key `id`, unless they exist.
    pub fn create_table(&self, database: &str, table: &str, key: &[&str]) {
        let mut http = self.http();
        let path = format!("/admin/v1/databases/{database}");
        let created = http.put(&path, &json!({"partitions": 16}));
        assert!([200, 201].contains(&created.status), "{created:?}");
        let created = http.put(&format!("{path}/tables/{table}"), &json!({ "key": key }));
        assert!([200, 201].contains(&created.status), "{created:?}");
    }

    /// All documents of a table, by following its pages.
    pub fn all_documents(&self, table: &str) -> Vec<Value> {
        let mut http = self.http();
        let mut documents = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = http.get(&format!("/v1/{table}?limit=1000{cursor}"));
            assert_eq!(page.status, 200, "{page:?}");
            let body = page.json();
            documents.extend(body["documents"].as_array().expect("documents").iter().cloned());
            match body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return documents,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the binary to its end; exit code, standard output, standard error.
pub fn cortado(server: Option<&Server>, arguments: &[&str]) -> (i32, String, String) {
    let mut command = ran::binary();
    command.args(arguments).stdin(Stdio::null());
    if let Some(server) = server {
        command.env("CORTADO_URL", format!("http://{}", server.address));
    }
    let output = command.output().expect("cannot run the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Keeps what a stream says, and tells the address in it.
fn listen(
    stream: impl Read + Send + 'static,
    said: Arc<Mutex<String>>,
    found: std::sync::mpsc::Sender<SocketAddr>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on http://") {
                let address = rest.split_whitespace().next().unwrap_or(rest);
                found.send(address.parse().expect("an address")).unwrap_or_default();
            }
            let mut said = said.lock().expect("whole");
            said.push_str(&line);
            said.push('\n');
        }
    })
}

/// A small generator with a fixed algorithm (SplitMix64), so that a printed seed repeats a run.
pub struct Random(u64);

impl Random {
    /// From `CORTADO_SEED`, or a new seed; printed, so that a failure can be repeated.
    pub fn seeded() -> Random {
        let given = std::env::var("CORTADO_SEED").ok().and_then(|text| text.parse().ok());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = given.unwrap_or_else(|| now.map_or(1, |now| now.as_nanos() as u64));
        println!("CORTADO_SEED={seed}");
        Random(seed)
    }

    /// Another one, which goes on from here by itself.
    pub fn fork(&mut self) -> Random {
        Random(self.below(u64::MAX))
    }

    /// A number from 0 up to, not including, `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}
