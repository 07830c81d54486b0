//! What a machine does to the node that runs on it.
//!
//! Start reading at [`slow_syncs`].

use super::broken_site::{BrokenSite, leadership_of};
use super::topic_faults;
use crate::hard::SystemCalls;
use crate::harness::http::Http;
use serde_json::json;
use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// How long faults last: longer than it takes to find a leader dead.
pub(crate) const CUT: Duration = Duration::from_secs(5);
/// The calls with which a file is made durable.
const SYNCS: &str = "fsync,fdatasync,msync,sync_file_range";

/// Lets a time pass whose length is the point; nothing waits for it.
pub(crate) fn pass(time: Duration) {
    thread::park_timeout(time);
}

/// Each sync of a node takes 0.3 s.
pub(crate) fn slow_syncs(site: &BrokenSite, node: usize) {
    let _slow = SystemCalls::of(site.node(node).pid(), SYNCS, "delay_enter=300000");
    pass(CUT);
}

/// No sync of a node is done: what it has stored counts for nothing from then on, and is set aside;
/// when the disk is well again, the node copies all of it from the others.
pub(crate) fn fail_syncs(site: &BrokenSite, node: usize) {
    let failing = SystemCalls::of(site.node(node).pid(), SYNCS, "error=EIO");
    let text = "x".repeat(1 << 18);
    // Enough for a store to sync its log, which it does every 4 MiB.
    let number = Cell::new(0);
    site.wait_until("felt", |http| {
        number.set((number.get() + 1) % 16);
        http.put(&format!("/v1/fault/bulk/b{}", number.get()), &json!({"text": text}));
        site.node(node).said().contains("not taken what was to be made durable")
    });
    pass(CUT);
    drop(failing);
    let is_aside = |said: &str| said.contains("damaged store set aside");
    site.wait_until("set aside", |_| is_aside(&site.node(node).said()));
    site.wait_until("caught up", |http| topic_faults::are_caught_up(http, "fault"));
}

/// A node's disk takes nothing more: the node says so, others lead, and what it has can be read. It
/// goes on by itself when there is room.
pub(crate) fn fill_disk(site: &BrokenSite, node: usize) {
    let name = BrokenSite::name(node);
    site.fill_disk(node);
    site.wait_until("said to be full", |http| {
        sickness_of(http, &name).is_some_and(|why| why.contains("room") || why.contains("full"))
    });
    site.wait_until("led by others", |http| leadership_of(http, &name) == 0);
    pass(CUT);
    site.empty_disk(node);
    site.wait_until("well again", |http| sickness_of(http, &name).is_none());
    site.wait_until("caught up", |http| topic_faults::are_caught_up(http, "fault"));
    let said = site.node(node).said();
    assert!(said.contains("there is room on the disk again"), "{said}");
}

/// What the cluster says is wrong with a node.
fn sickness_of(http: &mut Http, name: &str) -> Option<String> {
    let cluster = http.get("/admin/v1/cluster").json();
    let nodes = cluster["nodes"].as_array().cloned().unwrap_or_default();
    let found = nodes.iter().find(|one| one["node"] == name)?;
    found["sick"].as_str().map(str::to_owned)
}

/// A node's clock is right when it starts, then an hour behind, then a day ahead: it says so, and
/// what to do about it, and leads nothing.
pub(crate) fn step_clock(site: &mut BrokenSite, node: usize) {
    let name = BrokenSite::name(node);
    site.renew_with_clock(node);
    for seconds in [-3_600, 86_400] {
        site.set_clock(node, seconds);
        site.wait_until("said to be off", |http| {
            sickness_of(http, &name).is_some_and(|why| why.contains("set the clock"))
        });
        site.wait_until("led by others", |http| leadership_of(http, &name) == 0);
    }
    site.set_clock(node, 0);
}
