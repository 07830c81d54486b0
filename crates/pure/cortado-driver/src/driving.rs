//! What a running replica does about each event.
//!
//! Start reading at [`Life::on`], then [`Life::settle`].

use crate::action::{Action, Reply};
use crate::agreement::{agreed_below, agreement};
use crate::event::{DigestReport, Event, FollowError, Hashed, JobId, Surroundings};
use crate::halt::Halt;
use crate::life::{Life, Room};
use crate::news::News;
use crate::pace::READ_BYTES_MAX;
use crate::recovery::Recovery;
use crate::requests::Waiting;
use crate::turn::Turn;
use crate::write::Caller;
use alloc::vec::Vec;
use cortado_model::{LogOffset, Millis, NodeId, Scn, StoreError};
use cortado_replica::{AppendFailure, Config, Input, NotDone, ReadNeed, RecordPage, Role, Trim};

/// A leader looks this often, at most, how much all logs have grown: its own may stand still.
const LOOK_EVERY_MS: u64 = 1_000;

impl<C: Caller> Life<C> {
    /// Takes an event; `Err` ends this life.
    pub(crate) fn on(&mut self, event: Event<C>, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        self.take(event, turn)?;
        self.end_if_full(turn.clock())
    }

    fn take(&mut self, event: Event<C>, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        match event {
            Event::Write { caller, order, log_end } => {
                return self.on_write(caller, order, log_end, turn);
            }
            Event::Read { caller, need } => return self.on_read(caller, need, turn),
            Event::HandOff { caller, to } => return self.on_hand_off(caller, to, turn),
            Event::Claim { reason, evidence } => {
                return self.claim(Input::Claim { reason, evidence }, turn);
            }
            Event::Configure(config) => return self.configure(config, turn),
            Event::ChangeReplicas { generation, from, to } => {
                return self.change_replicas(Input::ChangeReplicas { generation, from, to }, turn);
            }
            Event::Verify => self.rounds.demand(),
            Event::Digest(report) => self.on_report(report, turn),
            Event::Condemned { why } => return Err(Halt::Damaged { why }),
            Event::StoreFailed { why } => return Err(Halt::StoreFailed { why }),
            Event::Resolve(resolution) => return self.on_resolution(resolution),
            Event::Stop if self.stopping => return Err(Halt::Ended),
            Event::Stop => self.stopping = true,
            Event::LogEnd(end) => self.log_end = end,
            Event::LogFailed(error) => return self.on_unread(error, turn),
            Event::Room(true) => self.room = Room::Here,
            Event::Room(false) => self.room = Room::Sought,
            Event::Outcomes { producer, outcomes } => {
                self.appends.answered(producer, outcomes);
                return self.feed_outcomes(turn);
            }
            Event::Extent(job, extent) => {
                let fold = self.core.fold();
                let other = extent.as_ref().ok().filter(|extent| extent.log != fold.log);
                if let Some(other) = other {
                    return Err(Halt::replaced(other.log, fold.log));
                }
                let (end, at) = (extent.ok().map(|extent| extent.end), fold.position.offset);
                let reading = self.pace.is_reading();
                self.recovery.told(job, end, at, reading, turn.clock());
            }
            Event::Page(job, page) => return self.on_page(job, page, turn),
            Event::Found(job, found) => return self.on_found(job, found, turn),
            Event::Applied(job, applied) => return self.on_applied(job, applied, turn),
            Event::BookmarkFound(job, found) => self.on_bookmark(job, found, turn),
            Event::Hashed(job, hashed) => return self.on_hashed(job, hashed, turn),
            Event::Around(job, around) => return self.on_around(job, &around, turn),
            Event::Peers(job, answers) => return self.on_peers(job, &answers, turn),
            Event::Tick => return self.step(Input::Tick, turn),
            Event::Settle => return self.settle(turn),
            // Of another time.
            Event::Surveyed(..)
            | Event::LookedThrough(..)
            | Event::Probed(..)
            | Event::Cleared(..)
            | Event::Installed(..) => {}
        }
        Ok(())
    }

    /// Does what was gathered and what has become due.
    fn settle(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        self.give_up_if_silent(turn)?;
        self.recover(turn)?;
        self.read_log(turn);
        self.keep_rounds(turn)?;
        self.keep_asking(turn)?;
        self.flush(turn);
        self.answer_due(turn);
        if self.stopping && self.is_settled() { Err(Halt::Ended) } else { Ok(()) }
    }

    /// When something becomes due by itself.
    pub(crate) fn wake_at(&self, patience_ms: u64) -> Option<Millis> {
        let round = self.rounds.due().filter(|_| self.looking.is_none());
        let due = [
            self.core.wake_at(),
            round,
            self.pace.due(),
            self.recovery.due(),
            self.appends.due(patience_ms),
            self.full.as_ref().map(|full| full.until),
            self.asking_due(),
        ];
        due.into_iter().flatten().min()
    }

    fn on_read(&mut self, caller: C, need: ReadNeed, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        if self.is_full() {
            turn.act(Action::Reply { caller, reply: Reply::NotDone(NotDone::Overloaded) });
            return Ok(());
        }
        let request = self.requests.insert(Waiting::Read(caller));
        self.step(Input::Read { request, need }, turn)
    }

    fn configure(&mut self, config: Config, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        // A fold state of a level that this build does not understand could not be stored.
        let own = turn.settings.replica.feature_level;
        let unreadable = matches!(config, Config::Feature { level } if level > own);
        let unconditional = matches!(config, Config::Replicas(_));
        let in_force = self.core.fold().feature_level;
        let is_reached = matches!(config, Config::Feature { level } if level <= in_force);
        let refused = unreadable || unconditional || is_reached;
        if self.core.role() != Role::Leader || self.stopping || refused {
            return Ok(());
        }
        self.step(Input::Config(config), turn)
    }

    fn change_replicas(&mut self, change: Input, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        if self.core.role() != Role::Leader || self.stopping {
            return Ok(());
        }
        self.step(change, turn)
    }

    fn on_hand_off(
        &mut self,
        caller: C,
        to: Option<NodeId>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let request = self.requests.insert(Waiting::HandOff(caller));
        self.step(Input::HandOff { to, request }, turn)
    }

    /// Duty 3: the core hears of appends in their order.
    fn feed_outcomes(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        while let Some(input) = self.appends.take_answered() {
            if let Input::AppendFailed { failure, .. } = &input {
                turn.tell(News::AppendFailed(*failure));
            }
            self.step(input, turn)?;
        }
        Ok(())
    }

    /// A producer that never answers must not hold the partition for ever.
    fn give_up_if_silent(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let due = self.appends.due(turn.settings.log.append_timeout_ms);
        if due.is_none_or(|due| turn.clock() < due) {
            return Ok(());
        }
        self.replace_producer(turn)
    }

    fn replace_producer(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        self.hand_over(turn);
        let producer = turn.job();
        turn.act(Action::OpenProducer(producer));
        let tokens = self.appends.give_up(producer);
        if !tokens.is_empty() {
            turn.tell(News::ProducerAbandoned { appends: tokens.len() });
        }
        for token in tokens {
            self.step(Input::AppendFailed { token, failure: AppendFailure::Unknown }, turn)?;
        }
        Ok(())
    }

    /// Duty 7: the log has not said where records are. Finds out what it holds, all of it.
    fn recover(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let asks = match self.recovery {
            Recovery::Wanted => {
                self.replace_producer(turn)?;
                true
            }
            recovery => recovery.is_rested(turn.clock()),
        };
        if asks {
            let job = turn.job();
            self.recovery = Recovery::Asking(job);
            turn.act(Action::AskExtent(job));
        }
        if let Some(end) = self.recovery.end()
            && self.core.fold().position.offset >= end
        {
            self.recovery = Recovery::None;
            self.step(Input::CaughtUp { end }, turn)?;
        }
        Ok(())
    }

    /// Duties 2 and 8: asks for the log's records, in order, as the core needs them and the store
    /// takes them: when that has taken a batch, the turn that follows comes here again.
    fn read_log(&mut self, turn: &mut Turn<'_, C>) {
        let from = self.core.fold().position;
        let recovers = self.recovery.wants_page(from.offset);
        let wants = recovers || self.core.needs_records(self.log_end);
        if !wants || self.applying.is_full() {
            return self.pace.idle();
        }
        let urgent = recovers || self.requests.has_reads() || self.core.role() != Role::Follower;
        if self.pace.wants(turn.clock(), urgent) {
            let job = turn.job();
            self.pace.begin(job);
            let bytes_max = READ_BYTES_MAX.min(turn.settings.gather_bytes_max);
            turn.act(Action::ReadPage { job, from, bytes_max });
        }
    }

    fn on_page(
        &mut self,
        job: JobId,
        page: Result<RecordPage, FollowError>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        if !self.pace.end(job) {
            return Ok(());
        }
        match page {
            Ok(page) => {
                self.pace.came(page.entries.len(), turn.clock());
                self.recovery.has_read();
                self.step(Input::Page(page), turn)?;
                self.has_read(turn)
            }
            Err(error) => self.on_unread(error, turn),
        }
    }

    /// The log has nothing to tell behind what was folded, and says why.
    fn on_unread(&mut self, error: FollowError, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let at = self.core.fold().position.offset;
        match error {
            FollowError::Unavailable => {
                self.pace.failed(turn.clock());
                Ok(())
            }
            FollowError::Trimmed { first } => Err(Halt::Trimmed { first }),
            FollowError::Replaced { found } => Err(Halt::replaced(found, self.core.fold().log)),
            FollowError::Truncated { end } => Err(Halt::truncated(end, at)),
            FollowError::Missing => Err(Halt::missing()),
            FollowError::Broken { why } => Err(Halt::Broken { at, why }),
        }
    }

    fn on_bookmark(
        &mut self,
        job: JobId,
        found: Result<Option<Scn>, StoreError>,
        turn: &mut Turn<'_, C>,
    ) {
        if self.bookmark.take_if(|asked| *asked == job).is_none() {
            return;
        }
        match found {
            Ok(scn) => self.applying.trim_bookmarks_below(scn),
            Err(error) => {
                turn.tell(News::BookmarksNotTrimmed { why: alloc::format!("{error}") });
            }
        }
    }
}

/// Rounds of digests.
impl<C: Caller> Life<C> {
    /// As leader, lets all replicas hash their state when the logs have grown enough.
    fn keep_rounds(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        if self.core.role() != Role::Leader {
            self.rounds.abandon();
            return Ok(());
        }
        let now = turn.clock();
        let next = self.core.fold().position.offset;
        if self.rounds.is_due(next, &turn.settings.trim) {
            return self.begin_round(next, turn);
        }
        // Where no node has room, a look asks all of them: that is for the next write to do.
        let looks = self.room != Room::Nowhere && now >= self.looked_at.plus(LOOK_EVERY_MS);
        if looks || self.rounds.due().is_some_and(|due| now >= due) {
            self.look_around(turn);
        }
        Ok(())
    }

    fn begin_round(&mut self, next: LogOffset, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        self.rounds.begin(turn.clock(), next);
        self.step(Input::Config(Config::Digest), turn)
    }

    fn on_report(&mut self, report: DigestReport, turn: &mut Turn<'_, C>) {
        if self.rounds.take(report) {
            self.look_around(turn);
        }
    }

    fn on_hashed(
        &mut self,
        job: JobId,
        hashed: Result<Hashed, StoreError>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let Some(hashing) = self.rounds.hashed(job, hashed.as_ref().ok().copied()) else {
            return Ok(());
        };
        let digest = match hashed {
            Ok(Hashed { digest, .. }) => digest,
            Err(error) => {
                turn.tell(News::NotHashed { why: alloc::format!("{error}") });
                return match error {
                    StoreError::Damaged { why } => Err(Halt::Damaged { why }),
                    StoreError::Full { .. } | StoreError::Failed { .. } => Ok(()),
                };
            }
        };
        let crate::rounds::Hashing { at, below, .. } = hashing;
        let report = DigestReport { node: turn.me.node, at, below, digest };
        match self.core.role() {
            Role::Leader => self.on_report(report, turn),
            _ => turn.act(Action::Report(report)),
        }
        Ok(())
    }

    fn on_around(
        &mut self,
        job: JobId,
        around: &Surroundings,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        if self.looking.take_if(|asked| *asked == job).is_none() {
            return Ok(());
        }
        self.give_way_if_full(around, turn)?;
        if self.core.role() != Role::Leader {
            return Ok(());
        }
        let me = [turn.me.node];
        let readable = around.peers.iter().filter(|peer| peer.readable);
        let awaited = readable.clone().map(|peer| peer.node).chain(me);
        let overdue = self.rounds.due().is_some_and(|due| turn.clock() >= due);
        if overdue || self.rounds.is_complete(awaited) {
            self.end_round(&around.holders, turn)?;
        }
        // Without room, a replica does not come to the place of a round.
        let able = readable.filter(|peer| peer.has_room).map(|peer| peer.node).chain(me);
        let able: Vec<_> = able.collect();
        if self.rounds.is_due_by_bytes(around, &turn.settings.trim)
            || self.rounds.is_due_again(turn.clock(), &able, &around.holders)
        {
            let next = self.core.fold().position.offset;
            self.begin_round(next, turn)?;
        }
        Ok(())
    }

    /// Compares what was reported; lets the log forget what all replicas agree on.
    fn end_round(&mut self, holders: &[NodeId], turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let Some((at, reports)) = self.rounds.end(turn.clock()) else { return Ok(()) };
        let (agreed, odd) = agreement(&reports, turn.me.node);
        if !odd.is_empty() {
            return self.condemn(at, agreed, odd, turn);
        }
        let below = match agreed_below(&reports, holders) {
            Ok(below) => below,
            Err(missing) => {
                // Where no replica is placed, none is missing.
                if self.rounds.lack(missing.clone()) && !missing.is_empty() {
                    turn.tell(News::TooFewDigests { at, missing });
                }
                return Ok(());
            }
        };
        let again = self.rounds.lack(Vec::new());
        turn.tell(News::Agreed { at, replicas: agreed.len(), below, again });
        let log = self.core.fold().log;
        match self.rounds.agree(Trim { below, log, snapshot: at }) {
            Some(trim) if trim.below > self.core.fold().trimmed_below() => {
                self.step(Input::Config(Config::Trim(trim)), turn)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes those out of service whose state is not the others'.
    fn condemn(
        &mut self,
        at: Scn,
        agreed: Vec<NodeId>,
        odd: Vec<NodeId>,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let why = alloc::format!("its digest at {at} differs from that of {agreed:?}");
        let own = odd.contains(&turn.me.node);
        let me = turn.me.node;
        let nodes: Vec<_> = odd.iter().copied().filter(|node| *node != me).collect();
        turn.tell(News::Differ { at, agreed, odd });
        if !nodes.is_empty() {
            turn.act(Action::Condemn { nodes, why: why.clone() });
        }
        if own { Err(Halt::Damaged { why }) } else { Ok(()) }
    }
}
