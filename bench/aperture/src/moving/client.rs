//! One client as the world sees it.

use super::balancing::Balancing;
use crate::key::Key;
use cortado_aperture::{Coordinate, Effect, Nanos, Random, SteadyCoordinate};

/// A client, while it runs.
pub(super) struct Client<B> {
    /// `None` while it does not run.
    pub(super) balancer: Option<B>,
    /// How often it has been restarted.
    pub(super) life: u32,
    /// What it knows of its coordinate; `None` if nothing yet.
    pub(super) steady: Option<SteadyCoordinate>,
    pub(super) random: Random,
    /// By endpoint: which life of it there is a connection to, plus one; 0 if there is none.
    connected: Vec<u32>,
    /// Whether it has run from the beginning.
    pub(super) is_survivor: bool,
    /// Requests sent ten seconds after things began to happen, or later, that have ended; and those
    /// of them that succeeded.
    pub(super) tries: u32,
    pub(super) successes: u32,
}

impl<B> Client<B> {
    /// A client that does not run yet.
    pub(super) fn new(endpoints: usize, random: Random) -> Client<B> {
        Client {
            balancer: None,
            life: 0,
            steady: None,
            random,
            connected: vec![0; endpoints],
            is_survivor: false,
            tries: 0,
            successes: 0,
        }
    }

    pub(super) fn is_connected(&self, key: Key) -> bool {
        self.connected[key.number as usize] == key.life + 1
    }

    /// Answers whether that is news.
    pub(super) fn connect(&mut self, key: Key) -> bool {
        let before = std::mem::replace(&mut self.connected[key.number as usize], key.life + 1);
        before != key.life + 1
    }

    pub(super) fn disconnect(&mut self, key: Key) {
        if self.is_connected(key) {
            self.connected[key.number as usize] = 0;
        }
    }

    pub(super) fn connections(&self) -> u32 {
        self.connected.iter().filter(|life| **life > 0).count() as u32
    }

    /// Stops it: whatever it had is gone.
    pub(super) fn stop(&mut self) {
        self.balancer = None;
        self.steady = None;
        self.life += 1;
        self.is_survivor = false;
        self.connected.fill(0);
    }

    pub(super) fn observe(&mut self, now: Nanos, coordinate: Coordinate) {
        if let Some(steady) = &mut self.steady {
            steady.observe(now, coordinate);
        }
    }
}

impl<B: Balancing> Client<B> {
    /// Lets it stand where it should, and look after its endpoints.
    pub(super) fn tick(&mut self, now: Nanos) -> Vec<Effect<Key>> {
        let mut effects = self.stand(now);
        if let Some(balancer) = &mut self.balancer {
            effects.extend(balancer.tick(now));
        }
        effects
    }

    pub(super) fn stand(&mut self, now: Nanos) -> Vec<Effect<Key>> {
        match (&mut self.balancer, &mut self.steady) {
            (Some(balancer), Some(steady)) => balancer.stand_at(now, steady.position(now)),
            _ => Vec::new(),
        }
    }

    /// As [`tick`](Self::tick), if the balancer asks for it.
    pub(super) fn tick_if_wanted(&mut self, now: Nanos) -> Vec<Effect<Key>> {
        match &mut self.balancer {
            Some(balancer) if balancer.wants_tick() => balancer.tick(now),
            _ => Vec::new(),
        }
    }
}
