//! The figures that the documentation states, computed from the subsetters themselves.
//!
//! `cargo test -p cortado-aperture --test figures -- --nocapture` prints them. Endpoints have equal
//! weights, clients make equal traffic, and one seed decides about everything random.

use cortado_aperture::{
    APERTURE_DEFAULT, Candidate, Coordinate, DeterministicAperture, Full, Rendezvous, RingKey,
    RingOrder, Ringsteady, Subset, Subsetter, Weight, Widening,
};
use std::collections::BTreeSet;

/// How a client of these peers chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Deterministic,
    Rendezvous,
    Ringsteady,
    Full,
}

fn subset(kind: Kind, id: u32, peers: u32, candidates: &[Candidate]) -> Subset {
    let coordinate = Coordinate::new(id, peers).expect("below the count");
    let subsetter: Box<dyn Subsetter> = match kind {
        Kind::Deterministic => Box::new(DeterministicAperture::at(APERTURE_DEFAULT, coordinate)),
        Kind::Rendezvous => Box::new(Rendezvous::new(APERTURE_DEFAULT, u64::from(id))),
        Kind::Ringsteady => Box::new(Ringsteady::at(APERTURE_DEFAULT, coordinate)),
        Kind::Full => Box::new(Full),
    };
    subsetter.subset(candidates, Widening::NONE)
}

fn candidates(endpoints: u32) -> Vec<Candidate> {
    let order = RingOrder::of_group("figures");
    let candidate = |key: u32| Candidate {
        place: order.place(&key),
        weight: Weight::ONE,
        ordinal: key.ordinal(),
    };
    let mut candidates: Vec<_> = (0..endpoints).map(candidate).collect();
    candidates.sort_by_key(|candidate| candidate.place);
    candidates
}

/// Everyone's connections, as numbers of endpoints, and every endpoint's load.
struct World {
    connections: Vec<BTreeSet<u32>>,
    loads: Vec<f64>,
}

impl World {
    fn new(kind: Kind, peers: u32, endpoints: u32) -> World {
        let candidates = candidates(endpoints);
        let number = |index: usize| candidates[index].ordinal.expect("numbered");
        let mut loads = vec![0.0; candidates.len()];
        let mut connections = Vec::new();
        for id in 0..peers {
            let subset = subset(kind, id, peers, &candidates);
            let units = subset.units() as f64;
            for share in &subset.shares {
                loads[share.index] += share.units as f64 / units;
            }
            connections.push(subset.shares.iter().map(|share| number(share.index)).collect());
        }
        World { connections, loads }
    }

    fn connections_max(&self) -> usize {
        self.connections.iter().map(BTreeSet::len).max().expect("clients")
    }

    fn mean(&self) -> f64 {
        self.loads.iter().sum::<f64>() / self.loads.len() as f64
    }

    fn max_to_mean(&self) -> f64 {
        self.loads.iter().copied().fold(0.0, f64::max) / self.mean()
    }

    /// Standard deviation of the load, in parts of the mean.
    fn deviation(&self) -> f64 {
        let squares = self.loads.iter().map(|load| (load / self.mean() - 1.0).powi(2));
        (squares.sum::<f64>() / self.loads.len() as f64).sqrt()
    }

    /// Connections that the clients who stay open anew, in parts of what they had.
    fn churn(&self, next: &World) -> f64 {
        let pairs = || self.connections.iter().zip(&next.connections);
        let opened: usize = pairs().map(|(before, after)| after.difference(before).count()).sum();
        let had: usize = pairs().map(|(before, _)| before.len()).sum();
        opened as f64 / had as f64
    }
}

#[derive(Debug)]
struct Figures {
    connections: usize,
    deviation: f64,
    max_to_mean: f64,
    /// One endpoint more, a tenth more, one client more, a tenth more.
    churn: [f64; 4],
}

fn figures(kind: Kind, peers: u32, endpoints: u32) -> Figures {
    let world = World::new(kind, peers, endpoints);
    let after = |peers, endpoints| world.churn(&World::new(kind, peers, endpoints));
    let figures = Figures {
        connections: world.connections_max(),
        deviation: world.deviation(),
        max_to_mean: world.max_to_mean(),
        churn: [
            after(peers, endpoints + 1),
            after(peers, endpoints + endpoints.div_ceil(10)),
            after(peers + 1, endpoints),
            after(peers + peers.div_ceil(10), endpoints),
        ],
    };
    let [one, tenth, client, clients] = figures.churn.map(|churn| churn * 100.0);
    println!(
        "| {peers} × {endpoints} | {kind:?} | {} | {:.1} % | {:.2} | {one:.1} % | {tenth:.1} % | \
         {client:.1} % | {clients:.1} % |",
        figures.connections,
        figures.deviation * 100.0,
        figures.max_to_mean,
    );
    figures
}

const SHAPES: [(u32, u32); 5] = [(100, 100), (1_000, 100), (100, 1_000), (10, 1_000), (300, 300)];

#[test]
fn a_deterministic_aperture_is_even_exactly() {
    for (peers, endpoints) in SHAPES {
        let got = figures(Kind::Deterministic, peers, endpoints);
        assert!(got.deviation < 1e-12 && (got.max_to_mean - 1.0).abs() < 1e-12, "{got:?}");
        let most = 12.0 + f64::from(endpoints) / f64::from(peers) + 2.0;
        assert!((got.connections as f64) < most, "{got:?}");
        assert!(got.churn[0] <= 0.10, "{got:?}");
    }
}

#[test]
fn a_rendezvous_hardly_changes() {
    for (peers, endpoints) in SHAPES {
        let got = figures(Kind::Rendezvous, peers, endpoints);
        assert_eq!((got.connections, got.churn[2], got.churn[3]), (12, 0.0, 0.0));
        assert!(got.churn[0] < 2.0 / f64::from(endpoints) && got.churn[1] < 0.12, "{got:?}");
    }
}

#[test]
fn a_steady_ring_hardly_changes_and_is_even_for_many_clients() {
    for (peers, endpoints) in SHAPES {
        let got = figures(Kind::Ringsteady, peers, endpoints);
        assert_eq!((got.connections, got.churn[2], got.churn[3]), (12, 0.0, 0.0));
        assert!(got.churn[0] <= 0.01 + 1e-9, "{got:?}");
        // Ten clients are a small sample of a thousand endpoints.
        assert!(got.churn[1] <= if peers == 10 { 0.2 } else { 0.11 }, "{got:?}");
        if peers == endpoints {
            assert!(got.deviation < 1e-12, "{got:?}");
        }
    }
}

#[test]
fn full_is_full() {
    let got = figures(Kind::Full, 100, 100);
    assert_eq!((got.connections, got.churn[2], got.churn[3]), (100, 0.0, 0.0));
    assert!(got.deviation < 1e-12, "{got:?}");
}
