//! `cortado cluster upgrade`: which node reads which format, and when a newer one is used.
//!
//! Start reading at [`run`]. Source: docs/operations/upgrade.md.

use crate::failure::{Exit, Failure};
use crate::output::Columns;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::Args;
use cortado_client::Client;
use cortado_wire::UpgradeAnswer;
use std::io::{self, Write};

/// What `cortado cluster upgrade` is told.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArguments {
    /// Use the newest format that every node reads; builds that do not read it are refused then
    #[arg(long)]
    finish: bool,
    /// Change nothing: only say whether it could be finished; the exit code is 1 if not
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Shows how far an upgrade is, or finishes it.
pub(crate) fn run(arguments: &UpgradeArguments) -> Result<Exit, Failure> {
    let UpgradeArguments { finish, dry_run, output, server } = arguments;
    let client = server.client();
    let found = block_on(ask(&client, *finish && !*dry_run))?;
    report(*output, &found)?;
    let waits = *finish && *dry_run && !found.held_by.is_empty();
    if waits {
        return Err(Failure::new(format!("not finished: {}", held(&found)))
            .next("upgrade these nodes, or remove those that do not come back")
            .next("docs/runbooks/upgrade.md has the steps"));
    }
    Ok(Exit::Done)
}

async fn ask(client: &Client, finish: bool) -> Result<UpgradeAnswer, Failure> {
    if finish {
        return client.finish_upgrade().await.map_err(Failure::of_declaration);
    }
    Ok(client.upgrade().await?)
}

fn report(output: OutputArguments, found: &UpgradeAnswer) -> io::Result<()> {
    let mut out = stdout();
    if output.form_of_report() == Form::Json {
        return writeln!(out, "{}", serde_json::to_string(found)?);
    }
    let mut columns = Columns::new(&["NODE", "STATE", "BUILD", "READS LEVEL"]);
    for node in &found.nodes {
        let state = if node.alive { "up" } else { "down" };
        let build = node.build.clone().unwrap_or_else(|| "-".to_owned());
        let level = node.feature_level.to_string();
        columns.add(vec![node.node.clone(), state.to_owned(), build, level]);
    }
    columns.print()?;
    writeln!(out)?;
    writeln!(out, "{}", sentence(found))?;
    match still_to_follow(found) {
        Some(text) => writeln!(out, "{text}"),
        None => Ok(()),
    }
}

/// How many partitions do not use the level yet that is in use.
fn still_to_follow(found: &UpgradeAnswer) -> Option<String> {
    let UpgradeAnswer { partitions, partitions_to_follow: left, feature_level, .. } = found;
    (*left > 0).then(|| {
        format!(
            "{left} of {partitions} partitions do not use level {feature_level} yet: their \
             leaders follow by themselves; `cortado status` shows partitions without one"
        )
    })
}

/// What follows from it.
fn sentence(found: &UpgradeAnswer) -> String {
    let level = found.feature_level;
    match found.next_level {
        None => format!("feature level {level} is used; no node reads a newer one"),
        Some(next) if found.held_by.is_empty() => format!(
            "feature level {level} is used, and every node reads {next}: `cortado cluster upgrade \
             --finish` uses it; until then every node can go back to its former build"
        ),
        Some(_) => format!("feature level {level} is used; {}", held(found)),
    }
}

fn held(found: &UpgradeAnswer) -> String {
    let next = found.next_level.unwrap_or(found.feature_level);
    format!("level {next} waits for {}", found.held_by.join(", "))
}

/// Shown below the options.
pub(super) const HELP: &str = "\
Examples:
  cortado cluster upgrade                       which build each node runs, and what it reads
  cortado cluster upgrade --finish --dry-run    whether it could be finished
  cortado cluster upgrade --finish

Nodes of two builds run side by side for as long as that takes, and write what both can read.
When the last node is upgraded, --finish lets leaders use the newer format. From then on no
node goes back: an older build is refused when it starts. A node that is down counts by what
it declared when it started last; `cortado node remove` takes away one that does not come
back. Routers hold nothing up: upgrade them before --finish.";
