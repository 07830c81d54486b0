//! What a machine does to the node that runs on it.
//!
//! Start reading at [`slow_syncs`].

use super::broken_site::{BrokenSite, leadership_of};
use crate::hard::SystemCalls;
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

/// No sync of a node is done.
pub(crate) fn fail_syncs(site: &BrokenSite, node: usize) {
    let _failing = SystemCalls::of(site.node(node).pid(), SYNCS, "error=EIO");
    pass(CUT);
}

/// A node's disk takes nothing more.
pub(crate) fn fill_disk(site: &BrokenSite, node: usize) {
    site.fill_disk(node);
    pass(CUT);
}

/// A node's clock is right when it starts, then an hour behind, then a day ahead: it says so, and
/// what to do about it, and leads nothing.
pub(crate) fn step_clock(site: &mut BrokenSite, node: usize) {
    let name = BrokenSite::name(node);
    site.renew_with_clock(node);
    for seconds in [-3_600, 86_400] {
        site.set_clock(node, seconds);
        site.wait_until("said to be off", |http| {
            let cluster = http.get("/admin/v1/cluster").json();
            let nodes = cluster["nodes"].as_array().cloned().unwrap_or_default();
            let sick = nodes.iter().find(|one| one["node"] == name.as_str());
            let sick = sick.and_then(|one| one["sick"].as_str());
            sick.is_some_and(|why| why.contains("set the clock"))
        });
        site.wait_until("led by others", |http| leadership_of(http, &name) == 0);
    }
    site.set_clock(node, 0);
}
