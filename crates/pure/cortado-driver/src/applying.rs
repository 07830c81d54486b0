//! What is committed on its way into the store, and who must not be answered before it is there.
//!
//! One batch is under way at a time; what comes meanwhile is gathered into the next one, up to a
//! bound. Start reading at [`Applying::push`].

use crate::event::JobId;
use crate::recent::Recent;
use crate::remembered_answer::RememberedAnswer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use cortado_model::limits::IDEMPOTENCY_TTL_MS_MAX;
use cortado_model::{Batch, LogOffset, Remembered, Scn, StoreError, WallMillis};
use cortado_replica::{Apply, Committed, FoldState, RequestEnd, RequestId};

/// Batches of one replica, numbered from 1.
#[derive(Debug)]
pub(crate) struct Applying {
    /// The newest batch that was begun to be gathered.
    newest: u64,
    /// The newest batch that is in the store.
    done: u64,
    pending: VecDeque<Pending>,
    under_way: Option<UnderWay>,
    /// Of all batches that are not in the store.
    gathered_bytes: usize,
    /// Beyond that, a batch gets no more, and no record is read.
    gathered_bytes_max: usize,
    /// Answers, each with the batch that must be in the store before.
    owed: VecDeque<(u64, RequestId, RequestEnd)>,
    /// The fold state that was last stored.
    stored: FoldState,
    /// Transactions in the store that were applied here.
    transactions: u64,
    recent: Recent,
    /// The last batch whose changes are not in `recent`: until it is in the store, no write can be
    /// evaluated.
    not_kept: u64,
    /// For the next batch: bookmarks below it lie below the log's beginning.
    trim_bookmarks_below: Option<Scn>,
    /// A batch has failed: nothing may stand in the store behind it.
    broken: bool,
}

/// A batch that is gathered.
#[derive(Debug)]
struct Pending {
    number: u64,
    batch: Batch,
    bytes: usize,
    state: FoldState,
    transactions: u64,
    /// The state behind it is to be hashed, so that nothing may be added.
    digest: bool,
}

/// A batch that the store was given.
#[derive(Debug)]
struct UnderWay {
    job: JobId,
    number: u64,
    bytes: usize,
    state: FoldState,
    transactions: u64,
    digest: bool,
    /// It holds what readers see; without that it only spares a replica some of its log.
    changes: bool,
    trim_bookmarks_below: Option<Scn>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Of another time.
    Unknown,
    Stored {
        /// Its state is to be hashed.
        digest: bool,
    },
    /// The store has no room for it. Nobody misses it: a later one stores as much, and more.
    LeftOut,
}

/// A batch to hand to the store.
pub(crate) struct ToApply {
    pub(crate) batch: Batch,
    pub(crate) last: Scn,
    pub(crate) transactions: u64,
}

impl Applying {
    /// * `gathered_bytes_max`: see [`Settings::gather_bytes_max`](crate::Settings).
    pub(crate) fn after(stored: FoldState, gathered_bytes_max: usize) -> Applying {
        Applying {
            newest: 0,
            done: 0,
            pending: VecDeque::new(),
            under_way: None,
            gathered_bytes: 0,
            gathered_bytes_max,
            owed: VecDeque::new(),
            stored,
            transactions: 0,
            recent: Recent::default(),
            not_kept: 0,
            trim_bookmarks_below: None,
            broken: false,
        }
    }

    /// Whether everything that was committed is in the store.
    pub(crate) fn is_idle(&self) -> bool {
        self.newest == self.done
    }

    /// Bytes that are committed and not in the store.
    pub(crate) fn gathered_bytes(&self) -> usize {
        self.gathered_bytes
    }

    /// Whether the store must take something before more is read. It was given a batch then, so
    /// that its answer ends this.
    pub(crate) fn is_full(&self) -> bool {
        self.gathered_bytes >= self.gathered_bytes_max
    }

    /// The batch that the store was given and has not answered.
    pub(crate) fn under_way(&self) -> Option<JobId> {
        self.under_way.as_ref().map(|under_way| under_way.job)
    }

    /// The fold state that was last stored.
    pub(crate) fn stored(&self) -> &FoldState {
        &self.stored
    }

    /// What is committed and may not be in the store.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Whether a write can be evaluated against [`recent`](Self::recent) and the store below.
    pub(crate) fn knows_all(&self) -> bool {
        self.done >= self.not_kept
    }

    /// Transactions in the store that were applied here.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Gathers what the core wants applied.
    ///
    /// * `keep`: writes may be evaluated before it is in the store.
    pub(crate) fn push(&mut self, apply: Apply, keep: bool) {
        let (batch, state, transactions) = batch_of(apply);
        let (bytes, bytes_max) = (batch.payload_bytes(), self.gathered_bytes_max);
        let takes_more = |pending: &Pending| !pending.digest && pending.bytes < bytes_max;
        if !self.pending.back().is_some_and(takes_more) {
            self.newest += 1;
        }
        self.gathered_bytes += bytes;
        if keep {
            self.recent.keep(self.newest, &batch, bytes);
        } else {
            self.not_kept = self.newest;
        }
        match self.pending.back_mut().filter(|pending| takes_more(pending)) {
            Some(pending) => pending.add(batch, bytes, state, transactions),
            None => {
                let number = self.newest;
                let pending = Pending { number, batch, bytes, state, transactions, digest: false };
                self.pending.push_back(pending);
            }
        }
    }

    /// The state behind everything so far is to be hashed; `true`: it is in the store now.
    pub(crate) fn digest(&mut self) -> bool {
        if let Some(pending) = self.pending.back_mut() {
            pending.digest = true;
        } else if let Some(under_way) = &mut self.under_way {
            under_way.digest = true;
        } else {
            return true;
        }
        false
    }

    pub(crate) fn trim_bookmarks_below(&mut self, scn: Option<Scn>) {
        self.trim_bookmarks_below = scn.or(self.trim_bookmarks_below);
    }

    /// The next batch for the store, unless one is under way.
    pub(crate) fn next(&mut self, job: impl FnOnce() -> JobId) -> Option<(JobId, ToApply)> {
        if self.under_way.is_some() || self.broken {
            return None;
        }
        let Pending { number, mut batch, bytes, state, transactions, digest } =
            self.pending.pop_front()?;
        batch.checkpoint = state.encode();
        let trim_bookmarks_below = self.trim_bookmarks_below.take();
        batch.trim_bookmarks_below = trim_bookmarks_below;
        let (job, last) = (job(), state.agreed());
        let changes = !(batch.documents.is_empty()
            && batch.entries.is_empty()
            && batch.remember.is_empty()
            && batch.forget_before.is_none());
        self.under_way = Some(UnderWay {
            job,
            number,
            bytes,
            state,
            transactions,
            digest,
            changes,
            trim_bookmarks_below,
        });
        Some((job, ToApply { batch, last, transactions }))
    }

    /// The store has answered the batch of `job`.
    ///
    /// # Errors
    /// Nothing of it is in the store, and it changes what readers see: no later one is handed over.
    pub(crate) fn ended(
        &mut self,
        job: JobId,
        applied: Result<(), StoreError>,
    ) -> Result<Ended, StoreError> {
        let Some(under_way) = self.under_way.take_if(|under_way| under_way.job == job) else {
            return Ok(Ended::Unknown);
        };
        match applied {
            Ok(()) => {}
            Err(StoreError::Full { .. }) if !under_way.changes => {
                // Readers miss nothing. Bookmarks are places to begin at, and there are others.
                self.done = under_way.number;
                self.gathered_bytes -= under_way.bytes;
                self.trim_bookmarks_below(under_way.trim_bookmarks_below);
                return Ok(Ended::LeftOut);
            }
            Err(error) => {
                self.broken = true;
                return Err(error);
            }
        }
        let follows = under_way.number == self.done + 1 && under_way.state.last >= self.stored.last;
        assert!(follows, "applying: {} follows {}", under_way.state.last, self.stored.last);
        self.done = under_way.number;
        self.gathered_bytes -= under_way.bytes;
        self.stored = under_way.state;
        self.transactions += under_way.transactions;
        Ok(Ended::Stored { digest: under_way.digest })
    }

    /// Every look into the store that has not come back is younger than batch `number`.
    pub(crate) fn forget_recent(&mut self, number: u64) {
        self.recent.drop_up_to(number);
    }

    /// The newest batch that is in the store.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// An answer of the core, due when everything before it is in the store.
    pub(crate) fn owe(&mut self, request: RequestId, answer: RequestEnd) {
        let after = match answer {
            RequestEnd::Committed { .. } | RequestEnd::Ready => self.newest,
            // What was not done shows nowhere.
            RequestEnd::NotDone(_) | RequestEnd::Unknown => 0,
        };
        self.owed.push_back((after, request, answer));
    }

    /// The next answer that is due.
    pub(crate) fn take_due(&mut self) -> Option<(RequestId, RequestEnd)> {
        let at = self.owed.iter().position(|(after, ..)| *after <= self.done)?;
        self.owed.remove(at).map(|(_, request, answer)| (request, answer))
    }

    /// Everything up to here is in the store. Not the claim of a leader that has sent nothing yet:
    /// what it goes on with may be more than this replica has.
    ///
    /// * `folded`: what the core has folded.
    pub(crate) fn applied_up_to(&self, folded: &FoldState) -> (Scn, LogOffset) {
        // Behind the last batch stand only records that change nothing, if nothing is gathered.
        let state = if self.is_idle() { folded } else { &self.stored };
        (state.agreed(), state.position.offset)
    }
}

impl Pending {
    fn add(&mut self, batch: Batch, bytes: usize, state: FoldState, transactions: u64) {
        // By name, so that nothing that a batch may hold is left out. What is of the whole batch
        // comes in when it is handed over.
        let Batch {
            documents,
            entries,
            remember,
            forget_before,
            bookmarks,
            trim_bookmarks_below: _,
            checkpoint: _,
        } = batch;
        self.batch.documents.extend(documents);
        self.batch.entries.extend(entries);
        self.batch.remember.extend(remember);
        self.batch.forget_before = forget_before.or(self.batch.forget_before);
        self.batch.bookmarks.extend(bookmarks);
        self.bytes += bytes;
        self.state = state;
        self.transactions += transactions;
    }
}

/// The store's words for what the core wants applied, the fold state behind it and how many
/// transactions it has. The checkpoint is not in it.
fn batch_of(apply: Apply) -> (Batch, FoldState, u64) {
    let Apply { transactions, state, bookmarks } = apply;
    let (mut batch, count) = (Batch::default(), transactions.len() as u64);
    for Committed { scn, time, transaction } in transactions {
        for idempotency in transaction.idempotency {
            // All changes of a transaction share its etag; without changes there is none to tell.
            let etag = cortado_replica::etag_of(state.genesis.identity.partition, scn);
            let answer = RememberedAnswer {
                scn,
                etag,
                fingerprint: idempotency.fingerprint,
                statuses: idempotency.statuses,
            };
            let ttl_ms = idempotency.ttl_ms.unwrap_or(IDEMPOTENCY_TTL_MS_MAX);
            let expires = WallMillis(time.0.saturating_add(u64::from(ttl_ms)));
            let remembered = Remembered { time, expires, answer: answer.encode() };
            batch.remember.push((idempotency.name, remembered));
        }
        for change in transaction.changes {
            batch.documents.push((change.table, change.key, change.document));
        }
    }
    if !batch.remember.is_empty() {
        batch.forget_before = Some(state.time);
    }
    batch.bookmarks =
        bookmarks.iter().map(|state| (state.last, state.encode())).collect::<Vec<_>>();
    (batch, state, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use cortado_model::{
        ClusterUuid, DatabaseId, DocumentKey, Generation, LogId, PartitionUuid, RememberedKey,
        Sequence, TableId,
    };
    use cortado_replica::{
        Change, Genesis, Idempotency, PartitionIdentity, ReplicaSet, Transaction,
    };

    fn scn(sequence: u64) -> Scn {
        Scn::new(Generation(1), Sequence(sequence))
    }

    fn fold(sequence: u64) -> FoldState {
        let identity = PartitionIdentity {
            partition: PartitionUuid(7),
            cluster: ClusterUuid(1),
            database: DatabaseId(1),
            number: 0,
        };
        let genesis = Genesis::new(identity, ReplicaSet::default());
        let mut fold = FoldState::before(genesis, LogId(9));
        (fold.last, fold.time) = (scn(sequence), WallMillis(sequence));
        fold
    }

    /// A transaction that removes a document under an idempotency key, and its bookmark.
    fn apply(sequence: u64) -> Apply {
        let name = sequence.to_string();
        let change = Change {
            table: TableId(1),
            key: DocumentKey::from_parts(&[&name]).unwrap(),
            document: None,
            before: None,
            index: Vec::new(),
        };
        let idempotency = Idempotency {
            name: RememberedKey::new(&name, b"k", 0),
            fingerprint: 7,
            statuses: alloc::vec![204],
            ttl_ms: None,
        };
        let transaction =
            Transaction { changes: alloc::vec![change], idempotency: alloc::vec![idempotency] };
        let committed = Committed { scn: scn(sequence), time: WallMillis(sequence), transaction };
        let state = fold(sequence);
        Apply { transactions: alloc::vec![committed], bookmarks: alloc::vec![state.clone()], state }
    }

    /// The next batch that the store is given, and takes.
    fn next(applying: &mut Applying) -> Batch {
        let (job, ToApply { batch, .. }) = applying.next(|| JobId(1)).expect("a batch waits");
        assert_eq!(applying.ended(job, Ok(())), Ok(Ended::Stored { digest: false }));
        batch
    }

    #[test]
    fn what_is_gathered_into_one_batch_is_all_there() {
        let mut applying = Applying::after(fold(0), usize::MAX);
        let mut alone = Vec::new();
        for sequence in [1, 2, 3] {
            applying.push(apply(sequence), false);
            alone.push(batch_of(apply(sequence)).0);
        }
        let batch = next(&mut applying);
        let all = |part: fn(&Batch) -> usize| (part(&batch), alone.iter().map(part).sum());
        assert_eq!(all(|batch| batch.documents.len()), (3, 3));
        assert_eq!(all(|batch| batch.remember.len()), (3, 3));
        let bookmarks: Vec<(Scn, Bytes)> =
            [1, 2, 3].map(|sequence| (scn(sequence), fold(sequence).encode())).into();
        assert_eq!(batch.bookmarks, bookmarks, "each is one more place to begin a stream at");
        assert_eq!(batch.forget_before, Some(WallMillis(3)));
        assert_eq!(batch.checkpoint, fold(3).encode());
        assert!(applying.is_idle());
    }

    #[test]
    fn bookmarks_are_trimmed_once_with_the_next_batch() {
        let mut applying = Applying::after(fold(0), usize::MAX);
        applying.trim_bookmarks_below(Some(scn(5)));
        // There is nothing below the next trim; that below the former one still has to go.
        applying.trim_bookmarks_below(None);
        applying.push(apply(6), false);
        assert_eq!(next(&mut applying).trim_bookmarks_below, Some(scn(5)));
        applying.push(apply(7), false);
        assert_eq!(next(&mut applying).trim_bookmarks_below, None);
    }

    #[test]
    fn a_state_that_finds_no_room_is_left_out_and_a_change_is_not() {
        let full = || Err(StoreError::Full { why: "told to".into() });
        let mut applying = Applying::after(fold(0), usize::MAX);
        applying.trim_bookmarks_below(Some(scn(5)));
        applying.push(Apply { transactions: Vec::new(), ..apply(1) }, false);
        assert!(applying.next(|| JobId(1)).is_some());
        assert_eq!(applying.ended(JobId(1), full()), Ok(Ended::LeftOut));
        assert!(applying.is_idle() && applying.stored() == &fold(0));
        applying.push(apply(2), false);
        let (_, ToApply { batch, .. }) = applying.next(|| JobId(2)).expect("a batch waits");
        assert_eq!(batch.trim_bookmarks_below, Some(scn(5)), "that is still to be done");
        applying.push(apply(3), false);
        assert_eq!(applying.ended(JobId(2), full()), Err(full().unwrap_err()));
        assert!(applying.next(|| JobId(3)).is_none(), "what comes later stands behind it");
    }

    #[test]
    fn a_batch_that_is_full_gets_no_more() {
        let bytes = batch_of(apply(1)).0.payload_bytes();
        let mut applying = Applying::after(fold(0), bytes + 1);
        let mut full = Vec::new();
        for sequence in [1, 2, 3] {
            applying.push(apply(sequence), true);
            full.push(applying.is_full());
        }
        assert_eq!((full, applying.gathered_bytes()), (vec![false, true, true], 3 * bytes));
        let mut documents = Vec::new();
        while !applying.is_idle() {
            documents.push(next(&mut applying).documents.len());
        }
        assert_eq!((documents, applying.gathered_bytes()), (vec![2, 1], 0));
    }
}
