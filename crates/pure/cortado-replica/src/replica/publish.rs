//! What publishing needs of a replica: lent to its leader for one step.
//!
//! Start reading at [`Publish`].

use super::identity::Identity;
use super::outbox::Outbox;
use crate::fold::FoldState;
use crate::log_time::LogTime;
use crate::protocol::{AppendToken, Settings};
use cortado_model::back_off_ms;

/// What a leader borrows from its replica to publish.
pub(super) struct Publish<'a, 'b> {
    pub(super) me: &'a Identity,
    pub(super) settings: &'a Settings,
    pub(super) fold: &'a FoldState,
    /// As the fold has met it.
    pub(super) time: LogTime,
    pub(super) next_token: &'a mut AppendToken,
    pub(super) out: &'a mut Outbox<'b>,
}

impl Publish<'_, '_> {
    /// How long to wait after so many failures, 1 or more, that have followed one another.
    pub(super) fn back_off_ms(&self, failures: u32) -> u64 {
        // A UUID differs from all others in each half.
        let partition = self.fold.genesis.identity.partition.0 as u64;
        back_off_ms(self.settings.retry_ms, failures, partition)
    }
}

/// The next append's, which no other append of the replica has.
pub(super) fn take_token(next: &mut AppendToken) -> AppendToken {
    let token = *next;
    next.0 += 1;
    token
}
