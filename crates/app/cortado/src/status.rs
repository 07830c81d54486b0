//! `cortado status`: nodes, partitions, leaders, positions, lag.
//!
//! Start reading at [`run`].

pub(crate) mod screen;

use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::{Columns, columns_of, counted, tell, thousands};
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::{escaped, raw_stdout, stdout};
use crate::trouble::{Ranges, is_well, troubles};
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
/// Partitions, databases and nodes that are shown one by one without being asked for.
const SHOWN_MAX: usize = 12;

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
        let shows_all = self.all || self.database.is_some();
        let mut text = format!("cortado {}, {}\n", answer.version, state_of(answer));
        let sections = [
            answer.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect(),
            render_troubles(answer),
            render_some_nodes(&answer.nodes, shows_all),
            render_some_databases(answer, shows_all),
            render_partitions(answer, shows_all),
        ];
        for section in sections.iter().filter(|section| !section.is_empty()) {
            text.push('\n');
            text.push_str(section);
        }
        text
    }
}

/// The cluster in half a sentence.
pub(crate) fn state_of(answer: &ClusterAnswer) -> String {
    match &answer.reason {
        _ if is_down(answer) => "no node runs".to_owned(),
        None => "every partition is served".to_owned(),
        Some(reason) => format!("not ready: {reason}"),
    }
}

/// What is not well, a line for each reason; nothing if all is well.
pub(crate) fn render_troubles(answer: &ClusterAnswer) -> String {
    let troubles = troubles(answer);
    if troubles.is_empty() {
        return String::new();
    }
    let mut columns = Columns::new(&["what is not well", "partitions", "which"]);
    for trouble in &troubles {
        let count = trouble.partitions.count();
        let count = if count == 0 { String::new() } else { thousands(count) };
        columns.add(vec![trouble.what.clone(), count, which(&trouble.partitions)]);
    }
    columns.render()
}

/// Partitions, as many as fit on a line beside what is said of them.
fn which(partitions: &Ranges) -> String {
    const COLUMNS_MAX: usize = 60;
    let text = partitions.to_string();
    if columns_of(&text) <= COLUMNS_MAX {
        return text;
    }
    let end = text.char_indices().take_while(|(at, _)| *at < COLUMNS_MAX).last();
    let cut = &text[..end.map_or(0, |(at, _)| at)];
    // At a whole number.
    let cut = cut.rfind([' ', ',']).map_or(cut, |at| &cut[..at]);
    format!("{cut} …")
}

/// The nodes that are not well, and of the others as many as can be looked over.
fn render_some_nodes(nodes: &[NodeAnswer], shows_all: bool) -> String {
    if shows_all || nodes.len() <= SHOWN_MAX {
        return render_nodes(nodes);
    }
    let serves = |node: &&NodeAnswer| node.alive && node.sick.is_none() && !node.drained;
    let (well, not): (Vec<_>, Vec<_>) = nodes.iter().partition(serves);
    let rest = format!("{} well; --all lists them\n", is_or_are(well.len(), "node"));
    if not.is_empty() {
        return rest;
    }
    let not: Vec<NodeAnswer> = not.into_iter().cloned().collect();
    render_nodes(&not) + &rest
}

/// The databases that are not well, and of the others as many as can be looked over.
fn render_some_databases(answer: &ClusterAnswer, shows_all: bool) -> String {
    let databases: Vec<&DatabaseStatusAnswer> = answer.databases.iter().collect();
    if shows_all || databases.len() <= SHOWN_MAX {
        return render_databases(&databases);
    }
    let all_are_well = |database: &&DatabaseStatusAnswer| {
        database.partitions.iter().all(|partition| is_well(partition, &answer.nodes))
    };
    let (well, mut not): (Vec<_>, Vec<_>) = databases.into_iter().partition(all_are_well);
    // Those with the most partitions that nobody serves first.
    let unled = |database: &DatabaseStatusAnswer| {
        database.partitions.iter().filter(|partition| partition.leader.is_none()).count()
    };
    not.sort_by_key(|database| std::cmp::Reverse(unled(database)));
    let more = not.len().saturating_sub(SHOWN_MAX);
    not.truncate(SHOWN_MAX);
    let mut text = if not.is_empty() { String::new() } else { render_databases(&not) };
    if more > 0 {
        text.push_str(&format!(
            "{} more not well; --all lists them\n",
            is_or_are(more, "database")
        ));
    }
    if !well.is_empty() {
        text.push_str(&format!("{} well; --all lists them\n", is_or_are(well.len(), "database")));
    }
    text
}

/// One line for each database.
fn render_databases(databases: &[&DatabaseStatusAnswer]) -> String {
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
pub(crate) fn lag_ms_of(partition: &PartitionAnswer) -> Option<u64> {
    partition.replicas.iter().filter_map(|replica| replica.lag_ms).max()
}

/// What is not known is a dash, not a zero.
pub(crate) fn or_dash(value: Option<impl Display>) -> String {
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

/// The partitions that are asked for, or those that are not well, if they are few: the reasons are
/// shown above.
fn render_partitions(answer: &ClusterAnswer, shows_all: bool) -> String {
    let titles =
        ["partition", "leader", "generation", "applied", "lag_records", "lag_ms", "replicas"];
    let mut columns = Columns::new(&titles);
    let partitions = answer.databases.iter().flat_map(|database| {
        database.partitions.iter().map(|partition| (database.name.as_str(), partition))
    });
    let (well, not): (Vec<_>, Vec<_>) =
        partitions.partition(|(_, partition)| is_well(partition, &answer.nodes));
    // The worst first: those without a leader, then those furthest behind.
    let mut listed = not;
    listed.sort_by_key(|(_, partition)| {
        (partition.leader.is_some(), std::cmp::Reverse(lag_ms_of(partition)))
    });
    let not_well = listed.len();
    if shows_all {
        listed.extend(well.iter().copied());
    } else if not_well > SHOWN_MAX {
        listed.clear();
    }
    for (database, partition) in &listed {
        columns.add(line_of(database, partition));
    }
    let mut text = if listed.is_empty() { String::new() } else { columns.render() };
    if !shows_all && not_well > SHOWN_MAX {
        text.push_str(&format!(
            "{} not well; --all lists them\n",
            is_or_are(not_well, "partition")
        ));
    }
    if !shows_all && !well.is_empty() {
        text.push_str(&format!("{} well; --all lists them\n", is_or_are(well.len(), "partition")));
    }
    text
}

fn is_or_are(count: usize, one: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(count as u64, one))
}

pub(crate) fn line_of(database: &str, partition: &PartitionAnswer) -> Vec<String> {
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

What is not well comes first, a line for each reason. Without DB or --all, partitions that are
not well are listed one by one only if they are few. A leader in parentheses is the one that
should lead: the preferred one, or the one that a handoff by hand has pinned. Replicas are
followers unless something else is said; `-12` behind one is its lag in records.
A leader is unverified as long as no other replica could compare histories with it. What no
node tells is a dash. The exit code is 1 if no node runs.";

#[cfg(test)]
mod tests;
