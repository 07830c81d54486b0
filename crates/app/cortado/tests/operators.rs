//! What operators order stays done, and what they look at says how things are.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

use crate::harness::Server;
use crate::harness::http::Http;
use serde_json::{Value, json};

/// The partitions of `shop`.
fn partitions(http: &mut Http) -> Vec<Value> {
    let answer = http.get("/admin/v1/databases/shop/partitions").json();
    answer["partitions"].as_array().unwrap().clone()
}

fn shop(partitions: u32) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let body = json!({"partitions": partitions, "tables": {"item": {"key": ["id"]}}});
    assert_eq!(server.http().put("/admin/v1/databases/shop", &body).status, 201);
    server.wait_until("led", |http| {
        partitions_are(http, |partition| partition["leader"] == partition["preferred"])
    });
    (server, folder)
}

fn partitions_are(http: &mut Http, hold: impl Fn(&Value) -> bool) -> bool {
    partitions(http).iter().all(hold)
}

#[test]
fn a_handoff_stays_and_is_undone_by_rebalance() {
    let (server, _folder) = shop(3);
    let mut http = server.http();
    let preferred = partitions(&mut http)[0]["preferred"].as_str().unwrap().to_owned();
    let to = ["n1", "n2", "n3"].into_iter().find(|node| *node != preferred).unwrap();
    let said = server.cortado(&["handoff", "shop/0", "--to", to]).done();
    assert!(said.contains("stays there") && said.contains("cortado rebalance shop"), "{said}");
    let partition = partitions(&mut http).swap_remove(0);
    assert_eq!((&partition["leader"], &partition["pinned"]), (&to.into(), &to.into()));
    let status = server.cortado(&["status", "shop"]).done();
    assert!(status.contains(&format!("{to} pinned")), "{status}");
    // The command that `explain` names undoes it.
    let undo = format!("cortado rebalance {}", "shop");
    server.wait_until("told", |_| server.cortado(&["explain", "shop/0"]).done().contains(&undo));
    let said = server.cortado(&["rebalance", "shop"]).done();
    assert!(said.contains("pinned any more"), "{said}");
    server.wait_until("back", |http| {
        let partition = partitions(http).swap_remove(0);
        partition["leader"] == partition["preferred"] && partition.get("pinned").is_none()
    });
    server.cortado(&["rebalance"]).done();
    server.cortado(&["rebalance", "nowhere"]).refused(1, &["no_such_database"]);
}

#[test]
fn a_node_is_drained_and_resumed() {
    let (server, _folder) = shop(6);
    let said = server.cortado(&["node", "drain", "n1"]).done();
    assert!(said.contains("it leads nothing") && said.contains("node resume n1"), "{said}");
    let mut http = server.http();
    assert!(partitions_are(&mut http, |partition| partition["leader"] != "n1"));
    let nodes = server.cortado(&["node", "list"]).done();
    assert!(nodes.contains("alive, drained"), "{nodes}");
    server.cortado(&["handoff", "shop/0", "--to", "n1"]).refused(1, &["drained", "resume"]);
    server.cortado(&["node", "drain", "n2"]).done();
    server.cortado(&["node", "drain", "n3"]).refused(1, &["no node would be left"]);
    server.cortado(&["node", "drain", "n9"]).refused(1, &["no_such_node"]);
    for node in ["n1", "n2"] {
        server.cortado(&["node", "resume", node]).done();
    }
    server.wait_until("home", |http| {
        partitions_are(http, |partition| partition["leader"] == partition["preferred"])
    });
}

#[test]
fn a_cluster_without_nodes_says_so() {
    let (server, _folder) = shop(3);
    let told = server.cortado(&["status"]).done();
    assert!(told.contains("every partition is served"), "{told}");
    let mut http = server.http();
    for node in ["n1", "n2", "n3"] {
        assert_eq!(
            http.expect("POST", &format!("/admin/v1/nodes/{node}:kill"), &[], b"").status,
            204
        );
    }
    let down = server.cortado(&["status", "--all"]);
    assert_eq!(down.code, 1, "{}", down.out);
    assert!(down.out.contains("no node runs"), "{}", down.out);
    let line = down.out.lines().find(|line| line.starts_with("shop/0 ")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..6], ["none", "-", "-", "-", "-"], "{line}");
    let json = server.cortado(&["status", "--json"]);
    assert_eq!(json.code, 1);
    let partition = partitions(&mut http).swap_remove(0);
    for unknown in ["leader", "generation", "applied", "lag_records"] {
        assert!(partition.get(unknown).is_none(), "{partition}");
    }
    let late = server.cortado(&["get", "shop/item/a", "--retry-for", "1"]);
    late.refused(1, &["`cortado status` shows what is served"]);
}

#[test]
fn one_failover_of_many_partitions_is_told_once() {
    let (server, _folder) = shop(60);
    let mut http = server.http();
    assert_eq!(http.expect("POST", "/admin/v1/nodes/n1:kill", &[], b"").status, 204);
    server.wait_until("led by the others", |http| {
        partitions_are(http, |partition| {
            partition["leader"].is_string() && partition["leader"] != "n1"
        })
    });
    let is_death = |line: &&str| line.contains("claim: leader n1 silent");
    let claims = || {
        let each =
            server.cortado(&["explain", "shop", "--last", "1000", "--output", "json"]).done();
        each.lines().filter(is_death).count()
    };
    // A candidate of the next rank may claim in vain.
    server.wait_until("told", |_| claims() >= 20);
    let grouped = server.cortado(&["explain", "shop", "--last", "1000"]).done();
    let lines: Vec<&str> = grouped.lines().filter(is_death).collect();
    // A slow machine may make a survivor claim again later, or one of them all: never one by one.
    assert!(!lines.is_empty() && lines.len() < claims() / 2, "{grouped}");
    assert!(lines.iter().any(|line| line.contains(" partitions (shop/")), "{grouped}");
    assert!(grouped.contains("cortado handoff DATABASE/PARTITION --to"), "{grouped}");
}

#[test]
fn a_node_is_removed_and_what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Server::command(folder.path());
    command.args(["--nodes", "4"]);
    let server = Server::run(command).unwrap();
    let body = json!({"partitions": 6, "tables": {"item": {"key": ["id"]}}});
    assert_eq!(server.http().put("/admin/v1/databases/shop", &body).status, 201);
    assert_eq!(server.http().put("/v1/shop/item/a", &json!({"n": 1})).status, 201);
    let none = server.cortado(&["moves", "list"]).done();
    assert!(none.contains("no change"), "{none}");
    let plan = server.cortado(&["node", "remove", "n4", "--dry-run"]).done();
    assert!(plan.contains("n4 is to hold no replica") && plan.contains("nothing was"), "{plan}");
    // No replica moves; ranks may.
    server.cortado(&["rebalance", "--replicas"]).done();
    let even = server.cortado(&["rebalance", "--replicas"]).done();
    assert!(even.contains("there is nothing to do"), "{even}");
    let done = server.cortado(&["node", "remove", "n4"]).done();
    assert!(done.contains(" has begun") && done.contains(" is done"), "{done}");
    let mut http = server.http();
    assert!(partitions_are(&mut http, |partition| {
        let replicas = partition["replicas"].as_array().unwrap();
        replicas.len() == 3 && replicas.iter().all(|replica| replica["node"] != "n4")
    }));
    assert!(!server.cortado(&["node", "list"]).done().contains("n4"));
    let refused = server.cortado(&["node", "remove", "n3"]);
    refused.refused(1, &["has 3 replicas, and 2 nodes would be left", "add a node"]);
    server.cortado(&["moves", "pause", "9"]).refused(1, &["no_such_change"]);
    server.cortado(&["moves", "throttle", "9"]).refused(2, &["--bytes-per-second"]);
    server.cortado(&["rebalance", "--dry-run"]).refused(2, &["--replicas"]);
    server.cortado(&["node", "replace", "n3", "--dry-run"]).refused(2, &["--by"]);
    let start = ["moves", "start", "shop/0", "--from", "n1", "--to", "n1"];
    server.cortado(&start).refused(1, &["has a replica on n1 already"]);
    assert_eq!(http.get("/v1/shop/item/a").status, 200);
}
