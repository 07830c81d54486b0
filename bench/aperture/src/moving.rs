//! Requests in virtual time: clients pick, endpoints queue, things happen.
//!
//! Start reading at [`figures`]; then `world`, which holds the clock, `machine`, the model of an
//! endpoint, `balancing`, what is simulated, and `script`, what happens in each scenario.

mod balancing;
mod client;
mod machine;
mod script;
mod tally;
mod tower;
mod world;

pub use tally::Tally;

use crate::contender::Contender;
use crate::draw::seed_of;
use crate::scenario::Scenario;
use crate::size::Size;
use balancing::Core;
use cortado_aperture::Settings;
use cortado_aperture::{Balancer, FailureAware, LeastLoaded, LoadMetric, PeakEwma, RingOrder};
use script::Script;
use std::time::Duration;
use tower::{Clock, Tower};
use world::World;

/// Rounds are repeated, each with its own draws, until so many requests were counted.
const REQUESTS_MIN: usize = 50_000;
/// And at most so often.
const ROUNDS_MAX: u64 = 12;

/// The numbers of one case, over as many rounds as it takes.
pub fn figures(
    scenario: Scenario,
    case: &str,
    size: Size,
    contender: Contender,
    seed: u64,
) -> Vec<(String, f64)> {
    let mut total = Tally::default();
    for round in 0..ROUNDS_MAX {
        total += run(scenario, case, size, contender, seed_of(seed.wrapping_add(round), "round"));
        if total.requests() >= REQUESTS_MIN {
            break;
        }
    }
    total.figures(scenario)
}

/// One round.
pub fn run(scenario: Scenario, case: &str, size: Size, contender: Contender, seed: u64) -> Tally {
    let order = RingOrder::of_group(&seed.to_string());
    let script = Script::of(scenario, case, size, contender, order, seed);
    let core = Cores { contender, size, order, seed };
    let clock = Clock::new();
    let _guard = clock.enter();
    match contender {
        Contender::Full
        | Contender::Deterministic
        | Contender::Rendezvous
        | Contender::Ringsteady
        | Contender::LoadBand => core.run(script, LeastLoaded),
        Contender::DeterministicEwma => core.run(script, PeakEwma::default()),
        Contender::DeterministicAware => core.run(script, FailureAware::new(LeastLoaded)),
        Contender::Tower => {
            World::new(script, move |id, _| Tower::pending(own(seed, id)), seed).run(None)
        }
        Contender::FullReporting | Contender::DeterministicReporting => {
            let balancer = move |id, lives| core.core(id, LeastLoaded).reporting(lives);
            World::new(script, balancer, seed).run(None)
        }
        Contender::TowerReporting => {
            let balancer = move |id, lives| Tower::pending(own(seed, id)).reporting(lives);
            World::new(script, balancer, seed).run(None)
        }
        Contender::TowerEwma => {
            let tau = Duration::from_secs(10);
            let balancer = move |id, _| Tower::peak_ewma(own(seed, id), tau);
            World::new(script, balancer, seed).run(Some(&clock))
        }
    }
}

/// Clients with the balancer that ships.
#[derive(Clone, Copy)]
struct Cores {
    contender: Contender,
    size: Size,
    order: RingOrder,
    seed: u64,
}

impl Cores {
    fn run<M: LoadMetric>(self, script: Script, metric: M) -> Tally {
        World::new(script, move |id, _| self.core(id, metric.clone()), self.seed).run(None)
    }

    fn core<M: LoadMetric>(&self, id: u32, metric: M) -> Core<M> {
        let subsetter = self.contender.subsetter(self.size, id, self.seed);
        let balancer = Balancer::new(self.order, subsetter, metric, Settings::default());
        Core::new(balancer.expect("the default settings fit"))
    }
}

/// The seed of one client's picks.
fn own(seed: u64, id: u32) -> u64 {
    seed_of(seed ^ u64::from(id) << 32, "picks")
}
