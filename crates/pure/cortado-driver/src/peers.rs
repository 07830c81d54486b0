//! What a running replica asks the others, and what follows from their answers: whether they have
//! what a claimant lacks, whether a gap is in this replica alone, and whether most dispute what a
//! leader goes on with.
//!
//! No answer is awaited without a bound. Start reading at [`Life::keep_asking`].
//! Source: docs/protocols/replication.md, "The fold" and "Taking over".

use crate::action::Action;
use crate::asking::{Comparing, Urgency};
use crate::comparison::{Comparison, Witnesses, compare};
use crate::event::JobId;
use crate::halt::Halt;
use crate::life::Life;
use crate::news::News;
use crate::standing::{Folded, PeerAnswers};
use crate::turn::Turn;
use cortado_model::{Generation, LogOffset, Millis, NodeId, Scn};
use cortado_replica::{ClaimReason, Conflict, FoldState, Input, LeaseSettings, Role};

impl<C> Life<C> {
    /// The core wants to know what others have before it opens its generation.
    pub(crate) fn compare(&mut self, until: Millis) {
        let own = Folded::of(self.core.fold());
        self.comparing = Comparing::BeforeOpening { own, until, agreed: false };
        self.asking.begin();
    }

    /// Asks what is to be known, and does what has become due.
    pub(crate) fn keep_asking(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let now = turn.clock();
        self.end_comparison();
        self.check_gap(turn)?;
        if let Comparing::BeforeOpening { own, until, agreed } = self.comparing
            && now >= until
        {
            self.open(own, agreed, false, turn)?;
        }
        if self.asks().is_some() && now >= self.asking.due() {
            let job = turn.job();
            self.asking.asked(job, now);
            turn.act(Action::AskPeers(job));
        }
        Ok(())
    }

    /// When something becomes due by itself.
    pub(crate) fn asking_due(&self) -> Option<Millis> {
        let ask = self.asks().map(|_| self.asking.due());
        let open = match self.comparing {
            Comparing::BeforeOpening { until, .. } => Some(until),
            Comparing::Done | Comparing::Unverified { .. } | Comparing::Diverged { .. } => None,
        };
        [ask, open, self.gap.due()].into_iter().flatten().min()
    }

    /// The others have said how they stand.
    pub(crate) fn on_peers(
        &mut self,
        job: JobId,
        answers: &PeerAnswers,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let urgency = self.asks();
        if !self.asking.answered(job, turn.clock(), urgency) {
            return Ok(());
        }
        self.end_comparison();
        self.gap.heard(answers);
        self.claim_if_most_dispute(answers, turn)?;
        let below = self.core.fold().position.offset;
        let replicas = self.core.fold().replicas.clone();
        let witnesses = Witnesses { replicas: &replicas, placed: answers.placed };
        let compare = |own| compare(&Folded { below, ..own }, answers, witnesses);
        if let Some(own) = self.comparing.own()
            && let Some((holder, folded)) = compare(own).passed
        {
            let since = own.accepted.scn;
            return Err(self.lost((since, holder), folded.below, turn));
        }
        match self.comparing {
            Comparing::Done => Ok(()),
            Comparing::BeforeOpening { own, until, agreed } => {
                let compared = compare(own);
                let agreed = agreed || compared.same > 0;
                if let Some(conflict) = compared.conflict {
                    return self.diverge(own, conflict, turn);
                }
                if compared.awaited > 0 {
                    self.comparing = Comparing::BeforeOpening { own, until, agreed };
                    return Ok(());
                }
                self.open(own, agreed, answers.placed <= 1, turn)
            }
            Comparing::Unverified { own, .. } => {
                self.verify(own.generation, compare(own), turn);
                Ok(())
            }
            Comparing::Diverged { own } => {
                let compared = compare(own);
                // Where none has more any longer, any that agrees will do.
                let could = compared.conflict.map(|conflict| conflict.holder);
                if let Some(node) = could.or(compared.agrees) {
                    turn.act(Action::AskToClaim { node });
                }
                Ok(())
            }
        }
    }

    /// Claims the next generation if most placed replicas have the history of this one, which the
    /// leader does not go on with. If that has served by then, the claim is void.
    fn claim_if_most_dispute(
        &mut self,
        answers: &PeerAnswers,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let is_behind = self.core.needs_records(self.log_end);
        let may_claim = answers.may_claim && !self.stopping && !is_behind;
        // A history that an operator has chosen needs no majority.
        let disputes = self.core.role() == Role::Disputed && !self.core.fold().is_chosen();
        if !disputes || !may_claim {
            return Ok(());
        }
        let own = Folded::of(self.core.fold());
        let agrees = |folded: &Folded| {
            folded.generation == own.generation && folded.accepted == own.accepted
        };
        let replicas = &self.core.fold().replicas;
        let witnesses = Witnesses { replicas, placed: answers.placed };
        let counted = answers.heard.iter().filter(|peer| witnesses.has(peer.node));
        let folded = counted.filter_map(|peer| peer.folded.as_ref());
        let same = 1 + folded.filter(|folded| agrees(folded)).count();
        if !witnesses.are_most(same) {
            return Ok(());
        }
        turn.tell(News::Claims);
        self.step(Input::Claim { reason: ClaimReason::LeaderDisputed, evidence: 0 }, turn)
    }

    /// Whether the generation was opened and no replica has compared histories yet.
    pub(crate) fn is_unverified(&self) -> bool {
        matches!(self.comparing, Comparing::Unverified { .. })
    }

    fn open(
        &mut self,
        own: Folded,
        agreed: bool,
        alone: bool,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let generation = own.generation;
        self.comparing = Comparing::Done;
        if !agreed {
            self.comparing = Comparing::Unverified { own, alone };
            turn.tell(News::Unverified { generation });
        }
        self.step(Input::Open { generation }, turn)
    }

    fn diverge(
        &mut self,
        own: Folded,
        conflict: Conflict,
        turn: &mut Turn<'_, C>,
    ) -> Result<(), Halt> {
        let generation = own.generation;
        self.comparing = Comparing::Diverged { own };
        turn.tell(News::Diverged { generation, conflict, opened: false });
        self.step(Input::Diverged { generation }, turn)?;
        turn.act(Action::AskToClaim { node: conflict.holder });
        Ok(())
    }

    /// The first that comes after the generation was opened.
    fn verify(&mut self, generation: Generation, compared: Comparison, turn: &mut Turn<'_, C>) {
        if let Some(conflict) = compared.conflict {
            turn.tell(News::Diverged { generation, conflict, opened: true });
        } else if compared.same > 0 {
            turn.tell(News::Verified { generation });
        } else {
            return;
        }
        self.comparing = Comparing::Done;
    }

    /// Forgets what is of another leadership.
    fn end_comparison(&mut self) {
        let (generation, role) = (self.core.fold().generation(), self.core.role());
        let leads = matches!(role, Role::Opening | Role::Leader | Role::SteppingDown);
        let goes_on = match self.comparing {
            Comparing::Done => true,
            Comparing::BeforeOpening { own, .. } => {
                role == Role::Opening && own.generation == generation
            }
            Comparing::Unverified { own, .. } => leads && own.generation == generation,
            Comparing::Diverged { .. } => role == Role::Diverged,
        };
        if !goes_on {
            self.comparing = Comparing::Done;
        }
    }

    /// A replica that follows finds out whose gap it is in.
    fn check_gap(&mut self, turn: &mut Turn<'_, C>) -> Result<(), Halt> {
        let now = turn.clock();
        let until = now.plus(wait_ms(self.core.fold(), turn));
        if self.gap.look(self.missing(), until) {
            self.asking.begin();
        }
        self.gap.pass(now);
        let below = self.core.fold().position.offset;
        let Some((since, holder)) = self.gap.lost(below) else { return Ok(()) };
        Err(self.lost((since, holder), below, turn))
    }

    /// The record that a replica which follows finds missing.
    fn missing(&self) -> Option<Scn> {
        let role = self.core.role();
        let follows = matches!(role, Role::Follower | Role::Candidate | Role::Diverged);
        self.core.fold().gap().filter(|_| follows).map(|gap| gap.since)
    }

    /// Whether others may have accepted what is missing here.
    pub(crate) fn may_lack_record(&self) -> bool {
        self.missing().is_some_and(|since| !self.gap.is_of_the_log(since))
    }

    fn lost(
        &self,
        (since, holder): (Scn, NodeId),
        below: LogOffset,
        turn: &mut Turn<'_, C>,
    ) -> Halt {
        turn.tell(News::LostRecord { since, holder });
        let why = alloc::format!("it has lost what {holder} has accepted at {since}");
        Halt::LostRecord { holder, below, why }
    }

    /// How soon it needs to know how the others stand, if at all.
    fn asks(&self) -> Option<Urgency> {
        let compares = match self.comparing {
            Comparing::Done => None,
            Comparing::Unverified { alone: true, .. } => Some(Urgency::Sometime),
            Comparing::BeforeOpening { .. } => Some(Urgency::Now),
            Comparing::Unverified { alone: false, .. } | Comparing::Diverged { .. } => {
                Some(Urgency::Soon)
            }
        };
        let disputes = (self.core.role() == Role::Disputed).then_some(Urgency::Soon);
        let urgency = if self.gap.is_open() { Urgency::Now } else { Urgency::Soon };
        let misses = self.gap.since().map(|_| urgency);
        compares.into_iter().chain(disputes).chain(misses).min()
    }
}

/// D·(1+ρ): by then no leader can hold a lease who has not been heard of.
fn wait_ms<C>(fold: &FoldState, turn: &Turn<'_, C>) -> u64 {
    let lease = turn.settings.replica.lease.unwrap_or(LeaseSettings { drift_percent: 10 });
    lease.wait_ms(fold.leases.longest_ms)
}
