//! The settings of a broker, as its `server.properties` says them.
//!
//! Pure text. Start reading at [`server_properties`].

use crate::secured::{LISTENER, certificate_of};
use crate::state::{BrokerState, ClusterState, Pace};
use std::fmt::Write;
use std::path::Path;

/// Small: a laptop runs three of them.
const SMALL: &str = "\
num.network.threads=2
num.io.threads=4
num.replica.fetchers=1
num.recovery.threads.per.data.dir=1
background.threads=2
group.initial.rebalance.delay.ms=0
log.index.size.max.bytes=1048576
log.segment.bytes=67108864
metadata.log.segment.bytes=8388608
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
";

/// A slow start is a start.
const PATIENT: &str = "initial.broker.registration.timeout.ms=600000\n";

/// See [`Pace::Quick`].
const QUICK: &str = "\
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=200
replica.lag.time.max.ms=2000
replica.fetch.wait.max.ms=200
replica.socket.timeout.ms=1500
replica.fetch.backoff.ms=50
controller.quorum.fetch.timeout.ms=1000
controller.quorum.election.timeout.ms=500
controller.quorum.election.backoff.max.ms=200
controller.quorum.request.timeout.ms=1000
controller.quorum.retry.backoff.ms=20
";

/// See [`Pace::Steady`].
const STEADY: &str = "\
broker.session.timeout.ms=60000
replica.lag.time.max.ms=120000
controller.quorum.fetch.timeout.ms=30000
controller.quorum.request.timeout.ms=10000
";

/// The file of one broker, which is a controller too.
///
/// * `data`: the folder that it keeps everything in.
pub(crate) fn server_properties(
    cluster: &ClusterState,
    broker: &BrokerState,
    data: &Path,
) -> String {
    let listeners = listeners(broker);
    let joined = |each: &dyn Fn(&Listener) -> String| {
        listeners.iter().map(each).collect::<Vec<_>>().join(",")
    };
    let at = cluster.address;
    let listened = joined(&|Listener { name, listen, .. }| format!("{name}://{at}:{listen}"));
    let advertised =
        joined(&|Listener { name, advertised, .. }| format!("{name}://{at}:{advertised}"));
    let protocols = joined(&|Listener { name, .. }| {
        let protocol = if name == LISTENER { "SASL_SSL" } else { "PLAINTEXT" };
        format!("{name}:{protocol}")
    });
    let voters: Vec<_> = cluster
        .brokers
        .iter()
        .map(|broker| format!("{}@{at}:{}", broker.id, broker.controller_port))
        .collect();
    let replication = cluster.brokers.len().min(3);
    let mut text = format!(
        "process.roles=broker,controller
node.id={id}
log.dirs={data}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners={listened},CONTROLLER://{at}:{controller_port}
advertised.listeners={advertised}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
controller.quorum.voters={voters}
log.retention.ms=-1
log.retention.bytes=-1
default.replication.factor={replication}
min.insync.replicas={in_sync}
unclean.leader.election.enable=false
auto.create.topics.enable=false
",
        id = broker.id,
        data = data.display(),
        controller_port = broker.controller_port,
        voters = voters.join(","),
        in_sync = if replication > 2 { 2 } else { 1 },
    );
    let pace = match cluster.pace {
        Pace::Quick => QUICK,
        Pace::Defaults => "",
        Pace::Steady => STEADY,
    };
    let _ = write!(text, "{SMALL}{PATIENT}{pace}");
    if let (Some(secured), Some(folder)) = (&cluster.secured, data.parent()) {
        text.push_str(&secured.properties(&certificate_of(folder)));
    }
    text
}

struct Listener {
    name: String,
    listen: u16,
    advertised: u16,
}

fn listeners(broker: &BrokerState) -> Vec<Listener> {
    let shared =
        Listener { name: "PLAINTEXT".to_owned(), listen: broker.port, advertised: broker.port };
    let clients = broker.clients.iter().zip(1..).map(|(client, number): (_, u32)| Listener {
        name: format!("CLIENT{number}"),
        listen: client.listen,
        advertised: client.advertised,
    });
    let secured = broker.secured_port.map(|port| Listener {
        name: LISTENER.to_owned(),
        listen: port,
        advertised: port,
    });
    std::iter::once(shared).chain(clients).chain(secured).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secured::Secured;
    use crate::state::ClientListener;
    use std::net::Ipv4Addr;

    fn cluster(brokers: u32, pace: Pace) -> ClusterState {
        let broker = |id: u32| BrokerState {
            id,
            directory_id: String::new(),
            port: 20_000 + id as u16,
            controller_port: 21_000 + id as u16,
            secured_port: None,
            clients: vec![ClientListener { listen: 22_000, advertised: 23_000 }],
            process: None,
        };
        let brokers = (1..=brokers).map(broker).collect();
        let (cluster_id, address) = (String::new(), Ipv4Addr::LOCALHOST);
        ClusterState { cluster_id, address, pace, secured: None, brokers }
    }

    #[track_caller]
    fn check(cluster: &ClusterState, lines: &[&str], absent: &str) {
        let text = server_properties(cluster, &cluster.brokers[0], Path::new("/d"));
        for line in lines {
            assert!(text.lines().any(|each| each == *line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(absent), "{absent} is in\n{text}");
    }

    #[test]
    fn three_brokers_replicate_to_all_and_need_two() {
        check(
            &cluster(3, Pace::Quick),
            &[
                "controller.quorum.voters=1@127.0.0.1:21001,2@127.0.0.1:21002,3@127.0.0.1:21003",
                "default.replication.factor=3",
                "min.insync.replicas=2",
                "broker.session.timeout.ms=1500",
            ],
            "min.insync.replicas=1",
        );
    }

    #[test]
    fn one_broker_with_the_defaults_needs_itself() {
        let lines = ["default.replication.factor=1", "min.insync.replicas=1", "log.dirs=/d"];
        check(&cluster(1, Pace::Defaults), &lines, "broker.session.timeout.ms");
    }

    #[test]
    fn a_user_comes_over_tls_beside_the_others() {
        let mut secured = cluster(1, Pace::Steady);
        let (user, password) = ("u".to_owned(), "p".to_owned());
        secured.secured = Some(Secured { user, password, with_acls: true });
        secured.brokers[0].secured_port = Some(24_000);
        secured.brokers[0].clients.clear();
        check(
            &secured,
            &[
                "listeners=PLAINTEXT://127.0.0.1:20001,SECURED://127.0.0.1:24000,\
                 CONTROLLER://127.0.0.1:21001",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL,\
                 CONTROLLER:PLAINTEXT",
                "listener.name.secured.ssl.keystore.location=/certificate.pem",
                "super.users=User:ANONYMOUS",
            ],
            "CLIENT1",
        );
    }

    #[test]
    fn brokers_are_where_they_are_told_to_be() {
        let mut elsewhere = cluster(1, Pace::Steady);
        elsewhere.address = Ipv4Addr::new(10, 1, 2, 3);
        let lines = [
            "listeners=PLAINTEXT://10.1.2.3:20001,CLIENT1://10.1.2.3:22000,\
             CONTROLLER://10.1.2.3:21001",
            "advertised.listeners=PLAINTEXT://10.1.2.3:20001,CLIENT1://10.1.2.3:23000",
            "controller.quorum.voters=1@10.1.2.3:21001",
        ];
        check(&elsewhere, &lines, "127.0.0.1");
    }

    #[test]
    fn a_client_is_told_where_its_relay_listens() {
        check(
            &cluster(1, Pace::Steady),
            &[
                "listeners=PLAINTEXT://127.0.0.1:20001,CLIENT1://127.0.0.1:22000,\
                 CONTROLLER://127.0.0.1:21001",
                "advertised.listeners=PLAINTEXT://127.0.0.1:20001,CLIENT1://127.0.0.1:23000",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CLIENT1:PLAINTEXT,\
                 CONTROLLER:PLAINTEXT",
            ],
            "CLIENT2",
        );
    }
}
