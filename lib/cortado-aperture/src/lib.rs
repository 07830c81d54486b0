//! Client-side load balancing on a ring: each client connects to a few servers, and yet every
//! server gets the same load.
//!
//! Clients do not talk to each other. Each knows its number among its peers and the list of
//! endpoints, and covers its own sector of a ring of them; all sectors together go round the ring a
//! whole number of times. Inside its sector a client sends each request to the better one of two
//! endpoints that it draws.
//!
//! Read [`Subsetter`] first, then [`Balancer`]; with the feature `tower`, which is on by default,
//! `service::Balance` stands where `tower::balance::p2c::Balance` stands. The core reads no clock
//! and does no I/O, so a simulator can drive exactly what ships.
//!
//! # Which subsetter
//!
//! With M clients on S endpoints; what changes are connections opened anew, in parts of all:
//!
//! - [`DeterministicAperture`], if clients have coordinates and are about alike. Load is even
//!   exactly; 12 to 12 + S/M + 2 connections; one endpoint more changes up to 9 %, one client more
//!   15 % at 100 × 100, and up to 41 % where endpoints outnumber clients.
//! - [`Ringsteady`], if clients are resized all the time and endpoints are numbered. 12
//!   connections; one client more changes nothing, one endpoint more 1 %; the most loaded endpoint
//!   gets the mean where M = S, 1.04 times at 1000 × 100, 1.7 times at 100 × 1000, where some get
//!   nothing.
//! - [`Rendezvous`], if there are no coordinates. 12 connections; one client more changes nothing,
//!   one endpoint more 1 %; the most loaded endpoint gets 1.2 times the mean at 1000 × 100, 1.7
//!   times at 100 × 100, 5 times at 100 × 1000.
//! - [`LoadBand`], if there are no coordinates and most clients make little traffic: as many
//!   connections as the load needs; as uneven as dice.
//! - [`Full`], if connections are cheap or one client makes most of the traffic.
//!
//! The test `figures` computes these numbers and holds them.
//!
//! # What it adds to the algorithm
//!
//! - Whole numbers: no lap too many, no endpoint that is connected and never used.
//! - An escape: while most of an aperture is down it widens, to the opposite side of the ring.
//! - [`SteadyCoordinate`]: peers that learn of a resize at different times hardly disturb the
//!   balance.
//! - The next aperture is connected before the last one is left, two connections at a time.
//! - Load and health of an endpoint survive a change of its weight.
//! - An order of the ring per group of clients, right for IPv6: [`RingOrder`].

mod weight;
mod ring;
mod sync;
mod outcome;
mod load;
mod health;
// Here and not in `health`, which the tests of interleavings compile with other atomics.
#[cfg(test)]
#[path = "health/tests.rs"]
mod health_tests;
mod signal;
mod settings;
mod endpoint;
mod snapshot;
mod endpoint_set;
mod report;
mod balancer;
mod change;
mod alias;
mod order;
mod place;
mod coordinate;
mod subset;
mod steady;
mod time;
mod random;
#[cfg(feature = "tower")]
pub mod service;

pub use alias::{AliasTable, Slot};
pub use balancer::{Balancer, Reader};
pub use change::{Change, Effect};
pub use coordinate::{Coordinate, CoordinateError};
pub use endpoint::{Endpoint, Permit, SharedEndpoint};
pub use health::{Accrual, Status};
pub use load::{Cost, FailureAware, Failures, LeastLoaded, LoadMetric, PeakEwma};
pub use order::{
    Address, COMPATIBLE_SEED, RingKey, RingOrder, hash_of_ip, hash_of_port, vector_hash,
};
pub use outcome::Outcome;
pub use place::Place;
pub use random::Random;
pub use report::Report;
pub use ring::{Ring, Sector, SectorError, Share};
pub use settings::{Settings, SettingsError};
pub use steady::{Pace, SteadyCoordinate};
pub use subset::{
    APERTURE_DEFAULT, Band, BandError, Candidate, DeterministicAperture, Full, LoadBand, Move,
    Position, Rendezvous, Ringsteady, Subset, Subsetter, Widening,
};
pub use time::Nanos;
pub use weight::Weight;

#[cfg(feature = "tower")]
#[doc(inline)]
pub use service::Balance;

/// Keeps the examples of the README compiling.
#[cfg(all(doctest, feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;
