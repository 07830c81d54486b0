//! The attempts at one call: which server each asks, how long it may take, and which is the last.
//!
//! What can go to another server at once, since the one before never had it, is still the same
//! attempt. Start reading at [`Tries::on_failure`].

use crate::address::ServerAddress;
use crate::failure::{AttemptError, ClientError};
use crate::patience::Patience;
use crate::retry::{FailedAttempt, Next, Repeat, is_last_word, next};
use crate::servers::{Asked, Servers};
use crate::transport::Outgoing;
use cortado_wire::{Code, Outcome, Problem, headers};
use http::HeaderValue;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The server answers late rather than never: we wait this much longer than it was told to take,
/// since its own "not done" is worth more than our "unknown".
const GRACE: Duration = Duration::from_millis(500);
/// How long a call may fail in silence: a failover is often over by then.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// The attempts of one call so far.
pub(crate) struct Tries<'a> {
    servers: &'a Servers,
    /// It tells once: who is told is taken out.
    patience: Patience,
    repeat: Repeat,
    begun: Instant,
    attempts: u32,
    /// Whether one of them may have taken effect.
    open: Outcome,
    /// When the present one ends, as its server is told.
    ends_at: Instant,
    /// Who has been asked in the present one.
    spent: Vec<ServerAddress>,
    /// Whether this machine said of each of those that no server runs.
    are_refused_here: bool,
    /// Who is asked next in the present one.
    elsewhere: Option<Asked<'a>>,
    /// Who failed last: the next attempt asks another one, if there is one that works.
    avoided: Option<ServerAddress>,
    /// What each server has met that was asked before, the last of each.
    earlier: Vec<(ServerAddress, AttemptError)>,
}

impl<'a> Tries<'a> {
    /// * `avoided`: a server that is asked only if there is no other one that works.
    pub(crate) fn of(
        servers: &'a Servers,
        patience: Patience,
        repeat: Repeat,
        avoided: Option<ServerAddress>,
    ) -> Tries<'a> {
        let now = Instant::now();
        Tries {
            servers,
            patience,
            repeat,
            begun: now,
            attempts: 0,
            open: Outcome::None,
            ends_at: now,
            spent: Vec::new(),
            are_refused_here: true,
            elsewhere: None,
            avoided,
            earlier: Vec::new(),
        }
    }

    /// Whether an attempt before the present one may have taken effect.
    pub(crate) fn open(&self) -> Outcome {
        self.open
    }

    /// The server that is asked next; begins an attempt unless the present one goes on.
    pub(crate) fn next_server(&mut self) -> Asked<'a> {
        if let Some(asked) = self.elsewhere.take() {
            return asked;
        }
        self.attempts += 1;
        let attempt = self.left().min(self.patience.timeouts.attempt);
        self.ends_at = Instant::now() + attempt.max(Duration::from_millis(1));
        self.spent.clear();
        self.are_refused_here = true;
        let servers = self.servers;
        let other = self.avoided.take().and_then(|server| servers.pick_other_healthy(&server));
        other.unwrap_or_else(|| servers.pick())
    }

    /// The request of the present attempt, which tells the server how long it may take.
    pub(crate) fn outgoing(&self, outgoing: &Outgoing) -> Outgoing {
        let mut outgoing = outgoing.clone();
        let left = self.ends_at.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        outgoing.headers.insert(headers::DEADLINE_MS, HeaderValue::from(left_ms.max(1)));
        outgoing
    }

    /// Until when we wait for an answer.
    pub(crate) fn deadline(&self) -> Instant {
        self.ends_at + GRACE
    }

    /// Prepares to ask another server in the same attempt, or waits until the next one is due.
    ///
    /// # Errors
    /// There is no next attempt.
    pub(crate) async fn on_failure(
        &mut self,
        server: ServerAddress,
        failed: FailedAttempt,
    ) -> Result<(), ClientError> {
        self.spent.push(server.clone());
        self.are_refused_here &= failed.is_refused_here;
        if failed.may_go_elsewhere() && Instant::now() < self.ends_at {
            self.elsewhere = self.servers.pick_other(&self.spent);
        }
        if self.elsewhere.is_some() {
            self.note(server, failed.met);
            return Ok(());
        }
        let is_refused_here = self.are_refused_here;
        self.pause_or_stop(server, FailedAttempt { is_refused_here, ..failed.of(self.repeat) })
            .await
    }

    async fn pause_or_stop(
        &mut self,
        server: ServerAddress,
        failed: FailedAttempt,
    ) -> Result<(), ClientError> {
        let left = self.whole_of(&failed).saturating_sub(self.begun.elapsed());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        match next(&failed, self.repeat, self.attempts, fastrand::f64(), left_ms) {
            Next::Again { pause_ms } => {
                if failed.outcome == Outcome::Unknown {
                    self.open = Outcome::Unknown;
                }
                if self.begun.elapsed() >= TOLD_AFTER
                    && let Some(tell) = self.patience.tell.take()
                {
                    tell(&failed.met.to_string());
                }
                self.avoided = Some(server.clone());
                self.note(server, failed.met);
                sleep(Duration::from_millis(pause_ms)).await;
                Ok(())
            }
            Next::Stop => Err(self.give_up(server, failed)),
        }
    }

    /// How long a call that met `failed` may take in all.
    fn whole_of(&self, failed: &FailedAttempt) -> Duration {
        let whole = self.patience.timeouts.whole;
        match self.patience.refused_max {
            Some(max) if failed.is_refused_here && !self.servers.has_answered() => whole.min(max),
            Some(_) | None => whole,
        }
    }

    fn left(&self) -> Duration {
        self.patience.timeouts.whole.saturating_sub(self.begun.elapsed())
    }

    /// Remembers the last that `server` met.
    fn note(&mut self, server: ServerAddress, met: AttemptError) {
        self.earlier.retain(|(known, _)| *known != server);
        self.earlier.push((server, met));
    }

    fn give_up(&mut self, server: ServerAddress, failed: FailedAttempt) -> ClientError {
        let waited_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempts = self.attempts;
        let FailedAttempt { outcome, met, is_transient, .. } = failed;
        // Without a key, the last word may be about what an attempt before has done.
        let is_last_word = met.problem().is_some_and(|problem| is_last_word(problem.status));
        let is_settled =
            self.open == Outcome::None || (self.repeat == Repeat::Remembered && is_last_word);
        let last = match (outcome, met) {
            (Outcome::None, AttemptError::Problem(problem)) if !is_transient && is_settled => {
                return ClientError::Refused(self.named(&server, problem));
            }
            (Outcome::None, AttemptError::Transport(error)) if !is_transient => {
                return ClientError::Misuse { why: error.to_string() };
            }
            (_, met) => self.of_servers(server, met),
        };
        match outcome {
            Outcome::None if self.open == Outcome::None => {
                ClientError::Unavailable { waited_ms, attempts, last }
            }
            Outcome::None | Outcome::Unknown => ClientError::Unknown { waited_ms, attempts, last },
        }
    }

    /// What was met in the end, and where there are several servers what each of them has met.
    fn of_servers(&mut self, server: ServerAddress, met: AttemptError) -> AttemptError {
        if !self.servers.addresses().are_several() {
            return met;
        }
        let mut earlier = std::mem::take(&mut self.earlier);
        earlier.retain(|(known, _)| *known != server);
        AttemptError::OfServers { earlier, server, last: Box::new(met) }
    }

    /// A refusal that concerns one of several servers says which.
    fn named(&self, server: &ServerAddress, mut problem: Box<Problem>) -> Box<Problem> {
        if self.servers.addresses().are_several() && problem.code == Code::WrongHost.name() {
            problem.detail = format!("{server}: {}", problem.detail);
        }
        problem
    }
}
