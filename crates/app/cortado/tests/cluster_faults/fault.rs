//! What happens to a cluster of processes on real brokers.
//!
//! Start reading at [`Fault::strike`].

use super::broken_site::{BrokenSite, NODES, Ways};
use super::topic_faults;
use crate::harness::Random;
use cortado_relay::{Cut, Direction, TcpFaults, TcpRelay, UdpFaults};
use std::thread;
use std::time::Duration;

/// Something that happens to one node, one broker, or to the ways between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The node that leads most dies.
    NodeKilled,
    /// It ends in good order.
    NodeStopped,
    /// It stands still for 5 s.
    NodePaused,
    /// It stands still for 30 s.
    NodePausedLong,
    /// Every node ends in good order and comes back, one after another.
    NodesRenewed,
    /// Leaderships are handed from node to node.
    HandOffs,
    /// A broker dies.
    BrokerKilled,
    /// A broker dies, and before it is back a node ends and starts again.
    NodeRenewedWithoutBroker,
    /// A broker stands still.
    BrokerPaused,
    /// Every broker hands over what it leads, ends, and comes back, one after another.
    BrokersRenewed,
    /// All brokers die, and come back.
    BrokersKilled,
    /// A node dies, and a broker with it.
    NodeAndBrokerKilled,
    /// A node reaches no broker: its connections hang.
    CutFromLog,
    /// What a node says reaches no broker, and it hears what brokers said.
    CutToLog,
    /// A node's connections to brokers break, again and again.
    LogConnectionsBreak,
    /// What brokers say comes late.
    LogLate,
    /// No other node or router reaches a node: connections hang.
    CutFromPeers,
    /// What a node answers to others does not arrive.
    CutToPeers,
    /// Both at once, from the log and from the others.
    CutFromAll,
    /// A setting of the logs' topic is changed by somebody, and changed back.
    SettingChanged,
    /// The same of the topic of `_cluster`.
    ClusterSettingChanged,
    /// Somebody writes into the logs: bytes that say nothing, and transactions.
    StrangersWrite,
    /// The logs forget what a node lacks that does not run.
    TrimmedMeanwhile,
    /// The topic of a database is deleted.
    TopicDeleted,
    /// The same, and created again.
    TopicRecreated,
    /// A replica that was not in sync comes to lead a topic: what was acknowledged is gone there.
    UncleanLeader,
}

/// A way that is cut both ways.
const BOTH: [Direction; 2] = [Direction::In, Direction::Out];
/// How long cuts last: longer than it takes to find a leader dead.
const CUT: Duration = Duration::from_secs(5);

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Fault; 26] = [
        Fault::NodeKilled,
        Fault::NodeStopped,
        Fault::NodePaused,
        Fault::NodePausedLong,
        Fault::NodesRenewed,
        Fault::HandOffs,
        Fault::BrokerKilled,
        Fault::NodeRenewedWithoutBroker,
        Fault::BrokerPaused,
        Fault::BrokersRenewed,
        Fault::BrokersKilled,
        Fault::NodeAndBrokerKilled,
        Fault::CutFromLog,
        Fault::CutToLog,
        Fault::LogConnectionsBreak,
        Fault::LogLate,
        Fault::CutFromPeers,
        Fault::CutToPeers,
        Fault::CutFromAll,
        Fault::SettingChanged,
        Fault::ClusterSettingChanged,
        Fault::StrangersWrite,
        Fault::TrimmedMeanwhile,
        Fault::TopicDeleted,
        Fault::TopicRecreated,
        Fault::UncleanLeader,
    ];

    /// Lets it happen for a while; [`BrokenSite::heal`] makes good what is left of it.
    pub(crate) fn strike(self, site: &mut BrokenSite, random: &mut Random) {
        let node = site.busiest();
        let broker = 1 + random.below(3) as u32;
        match self {
            Fault::NodeKilled => {
                site.kill_node(node);
                pass(CUT);
            }
            Fault::NodeStopped => {
                site.stop_node(node);
                pass(CUT / 2);
            }
            Fault::NodePaused => pause(site, node, Duration::from_secs(5)),
            Fault::NodePausedLong => pause(site, node, Duration::from_secs(30)),
            Fault::NodesRenewed => (0..NODES).for_each(|node| {
                site.stop_node(node);
                site.heal();
            }),
            Fault::HandOffs => hand_off(site, random),
            Fault::BrokerKilled => {
                site.brokers.kill(broker).expect("it runs");
                pass(CUT);
            }
            Fault::NodeRenewedWithoutBroker => {
                site.brokers.kill(broker).expect("it runs");
                site.stop_node(node);
                site.start_node(node);
            }
            Fault::BrokerPaused => {
                site.brokers.pause(broker).expect("it runs");
                pass(CUT);
            }
            Fault::BrokersRenewed => (1..=3).for_each(|broker| {
                site.brokers.stop(broker).expect("it runs");
                site.heal();
            }),
            Fault::BrokersKilled => {
                let brokers = site.brokers_that_run();
                brokers.iter().for_each(|broker| site.brokers.kill(*broker).expect("it runs"));
                pass(CUT);
            }
            Fault::NodeAndBrokerKilled => {
                site.kill_node(node);
                site.brokers.kill(broker).expect("it runs");
                pass(CUT);
            }
            Fault::CutFromLog => cut(&site.ways[node], &[Direction::In, Direction::Out], &[]),
            Fault::CutToLog => cut(&site.ways[node], &[Direction::In], &[]),
            Fault::LogConnectionsBreak => (0..10).for_each(|_| {
                site.ways[node].kafka.iter().for_each(|way| way.cut(Cut::Reset));
                pass(CUT / 10);
            }),
            Fault::LogLate => {
                let faults =
                    TcpFaults { delay: Duration::from_millis(400), ..TcpFaults::default() };
                site.ways[node].kafka.iter().for_each(|way| way.set(Direction::Out, faults));
                pass(CUT);
            }
            Fault::CutFromPeers => cut(&site.ways[node], &[], &[Direction::In, Direction::Out]),
            Fault::CutToPeers => cut(&site.ways[node], &[], &[Direction::Out]),
            Fault::CutFromAll => cut(&site.ways[node], &BOTH, &BOTH),
            Fault::SettingChanged => topic_faults::change_setting(site),
            Fault::ClusterSettingChanged => topic_faults::change_setting_of_cluster(site),
            Fault::StrangersWrite => topic_faults::write_as_stranger(site),
            Fault::TrimmedMeanwhile => topic_faults::forget_what_a_node_lacks(site),
            Fault::TopicDeleted => topic_faults::delete_topic(site),
            Fault::TopicRecreated => topic_faults::create_topic_anew(site),
            Fault::UncleanLeader => topic_faults::lead_uncleanly(site),
        }
    }
}

/// Lets a time pass whose length is the point; nothing waits for it.
fn pass(time: Duration) {
    thread::park_timeout(time);
}

fn pause(site: &BrokenSite, node: usize, time: Duration) {
    site.signal_node(node, "-STOP");
    pass(time);
    site.signal_node(node, "-CONT");
}

fn hand_off(site: &BrokenSite, random: &mut Random) {
    for number in 0..12 {
        let to = BrokenSite::name(random.below(NODES as u64) as usize);
        // Who leads already, or just lost it, says so.
        site.router().cortado(&["handoff", &format!("fault/{}", number % 6), "--to", &to]);
    }
}

/// Lets nothing through in these directions, for a while.
fn cut(ways: &Ways, kafka: &[Direction], peers: &[Direction]) {
    let stall = TcpFaults { stall: true, ..TcpFaults::default() };
    let stand_still = |way: &TcpRelay, directions: &[Direction]| {
        directions.iter().for_each(|direction| way.set(*direction, stall));
    };
    ways.kafka.iter().for_each(|way| stand_still(way, kafka));
    stand_still(&ways.peers.tcp, peers);
    for direction in peers {
        ways.peers.udp.set(*direction, UdpFaults::CUT);
    }
    pass(CUT);
}
