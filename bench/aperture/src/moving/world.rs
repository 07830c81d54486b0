//! The world: a clock that jumps from one event to the next, and everything that waits for it.
//!
//! Its load: as many requests as keep 60 % of the slots busy (45 % where endpoints go down), 100 ms
//! each on average, with exponential gaps and times. A client gives a request up after 2 seconds.
//! Start reading at [`World::run`].

mod connections;
mod happenings;
mod traffic;

use super::balancing::{Balancing, Lives};
use super::client::Client;
use super::machine::{Machine, Ticket};
use super::script::{SECOND, Script};
use super::tally::Tally;
use super::tower::Clock;
use crate::draw::{Draw, seed_of};
use crate::key::Key;
use crate::still::Spread;
use cortado_aperture::{Coordinate, Effect, Nanos, Pace, Random, SteadyCoordinate, Weight};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;

/// What a request costs an endpoint on average.
const WORK_NANOS: f64 = 1e8;
/// When a client gives up.
const PATIENCE: u64 = 2 * SECOND;
/// Network time of a request and its answer, where there are no zones.
const ROUND_TRIP: u64 = 500_000;
/// Clients learn what discovery says within that.
const NOTICE_MAX: u64 = 2 * SECOND;

/// So many failures in a sequence, and no success, are no bad luck: with 40 % of its endpoints down
/// a client has it once in ten thousand times.
const TRIES_MIN: u32 = 10;

/// Everything, at one moment.
pub(super) struct World<B: Balancing> {
    script: Script,
    make: Box<dyn Fn(u32, Lives) -> B>,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    queued: u64,
    /// When requests are given up, in order.
    deadlines: VecDeque<(u64, Ticket)>,
    clients: Vec<Client<B>>,
    /// Those that run, and the sum of what they and those before them send.
    present: Vec<(u32, f64)>,
    machines: Vec<Machine>,
    lives: Lives,
    /// What discovery says now.
    listed: BTreeMap<u32, (Key, Weight)>,
    requests: Vec<Option<Request<B::Permit>>>,
    free: Vec<usize>,
    serial: u64,
    /// Picks of each endpoint once things have happened for five seconds.
    picks: Vec<u64>,
    tally: Tally,
    arrivals: Draw,
    /// Between two of them, on average, in nanoseconds.
    gap: f64,
    work: Draw,
    notices: Draw,
}

/// What waits for its time. The order breaks ties of time and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A user wants something.
    Arrival,
    /// An endpoint has done its work.
    Done { number: u32, life: u32, ticket: Ticket },
    /// The answer is back.
    Reply { ticket: Ticket, is_success: bool },
    /// A connection is there, or is refused.
    Connected { id: u32, life: u32, key: Key },
    /// A client learns what discovery has said in this action.
    Notice { id: u32, action: usize },
    /// A client learns how many peers there are.
    Counted { id: u32, peers: u32 },
    /// A client that has just started learns its place.
    Placed { id: u32, life: u32 },
    /// An action of the script.
    Action(usize),
    /// A second has passed.
    Tick,
}

/// A request on its way.
struct Request<P> {
    serial: u64,
    id: u32,
    life: u32,
    permit: P,
    sent: u64,
}

impl<B: Balancing> World<B> {
    /// The world before anything has happened: everyone is connected.
    pub(super) fn new(
        script: Script,
        make: impl Fn(u32, Lives) -> B + 'static,
        seed: u64,
    ) -> World<B> {
        let count = script.slots.len();
        let random = |id: u32| Random::new(seed_of(seed ^ u64::from(id) << 32, "client"));
        let clients = (0..script.peers_in_all).map(|id| Client::new(count, random(id)));
        World {
            make: Box::new(make),
            now: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            deadlines: VecDeque::new(),
            clients: clients.collect(),
            present: Vec::new(),
            machines: script.slots.iter().map(|slots| Machine::new(*slots)).collect(),
            lives: Rc::new(vec![Some(0); count].into()),
            listed: script.listed.clone(),
            requests: Vec::new(),
            free: Vec::new(),
            serial: 0,
            picks: vec![0; count],
            tally: Tally::default(),
            arrivals: Draw::new(seed, "arrivals"),
            gap: WORK_NANOS / (script.slots_in_all() as f64 * script.busy),
            work: Draw::new(seed, "work"),
            notices: Draw::new(seed, "notices"),
            script,
        }
    }

    /// Lets everything happen; answers what was counted. `clock`: goes with the world's time.
    pub(super) fn run(mut self, clock: Option<&Clock>) -> Tally {
        self.begin();
        while let Some((at, event)) = self.next() {
            if at >= self.script.end {
                break;
            }
            let was_before = self.now < self.script.begin;
            self.now = at;
            if was_before && at >= self.script.begin {
                self.tally.had =
                    self.survivors().map(|client| u64::from(client.connections())).sum();
            }
            if let Some(clock) = clock {
                clock.set(Nanos(at));
            }
            match event {
                Ok(event) => self.handle(event),
                Err(ticket) => self.end_request(ticket, false),
            }
        }
        self.finish()
    }

    fn begin(&mut self) {
        for id in 0..self.script.peers {
            let peers = self.script.peers;
            let coordinate = Coordinate::new(id, peers).expect("below the count");
            let steady = SteadyCoordinate::settled(Pace::default(), coordinate);
            let mut effects = VecDeque::from(self.start_client(id, Some(steady)));
            while let Some(effect) = effects.pop_front() {
                if let Effect::Open(key) = effect {
                    let client = &mut self.clients[id as usize];
                    client.connect(key);
                    let balancer = client.balancer.as_mut().expect("just started");
                    effects.extend(balancer.opened(Nanos(0), key, true));
                }
            }
            self.clients[id as usize].is_survivor = true;
        }
        self.count_present();
        for (index, (at, _)) in self.script.actions.iter().enumerate() {
            self.queue.push(Reverse((*at, index as u64, Event::Action(index))));
        }
        self.queued = self.script.actions.len() as u64;
        self.schedule(0, Event::Arrival);
        self.schedule(SECOND, Event::Tick);
    }

    /// What comes next: an event, or the end of someone's patience.
    fn next(&mut self) -> Option<(u64, Result<Event, Ticket>)> {
        let event_at = self.queue.peek().map(|Reverse((at, _, _))| *at);
        let deadline_at = self.deadlines.front().map(|(at, _)| *at);
        if deadline_at.is_some_and(|deadline| event_at.is_none_or(|event| deadline < event)) {
            return self.deadlines.pop_front().map(|(at, ticket)| (at, Err(ticket)));
        }
        self.queue.pop().map(|Reverse((at, _, event))| (at, Ok(event)))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::Done { number, life, ticket } => self.finish_work(number, life, ticket),
            Event::Reply { ticket, is_success } => self.end_request(ticket, is_success),
            Event::Connected { id, life, key } => self.finish_connecting(id, life, key),
            Event::Notice { id, action } => self.notice(id, action),
            Event::Counted { id, peers } => {
                let now = Nanos(self.now);
                let coordinate = Coordinate::new(id, peers).expect("below the count");
                self.clients[id as usize].observe(now, coordinate);
                let effects = self.clients[id as usize].stand(now);
                self.carry_out(id, effects);
            }
            Event::Placed { id, life } => self.place(id, life),
            Event::Action(index) => self.act(index),
            Event::Tick => {
                for at in 0..self.present.len() {
                    let id = self.present[at].0;
                    let effects = self.clients[id as usize].tick(Nanos(self.now));
                    self.carry_out(id, effects);
                }
                self.schedule(self.now + SECOND, Event::Tick);
            }
        }
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, event)));
    }

    fn round_trip(&self, id: u32, number: u32) -> u64 {
        match (self.script.has_zones, (id + number) % 3) {
            (false, _) | (true, 0) => ROUND_TRIP,
            (true, 1) => 10 * ROUND_TRIP,
            (true, _) => 100 * ROUND_TRIP,
        }
    }

    fn survivors(&self) -> impl Iterator<Item = &Client<B>> {
        self.clients.iter().filter(|client| client.is_survivor)
    }

    fn finish(mut self) -> Tally {
        let running = || self.clients.iter().filter(|client| client.balancer.is_some());
        self.tally.connections = running().map(Client::connections).collect();
        self.tally.stranded = running()
            .filter(|client| client.tries >= TRIES_MIN && client.successes == 0)
            .count() as u64;
        let total: u64 = self.picks.iter().sum();
        let is_odd = |number: usize| self.script.odd.contains(&(number as u32));
        let odd = self.picks.iter().enumerate().filter(|(number, _)| is_odd(*number));
        self.tally.odd = odd.map(|(_, picks)| *picks as f64).sum();
        self.tally.odd_fair =
            total as f64 * self.script.odd.len() as f64 / self.script.slots.len() as f64;
        let others = self.picks.iter().enumerate().filter(|(number, _)| !is_odd(*number));
        let weight = |number: usize| {
            let listed = self.script.listed.get(&(number as u32));
            listed.map_or(1.0, |(_, weight)| f64::from(weight.0))
        };
        let spread = Spread::of(others.map(|(number, picks)| *picks as f64 / weight(number)));
        self.tally.spreads.push(spread);
        self.tally
    }
}
