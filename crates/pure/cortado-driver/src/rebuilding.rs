//! Building a replica anew: from a peer's snapshot, or from the log if that still begins at 0.
//!
//! Start reading at [`Rebuilding::begin`].

use crate::action::Action;
use crate::event::{AskLog, CopyError, JobId, LogExtent, PeerState, Surroundings};
use crate::news::News;
use crate::turn::Turn;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;
use cortado_model::{LogOffset, Millis, NodeId, Scn, StoreError, with_causes};

/// How long a new replica waits for others that can help before it folds a long log.
const PATIENCE_MS: u64 = 5_000;
const LOOK_AGAIN_MS: u64 = 250;

/// A replica whose state is thrown away.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    /// What a snapshot must cover to be of use.
    beyond: LogOffset,
    /// Whose alone is, if that is known: others may have lost the same.
    from: Option<NodeId>,
    /// What it has is wrong: as long as another replica can help, it is not served again.
    wrong: bool,
    /// It had nothing to begin with.
    is_new: bool,
    /// Until then others may tell how far they are: a node that has just begun has heard of none.
    patient_until: Millis,
    /// A replica was found that can help, in this try.
    asked: bool,
    /// Human-readable.
    why: String,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Where does the log begin?
    Extent(JobId),
    /// Who can help?
    Around { job: JobId, first: LogOffset },
    /// One after another.
    Copy { job: JobId, from: NodeId, others: VecDeque<NodeId>, first: LogOffset },
    /// No replica has helped, and none needs to: the log has everything.
    Clear(JobId),
    /// Tries again at this time.
    Rest(Millis),
}

/// How it has gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rebuilt {
    /// It is under way.
    NotYet,
    /// Begin a life.
    Done,
    /// It may succeed soon.
    Failed,
    /// Only another replica, or an operator, can help.
    NeedsHelp,
}

impl Rebuilding {
    /// Of a replica that lacks something; what it has is right.
    pub(crate) fn begin<C>(
        beyond: LogOffset,
        from: Option<NodeId>,
        why: String,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilding {
        let step = Step::ask_extent(turn);
        let patient_until = turn.clock();
        let (wrong, is_new, asked) = (false, false, false);
        Rebuilding { beyond, from, wrong, is_new, patient_until, asked, why, step }
    }

    /// Of a replica that has nothing yet.
    pub(crate) fn begin_new<C>(
        beyond: LogOffset,
        why: String,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilding {
        let right = Rebuilding::begin(beyond, None, why, turn);
        Rebuilding { is_new: true, patient_until: turn.clock().plus(PATIENCE_MS), ..right }
    }

    /// Of a replica whose state is wrong, or cannot be read.
    pub(crate) fn begin_wrong<C>(why: String, turn: &mut Turn<'_, C>) -> Rebuilding {
        let right = Rebuilding::begin(LogOffset::ZERO, None, why, turn);
        Rebuilding { wrong: true, ..right }
    }

    /// When it tries again, if it rests.
    pub(crate) fn wake_at(&self) -> Option<Millis> {
        match self.step {
            Step::Rest(until) => Some(until),
            Step::Extent(_) | Step::Around { .. } | Step::Copy { .. } | Step::Clear(_) => None,
        }
    }

    /// Tries again if it is time.
    pub(crate) fn on_time<C>(&mut self, turn: &mut Turn<'_, C>) {
        if self.wake_at().is_some_and(|at| turn.clock() >= at) {
            self.asked = false;
            self.step = Step::ask_extent(turn);
        }
    }

    /// After a try that has failed: whether it tries again at `until`, rather than live with what
    /// it has. If no other replica can help, that may be all that is left.
    pub(crate) fn rests(&mut self, until: Millis) -> bool {
        let goes_on = self.wrong && self.asked;
        if goes_on {
            self.step = Step::Rest(until);
        }
        goes_on
    }

    pub(crate) fn on_extent<C>(
        &mut self,
        job: JobId,
        extent: Result<LogExtent, AskLog>,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilt {
        if !matches!(self.step, Step::Extent(asked) if asked == job) {
            return Rebuilt::NotYet;
        }
        match extent {
            Ok(LogExtent { log, .. }) if turn.me.log.is_some_and(|wanted| wanted != log) => {
                turn.tell(News::NotRebuilt {
                    why: alloc::format!("the log was replaced: its identity is {log}"),
                });
                Rebuilt::Failed
            }
            Ok(LogExtent { first, .. }) => {
                let job = turn.job();
                turn.act(Action::LookAround(job));
                self.step = Step::Around { job, first };
                Rebuilt::NotYet
            }
            Err(AskLog { why }) => {
                turn.tell(News::NotRebuilt {
                    why: alloc::format!("the log cannot be read: {why}"),
                });
                Rebuilt::Failed
            }
        }
    }

    pub(crate) fn on_around<C>(
        &mut self,
        job: JobId,
        around: Surroundings,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilt {
        let Step::Around { job: asked, first } = self.step else { return Rebuilt::NotYet };
        if asked != job {
            return Rebuilt::NotYet;
        }
        let mut sources = sources(around.peers, self.beyond.max(first), self.is_new);
        sources.retain(|source| self.from.is_none_or(|from| from == *source));
        self.copy_from_next(sources, first, turn)
    }

    pub(crate) fn on_installed<C>(
        &mut self,
        job: JobId,
        installed: Result<(Scn, LogOffset), CopyError>,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilt {
        let Step::Copy { job: asked, from, others, first } = &mut self.step else {
            return Rebuilt::NotYet;
        };
        if *asked != job {
            return Rebuilt::NotYet;
        }
        let (from, first) = (*from, *first);
        match installed {
            Ok((scn, offset)) => {
                let why = core::mem::take(&mut self.why);
                turn.tell(News::Resynced { from, scn, offset, why });
                Rebuilt::Done
            }
            Err(CopyError::Interrupted) => Rebuilt::Failed,
            Err(error @ (CopyError::Spool(_) | CopyError::Store(_))) => {
                // Every other snapshot would meet the same.
                turn.tell(News::SnapshotFailed { from, why: with_causes(&error) });
                if let CopyError::Store(StoreError::Failed { why }) = error {
                    turn.act(Action::FailStore { why });
                }
                Rebuilt::NeedsHelp
            }
            Err(
                error @ (CopyError::PeerLost(_)
                | CopyError::Refused(_)
                | CopyError::Damaged(_)
                | CopyError::Foreign(_)),
            ) => {
                turn.tell(News::SnapshotFailed { from, why: with_causes(&error) });
                let others = core::mem::take(others);
                self.copy_from_next(others, first, turn)
            }
        }
    }

    pub(crate) fn on_cleared<C>(
        &mut self,
        job: JobId,
        cleared: Result<(), StoreError>,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilt {
        if !matches!(self.step, Step::Clear(asked) if asked == job) {
            return Rebuilt::NotYet;
        }
        match cleared {
            Ok(()) => {
                let why = core::mem::take(&mut self.why);
                turn.tell(News::FoldsAnew { why });
                Rebuilt::Done
            }
            Err(error) => {
                turn.tell(News::NotRebuilt { why: error.to_string() });
                if let StoreError::Failed { why } = error {
                    turn.act(Action::FailStore { why });
                }
                Rebuilt::Failed
            }
        }
    }

    fn copy_from_next<C>(
        &mut self,
        mut sources: VecDeque<NodeId>,
        first: LogOffset,
        turn: &mut Turn<'_, C>,
    ) -> Rebuilt {
        let beyond = self.beyond;
        if let Some(from) = sources.pop_front() {
            self.asked = true;
            let job = turn.job();
            turn.act(Action::InstallSnapshot { job, from });
            self.step = Step::Copy { job, from, others: sources, first };
            return Rebuilt::NotYet;
        }
        if !self.asked && turn.clock() < self.patient_until {
            self.step = Step::Rest(turn.clock().plus(LOOK_AGAIN_MS));
            return Rebuilt::NotYet;
        }
        if first > LogOffset::ZERO || beyond > LogOffset::ZERO {
            let why = alloc::format!(
                "no running replica has a state beyond {beyond}, and the log begins at {first}"
            );
            turn.tell(News::NotRebuilt { why });
            return Rebuilt::NeedsHelp;
        }
        let job = turn.job();
        turn.act(Action::ClearStore(job));
        self.step = Step::Clear(job);
        Rebuilt::NotYet
    }
}

impl Step {
    fn ask_extent<C>(turn: &mut Turn<'_, C>) -> Step {
        let job = turn.job();
        turn.act(Action::AskExtent(job));
        Step::Extent(job)
    }
}

/// The replicas that can help. The leader first: none knows more, and a digest round believes it.
/// But last for a new replica, which many may be at a time: it has clients to serve.
fn sources(mut peers: Vec<PeerState>, beyond: LogOffset, is_new: bool) -> VecDeque<NodeId> {
    peers.retain(|peer| peer.readable && peer.folded >= beyond);
    peers.sort_by_key(|peer| (peer.serves == is_new, Reverse(peer.folded)));
    peers.into_iter().map(|peer| peer.node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_asked_first_and_then_who_has_most_but_last_by_a_new_replica() {
        let peer = |node, folded| PeerState {
            node: NodeId(node),
            readable: true,
            has_room: true,
            serves: false,
            folded: LogOffset(folded),
        };
        let peers = vec![
            peer(1, 30),
            PeerState { serves: true, ..peer(2, 20) },
            peer(3, 40),
            peer(4, 19),
            PeerState { readable: false, ..peer(5, 50) },
        ];
        assert_eq!(sources(peers.clone(), LogOffset(20), false), [2, 3, 1].map(NodeId));
        assert_eq!(sources(peers, LogOffset(20), true), [3, 1, 2].map(NodeId));
    }
}
