//! What every part of a driver works with during one event.

use crate::action::Action;
use crate::event::JobId;
use crate::news::News;
use crate::settings::{Me, Settings};
use alloc::vec::Vec;
use cortado_model::Millis;
use cortado_replica::Now;

/// One event's time, and where its actions go.
pub(crate) struct Turn<'a, C> {
    pub(crate) now: Now,
    pub(crate) me: &'a Me,
    pub(crate) settings: &'a Settings,
    /// The last number that was given to an action.
    pub(crate) jobs: &'a mut u64,
    pub(crate) actions: &'a mut Vec<Action<C>>,
}

impl<C> Turn<'_, C> {
    /// The steady clock.
    pub(crate) fn clock(&self) -> Millis {
        self.now.clock
    }

    pub(crate) fn job(&mut self) -> JobId {
        *self.jobs += 1;
        JobId(*self.jobs)
    }

    pub(crate) fn act(&mut self, action: Action<C>) {
        self.actions.push(action);
    }

    pub(crate) fn tell(&mut self, news: News) {
        self.actions.push(Action::Tell(news));
    }
}
