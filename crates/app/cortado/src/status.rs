//! `cortado status`: nodes, partitions, leaders, positions, lag.
//!
//! Start reading at [`run`].

mod screen;

use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{Columns, counted, tell};
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::{escaped, raw_stdout, stdout};
use clap::Args;
use cortado_wire::{
    ClusterAnswer, DatabaseStatusAnswer, NodeAnswer, PartitionAnswer, ReplicaAnswer,
};
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::sleep;

/// What `cortado status` is told.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Only this database, with all of its partitions
    #[arg(value_name = "DB", add = names::databases())]
    database: Option<String>,
    /// All partitions, not only those that are not well
    #[arg(long)]
    all: bool,
    /// Refresh every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// A replica whose newest state is older than this is not well.
const LAG_MS_MAX: u64 = 1_000;

/// Prints the cluster, once or again and again.
pub(crate) fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let form = if arguments.json { Form::Json } else { arguments.output.form_of_report() };
    let client = arguments.server.client();
    block_on(async {
        loop {
            let found = client.cluster().await;
            let found = match (found, arguments.watch) {
                (Ok(answer), _) => Ok(arguments.only_named(answer)?),
                // A server that starts again is worth waiting for.
                (Err(error), true) => Err(error),
                (Err(error), false) => return Err(error.into()),
            };
            let exit = match &found {
                Ok(answer) if is_down(answer) => Exit::Refused,
                Ok(_) | Err(_) => Exit::Done,
            };
            match (found, form) {
                (Ok(answer), Form::Json) => print_json(&answer)?,
                (Ok(answer), Form::Table) => arguments.show(&arguments.render(&answer))?,
                (Err(error), Form::Json) => tell(&error.to_string()),
                (Err(error), Form::Table) => arguments.show(&format!("{error}\n"))?,
            }
            if !arguments.watch {
                return Ok(exit);
            }
            sleep(WATCH_PERIOD).await;
        }
    })
}

/// Whether nothing is known of the cluster but what was declared.
fn is_down(answer: &ClusterAnswer) -> bool {
    !answer.nodes.iter().any(|node| node.alive)
}

impl StatusArguments {
    fn only_named(&self, mut answer: ClusterAnswer) -> Result<ClusterAnswer, Failure> {
        if let Some(name) = &self.database {
            answer.databases.retain(|database| database.name == *name);
            if answer.databases.is_empty() {
                return Err(Failure::new(format!("there is no database {name}"))
                    .next("`cortado db list` shows them"));
            }
        }
        Ok(answer)
    }

    /// Prints a text; while a terminal is watched, in the place of the one before.
    fn show(&self, text: &str) -> io::Result<()> {
        let mut out = stdout();
        if self.watch && out.is_terminal() {
            let mut out = raw_stdout();
            out.write_all(screen::redrawn(&escaped(text), screen::size()).as_bytes())?;
            return out.flush();
        }
        out.write_all(text.as_bytes())?;
        if self.watch {
            // A file or a pipe keeps what was before.
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    fn render(&self, answer: &ClusterAnswer) -> String {
        let state = match &answer.reason {
            _ if is_down(answer) => "no node runs".to_owned(),
            None => "every partition is served".to_owned(),
            Some(reason) => format!("not ready: {reason}"),
        };
        let nodes = render_nodes(&answer.nodes);
        let databases = render_databases(&answer.databases);
        let lists_all = self.all || self.database.is_some();
        let is_listed =
            |partition: &PartitionAnswer| lists_all || !is_well(partition, &answer.nodes);
        let mut text = format!("cortado {}, {state}\n\n{nodes}\n{databases}", answer.version);
        if let Some(partitions) = render_partitions(&answer.databases, is_listed) {
            text.push('\n');
            text.push_str(&partitions);
        }
        text
    }
}

/// Whether a partition is led where it should be, and all of its replicas keep up.
fn is_well(partition: &PartitionAnswer, nodes: &[NodeAnswer]) -> bool {
    let is_drained = |name: &String| nodes.iter().any(|node| node.node == *name && node.drained);
    let wanted = partition.pinned.as_ref().or(partition.preferred.as_ref());
    let in_place = match &partition.leader {
        Some(leader) if is_drained(leader) => !could_move(partition, leader, nodes),
        leader => leader.as_ref() == wanted || wanted.is_some_and(is_drained),
    };
    let several = partition.replicas.len() > 1;
    let keeps_up = |replica: &ReplicaAnswer| {
        let follows = replica.role == "follower" || replica.role == "leader";
        let is_close = replica.lag_ms.is_some_and(|lag_ms| lag_ms <= LAG_MS_MAX);
        follows && is_close && !(replica.unverified && several)
    };
    partition.leader.is_some() && in_place && partition.replicas.iter().all(keeps_up)
}

/// Whether another node than `leader` could lead: it runs, is neither sick nor drained, and has a
/// replica that can be read.
pub(crate) fn could_move(partition: &PartitionAnswer, leader: &str, nodes: &[NodeAnswer]) -> bool {
    let is_fit = |name: &str| {
        let mut found = nodes.iter().filter(|node| node.node == name);
        found.any(|node| node.alive && !node.drained && node.sick.is_none())
    };
    let others = partition.replicas.iter().filter(|replica| replica.node != leader);
    let mut able = others.filter(|replica| replica.role == "follower");
    able.any(|replica| is_fit(&replica.node))
}

/// One line for each database.
fn render_databases(databases: &[DatabaseStatusAnswer]) -> String {
    let titles = ["database", "partitions", "led", "pinned", "lag_records", "lag_ms"];
    let mut columns = Columns::new(&titles);
    for DatabaseStatusAnswer { name, partitions } in databases {
        let count = |is: &dyn Fn(&PartitionAnswer) -> bool| {
            partitions.iter().filter(|partition| is(partition)).count().to_string()
        };
        let lags_ms = partitions.iter().filter_map(lag_ms_of);
        columns.add(vec![
            name.clone(),
            partitions.len().to_string(),
            count(&|partition| partition.leader.is_some()),
            count(&|partition| partition.pinned.is_some()),
            or_dash(partitions.iter().filter_map(|partition| partition.lag_records).max()),
            or_dash(lags_ms.max()),
        ]);
    }
    columns.render()
}

/// How old the state of the replica is that is furthest behind.
fn lag_ms_of(partition: &PartitionAnswer) -> Option<u64> {
    partition.replicas.iter().filter_map(|replica| replica.lag_ms).max()
}

/// What is not known is a dash, not a zero.
fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The nodes, as columns.
pub(crate) fn render_nodes(nodes: &[NodeAnswer]) -> String {
    let mut titles = vec!["node", "state", "leads", "replicas", "address"];
    // Most clusters have neither zones nor nodes of different sizes.
    let has_zones = nodes.iter().any(|node| node.zone.is_some());
    let capacity = nodes.iter().find_map(|node| node.capacity);
    let has_sizes = nodes.iter().any(|node| node.capacity.is_some() && node.capacity != capacity);
    titles.extend(has_zones.then_some("zone"));
    titles.extend(has_sizes.then_some("capacity"));
    let mut columns = Columns::new(&titles);
    for node in nodes {
        let mut state = match (node.alive, &node.sick) {
            (false, Some(why)) => format!("down: {why}"),
            (false, None) => "dead".to_owned(),
            (true, Some(why)) => format!("sick: {why}"),
            (true, None) => "alive".to_owned(),
        };
        if node.drained {
            state.push_str(", drained");
        }
        let mut cells = vec![
            node.node.clone(),
            state,
            node.leaderships.to_string(),
            node.replicas.to_string(),
            node.address.clone(),
        ];
        cells.extend(has_zones.then(|| or_dash(node.zone.as_ref())));
        cells.extend(has_sizes.then(|| or_dash(node.capacity)));
        columns.add(cells);
    }
    columns.render()
}

/// The partitions that are listed, and how many are not; `None` if there is nothing to say.
fn render_partitions(
    databases: &[DatabaseStatusAnswer],
    is_listed: impl Fn(&PartitionAnswer) -> bool,
) -> Option<String> {
    let titles =
        ["partition", "leader", "generation", "applied", "lag_records", "lag_ms", "replicas"];
    let mut columns = Columns::new(&titles);
    let (mut listed, mut others) = (0_u64, 0_u64);
    for database in databases {
        for partition in &database.partitions {
            if is_listed(partition) {
                columns.add(line_of(&database.name, partition));
                listed += 1;
            } else {
                others += 1;
            }
        }
    }
    let rest = match others {
        0 => String::new(),
        _ => format!("{} well; --all lists them\n", is_or_are(others)),
    };
    match listed {
        0 if others == 0 => None,
        0 => Some(rest),
        _ => Some(columns.render() + &rest),
    }
}

fn is_or_are(partitions: u64) -> String {
    let verb = if partitions == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(partitions, "partition"))
}

fn line_of(database: &str, partition: &PartitionAnswer) -> Vec<String> {
    let PartitionAnswer { leader, preferred, pinned, .. } = partition;
    let wanted = pinned.as_ref().or(preferred.as_ref());
    let mut led = leader.clone().unwrap_or_else(|| "none".to_owned());
    if let Some(wanted) =
        wanted.filter(|wanted| leader.is_some() && leader.as_ref() != Some(wanted))
    {
        led.push_str(&format!(" ({wanted})"));
    }
    if pinned.is_some() {
        led.push_str(" pinned");
    }
    let replicas: Vec<String> = partition.replicas.iter().map(replica_text).collect();
    vec![
        format!("{database}/{}", partition.partition),
        led,
        or_dash(partition.generation),
        or_dash(partition.applied.map(|applied| applied.scn)),
        or_dash(partition.lag_records),
        or_dash(lag_ms_of(partition)),
        replicas.join("  "),
    ]
}

/// `n2`, what it does if it does not follow, and how far behind it is if it is.
fn replica_text(replica: &ReplicaAnswer) -> String {
    let ReplicaAnswer { node, role, unverified, lag_records, .. } = replica;
    let mut text = node.clone();
    // Most replicas follow: without the word, a line fits a narrow terminal.
    if role != "follower" {
        text.push_str(&format!(" {role}"));
    }
    if *unverified {
        text.push_str(" unverified");
    }
    if let Some(lag_records) = lag_records.filter(|lag_records| *lag_records > 0) {
        text.push_str(&format!(" -{lag_records}"));
    }
    text
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado status
  cortado status geo --watch
  cortado status --json | jq '.databases[].partitions[] | select(.leader == null)'

Without DB or --all, only partitions that are not well are listed. A leader in parentheses is
the one that should lead: the preferred one, or the one that a handoff by hand has pinned.
Replicas are followers unless something else is said; `-12` behind one is its lag in records.
A leader is unverified as long as no other replica could compare histories with it. What no
node tells is a dash. The exit code is 1 if no node runs.";

#[cfg(test)]
mod tests;
