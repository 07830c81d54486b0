//! What happens in a scenario, and when.

use crate::contender::Contender;
use crate::draw::Draw;
use crate::key::Key;
use crate::scenario::Scenario;
use crate::size::Size;
use crate::still::{down, ring_of, unequal, weight_of};
use cortado_aperture::{Change, RingOrder, Weight};
use std::collections::BTreeMap;

/// A second of virtual time, in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;
/// By then everything has settled: it happens, and is measured from here on.
const BEGIN: u64 = 10 * SECOND;

/// Something that happens to the world, not to a single request.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// These endpoints are gone, with everything they worked on.
    Crash(Vec<u32>),
    /// They are back, as another life of the same number.
    Start { numbers: Vec<u32>, is_cold: bool },
    /// Discovery says so; every client learns it within two seconds.
    Announce(Vec<Change<Key, ()>>),
    /// An endpoint takes so many times longer.
    Slow(u32, f64),
    /// An endpoint answers every request at once, with an error.
    Fail(u32),
    /// These clients are gone.
    Stop(Vec<u32>),
    /// They are back, and know their place so many nanoseconds later.
    Return(Vec<u32>, u64),
    /// There are so many peers now. Half of them learn it at once, half ten seconds late; those
    /// who are new know it.
    Recount(u32),
}

/// A scenario at one size.
#[derive(Debug)]
pub(super) struct Script {
    /// Clients at first, and with those that come.
    pub(super) peers: u32,
    pub(super) peers_in_all: u32,
    /// What discovery says at first.
    pub(super) listed: BTreeMap<u32, (Key, Weight)>,
    /// Of each endpoint there ever is: how many requests it works on at a time.
    pub(super) slots: Vec<usize>,
    /// In order of time.
    pub(super) actions: Vec<(u64, Action)>,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// How busy endpoints are on average, before anything happens.
    pub(super) busy: f64,
    /// What each client sends, relative to the others; empty if all send alike.
    pub(super) traffic: Vec<f64>,
    pub(super) has_zones: bool,
    /// The endpoints that something is wrong with. They are counted apart.
    pub(super) odd: Vec<u32>,
}

/// How many requests an endpoint of weight 1 works on at a time.
const SLOTS: usize = 2;

impl Script {
    pub(super) fn of(
        scenario: Scenario,
        case: &str,
        size: Size,
        contender: Contender,
        order: RingOrder,
        seed: u64,
    ) -> Script {
        let mut script = Script::quiet(size);
        match scenario {
            Scenario::RestartEndpoints => script.restart_endpoints(size),
            Scenario::RestartClients => {
                script.restart_clients(size, if case == "placed" { 0 } else { SECOND });
            }
            Scenario::MoreClients => {
                script.peers_in_all = size.peers + 10;
                script.end = 95 * SECOND;
                script.happens(BEGIN, Action::Recount(size.peers + 10));
            }
            Scenario::MoreEndpoints => {
                let new = (size.endpoints..size.endpoints + 10).map(Key::first);
                script.slots.extend([SLOTS; 10]);
                let inserts = new.map(|key| Change::Insert(key, Weight::ONE, ()));
                script.happens(BEGIN, Action::Announce(inserts.collect()));
            }
            Scenario::Slow => {
                script.odd = vec![0];
                script.happens(BEGIN, Action::Slow(0, 10.0));
            }
            Scenario::Cold => script.start_cold(size),
            Scenario::FastFailing => {
                script.odd = vec![0];
                script.happens(BEGIN, Action::Fail(0));
            }
            Scenario::Weights => script.weigh(),
            Scenario::Zones => script.has_zones = true,
            Scenario::Unequal => script.traffic = unequal(size.peers, seed),
            Scenario::Outage => {
                let ring = ring_of(contender, order, size.endpoints);
                let down = down(case, &ring, &Draw::new(seed, "down"));
                script.odd = down.into_iter().collect();
                // Or nothing could be said for want of endpoints.
                script.busy = 0.45;
                script.happens(BEGIN, Action::Crash(script.odd.clone()));
            }
            Scenario::Steady
            | Scenario::Shares
            | Scenario::ResizeEndpoints
            | Scenario::ResizeClients
            | Scenario::Down => {}
        }
        script
    }

    /// Nothing happens.
    fn quiet(size: Size) -> Script {
        let listed = (0..size.endpoints).map(|number| (number, (Key::first(number), Weight::ONE)));
        Script {
            peers: size.peers,
            peers_in_all: size.peers,
            listed: listed.collect(),
            slots: vec![SLOTS; size.endpoints as usize],
            actions: Vec::new(),
            begin: BEGIN,
            end: 40 * SECOND,
            busy: 0.6,
            traffic: Vec::new(),
            has_zones: false,
            odd: Vec::new(),
        }
    }

    fn happens(&mut self, at: u64, action: Action) {
        self.actions.push((at, action));
    }

    /// Without draining: what an endpoint works on is lost, and clients learn late.
    fn restart_endpoints(&mut self, size: Size) {
        for (turn, numbers) in (0..).zip(tenths(size.endpoints)) {
            let at = BEGIN + turn * 3 * SECOND;
            let removes = numbers.iter().map(|number| Change::Remove(Key::first(*number)));
            let inserts = numbers
                .iter()
                .map(|number| Change::Insert(Key { number: *number, life: 1 }, Weight::ONE, ()));
            let (removes, inserts) = (removes.collect(), inserts.collect());
            self.happens(at, Action::Crash(numbers.clone()));
            self.happens(at, Action::Announce(removes));
            self.happens(at + 5 * SECOND / 2, Action::Start { numbers, is_cold: false });
            self.happens(at + 5 * SECOND / 2, Action::Announce(inserts));
        }
        self.actions.sort_by_key(|(at, _)| *at);
        self.end = 50 * SECOND;
    }

    fn restart_clients(&mut self, size: Size, placed_after: u64) {
        for (turn, ids) in (0..).zip(tenths(size.peers)) {
            let at = BEGIN + turn * 3 * SECOND;
            self.happens(at, Action::Stop(ids.clone()));
            self.happens(at + SECOND, Action::Return(ids, placed_after));
        }
        self.end = 50 * SECOND;
    }

    /// The last endpoint is not there at first.
    fn start_cold(&mut self, size: Size) {
        let number = size.endpoints - 1;
        self.listed.remove(&number);
        self.odd = vec![number];
        let key = Key { number, life: 1 };
        self.happens(0, Action::Crash(vec![number]));
        self.happens(BEGIN, Action::Start { numbers: vec![number], is_cold: true });
        self.happens(BEGIN, Action::Announce(vec![Change::Insert(key, Weight::ONE, ())]));
    }

    fn weigh(&mut self) {
        for (number, (_, weight)) in &mut self.listed {
            *weight = weight_of(*number);
            self.slots[*number as usize] = weight.0.max(1) as usize;
            if weight.0 == 0 {
                self.odd.push(*number);
            }
        }
    }

    /// How many requests all that take traffic at first can work on at a time.
    pub(super) fn slots_in_all(&self) -> usize {
        let taking = self.listed.iter().filter(|(_, (_, weight))| weight.0 > 0);
        taking.map(|(number, _)| self.slots[*number as usize]).sum()
    }
}

/// The numbers below `count` in ten parts, as far as there are so many.
fn tenths(count: u32) -> Vec<Vec<u32>> {
    let part = count.div_ceil(10) as usize;
    let numbers: Vec<u32> = (0..count).collect();
    numbers.chunks(part).map(<[u32]>::to_vec).collect()
}
