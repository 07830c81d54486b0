//! A replica in doubt does as an operator has chosen: it goes on with its own history, in the log
//! that is there, or copies the one that was chosen.
//!
//! Start reading at [`Parts::resolve`]. Source: docs/protocols/replication.md, "Resolving a
//! dispute".

use crate::action::Action;
use crate::driver::Parts;
use crate::event::{JobId, LookedThrough, Resolution, SurveyError};
use crate::halt::Halt;
use crate::life::Life;
use crate::news::News;
use crate::settings::Me;
use crate::stage::Stage;
use crate::turn::Turn;
use crate::write::Caller;
use alloc::boxed::Box;
use alloc::format;
use cortado_model::LogOffset;
use cortado_replica::{ClaimReason, FoldState, Input, Role};

impl<C: Caller> Life<C> {
    /// Ends this life if it is in doubt, and has what the operator has decided about.
    pub(crate) fn on_resolution(&mut self, resolution: Resolution) -> Result<(), Halt> {
        let in_doubt = matches!(self.core.role(), Role::Disputed | Role::Diverged);
        if in_doubt && self.core.fold().history() == resolution.own {
            return Err(Halt::Resolved(resolution));
        }
        Ok(())
    }
}

impl<C: Caller> Parts<'_, C> {
    /// The same between lives.
    pub(crate) fn on_resolution(
        &mut self,
        resolution: Resolution,
        turn: &mut Turn<'_, C>,
    ) -> Option<Stage<C>> {
        let waits =
            matches!(self.stage, Stage::Surveying(_) | Stage::Resting(_) | Stage::StandingStill);
        let own = self.folded.map(|folded| folded.accepted);
        let concerns = *self.in_doubt && waits && own == Some(resolution.own);
        concerns.then(|| self.resolve(resolution, turn))
    }

    /// Does as the operator has chosen.
    pub(crate) fn resolve(&mut self, resolution: Resolution, turn: &mut Turn<'_, C>) -> Stage<C> {
        *self.in_doubt = true;
        // What was heard of it may be of what it has lost; it is looked at anew.
        *self.log_end = LogOffset::ZERO;
        let Resolution { keep, beyond, own } = resolution;
        if keep == turn.me.node {
            let job = turn.job();
            turn.act(Action::LookThrough(job));
            return Stage::LookingThrough(job);
        }
        // An operator has chosen it; or a router, whose word counts nowhere, follows who has it.
        let why = format!("the history of {keep} goes on, and not this one, which had {own}");
        self.rebuild(beyond, Some(keep), why, turn)
    }

    /// Goes on behind what the log holds, if a claim of the next generation comes first there.
    pub(crate) fn on_looked_through(
        &mut self,
        job: JobId,
        found: Result<LookedThrough, SurveyError>,
        turn: &mut Turn<'_, C>,
    ) -> Option<Stage<C>> {
        if !matches!(self.stage, Stage::LookingThrough(asked) if *asked == job) {
            return None;
        }
        let chosen = match found.map_err(Halt::from) {
            Ok(found) => chosen(turn.me, &found),
            Err(halt) => Err(halt),
        };
        let fold = match chosen {
            Ok(fold) => fold,
            Err(halt) => return self.after(halt, turn),
        };
        // What was heard of it before may be of what it has lost.
        *self.log_end = fold.position.offset;
        let mut life = self.begin(fold, turn);
        turn.tell(News::Claims);
        let claim = Input::Claim { reason: ClaimReason::DisputeResolved, evidence: 0 };
        match life.step(claim, turn) {
            Ok(()) => Some(Stage::Living(Box::new(life))),
            Err(halt) => self.after(halt, turn),
        }
    }
}

/// What goes on in the log that was found.
fn chosen(me: &Me, found: &LookedThrough) -> Result<FoldState, Halt> {
    let nothing = || Halt::Unusable { why: "there is nothing to go on with".into() };
    let checkpoint = found.checkpoint.as_ref().ok_or_else(nothing)?;
    let fold = FoldState::decode(checkpoint)
        .map_err(|error| Halt::Damaged { why: format!("its checkpoint: {error}") })?;
    match me.log.unwrap_or(fold.log) {
        wanted if wanted != found.log || fold.log != found.log => {
            Err(Halt::replaced(found.log, wanted))
        }
        _ => Ok(fold.chosen(found.log, found.end, found.highest)),
    }
}
