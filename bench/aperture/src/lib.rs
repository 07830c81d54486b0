//! Simulates clients that balance requests over endpoints, in virtual time and from a seed.
//!
//! What is simulated ships: the subsetters and the balancer of `cortado-aperture`, and `p2c` of
//! tower beside them. Endpoints, the network and the users are models. Never reads a clock, and
//! asserts nothing: it counts. Start reading at [`Scenario`]; then `still`, which enumerates what
//! peers cover, and `moving`, which sends requests.

mod size;
mod contender;
mod scenario;
mod draw;
mod key;
pub mod still;
pub mod moving;
mod line;
mod plan;
mod quantity;
mod chart;
mod page;
mod shelf;

pub use contender::Contender;
pub use line::Line;
pub use plan::{Plan, SEED_DEFAULT};
pub use scenario::Scenario;
pub use shelf::Shelf;
pub use size::{SIZES, Size};
