//! The command line: what can be asked, and the texts that teach it.
//!
//! Does nothing itself. Start reading at [`Command`].

use crate::failure::{Exit, Failure};
use crate::{
    batches, changes, cluster, completions, databases, decisions, demo, dev, documents, export,
    import, log_verification, manual, moves, nodes, partitions, serve, status, top,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::env;

/// A replicated document database: server and command line in one binary.
#[derive(Debug, Parser)]
#[command(name = "cortado", version, propagate_version = true, after_help = WHOLE_HELP)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Everything that the binary does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server with several nodes in this process
    #[command(after_help = dev::HELP)]
    Dev(dev::DevArguments),
    /// Run one node of a cluster whose log is Apache Kafka, or a router to it
    #[command(after_help = serve::HELP)]
    Serve(Box<serve::ServeArguments>),
    /// Begin a cluster whose log is Apache Kafka
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Watch a node die under load, and every acknowledged write be found
    #[command(after_help = demo::HELP)]
    Demo(demo::DemoArguments),
    /// Create, list, show or drop databases
    #[command(subcommand)]
    Db(databases::DatabaseCommand),
    /// Create, change, list, show or drop tables
    #[command(subcommand)]
    Table(databases::TableCommand),
    /// Create or replace a document
    #[command(after_help = documents::PUT_HELP)]
    Put(documents::PutArguments),
    /// Print a document
    #[command(after_help = documents::GET_HELP)]
    Get(documents::GetArguments),
    /// Update parts of a document
    #[command(after_help = documents::PATCH_HELP)]
    Patch(documents::PatchArguments),
    /// Remove a document
    #[command(after_help = documents::DELETE_HELP)]
    Delete(documents::DeleteArguments),
    /// List a collection or a table, in key order
    #[command(after_help = documents::LIST_HELP)]
    List(documents::ListArguments),
    /// Read or write many documents in one request
    #[command(after_help = batches::HELP)]
    Batch(batches::BatchArguments),
    /// Store the documents of a file: JSON, NDJSON, CSV or TSV, also gzipped
    #[command(after_help = import::HELP)]
    Import(import::ImportArguments),
    /// Write a table or a database, declarations first, to NDJSON lines
    #[command(after_help = export::HELP)]
    Export(export::ExportArguments),
    /// Print the committed transactions of a database, in order
    #[command(after_help = changes::HELP)]
    Changes(changes::ChangesArguments),
    /// Show nodes, partitions, leaders, positions and lag
    #[command(after_help = status::HELP)]
    Status(status::StatusArguments),
    /// Watch nodes, leaders, lag, rates and decisions, live
    #[command(after_help = top::HELP)]
    Top(top::TopArguments),
    /// Hand the leadership of a partition over, to stay there
    #[command(after_help = nodes::HANDOFF_HELP)]
    Handoff(nodes::HandoffArguments),
    /// Undo handoffs, or spread replicas evenly over all nodes
    #[command(after_help = nodes::REBALANCE_HELP)]
    Rebalance(nodes::RebalanceArguments),
    /// List, drain, resume, replace and remove nodes; kill and start those of a development server
    #[command(subcommand)]
    Node(nodes::NodeCommand),
    /// Show, pause, resume, throttle and cancel moves of replicas
    #[command(subcommand)]
    Moves(moves::MovesCommand),
    /// Choose which of several histories of a partition goes on
    #[command(subcommand)]
    Partition(partitions::PartitionCommand),
    /// Inspect the files of a log
    #[command(subcommand)]
    Log(log_verification::LogCommand),
    /// Explain what the server did by itself, why, and how to do or undo it by hand
    #[command(after_help = decisions::HELP)]
    Explain(decisions::ExplainArguments),
    /// Print a script that completes commands in a shell
    #[command(after_help = completions::HELP)]
    Completions(completions::CompletionsArguments),
    /// Write the manual pages
    #[command(after_help = manual::HELP)]
    Man(manual::ManualArguments),
}

impl CommandLine {
    /// Reads the arguments of this process; an empty variable counts as one that is not set.
    ///
    /// # Errors
    /// They ask for a text, or for what there is not.
    pub(crate) fn of_process() -> Result<CommandLine, clap::Error> {
        let mut command = CommandLine::command().mut_subcommands(without_empty_variables);
        let mut matches = command.try_get_matches_from_mut(env::args_os())?;
        let line = CommandLine::from_arg_matches_mut(&mut matches);
        line.map_err(|error| error.format(&mut command))
    }
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        let value = argument.get_env().and_then(env::var_os);
        if value.is_some_and(|value| value.is_empty()) { argument.env(None) } else { argument }
    })
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What happened, why, and what to do next.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Command::Dev(arguments) => dev::run(arguments),
            Command::Serve(arguments) => serve::run(*arguments),
            Command::Cluster(command) => cluster::run(command),
            Command::Demo(arguments) => demo::run(arguments),
            Command::Db(command) => databases::run_database(command),
            Command::Table(command) => databases::run_table(command),
            Command::Put(arguments) => documents::put(&arguments),
            Command::Get(arguments) => documents::get(&arguments),
            Command::Patch(arguments) => documents::patch(&arguments),
            Command::Delete(arguments) => documents::delete(&arguments),
            Command::List(arguments) => documents::list(&arguments),
            Command::Batch(arguments) => batches::run(&arguments),
            Command::Import(arguments) => import::run(&arguments),
            Command::Export(arguments) => export::run(&arguments),
            Command::Changes(arguments) => changes::run(&arguments),
            Command::Status(arguments) => status::run(&arguments),
            Command::Top(arguments) => top::run(&arguments),
            Command::Handoff(arguments) => nodes::hand_off(&arguments),
            Command::Rebalance(arguments) => nodes::rebalance(&arguments),
            Command::Node(command) => nodes::run(command),
            Command::Moves(command) => moves::run(command),
            Command::Partition(command) => partitions::run(command),
            Command::Log(command) => log_verification::run(command),
            Command::Explain(arguments) => decisions::run(&arguments),
            Command::Completions(arguments) => completions::print(&arguments),
            Command::Man(arguments) => manual::write(&arguments, CommandLine::command()),
        }
    }
}

const WHOLE_HELP: &str = "\
Begin here:
  cortado demo                     watch a failover, with an audit at the end
  cortado dev                      a server on 127.0.0.1:7171; in another terminal:
  cortado db create geo
  cortado table create geo/place --key country,admin1,name
  cortado put geo/place/JP/40/Kitakyushu '{\"lat\":33.85}'
  cortado list geo/place/JP

In a part of a key, write a slash as %2F and a percent sign as %25.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 outcome unknown (perhaps done, or
begun and not at its end).";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    /// Every variable that a command takes.
    fn variables(command: &clap::Command, found: &mut BTreeSet<String>) {
        let named = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        found.extend(named.map(str::to_owned));
        command.get_subcommands().for_each(|deeper| variables(deeper, found));
    }

    /// The texts of the files below `folder`.
    fn texts(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("deploy/ is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                texts(&path, found);
            } else {
                found.push((path.clone(), fs::read_to_string(&path).expect("text")));
            }
        }
    }

    #[test]
    fn the_examples_of_deployments_set_what_there_is_to_set() {
        let mut there_are = BTreeSet::from(["CORTADO_URL".to_owned(), "CORTADO_LOG".to_owned()]);
        variables(&CommandLine::command(), &mut there_are);
        let mut files = Vec::new();
        texts(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../deploy")), &mut files);
        let mut set = BTreeSet::new();
        for (path, text) in &files {
            let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
            for word in words.filter(|word| word.starts_with("CORTADO_")) {
                assert!(there_are.contains(word), "{}: {word}", path.display());
                set.insert(word);
            }
        }
        assert!(set.len() > 8, "{set:?}");
    }

    #[test]
    fn every_command_teaches() {
        let mut whole = CommandLine::command();
        whole.build();
        let mut commands: Vec<_> = whole.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            let name = command.get_name();
            if name == "help" {
                continue;
            }
            assert!(command.get_about().is_some(), "{name} has no description");
            let deeper: Vec<_> = command.get_subcommands().collect();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(!deeper.is_empty() || help.contains("cortado"), "{name} has no example");
            commands.extend(deeper);
        }
    }
}
