//! Rounds of digests: replicas compare their state, and the log may forget what they agree on.
//!
//! Start reading at [`Rounds::is_due`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

use crate::event::{DigestReport, Hashed, JobId, Surroundings};
use crate::settings::TrimPolicy;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cortado_model::{LogOffset, Millis, NodeId, Scn, WallMillis};
use cortado_replica::Trim;

/// A round ends without those who have not reported after this long: hashing takes its time. For
/// as long, none begins again for reports that were missing.
const PATIENCE_MS: u64 = 10 * 60 * 1_000;
/// A replica may need longer: each round in which reports were waited for in vain doubles it, up to
/// this.
const PATIENCE_MS_MAX: u64 = 16 * PATIENCE_MS;

/// What a replica knows of rounds: those that it has begun as leader, and its own last hash.
#[derive(Debug)]
pub(crate) struct Rounds {
    /// Where the last one was in this log.
    since: LogOffset,
    /// And in the bytes of all logs of the node; `None` before they were first heard of.
    since_bytes: Option<u64>,
    demanded: bool,
    open: Option<Round>,
    /// The snapshot on which enough replicas agreed last: the next round lets the log forget what
    /// lies below it. So a log keeps what came in one to two rounds, for change streams and for
    /// replicas that are away for a while.
    agreed: Option<Trim>,
    /// Whose reports were missing from the last round.
    missing: Vec<NodeId>,
    /// When a round may begin again for those.
    again_at: Millis,
    patience_ms: u64,
    /// The last hash and after how many transactions it was taken.
    hashed: Option<(u64, Hashed)>,
    hashing: BTreeMap<JobId, Hashing>,
}

/// A state that is being hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashing {
    pub(crate) at: Scn,
    pub(crate) below: LogOffset,
    /// Transactions that it covers.
    pub(crate) transactions: u64,
}

/// A round that waits for reports.
#[derive(Debug)]
struct Round {
    /// Known once the leader has folded the record itself.
    at: Option<Scn>,
    ends: Millis,
    reports: BTreeMap<NodeId, DigestReport>,
}

impl Rounds {
    /// * `since`: below this the log has forgotten everything.
    pub(crate) fn after(since: LogOffset) -> Rounds {
        Rounds {
            since,
            since_bytes: None,
            demanded: false,
            open: None,
            agreed: None,
            missing: Vec::new(),
            again_at: Millis::default(),
            patience_ms: PATIENCE_MS,
            hashed: None,
            hashing: BTreeMap::new(),
        }
    }

    /// Begins a round as soon as this replica leads.
    pub(crate) fn demand(&mut self) {
        self.demanded = true;
    }

    /// Whether a round should begin, by what this replica knows itself.
    pub(crate) fn is_due(&self, next: LogOffset, policy: &TrimPolicy) -> bool {
        let grown = next.0.saturating_sub(self.since.0) >= policy.after_records;
        self.open.is_none() && (grown || self.demanded)
    }

    /// The same, by what all logs of the node have gained.
    pub(crate) fn is_due_by_bytes(&mut self, around: &Surroundings, policy: &TrimPolicy) -> bool {
        let since = *self.since_bytes.get_or_insert(around.log_bytes);
        // To hash costs a look at everything that is stored: no more often than that is written.
        let bytes_max = policy.after_bytes.max(around.state_bytes);
        self.open.is_none() && around.log_bytes.saturating_sub(since) >= bytes_max
    }

    /// The same, by whose reports were missing: all of them can report now, or need not any more.
    ///
    /// * `able`: who can report.
    pub(crate) fn is_due_again(&self, now: Millis, able: &[NodeId], holders: &[NodeId]) -> bool {
        let can_be_had = |node| able.contains(node) || !holders.contains(node);
        let rested = !self.missing.is_empty() && now >= self.again_at;
        self.open.is_none() && rested && self.missing.iter().all(can_be_had)
    }

    /// A round begins: its record is sent now. `next`: where it will stand, or behind.
    pub(crate) fn begin(&mut self, now: Millis, next: LogOffset) {
        (self.since, self.since_bytes, self.demanded) = (next, None, false);
        let ends = now.plus(self.patience_ms);
        self.open = Some(Round { at: None, ends, reports: BTreeMap::new() });
    }

    /// As leader, this replica has folded the record of its round.
    pub(crate) fn place(&mut self, scn: Scn) {
        if let Some(round) = &mut self.open {
            round.at.get_or_insert(scn);
        }
    }

    /// This replica leads no longer.
    pub(crate) fn abandon(&mut self) {
        (self.open, self.patience_ms) = (None, PATIENCE_MS);
        self.missing.clear();
    }

    /// When the open round ends.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.open.as_ref().map(|round| round.ends)
    }

    /// Takes a report; answers whether the round may be complete with it.
    pub(crate) fn take(&mut self, report: DigestReport) -> bool {
        self.open.as_mut().is_some_and(|round| round.take(report))
    }

    /// Whether all that are awaited have reported.
    pub(crate) fn is_complete(&self, mut awaited: impl Iterator<Item = NodeId>) -> bool {
        self.open.as_ref().is_some_and(|round| {
            round.at.is_some() && awaited.all(|node| round.reports.contains_key(&node))
        })
    }

    /// Ends the open round: its place and what was reported of it; `None` if the leader has not
    /// come to its place.
    pub(crate) fn end(&mut self, now: Millis) -> Option<(Scn, Vec<DigestReport>)> {
        let Round { at, ends, reports } = self.open.take()?;
        if now >= ends {
            self.patience_ms = PATIENCE_MS_MAX.min(2 * self.patience_ms);
        }
        self.again_at = now.plus(self.patience_ms);
        let at = at?;
        Some((at, reports.into_values().filter(|report| report.at == at).collect()))
    }

    /// These reports were missing; answers whether they are others than in the round before.
    pub(crate) fn lack(&mut self, missing: Vec<NodeId>) -> bool {
        core::mem::replace(&mut self.missing, missing) != self.missing
    }

    /// Takes over what replicas agree on now; answers what the log may forget: what they agreed
    /// on before.
    pub(crate) fn agree(&mut self, now: Trim) -> Option<Trim> {
        self.patience_ms = PATIENCE_MS;
        self.agreed.replace(now)
    }

    /// The last hash, if it would come out the same now.
    pub(crate) fn known(&self, transactions: u64, time: WallMillis) -> Option<Hashed> {
        let (at, hashed) = self.hashed?;
        let same = at == transactions && hashed.first_expiry.is_none_or(|expires| expires >= time);
        same.then_some(hashed)
    }

    pub(crate) fn hashing(&mut self, job: JobId, hashing: Hashing) {
        self.hashing.insert(job, hashing);
    }

    /// A state was hashed; answers which, unless it is of another time.
    pub(crate) fn hashed(&mut self, job: JobId, hashed: Option<Hashed>) -> Option<Hashing> {
        let hashing = self.hashing.remove(&job)?;
        if let Some(hashed) = hashed {
            self.hashed = Some((hashing.transactions, hashed));
        }
        Some(hashing)
    }
}

impl Round {
    /// Takes a report, unless it is known to be of another place than the round's.
    fn take(&mut self, report: DigestReport) -> bool {
        // One from before the leader has folded the record itself is looked at later.
        let counts = self.at.is_none_or(|at| at == report.at);
        if counts {
            self.reports.insert(report.node, report);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, LogId, Sequence};

    fn scn(sequence: u64) -> Scn {
        Scn::new(Generation(1), Sequence(sequence))
    }

    fn report(node: u32, at: u64, digest: u128) -> DigestReport {
        DigestReport { node: NodeId(node), at: scn(at), below: LogOffset(9), digest }
    }

    #[test]
    fn the_log_keeps_what_came_after_the_round_before() {
        let mut rounds = Rounds::after(LogOffset::ZERO);
        let log = LogId::UNKNOWN;
        let trim = |below| Trim { below: LogOffset(below), log, snapshot: Scn::ZERO };
        assert_eq!(rounds.agree(trim(10)), None);
        assert_eq!(rounds.agree(trim(20)), Some(trim(10)));
        assert_eq!(rounds.agree(trim(30)), Some(trim(20)));
    }

    #[test]
    fn a_round_waits_for_reports_of_its_own_place() {
        let mut rounds = Rounds::after(LogOffset::ZERO);
        rounds.begin(Millis(0), LogOffset(9));
        let all = || [1, 2].map(NodeId).into_iter();
        // The first report comes before the leader has folded the record.
        assert!(rounds.take(report(2, 5, 7)));
        assert!(!rounds.is_complete([NodeId(2)].into_iter()), "its place is not known yet");
        rounds.place(scn(5));
        rounds.place(scn(6));
        assert!(!rounds.take(report(1, 4, 7)), "that was of the round before");
        assert!(!rounds.is_complete(all()));
        assert!(rounds.take(report(1, 5, 7)));
        assert!(!rounds.take(report(2, 6, 8)));
        assert!(rounds.is_complete(all()));
        assert_eq!(rounds.end(Millis(1)), Some((scn(5), vec![report(1, 5, 7), report(2, 5, 7)])));
        assert_eq!(rounds.end(Millis(1)), None);
    }

    #[test]
    fn a_report_from_before_the_place_was_known_may_be_of_another_one() {
        let mut rounds = Rounds::after(LogOffset::ZERO);
        rounds.begin(Millis(0), LogOffset(9));
        rounds.take(report(2, 4, 7));
        rounds.place(scn(5));
        assert_eq!(rounds.end(Millis(1)), Some((scn(5), Vec::new())));
    }

    #[test]
    fn a_round_is_due_when_the_logs_have_grown_enough_or_on_request() {
        let policy = TrimPolicy { after_records: 100, after_bytes: 1_000 };
        let mut rounds = Rounds::after(LogOffset(50));
        assert!(!rounds.is_due(LogOffset(149), &policy));
        assert!(rounds.is_due(LogOffset(150), &policy));
        let around = |log_bytes, state_bytes| Surroundings {
            log_bytes,
            state_bytes,
            ..Surroundings::default()
        };
        assert!(!rounds.is_due_by_bytes(&around(5_000, 0), &policy), "from here on");
        assert!(!rounds.is_due_by_bytes(&around(5_999, 0), &policy));
        assert!(!rounds.is_due_by_bytes(&around(6_000, 1_001), &policy), "stores hold more");
        assert!(rounds.is_due_by_bytes(&around(6_000, 1_000), &policy));
        rounds.demand();
        assert!(rounds.is_due(LogOffset(50), &policy));
        rounds.begin(Millis(0), LogOffset(150));
        assert!(!rounds.is_due(LogOffset(1_000), &policy), "one at a time");
        rounds.abandon();
        assert!(!rounds.is_due(LogOffset(249), &policy));
    }

    #[test]
    fn a_round_begins_again_when_those_who_were_missing_can_report() {
        let nodes = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<Vec<_>>();
        let (all, log) = (nodes(&[1, 2, 3]), LogId::UNKNOWN);
        let mut rounds = Rounds::after(LogOffset::ZERO);
        let mut now = Millis(0);
        // Ends at once, or when its time is over.
        let mut ends_after = |rounds: &mut Rounds, ms| {
            rounds.begin(now, LogOffset(9));
            now = now.plus(ms);
            rounds.end(now);
            now
        };
        let mut ended = ends_after(&mut rounds, 1);
        assert!(!rounds.is_due_again(ended.plus(PATIENCE_MS), &all, &all), "none were missing");
        assert!(rounds.lack(nodes(&[2, 3])));
        assert!(!rounds.is_due_again(ended.plus(PATIENCE_MS - 1), &all, &all));
        let again = ended.plus(PATIENCE_MS);
        assert!(rounds.is_due_again(again, &all, &all));
        assert!(!rounds.is_due_again(again, &nodes(&[1, 2]), &all), "one still cannot");
        assert!(rounds.is_due_again(again, &nodes(&[1, 2]), &nodes(&[1, 2])), "nor need it");
        // A replica that hashes for longer than a round is given more time, up to a limit.
        for patience_ms in [2, 4, 8, 16, 16].map(|times| times * PATIENCE_MS) {
            let open_ms = rounds.patience_ms;
            ended = ends_after(&mut rounds, open_ms);
            assert!(!rounds.lack(nodes(&[2, 3])), "nothing has changed");
            assert!(!rounds.is_due_again(ended.plus(patience_ms - 1), &all, &all));
            assert!(rounds.is_due_again(ended.plus(patience_ms), &all, &all));
        }
        rounds.agree(Trim { below: LogOffset(9), log, snapshot: Scn::ZERO });
        assert_eq!((rounds.lack(Vec::new()), rounds.patience_ms), (true, PATIENCE_MS));
    }

    #[test]
    fn a_hash_holds_until_something_is_applied_or_forgotten() {
        let mut rounds = Rounds::after(LogOffset::ZERO);
        let hashing = Hashing { at: scn(5), below: LogOffset(9), transactions: 3 };
        rounds.hashing(JobId(1), hashing);
        let hashed = Hashed { digest: 7, first_expiry: Some(WallMillis(10)) };
        assert!(rounds.hashed(JobId(2), Some(hashed)).is_none());
        assert!(rounds.hashed(JobId(1), Some(hashed)).is_some());
        assert_eq!(rounds.known(3, WallMillis(10)), Some(hashed));
        assert_eq!(rounds.known(4, WallMillis(10)), None);
        assert_eq!(rounds.known(3, WallMillis(11)), None);
    }
}
