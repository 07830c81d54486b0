//! What the script says, carried out; and what clients learn of it.

use super::{Balancing, Event, NOTICE_MAX, ROUND_TRIP, SECOND, World};
use crate::key::Key;
use crate::moving::script::Action;
use cortado_aperture::{Change, Coordinate, Effect, Nanos, Pace, SteadyCoordinate};
use std::rc::Rc;

impl<B: Balancing> World<B> {
    pub(super) fn act(&mut self, index: usize) {
        match self.script.actions[index].1.clone() {
            Action::Crash(numbers) => numbers.into_iter().for_each(|number| self.crash(number)),
            Action::Start { numbers, is_cold } => {
                for number in numbers {
                    let machine = &mut self.machines[number as usize];
                    machine.start(self.now, is_cold);
                    self.lives.borrow_mut()[number as usize] = Some(machine.life);
                }
            }
            Action::Announce(changes) => self.announce(index, &changes),
            Action::Slow(number, slowness) => self.machines[number as usize].slowness = slowness,
            Action::Fail(number) => self.machines[number as usize].is_failing = true,
            Action::Stop(ids) => {
                ids.into_iter().for_each(|id| self.clients[id as usize].stop());
                self.count_present();
            }
            Action::Return(ids, placed_after) => {
                ids.into_iter().for_each(|id| self.return_client(id, placed_after));
                self.count_present();
            }
            Action::Recount(peers) => self.recount(peers),
        }
    }

    pub(super) fn crash(&mut self, number: u32) {
        let machine = &mut self.machines[number as usize];
        let key = Key { number, life: machine.life };
        let lost = machine.crash();
        self.lives.borrow_mut()[number as usize] = None;
        for ticket in lost {
            let at = self.now + ROUND_TRIP;
            self.schedule(at, Event::Reply { ticket, is_success: false });
        }
        self.clients.iter_mut().for_each(|client| client.disconnect(key));
    }

    pub(super) fn announce(&mut self, index: usize, changes: &[Change<Key, ()>]) {
        for change in changes {
            match change {
                Change::Insert(key, weight, ()) => {
                    self.listed.insert(key.number, (*key, *weight));
                }
                Change::Remove(key) => {
                    self.listed.remove(&key.number);
                }
                Change::Weigh(..) => {}
            }
        }
        for at in 0..self.present.len() {
            let (id, _) = self.present[at];
            let at = self.now + self.notices.below(NOTICE_MAX);
            self.schedule(at, Event::Notice { id, action: index });
        }
    }

    pub(super) fn notice(&mut self, id: u32, action: usize) {
        let Action::Announce(changes) = &self.script.actions[action].1 else { return };
        let client = &mut self.clients[id as usize];
        let Some(balancer) = &mut client.balancer else { return };
        let effects = balancer.update(Nanos(self.now), changes);
        for change in changes {
            if let Change::Remove(key) = change {
                client.disconnect(*key);
            }
        }
        self.carry_out(id, effects);
    }

    /// A client starts and asks discovery; it may know its place already.
    pub(super) fn start_client(
        &mut self,
        id: u32,
        steady: Option<SteadyCoordinate>,
    ) -> Vec<Effect<Key>> {
        let client = &mut self.clients[id as usize];
        client.balancer = Some((self.make)(id, Rc::clone(&self.lives)));
        client.steady = steady;
        let mut effects = client.stand(Nanos(self.now));
        let all = self.listed.values().map(|(key, weight)| Change::Insert(*key, *weight, ()));
        let all: Vec<_> = all.collect();
        let balancer = client.balancer.as_mut().expect("just made");
        effects.extend(balancer.update(Nanos(self.now), &all));
        effects
    }

    pub(super) fn return_client(&mut self, id: u32, placed_after: u64) {
        let life = self.clients[id as usize].life;
        let coordinate = Coordinate::new(id, self.script.peers).expect("below the count");
        let steady = SteadyCoordinate::settled(Pace::default(), coordinate);
        let effects = self.start_client(id, (placed_after == 0).then_some(steady));
        if placed_after > 0 {
            self.schedule(self.now + placed_after, Event::Placed { id, life });
        }
        self.carry_out(id, effects);
    }

    pub(super) fn place(&mut self, id: u32, life: u32) {
        let coordinate = Coordinate::new(id, self.script.peers).expect("below the count");
        let client = &mut self.clients[id as usize];
        if client.life == life {
            client.steady = Some(SteadyCoordinate::settled(Pace::default(), coordinate));
            let effects = client.stand(Nanos(self.now));
            self.carry_out(id, effects);
        }
    }

    pub(super) fn recount(&mut self, peers: u32) {
        let before = self.script.peers;
        for id in before..peers {
            let steady = SteadyCoordinate::new(Pace::default());
            self.clients[id as usize].steady = Some(steady);
            let coordinate = Coordinate::new(id, peers).expect("below the count");
            self.clients[id as usize].observe(Nanos(self.now), coordinate);
            let steady = self.clients[id as usize].steady.take();
            let effects = self.start_client(id, steady);
            self.carry_out(id, effects);
        }
        self.count_present();
        let late = self.notices.choose(before as usize / 2, before);
        for id in 0..before {
            let wait = if late.contains(&id) { 10 * SECOND } else { 0 };
            self.schedule(self.now + wait, Event::Counted { id, peers });
        }
    }

    pub(super) fn count_present(&mut self) {
        let mut sum = 0.0;
        self.present.clear();
        for (id, client) in (0..).zip(&self.clients) {
            if client.balancer.is_some() {
                sum += self.script.traffic.get(id as usize).copied().unwrap_or(1.0);
                self.present.push((id, sum));
            }
        }
    }
}
