//! What the world needs of a balancer, and the balancer that ships.

use crate::key::Key;
use cortado_aperture::{
    Balancer, Change, Effect, LoadMetric, Nanos, Outcome, Permit, Position, Random,
};
use std::cell::RefCell;
use std::rc::Rc;

/// A client's balancer.
pub(super) trait Balancing {
    /// Stands for a request that is under way; dropped if it was given up.
    type Permit;

    /// An endpoint for one request; `None` if there is none.
    fn pick(&mut self, now: Nanos, random: &Random) -> Option<(Key, Self::Permit)>;
    /// A request has ended.
    fn finish(&mut self, permit: Self::Permit, now: Nanos, outcome: Outcome);
    /// Discovery says so.
    fn update(&mut self, now: Nanos, changes: &[Change<Key, ()>]) -> Vec<Effect<Key>>;
    /// The client stands there among its peers.
    fn stand_at(&mut self, now: Nanos, position: Position) -> Vec<Effect<Key>>;
    /// A connection was opened, or could not be.
    fn opened(&mut self, now: Nanos, key: Key, is_open: bool) -> Vec<Effect<Key>>;
    /// Time has passed.
    fn tick(&mut self, now: Nanos) -> Vec<Effect<Key>>;
    /// Whether it should be called at once.
    fn wants_tick(&self) -> bool;
}

/// Which life of each endpoint is up; `None` if it is down.
pub(super) type Lives = Rc<RefCell<Vec<Option<u32>>>>;

/// Whether a connection to `key` still works.
pub(super) fn is_up(lives: &Lives, key: Key) -> bool {
    lives.borrow()[key.number as usize] == Some(key.life)
}

/// The balancer of `cortado-aperture`, as it ships.
pub(super) struct Core<M: LoadMetric> {
    balancer: Balancer<Key, (), M>,
    lives: Option<Lives>,
}

/// How many endpoints one request is offered to before it fails: as many as by the `tower` service.
const ASKED_MAX: usize = 6;

impl<M: LoadMetric> Core<M> {
    pub(super) fn new(balancer: Balancer<Key, (), M>) -> Core<M> {
        Core { balancer, lives: None }
    }

    /// Connections report that they are broken, before they take a request.
    pub(super) fn reporting(mut self, lives: Lives) -> Core<M> {
        self.lives = Some(lives);
        self
    }
}

impl<M: LoadMetric> Balancing for Core<M> {
    type Permit = Permit<M>;

    fn pick(&mut self, now: Nanos, random: &Random) -> Option<(Key, Permit<M>)> {
        for _ in 0..ASKED_MAX {
            let picked = self.balancer.pick_and(now, random, |endpoint| *endpoint.key())?;
            let (key, permit) = picked;
            if self.lives.as_ref().is_none_or(|lives| is_up(lives, key)) {
                return Some((key, permit));
            }
            permit.finish(now, Outcome::Failure);
        }
        None
    }

    fn finish(&mut self, permit: Permit<M>, now: Nanos, outcome: Outcome) {
        permit.finish(now, outcome);
    }

    fn update(&mut self, now: Nanos, changes: &[Change<Key, ()>]) -> Vec<Effect<Key>> {
        self.balancer.update(now, changes.iter().cloned())
    }

    fn stand_at(&mut self, now: Nanos, position: Position) -> Vec<Effect<Key>> {
        self.balancer.stand_at(now, position)
    }

    fn opened(&mut self, now: Nanos, key: Key, is_open: bool) -> Vec<Effect<Key>> {
        self.balancer.opened(now, &key, is_open)
    }

    fn tick(&mut self, now: Nanos) -> Vec<Effect<Key>> {
        self.balancer.tick(now)
    }

    fn wants_tick(&self) -> bool {
        self.balancer.wants_tick()
    }
}
