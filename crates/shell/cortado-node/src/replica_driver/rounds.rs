//! Rounds of digests: replicas compare their state, and the log may forget what they agree on.
//!
//! Start reading at [`ReplicaDriver::begin_round_if_due`].
//! Source: docs/protocols/replication.md, "Duties of the driver".

use super::effects::halt_of;
use super::{Halt, ReplicaDriver};
use crate::events::EventKind;
use crate::inbox::{DigestReport, DriverInput};
use crate::node_context::NodeContext;
use crate::replica_handle::ReplicaHandle;
use cortado_model::{Entry, EntryKey, LogOffset, Millis, NodeId, Scn, WallMillis};
use cortado_replica::{Config, FoldState, Input, Role, Trim};
use cortado_store::encoding::parse_remembered;
use cortado_store::{StoreError, View, digest};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{error, info, warn};

/// A round ends without those who have not reported after this long: hashing takes its time.
const ROUND_MS: u64 = 10 * 60 * 1_000;

/// What a replica knows of rounds: those that it has begun as leader, and its own last hash.
pub(super) struct Rounds {
    /// Where the last one was, in this log and in the bytes of all logs.
    since: (LogOffset, u64),
    demanded: bool,
    open: Option<Round>,
    /// The snapshot on which enough replicas agreed last: the next round lets the log forget what
    /// lies below it. So a log keeps what came in one to two rounds, for change streams and for
    /// replicas that are away for a while.
    agreed: Option<Trim>,
    /// Transactions applied by this driver.
    applied: u64,
    hashed: Arc<Mutex<Option<Hashed>>>,
}

/// A round that waits for reports.
struct Round {
    /// Known once the leader has folded the record itself.
    at: Option<Scn>,
    ends: Millis,
    reports: BTreeMap<NodeId, DigestReport>,
}

/// A hash that holds as long as nothing is applied and nothing that it covers is forgotten.
#[derive(Clone, Copy)]
struct Hashed {
    applied: u64,
    digest: u128,
    /// When the first of the remembered answers that counted expires.
    first_expiry: Option<WallMillis>,
}

impl Rounds {
    pub(super) fn after(fold: &FoldState, context: &NodeContext) -> Rounds {
        Rounds {
            since: (fold.trimmed_below(), context.log_bytes.load(Ordering::Relaxed)),
            demanded: false,
            open: None,
            agreed: None,
            applied: 0,
            hashed: Arc::default(),
        }
    }

    /// Begins a round as soon as this replica leads.
    pub(super) fn demand(&mut self) {
        self.demanded = true;
    }

    /// This many transactions were applied.
    pub(super) fn applied(&mut self, transactions: u64) {
        self.applied += transactions;
    }

    /// Takes over what replicas agree on now; answers what the log may forget: what they agreed
    /// on before.
    fn agree(&mut self, now: Trim) -> Option<Trim> {
        self.agreed.replace(now)
    }

    /// When the open round ends.
    pub(super) fn due(&self) -> Option<Millis> {
        self.open.as_ref().map(|round| round.ends)
    }

    /// The last hash, if it would come out the same now.
    fn known_digest(&self, time: WallMillis) -> Option<u128> {
        let hashed = (*lock(&self.hashed))?;
        let same = hashed.applied == self.applied
            && hashed.first_expiry.is_none_or(|expires| expires >= time);
        same.then_some(hashed.digest)
    }
}

impl Round {
    /// Takes a report, unless it is known to be of another place than the round's.
    fn take(&mut self, report: DigestReport) {
        // One from before the leader has folded the record itself is looked at later.
        if self.at.is_none_or(|at| at == report.at) {
            self.reports.insert(report.node, report);
        }
    }

    fn is_complete(&self, mut awaited: impl Iterator<Item = NodeId>) -> bool {
        self.at.is_some() && awaited.all(|node| self.reports.contains_key(&node))
    }

    /// Its place and what was reported of it; `None` if the leader has not come to its place.
    fn end(self) -> Option<(Scn, Vec<DigestReport>)> {
        let at = self.at?;
        Some((at, self.reports.into_values().filter(|report| report.at == at).collect()))
    }
}

impl ReplicaDriver<'_> {
    /// As leader, lets all replicas hash their state when the logs have grown enough.
    pub(super) fn begin_round_if_due(&mut self) -> Result<(), Halt> {
        if self.core.role() != Role::Leader {
            self.rounds.open = None;
            return Ok(());
        }
        let now = self.context.clock.steady();
        if self.rounds.open.as_ref().is_some_and(|round| now >= round.ends) {
            self.end_round()?;
        }
        let policy = self.context.settings.trim;
        let next = self.core.fold().position.offset;
        let bytes = self.context.log_bytes.load(Ordering::Relaxed);
        let (since, since_bytes) = self.rounds.since;
        // To hash costs a look at everything that is stored: no more often than that is written.
        let bytes_max = policy.after_bytes.max(self.context.state_bytes());
        let grown = next.0.saturating_sub(since.0) >= policy.after_records
            || bytes.saturating_sub(since_bytes) >= bytes_max;
        if self.rounds.open.is_some() || !(grown || self.rounds.demanded) {
            return Ok(());
        }
        self.rounds.since = (next, bytes);
        self.rounds.demanded = false;
        let reports = BTreeMap::new();
        self.rounds.open = Some(Round { at: None, ends: now.plus(ROUND_MS), reports });
        self.step(Input::Config(Config::Digest));
        self.settle()
    }

    /// Hashes what is stored now, beside the driver, and reports to the leader.
    pub(super) fn hash_state(&mut self, at: Scn) -> Result<(), Halt> {
        if self.core.role() == Role::Leader
            && let Some(round) = &mut self.rounds.open
            && round.at.is_none()
        {
            round.at = Some(at);
        }
        if self.stored.last != at {
            // Restarted behind the record: the state at its place is gone.
            return Ok(());
        }
        let time = self.stored.time;
        let job = HashJob {
            context: Arc::clone(self.context),
            handle: Arc::clone(self.handle),
            view: self.context.store.view(self.handle.partition).map_err(halt_of)?,
            time,
            known: self.rounds.known_digest(time),
            applied: self.rounds.applied,
            hashed: Arc::clone(&self.rounds.hashed),
        };
        let (node, below) = (self.handle.node, self.stored.position.offset);
        self.context.spawn_blocking(move || {
            let (context, handle) = (Arc::clone(&job.context), Arc::clone(&job.handle));
            match job.run() {
                Ok(Some(digest)) => {
                    let report = DigestReport { node, at, below, digest };
                    report_to_leader(&context, &handle, report);
                }
                // The node is going away.
                Ok(None) => {}
                Err(error) => condemn_unreadable(&handle, &error),
            }
        });
        Ok(())
    }

    pub(super) fn on_digest_report(&mut self, report: DigestReport) -> Result<(), Halt> {
        let Some(round) = &mut self.rounds.open else { return Ok(()) };
        round.take(report);
        let running = self.context.routes.route(self.handle.partition).replicas();
        let awaited = running.iter().filter(|handle| handle.role().is_readable());
        if round.is_complete(awaited.map(|handle| handle.node)) { self.end_round() } else { Ok(()) }
    }

    /// Compares what was reported; lets the log forget what enough replicas agree on.
    fn end_round(&mut self) -> Result<(), Halt> {
        let partition = self.handle.partition;
        let Some((at, reports)) = self.rounds.open.take().and_then(Round::end) else {
            return Ok(());
        };
        let (agreed, odd) = agreement(&reports, self.handle.node);
        if !odd.is_empty() {
            return self.condemn(at, &agreed, &odd);
        }
        let replicas = self.context.replica_count(partition);
        let Some(below) = agreed_below(&reports, replicas) else {
            warn!(%partition, %at, reports = agreed.len(), replicas, "too few digests to trim");
            return Ok(());
        };
        self.context.metrics.digests_equal.add(1);
        info!(%partition, %at, replicas = agreed.len(), %below, "replicas agree");
        let log = self.core.fold().log;
        if let Some(trim) = self.rounds.agree(Trim { below, log, snapshot: at })
            && trim.below > self.core.fold().trimmed_below()
        {
            self.step(Input::Config(Config::Trim(trim)));
        }
        self.settle()
    }

    /// Takes those offline whose state is not the others'.
    fn condemn(&mut self, at: Scn, agreed: &[NodeId], odd: &[NodeId]) -> Result<(), Halt> {
        let partition = self.handle.partition;
        self.context.metrics.digest_mismatches.add(odd.len() as u64);
        error!(%partition, %at, ?agreed, ?odd, "replicas differ");
        let what = format!("replicas {odd:?} differ from {agreed:?} at {at} and are rebuilt");
        let evidence = vec![format!("digests at {at}: {} equal, {} odd", agreed.len(), odd.len())];
        self.explain(EventKind::DigestMismatch, what, evidence);
        let why = format!("its digest at {at} differs from that of {agreed:?}");
        for node in odd.iter().filter(|node| **node != self.handle.node) {
            if let Some(handle) = self.context.routes.route(partition).replica(*node) {
                let context = Arc::clone(self.context);
                let why = why.clone();
                context.spawn(async move {
                    // A replica that is gone starts anew anyway.
                    let _ = handle.send(DriverInput::Condemned { why }).await;
                });
            }
        }
        match odd.contains(&self.handle.node) {
            true => Err(Halt::Damaged { why }),
            false => Ok(()),
        }
    }
}

/// Whom to believe, and whom not: the biggest group, of equal ones the leader's.
fn agreement(reports: &[DigestReport], leader: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
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

/// Below which offset the state is in the stores of enough replicas, if all reports are equal.
///
/// * `replicas`: how many there should be; of several, one alone is not enough.
fn agreed_below(reports: &[DigestReport], replicas: usize) -> Option<LogOffset> {
    let enough = reports.len() >= replicas.clamp(1, 2);
    reports.iter().map(|report| report.below).min().filter(|_| enough)
}

/// One replica's state, to be hashed.
struct HashJob {
    context: Arc<NodeContext>,
    handle: Arc<ReplicaHandle>,
    view: Box<dyn View>,
    /// Log time of the state: what expired before it does not count.
    time: WallMillis,
    known: Option<u128>,
    applied: u64,
    hashed: Arc<Mutex<Option<Hashed>>>,
}

impl HashJob {
    /// Hashes the state and makes it durable; `None` if the node goes away meanwhile.
    fn run(self) -> Result<Option<u128>, StoreError> {
        let digest = match self.known {
            Some(digest) => digest,
            None => {
                let _one_at_a_time = lock(&self.context.hashing);
                self.hash()?
            }
        };
        if self.context.is_ending() {
            return Ok(None);
        }
        let HashJob { context, view, .. } = self;
        drop(view);
        context.store.sync()?;
        Ok(Some(digest))
    }

    fn hash(&self) -> Result<u128, StoreError> {
        let (mut bytes, mut first_expiry) = (0_u64, None::<WallMillis>);
        let counted = self.view.entries(None).inspect(|entry| {
            let Ok(Entry { key, value }) = entry else { return };
            bytes += (key.len() + value.len()) as u64;
            if let Some(EntryKey::Remembered { .. }) = EntryKey::parse(key)
                && let Ok(remembered) = parse_remembered(value.clone())
                && remembered.expires >= self.time
            {
                let expires = remembered.expires;
                first_expiry = Some(first_expiry.map_or(expires, |first| first.min(expires)));
            }
        });
        let counted = counted.take_while(|_| !self.context.is_ending());
        let digest = digest(counted, self.time)?;
        if !self.context.is_ending() {
            self.context.set_state_bytes(self.handle.partition, bytes);
            *lock(&self.hashed) = Some(Hashed { applied: self.applied, digest, first_expiry });
        }
        Ok(digest)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What they guard is set in one piece.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report_to_leader(context: &NodeContext, handle: &ReplicaHandle, report: DigestReport) {
    let partition = handle.partition;
    let leader = context.routes.route(partition).serving();
    let sent = leader.is_some_and(|leader| leader.offer(DriverInput::Digest(report)).is_ok());
    if !sent {
        warn!(%partition, at = %report.at, "digest not reported: no leader takes it");
    }
}

fn condemn_unreadable(handle: &ReplicaHandle, error: &StoreError) {
    let partition = handle.partition;
    error!(%partition, %error, "state not hashed");
    if let StoreError::Damaged { why } = error {
        // If the line is full, the driver will meet the damage itself.
        let _ = handle.offer(DriverInput::Condemned { why: why.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::LogId;
    use cortado_model::{Generation, Sequence};

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

    /// Below which offset replicas agree that have reported these.
    #[track_caller]
    fn check_below(belows: &[u64], replicas: usize, want: Option<u64>) {
        let reports = (1..).zip(belows).map(|(node, below)| report(node, 1, *below, 7));
        let reports: Vec<_> = reports.collect();
        assert_eq!(agreed_below(&reports, replicas), want.map(LogOffset));
    }

    #[test]
    fn the_log_is_trimmed_on_the_word_of_two() {
        check_below(&[9, 9, 9], 3, Some(9));
        check_below(&[9, 7], 3, Some(7)); // the one that has stored less is to find the rest
        check_below(&[9], 3, None);
        check_below(&[9], 2, None);
        check_below(&[9], 1, Some(9)); // there is nobody else
        check_below(&[], 1, None);
        check_below(&[], 0, None);
    }

    #[test]
    fn the_log_keeps_what_came_after_the_round_before() {
        let mut rounds = Rounds {
            since: (LogOffset::ZERO, 0),
            demanded: false,
            open: None,
            agreed: None,
            applied: 0,
            hashed: Arc::default(),
        };
        let log = LogId::UNKNOWN;
        let trim = |below| Trim { below: LogOffset(below), log, snapshot: Scn::ZERO };
        assert_eq!(rounds.agree(trim(10)), None);
        assert_eq!(rounds.agree(trim(20)), Some(trim(10)));
        assert_eq!(rounds.agree(trim(30)), Some(trim(20)));
    }

    #[test]
    fn a_round_waits_for_reports_of_its_own_place() {
        let mut round = Round { at: None, ends: Millis(0), reports: BTreeMap::new() };
        let all = || [1, 2].map(NodeId).into_iter();
        let at = |sequence| Some(Scn::new(Generation(1), Sequence(sequence)));
        // The first report comes before the leader has folded the record.
        round.take(report(2, 5, 9, 7));
        assert!(!round.is_complete([NodeId(2)].into_iter()), "its place is not known yet");
        round.at = at(5);
        round.take(report(1, 4, 8, 7));
        assert!(!round.is_complete(all()), "that was of the round before");
        round.take(report(1, 5, 9, 7));
        round.take(report(2, 6, 10, 8));
        assert!(round.is_complete(all()));
        assert_eq!(round.end(), at(5).map(|at| (at, vec![report(1, 5, 9, 7), report(2, 5, 9, 7)])));
        // A report from before the leader knew its place may turn out to be of another one.
        let reports = [(NodeId(2), report(2, 4, 8, 7))].into();
        let round = Round { at: at(5), ends: Millis(0), reports };
        assert_eq!(round.end(), at(5).map(|at| (at, Vec::new())));
    }
}
