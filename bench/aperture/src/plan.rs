//! Which figures are computed, and in which order they are kept.

use crate::contender::Contender;
use crate::line::{Line, rounded};
use crate::moving;
use crate::scenario::Scenario;
use crate::size::Size;
use crate::still::resize::series;
use crate::still::{self, Group};
use cortado_aperture::Pace;
use std::time::Duration;

/// The seed of the report.
pub const SEED_DEFAULT: u64 = 2019;

/// What is to be computed.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    parts: Vec<(Scenario, Vec<Size>, Vec<Contender>)>,
    has_series: bool,
}

impl Plan {
    /// The whole report.
    pub fn whole(seed: u64) -> Plan {
        let part =
            |scenario: Scenario| (scenario, scenario.sizes().to_vec(), scenario.contenders());
        Plan { seed, parts: Scenario::ALL.map(part).to_vec(), has_series: true }
    }

    /// Some of it, or other sizes.
    pub fn of(seed: u64, scenario: Option<Scenario>, size: Option<Size>) -> Plan {
        let mut plan = Plan::whole(seed);
        plan.parts.retain(|(each, _, _)| scenario.is_none_or(|scenario| scenario == *each));
        if let Some(size) = size {
            plan.parts.iter_mut().for_each(|(_, sizes, _)| *sizes = vec![size]);
        }
        plan.has_series = false;
        plan
    }

    /// A part of the whole that takes a second or two: every scenario at the smallest size, by the
    /// two contenders that matter most.
    ///
    /// Neither of them computes a logarithm or a power, whose last bit differs between platforms.
    pub fn quick(seed: u64) -> Plan {
        let mut plan = Plan::whole(seed);
        for (scenario, sizes, contenders) in &mut plan.parts {
            let small = if scenario.is_still() { SMALL_STILL } else { SMALL_MOVING };
            sizes.retain(|size| small.contains(size));
            if !scenario.is_still() {
                contenders
                    .retain(|each| [Contender::Deterministic, Contender::Tower].contains(each));
            } else {
                contenders.retain(|each| *each != Contender::LoadBand);
            }
        }
        plan.has_series = false;
        plan
    }

    /// Computes one figure after the other; `each` sees every line as it comes.
    pub fn run(&self, mut each: impl FnMut(&Line)) -> Vec<Line> {
        let mut lines = Vec::new();
        for (scenario, sizes, contenders) in &self.parts {
            for case in scenario.cases() {
                for size in sizes {
                    for contender in contenders {
                        let line = self.line(*scenario, case, *size, *contender);
                        lines.extend(line.inspect(|line| each(line)));
                    }
                }
            }
        }
        if self.has_series {
            lines.extend(self.stale_counts());
        }
        lines
    }

    fn line(
        &self,
        scenario: Scenario,
        case: &str,
        size: Size,
        contender: Contender,
    ) -> Option<Line> {
        let values = if scenario.is_still() {
            still::figures(scenario, case, size, contender, self.seed)?
        } else {
            moving::figures(scenario, case, size, contender, self.seed)
        };
        Some(Line {
            scenario: scenario.name().to_owned(),
            case: case.to_owned(),
            size,
            contender: contender.name().to_owned(),
            values: values.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        })
    }

    /// Second by second: ten clients more, of which half of the others learn late.
    fn stale_counts(&self) -> impl Iterator<Item = Line> {
        let size = Size::new(100, 100);
        let group = Group::new(Contender::Deterministic, size, self.seed, 0);
        let at_once = Pace { settle: Duration::ZERO, glide: Duration::ZERO };
        [("at once", at_once), ("steadily", Pace::default())].into_iter().map(
            move |(name, pace)| {
                let moments = series(&group, size.peers + 10, pace);
                let value = |(second, ratio): (u64, f64)| (format!("s{second}"), rounded(ratio));
                Line {
                    scenario: STALE_COUNTS.to_owned(),
                    case: "+10".to_owned(),
                    size,
                    contender: name.to_owned(),
                    values: moments.into_iter().map(value).collect(),
                }
            },
        )
    }
}

/// What the lines of the chart over time are kept under.
pub(crate) const STALE_COUNTS: &str = "stale-counts";

const SMALL_STILL: &[Size] = &[Size::new(65, 13), Size::new(5, 20), Size::new(100, 100)];
const SMALL_MOVING: &[Size] = &[Size::new(5, 20)];
