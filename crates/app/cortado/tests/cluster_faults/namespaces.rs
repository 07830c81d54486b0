//! Nodes in network namespaces of their own: what is sent where a way is cut is lost, and no
//! connection is closed.
//!
//! The test itself runs in one, which forwards between the nodes; the brokers and the router are
//! in it, too, at addresses of their own. All of it goes with the process. Start reading at
//! [`Namespaces::make`].

use crate::hard::followed_by;
use crate::harness::guard::Guard;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

/// Where the brokers are. Addresses of this range are for tests of networks (RFC 2544).
pub(crate) const BROKERS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// Where nodes hear one another.
pub(crate) const PEER_PORT: u16 = 7172;
/// Cuts come before all other rules.
const CUT: &str = "10";
/// Set in the process that is in a namespace.
const INSIDE: &str = "CORTADO_TEST_IN_NAMESPACE";

/// The namespaces of nodes.
pub(crate) struct Namespaces {
    holders: Vec<(Child, Guard)>,
}

/// What is lost: packets from the first to the second; everything of one, where there is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    To(Ipv4Addr),
    From(Ipv4Addr),
    Between { from: Ipv4Addr, to: Ipv4Addr },
}

impl Namespaces {
    /// Runs the test `name` again in a namespace; `None` in the process that is there already.
    ///
    /// # Errors
    /// Why there can be none here.
    pub(crate) fn enter(name: &str) -> Option<Result<(), String>> {
        if std::env::var_os(INSIDE).is_some() {
            return None;
        }
        if let Some(why) = Namespaces::missing() {
            return Some(Err(why));
        }
        let own = std::env::current_exe().expect("it runs");
        let mut again = unshared();
        again.arg(own).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
        let mut again = again.stdin(Stdio::null()).spawn().expect("unshare runs");
        let _guard = Guard::of(&again);
        let ended = again.wait().expect("it was started");
        assert!(ended.success(), "{ended}");
        Some(Ok(()))
    }

    /// Joins so many nodes to the namespace of this process.
    pub(crate) fn make(nodes: usize) -> Namespaces {
        ip("link set lo up");
        ip(&format!("address add {BROKERS}/32 dev lo"));
        for (setting, value) in [("ip_forward", "1"), ("ip_early_demux", "0")] {
            fs::write(format!("/proc/sys/net/ipv4/{setting}"), value).expect("it is ours");
        }
        // Behind cuts: what is for this namespace may be lost as well.
        ip("rule add pref 100 lookup local");
        ip("rule del pref 0");
        let holders = (0..nodes).map(|node| {
            let holder = hold();
            let pid = holder.id();
            ip(&format!("link add node{node} type veth peer name eth0 netns {pid}"));
            ip(&format!("address add {}/30 dev node{node}", door_of(node)));
            ip(&format!("link set node{node} up"));
            let within = |words: &str| run(Namespaces::among_of(pid), &format!("ip {words}"));
            within("link set lo up");
            within(&format!("address add {}/30 dev eth0", Namespaces::address(node)));
            within("link set eth0 up");
            within(&format!("route add default via {}", door_of(node)));
            let guard = Guard::of(&holder);
            (holder, guard)
        });
        Namespaces { holders: holders.collect() }
    }

    /// Why there are none here.
    fn missing() -> Option<String> {
        let script = "ip link add probe type veth peer name other && \
            ip rule add pref 10 from 198.18.0.9 blackhole && \
            echo 1 > /proc/sys/net/ipv4/ip_forward";
        let ran = unshared().args(["sh", "-c", script]).stdin(Stdio::null()).output();
        match ran {
            Ok(ran) if ran.status.success() => None,
            Ok(ran) => {
                let said = String::from_utf8_lossy(&ran.stderr);
                Some(format!("network namespaces are not permitted: {}", said.trim()))
            }
            Err(error) => Some(format!("unshare does not run: {error}")),
        }
    }

    /// Where a node is.
    pub(crate) fn address(node: usize) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, octet(node), 2)
    }

    /// The same command in the namespace of a node.
    pub(crate) fn among(&self, node: usize, command: &Command) -> Command {
        followed_by(Namespaces::among_of(self.holders[node].0.id()), command)
    }

    fn among_of(pid: u32) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &pid.to_string(), "--net", "--"]);
        entered
    }

    /// Loses these packets from now on.
    pub(crate) fn lose(&self, lost: &[Lost]) {
        for lost in lost {
            let which = match lost {
                Lost::To(to) => format!("to {to}"),
                Lost::From(from) => format!("from {from}"),
                Lost::Between { from, to } => format!("from {from} to {to}"),
            };
            ip(&format!("rule add pref {CUT} {which} blackhole"));
        }
    }

    /// Loses nothing any more.
    pub(crate) fn heal(&self) {
        let mut rules = Command::new("ip");
        let found = rules.args(["rule", "list", "pref", CUT]).output().expect("ip runs");
        let count = String::from_utf8_lossy(&found.stdout).lines().count();
        (0..count).for_each(|_| ip(&format!("rule del pref {CUT}")));
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for (holder, _) in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// This namespace's end of the way to a node.
fn door_of(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, octet(node), 1)
}

fn octet(node: usize) -> u8 {
    u8::try_from(node + 1).expect("they are few")
}

/// A process that holds a new namespace.
fn hold() -> Child {
    let mut holder = Command::new("unshare");
    holder.args(["--net", "sh", "-c", "echo there; exec cat"]);
    holder.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().expect("unshare runs");
    let mut said = String::new();
    let out = holder.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut said).expect("it speaks");
    assert_eq!(said, "there\n");
    holder
}

/// A new namespace, in which an ordinary user is root.
fn unshared() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]);
    command
}

fn ip(words: &str) {
    run(Command::new("ip"), words);
}

fn run(mut command: Command, words: &str) {
    let ran = command.args(words.split(' ')).stdin(Stdio::null()).output().expect("it runs");
    assert!(ran.status.success(), "{words}: {}", String::from_utf8_lossy(&ran.stderr));
}
