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
    assert!(short.lines().count() < 20, "{short}");
    assert!(short.contains("\ngeo/3 ") && short.contains("1,000 partitions are well"), "{short}");
    for arguments in [&["--all"][..], &["geo"]] {
        assert!(render(arguments, &answer).lines().count() > 1_000);
    }
    // Who leads elsewhere because its node is drained is well.
    let mut drained = cluster(vec![PartitionAnswer { leader: Some("n2".to_owned()), ..well(0) }]);
    assert!(render(&[], &drained).contains("\ngeo/0 "));
    drained.nodes[0].drained = true;
    let text = render(&[], &drained);
    assert!(text.contains("1 partition is well") && text.contains("alive, drained"), "{text}");
    // Led by a drained node it is not, unless no other node can.
    let mut led = cluster(vec![well(0)]);
    led.nodes[0].drained = true;
    assert!(render(&[], &led).contains("\ngeo/0 "));
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
fn hundreds_of_partitions_that_are_not_well_are_a_few_lines() {
    let unled = |number| PartitionAnswer { leader: None, ..well(number) };
    let away = |number| PartitionAnswer { leader: Some("n2".to_owned()), ..well(number) };
    let mut answer = cluster((0..2).map(unled).chain((2..300).map(away)).collect());
    answer.nodes[1].alive = false;
    let text = render(&[], &answer);
    assert!(text.lines().count() < 25, "{text}");
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
    // The worst first; what is said of a node explains the rest.
    let order = [
        at("node n2 is dead"),
        at("no leader  "),
        at("a replica on n2, which does not run  "),
        at("led by n2, should be n1  "),
        at("\nNODE "),
        at("300 partitions are not well; --all lists them"),
    ];
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("geo/0-1\n") && text.contains("geo/2-299\n"), "{text}");
    let all = render(&["--all"], &answer);
    assert!(all.find("\ngeo/0 ") < all.find("\ngeo/2 ") && all.contains("\ngeo/299 "));
}

#[test]
fn many_nodes_and_databases_are_shown_if_they_are_not_well() {
    let mut answer = cluster(Vec::new());
    answer.nodes = (0..40).map(|number| node(&format!("n{number}"), number != 17)).collect();
    let database = |number: u32| {
        let mut partitions = vec![well(0)];
        if number == 5 {
            partitions[0].leader = None;
        }
        DatabaseStatusAnswer { name: format!("db{number:02}"), partitions }
    };
    answer.databases = (0..40).map(database).collect();
    for partition in answer.databases.iter_mut().flat_map(|database| &mut database.partitions) {
        for (replica, node) in partition.replicas.iter_mut().zip(["n1", "n2"]) {
            replica.node = node.to_owned();
        }
    }
    let text = render(&[], &answer);
    assert!(text.contains("\nn17 ") && text.contains("39 nodes are well"), "{text}");
    assert!(text.contains("\ndb05 ") && text.contains("39 databases are well"), "{text}");
    assert!(text.lines().count() < 24, "{text}");
}

#[test]
fn zones_and_capacities_are_listed_where_there_are_any() {
    let plain = render_nodes(&[node("a", true), node("b", true)]);
    assert!(!plain.contains("ZONE") && !plain.contains("CAPACITY"), "{plain}");
    let zoned = NodeAnswer { zone: Some("east".to_owned()), ..node("a", true) };
    let large = NodeAnswer { capacity: Some(200), ..node("b", true) };
    let listed = render_nodes(&[zoned, large, node("c", true)]);
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = listed.lines().map(cells).collect();
    assert_eq!(lines[0][5..], ["ZONE", "CAPACITY"], "{listed}");
    assert_eq!(lines[1][5..], ["east", "100"], "{listed}");
    assert_eq!(lines[2][5..], ["-", "200"], "{listed}");
}
