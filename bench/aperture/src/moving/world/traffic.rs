//! One request after the other: picked, worked on, answered or given up.

use super::{Balancing, Event, PATIENCE, Request, SECOND, WORK_NANOS, World};
use crate::key::Key;
use crate::moving::machine::Ticket;
use cortado_aperture::{Nanos, Outcome};

impl<B: Balancing> World<B> {
    pub(super) fn arrive(&mut self) {
        let gap = (self.arrivals.exponential() * self.gap) as u64;
        self.schedule(self.now + gap, Event::Arrival);
        let Some(id) = self.choose_client() else { return };
        let client = &mut self.clients[id as usize];
        let balancer = client.balancer.as_mut().expect("it is present");
        let picked = balancer.pick(Nanos(self.now), &client.random);
        if let Some((key, permit)) = picked {
            self.send(id, key, permit);
        } else if self.now >= self.script.begin {
            self.tally.refused += 1;
        }
        let effects = self.clients[id as usize].tick_if_wanted(Nanos(self.now));
        self.carry_out(id, effects);
    }

    pub(super) fn choose_client(&self) -> Option<u32> {
        let total = self.present.last()?.1;
        let point = self.arrivals.unit() * total;
        let at = self.present.partition_point(|(_, sum)| *sum <= point);
        self.present.get(at).map(|(id, _)| *id)
    }

    pub(super) fn send(&mut self, id: u32, key: Key, permit: B::Permit) {
        if self.now >= self.script.begin + 5 * SECOND {
            self.picks[key.number as usize] += 1;
        }
        self.serial += 1;
        let life = self.clients[id as usize].life;
        let (serial, sent) = (self.serial, self.now);
        let request = Request { serial, id, life, permit, sent };
        let place = self.free.pop().unwrap_or_else(|| {
            self.requests.push(None);
            self.requests.len() - 1
        });
        self.requests[place] = Some(request);
        let ticket = Ticket { request: place, serial };
        self.deadlines.push_back((self.now + PATIENCE, ticket));
        let round_trip = self.round_trip(id, key.number);
        let machine = &mut self.machines[key.number as usize];
        if !machine.is_up || machine.life != key.life || machine.is_failing {
            self.schedule(self.now + round_trip, Event::Reply { ticket, is_success: false });
            return;
        }
        let begins = machine.take(ticket);
        if self.clients[id as usize].connect(key) {
            self.count_opened(id);
        }
        if begins {
            self.work_on(key.number, ticket);
        }
    }

    pub(super) fn work_on(&mut self, number: u32, ticket: Ticket) {
        let machine = &self.machines[number as usize];
        let work = self.work.exponential() * WORK_NANOS * machine.slowness(self.now);
        let life = machine.life;
        self.schedule(self.now + work as u64, Event::Done { number, life, ticket });
    }

    pub(super) fn finish_work(&mut self, number: u32, life: u32, ticket: Ticket) {
        let machine = &mut self.machines[number as usize];
        if machine.life != life || !machine.is_up {
            return;
        }
        let requests = &self.requests;
        let is_wanted = |ticket: Ticket| is_under_way(requests, ticket);
        let next = machine.finish(ticket, is_wanted);
        if let Some(next) = next {
            self.work_on(number, next);
        }
        if is_under_way(&self.requests, ticket) {
            let id = self.requests[ticket.request].as_ref().expect("under way").id;
            let at = self.now + self.round_trip(id, number);
            self.schedule(at, Event::Reply { ticket, is_success: true });
        }
    }

    /// A request ends: it is answered, or its client has lost patience.
    pub(super) fn end_request(&mut self, ticket: Ticket, is_success: bool) {
        if !is_under_way(&self.requests, ticket) {
            return;
        }
        let request = self.requests[ticket.request].take().expect("under way");
        self.free.push(ticket.request);
        let client = &mut self.clients[request.id as usize];
        if client.life != request.life {
            // The client is gone, and with it the balancer.
            return;
        }
        let outcome = if is_success { Outcome::Success } else { Outcome::Failure };
        if let Some(balancer) = &mut client.balancer {
            balancer.finish(request.permit, Nanos(self.now), outcome);
        }
        if request.sent >= self.script.begin + 10 * SECOND {
            client.tries += 1;
            client.successes += u32::from(is_success);
        }
        let effects = client.tick_if_wanted(Nanos(self.now));
        self.carry_out(request.id, effects);
        self.count_request(request.sent, is_success);
    }

    pub(super) fn count_request(&mut self, sent: u64, is_success: bool) {
        if sent < self.script.begin {
            return;
        }
        let is_late = sent >= self.script.begin + 10 * SECOND;
        self.tally.late += u64::from(is_late);
        if is_success {
            self.tally.latencies.push(((self.now - sent) / 1_000) as u32);
        } else {
            self.tally.failed += 1;
            self.tally.failed_late += u64::from(is_late);
        }
    }
}

fn is_under_way<P>(requests: &[Option<Request<P>>], ticket: Ticket) -> bool {
    requests[ticket.request].as_ref().is_some_and(|request| request.serial == ticket.serial)
}
