//! What publishing needs of a replica: lent to its leader for one step.
//!
//! Start reading at [`Publish`].

use super::identity::Identity;
use super::outbox::Outbox;
use crate::fold::FoldState;
use crate::protocol::{AppendToken, Settings};

/// What a leader borrows from its replica to publish.
pub(super) struct Publish<'a, 'b> {
    pub(super) me: &'a Identity,
    pub(super) settings: &'a Settings,
    pub(super) fold: &'a FoldState,
    pub(super) next_token: &'a mut AppendToken,
    pub(super) out: &'a mut Outbox<'b>,
}

/// The next append's, which no other append of the replica has.
pub(super) fn take_token(next: &mut AppendToken) -> AppendToken {
    let token = *next;
    next.0 += 1;
    token
}
