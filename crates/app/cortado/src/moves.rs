//! Moving replicas: `cortado moves …`, and what `node remove`, `node replace --by` and
//! `rebalance --replicas` have in common with it.
//!
//! Start reading at [`order`].

use crate::byte_size;
use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{Columns, counted, tell};
use crate::place::PartitionPlace;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::{Args, Subcommand};
use cortado_client::Client;
use cortado_wire::{MoveChangeAnswer, MoveLimitsBody, MoveOrderBody, MovePlanAnswer};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often it is looked how far a change is.
const LOOK: Duration = Duration::from_millis(500);
/// How often that is told.
const TELL: Duration = Duration::from_secs(5);

/// What can be done with changes of where replicas live.
#[derive(Debug, Subcommand)]
pub(crate) enum MovesCommand {
    /// Show the changes that are not over, and how far each is
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Move one replica from a node to another
    #[command(after_help = START_HELP)]
    Start(Box<StartArguments>),
    /// Let a change rest where it is
    #[command(after_help = PAUSE_HELP)]
    Pause(OneChange),
    /// Let a change go on that was paused
    #[command(after_help = RESUME_HELP)]
    Resume(OneChange),
    /// Begin nothing more of a change, and end what was begun where that is nearest
    #[command(after_help = CANCEL_HELP)]
    Cancel(OneChange),
    /// Let a change go on faster, or slower
    #[command(after_help = THROTTLE_HELP)]
    Throttle(ThrottleArguments),
}

/// Which change.
#[derive(Debug, Args)]
pub(crate) struct OneChange {
    /// Its id, as `cortado moves list` shows it
    change: u64,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// How fast replicas may move.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LimitArguments {
    /// Replicas that are copied to one node at a time [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    copies_per_node: Option<u32>,
    /// Replicas that are copied in the whole cluster at a time [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    copies_per_cluster: Option<u32>,
    /// What all copies together may take in a second, such as 20MiB; 0 for no bound [default:
    /// 60000000]
    #[arg(long, value_name = "SIZE", value_parser = byte_size::parse)]
    bytes_per_second: Option<u64>,
}

/// What a command is told that moves replicas.
#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    /// Only show what would be moved
    #[arg(long)]
    dry_run: bool,
    /// Return when it has begun; `cortado moves list` shows how far it is
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// What `cortado moves start` is told.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// DB/NUMBER, such as geo/3
    #[arg(add = names::partitions())]
    partition: PartitionPlace,
    /// The node that gives its replica up
    #[arg(long, value_name = "NODE", add = names::nodes())]
    from: String,
    /// The node that gets it
    #[arg(long, value_name = "NODE", add = names::nodes())]
    to: String,
    #[command(flatten)]
    change: ChangeArguments,
}

/// What `cortado moves throttle` is told.
#[derive(Debug, Args)]
pub(crate) struct ThrottleArguments {
    #[command(flatten)]
    one: OneChange,
    #[command(flatten)]
    limits: LimitArguments,
}

impl ChangeArguments {
    /// The servers, and how to print.
    pub(crate) fn parts(&self) -> (&ServerArguments, OutputArguments) {
        (&self.server, self.output)
    }

    /// Whether an option is given that is of use only where replicas move.
    pub(crate) fn is_given(&self) -> bool {
        let LimitArguments { copies_per_node, copies_per_cluster, bytes_per_second } = self.limits;
        let limits = [copies_per_node.is_some(), copies_per_cluster.is_some()];
        self.dry_run || self.no_wait || limits.contains(&true) || bytes_per_second.is_some()
    }
}

/// Runs `cortado moves …`.
pub(crate) fn run(command: MovesCommand) -> Result<Exit, Failure> {
    match command {
        MovesCommand::List { output, server } => {
            let client = server.client();
            let answer = block_on(async { Ok(client.moves().await?) })?;
            match output.form_of_report() {
                Form::Json => print_json(&answer.changes)?,
                Form::Table => stdout().write_all(render(&answer.changes).as_bytes())?,
            }
            Ok(Exit::Done)
        }
        MovesCommand::Start(arguments) => {
            let StartArguments { partition, from, to, change } = *arguments;
            let asked = MoveOrderBody {
                kind: Some("move_replica".to_owned()),
                database: Some(partition.database),
                partition: Some(partition.partition),
                from: Some(from),
                to: Some(to),
                ..MoveOrderBody::default()
            };
            order(asked, &change)
        }
        MovesCommand::Pause(one) => {
            alter(&one, "paused", async |client, change| client.pause_moves(change).await)
        }
        MovesCommand::Resume(one) => {
            alter(&one, "resumed", async |client, change| client.resume_moves(change).await)
        }
        MovesCommand::Cancel(one) => {
            alter(&one, "cancelled", async |client, change| client.cancel_moves(change).await)
        }
        MovesCommand::Throttle(ThrottleArguments { one, limits }) => {
            let limits = MoveLimitsBody {
                copies_per_node: limits.copies_per_node,
                copies_per_cluster: limits.copies_per_cluster,
                bytes_per_second: limits.bytes_per_second,
            };
            if limits == MoveLimitsBody::default() {
                let what = "nothing to change: give --copies-per-node, --copies-per-cluster or \
                            --bytes-per-second";
                return Err(Failure::usage(what));
            }
            alter(&one, "throttled", async |client, change| {
                client.throttle_moves(change, &limits).await
            })
        }
    }
}

fn alter(
    one: &OneChange,
    done: &str,
    order: impl AsyncFnOnce(&Client, u64) -> Result<(), cortado_client::ClientError>,
) -> Result<Exit, Failure> {
    let OneChange { change, output, server } = one;
    let client = server.client();
    block_on(async { order(&client, *change).await.map_err(Failure::of_declaration) })?;
    match output.form_of_report() {
        Form::Table => writeln!(stdout(), "change {change} is {done}")?,
        Form::Json => writeln!(stdout(), "{}", json!({"done": done, "change": change}))?,
    }
    Ok(Exit::Done)
}

/// Plans a change, shows it, lets it begin and waits for its end, as far as is asked for.
pub(crate) fn order(mut asked: MoveOrderBody, how: &ChangeArguments) -> Result<Exit, Failure> {
    let LimitArguments { copies_per_node, copies_per_cluster, bytes_per_second } = how.limits;
    asked.dry_run = how.dry_run;
    (asked.copies_per_node, asked.copies_per_cluster) = (copies_per_node, copies_per_cluster);
    asked.bytes_per_second = bytes_per_second;
    let client = how.server.client();
    block_on(async {
        let planned = client.order_moves(&asked).await;
        let planned = planned.map_err(|error| {
            let next = "`cortado moves list` shows whether it has begun";
            Failure::from(error).if_unknown(next)
        })?;
        match how.output.form_of_report() {
            Form::Json => print_json(&planned)?,
            Form::Table => stdout().write_all(render_plan(&planned, how.dry_run).as_bytes())?,
        }
        match planned.change.filter(|_| !how.no_wait) {
            Some(change) => await_over(&client, change, how.output).await,
            None => Ok(Exit::Done),
        }
    })
}

/// Waits until a change is over, and tells how far it is.
async fn await_over(
    client: &Client,
    change: u64,
    output: OutputArguments,
) -> Result<Exit, Failure> {
    let (mut told_at, mut was_cancelled) = (Instant::now(), false);
    loop {
        let found = client.moves().await.map_err(|error| {
            Failure::from(error).of_what_goes_on(format!("change {change} has begun"))
        })?;
        let Some(found) = found.changes.into_iter().find(|found| found.change == change) else {
            break;
        };
        was_cancelled |= found.state == "cancelled";
        if found.state == "paused" {
            tell(&format!("{}; `cortado moves resume {change}` lets it go on", sentence(&found)));
            return Ok(Exit::Unknown);
        }
        if told_at.elapsed() >= TELL {
            told_at = Instant::now();
            tell(&sentence(&found));
        }
        sleep(LOOK).await;
    }
    if was_cancelled {
        tell(&format!("change {change} was cancelled: `cortado explain --last 20` tells by whom"));
        return Ok(Exit::Unknown);
    }
    if output.form_of_report() == Form::Table {
        writeln!(stdout(), "change {change} is done")?;
    }
    Ok(Exit::Done)
}

/// What a plan moves, by the nodes between which it does.
fn render_plan(plan: &MovePlanAnswer, is_dry: bool) -> String {
    let MovePlanAnswer { what, replicas, bytes, all_measured, partitions, .. } = plan;
    let mut routes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for one in &plan.moves {
        let (from, to) = (one.from.as_deref().unwrap_or("-"), one.to.as_deref().unwrap_or("-"));
        *routes.entry((from, to)).or_default() += 1;
    }
    let mut columns = Columns::new(&["from", "to", "replicas"]);
    for ((from, to), count) in &routes {
        columns.add(vec![(*from).to_owned(), (*to).to_owned(), count.to_string()]);
    }
    let at_least = if *all_measured { "" } else { "at least " };
    let copied = format!("{}, {at_least}{}", counted(*replicas, "replica"), size(*bytes));
    let state = match (plan.change, is_dry) {
        (Some(id), _) => format!("change {id} has begun"),
        (None, true) => "nothing was begun".to_owned(),
        (None, false) => "there is nothing to do".to_owned(),
    };
    let table = if routes.is_empty() { String::new() } else { columns.render() };
    format!(
        "{what}: {copied} to copy, {} placed otherwise; {state}\n{table}",
        counted(*partitions, "partition")
    )
}

fn render(changes: &[MoveChangeAnswer]) -> String {
    if changes.is_empty() {
        return "no change of where replicas live is under way\n".to_owned();
    }
    let mut text = String::new();
    for change in changes {
        text.push_str(&sentence(change));
        text.push('\n');
        for waiting in &change.waiting {
            let (database, partition) = (&waiting.database, waiting.partition);
            let partitions = counted(waiting.partitions, "partition");
            let line = format!("  {partitions} ({database}/{partition}): {}\n", waiting.why);
            text.push_str(&line);
        }
    }
    text
}

/// How far a change is.
fn sentence(change: &MoveChangeAnswer) -> String {
    let MoveChangeAnswer { what, state, replicas_done, replicas, copying, .. } = change;
    let (done, all) = (size(change.bytes_done), size(change.bytes));
    let left = match change.eta_ms {
        Some(ms) if state == "running" => format!(", about {} left", duration(ms)),
        Some(_) | None => String::new(),
    };
    format!(
        "change {} ({what}) is {state}: {replicas_done} of {replicas} replicas, {done} of {all}, \
         {copying} being copied{left}",
        change.change
    )
}

/// Bytes with a unit that keeps them short.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} B");
    }
    let (mut number, mut unit) = (bytes as f64 / 1024.0, UNITS[0]);
    for next in &UNITS[1..] {
        if number < 1024.0 {
            break;
        }
        (number, unit) = (number / 1024.0, next);
    }
    format!("{number:.1} {unit}")
}

fn duration(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

const LIST_HELP: &str = "\
Examples:
  cortado moves list
  cortado moves list --output json | jq '.[].eta_ms'

A change is planned by `cortado rebalance --replicas`, `cortado node remove`, `cortado node
replace --by` or `cortado moves start`, and carried out by the node that leads the cluster;
if that dies, the next one goes on.";

const START_HELP: &str = "\
Examples:
  cortado moves start geo/3 --from n1 --to n4
  cortado moves start geo/3 --from n1 --to n4 --dry-run

The new replica is copied and has caught up before the old one is taken away.";

const PAUSE_HELP: &str = "\
Examples:
  cortado moves pause 7

Copies that are under way rest, and nothing more is begun. Nothing is lost by that.";

const RESUME_HELP: &str = "\
Examples:
  cortado moves resume 7";

const CANCEL_HELP: &str = "\
Examples:
  cortado moves cancel 7

Replicas that have moved stay where they are. A node that was to be removed stays drained:
`cortado node resume NODE` ends that.";

const THROTTLE_HELP: &str = "\
Examples:
  cortado moves throttle 7 --bytes-per-second 10MiB
  cortado moves throttle 7 --copies-per-cluster 30 --bytes-per-second 0";

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_wire::{MoveLimitsAnswer, PlannedMoveAnswer};

    const LIMITS: MoveLimitsAnswer =
        MoveLimitsAnswer { copies_per_node: 3, copies_per_cluster: 10, bytes_per_second: 0 };

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 1_023, 1_536, 5 << 20, 3 << 40].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.0 TiB"]);
        let times = [1, 90_000, 600_000, 9_000_000].map(duration);
        assert_eq!(times, ["1 s", "90 s", "10 min", "3 h"]);
    }

    #[test]
    fn a_plan_is_told_by_the_nodes_between_which_it_moves() {
        let one = |from: &str, partition| PlannedMoveAnswer {
            database: "geo".to_owned(),
            partition,
            from: Some(from.to_owned()),
            to: Some("n4".to_owned()),
        };
        let plan = MovePlanAnswer {
            change: None,
            what: "replicas are spread evenly over all nodes".to_owned(),
            replicas: 3,
            bytes: 3 << 20,
            all_measured: false,
            partitions: 5,
            limits: LIMITS,
            moves: vec![one("n1", 0), one("n2", 1), one("n1", 2)],
        };
        let told = render_plan(&plan, true);
        assert!(told.contains("3 replicas, at least 3.0 MiB to copy, 5 partitions"), "{told}");
        assert!(told.contains("nothing was begun"), "{told}");
        let line = |from| told.lines().find(|line| line.starts_with(from)).unwrap_or_default();
        assert_eq!(line("n1").split_whitespace().collect::<Vec<_>>(), ["n1", "n4", "2"]);
        assert_eq!(line("n2").split_whitespace().collect::<Vec<_>>(), ["n2", "n4", "1"]);
    }
}
