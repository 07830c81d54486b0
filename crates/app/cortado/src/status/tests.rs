//! What is printed of a cluster.

use super::*;

fn replica(node: &str, role: &str, lag_records: u64) -> ReplicaAnswer {
    ReplicaAnswer {
        node: node.to_owned(),
        role: role.to_owned(),
        unverified: role == "leader",
        applied: Some("3/5:9".parse().expect("a position")),
        lag_records: Some(lag_records),
        lag_ms: Some(10 * lag_records),
    }
}

fn partition() -> PartitionAnswer {
    PartitionAnswer {
        partition: 3,
        leader: Some("n2".to_owned()),
        preferred: Some("n1".to_owned()),
        pinned: None,
        generation: Some(5),
        applied: Some("3/5:9".parse().expect("a position")),
        lag_records: Some(4),
        replicas: vec![replica("n1", "follower", 4), replica("n2", "leader", 0)],
    }
}

/// The same, as it should be.
fn well(number: u32) -> PartitionAnswer {
    let mut partition = PartitionAnswer {
        partition: number,
        leader: Some("n1".to_owned()),
        lag_records: Some(0),
        replicas: vec![replica("n1", "leader", 0), replica("n2", "follower", 0)],
        ..partition()
    };
    partition.replicas[0].unverified = false;
    partition
}

fn node(name: &str, alive: bool) -> NodeAnswer {
    NodeAnswer {
        node: name.to_owned(),
        alive,
        incarnation: 1,
        address: "here".to_owned(),
        leaderships: 0,
        replicas: 2,
        zone: None,
        capacity: Some(100),
        drained: false,
        sick: None,
    }
}

fn cluster(partitions: Vec<PartitionAnswer>) -> ClusterAnswer {
    ClusterAnswer {
        version: "1".to_owned(),
        ready: true,
        reason: None,
        warnings: Vec::new(),
        nodes: vec![node("n1", true), node("n2", true)],
        databases: vec![DatabaseStatusAnswer { name: "geo".to_owned(), partitions }],
    }
}

fn render(arguments: &[&str], answer: &ClusterAnswer) -> String {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        status: StatusArguments,
    }
    let line = <Line as clap::Parser>::parse_from([&["status"], arguments].concat());
    line.status.render(answer)
}

#[test]
fn a_partition_is_one_line() {
    let line = line_of("geo", &partition());
    assert_eq!(line, ["geo/3", "n2 (n1)", "5", "5:9", "4", "40", "n1 -4  n2 leader unverified"]);
    let pinned = PartitionAnswer { pinned: Some("n2".to_owned()), ..partition() };
    assert_eq!(line_of("geo", &pinned)[1], "n2 pinned");
    let away = PartitionAnswer { pinned: Some("n3".to_owned()), ..partition() };
    assert_eq!(line_of("geo", &away)[1], "n2 (n3) pinned");
    let unled = PartitionAnswer { leader: None, ..partition() };
    assert_eq!(line_of("geo", &unled)[1], "none");
}

#[test]
fn only_what_is_not_well_is_listed_unless_all_is_asked_for() {
    let many: Vec<_> = (0..1_000).map(well).chain([partition()]).collect();
    let answer = cluster(many);
    let short = render(&[], &answer);
    assert!(short.lines().count() < 15, "{short}");
    assert!(short.contains("geo/3 ") && short.contains("1,000 partitions are well"), "{short}");
    for arguments in [&["--all"][..], &["geo"]] {
        assert!(render(arguments, &answer).lines().count() > 1_000);
    }
    // Who leads elsewhere because its node is drained is well.
    let mut drained = cluster(vec![PartitionAnswer { leader: Some("n2".to_owned()), ..well(0) }]);
    assert!(render(&[], &drained).contains("geo/0 "));
    drained.nodes[0].drained = true;
    let text = render(&[], &drained);
    assert!(text.contains("1 partition is well") && text.contains("alive, drained"), "{text}");
    // Led by a drained node it is not, unless no other node can.
    let mut led = cluster(vec![well(0)]);
    led.nodes[0].drained = true;
    assert!(render(&[], &led).contains("geo/0 "));
    led.nodes[1].sick = Some("the store is slow".to_owned());
    assert!(render(&[], &led).contains("1 partition is well"));
}

#[test]
fn what_no_node_tells_is_a_dash() {
    let silent = |node: &str| ReplicaAnswer {
        role: "offline".to_owned(),
        unverified: false,
        applied: None,
        lag_records: None,
        lag_ms: None,
        ..replica(node, "offline", 0)
    };
    let unknown = PartitionAnswer {
        leader: None,
        generation: None,
        applied: None,
        lag_records: None,
        replicas: vec![silent("n1"), silent("n2")],
        ..partition()
    };
    assert_eq!(line_of("geo", &unknown)[1..6], ["none", "-", "-", "-", "-"]);
    let mut answer = cluster(vec![unknown]);
    assert!(!is_down(&answer));
    answer.nodes = vec![node("n1", false), node("n2", false)];
    assert!(is_down(&answer));
    assert!(render(&[], &answer).starts_with("cortado 1, no node runs\n"));
}

#[test]
fn zones_and_capacities_are_listed_where_there_are_any() {
    let plain = render_nodes(&[node("a", true), node("b", true)]);
    assert!(!plain.contains("zone") && !plain.contains("capacity"), "{plain}");
    let zoned = NodeAnswer { zone: Some("east".to_owned()), ..node("a", true) };
    let large = NodeAnswer { capacity: Some(200), ..node("b", true) };
    let listed = render_nodes(&[zoned, large, node("c", true)]);
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = listed.lines().map(cells).collect();
    assert_eq!(lines[0][5..], ["zone", "capacity"], "{listed}");
    assert_eq!(lines[1][5..], ["east", "100"], "{listed}");
    assert_eq!(lines[2][5..], ["-", "200"], "{listed}");
}
