//! What nodes make of one another when some ways between them are cut and others are not.
//!
//! Each node is behind a relay: everything that others send to it, calls and gossip, goes through
//! there. Their ways to the log are never cut.

use super::{Site, all_are_led, declare, is_ready, leaders, put, wait_until};
use crate::harness::Server;
use crate::harness::http::Http;
use cortado_relay::{Direction, Relay, TcpFaults, UdpFaults};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;

/// A node that others reach through a relay.
struct Behind {
    name: &'static str,
    server: Server,
    relay: Relay,
}

/// A port that is free on TCP and UDP.
fn free_port() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

impl Behind {
    fn start(site: &Site, name: &'static str, runtime: &tokio::runtime::Runtime) -> Behind {
        let listen = free_port();
        let relay = runtime.block_on(Relay::start(listen)).unwrap();
        let mut command = site.cortado(&["serve", "--node", name, "--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(site.data(name));
        command.args(["--peer-listen", &listen.to_string()]);
        command.args(["--peer-advertise", &relay.address().to_string()]);
        let server = Server::run(command).unwrap_or_else(|said| panic!("no {name}:\n{said}"));
        Behind { name, server, relay }
    }

    /// Nothing that others gossip comes here.
    fn cut_gossip(&self) {
        self.relay.udp.set(Direction::In, UdpFaults::CUT);
    }

    /// Nothing that others send comes here.
    fn cut(&self) {
        self.cut_gossip();
        self.relay.tcp.set(Direction::In, TcpFaults { stall: true, ..TcpFaults::default() });
        self.relay.tcp.cut(cortado_relay::Cut::Reset);
    }

    fn heal(&self) {
        self.relay.udp.heal();
        self.relay.tcp.heal();
    }

    fn metric(&self, family: &str) -> u64 {
        metric(&mut self.server.http(), family)
    }
}

/// The sum of a family's samples.
pub(crate) fn metric(http: &mut Http, family: &str) -> u64 {
    samples(http, family, "")
}

/// The sum of those of a family's samples that have a label.
fn samples(http: &mut Http, family: &str, label: &str) -> u64 {
    let answer = http.get("/metrics");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let is_meant = |line: &&str| {
        let rest = line.strip_prefix(family);
        rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
    };
    let samples = text.lines().filter(is_meant);
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// What the journal tells of a partition, as a person reads it.
fn explained(server: &Server, partition: &str) -> String {
    server.cortado(&["explain", partition, "--last", "100"]).out
}

/// Some partition that `name` leads.
fn led_by(http: &mut Http, name: &str) -> Option<usize> {
    leaders(http).iter().position(|leader| leader.as_deref() == Some(name))
}

/// A document of a partition that `name` leads, by trying: `put` goes where its key belongs.
fn write_everywhere(http: &mut Http, round: &str) {
    (0..12).for_each(|number| put(http, &format!("{round}{number}")));
}

pub(crate) fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill").args([signal, &server.pid().to_string()]).status().unwrap();
    assert!(sent.success(), "signal {signal} was not delivered");
}

#[test]
fn what_one_layer_alone_misses_is_explained_and_no_write_is_lost() {
    let Some(site) = Site::new() else { return };
    site.init();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nodes = ["a", "b", "c"].map(|name| Behind::start(&site, name, &runtime));
    let router = site.router();
    wait_until("ready", &router, is_ready);
    declare(&router);
    wait_until("led", &router, |http| all_are_led(http, ""));
    let mut http = router.http();
    write_everywhere(&mut http, "first");
    let all_gossip = |http: &mut Http| {
        // Two nodes and a router.
        let alive = samples(http, "cortado_gossip_members", "state=\"alive\"");
        alive >= 3 && metric(http, "cortado_peers_connected") == 2
    };
    nodes.iter().for_each(|node| wait_until("gossiping", &node.server, all_gossip));

    // Gossip alone does not reach the node: it leads on, and the journal says why.
    let mut led = None;
    wait_until("led by some node", &router, |http| {
        led = (0..3).find_map(|at| Some((at, led_by(http, nodes[at].name)?)));
        led.is_some()
    });
    let (cut, partition) = led.unwrap();
    let (node, partition) = (&nodes[cut], format!("shop/{partition}"));
    node.cut_gossip();
    wait_until("explained", &router, |_| {
        explained(&router, &partition).contains("although gossip counts it as down")
    });
    // What it gives up by itself, so that who should lead does, is another matter.
    let claimed = ["silent", "beats"].map(|why| format!("claim: leader {} {why}", node.name));
    for number in 0..6 {
        let told = explained(&router, &format!("shop/{number}"));
        assert!(!claimed.iter().any(|claimed| told.contains(claimed)), "{told}");
    }
    write_everywhere(&mut http, "second");
    node.heal();

    // No node reaches another one: the log says that all of them live.
    let before: Vec<_> = nodes.iter().map(|node| node.metric("cortado_claims_total")).collect();
    nodes.iter().for_each(Behind::cut);
    for node in &nodes {
        let said = || node.server.said().contains("no peer answers this node");
        wait_until("told that it is cut off", &node.server, |_| said());
        // For longer than a leader is borne with.
        let beats = node.metric("cortado_beats_total");
        wait_until("beats", &node.server, |_| node.metric("cortado_beats_total") > beats + 20);
    }
    let after: Vec<_> = nodes.iter().map(|node| node.metric("cortado_claims_total")).collect();
    assert_eq!(after, before, "somebody claimed: {}", nodes[0].server.said());
    nodes.iter().for_each(Behind::heal);
    write_everywhere(&mut http, "third");
    wait_until("explained", &router, |_| {
        explained(&router, &partition).contains("no peer answers")
    });

    // Nothing reaches it, and it reaches all others: it works for none, and is replaced.
    nodes.iter().for_each(|node| wait_until("gossiping", &node.server, all_gossip));
    node.cut();
    write_everywhere(&mut http, "fourth");
    wait_until("taken over", &router, |http| all_are_led(http, node.name));
    wait_until("explained", &router, |_| explained(&router, &partition).contains("beats, but"));
    node.heal();
    // It has found out by the log that it leads no more.
    write_everywhere(&mut node.server.http(), "fifth");
    let documents = router.all_documents("shop/item").len();
    assert_eq!(documents, 5 * 12);
}

#[test]
fn a_node_that_is_stopped_is_replaced_and_steps_down_when_it_goes_on() {
    let Some(site) = Site::new() else { return };
    site.init();
    let nodes = ["a", "b", "c"].map(|name| (name, site.start(name)));
    let router = site.router();
    wait_until("ready", &router, is_ready);
    declare(&router);
    wait_until("led", &router, |http| all_are_led(http, ""));
    let mut http = router.http();
    write_everywhere(&mut http, "first");
    let (name, stopped) =
        nodes.iter().find(|(name, _)| led_by(&mut http, name).is_some()).expect("some node leads");
    let partition = format!("shop/{}", led_by(&mut http, name).unwrap());
    signal(stopped, "-STOP");
    write_everywhere(&mut http, "second");
    wait_until("taken over", &router, |http| all_are_led(http, name));
    // The journal's own partitions are taken over, too, before it can tell.
    wait_until("explained", &router, |_| explained(&router, &partition).contains("silent for"));
    signal(stopped, "-CONT");
    // It finds out by itself that it leads no more, and serves as all do.
    let resigned = |http: &mut Http| metric(http, "cortado_resignations_total") > 0;
    wait_until("a follower", stopped, resigned);
    write_everywhere(&mut stopped.http(), "third");
    assert_eq!(router.all_documents("shop/item").len(), 3 * 12);
}

#[test]
fn a_node_that_starts_again_elsewhere_is_found_at_once() {
    let Some(site) = Site::new() else { return };
    site.init();
    let (a, b) = (site.start("a"), site.start("b"));
    let connected = |http: &mut Http| metric(http, "cortado_peers_connected") == 1;
    wait_until("connected", &a, connected);
    // Its port is another one each time.
    assert!(b.stop().success());
    let b = site.start("b");
    wait_until("connected", &a, connected);
    wait_until("connected", &b, connected);
}
