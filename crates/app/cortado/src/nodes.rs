//! `cortado node …`, `cortado handoff` and `cortado rebalance`.
//!
//! Start reading at [`NodeCommand`].

use crate::databases::print_json;
use crate::failure::{Exit, Failure};
use crate::moves::{ChangeArguments, order};
use crate::names;
use crate::output::counted;
use crate::place::PartitionPlace;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::status::{could_move, render_nodes};
use crate::terminal::stdout;
use clap::{Args, Subcommand};
use cortado_client::{Client, ClientError};
use cortado_wire::{MoveOrderBody, PartitionAnswer};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::{Duration, Instant};
use tokio::time::sleep;

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
    /// Let a node hand over what it leads, and lead nothing until it is resumed
    #[command(after_help = DRAIN_HELP)]
    Drain(OneNode),
    /// End the drain of a node: its leaderships come back
    #[command(after_help = RESUME_HELP)]
    Resume(OneNode),
    /// Kill a node of a development server, without a shutdown
    #[command(after_help = KILL_HELP)]
    Kill(OneNode),
    /// Start a node that was killed
    #[command(after_help = START_HELP)]
    Start(OneNode),
    /// Let another data directory take over the name of a node that has ended; or, with --by, let
    /// another node take over its replicas
    #[command(after_help = REPLACE_HELP)]
    Replace(Box<ReplaceArguments>),
    /// Move all replicas of a node to the others; then it is no member any more
    #[command(after_help = REMOVE_HELP)]
    Remove(Box<RemoveArguments>),
}

/// What `cortado node replace` is told.
#[derive(Debug, Args)]
pub(crate) struct ReplaceArguments {
    /// Name of the node, such as n1
    #[arg(add = names::nodes())]
    node: String,
    /// The node that takes over all replicas, and has none of them yet
    #[arg(long, value_name = "NODE", add = names::nodes())]
    by: Option<String>,
    #[command(flatten)]
    change: ChangeArguments,
}

/// What `cortado node remove` is told.
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// Name of the node, such as n1
    #[arg(add = names::nodes())]
    node: String,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct OneNode {
    /// Name of the node, such as n1
    #[arg(add = names::nodes())]
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
            match output.form_of_report() {
                Form::Json => print_json(&answer.nodes)?,
                Form::Table => stdout().write_all(render_nodes(&answer.nodes).as_bytes())?,
            }
        }
        NodeCommand::Drain(one) => return drain(&one),
        NodeCommand::Resume(OneNode { node, output, server }) => {
            let client = server.client();
            block_on(async { client.resume_node(&node).await.map_err(Failure::of_declaration) })?;
            let done = format!(
                "resumed {node}; its leaderships come back one after the other, once it has been \
                 alive for 10 s"
            );
            report(output, &done, &json!({"done": "resumed", "node": node}))?;
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
        NodeCommand::Remove(arguments) => {
            let RemoveArguments { node, change } = *arguments;
            let kind = Some("remove_node".to_owned());
            return order(MoveOrderBody { kind, node: Some(node), ..Default::default() }, &change);
        }
        NodeCommand::Replace(arguments) => {
            let ReplaceArguments { node, by, change } = *arguments;
            if by.is_some() {
                let (kind, from) = (Some("replace_node".to_owned()), Some(node));
                let asked = MoveOrderBody { kind, from, to: by, ..MoveOrderBody::default() };
                return order(asked, &change);
            }
            if change.is_given() {
                let what =
                    "without --by nothing is moved: a new data directory takes the name over";
                return Err(Failure::usage(what));
            }
            let (server, output) = change.parts();
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
        Form::Table => writeln!(stdout(), "{sentence}"),
        Form::Json => writeln!(stdout(), "{report}"),
    }
}

/// What `cortado handoff` is told.
#[derive(Debug, Args)]
pub(crate) struct HandoffArguments {
    /// DB/NUMBER, such as geo/3
    #[arg(add = names::partitions())]
    partition: PartitionPlace,
    /// The successor; without it, the best of the other replicas
    #[arg(long, value_name = "NODE", add = names::nodes())]
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
    let (before, found) = block_on(async {
        // First: what was done must not be told as failed because a look afterwards does.
        let before = client.partitions(database).await?.partitions;
        let found = client.hand_off(database, *partition, to.as_deref()).await;
        Ok((before, found.map_err(of_handoff)?))
    })?;
    let undo = undo_of_handoff(database, *partition, &before);
    let (leader, pinned) = found.map_or((None, None), |found| (found.leader, found.pinned));
    let is_there = leader.is_some() && leader == pinned;
    let led_by = leader.as_deref().unwrap_or("no node yet");
    let told = if is_there {
        handed_over(database, *partition, led_by, &before)
    } else {
        let to = pinned.as_deref().unwrap_or("no node any more");
        format!(
            "{database}/{partition} is pinned to {to}, but led by {led_by}; it goes to its pin \
             when that node can lead, see `cortado explain {database}/{partition}`: {undo}"
        )
    };
    let answer = json!({
        "done": if is_there { "handed over" } else { "pinned" },
        "database": database, "partition": partition, "leader": leader, "pinned": pinned,
    });
    report(*output, &told, &answer)?;
    Ok(if is_there { Exit::Done } else { Exit::Unknown })
}

/// Tells of a partition that is led where it is pinned.
///
/// * `before`: the partitions of the database before the handoff.
fn handed_over(database: &str, number: u32, led_by: &str, before: &[PartitionAnswer]) -> String {
    let former = before.iter().find(|found| found.partition == number);
    let is_led_by = |node: &Option<String>| node.as_deref() == Some(led_by);
    let undo = undo_of_handoff(database, number, before);
    match former {
        Some(former) if is_led_by(&former.leader) && is_led_by(&former.pinned) => {
            format!("{database}/{number} is led by {led_by} and stays there, as before")
        }
        Some(former) if is_led_by(&former.leader) => {
            format!("{database}/{number} is led by {led_by} already, and stays there now: {undo}")
        }
        Some(_) | None => format!(
            "handed {database}/{number} over; it is led by {led_by}, and stays there: {undo}"
        ),
    }
}

/// How to undo a handoff, and what that does besides.
///
/// * `before`: the partitions of the database before it.
fn undo_of_handoff(database: &str, number: u32, before: &[PartitionAnswer]) -> String {
    let pin = before.iter().find(|found| found.partition == number);
    if let Some(pinned) = pin.and_then(|found| found.pinned.as_ref()) {
        return format!("`cortado handoff {database}/{number} --to {pinned}` undoes that");
    }
    match before.iter().filter(|found| found.pinned.is_some()).count() {
        0 => format!("`cortado rebalance {database}` undoes that"),
        others => format!(
            "`cortado rebalance {database}` undoes that, and {} more",
            counted(others as u64, "handoff")
        ),
    }
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

/// How often it is looked how far a drain is.
const LOOK: Duration = Duration::from_millis(200);
/// A drain that has moved nothing for so long is not waited for.
const DRAIN_STALLED: Duration = Duration::from_secs(15);

/// Drains a node, and waits until it leads nothing more that another node could.
fn drain(OneNode { node, output, server }: &OneNode) -> Result<Exit, Failure> {
    let client = server.client();
    let (led, left) = block_on(async {
        let led = led_by(&client, node).await?.len();
        client.drain_node(node).await.map_err(Failure::of_declaration)?;
        let left = await_drained(&client, node).await;
        Ok((led, left.map_err(|failure| failure.of_what_goes_on(format!("{node} is drained")))?))
    })?;
    let (stuck, kept): (Vec<_>, Vec<_>) = left.iter().partition(|led| led.is_movable);
    let moved = led.saturating_sub(left.len());
    let done = format!(
        "drained {node}: {} handed over, {}; `cortado node resume {node}` undoes that",
        counted(moved as u64, "leadership"),
        rest_of_drain(node, &stuck, &kept)
    );
    let left: Vec<&String> = left.iter().map(|led| &led.partition).collect();
    let answer = json!({
        "done": if stuck.is_empty() { "drained" } else { "draining" }, "node": node,
        "handed_over": moved, "still_leads": left,
    });
    report(*output, &done, &answer)?;
    Ok(if stuck.is_empty() { Exit::Done } else { Exit::Unknown })
}

/// Waits until a drained node leads nothing more that another one could, or nothing moves any more;
/// what it still leads, as [`led_by`].
async fn await_drained(client: &Client, node: &str) -> Result<Vec<Led>, Failure> {
    let mut left = led_by(client, node).await?;
    let mut moved_at = Instant::now();
    while left.iter().any(|led| led.is_movable) && moved_at.elapsed() < DRAIN_STALLED {
        sleep(LOOK).await;
        let now = led_by(client, node).await?;
        if now.len() < left.len() {
            moved_at = Instant::now();
        }
        left = now;
    }
    Ok(left)
}

/// What a drained node still leads.
///
/// * `stuck`: partitions that another node could lead, and has not taken.
/// * `kept`: those that no other node can.
fn rest_of_drain(node: &str, stuck: &[&Led], kept: &[&Led]) -> String {
    let led = |partitions: &[&Led]| {
        let first = partitions.first().map_or("", |first| first.partition.as_str());
        format!("{}, such as {first}", counted(partitions.len() as u64, "partition"))
    };
    match (stuck, kept) {
        ([], []) => "it leads nothing".to_owned(),
        ([], kept) => format!("it still leads {}: no other node with a replica can", led(kept)),
        (stuck, _) => format!(
            "it still leads {} that another node should take: the drain goes on, `cortado node \
             list` shows how far it is, `cortado explain --last 20` why it waits; do not stop \
             {node} yet",
            led(stuck)
        ),
    }
}

/// A partition that a node leads.
struct Led {
    /// DB/NUMBER.
    partition: String,
    /// Another node that runs and is not drained has a replica of it.
    is_movable: bool,
}

/// What `node` leads.
async fn led_by(client: &Client, node: &str) -> Result<Vec<Led>, Failure> {
    let cluster = client.cluster().await?;
    let partitions = cluster.databases.iter().flat_map(|database| {
        database.partitions.iter().map(move |partition| (&database.name, partition))
    });
    let led = partitions.filter(|(_, partition)| partition.leader.as_deref() == Some(node));
    let of = |(database, partition): (&String, &PartitionAnswer)| {
        let is_movable = could_move(partition, node, &cluster.nodes);
        Led { partition: format!("{database}/{}", partition.partition), is_movable }
    };
    Ok(led.map(of).collect())
}

/// What `cortado rebalance` is told.
#[derive(Debug, Args)]
pub(crate) struct RebalanceArguments {
    /// Only this database
    #[arg(value_name = "DB", add = names::databases())]
    database: Option<String>,
    /// Spread all replicas evenly over all nodes, by their zones and capacities
    #[arg(long, conflicts_with = "database")]
    replicas: bool,
    #[command(flatten)]
    change: ChangeArguments,
}

/// Lets leaderships go where the placement prefers them.
pub(crate) fn rebalance(arguments: &RebalanceArguments) -> Result<Exit, Failure> {
    let RebalanceArguments { database, replicas, change } = arguments;
    if *replicas {
        let kind = Some("rebalance".to_owned());
        return order(MoveOrderBody { kind, ..MoveOrderBody::default() }, change);
    }
    if change.is_given() {
        return Err(Failure::usage("without --replicas nothing is copied; give --replicas, too"));
    }
    let (server, output) = change.parts();
    let client = server.client();
    block_on(async {
        client.rebalance(database.as_deref()).await.map_err(Failure::of_declaration)
    })?;
    let of = database.as_ref().map(|database| format!(" of {database}")).unwrap_or_default();
    let done = format!(
        "no leadership{of} is pinned any more; they go to the preferred nodes one after the other"
    );
    report(output, &done, &json!({"done": "rebalanced", "database": database}))?;
    Ok(Exit::Done)
}

/// Shown below the options of `cortado rebalance`.
pub(crate) const REBALANCE_HELP: &str = "\
Examples:
  cortado rebalance geo
  cortado rebalance
  cortado rebalance --replicas --dry-run     after nodes have joined: what would be moved
  cortado rebalance --replicas

A handoff by hand stays where it was put, until this command. `cortado status --all` shows
what is pinned. Nodes that are drained stay so: `cortado node resume` ends that.";

/// Shown below the options of `cortado node resume`.
const RESUME_HELP: &str = "\
Examples:
  cortado node resume n2        its leaderships come back, one after the other";

/// Shown below the options of `cortado node drain`.
const DRAIN_HELP: &str = "\
Examples:
  cortado node drain n2         before work on its machine
  cortado node resume n2        when that is done

A drained node keeps its replicas, and leads nothing that another node can lead. It stays
drained when it starts again. The exit code is 3 if it still leads what another node could.";

/// Shown below the options of `cortado node replace`.
const REPLACE_HELP: &str = "\
Examples:
  cortado node replace n2       n2's disk is lost: let a new one be n2
  cortado node start n2         on a development server
  cortado node replace n2 --by n5    n2 is gone: n5 copies what it had, and n2 is no member

A node is known by its data directory, not by its name alone: another directory, or an older
copy of the same one, is refused until this command lets it in. Do this only when the former
node has ended for good; if it starts first, it takes its name back.";

/// Shown below the options of `cortado node remove`.
const REMOVE_HELP: &str = "\
Examples:
  cortado node remove n4 --dry-run     what would be moved
  cortado node remove n4
  cortado node remove n4 --no-wait --bytes-per-second 20MiB

The node may run or be gone. It leads nothing from then on, its replicas are copied to the
others and have caught up before it gives them up, and at the end it is no member any more:
its process ends. Ctrl-C ends the waiting only. The exit code is 3 if the change was paused or
cancelled meanwhile.";

/// Shown below the options of `cortado handoff`.
pub(crate) const HANDOFF_HELP: &str = "\
Examples:
  cortado handoff geo/3
  cortado handoff geo/3 --to n2

A handoff is planned: writes wait some milliseconds, and no request fails. The leadership
stays where it was put, also after that node was away: `cortado rebalance DB` undoes it, and
all other handoffs in DB. The exit code is 3 if another node leads for now.";

#[cfg(test)]
mod tests;
