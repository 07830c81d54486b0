//! What balancers ask for: connections opened and closed.

use super::{Balancing, Event, World};
use crate::key::Key;
use cortado_aperture::{Effect, Nanos};

impl<B: Balancing> World<B> {
    pub(super) fn carry_out(&mut self, id: u32, effects: Vec<Effect<Key>>) {
        for effect in effects {
            match effect {
                Effect::Open(key) => {
                    let life = self.clients[id as usize].life;
                    let at = self.now + 2 * self.round_trip(id, key.number);
                    self.schedule(at, Event::Connected { id, life, key });
                }
                Effect::Close(key) => self.clients[id as usize].disconnect(key),
            }
        }
    }

    pub(super) fn finish_connecting(&mut self, id: u32, life: u32, key: Key) {
        let machine = &self.machines[key.number as usize];
        let is_open = machine.is_up && machine.life == key.life;
        let client = &mut self.clients[id as usize];
        if client.life != life {
            return;
        }
        let is_new = is_open && client.connect(key);
        let Some(balancer) = &mut client.balancer else { return };
        let effects = balancer.opened(Nanos(self.now), key, is_open);
        if is_new {
            self.count_opened(id);
        }
        self.carry_out(id, effects);
    }

    pub(super) fn count_opened(&mut self, id: u32) {
        let is_survivor = self.clients[id as usize].is_survivor;
        self.tally.opened += u64::from(is_survivor && self.now >= self.script.begin);
    }
}
