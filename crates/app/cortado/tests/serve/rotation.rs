//! Secrets between nodes are replaced while these run.

use super::layers::{metric, signal};
use super::{Site, wait_until};
use crate::harness::Server;
use std::fs;
use std::path::PathBuf;

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

/// A node, and the file with its secret.
struct Keeper {
    name: &'static str,
    secret: PathBuf,
    server: Server,
}

impl Keeper {
    fn start(site: &Site, name: &'static str) -> Keeper {
        let secret = site.data(&format!("{name}.secret"));
        if !secret.exists() {
            fs::write(&secret, OLD).unwrap();
        }
        let mut command = site.node(name, name);
        command.arg("--peer-secret-file").arg(&secret);
        let server = Server::run(command).unwrap_or_else(|said| panic!("no {name}:\n{said}"));
        Keeper { name, secret, server }
    }

    /// Reads `text` in the place of what it knew.
    fn learn(&self, text: &str) {
        fs::write(&self.secret, text).unwrap();
        let read = || self.server.said().matches("certificates and secrets read again").count();
        let before = read();
        signal(&self.server, "-HUP");
        wait_until("read again", &self.server, |_| read() > before);
    }

    fn is_connected(&self) {
        wait_until("connected", &self.server, |http| metric(http, "cortado_peers_connected") == 1);
    }
}

#[test]
fn a_secret_is_replaced_without_a_restart() {
    let Some(site) = Site::new() else { return };
    site.init();
    let (a, b) = (Keeper::start(&site, "a"), Keeper::start(&site, "b"));
    a.is_connected();
    for text in [format!("{OLD}\n{NEW}"), format!("{NEW}\n{OLD}"), NEW.to_owned()] {
        a.learn(&text);
        b.learn(&text);
    }
    // What is no secret changes nothing.
    fs::write(&a.secret, "short").unwrap();
    signal(&a.server, "-HUP");
    wait_until("refused", &a.server, |_| a.server.said().contains("the former ones stay"));
    // A connection that begins now is proven by the new one.
    assert!(b.server.stop().success());
    let b = Keeper::start(&site, b.name);
    a.is_connected();
    b.is_connected();
}
