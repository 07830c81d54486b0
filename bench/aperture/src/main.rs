//! `cargo xtask sim-aperture`: writes the report of docs/aperture, checks it, or answers one
//! question of it.
//!
//! Start reading at [`Options`].

use clap::Parser;
use cortado_aperture_sim::{Line, Plan, SEED_DEFAULT, Scenario, Shelf, Size};
use std::path::PathBuf;

/// Simulates clients that balance over endpoints: cortado-aperture beside tower's p2c.
#[derive(Debug, Parser)]
#[command(name = "sim-aperture", after_help = HELP)]
struct Options {
    /// Only this scenario, to the terminal; nothing is written
    #[arg(long, value_name = "NAME", value_enum)]
    scenario: Option<Scenario>,
    /// Only this size, CLIENTSxENDPOINTS, to the terminal; nothing is written
    #[arg(long, value_name = "MxS")]
    size: Option<Size>,
    /// Decides every draw: the same seed gives the same bytes
    #[arg(long, default_value_t = SEED_DEFAULT)]
    seed: u64,
    /// Compare the report with what a quick part of it gives now; write nothing
    #[arg(long, conflicts_with_all = ["scenario", "size", "seed"])]
    check: bool,
    /// Make tables and pictures anew from the figures that are kept; compute nothing
    #[arg(long, conflicts_with_all = ["scenario", "size", "seed", "check"])]
    render: bool,
    /// The folder of the report
    #[arg(long, value_name = "FOLDER", default_value = "docs/aperture")]
    report: PathBuf,
}

const HELP: &str = "\
Without options the whole report is computed and written, in a few minutes on one core.
Each line that is printed is what docs/aperture/figures.tsv keeps: scenario, case, size, contender \
and numbers; parts of 1 unless they are counts, ratios or (p50, p99, p999) milliseconds.
Try `--scenario outage --size 100x100`, or a size of your own: `--scenario shares --size 40x700`.";

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let shelf = Shelf::new(&options.report);
    if options.check {
        let count = shelf.check()?;
        println!("{count} figures are as they are kept, and so are all tables and pictures");
        return Ok(());
    }
    if options.render {
        let (seed, lines) = shelf.read()?;
        return shelf.write(seed, &lines);
    }
    let print = |line: &Line| println!("{line}");
    if options.scenario.is_some() || options.size.is_some() {
        Plan::of(options.seed, options.scenario, options.size).run(print);
        return Ok(());
    }
    let lines = Plan::whole(options.seed).run(print);
    shelf.write(options.seed, &lines)?;
    println!("{} lines in {}", lines.len(), options.report.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }
}
