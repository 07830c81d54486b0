//! `cortado node …` and `cortado handoff`.
//!
//! Start reading at [`NodeCommand`].

use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::place::PartitionPlace;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::status::render_nodes;
use clap::{Args, Subcommand};
use std::io::{self, Write};

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes
    List {
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Kill a node of a development server, without a goodbye
    Kill(OneNode),
    /// Start a node that was killed
    Start(OneNode),
}

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct OneNode {
    /// Such as n1
    node: String,
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
        NodeCommand::Kill(OneNode { node, server }) => {
            let client = server.client();
            block_on(async { Ok(client.kill_node(&node).await?) })?;
            writeln!(
                io::stdout(),
                "killed {node}; `cortado status` shows who leads now, `cortado node start {node}` \
                 brings it back"
            )?;
        }
        NodeCommand::Start(OneNode { node, server }) => {
            let client = server.client();
            block_on(async { Ok(client.start_node(&node).await?) })?;
            writeln!(io::stdout(), "started {node}")?;
        }
    }
    Ok(Exit::Done)
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
    server: ServerArguments,
}

/// Hands a leadership over, and answers when the successor serves.
pub(crate) fn hand_off(arguments: &HandoffArguments) -> Result<Exit, Failure> {
    let HandoffArguments { partition: PartitionPlace { database, partition }, to, server } =
        arguments;
    let client = server.client();
    let leader = block_on(async {
        client.hand_off(database, *partition, to.as_deref()).await?;
        let found = client.partitions(database).await?.partitions;
        let found = found.into_iter().find(|found| found.partition == *partition);
        Ok(found.and_then(|found| found.leader))
    })?;
    let leader = leader.unwrap_or_else(|| "nobody yet".to_owned());
    writeln!(io::stdout(), "handed {database}/{partition} over; it is led by {leader}")?;
    Ok(Exit::Done)
}

/// Shown below the options of `cortado handoff`.
pub(crate) const HANDOFF_HELP: &str = "\
Examples:
  cortado handoff geo/3
  cortado handoff geo/3 --to n2

A handoff is planned: writes wait some milliseconds, and no request fails.";
