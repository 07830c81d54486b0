//! `cortado node …` and `cortado handoff`.
//!
//! Start reading at [`NodeCommand`].

use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::place::PartitionPlace;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::status::render_nodes;
use clap::{Args, Subcommand};
use cortado_client::ClientError;
use serde_json::{Value, json};
use std::io::{self, Write};

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes
    #[command(after_help = LIST_HELP)]
    List {
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Kill a node of a development server, without a shutdown
    #[command(after_help = KILL_HELP)]
    Kill(OneNode),
    /// Start a node that was killed
    #[command(after_help = START_HELP)]
    Start(OneNode),
    /// Let another data directory take over the name of a node that has ended
    #[command(after_help = REPLACE_HELP)]
    Replace(OneNode),
}

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct OneNode {
    /// Name of the node, such as n1
    node: String,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs `cortado node …`.
pub(crate) fn run(command: NodeCommand) -> Result<Exit, Failure> {
    match command {
        NodeCommand::List { output, server } => {
            let client = server.client();
            let answer = block_on(async { Ok(client.nodes().await?) })?;
            match output.form() {
                Form::Json => print_json(&answer.nodes)?,
                Form::Table => io::stdout().write_all(render_nodes(&answer.nodes).as_bytes())?,
            }
        }
        NodeCommand::Kill(OneNode { node, output, server }) => {
            let client = server.client();
            block_on(async { client.kill_node(&node).await.map_err(of_command) })?;
            let done = format!(
                "killed {node}; `cortado status` shows who leads now, `cortado node start {node}` \
                 brings it back"
            );
            report(output, &done, &json!({"done": "killed", "node": node}))?;
        }
        NodeCommand::Start(OneNode { node, output, server }) => {
            let client = server.client();
            block_on(async { client.start_node(&node).await.map_err(of_command) })?;
            let done = format!("started {node}");
            report(output, &done, &json!({"done": "started", "node": node}))?;
        }
        NodeCommand::Replace(OneNode { node, output, server }) => {
            let client = server.client();
            block_on(async { client.replace_node(&node).await.map_err(Failure::of_declaration) })?;
            let done = format!("the next data directory that starts as {node} takes over its name");
            report(output, &done, &json!({"done": "replaced", "node": node}))?;
        }
    }
    Ok(Exit::Done)
}

/// A kill or a start that gave no result.
fn of_command(error: ClientError) -> Failure {
    Failure::from(error).if_unknown("`cortado node list` shows whether the node runs")
}

fn report(output: OutputArguments, sentence: &str, report: &Value) -> io::Result<()> {
    match output.form_of_report() {
        Form::Table => writeln!(io::stdout(), "{sentence}"),
        Form::Json => writeln!(io::stdout(), "{report}"),
    }
}

/// What `cortado handoff` is told.
#[derive(Debug, Args)]
pub(crate) struct HandoffArguments {
    /// DB/NUMBER, such as geo/3
    partition: PartitionPlace,
    /// The successor; without it, the best of the other replicas
    #[arg(long, value_name = "NODE")]
    to: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Hands a leadership over, and answers when the successor serves.
pub(crate) fn hand_off(arguments: &HandoffArguments) -> Result<Exit, Failure> {
    let HandoffArguments { partition: place, to, output, server } = arguments;
    let PartitionPlace { database, partition } = place;
    let client = server.client();
    let leader = block_on(async {
        client.hand_off(database, *partition, to.as_deref()).await.map_err(of_handoff)?;
        let found = client.partitions(database).await?.partitions;
        let found = found.into_iter().find(|found| found.partition == *partition);
        Ok(found.and_then(|found| found.leader))
    })?;
    let led_by = leader.as_deref().unwrap_or("no node yet");
    let done = format!("handed {database}/{partition} over; it is led by {led_by}");
    let answer = json!({
        "done": "handed over", "database": database, "partition": partition, "leader": leader,
    });
    report(*output, &done, &answer)?;
    Ok(Exit::Done)
}

/// A handoff that gave no result.
fn of_handoff(error: ClientError) -> Failure {
    Failure::from(error).if_unknown("`cortado status` shows which node leads the partition")
}

/// Shown below the options of `cortado node list`.
const LIST_HELP: &str = "\
Examples:
  cortado node list
  cortado node list --output json | jq -r '.[] | select(.alive | not) | .node'";

/// Shown below the options of `cortado node kill`.
const KILL_HELP: &str = "\
Examples:
  cortado node kill n2          its partitions are led by other nodes within a second or so";

/// Shown below the options of `cortado node start`.
const START_HELP: &str = "\
Examples:
  cortado node start n2         after `cortado node kill n2`";

/// Shown below the options of `cortado node replace`.
const REPLACE_HELP: &str = "\
Examples:
  cortado node replace n2       n2's disk is lost: let a new one be n2
  cortado node start n2         on a development server

A node is known by its data directory, not by its name alone: another directory, or an older
copy of the same one, is refused until this command lets it in. Do this only when the former
node has ended for good; if it starts first, it takes its name back.";

/// Shown below the options of `cortado handoff`.
pub(crate) const HANDOFF_HELP: &str = "\
Examples:
  cortado handoff geo/3
  cortado handoff geo/3 --to n2

A handoff is planned: writes wait some milliseconds, and no request fails.";
