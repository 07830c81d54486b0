//! What happens to a cluster of processes on real brokers.
//!
//! Start reading at [`Fault::strike`].

use super::broken_site::{BrokenSite, NODES, Ways};
use super::machine_faults::{self, CUT, pass};
use super::{network_faults, topic_faults, upgrading};
use crate::hard::{Disks, SystemCalls, WallClocks};
use crate::harness::Random;
use cortado_relay::{Cut, Direction, TcpFaults, TcpRelay, UdpFaults};
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
    /// Every node is renewed as the next version, one goes back, and the upgrade is finished when
    /// all read what is written from then on. No request is refused.
    NodesUpgraded,
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
    /// A node reaches one broker no more, and the two others: connections hang for 20 s.
    CutFromBroker,
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
    /// A network loses all that a node sends, and all that is sent to it.
    LostToAndFromAll,
    /// The same between a node and the other nodes.
    LostBetweenNodes,
    /// The same between a node and the brokers.
    LostToAndFromLog,
    /// What a node sends to brokers is lost, and what they send arrives.
    LostToLog,
    /// What brokers send to a node is lost, and what it sends arrives.
    LostFromLog,
    /// What other nodes send to a node is lost, and what it sends arrives.
    LostFromNodes,
    /// Each time that a node syncs a file takes 0.3 s.
    SyncsSlow,
    /// A node's disk answers EIO whenever it syncs a file.
    SyncsFail,
    /// A node's disk is full to its last byte.
    DiskFull,
    /// A node's wall clock steps an hour back, then a day ahead.
    ClockSteps,
}

/// A way that is cut both ways.
const BOTH: [Direction; 2] = [Direction::In, Direction::Out];

impl Fault {
    /// Why this machine cannot do it.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Fault::SyncsSlow | Fault::SyncsFail => SystemCalls::missing(),
            Fault::DiskFull => Disks::missing(),
            Fault::ClockSteps => WallClocks::missing(),
            _ => None,
        }
    }

    /// Whether it needs a network, with a namespace for each node.
    pub(crate) fn is_of_network(self) -> bool {
        matches!(
            self,
            Fault::LostToAndFromAll
                | Fault::LostBetweenNodes
                | Fault::LostToAndFromLog
                | Fault::LostToLog
                | Fault::LostFromLog
                | Fault::LostFromNodes
        )
    }

    /// Whether no client hears of it, but for a pause.
    pub(crate) fn is_unfelt(self) -> bool {
        self == Fault::NodesUpgraded
    }

    /// All of them.
    pub(crate) const ALL: [Fault; 38] = [
        Fault::NodeKilled,
        Fault::NodeStopped,
        Fault::NodePaused,
        Fault::NodePausedLong,
        Fault::NodesRenewed,
        Fault::NodesUpgraded,
        Fault::HandOffs,
        Fault::BrokerKilled,
        Fault::NodeRenewedWithoutBroker,
        Fault::BrokerPaused,
        Fault::BrokersRenewed,
        Fault::BrokersKilled,
        Fault::NodeAndBrokerKilled,
        Fault::CutFromLog,
        Fault::CutToLog,
        Fault::CutFromBroker,
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
        Fault::LostToAndFromAll,
        Fault::LostBetweenNodes,
        Fault::LostToAndFromLog,
        Fault::LostToLog,
        Fault::LostFromLog,
        Fault::LostFromNodes,
        Fault::SyncsSlow,
        Fault::SyncsFail,
        Fault::DiskFull,
        Fault::ClockSteps,
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
            Fault::NodesUpgraded => upgrading::upgrade(site),
            Fault::HandOffs => hand_off(site, random),
            Fault::BrokerKilled => kill_broker(site, broker),
            Fault::NodeRenewedWithoutBroker => {
                site.brokers.kill(broker).expect("it runs");
                site.stop_node(node);
                site.start_node(node);
            }
            Fault::BrokerPaused => pause_broker(site, broker),
            Fault::BrokersRenewed => renew_brokers(site),
            Fault::BrokersKilled => kill_brokers(site),
            Fault::NodeAndBrokerKilled => {
                site.kill_node(node);
                kill_broker(site, broker);
            }
            Fault::CutFromLog => cut(&site.ways[node], &BOTH, &[]),
            Fault::CutToLog => cut(&site.ways[node], &[Direction::In], &[]),
            Fault::CutFromBroker => cut_from_broker(&site.ways[node], broker),
            Fault::LogConnectionsBreak => break_connections(&site.ways[node]),
            Fault::LogLate => delay(&site.ways[node]),
            Fault::CutFromPeers => cut(&site.ways[node], &[], &BOTH),
            Fault::CutToPeers => cut(&site.ways[node], &[], &[Direction::Out]),
            Fault::CutFromAll => cut(&site.ways[node], &BOTH, &BOTH),
            Fault::SettingChanged => topic_faults::change_setting(site),
            Fault::ClusterSettingChanged => topic_faults::change_setting_of_cluster(site),
            Fault::StrangersWrite => topic_faults::write_as_stranger(site),
            Fault::TrimmedMeanwhile => topic_faults::forget_what_a_node_lacks(site),
            Fault::TopicDeleted => topic_faults::delete_topic(site),
            Fault::TopicRecreated => topic_faults::create_topic_anew(site),
            Fault::UncleanLeader => topic_faults::lead_uncleanly(site),
            Fault::LostToAndFromAll => network_faults::lose_all(site, node),
            Fault::LostBetweenNodes => network_faults::lose_between_nodes(site, node),
            Fault::LostToAndFromLog => network_faults::lose_to_and_from_log(site, node),
            Fault::LostToLog => network_faults::lose_to_log(site, node),
            Fault::LostFromLog => network_faults::lose_from_log(site, node),
            Fault::LostFromNodes => network_faults::lose_from_nodes(site, node),
            Fault::SyncsSlow => machine_faults::slow_syncs(site, node),
            Fault::SyncsFail => machine_faults::fail_syncs(site, node),
            Fault::DiskFull => machine_faults::fill_disk(site, node),
            Fault::ClockSteps => machine_faults::step_clock(site, node),
        }
    }
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

fn kill_broker(site: &BrokenSite, broker: u32) {
    site.brokers.kill(broker).expect("it runs");
    pass(CUT);
}

fn pause_broker(site: &BrokenSite, broker: u32) {
    site.brokers.pause(broker).expect("it runs");
    pass(CUT);
}

fn renew_brokers(site: &mut BrokenSite) {
    (1..=3).for_each(|broker| {
        site.brokers.stop(broker).expect("it runs");
        site.heal();
    });
}

fn kill_brokers(site: &BrokenSite) {
    let brokers = site.brokers_that_run();
    brokers.iter().for_each(|broker| site.brokers.kill(*broker).expect("it runs"));
    pass(CUT);
}

/// Resets a node's connections to brokers, again and again.
fn break_connections(ways: &Ways) {
    (0..10).for_each(|_| {
        ways.kafka.iter().for_each(|way| way.cut(Cut::Reset));
        pass(CUT / 10);
    });
}

fn delay(ways: &Ways) {
    let faults = TcpFaults { delay: Duration::from_millis(400), ..TcpFaults::default() };
    ways.kafka.iter().for_each(|way| way.set(Direction::Out, faults));
    pass(CUT);
}

/// Lets nothing through between a node and a broker, for as long as it takes to tell a leader that
/// is replaced from one that waits.
fn cut_from_broker(ways: &Ways, broker: u32) {
    stand_still(&ways.kafka[broker as usize - 1], &BOTH);
    pass(Duration::from_secs(20));
}

/// Lets nothing through in these directions, for a while.
fn cut(ways: &Ways, kafka: &[Direction], peers: &[Direction]) {
    ways.kafka.iter().for_each(|way| stand_still(way, kafka));
    stand_still(&ways.peers.tcp, peers);
    for direction in peers {
        ways.peers.udp.set(*direction, UdpFaults::CUT);
    }
    pass(CUT);
}

fn stand_still(way: &TcpRelay, directions: &[Direction]) {
    let stall = TcpFaults { stall: true, ..TcpFaults::default() };
    directions.iter().for_each(|direction| way.set(*direction, stall));
}
