//! How a generation stands when the next one is claimed.

use crate::fold::FoldState;
use cortado_model::{NodeId, Scn};

/// How a generation stood when the next one was claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Former {
    /// Its last accepted record.
    pub(super) end: Scn,
    /// No replica serves under a lease of it: it has stepped down, or none has ever led.
    pub(super) ended: bool,
    /// It has stepped down for this replica, or none has ever led: no other claims, and what was
    /// accepted before is whole.
    pub(super) awaits_me: bool,
}

impl Former {
    /// The generation that `fold` has come to, as `me` sees it.
    pub(super) fn of(fold: &FoldState, me: NodeId) -> Former {
        let never_led = fold.claimant.is_none();
        let named = fold.stepped_down.and_then(|step_down| step_down.to);
        Former {
            end: fold.last,
            ended: never_led || fold.stepped_down.is_some(),
            awaits_me: never_led || named == Some(me),
        }
    }
}
