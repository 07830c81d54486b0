//! Lines as pictures: SVG that is read on light and on dark ground.
//!
//! Computes nothing, and names no font that must be there.

use crate::contender::Contender;
use crate::line::Line;
use crate::plan::STALE_COUNTS;
use crate::quantity::Quantity;
use crate::scenario::Scenario;
use crate::size::Size;
use std::fmt::Write;

/// A picture of one number: groups of bars, one group for each size.
pub(crate) struct Bars {
    /// Of the file, without its ending.
    pub(crate) file: &'static str,
    title: &'static str,
    scenario: Scenario,
    case: &'static str,
    quantity: &'static str,
    /// Where the axis begins.
    floor: f64,
    /// Bars that are longer are cut, and say how long they would be.
    ceiling: f64,
    is_logarithmic: bool,
}

/// The pictures of the overview.
pub(crate) const BARS: &[Bars] = &[
    Bars {
        file: "connections",
        title: "Connections per client (logarithmic)",
        is_logarithmic: true,
        ..bars(Scenario::Shares, "alike", "connections", 1.0, 1_000.0)
    },
    Bars {
        file: "balance",
        title: "Load of the most loaded endpoint, in means, while nothing happens",
        ..bars(Scenario::Shares, "alike", "max_to_mean", 1.0, 3.0)
    },
    Bars {
        file: "churn-endpoints",
        title: "New connections for those there were: one endpoint more",
        ..bars(Scenario::ResizeEndpoints, "+1", "churn", 0.0, 0.15)
    },
    Bars {
        file: "churn-clients",
        title: "New connections for those there were: ten clients more",
        ..bars(Scenario::ResizeClients, "+10", "churn", 0.0, 1.2)
    },
    Bars {
        file: "latency",
        title: "99th percentile of latency while nothing happens",
        ..bars(Scenario::Steady, "", "p99", 0.0, 1_200.0)
    },
    Bars {
        file: "slow",
        title: "What an endpoint still gets, five seconds after it became ten times slower",
        ..bars(Scenario::Slow, "", "odd_share", 0.0, 1.2)
    },
    Bars {
        file: "fast-failing",
        title: "Requests that fail, one endpoint failing fast",
        ..bars(Scenario::FastFailing, "", "errors", 0.0, 0.12)
    },
    Bars {
        file: "outage",
        title: "Requests that fail, ten seconds after 40 % went down side by side",
        ..bars(Scenario::Outage, "40 % side by side", "errors_late", 0.0, 0.5)
    },
];

const fn bars(
    scenario: Scenario,
    case: &'static str,
    quantity: &'static str,
    floor: f64,
    ceiling: f64,
) -> Bars {
    Bars { file: "", title: "", scenario, case, quantity, floor, ceiling, is_logarithmic: false }
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 268.0;
const RIGHT: f64 = 850.0;

impl Bars {
    /// Draws it from those of `lines` that it is about.
    pub(crate) fn draw(&self, lines: &[Line]) -> String {
        let is_mine =
            |line: &&Line| line.scenario == self.scenario.name() && line.case == self.case;
        let lines: Vec<&Line> = lines.iter().filter(is_mine).collect();
        let mut sizes: Vec<Size> = lines.iter().map(|line| line.size).collect();
        sizes.dedup();
        let contenders = self.scenario.contenders();
        let quantity = Quantity::of_name(self.quantity).expect("it is in the list");
        let mut svg = frame(self.title);
        self.draw_axis(&mut svg, quantity);
        draw_legend(&mut svg, contenders.iter().map(|each| (each.name(), class(*each))));
        let group = (RIGHT - LEFT) / sizes.len().max(1) as f64;
        let bar = group * 0.84 / contenders.len() as f64;
        for (at, size) in sizes.iter().enumerate() {
            let left = LEFT + group * at as f64;
            let middle = left + group / 2.0;
            writeln!(svg, r#"<text x="{middle:.1}" y="284" class="m">{size}</text>"#).expect("ok");
            for (place, contender) in contenders.iter().enumerate() {
                let is_it =
                    |line: &&&Line| line.size == *size && line.contender == contender.name();
                let line = lines.iter().find(is_it);
                let Some(value) = line.and_then(|line| line.value(self.quantity)) else {
                    continue;
                };
                let left = left + group * 0.08 + bar * place as f64;
                self.draw_bar(&mut svg, left, bar, class(*contender), quantity, value);
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_bar(
        &self,
        svg: &mut String,
        left: f64,
        width: f64,
        class: &str,
        quantity: Quantity,
        value: f64,
    ) {
        let top = self.height(value.min(self.ceiling)).min(BOTTOM - 1.0);
        let height = BOTTOM - top;
        let wide = (width - 1.0).max(1.0);
        let shown = quantity.show(value);
        let place = format!(r#"x="{left:.1}" y="{top:.1}" width="{wide:.1}" height="{height:.1}""#);
        writeln!(svg, r#"<rect class="{class}" {place}><title>{shown}</title></rect>"#)
            .expect("ok");
        if value > self.ceiling {
            let middle = left + width / 2.0 + 3.0;
            let turn = format!(r#"transform="rotate(-90 {middle:.1} {:.1})""#, TOP + 4.0);
            writeln!(
                svg,
                r#"<text x="{middle:.1}" y="{:.1}" class="cut" {turn}>{shown}</text>"#,
                TOP + 4.0
            )
            .expect("ok");
        }
    }

    fn draw_axis(&self, svg: &mut String, quantity: Quantity) {
        let ticks: Vec<f64> = match self.is_logarithmic {
            true => vec![1.0, 10.0, 100.0, 1_000.0],
            false => (0..=4)
                .map(|at| self.floor + (self.ceiling - self.floor) * f64::from(at) / 4.0)
                .collect(),
        };
        for tick in ticks {
            draw_tick(svg, self.height(tick), &quantity.show(tick));
        }
    }

    fn height(&self, value: f64) -> f64 {
        let part = match self.is_logarithmic {
            true => value.max(self.floor).log10() / self.ceiling.log10(),
            false => (value - self.floor).max(0.0) / (self.ceiling - self.floor),
        };
        BOTTOM - (BOTTOM - TOP) * part
    }
}

/// The picture over time: the balance while half of the peers go by a stale count.
pub(crate) fn stale_counts(lines: &[Line]) -> String {
    let title = "Most loaded endpoint, in means: 100 clients become 110, half learn 10 s late";
    let mut svg = frame(title);
    let (floor, ceiling) = (1.0, 1.6);
    let height = |value: f64| BOTTOM - (BOTTOM - TOP) * (value - floor) / (ceiling - floor);
    for tick in [1.0, 1.15, 1.3, 1.45, 1.6] {
        draw_tick(&mut svg, height(tick), &format!("{tick:.2}"));
    }
    let across = |second: f64| LEFT + (RIGHT - LEFT) * second / 81.0;
    for second in (0..=80).step_by(10) {
        let x = across(f64::from(second));
        writeln!(svg, r#"<text x="{x:.1}" y="284" class="m">{second} s</text>"#).expect("ok");
    }
    let series = [("at once", "c5"), ("steadily", "c1")];
    draw_legend(&mut svg, series.into_iter());
    for (name, class) in series {
        let is_it = |line: &&Line| line.scenario == STALE_COUNTS && line.contender == name;
        let Some(line) = lines.iter().find(is_it) else { continue };
        let mut path = String::new();
        for (second, (_, value)) in line.values.iter().enumerate() {
            let joint = if second == 0 { "M" } else { "L" };
            let (x, y) = (across(second as f64), height(*value));
            write!(path, "{joint}{x:.1} {y:.1}").expect("ok");
        }
        writeln!(svg, r#"<path class="line {class}" d="{path}"/>"#).expect("ok");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_tick(svg: &mut String, y: f64, text: &str) {
    writeln!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/>"#).expect("ok");
    let (x, y) = (LEFT - 6.0, y + 4.0);
    writeln!(svg, r#"<text x="{x}" y="{y:.1}" class="e">{text}</text>"#).expect("ok");
}

fn draw_legend<'a>(svg: &mut String, entries: impl Iterator<Item = (&'a str, &'static str)>) {
    let (mut x, mut y) = (LEFT, 30.0);
    for (name, class) in entries {
        let width = 24.0 + name.len() as f64 * 6.3;
        if x + width > RIGHT {
            (x, y) = (LEFT, y + 15.0);
        }
        writeln!(svg, r#"<rect class="{class}" x="{x:.0}" y="{y:.0}" width="9" height="9"/>"#)
            .expect("ok");
        let (x_text, y_text) = (x + 13.0, y + 9.0);
        writeln!(svg, r#"<text x="{x_text:.0}" y="{y_text:.0}">{name}</text>"#).expect("ok");
        x += width;
    }
}

fn frame(title: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>{title}</title>
<style>
text{{font:11px sans-serif;fill:#24292f}}.h{{font-size:14px;font-weight:600}}
.m{{text-anchor:middle}}.e{{text-anchor:end}}.cut{{font-size:9px;text-anchor:end}}
.grid{{stroke:#8c959f;stroke-opacity:.35}}.line{{fill:none;stroke-width:2}}
.c0{{fill:#8c8c8c}}.c1{{fill:#0969da}}.c2{{fill:#e0a100}}.c3{{fill:#1a9e5c}}
.c4{{fill:#c264a8}}.c5{{fill:#d1490e}}.c6{{fill:#6cb6ff}}.c7{{fill:#7a5af8}}
.c8{{fill:#f2a07b}}.c9{{fill:#a0522d}}.c10{{fill:#b8b8b8}}.c11{{fill:#6cb6ff}}
.line.c1{{stroke:#0969da}}.line.c5{{stroke:#d1490e}}
@media (prefers-color-scheme:dark){{text{{fill:#e6edf3}}
.c1{{fill:#3b8eea}}.c5{{fill:#ea6a2c}}.line.c1{{stroke:#3b8eea}}.line.c5{{stroke:#ea6a2c}}}}
.line.line{{fill:none}}
</style>
<text x="{LEFT}" y="18" class="h">{title}</text>
"#
    )
}

fn class(contender: Contender) -> &'static str {
    match contender {
        Contender::Full => "c0",
        Contender::Deterministic => "c1",
        Contender::Rendezvous => "c2",
        Contender::Ringsteady => "c3",
        Contender::LoadBand => "c4",
        Contender::Tower => "c5",
        Contender::DeterministicEwma => "c6",
        Contender::DeterministicAware => "c7",
        Contender::TowerEwma => "c8",
        Contender::TowerReporting => "c9",
        Contender::FullReporting => "c10",
        Contender::DeterministicReporting => "c11",
    }
}
