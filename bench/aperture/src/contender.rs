//! What is compared: ways to choose endpoints, each with a way to measure load.

use crate::draw::seed_of;
use crate::size::Size;
use cortado_aperture::{
    APERTURE_DEFAULT, Band, DeterministicAperture, Full, LoadBand, Nanos, Rendezvous, Ringsteady,
    Subsetter,
};

/// A way to balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contender {
    /// Every endpoint.
    Full,
    /// The deterministic aperture.
    Deterministic,
    /// A random subset, by rendezvous hashing.
    Rendezvous,
    /// The ring on which resizes change little.
    Ringsteady,
    /// The random aperture with its load band.
    LoadBand,
    /// tower's p2c over every endpoint. Its connections reconnect, as tonic's do: a broken one
    /// answers with an error.
    Tower,
    /// The deterministic aperture with peak-EWMA.
    DeterministicEwma,
    /// The deterministic aperture that remembers failures.
    DeterministicAware,
    /// tower's p2c with its peak-EWMA.
    TowerEwma,
    /// Every endpoint; broken connections report it before they take a request, and another
    /// endpoint gets it, as the `tower` service of `cortado-aperture` does it.
    FullReporting,
    /// The deterministic aperture, with such connections.
    DeterministicReporting,
    /// tower's p2c with such connections. It lets go of them for good.
    TowerReporting,
}

impl Contender {
    /// Everything that chooses by outstanding requests.
    pub const PLAIN: [Contender; 6] = [
        Contender::Full,
        Contender::Deterministic,
        Contender::Rendezvous,
        Contender::Ringsteady,
        Contender::LoadBand,
        Contender::Tower,
    ];
    /// Everything.
    pub const ALL: [Contender; 12] = [
        Contender::Full,
        Contender::Deterministic,
        Contender::Rendezvous,
        Contender::Ringsteady,
        Contender::LoadBand,
        Contender::Tower,
        Contender::DeterministicEwma,
        Contender::DeterministicAware,
        Contender::TowerEwma,
        Contender::FullReporting,
        Contender::DeterministicReporting,
        Contender::TowerReporting,
    ];

    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Full => "full",
            Contender::Deterministic => "deterministic",
            Contender::Rendezvous => "rendezvous",
            Contender::Ringsteady => "ringsteady",
            Contender::LoadBand => "load band",
            Contender::Tower => "tower p2c",
            Contender::DeterministicEwma => "deterministic, peak-EWMA",
            Contender::DeterministicAware => "deterministic, failure-aware",
            Contender::TowerEwma => "tower p2c, peak-EWMA",
            Contender::FullReporting => "full, reporting",
            Contender::DeterministicReporting => "deterministic, reporting",
            Contender::TowerReporting => "tower p2c, reporting",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Contender> {
        Contender::ALL.into_iter().find(|contender| contender.name() == name)
    }

    /// What chooses the endpoints of client `id`; tower chooses all of them.
    ///
    /// Clients without coordinates each have a seed of their own, which `seed` decides.
    pub(crate) fn subsetter(self, size: Size, id: u32, seed: u64) -> Box<dyn Subsetter> {
        let own = || seed_of(seed ^ u64::from(id) << 32, "subset");
        match self {
            Contender::Deterministic
            | Contender::DeterministicEwma
            | Contender::DeterministicAware
            | Contender::DeterministicReporting => Box::new(DeterministicAperture::default()),
            Contender::Rendezvous => Box::new(Rendezvous::new(APERTURE_DEFAULT, own())),
            Contender::Ringsteady => Box::new(Ringsteady::new(APERTURE_DEFAULT)),
            Contender::LoadBand => {
                let band = Band::default();
                let mut subsetter = LoadBand::new(band, own()).expect("the default band fits");
                // As if it had been under its usual load for long.
                subsetter.on_load(Nanos(0), outstanding_of_each(size));
                Box::new(subsetter)
            }
            Contender::Full
            | Contender::Tower
            | Contender::TowerEwma
            | Contender::FullReporting
            | Contender::TowerReporting => Box::new(Full),
        }
    }
}

/// Requests that one client has under way on average: 1.2 per endpoint, which is what the model's
/// load makes of them without queues.
fn outstanding_of_each(size: Size) -> u64 {
    (u64::from(size.endpoints) * 12).div_ceil(u64::from(size.peers) * 10)
}
