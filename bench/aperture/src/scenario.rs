//! What happens to clients and endpoints, and where it is looked at.

use crate::contender::Contender;
use crate::size::{SIZES, Size};

/// One story. The first four only enumerate what peers cover; the others send requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Scenario {
    /// Who covers what while nothing changes: alike, with weights, with unequal clients
    Shares,
    /// One endpoint more or less, ten, twice as many; half of the clients do not know yet
    ResizeEndpoints,
    /// One client more or less, ten, twice as many; half of the others do not know yet
    ResizeClients,
    /// 10, 20 and 40 % of the endpoints down, scattered or side by side; no client widens
    Down,
    /// Requests, and nothing happens
    Steady,
    /// All endpoints restart, a tenth at a time, each with a new address
    RestartEndpoints,
    /// All clients restart, a tenth at a time; they know their place at once, or a second later
    RestartClients,
    /// Ten clients more, of which half of the others learn ten seconds late
    MoreClients,
    /// Ten endpoints more, of which the clients learn within two seconds
    MoreEndpoints,
    /// One endpoint becomes ten times slower
    Slow,
    /// A new endpoint that takes five times as long at first
    Cold,
    /// One endpoint answers every request at once, with an error
    FastFailing,
    /// Endpoints of weights 1, 2 and 4, as able as that, and some of weight 0
    Weights,
    /// Three zones, 0.5, 5 and 50 milliseconds apart
    Zones,
    /// The n-th client, in no order of ids, sends 1/n of what the first one sends
    Unequal,
    /// 10, 20 and 40 % of the endpoints down, scattered or side by side; balancers react
    Outage,
}

impl Scenario {
    /// All of them, in the order of the report.
    pub const ALL: [Scenario; 16] = [
        Scenario::Shares,
        Scenario::ResizeEndpoints,
        Scenario::ResizeClients,
        Scenario::Down,
        Scenario::Steady,
        Scenario::RestartEndpoints,
        Scenario::RestartClients,
        Scenario::MoreClients,
        Scenario::MoreEndpoints,
        Scenario::Slow,
        Scenario::Cold,
        Scenario::FastFailing,
        Scenario::Weights,
        Scenario::Zones,
        Scenario::Unequal,
        Scenario::Outage,
    ];

    /// As it is called on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Shares => "shares",
            Scenario::ResizeEndpoints => "resize-endpoints",
            Scenario::ResizeClients => "resize-clients",
            Scenario::Down => "down",
            Scenario::Steady => "steady",
            Scenario::RestartEndpoints => "restart-endpoints",
            Scenario::RestartClients => "restart-clients",
            Scenario::MoreClients => "more-clients",
            Scenario::MoreEndpoints => "more-endpoints",
            Scenario::Slow => "slow",
            Scenario::Cold => "cold",
            Scenario::FastFailing => "fast-failing",
            Scenario::Weights => "weights",
            Scenario::Zones => "zones",
            Scenario::Unequal => "unequal",
            Scenario::Outage => "outage",
        }
    }

    /// Its cases; one without a name if it has one only.
    pub fn cases(self) -> &'static [&'static str] {
        match self {
            Scenario::Shares => &["alike", "weights", "unequal"],
            Scenario::ResizeEndpoints | Scenario::ResizeClients => RESIZES,
            Scenario::Down | Scenario::Outage => DOWN,
            Scenario::RestartClients => &["placed", "late place"],
            Scenario::Steady
            | Scenario::RestartEndpoints
            | Scenario::MoreClients
            | Scenario::MoreEndpoints
            | Scenario::Slow
            | Scenario::Cold
            | Scenario::FastFailing
            | Scenario::Weights
            | Scenario::Zones
            | Scenario::Unequal => &[""],
        }
    }

    /// Whether nothing moves: coverage is enumerated, no request is sent.
    pub fn is_still(self) -> bool {
        self < Scenario::Steady
    }

    /// The sizes of the whole report. Any other can be asked for.
    pub fn sizes(self) -> &'static [Size] {
        match self {
            Scenario::Shares
            | Scenario::ResizeEndpoints
            | Scenario::ResizeClients
            | Scenario::Down
            | Scenario::Steady => &SIZES,
            Scenario::RestartEndpoints | Scenario::Outage => WIDE,
            Scenario::RestartClients
            | Scenario::Slow
            | Scenario::MoreClients
            | Scenario::MoreEndpoints
            | Scenario::Cold
            | Scenario::FastFailing
            | Scenario::Weights
            | Scenario::Zones
            | Scenario::Unequal => NARROW,
        }
    }

    /// Who takes part.
    pub fn contenders(self) -> Vec<Contender> {
        let mut contenders = Contender::PLAIN.to_vec();
        match self {
            // What tower covers is everything, as full does.
            Scenario::Shares
            | Scenario::ResizeEndpoints
            | Scenario::ResizeClients
            | Scenario::Down => contenders.retain(|each| *each != Contender::Tower),
            Scenario::Slow | Scenario::Cold | Scenario::Zones => {
                contenders.extend([Contender::DeterministicEwma, Contender::TowerEwma]);
            }
            Scenario::FastFailing => contenders.extend([
                Contender::DeterministicAware,
                Contender::DeterministicEwma,
                Contender::TowerEwma,
            ]),
            Scenario::Outage | Scenario::RestartEndpoints => {
                contenders.extend([
                    Contender::DeterministicAware,
                    Contender::FullReporting,
                    Contender::DeterministicReporting,
                    Contender::TowerReporting,
                ]);
            }
            Scenario::Steady
            | Scenario::RestartClients
            | Scenario::MoreClients
            | Scenario::MoreEndpoints
            | Scenario::Weights
            | Scenario::Unequal => {}
        }
        contenders
    }
}

const RESIZES: &[&str] = &["+1", "-1", "+10", "-10", "x2"];
const DOWN: &[&str] = &[
    "10 % scattered",
    "20 % scattered",
    "40 % scattered",
    "10 % side by side",
    "20 % side by side",
    "40 % side by side",
];
const NARROW: &[Size] =
    &[Size::new(100, 100), Size::new(1_000, 100), Size::new(65, 13), Size::new(5, 20)];
const WIDE: &[Size] = &[
    Size::new(100, 100),
    Size::new(100, 1_000),
    Size::new(1_000, 100),
    Size::new(65, 13),
    Size::new(5, 20),
];

/// The number that `case` puts in the place of `before`; `None` if it leaves nothing.
pub(crate) fn resized(before: u32, case: &str) -> Option<u32> {
    match case {
        "+1" => before.checked_add(1),
        "-1" => before.checked_sub(1),
        "+10" => before.checked_add(10),
        "-10" => before.checked_sub(10),
        _ => before.checked_mul(2),
    }
    .filter(|after| *after > 0)
}

/// The percentage in the name of a case such as `40 % scattered`, and whether it is scattered.
pub(crate) fn outage(case: &str) -> (u32, bool) {
    let percent = case.split(' ').next().and_then(|word| word.parse().ok());
    (percent.unwrap_or(0), case.ends_with("scattered"))
}
