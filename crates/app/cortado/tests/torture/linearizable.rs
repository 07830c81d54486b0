//! What clients see while nodes die, leaderships move and the process is paused and killed: is
//! there an order that each document alone could have gone through?
//!
//! Start reading at [`every_history_has_an_order`].

use crate::cycles;
use crate::harness::{Random, Server, cortado};
use crate::history::{Client, History};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

const CLIENTS: usize = 6;
/// Few, so that clients meet.
const DOCUMENTS: usize = 3;

/// What happens to the server in a round.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    /// Every node dies and comes back, one after another.
    NodesDie,
    /// Every partition is handed to every node.
    HandOffs,
    /// The process stands still for a while, several times.
    Pauses,
    /// `kill -9`, and another process on the same data.
    Killed,
}

const DISTURBANCES: [Disturbance; 4] =
    [Disturbance::NodesDie, Disturbance::HandOffs, Disturbance::Pauses, Disturbance::Killed];

/// Lets a moment pass whose length is the point; nothing waits for it.
fn while_clients_work(random: &mut Random, most_ms: u64) {
    thread::park_timeout(Duration::from_millis(20 + random.below(most_ms)));
}

/// Disturbs the server; the one that runs afterwards.
fn disturb(kind: Disturbance, server: Server, data: &Path, random: &mut Random) -> Server {
    let order = |words: &[&str]| {
        let (code, _, said) = cortado(Some(&server), words);
        assert_eq!(code, 0, "{words:?}: {said}");
    };
    match kind {
        Disturbance::NodesDie => {
            for node in ["n1", "n2", "n3"] {
                order(&["node", "kill", node]);
                while_clients_work(random, 1_500);
                order(&["node", "start", node]);
                while_clients_work(random, 300);
            }
        }
        Disturbance::HandOffs => {
            for number in 0..24 {
                let (partition, node) = (format!("order/{}", number % 8), 1 + random.below(3));
                // Who leads already, or just lost it, says so.
                cortado(Some(&server), &["handoff", &partition, "--to", &format!("n{node}")]);
            }
        }
        Disturbance::Pauses => {
            for _ in 0..3 {
                for signal in ["-STOP", "-CONT"] {
                    let pid = server.pid().to_string();
                    let sent = Command::new("kill").args([signal, &pid]).status();
                    assert!(sent.expect("kill runs").success(), "{signal} was not delivered");
                    while_clients_work(random, 1_000);
                }
            }
        }
        Disturbance::Killed => {
            server.kill();
            return Server::start(data);
        }
    }
    server
}

#[test]
fn every_history_has_an_order() {
    let mut random = Random::seeded();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data);
    server.create_table("order", "register", &["id"]);
    let rounds = DISTURBANCES.iter().cycle().take(DISTURBANCES.len() * (cycles() / 10).max(1));
    for (round, kind) in rounds.enumerate() {
        let history = History::new("order/register", &format!("r{round}"), DOCUMENTS);
        let address = server.address;
        server = thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let mut client = Client::new(address, &history, random.fork());
                scope.spawn(move || client.work());
            }
            while_clients_work(&mut random, 200);
            let server = disturb(*kind, server, &data, &mut random);
            while_clients_work(&mut random, 200);
            history.end();
            server
        });
        server.wait_until("ready", |http| http.get("/readyz").status == 200);
        history.read_out(&mut Client::new(server.address, &history, random.fork()));
        let steps = history.judge();
        assert!(steps > CLIENTS * DOCUMENTS, "the load never got going: {steps} steps");
        println!("round {round}: {kind:?}, {steps} steps have an order");
    }
    assert!(server.stop().success());
}
