//! A cluster of real processes whose log is a real Kafka: nodes die, come back and are renewed.
//!
//! Skipped, with a reason, where there are no brokers to be had.

#![allow(clippy::unwrap_used, reason = "a failed step of a story is a failed test")]

mod layers;
mod rotation;

use crate::harness::http::Http;
use crate::harness::ran::{Ran, binary};
use crate::harness::{BOUND, Server};
use cortado_kafka_brokers::{
    KafkaBrokers, Secured, secured_brokers_for_test, shared_brokers_for_test,
};
use cortado_log::{Log, LogSpec};
use cortado_log_kafka::{KafkaLog, KafkaSettings};
use cortado_model::{DatabaseId, PartitionUuid};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at a condition: processes and brokers share this machine.
const LOOK: Duration = Duration::from_millis(50);

/// A cluster under names of its own.
struct Site {
    kafka: String,
    prefix: String,
    folder: TempDir,
    _brokers: Arc<KafkaBrokers>,
}

impl Site {
    /// A cluster that has not begun.
    fn new() -> Option<Site> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let brokers = shared_brokers_for_test()?;
        let prefix = format!("serve{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        Some(Site { kafka: brokers.bootstrap(), prefix, folder, _brokers: brokers })
    }

    fn cortado(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.args(arguments).args(["--kafka", &self.kafka, "--prefix", &self.prefix]);
        command
    }

    fn init(&self) -> Value {
        let init = self.cortado(&["cluster", "init", "--output", "json"]);
        serde_json::from_str(&Ran::of(init, "").done()).unwrap()
    }

    /// The command line of a node whose data is in `directory`.
    fn node(&self, name: &str, directory: &str) -> Command {
        let mut command = self.cortado(&["serve", "--node", name]);
        command.arg("--data").arg(self.data(directory));
        command.args(["--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"]);
        command
    }

    fn data(&self, directory: &str) -> PathBuf {
        self.folder.path().join(directory)
    }

    fn start(&self, name: &str) -> Server {
        Server::run(self.node(name, name)).unwrap_or_else(|said| panic!("no {name}:\n{said}"))
    }

    fn router(&self) -> Server {
        let router = self.cortado(&["serve", "--role", "router", "--listen", "127.0.0.1:0"]);
        Server::run(router).unwrap_or_else(|said| panic!("no router:\n{said}"))
    }
}

/// Waits until `condition` holds, without burning the processor that others need.
fn wait_until(what: &str, server: &Server, mut condition: impl FnMut(&mut Http) -> bool) {
    let (begun, mut http) = (Instant::now(), server.http());
    while !condition(&mut http) {
        assert!(begun.elapsed() < BOUND, "not {what}:\n{}", server.said());
        thread::park_timeout(LOOK);
    }
}

/// Writes a document, again and again until it is acknowledged.
fn put(http: &mut Http, id: &str) {
    let (begun, key) = (Instant::now(), format!("\"{id}\""));
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    loop {
        let answer = http.send("PUT", &format!("/v1/shop/item/{id}"), &headers, b"{}");
        if answer.as_ref().is_ok_and(|answer| [200, 201].contains(&answer.status)) {
            return;
        }
        assert!(begun.elapsed() < BOUND, "{id} not written: {answer:?}");
        thread::park_timeout(LOOK);
    }
}

/// A database with a table, on all nodes.
fn declare(server: &Server) {
    let mut http = server.http();
    let created = http.put("/admin/v1/databases/shop", &json!({"partitions": 6, "replication": 3}));
    assert_eq!(created.status, 201, "{created:?}");
    let created = http.put("/admin/v1/databases/shop/tables/item", &json!({"key": ["id"]}));
    assert_eq!(created.status, 201, "{created:?}");
}

/// The leader of each partition.
fn leaders(http: &mut Http) -> Vec<Option<String>> {
    let partitions = http.get("/admin/v1/databases/shop/partitions").json();
    let partitions = partitions["partitions"].as_array().unwrap().iter();
    partitions.map(|one| one["leader"].as_str().map(str::to_owned)).collect()
}

fn all_are_led(http: &mut Http, but_by: &str) -> bool {
    leaders(http).iter().all(|leader| leader.as_ref().is_some_and(|leader| leader != but_by))
}

fn is_ready(http: &mut Http) -> bool {
    http.get("/admin/v1/cluster").json()["ready"] == true
}

/// Writes through `server` until told to end; answers how many writes were done, and each refusal.
fn write_until(
    server: &Server,
    end: Arc<AtomicBool>,
) -> thread::JoinHandle<(Vec<String>, Vec<String>)> {
    let mut http = server.http();
    thread::spawn(move || {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for number in 0.. {
            if end.load(Ordering::Relaxed) {
                break;
            }
            let (id, key) = (format!("w{number}"), format!("\"w{number}\""));
            let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
            let answer = http.expect("PUT", &format!("/v1/shop/item/{id}"), &headers, b"{}");
            match answer.status {
                200 | 201 => done.push(id),
                _ => failed.push(format!("{answer:?}")),
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        (done, failed)
    })
}

#[test]
fn a_cluster_of_processes_loses_no_write_and_is_renewed_without_a_failed_request() {
    let Some(site) = Site::new() else { return };
    let refused = Ran::of(site.node("a", "a"), "");
    refused.refused(1, &["there is no cluster in the log", "cortado cluster init --kafka"]);
    let begun = site.init();
    assert_eq!(begun["done"], "created", "{begun}");
    let again = site.init();
    assert_eq!((&again["done"], &again["cluster"]), (&json!("existed"), &begun["cluster"]));

    let mut nodes: Vec<(&str, Server)> =
        ["a", "b", "c"].into_iter().map(|name| (name, site.start(name))).collect();
    let router = site.router();
    wait_until("ready", &router, is_ready);
    declare(&router);
    wait_until("led", &router, |http| all_are_led(http, ""));
    let listed = router.http().get("/admin/v1/nodes").json();
    let names: Vec<_> = listed["nodes"].as_array().unwrap().iter().map(|n| &n["node"]).collect();
    assert_eq!(names.len(), 3, "{listed}");
    assert!(["a", "b", "c"].iter().all(|name| names.contains(&&json!(name))), "{listed}");

    let mut http = router.http();
    (0..20).for_each(|number| put(&mut http, &format!("before{number}")));
    // No goodbye: the others take over.
    let mut led = None;
    wait_until("led", &router, |http| {
        led = leaders(http).remove(0);
        led.is_some()
    });
    let led = led.unwrap();
    let at = nodes.iter().position(|(name, _)| *name == led).unwrap();
    let (name, dead) = nodes.remove(at);
    dead.kill();
    (0..20).for_each(|number| put(&mut http, &format!("after{number}")));
    wait_until("taken over", &router, |http| all_are_led(http, name));
    nodes.push((name, site.start(name)));
    wait_until("ready again", &router, is_ready);

    // One node after the other, while somebody writes.
    let end = Arc::new(AtomicBool::new(false));
    let writing = write_until(&router, Arc::clone(&end));
    for _ in 0..3 {
        let (name, node) = nodes.remove(0);
        let said = node.url();
        assert!(node.stop().success(), "{name} at {said}");
        nodes.push((name, site.start(name)));
        wait_until("ready again", &router, is_ready);
    }
    end.store(true, Ordering::Relaxed);
    let (done, failed) = writing.join().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), done.len());
    let found = router.all_documents("shop/item").len();
    assert_eq!(found, 40 + done.len());
    // Each document was written once: every door tells all of it, however the log brings it.
    for server in nodes.iter().map(|(_, node)| node).chain([&router]) {
        let told: usize = (0..6).map(|partition| changes_of(server, partition)).sum();
        assert_eq!(told, found, "{}", server.said());
    }
}

/// How many documents the history of a partition has, as `server` tells it.
fn changes_of(server: &Server, partition: u32) -> usize {
    let mut answer = None;
    wait_until("told", server, |http| {
        let told = http.send("GET", &format!("/v1/shop:changes?partition={partition}"), &[], b"");
        answer = told.ok().filter(|answer| answer.status == 200);
        answer.is_some()
    });
    let body = String::from_utf8(answer.unwrap().body).unwrap();
    let lines = body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["changes"].as_array().map_or(0, Vec::len)).sum()
}

/// Whichever door has not heard of it yet asks before it says that something does not exist.
#[test]
fn what_is_declared_through_one_door_is_found_through_all_others_at_once() {
    let Some(site) = Site::new() else { return };
    site.init();
    let (one, other, router) = (site.start("a"), site.start("b"), site.router());
    wait_until("ready", &router, is_ready);
    let (mut declares, mut others) = (one.http(), [other.http(), router.http()]);
    for number in 0..10 {
        let database = format!("/admin/v1/databases/d{number}");
        let created = declares.put(&database, &json!({"partitions": 1, "replication": 1}));
        assert_eq!(created.status, 201, "{created:?}");
        let created = declares.put(&format!("{database}/tables/t"), &json!({"key": ["id"]}));
        assert_eq!(created.status, 201, "{created:?}");
        for http in &mut others {
            let missing = http.get(&format!("/v1/d{number}/t/x"));
            assert_eq!(
                (missing.status, &missing.json()["code"]),
                (404, &json!("no_such_document"))
            );
        }
    }
    // Each kind of request is the first that names its table.
    for number in 0..10 {
        let tables = ["batch", "transact", "bulk"].map(|kind| format!("{kind}{number}"));
        for table in &tables {
            let table = format!("/admin/v1/databases/d0/tables/{table}");
            let created = declares.put(&table, &json!({"key": ["id"]}));
            assert_eq!(created.status, 201, "{created:?}");
        }
        let [batch, transact, bulk] = &tables;
        let put = |table: &str| {
            let put = json!({"op": "put", "table": table, "key": ["x"], "value": {"at": number}});
            json!({"operations": [put]})
        };
        let keys = json!({"keys": [{"table": batch, "key": ["x"]}]});
        let found = others[0].post("/v1/d0:batchGet", &keys);
        assert_eq!(found.json()["results"][0]["code"], "no_such_document", "{found:?}");
        let done = others[0].post("/v1/d0:transact", &put(transact));
        assert_eq!(done.status, 200, "{done:?}");
        let done = others[1].post("/v1/d0:bulk", &put(bulk));
        assert_eq!(done.json()["results"][0]["status"], 201, "{done:?}");
    }
    let keys = json!({"keys": [{"table": "nowhere", "key": ["x"]}]});
    let missing = others[0].post("/v1/d0:batchGet", &keys);
    assert_eq!(missing.json()["results"][0]["code"], "no_such_table", "{missing:?}");
    let missing = router.http().get("/v1/d99/t/x");
    assert_eq!((missing.status, &missing.json()["code"]), (404, &json!("no_such_database")));
}

#[test]
fn a_name_is_held_by_one_data_directory_until_it_is_replaced() {
    let Some(site) = Site::new() else { return };
    site.init();
    let (a, b) = (site.start("a"), site.start("b"));
    let refused = Ran::of(site.node("b", "other"), "");
    refused.refused(1, &["the name b is registered", "cortado node replace b"]);
    let refused = Ran::of(site.node("c", "b"), "");
    refused.refused(1, &["is in use by process"]);
    b.kill();
    let refused = Ran::of(site.node("c", "b"), "");
    refused.refused(1, &["this data directory is node b, not c"]);
    // It has just died: until the others know, it answers nobody.
    wait_until("replaced", &a, |_| a.cortado(&["node", "replace", "b"]).code == 0);
    let b = Server::run(site.node("b", "other")).unwrap_or_else(|said| panic!("no b:\n{said}"));
    let nodes = a.http().get("/admin/v1/nodes").json();
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 2, "{nodes}");
    drop(b);
    let refused = Ran::of(site.node("b", "b"), "");
    assert_ne!(refused.code, 0, "{}", refused.err);
    assert!(refused.err.contains("registered with data directory"), "{}", refused.err);
}

/// Replicas that each node should hold and does, of the databases of users.
fn held(http: &mut Http) -> std::collections::BTreeMap<String, usize> {
    let partitions = http.get("/admin/v1/databases/shop/partitions").json();
    let partitions = partitions["partitions"].as_array().unwrap();
    let replicas = partitions.iter().flat_map(|one| one["replicas"].as_array().unwrap());
    let mut held = std::collections::BTreeMap::new();
    for replica in
        replicas.filter(|one| ["leader", "follower"].contains(&one["role"].as_str().unwrap()))
    {
        *held.entry(replica["node"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    held
}

#[test]
fn a_cluster_of_processes_grows_and_shrinks_without_losing_a_write() {
    let Some(site) = Site::new() else { return };
    site.init();
    let mut nodes: Vec<(&str, Server)> =
        ["a", "b", "c"].into_iter().map(|name| (name, site.start(name))).collect();
    let router = site.router();
    wait_until("ready", &router, is_ready);
    declare(&router);
    let mut http = router.http();
    (0..20).for_each(|number| put(&mut http, &format!("before{number}")));
    let end = Arc::new(AtomicBool::new(false));
    let writing = write_until(&router, Arc::clone(&end));

    let mut fourth = site.node("d", "d");
    fourth.args(["--zone", "east", "--capacity", "100"]);
    nodes.push(("d", Server::run(fourth).unwrap_or_else(|said| panic!("no d:\n{said}"))));
    wait_until("four nodes", &router, |http| {
        http.get("/admin/v1/nodes").json()["nodes"].as_array().unwrap().len() == 4
    });
    let listed = router.cortado(&["node", "list"]).done();
    assert!(listed.contains("ZONE") && listed.contains("east"), "{listed}");
    let plan = router.cortado(&["rebalance", "--replicas", "--dry-run"]).done();
    assert!(plan.contains("nothing was begun") && plan.contains(" d "), "{plan}");
    let done = router.cortado(&["rebalance", "--replicas"]).done();
    assert!(done.contains("change 1 has begun") && done.contains("change 1 is done"), "{done}");
    wait_until("spread", &router, |http| {
        let held = held(http);
        // Evenly with those of the journal.
        held.len() == 4 && held.values().sum::<usize>() == 18
    });

    // The first one goes for good.
    let done = router.cortado(&["node", "remove", "a"]).done();
    assert!(done.contains("is done"), "{done}");
    wait_until("on the others", &router, |http| {
        let held = held(http);
        !held.contains_key("a") && held.values().sum::<usize>() == 18 && all_are_led(http, "a")
    });
    let refused = router.cortado(&["node", "remove", "b"]);
    refused.refused(1, &["has 3 replicas, and 2 nodes would be left"]);
    let listed = router.http().get("/admin/v1/nodes").json();
    assert_eq!(listed["nodes"].as_array().unwrap().len(), 3, "{listed}");
    end.store(true, Ordering::Relaxed);
    let (done, failed) = writing.join().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), done.len());
    assert_eq!(router.all_documents("shop/item").len(), 20 + done.len());
    let told = router.cortado(&["explain", "--last", "200"]).done();
    assert!(told.contains("a replica moves from") && told.contains("change 2 is done"), "{told}");
}

/// Makes a topic as a person does who does not know what it must be like.
fn make_by_hand(site: &Site) {
    let (replication_factor, min_insync_replicas) = (2, 1);
    let settings = KafkaSettings {
        replication_factor,
        min_insync_replicas,
        topic_prefix: site.prefix.clone(),
        ..KafkaSettings::new(&site.kafka)
    };
    let spec = LogSpec {
        database: DatabaseId::CLUSTER,
        name: "_cluster".to_owned(),
        uuid: PartitionUuid(0),
        partitions: 1,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log = KafkaLog::open(settings).await.unwrap();
        log.create(&spec).await.unwrap();
    });
}

#[test]
fn a_cluster_does_not_begin_where_its_log_would_not_be_safe() {
    let Some(site) = Site::new() else { return };
    make_by_hand(&site);
    let refused = Ran::of(site.cortado(&["cluster", "init"]), "");
    refused.refused(
        1,
        &[
            "the log of _cluster is not as it should be",
            "min.insync.replicas is 1, not at least 2",
            "docs/operations/kafka.md",
        ],
    );
}

#[test]
fn two_clusters_under_one_prefix_are_told_apart() {
    let (Some(one), Some(mut other)) = (Site::new(), Site::new()) else { return };
    let (first, second) = (one.init(), other.init());
    assert_ne!(first["cluster"], second["cluster"]);
    drop(one.start("a"));
    // The prefix is mistaken for the other cluster's.
    other.prefix.clone_from(&one.prefix);
    let again = other.init();
    assert_eq!((&again["done"], &again["cluster"]), (&json!("existed"), &first["cluster"]));
    drop(other.start("b"));
    let mut mistaken = Site::new().unwrap();
    mistaken.init();
    let mut node = mistaken.cortado(&["serve", "--node", "a"]);
    node.arg("--data").arg(one.data("a"));
    node.args(["--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"]);
    let refused = Ran::of(node, "");
    refused.refused(1, &["belongs to cluster", "check kafka and prefix"]);
    mistaken.prefix.push_str("-nothing");
    let refused = Ran::of(mistaken.node("a", "a"), "");
    refused.refused(1, &["there is no cluster in the log", "cortado cluster init --kafka"]);
}

#[test]
fn brokers_that_do_not_answer_are_named() {
    // Nothing listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut init = binary();
    init.args(["cluster", "init", "--kafka", &format!("127.0.0.1:{port}")]);
    let refused = Ran::of(init, "");
    let named = format!("the Kafka cluster at 127.0.0.1:{port} does not answer");
    refused.refused(1, &[&named, "check that the brokers run"]);
    let mut init = binary();
    init.args(["cluster", "init", "--kafka", "localhost"]);
    Ran::of(init, "").refused(2, &["invalid address \"localhost\" in kafka"]);
}

#[test]
fn a_user_comes_over_tls_with_a_password_from_a_file() {
    let (user, password) = ("cortado".to_owned(), "correcthorse".to_owned());
    let secured = Secured { user, password, with_acls: true };
    let Some(brokers) = secured_brokers_for_test(1, secured) else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "correcthorse\n").unwrap();
    fs::copy(brokers.authority(), folder.path().join("brokers.pem")).unwrap();
    let file = folder.path().join("cortado.toml");
    let text = format!(
        "allow_unreplicated_log = true\nkafka_password_file = \"password\"\n[kafka]\n\
         \"bootstrap.servers\" = \"{}\"\n\"security.protocol\" = \"SASL_SSL\"\n\
         \"ssl.ca.location\" = \"brokers.pem\"\n\"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\
         \"sasl.username\" = \"cortado\"\n",
        brokers.bootstrap_secured()
    );
    fs::write(&file, text).unwrap();
    let init = |more: &[&str]| {
        let mut init = binary();
        init.args(["cluster", "init", "--config"]).arg(&file).args(more);
        Ran::of(init, "")
    };
    // Nobody has allowed the user anything.
    let refused = init(&[]);
    refused.refused(
        1,
        &[
            "User:cortado may not Describe, DescribeConfigs, Create, Write, Read, Delete topic \
             cortado-cluster",
            "--allow-principal User:cortado --operation Create",
            "--topic cortado- --resource-pattern-type prefixed",
            "nothing was made",
        ],
    );
    fs::write(folder.path().join("password"), "wrong\n").unwrap();
    let refused = init(&[]);
    let refused =
        refused.refused(1, &["the brokers do not take User:cortado", "kafka_password_file"]);
    for said in [&refused.out, &refused.err] {
        assert!(!said.contains("wrong") && !said.contains("correcthorse"), "{said}");
    }
    let refused = init(&["--kafka-property", "sasl.password=correcthorse"]);
    refused.refused(2, &["sasl.password is a secret"]);
    // In the clear, and as nobody in particular, who is the administrator here.
    let mut plain = binary();
    plain.args(["cluster", "init", "--allow-unreplicated-log", "--output", "json"]);
    plain.args(["--kafka", &brokers.bootstrap()]);
    let begun: Value = serde_json::from_str(&Ran::of(plain, "").done()).unwrap();
    assert_eq!(begun["done"], "created");
}
