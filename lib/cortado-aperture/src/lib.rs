//! Client-side load balancing on a ring.
//!
//! Start reading at [`Subsetter`].

mod weight;
mod ring;
mod coordinate;
mod subset;
mod time;
mod random;

pub use coordinate::{Coordinate, CoordinateError};
pub use random::Random;
pub use ring::{Ring, Sector, SectorError, Share};
pub use subset::{
    APERTURE_DEFAULT, Band, BandError, Candidate, DeterministicAperture, Full, LoadBand, Place,
    Position, Rendezvous, Ringsteady, Subset, Subsetter, Widening,
};
pub use time::Nanos;
pub use weight::Weight;
