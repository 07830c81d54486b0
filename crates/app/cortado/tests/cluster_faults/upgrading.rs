//! A rolling upgrade under load, with a step back.
//!
//! Start reading at [`upgrade`]. Source: docs/runbooks/upgrade.md.

use super::broken_site::{BrokenSite, NODES};

/// Upgrades every node, with one step back; the second time there is nothing to upgrade.
pub(crate) fn upgrade(site: &mut BrokenSite) {
    let finish = |site: &BrokenSite| site.router().cortado(&["cluster", "upgrade", "--finish"]);
    let held = |site: &BrokenSite, by: &str| {
        finish(site).refused(1, &[&format!("is not read by {by}:")]);
    };
    if site.is_upgraded() {
        return (0..NODES).for_each(|node| site.renew_as(node, true));
    }
    site.renew_as(0, true);
    held(site, "n2, n3");
    site.renew_as(1, true);
    site.renew_as(0, false);
    held(site, "n1, n3");
    site.renew_as(2, true);
    site.renew_as(0, true);
    let shown = site.router().cortado(&["cluster", "upgrade"]).done();
    assert!(shown.contains("every node reads 2"), "{shown}");
    let shown = finish(site).done();
    assert!(shown.contains("feature level 2 is used"), "{shown}");
    let refused = site.refusal_of_this_version(1);
    assert!(refused.contains("feature level 2"), "{refused}");
    site.heal();
}
