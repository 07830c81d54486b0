//! The driver of one replica through all of its lives.
//!
//! Start reading at [`Driver::on`].

use crate::action::{Action, Reply};
use crate::event::{Event, JobId, Survey, SurveyError};
use crate::halt::Halt;
use crate::leadership::FoldedLeadership;
use crate::life::Life;
use crate::news::News;
use crate::rebuilding::{Rebuilding, Rebuilt};
use crate::restart::{Beginning, judge, stored};
use crate::role::ReplicaRole;
use crate::settings::{LogLimits, Me, Settings};
use crate::stage::Stage;
use crate::standing::{Folded, PeerStanding};
use crate::turn::Turn;
use crate::write::Caller;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use cortado_model::{
    LogOffset, Millis, NodeId, ReplicaIncarnation, Scn, StoreError, WallMillis, doubled,
};
use cortado_replica::{FoldState, NotDone, Now};

/// After a failure that may pass.
const RETRY_MS: u64 = 500;
/// After a failure that only an operator, or another replica, can end.
const RETRY_BROKEN_MS: u64 = 5_000;
/// After many failures to build a replica anew: each may have copied a whole snapshot.
const REBUILD_AGAIN_MS_MAX: u64 = 5 * 60 * 1_000;

/// Everything that one replica's driver decides. `C` is a caller that waits for an answer.
///
/// Owned by one task, or by a simulation. The owner tells it what happens, then
/// [`Event::Settle`], and carries out the actions in their order; what it shows of itself is right
/// before they are carried out.
#[derive(Debug)]
pub struct Driver<C> {
    me: Me,
    settings: Settings,
    /// The last number that was given to an action.
    jobs: u64,
    /// Lives of the replica so far.
    lives: u32,
    stage: Stage<C>,
    /// What the last life has shown.
    applied: (Scn, LogOffset),
    /// Whether others may have what the last life has found missing.
    may_lack_record: bool,
    /// What it has folded, as long as nothing of that is thrown away.
    folded: Option<Folded>,
    leadership: FoldedLeadership,
    /// How often the store was emptied to be filled anew.
    restorations: u64,
    /// Tries to do so that have failed, since the last that has not.
    failed_rebuilds: u32,
    /// The log's end, as far as it was heard of since the last life.
    log_end: LogOffset,
    /// Where the log last contradicted the replica, and how: told once.
    contradicted: Option<(Option<LogOffset>, String)>,
    /// No replica could be copied when this one had nothing: it folds its log, however long.
    folds_anew: bool,
    /// What it has is not what its log, or its leader, goes on with.
    in_doubt: bool,
}

impl<C: Caller> Driver<C> {
    /// A driver that looks for its checkpoint and its log first.
    pub fn new(me: Me, settings: Settings, now: Now, actions: &mut Vec<Action<C>>) -> Driver<C> {
        let mut driver = Driver {
            lives: me.lives_before,
            me,
            settings,
            jobs: 0,
            stage: Stage::Ended,
            applied: (Scn::ZERO, LogOffset::ZERO),
            may_lack_record: false,
            folded: None,
            leadership: FoldedLeadership::default(),
            restorations: 0,
            failed_rebuilds: 0,
            log_end: LogOffset::ZERO,
            contradicted: None,
            folds_anew: false,
            in_doubt: false,
        };
        driver.act(now, actions, |_, turn| survey(turn));
        driver
    }

    /// Takes one event and adds what is to be done to `actions`.
    ///
    /// Total: never fails, blocks or reads a clock. `now.clock` must not go backwards.
    pub fn on(&mut self, now: Now, event: Event<C>, actions: &mut Vec<Action<C>>) {
        self.act(now, actions, |driver, turn| driver.on_event(event, turn));
        if let Stage::Living(life) = &self.stage {
            self.applied = life.applying.applied_up_to(life.core.fold());
            self.may_lack_record = life.may_lack_record();
            self.leadership.clone_from(&life.leadership);
        }
        self.folded = match &self.stage {
            Stage::Living(life) => Some(Folded::of(life.core.fold())),
            Stage::Rebuilding(_) => None,
            Stage::Surveying(_)
            | Stage::Clearing { .. }
            | Stage::Draining { .. }
            | Stage::AwaitingRoom { .. }
            | Stage::Resting(_)
            | Stage::StandingStill
            | Stage::LookingThrough(_)
            | Stage::Ended => self.folded,
        };
    }

    /// The log has other limits from now on.
    pub fn heed(&mut self, limits: LogLimits) {
        self.settings.log = limits;
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn wake_at(&self) -> Option<Millis> {
        match &self.stage {
            Stage::Living(life) => life.wake_at(self.settings.log.append_timeout_ms),
            Stage::AwaitingRoom { probe: None, due } | Stage::Resting(due) => Some(*due),
            Stage::Rebuilding(rebuilding) => rebuilding.wake_at(),
            Stage::AwaitingRoom { probe: Some(_), .. }
            | Stage::Surveying(_)
            | Stage::Clearing { .. }
            | Stage::Draining { .. }
            | Stage::StandingStill
            | Stage::LookingThrough(_)
            | Stage::Ended => None,
        }
    }

    /// What the replica does.
    pub fn role(&self) -> ReplicaRole {
        self.stage.role(self.in_doubt)
    }

    /// Everything up to here is in the store: the record, and the offset behind it.
    pub fn applied(&self) -> (Scn, LogOffset) {
        self.applied
    }

    /// Whether a record is missing and others may have accepted it: then the age of the state in
    /// the store is unknown, however far the replica has folded.
    pub fn may_lack_record(&self) -> bool {
        self.may_lack_record
    }

    /// Who leads, as the replica has folded it.
    pub fn leadership(&self) -> &FoldedLeadership {
        &self.leadership
    }

    /// What has been folded; `None` while the replica is out of service.
    pub fn fold(&self) -> Option<&FoldState> {
        self.life().map(|life| life.core.fold())
    }

    /// Where the log ends, as far as the replica knows: from its survey, until it hears more.
    pub fn log_end(&self) -> LogOffset {
        self.life().map_or(self.log_end, |life| life.log_end)
    }

    /// How the replica stands, for others that ask.
    ///
    /// * `wall`: its node's wall clock.
    pub fn standing(&self, wall: WallMillis) -> PeerStanding {
        PeerStanding {
            node: self.me.node,
            incarnation: self.incarnation(),
            role: self.role(),
            folded: self.folded,
            wall,
        }
    }

    /// It has opened its generation, and no replica has compared histories with it yet.
    pub fn is_unverified(&self) -> bool {
        self.life().is_some_and(Life::is_unverified)
    }

    /// In whose name the replica claims and writes now; life 0 before the first.
    pub fn incarnation(&self) -> ReplicaIncarnation {
        ReplicaIncarnation { node: self.me.incarnation, life: self.lives }
    }

    /// Changes when the store is emptied to be filled anew: what was read across such a change may
    /// be a part of a state.
    pub fn restorations(&self) -> u64 {
        self.restorations
    }

    /// Writes that were published and are not answered.
    pub fn unanswered_writes(&self) -> usize {
        self.life().map_or(0, |life| life.requests.writes())
    }

    /// Bytes that are committed and not in the store.
    pub fn gathered_bytes(&self) -> usize {
        self.life().map_or(0, |life| life.applying.gathered_bytes())
    }

    /// Requests that are not answered.
    pub fn waiting_requests(&self) -> usize {
        self.life().map_or(0, Life::waiting_requests)
    }

    /// It keeps what it has and waits for another build, or for a person.
    pub fn stands_still(&self) -> bool {
        matches!(self.stage, Stage::StandingStill)
    }

    fn life(&self) -> Option<&Life<C>> {
        self.stage.life()
    }

    fn act(
        &mut self,
        now: Now,
        actions: &mut Vec<Action<C>>,
        step: impl FnOnce(&mut Parts<'_, C>, &mut Turn<'_, C>) -> Option<Stage<C>>,
    ) {
        let Driver { me, settings, jobs, lives, stage, .. } = self;
        let Driver { restorations, failed_rebuilds, log_end, contradicted, folds_anew, .. } = self;
        let Driver { folded, in_doubt, .. } = self;
        let mut turn = Turn { now, me, settings, jobs, actions };
        let mut parts = Parts {
            lives,
            stage,
            restorations,
            failed_rebuilds,
            log_end,
            contradicted,
            folds_anew,
            folded,
            in_doubt,
        };
        if let Some(next) = step(&mut parts, &mut turn) {
            *stage = next;
        }
    }
}

/// What changes of a driver, beside what a [`Turn`] lends.
pub(crate) struct Parts<'a, C> {
    lives: &'a mut u32,
    pub(crate) stage: &'a mut Stage<C>,
    restorations: &'a mut u64,
    failed_rebuilds: &'a mut u32,
    pub(crate) log_end: &'a mut LogOffset,
    contradicted: &'a mut Option<(Option<LogOffset>, String)>,
    folds_anew: &'a mut bool,
    pub(crate) folded: &'a mut Option<Folded>,
    pub(crate) in_doubt: &'a mut bool,
}

fn survey<C>(turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
    let job = turn.job();
    turn.act(Action::Survey(job));
    Some(Stage::Surveying(job))
}

impl<C: Caller> Parts<'_, C> {
    /// Takes an event; answers the next stage, if there is one.
    fn on_event(&mut self, event: Event<C>, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        if let Stage::Living(life) = self.stage {
            let halt = life.on(event, turn).err()?;
            if halt.can_step_down() {
                life.step_down_silently(turn);
            }
            life.hang_up(turn);
            return match life.applying.under_way() {
                Some(job) => Some(Stage::Draining { job, halt }),
                None => self.after(halt, turn),
            };
        }
        match event {
            Event::Write { caller, .. }
            | Event::Read { caller, .. }
            | Event::HandOff { caller, .. } => {
                turn.act(Action::Reply { caller, reply: Reply::NotDone(NotDone::Offline) });
                None
            }
            Event::Stop => self.stop(turn),
            Event::Tick | Event::Settle => self.on_time(turn),
            Event::Resolve(resolution) => self.on_resolution(resolution, turn),
            Event::LookedThrough(job, found) => self.on_looked_through(job, found, turn),
            Event::Surveyed(job, survey) => self.on_surveyed(job, survey, turn),
            Event::Cleared(job, cleared) => self.on_cleared(job, cleared, turn),
            Event::Probed(job, probed) => self.on_probed(job, &probed, turn),
            Event::Applied(job, _) => self.on_drained(job, turn),
            Event::Extent(job, extent) => {
                let rebuilt = self.rebuilding()?.on_extent(job, extent, turn);
                self.after_rebuilding(rebuilt, turn)
            }
            Event::Around(job, around) => {
                let rebuilt = self.rebuilding()?.on_around(job, around, turn);
                self.after_rebuilding(rebuilt, turn)
            }
            Event::Installed(job, installed) => {
                let rebuilt = self.rebuilding()?.on_installed(job, installed, turn);
                self.after_rebuilding(rebuilt, turn)
            }
            Event::LogEnd(end) => {
                *self.log_end = end;
                None
            }
            // For a life, and there is none.
            Event::Claim { .. }
            | Event::Configure(_)
            | Event::ChangeReplicas { .. }
            | Event::Verify
            | Event::Digest(_)
            | Event::Condemned { .. }
            | Event::StoreFailed { .. }
            | Event::Room(_)
            | Event::Outcomes { .. }
            | Event::LogFailed(_)
            | Event::Page(..)
            | Event::Found(..)
            | Event::BookmarkFound(..)
            | Event::Hashed(..)
            | Event::Peers(..) => None,
        }
    }

    /// What follows from the end of a life.
    pub(crate) fn after(&mut self, halt: Halt, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        *self.in_doubt |= matches!(halt, Halt::Truncated { .. } | Halt::Disputes { .. });
        Some(match halt {
            Halt::Ended => {
                turn.act(Action::End);
                Stage::Ended
            }
            Halt::StoreFull { why } => {
                turn.tell(News::WaitsForRoom { why });
                Stage::AwaitingRoom { probe: None, due: turn.clock().plus(RETRY_MS) }
            }
            Halt::StoreFailed { why } => {
                turn.act(Action::FailStore { why });
                Stage::Resting(turn.clock().plus(RETRY_BROKEN_MS))
            }
            Halt::Damaged { why } => {
                turn.tell(News::Damaged { why: why.clone() });
                *self.restorations += 1;
                Stage::Rebuilding(Rebuilding::begin_wrong(why, turn))
            }
            Halt::Trimmed { first } => {
                turn.tell(News::BehindLog { first });
                let why =
                    alloc::format!("the log begins at {first}, beyond this replica's checkpoint");
                self.rebuild(first, None, why, turn)
            }
            // Only a replica that has got past the record has what this one lost.
            Halt::Behind { at, why } => self.rebuild(at.plus(1), None, why, turn),
            Halt::LostRecord { holder, below, why } => self.rebuild(below, Some(holder), why, turn),
            Halt::Broken { at, why } => {
                self.contradicted(Some(at), &why, turn);
                // Only a replica that has got past the record can help.
                self.rebuild(at.plus(1), None, why, turn)
            }
            Halt::Unusable { why } | Halt::Truncated { why } => {
                self.contradicted(None, &why, turn);
                Stage::Resting(turn.clock().plus(RETRY_BROKEN_MS))
            }
            Halt::StandsStill { why, needs_upgrade } => {
                turn.tell(News::StandsStill { why, needs_upgrade });
                Stage::StandingStill
            }
            Halt::Disputes { why } => {
                turn.tell(News::StandsStill { why, needs_upgrade: false });
                Stage::StandingStill
            }
            Halt::Resolved(resolution) => self.resolve(resolution, turn),
        })
    }

    /// * `from`: whose snapshot alone is of use, if that is known.
    pub(crate) fn rebuild(
        &mut self,
        beyond: LogOffset,
        from: Option<NodeId>,
        why: String,
        turn: &mut Turn<'_, C>,
    ) -> Stage<C> {
        *self.restorations += 1;
        Stage::Rebuilding(Rebuilding::begin(beyond, from, why, turn))
    }

    /// Tells it once: until a replica helps, it is found again every few seconds. Another reason is
    /// told, too: a log that was out of reach first is perhaps found deleted.
    fn contradicted(&mut self, at: Option<LogOffset>, why: &str, turn: &mut Turn<'_, C>) {
        let told = (at, String::from(why));
        if self.contradicted.as_ref() != Some(&told) {
            *self.contradicted = Some(told);
            turn.tell(News::Contradicted { at, why: why.into() });
        }
    }

    /// A replica that has nothing.
    ///
    /// * `first`: where its log begins.
    fn begin_empty(
        &mut self,
        fold: FoldState,
        first: LogOffset,
        turn: &mut Turn<'_, C>,
    ) -> Option<Stage<C>> {
        let records = self.log_end.0.saturating_sub(first.0);
        let is_long = records > turn.settings.copy_beyond_records;
        if first == LogOffset::ZERO && (*self.folds_anew || !is_long) {
            return self.live(fold, turn);
        }
        if !is_long {
            return self.after(Halt::Trimmed { first }, turn);
        }
        let why = alloc::format!("it has nothing yet, and its log holds {records} records");
        *self.restorations += 1;
        Some(Stage::Rebuilding(Rebuilding::begin_new(first, why, turn)))
    }

    fn live(&mut self, fold: FoldState, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        Some(Stage::Living(Box::new(self.begin(fold, turn))))
    }

    pub(crate) fn begin(&mut self, fold: FoldState, turn: &mut Turn<'_, C>) -> Life<C> {
        *self.lives += 1;
        *self.in_doubt = false;
        let log_end = core::mem::take(self.log_end);
        Life::begin(fold, log_end, *self.lives, turn)
    }

    fn stop(&mut self, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        match self.stage {
            Stage::Draining { halt, .. } => {
                *halt = Halt::Ended;
                None
            }
            Stage::Ended => None,
            _ => self.after(Halt::Ended, turn),
        }
    }

    fn on_time(&mut self, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        let now = turn.clock();
        match self.stage {
            Stage::AwaitingRoom { probe: None, due } if now >= *due => {
                let job = turn.job();
                turn.act(Action::ProbeStore(job));
                Some(Stage::AwaitingRoom { probe: Some(job), due: now })
            }
            Stage::Resting(until) if now >= *until => survey(turn),
            Stage::Rebuilding(rebuilding) => {
                rebuilding.on_time(turn);
                None
            }
            _ => None,
        }
    }

    fn on_surveyed(
        &mut self,
        job: JobId,
        surveyed: Result<Survey, SurveyError>,
        turn: &mut Turn<'_, C>,
    ) -> Option<Stage<C>> {
        if !matches!(self.stage, Stage::Surveying(asked) if *asked == job) {
            return None;
        }
        let end = surveyed.as_ref().map(|survey| survey.extent.end).unwrap_or_default();
        // The end need not be told again before it moves.
        *self.log_end = end.max(*self.log_end);
        // Who asks hears of it though no life should come of it.
        *self.folded = stored(turn.me, &surveyed).or(*self.folded);
        let level = turn.settings.replica.feature_level;
        match judge(turn.me, level, surveyed) {
            Ok(Beginning::From(fold)) => {
                let (scn, offset) = (fold.last, fold.position.offset);
                turn.tell(News::Starts { scn, offset, end });
                self.live(fold, turn)
            }
            Ok(Beginning::Empty { fold, first }) => {
                let job = turn.job();
                turn.act(Action::ClearStore(job));
                Some(Stage::Clearing { job, fold: Box::new(fold), first })
            }
            Err(halt) => self.after(halt, turn),
        }
    }

    fn on_cleared(
        &mut self,
        job: JobId,
        cleared: Result<(), StoreError>,
        turn: &mut Turn<'_, C>,
    ) -> Option<Stage<C>> {
        match self.stage {
            Stage::Clearing { job: asked, fold, first } if *asked == job => {
                let (fold, first) = (fold.as_ref().clone(), *first);
                match cleared {
                    Ok(()) => self.begin_empty(fold, first, turn),
                    Err(error) => self.after(Halt::from(error), turn),
                }
            }
            Stage::Rebuilding(rebuilding) => {
                let rebuilt = rebuilding.on_cleared(job, cleared, turn);
                *self.folds_anew |= rebuilt == Rebuilt::Done;
                self.after_rebuilding(rebuilt, turn)
            }
            _ => None,
        }
    }

    fn on_probed(
        &mut self,
        job: JobId,
        probed: &Result<(), StoreError>,
        turn: &mut Turn<'_, C>,
    ) -> Option<Stage<C>> {
        if !matches!(self.stage, Stage::AwaitingRoom { probe, .. } if *probe == Some(job)) {
            return None;
        }
        if matches!(probed, Err(StoreError::Full { .. })) {
            let due = turn.clock().plus(RETRY_MS);
            return Some(Stage::AwaitingRoom { probe: None, due });
        }
        turn.tell(News::HasRoom);
        survey(turn)
    }

    /// The store has done with the batch that was under way when a life ended.
    fn on_drained(&mut self, job: JobId, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        match self.stage {
            Stage::Draining { job: awaited, halt } if *awaited == job => {
                let halt = halt.clone();
                self.after(halt, turn)
            }
            _ => None,
        }
    }

    fn rebuilding(&mut self) -> Option<&mut Rebuilding> {
        match self.stage {
            Stage::Rebuilding(rebuilding) => Some(rebuilding),
            _ => None,
        }
    }

    fn after_rebuilding(&mut self, rebuilt: Rebuilt, turn: &mut Turn<'_, C>) -> Option<Stage<C>> {
        let first_ms = match rebuilt {
            Rebuilt::NotYet => return None,
            Rebuilt::Done => {
                *self.failed_rebuilds = 0;
                return survey(turn);
            }
            Rebuilt::Failed => RETRY_MS,
            Rebuilt::NeedsHelp => RETRY_BROKEN_MS,
        };
        let rest_ms = doubled(first_ms, *self.failed_rebuilds, REBUILD_AGAIN_MS_MAX);
        *self.failed_rebuilds = self.failed_rebuilds.saturating_add(1);
        let until = turn.clock().plus(rest_ms);
        let goes_on = self.rebuilding().is_some_and(|rebuilding| rebuilding.rests(until));
        (!goes_on).then_some(Stage::Resting(until))
    }
}
