//! What is done to a database's topic by somebody who is no part of the cluster.
//!
//! What cannot be made good happens to a database of its own, while the load goes on beside it.
//! Start reading at [`change_setting`].

use super::broken_site::{BrokenSite, LOOK, NODES, leaders};
use super::log_tools::End;
use crate::harness::BOUND;
use crate::harness::http::{Answer, Http};
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

/// A setting that loses nothing within a day, and is none that a log may have.
const CHANGED: (&str, &str) = ("retention.ms", "86400000");
/// What is said of it.
const TOLD: &str = "retention.ms is 86400000, not -1";
/// The topic of `_cluster`, which has one life only.
const CLUSTER_TOPIC: &str = "fault-cluster";
/// The database that does not outlive its fault.
const DOOMED: &str = "doomed";
const DOOMED_PARTITIONS: usize = 2;

/// A setting of the log of `fault` is changed, and changed back.
pub(crate) fn change_setting(site: &BrokenSite) {
    let topic = site.tools.topic_of("fault");
    let is_ok = |answer: &Answer| answer.status < 300;
    site.tools.change(&topic, CHANGED.0, CHANGED.1);
    // One in each partition, or nearly so: every leader must have seen it.
    wait_for_all(site, "read-only", |http, number| is_drift(&write(http, number)));
    let read = site.http().get("/v1/fault/ledger/written0");
    assert!(matches!(read.status, 200 | 404), "it can be read: {read:?}");
    says(site, TOLD);
    let drifts = |node: usize| metric(site, node, "cortado_log_drift", r#"database="fault""#);
    site.wait_until("counted", |_| (0..NODES).any(|node| drifts(node) > 0));
    site.tools.change(&topic, CHANGED.0, "-1");
    wait_for_all(site, "writable again", |http, number| is_ok(&write(http, number)));
}

/// The same of `_cluster`: nothing can be declared, and documents are served all the same.
pub(crate) fn change_setting_of_cluster(site: &mut BrokenSite) {
    site.tools.change(CLUSTER_TOPIC, CHANGED.0, CHANGED.1);
    static NEW: AtomicU32 = AtomicU32::new(0);
    // Another one each time: of one that is there already nothing would be written.
    let declare = |http: &mut Http| {
        let number = NEW.fetch_add(1, Ordering::Relaxed);
        let path = format!("/admin/v1/databases/fault/tables/beside{number}");
        http.put(&path, &json!({"key": ["id"]}))
    };
    says(site, TOLD);
    site.wait_until("read-only", |http| is_drift(&declare(http)));
    wait_for_all(site, "writable", |http, number| write(http, number).status < 300);
    // A leader that dies is replaced: that is decided in the logs of databases.
    let node = site.busiest();
    site.kill_node(node);
    wait_for_all(site, "writable", |http, number| write(http, number).status < 300);
    // It comes back meanwhile. It leads nothing before it has registered.
    site.start_node(node);
    let name = BrokenSite::name(node);
    let leads = |http: &mut Http| leaders(http).contains(&Some(name.clone()));
    site.wait_until("leading again", leads);
    assert!(is_drift(&declare(&mut site.http())), "nothing else is written there");
    site.tools.change(CLUSTER_TOPIC, CHANGED.0, "-1");
    site.wait_until("writable again", |http| declare(http).status < 300);
}

/// Somebody writes into the logs of `fault`: bytes that say nothing, and transactions.
pub(crate) fn write_as_stranger(site: &BrokenSite) {
    let topic = site.tools.topic_of("fault");
    let foreign = |node| metric(site, node, "cortado_void_records_total", r#"reason="foreign""#);
    let before: Vec<u64> = (0..NODES).map(foreign).collect();
    site.tools.write_garbage(&topic);
    for end in [End::Commit, End::Abort, End::Commit] {
        site.tools.write_transaction(&topic, end);
    }
    site.tools.write_garbage(&topic);
    // Every replica has met all of it: 5 times 3 records in each of 6 partitions.
    let have_met = |node: &usize| foreign(*node) >= before[*node] + 5 * 3 * 6;
    site.wait_until("past it", |_| (0..NODES).all(|node| have_met(&node)));
    wait_for_all(site, "writable", |http, number| write(http, number).status < 300);
}

/// The logs of `fault` forget what a node lacks that does not run.
pub(crate) fn forget_what_a_node_lacks(site: &mut BrokenSite) {
    let topic = site.tools.topic_of("fault");
    let node = site.busiest();
    site.stop_node(node);
    let written = |http: &mut Http| (0..WRITES).all(|number| write(http, number).status < 300);
    site.wait_until("written to", written);
    let ends = site.tools.ends(&topic);
    // What is committed behind it shows that whoever runs has folded it.
    site.wait_until("written to again", written);
    site.wait_until("caught up", |http| are_caught_up(http, "fault"));
    site.tools.forget_below(&topic, &ends);
    site.wait_until("written to: those that run lack nothing", written);
    site.start_node(node);
    let resyncs = || metric(site, node, "cortado_resyncs_total", "");
    site.wait_until("a copy", |_| resyncs() > 0);
    site.wait_until("caught up", |http| are_caught_up(http, "fault"));
}

/// The topic of a database is deleted: nothing is served as if it were empty.
pub(crate) fn delete_topic(site: &BrokenSite) {
    let topic = doom(site);
    site.tools.delete(&topic);
    await_out_of_service(site, "does not exist");
    drop_doomed(site);
}

/// The same, and another topic takes its name.
pub(crate) fn create_topic_anew(site: &BrokenSite) {
    let topic = doom(site);
    let settings = site.tools.settings(&topic);
    site.tools.delete(&topic);
    site.tools.create(&topic, DOOMED_PARTITIONS, &settings);
    await_out_of_service(site, "the log was replaced");
    // It is another one than was verified, so it is for a person to delete.
    site.tools.delete(&topic);
    drop_doomed(site);
}

/// The brokers in sync end, and one leads the topic of a database that was not in sync: what was
/// acknowledged last is gone from the log. That is in dispute, and an operator resolves it.
pub(crate) fn lead_uncleanly(site: &BrokenSite) {
    let topic = doom(site);
    site.brokers.kill(3).expect("it runs");
    site.tools.wait_until(&topic, "without its third replica", |one| one.in_sync == [1, 2]);
    write_doomed(site, "behind");
    site.wait_until("caught up", |http| are_caught_up(http, DOOMED));
    // Controllers that find it later look for a leader only every five minutes.
    site.tools.change(&topic, UNCLEAN, "true");
    [1, 2].iter().for_each(|broker| site.brokers.kill(*broker).expect("it runs"));
    // With it the other one would be led by who has everything.
    lose_on_disk(site, 1, &topic);
    start_brokers(site, &[1, 3]);
    site.tools.wait_until(&topic, "led again", |one| [1, 3].contains(&one.leader));
    start_brokers(site, &[2]);
    site.tools.change(&topic, UNCLEAN, "false");
    let is_disputed = |one: &Value| {
        let replicas = one["replicas"].as_array().cloned().unwrap_or_default();
        replicas.len() == NODES && replicas.iter().all(|replica| replica["role"] == "disputed")
    };
    let all = |http: &mut Http| partitions(http, DOOMED).iter().all(is_disputed);
    await_all_refused(site);
    site.wait_until("in dispute", all);
    for number in 0..DOOMED_PARTITIONS {
        let partition = format!("{DOOMED}/{number}");
        let words = ["partition", "resolve", &partition, "--output", "table"];
        let shown = site.router().cortado(&words).done();
        assert!(shown.contains("disputed") && shown.contains("--keep"), "{shown}");
        let chosen = [&words[..], &["--keep", "n2", "--yes"]].concat();
        site.router().cortado(&[&chosen[..], &["--dry-run"]].concat()).done();
        site.router().cortado(&chosen).done();
        // Once more, it does nothing.
        let again = site.router().cortado(&chosen).done();
        assert!(again.contains("nothing is done"), "{again}");
    }
    for name in ["before", "behind"] {
        let is_there = |http: &mut Http, number| http.get(&target(name, number)).status == 200;
        wait_for_all(site, "served again", is_there);
    }
    write_doomed(site, "afterwards");
    site.wait_until("caught up", |http| are_caught_up(http, DOOMED));
    drop_doomed(site);
}

/// Whether a replica that is not in sync may lead a topic.
const UNCLEAN: &str = "unclean.leader.election.enable";

/// The disk of a broker that does not run loses its replicas of a topic.
fn lose_on_disk(site: &BrokenSite, broker: u32, topic: &str) {
    for number in 0..DOOMED_PARTITIONS {
        let folder = site.brokers.data_folder(broker).join(format!("{topic}-{number}"));
        fs::remove_dir_all(folder).expect("it is there");
    }
}

/// At once: one alone has no majority of controllers.
fn start_brokers(site: &BrokenSite, brokers: &[u32]) {
    thread::scope(|scope| {
        for broker in brokers {
            scope.spawn(|| site.brokers.start_again(*broker).expect("it comes up"));
        }
    });
}

/// Documents that are written one after another, so that most partitions have some.
const WRITES: usize = 24;
/// Fewer, where each waits in vain for a leader: some of both partitions.
const READS: usize = 6;

fn write(http: &mut Http, number: usize) -> Answer {
    http.put(&format!("/v1/fault/ledger/written{number}"), &json!({}))
}

fn is_drift(answer: &Answer) -> bool {
    answer.status == 503 && answer.json()["code"] == "log_drift"
}

/// Waits until a condition holds of each of [`WRITES`] numbers at least once.
fn wait_for_all(site: &BrokenSite, what: &str, holds: impl Fn(&mut Http, usize) -> bool) {
    for number in 0..WRITES {
        site.wait_until(what, |http| holds(http, number));
    }
}

/// Waits until the status names a reason.
fn says(site: &BrokenSite, why: &str) {
    let status = |http: &mut Http| http.get("/admin/v1/cluster").json().to_string();
    site.wait_until(&format!("said: {why}"), |http| status(http).contains(why));
}

/// The sum of what a node says of a metric in the series that hold `label`.
fn metric(site: &BrokenSite, node: usize, name: &str, label: &str) -> u64 {
    let text = site.node(node).http().get("/metrics").body;
    let text = String::from_utf8(text).expect("UTF-8");
    let is_it = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
            && line.contains(label)
    };
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
    text.lines().filter(is_it).filter_map(value).sum::<f64>() as u64
}

fn partitions(http: &mut Http, database: &str) -> Vec<Value> {
    let answer = http.get(&format!("/admin/v1/databases/{database}/partitions")).json();
    answer["partitions"].as_array().cloned().unwrap_or_default()
}

/// Whether every replica of a database follows or leads, and lacks nothing to speak of.
pub(crate) fn are_caught_up(http: &mut Http, database: &str) -> bool {
    let partitions = partitions(http, database);
    let replicas: Vec<&Value> =
        partitions.iter().filter_map(|one| one["replicas"].as_array()).flatten().collect();
    let is_well = |replica: &&Value| {
        let serves = ["follower", "leader"].iter().any(|role| replica["role"] == *role);
        serves && replica["lag_ms"].as_u64().is_some_and(|lag| lag < 1_000)
    };
    let runs = |replica: &&&Value| replica["role"] != "offline";
    !partitions.is_empty() && replicas.iter().filter(runs).all(is_well)
}

/// Makes the database, with documents in it; answers its topic.
fn doom(site: &BrokenSite) -> String {
    site.create(DOOMED, DOOMED_PARTITIONS, &["document"]);
    write_doomed(site, "before");
    site.tools.topic_of(DOOMED)
}

fn target(name: &str, number: usize) -> String {
    format!("/v1/{DOOMED}/document/{name}{number}")
}

/// Writes some documents of that name, until each is acknowledged.
fn write_doomed(site: &BrokenSite, name: &str) {
    for number in 0..WRITES {
        let write = |http: &mut Http| http.put(&target(name, number), &json!({"n": number}));
        site.wait_until("writable", |http| write(http).status < 300);
    }
}

/// Waits until no document of the database can be read; meanwhile nothing that was acknowledged is
/// said not to be there.
fn await_all_refused(site: &BrokenSite) {
    let begun = Instant::now();
    let mut http = site.http();
    while !(0..READS).all(|number| is_refused(&mut http, number)) {
        assert!(begun.elapsed() < BOUND, "still served:\n{}", site.said());
        thread::park_timeout(LOOK);
    }
}

fn is_refused(http: &mut Http, number: usize) -> bool {
    let read = http.get(&target("before", number));
    assert!(matches!(read.status, 200 | 503 | 504), "served as if it were empty: {read:?}");
    read.status != 200
}

/// The same, until the reason is told.
fn await_out_of_service(site: &BrokenSite, why: &str) {
    await_all_refused(site);
    let mut http = site.http();
    let written = http.put(&target("before", 0), &json!({}));
    assert!(matches!(written.status, 503 | 504), "{written:?}");
    // How the nodes are is told beside it, again and again on a busy machine.
    let (begun, place) = (Instant::now(), format!("{DOOMED}/0"));
    loop {
        let told = site.router().cortado(&["explain", &place, "--last", "10000"]);
        if told.out.contains(why) {
            break;
        }
        assert!(begun.elapsed() < BOUND, "not explained by {why}:\n{told:?}\n{}", site.said());
        thread::park_timeout(LOOK);
    }
    // A node that starts again finds the same.
    assert!((0..READS).all(|number| is_refused(&mut http, number)));
}

fn drop_doomed(site: &BrokenSite) {
    let path = format!("/admin/v1/databases/{DOOMED}");
    site.wait_until("dropped", |http| matches!(http.delete(&path).status, 200..=299 | 404));
}
