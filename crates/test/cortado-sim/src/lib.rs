//! The seeded simulator: years of faults through the code that ships, the same at each repetition.
//!
//! Holds no code of the product: it executes what `cortado-driver` and `cortado-cluster` want done, as
//! a node would, over `cortado-log`, and believes none. Never reads a clock and never asks for
//! randomness: a seed decides everything.
//! Start reading at [`simulate`], then [`World::run`]; what must hold is in [`invariants`].

pub mod asker;
pub mod client;
pub mod coverage;
pub mod documents;
pub mod history;
pub mod hosted;
pub mod invariants;
pub mod mutant;
pub mod node;
mod observer;
pub mod oracle;
pub mod orders;
pub mod plan;
pub mod random;
pub mod scenario;
pub mod schedule;
pub mod store;
pub mod time;
pub mod trace;
pub mod truth;
pub mod violation;
mod world;

pub use coverage::Coverage;
pub use mutant::Mutant;
pub use scenario::Scenario;
pub use trace::Telling;
pub use violation::{Finding, Violation};
pub use world::{Judge, Order, Report, World};

/// Runs one seed to its end.
pub fn simulate(order: &Order, telling: Telling) -> Report {
    World::new(order, telling).run()
}
