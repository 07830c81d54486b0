//! The seeded simulator: years of faults through the code that ships, the same at each repetition.
//!
//! Holds no code of the product: it executes what `cortado-driver` and `cortado-cluster` want done,
//! as a node would, over `cortado-log`, and believes none. The [`kernel`] knows nothing of what it
//! simulates; the [`database`] is a world on it. Never reads a clock and never asks for randomness:
//! a seed decides everything. Start reading at [`simulate`], then [`World::run`]; what must hold is
//! in [`database::invariants`].

pub mod kernel;
pub mod database;

pub use database::coverage::Coverage;
pub use database::mutant::Mutant;
pub use database::scenario::Scenario;
pub use database::world::{Judge, Order, Report, World};
pub use kernel::trace::Telling;
pub use kernel::violation::{Finding, Violation};

/// Runs one seed to its end.
pub fn simulate(order: &Order, telling: Telling) -> Report {
    World::new(order, telling).run()
}
