//! `sim`: runs seeds of the simulator, on every core.
//!
//! Decides nothing about runs: the library does. Start reading at [`main`].

use cortado_sim::{Coverage, Judge, Mutant, Order, Report, Scenario, Telling, simulate};
use std::collections::VecDeque;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

/// Prints a line; the reader may have closed the pipe.
macro_rules! tell {
    ($($text:tt)*) => {{
        let _closed = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Fewer seeds than these need not reach everything.
const COVERED_SEEDS_MIN: u64 = 1_300;
/// The same of one scenario and what that is about.
const SCENARIO_SEEDS_MIN: u64 = 25;
/// Lines of the story that a failure shows.
const LINES_MAX: usize = 60;

const USAGE: &str = "\
Usage: sim --seeds N [--from S] [--scenario NAME]
       sim --seed S [--scenario NAME] [--trace]
       sim --scenarios

  --seeds N        how many seeds to run, on every core
  --from S         the first of them (0)
  --seed S         one seed
  --scenario NAME  only this scenario; otherwise the seed chooses
  --trace          print everything that happens
  --mutant NAME    plant a bug
  --scenarios      list the scenarios";

fn main() -> ExitCode {
    match Command::parse(std::env::args().skip(1)) {
        Ok(Command::List) => {
            Scenario::ALL.iter().for_each(|scenario| tell!("{scenario}"));
            ExitCode::SUCCESS
        }
        Ok(Command::One { seed, choice, trace }) => run_one(seed, choice, trace),
        Ok(Command::Many { from, seeds, choice }) => run_many(from, seeds, choice),
        Err(why) => {
            eprintln!("sim: {why}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
enum Command {
    List,
    One { seed: u64, choice: Choice, trace: bool },
    Many { from: u64, seeds: u64, choice: Choice },
}

/// What every seed runs with.
#[derive(Clone, Copy, Default)]
struct Choice {
    scenario: Option<Scenario>,
    mutant: Option<Mutant>,
}

impl Command {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
        let (mut seeds, mut seed, mut from, mut trace) = (None, None, 0, false);
        let mut choice = Choice::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--scenarios" => return Ok(Command::List),
                "--trace" => trace = true,
                "--seeds" => seeds = Some(number(&value()?)?),
                "--seed" => seed = Some(number(&value()?)?),
                "--from" => from = number(&value()?)?,
                "--scenario" => {
                    let name = value()?;
                    let scenario = Scenario::parse(&name);
                    choice.scenario = Some(scenario.ok_or(format!("no scenario `{name}`"))?);
                }
                "--mutant" => {
                    let name = value()?;
                    let mutant = Mutant::all().find(|each| each.to_string() == name);
                    choice.mutant = Some(mutant.ok_or(format!("no mutant `{name}`"))?);
                }
                _ => return Err(format!("unknown word `{word}`")),
            }
        }
        match (seeds, seed) {
            (None, Some(seed)) => Ok(Command::One { seed, choice, trace }),
            (Some(seeds), None) => Ok(Command::Many { from, seeds, choice }),
            (None, None) | (Some(_), Some(_)) => Err("either --seed or --seeds".to_owned()),
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// Runs a seed; a panic of what it drives is a failure like any other.
fn run_seed(seed: u64, choice: Choice, telling: Telling) -> Result<Report, String> {
    let scenario = choice.scenario.unwrap_or_else(|| Scenario::of_seed(seed));
    let order = Order { seed, scenario, mutant: choice.mutant, judge: Judge::All };
    let run = AssertUnwindSafe(|| simulate(&order, telling));
    catch_unwind(run).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panicked: {}", text.unwrap_or_default())
    })
}

fn run_one(seed: u64, choice: Choice, trace: bool) -> ExitCode {
    let kept = Telling::Kept(VecDeque::new(), LINES_MAX);
    let result = run_seed(seed, choice, if trace { Telling::Printed } else { kept });
    if let Some(failure) = failure(seed, choice, &result) {
        tell!("{failure}");
        return ExitCode::FAILURE;
    }
    let report = result.expect("a failure would have been told");
    tell!("seed {seed}: {} is well, trace {:016x}", report.scenario, report.trace);
    tell!("{}", Sum::of(&report));
    print_coverage(&report.coverage);
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_methods, reason = "tells how long it took, decides nothing")]
fn run_many(from: u64, seeds: u64, choice: Choice) -> ExitCode {
    let started = Instant::now();
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = mpsc::channel();
    let mut sum = Sum::default();
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds
                        || sender.send((seed, run_seed(seed, choice, Telling::Silent))).is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (seed, result) in receiver {
            if let Some(failure) = failure(seed, choice, &result) {
                tell!("{failure}");
                failures.push(seed);
                // The first failures tell most; more of the same only hide them.
                stop.store(failures.len() >= 5, Ordering::Relaxed);
            }
            if let Ok(report) = result {
                sum.add(&report);
            }
            if sum.seeds.is_multiple_of(100) {
                tell!("{} seeds, {} failed", sum.seeds, failures.len());
            }
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    print_coverage(&sum.coverage);
    tell!("{sum}");
    let speed = sum.simulated_us as f64 / 1e6 / seconds.max(0.001);
    tell!("{seconds:.1} s on {threads} cores, {speed:.0} times as fast as time");
    let never = match choice.scenario {
        None if sum.seeds >= COVERED_SEEDS_MIN => sum.coverage.never(),
        Some(scenario) if sum.seeds >= SCENARIO_SEEDS_MIN && choice.mutant.is_none() => {
            sum.coverage.never_in(scenario).into_iter().map(str::to_owned).collect()
        }
        None | Some(_) => Vec::new(),
    };
    if !never.is_empty() {
        tell!("FAILED: never reached in {} seeds: {}", sum.seeds, never.join(", "));
    }
    let unexpected = if choice.mutant.is_none() { sum.coverage.unexpected() } else { Vec::new() };
    if !unexpected.is_empty() {
        tell!("FAILED: met after all, take it off variant::NOT_HERE: {}", unexpected.join(", "));
    }
    match failures.is_empty() && never.is_empty() && unexpected.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What to print about a seed that has failed, with the command that repeats it.
fn failure(seed: u64, choice: Choice, result: &Result<Report, String>) -> Option<String> {
    let scenario = choice.scenario.unwrap_or_else(|| Scenario::of_seed(seed));
    let (what, lines) = match result {
        Ok(Report { finding: None, .. }) => return None,
        Ok(report) => {
            let finding = report.finding.as_ref()?;
            (format!("at {}: {}", finding.at, finding.violation), report.lines.join("\n"))
        }
        Err(panic) => (panic.clone(), String::new()),
    };
    let named = choice.scenario.map(|name| format!(" --scenario {name}")).unwrap_or_default();
    let again = format!("repeat with: cargo xtask sim --seed {seed}{named} --trace");
    Some(format!("{lines}\nFAILED: seed {seed} ({scenario}) {what}\n{again}"))
}

/// Many reports in one.
#[derive(Default)]
struct Sum {
    seeds: u64,
    simulated_us: u64,
    happenings: u64,
    operations: u64,
    done: u64,
    generations: u64,
    undecided: u64,
    coverage: Coverage,
}

impl Sum {
    fn of(report: &Report) -> Sum {
        let mut sum = Sum::default();
        sum.add(report);
        sum
    }

    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.simulated_us += report.simulated_us;
        self.happenings += report.happenings;
        self.operations += report.operations;
        self.done += report.done;
        self.generations += report.generations;
        self.undecided += report.undecided;
        self.coverage.add(&report.coverage);
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} seeds, {} s simulated, {} operations ({} done), {} generations, {} happenings, \
             {} histories undecided",
            self.seeds,
            self.simulated_us / 1_000_000,
            self.operations,
            self.done,
            self.generations,
            self.happenings,
            self.undecided,
        )
    }
}

fn print_coverage(coverage: &Coverage) {
    tell!("faults: {:?}", coverage.faults);
    let boundaries = coverage.boundaries.iter();
    let boundaries: Vec<String> =
        boundaries.map(|(b, count)| format!("{:?} {:?}: {count}", b.point, b.action)).collect();
    tell!("boundaries: {}", boundaries.join(", "));
    tell!("transitions: {:?}", coverage.transitions);
    tell!("points: {:?}", coverage.points);
    tell!("variants: {:?}", coverage.variants);
}
