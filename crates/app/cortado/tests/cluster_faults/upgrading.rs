//! A rolling upgrade under load, with a step back.
//!
//! Start reading at [`upgrade`]. Source: docs/runbooks/upgrade.md.

use super::broken_site::{BrokenSite, NODES};
use crate::harness::http::Http;
use serde_json::json;

/// Upgrades every node, with one step back; the second time there is nothing to upgrade.
pub(crate) fn upgrade(site: &mut BrokenSite) {
    let finish = |site: &BrokenSite| site.router().cortado(&["cluster", "upgrade", "--finish"]);
    // In whatever order.
    let held = |site: &BrokenSite, by: [&str; 2]| {
        finish(site).refused(1, &["is not read by", by[0], by[1]]);
    };
    if site.is_upgraded() {
        return (0..NODES).for_each(|node| site.renew_as(node, true));
    }
    let forgotten = site.another_router(false).expect("a router");
    site.renew_as(0, true);
    held(site, ["n2", "n3"]);
    site.renew_as(1, true);
    site.renew_as(0, false);
    held(site, ["n1", "n3"]);
    site.renew_as(2, true);
    site.renew_as(0, true);
    let shown = site.router().cortado(&["cluster", "upgrade"]).done();
    assert!(shown.contains("every node reads 2"), "{shown}");
    let shown = finish(site).done();
    assert!(shown.contains("feature level 2 is used"), "{shown}");
    let refused = site.refusal_of_this_version(1);
    assert!(refused.contains("feature level 2"), "{refused}");
    site.heal();
    // Of the upgrade it reads nothing, and it finds documents where they are.
    forgotten.wait_until("a way to every leader", |http| {
        http.put("/v1/fault/ledger/forgotten", &json!({})).status < 300
    });
    let refused = site.another_router(false).err().expect("it must not start");
    assert!(refused.contains("feature level 2"), "{refused}");
    let follows = |_: &mut Http| {
        let shown = site.router().cortado(&["cluster", "upgrade"]).done();
        !shown.contains("do not use level 2 yet")
    };
    site.wait_until("followed by every partition", follows);
}
