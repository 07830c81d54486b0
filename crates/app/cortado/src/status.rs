//! `cortado status`: nodes, partitions, leaders, positions, lag.
//!
//! Start reading at [`run`].

use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::output::{Columns, tell};
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use clap::Args;
use cortado_wire::{ClusterAnswer, NodeAnswer, PartitionAnswer, ReplicaAnswer};
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::sleep;

/// What `cortado status` is told.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Only this database
    #[arg(value_name = "DB")]
    database: Option<String>,
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
/// Puts the cursor at the top left and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Prints the cluster, once or again and again.
pub(crate) fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let form = if arguments.json { Form::Json } else { arguments.output.form() };
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
            if arguments.watch && form == Form::Table {
                write!(io::stdout(), "{CLEAR}")?;
            }
            match found {
                Ok(answer) => print(&answer, form)?,
                Err(error) => tell(&error.to_string()),
            }
            if !arguments.watch {
                return Ok(Exit::Done);
            }
            sleep(WATCH_PERIOD).await;
        }
    })
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
}

fn print(answer: &ClusterAnswer, form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => print_json(answer),
        Form::Table => Ok(io::stdout().write_all(render(answer).as_bytes())?),
    }
}

fn render(answer: &ClusterAnswer) -> String {
    let state = match &answer.reason {
        None => "every partition is served".to_owned(),
        Some(reason) => format!("not ready: {reason}"),
    };
    let nodes = render_nodes(&answer.nodes);
    let partitions = render_partitions(answer);
    format!("cortado {}, {state}\n\n{nodes}\n{partitions}", answer.version)
}

/// The nodes, as columns.
pub(crate) fn render_nodes(nodes: &[NodeAnswer]) -> String {
    let mut columns = Columns::new(&["node", "state", "leads", "replicas", "address"]);
    for node in nodes {
        let state = match (node.alive, &node.sick) {
            (false, Some(why)) => format!("refused: {why}"),
            (false, None) => "dead".to_owned(),
            (true, Some(why)) => format!("sick: {why}"),
            (true, None) => "alive".to_owned(),
        };
        columns.add(vec![
            node.node.clone(),
            state,
            node.leaderships.to_string(),
            node.replicas.to_string(),
            node.address.clone(),
        ]);
    }
    columns.render()
}

fn render_partitions(answer: &ClusterAnswer) -> String {
    let mut columns =
        Columns::new(&["partition", "leader", "generation", "applied", "lag_records", "replicas"]);
    for database in &answer.databases {
        for partition in &database.partitions {
            columns.add(line_of(&database.name, partition));
        }
    }
    columns.render()
}

fn line_of(database: &str, partition: &PartitionAnswer) -> Vec<String> {
    let leader = match (&partition.leader, &partition.preferred) {
        (None, _) => "none".to_owned(),
        (Some(leader), Some(preferred)) if leader != preferred => format!("{leader} ({preferred})"),
        (Some(leader), _) => leader.clone(),
    };
    let replicas: Vec<String> = partition.replicas.iter().map(replica_text).collect();
    vec![
        format!("{database}/{}", partition.partition),
        leader,
        partition.generation.to_string(),
        partition.applied.scn.to_string(),
        partition.lag_records.to_string(),
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
    if *lag_records > 0 {
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

A leader in parentheses is the one that should lead when all nodes are well. Replicas are
followers unless something else is said; `-12` behind one is its lag in records. A leader
is unverified as long as no other replica could compare histories with it.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_one_line() {
        let replica = |node: &str, role: &str, lag_records| ReplicaAnswer {
            node: node.to_owned(),
            role: role.to_owned(),
            unverified: role == "leader",
            applied: "3/5:9".parse().expect("a position"),
            lag_records,
            lag_ms: 0,
        };
        let partition = PartitionAnswer {
            partition: 3,
            leader: Some("n2".to_owned()),
            preferred: Some("n1".to_owned()),
            generation: 5,
            applied: "3/5:9".parse().expect("a position"),
            lag_records: 4,
            replicas: vec![replica("n1", "follower", 4), replica("n2", "leader", 0)],
        };
        let line = line_of("geo", &partition);
        assert_eq!(line, ["geo/3", "n2 (n1)", "5", "5:9", "4", "n1 -4  n2 leader unverified"]);
        let unled = PartitionAnswer { leader: None, ..partition };
        assert_eq!(line_of("geo", &unled)[1], "none");
    }
}
