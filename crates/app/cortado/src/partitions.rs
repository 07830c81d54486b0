//! `cortado partition …`: what only a person can decide about one partition.
//!
//! Start reading at [`PartitionCommand`].

use crate::databases::{Consent, print_json};
use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::Columns;
use crate::place::PartitionPlace;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::{Args, Subcommand};
use cortado_wire::ResolveAnswer;
use std::io::Write;

/// What can be done with a partition.
#[derive(Debug, Subcommand)]
pub(crate) enum PartitionCommand {
    /// Show replicas that have different histories, and let one of them go on
    #[command(after_help = RESOLVE_HELP)]
    Resolve(ResolveArguments),
}

/// What `cortado partition resolve` is told.
#[derive(Debug, Args)]
pub(crate) struct ResolveArguments {
    /// DB/NUMBER, such as geo/3
    #[arg(add = names::partitions())]
    partition: PartitionPlace,
    /// The node whose history goes on; without it, the histories are shown
    #[arg(long, value_name = "NODE", add = names::nodes())]
    keep: Option<String>,
    /// Only show what would be lost
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs `cortado partition …`.
pub(crate) fn run(command: PartitionCommand) -> Result<Exit, Failure> {
    match command {
        PartitionCommand::Resolve(arguments) => resolve(&arguments),
    }
}

fn resolve(arguments: &ResolveArguments) -> Result<Exit, Failure> {
    let ResolveArguments { partition, keep, dry_run, consent, output, server } = arguments;
    let PartitionPlace { database, partition: number } = partition;
    let (client, keep) = (server.client(), keep.as_deref());
    let order = async |dry_run| {
        let told = client.resolve_partition(database, *number, keep, dry_run).await;
        told.map_err(|error| {
            let next = "repeat the command: it goes on where it stopped";
            Failure::from(error).if_unknown(next)
        })
    };
    let found = block_on(order(true))?;
    let show = |answer: &ResolveAnswer, end: &str| match output.form_of_report() {
        Form::Json => print_json(answer),
        Form::Table => {
            let text = format!("{}{end}\n", render(answer));
            stdout().write_all(text.as_bytes()).map_err(Failure::from)
        }
    };
    let Some(keep) = keep.filter(|_| found.in_doubt && !dry_run) else {
        show(&found, &state(&found, keep))?;
        return Ok(Exit::Done);
    };
    if output.form_of_report() == Form::Table {
        show(&found, &state(&found, Some(keep)))?;
    }
    consent.ask(&format!("let the history of {keep} go on in {database}/{number}"))?;
    let done = block_on(order(false))?;
    match output.form_of_report() {
        Form::Json => print_json(&done)?,
        Form::Table => writeln!(
            stdout(),
            "the history of {keep} goes on in {database}/{number}, and every replica that runs \
             has it"
        )?,
    }
    Ok(Exit::Done)
}

/// What follows from the histories.
fn state(answer: &ResolveAnswer, keep: Option<&str>) -> String {
    match (answer.in_doubt, keep) {
        (false, _) => "no replica waits for a decision: nothing is done".to_owned(),
        (true, None) => "choose with --keep NODE whose history goes on; --dry-run shows what is \
                         lost then"
            .to_owned(),
        (true, Some(keep)) => {
            format!("with the history of {keep}, what the last column says is lost")
        }
    }
}

/// The histories, a line for each replica.
fn render(answer: &ResolveAnswer) -> String {
    let mut columns = Columns::new(&["node", "role", "up to", "history", "log offset", "loses"]);
    for one in &answer.replicas {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        // Eight digits tell histories apart.
        let history = one.history.as_ref().map(|digits| digits.chars().take(8).collect());
        let below = one.below.map(|below| below.to_string());
        columns.add(vec![
            one.node.clone(),
            one.role.clone(),
            text(&one.scn),
            text(&history),
            text(&below),
            text(&one.loses),
        ]);
    }
    columns.render()
}

const RESOLVE_HELP: &str = "\
A replica is *disputed* if its log, or its leader, goes on without what it has: the log has lost \
records that were acknowledged. It serves nothing and keeps everything until a person decides.

The history of the node that is kept goes on, with all documents as that replica has them; those \
in doubt that have another one copy it, and what only they have is lost. Copy their data \
directories first. Done again, the command goes on where it stopped.

Examples:
  cortado partition resolve geo/2                        what each replica has
  cortado partition resolve geo/2 --keep n2 --dry-run    what would be lost
  cortado partition resolve geo/2 --keep n2
  cortado partition resolve _cluster/0                   of what the cluster knows of itself";
