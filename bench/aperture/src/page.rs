//! Lines as tables of a page.
//!
//! Computes nothing: a page is made of lines alone, so it can be made again without the world.

use crate::contender::Contender;
use crate::line::Line;
use crate::quantity::Quantity;
use crate::scenario::Scenario;
use crate::size::Size;
use clap::ValueEnum;
use std::fmt::Write;

/// The page of one scenario: a table for each case.
pub(crate) fn of_scenario(scenario: Scenario, lines: &[Line]) -> String {
    let mut page = format!("# {}\n\n{}.", scenario.name(), about(scenario));
    page.push_str(
        " Written by `cargo xtask sim-aperture`; what the numbers mean and what follows ",
    );
    page.push_str("from them is said in the [overview](README.md).\n");
    for case in scenario.cases() {
        let of_case = |line: &&Line| line.scenario == scenario.name() && line.case == *case;
        let lines: Vec<&Line> = lines.iter().filter(of_case).collect();
        if !case.is_empty() {
            write!(page, "\n## {}: {case}\n", scenario.name()).expect("a string takes all");
        }
        page.push('\n');
        page.push_str(&table(&lines));
    }
    page
}

/// Lines of one case as a table.
pub(crate) fn table(lines: &[&Line]) -> String {
    // The columns of the line that has most: some count what others cannot.
    let Some(widest) = lines.iter().max_by_key(|line| line.values.len()) else {
        return "Nothing of this size.\n".to_owned();
    };
    let names = widest.values.iter().filter_map(|(name, _)| Quantity::of_name(name));
    let quantities: Vec<Quantity> = names.collect();
    let mut table = String::from("| clients x endpoints | contender |");
    quantities.iter().for_each(|each| write!(table, " {} |", each.title).expect("a string"));
    table.push_str("\n|---|---|");
    quantities.iter().for_each(|_| table.push_str("---:|"));
    table.push('\n');
    let mut last = None;
    for line in lines {
        let size = if last == Some(line.size) { String::new() } else { line.size.to_string() };
        last = Some(line.size);
        write!(table, "| {size} | {} |", line.contender).expect("a string");
        for quantity in &quantities {
            let value = line.value(quantity.name).map(|value| quantity.show(value));
            write!(table, " {} |", value.unwrap_or_default()).expect("a string");
        }
        table.push('\n');
    }
    table
}

/// A question of the summary: one number of every contender.
struct Question {
    title: &'static str,
    scenario: Scenario,
    case: &'static str,
    size: Size,
    quantity: &'static str,
}

const SQUARE: Size = Size::new(100, 100);
const FEW_CLIENTS: Size = Size::new(100, 1_000);
const MANY_CLIENTS: Size = Size::new(1_000, 100);

const QUESTIONS: &[Question] = &[
    ask("connections per client", Scenario::Shares, "alike", SQUARE, "connections"),
    ask("connections per client", Scenario::Shares, "alike", FEW_CLIENTS, "connections"),
    ask("connections per client", Scenario::Shares, "alike", MANY_CLIENTS, "connections"),
    ask("load, max/mean", Scenario::Shares, "alike", SQUARE, "max_to_mean"),
    ask("load, max/mean", Scenario::Shares, "alike", FEW_CLIENTS, "max_to_mean"),
    ask("load, max/mean", Scenario::Shares, "alike", MANY_CLIENTS, "max_to_mean"),
    ask("load, max/mean, unequal clients", Scenario::Shares, "unequal", SQUARE, "max_to_mean"),
    ask("churn, one endpoint more", Scenario::ResizeEndpoints, "+1", SQUARE, "churn"),
    ask("churn, ten clients more", Scenario::ResizeClients, "+10", SQUARE, "churn"),
    ask("churn, ten clients more", Scenario::ResizeClients, "+10", FEW_CLIENTS, "churn"),
    ask("p99, nothing happens", Scenario::Steady, "", SQUARE, "p99"),
    ask("p99, nothing happens", Scenario::Steady, "", MANY_CLIENTS, "p99"),
    ask("p99, one endpoint 10 times slower", Scenario::Slow, "", SQUARE, "p99"),
    ask("errors, one fails fast", Scenario::FastFailing, "", SQUARE, "errors"),
    ask("errors, endpoints restart", Scenario::RestartEndpoints, "", SQUARE, "errors"),
    ask("errors after 10 s, 40 % down side by side", Scenario::Outage, ALL_DOWN, SQUARE, LATE),
    ask(
        "errors after 10 s, 40 % down side by side",
        Scenario::Outage,
        ALL_DOWN,
        MANY_CLIENTS,
        LATE,
    ),
];
const ALL_DOWN: &str = "40 % side by side";
const LATE: &str = "errors_late";

const fn ask(
    title: &'static str,
    scenario: Scenario,
    case: &'static str,
    size: Size,
    quantity: &'static str,
) -> Question {
    Question { title, scenario, case, size, quantity }
}

/// The table that opens the overview.
pub(crate) fn summary(lines: &[Line]) -> String {
    let mut table = String::from("| | clients x endpoints |");
    Contender::PLAIN.iter().for_each(|each| write!(table, " {} |", each.name()).expect("a string"));
    table.push_str("\n|---|---|---:|---:|---:|---:|---:|---:|\n");
    for question in QUESTIONS {
        write!(table, "| {} | {} |", question.title, question.size).expect("a string");
        for contender in Contender::PLAIN {
            // Where nothing moves, tower's is any full mesh.
            let contender = match contender {
                Contender::Tower if question.scenario.is_still() => Contender::Full,
                _ => contender,
            };
            let line = lines.iter().find(|line| {
                line.scenario == question.scenario.name()
                    && line.case == question.case
                    && line.size == question.size
                    && line.contender == contender.name()
            });
            let quantity = Quantity::of_name(question.quantity).expect("it is in the list");
            let value = line.and_then(|line| line.value(question.quantity));
            write!(table, " {} |", value.map(|v| quantity.show(v)).unwrap_or_default())
                .expect("a string");
        }
        table.push('\n');
    }
    table
}

/// What the command line says about the scenario.
pub(crate) fn about(scenario: Scenario) -> String {
    let value = scenario.to_possible_value();
    let about = value.as_ref().and_then(|value| value.get_help().map(ToString::to_string));
    about.unwrap_or_default()
}
