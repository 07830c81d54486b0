//! Whom to believe when replicas report what their state hashes to.
//!
//! Start reading at [`agreement`].

use crate::event::DigestReport;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{LogOffset, NodeId};

/// Whom to believe, and whom not: the biggest group, of equal ones the leader's.
pub(crate) fn agreement(reports: &[DigestReport], leader: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
    let mut groups: BTreeMap<u128, Vec<NodeId>> = BTreeMap::new();
    for report in reports {
        groups.entry(report.digest).or_default().push(report.node);
    }
    let best = groups.values().max_by_key(|nodes| (nodes.len(), nodes.contains(&leader)));
    let agreed = best.cloned().unwrap_or_default();
    let nodes = reports.iter().map(|report| report.node);
    let odd = nodes.filter(|node| !agreed.contains(node)).collect();
    (agreed, odd)
}

/// Below which offset the state is in the stores of all replicas, if all reports are equal.
///
/// * `holders`: where those are. Reports of other nodes count, but are not awaited.
///
/// # Errors
/// The holders that have not reported; none of them if none are known.
pub(crate) fn agreed_below(
    reports: &[DigestReport],
    holders: &[NodeId],
) -> Result<LogOffset, Vec<NodeId>> {
    let is_missing = |node: &NodeId| reports.iter().all(|report| report.node != *node);
    let missing: Vec<_> = holders.iter().copied().filter(is_missing).collect();
    let below = reports.iter().map(|report| report.below).min();
    below.filter(|_| missing.is_empty() && !holders.is_empty()).ok_or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Scn, Sequence};

    fn report(node: u32, at: u64, below: u64, digest: u128) -> DigestReport {
        let at = Scn::new(Generation(1), Sequence(at));
        DigestReport { node: NodeId(node), at, below: LogOffset(below), digest }
    }

    #[track_caller]
    fn check(reports: &[(u32, u128)], leader: u32, agreed: &[u32], odd: &[u32]) {
        let report = |(node, digest): &(u32, u128)| report(*node, 1, 1, *digest);
        let reports: Vec<_> = reports.iter().map(report).collect();
        let nodes = |list: &[u32]| list.iter().copied().map(NodeId).collect::<Vec<_>>();
        assert_eq!(agreement(&reports, NodeId(leader)), (nodes(agreed), nodes(odd)));
    }

    #[test]
    fn the_odd_one_is_outvoted_or_not_the_leader() {
        check(&[(1, 7), (2, 7), (3, 7)], 1, &[1, 2, 3], &[]);
        check(&[(1, 7), (2, 8), (3, 7)], 1, &[1, 3], &[2]);
        check(&[(1, 8), (2, 7), (3, 7)], 1, &[2, 3], &[1]);
        check(&[(1, 7), (2, 8)], 2, &[2], &[1]);
        check(&[(1, 7), (2, 8), (3, 9)], 3, &[3], &[1, 2]);
        check(&[(2, 7)], 1, &[2], &[]);
        check(&[], 1, &[], &[]);
    }

    /// Below which offset replicas agree that have reported these; or who has not reported.
    #[track_caller]
    fn check_below(belows: &[u64], holders: u32, want: Result<u64, &[u32]>) {
        let holders: Vec<NodeId> = (1..=holders).map(NodeId).collect();
        let reports = (1..).zip(belows).map(|(node, below)| report(node, 1, *below, 7));
        let reports: Vec<_> = reports.collect();
        let missing = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect();
        let want = want.map(LogOffset).map_err(missing);
        assert_eq!(agreed_below(&reports, &holders), want);
    }

    #[test]
    fn the_log_is_trimmed_when_all_hold_it() {
        check_below(&[9, 9, 9], 3, Ok(9));
        check_below(&[9, 7], 2, Ok(7)); // the one that has stored less is to find the rest
        check_below(&[9, 9], 3, Err(&[3])); // it would copy a snapshot, where the log has all
        check_below(&[9], 3, Err(&[2, 3]));
        check_below(&[9], 1, Ok(9)); // there is no other replica
        check_below(&[9, 9], 1, Ok(9)); // or none that is awaited
        check_below(&[], 1, Err(&[1]));
        check_below(&[9], 0, Err(&[]));
    }
}
