//! Client-side load balancing on a ring.
//!
//! Start reading at [`Subsetter`].

mod weight;
mod ring;
mod sync;
mod outcome;
mod load;
mod health;
mod signal;
mod settings;
mod endpoint;
mod snapshot;
mod roster;
mod report;
mod balancer;
mod alias;
mod order;
mod coordinate;
mod subset;
mod steady;
mod time;
mod random;

pub use alias::{AliasTable, Slot};
pub use balancer::{Balancer, Change, Effect};
pub use coordinate::{Coordinate, CoordinateError};
pub use endpoint::{Endpoint, Permit, SharedEndpoint};
pub use health::{Accrual, Status};
pub use load::{Cost, FailureAware, Failures, LeastLoaded, LoadMetric, PeakEwma};
pub use order::{
    Address, COMPATIBLE_SEED, RingKey, RingOrder, hash_of_ip, hash_of_port, vector_hash,
};
pub use outcome::Outcome;
pub use random::Random;
pub use report::Report;
pub use ring::{Ring, Sector, SectorError, Share};
pub use settings::{Settings, SettingsError};
pub use steady::{Pace, SteadyCoordinate};
pub use subset::{
    APERTURE_DEFAULT, Band, BandError, Candidate, DeterministicAperture, Full, LoadBand, Move,
    Place, Position, Rendezvous, Ringsteady, Subset, Subsetter, Widening,
};
pub use time::Nanos;
pub use weight::Weight;
