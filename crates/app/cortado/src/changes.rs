//! `cortado changes`: the committed transactions of a database, as they stand in its partitions.
//!
//! Start reading at [`run`].

use crate::failure::{Exit, Failure};
use crate::names;
use crate::output::shortened;
use crate::place::spelled;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::Args;
use cortado_client::{Client, Follow};
use cortado_model::Scn;
use cortado_wire::{ChangeBody, ChangeKind, ChangeLine, Since};
use std::io::Write;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What `cortado changes` is told.
#[derive(Debug, Args)]
pub(crate) struct ChangesArguments {
    /// The database
    #[arg(value_name = "DB", add = names::databases())]
    database: String,
    /// One partition, counted from 0; without it, all of them
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// Only what came after this SCN, such as 3/5:1042 (partition 3), or 5:1042 with --partition
    #[arg(long, value_name = "SCN")]
    since: Option<Since>,
    /// Keep following what is committed from now on, until Ctrl-C
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Transactions that wait to be printed.
const WAITING_MAX: usize = 64;

/// Prints one line for each transaction.
pub(crate) fn run(arguments: &ChangesArguments) -> Result<Exit, Failure> {
    let (named, since) = arguments.start()?;
    let follow = if arguments.follow { Follow::Forever } else { Follow::UntilCaughtUp };
    let form = arguments.output.form();
    let client = arguments.server.client();
    block_on(async {
        let partitions = match named {
            Some(partition) => vec![partition],
            None => {
                let declared = client.database_declaration(&arguments.database).await?;
                (0..declared.partitions).collect()
            }
        };
        let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
        let mut readers = JoinSet::new();
        for partition in partitions {
            let sender = sender.clone();
            let database = arguments.database.clone();
            readers.spawn(read(client.clone(), database, partition, since, follow, sender));
        }
        drop(sender);
        while let Some(line) = receiver.recv().await {
            print(&line, form)?;
        }
        while let Some(ended) = readers.join_next().await {
            ended.expect("a reader does not panic, and is not aborted while we wait")?;
        }
        Ok(Exit::Done)
    })
}

impl ChangesArguments {
    /// Which partition, if only one, and after which SCN.
    fn start(&self) -> Result<(Option<u32>, Scn), Failure> {
        let Some(Since { partition: of_scn, scn }) = self.since else {
            return Ok((self.partition, Scn::ZERO));
        };
        match (self.partition, of_scn) {
            (Some(named), Some(of_scn)) if named != of_scn => Err(Failure::usage(format!(
                "--since names partition {of_scn}, but --partition names {named}"
            ))),
            (Some(named), _) => Ok((Some(named), scn)),
            (None, Some(of_scn)) => Ok((Some(of_scn), scn)),
            (None, None) if scn == Scn::ZERO => Ok((None, scn)),
            (None, None) => Err(Failure::usage(format!(
                "--since {scn} lacks its partition: write PARTITION/{scn}, or add --partition"
            ))),
        }
    }
}

async fn read(
    client: Client,
    database: String,
    partition: u32,
    since: Scn,
    follow: Follow,
    out: mpsc::Sender<ChangeLine>,
) -> Result<(), Failure> {
    let mut changes = client.database(&database).changes(partition, since, follow);
    while let Some(line) = changes.next().await? {
        if !line.heartbeat && out.send(line).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn print(line: &ChangeLine, form: Form) -> Result<(), Failure> {
    let text = match form {
        Form::Json => as_json(line).map_err(Failure::new)?,
        Form::Table => for_people(line),
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

/// The line as the server wrote it.
fn as_json(line: &ChangeLine) -> serde_json::Result<String> {
    let changes = line.changes.iter().map(change_as_json).collect::<Result<Vec<_>, _>>()?;
    Ok(format!(
        "{{\"partition\":{},\"scn\":{},\"time\":{},\"changes\":[{}]}}\n",
        line.partition,
        serde_json::to_string(&line.scn)?,
        serde_json::to_string(&line.time)?,
        changes.join(",")
    ))
}

fn change_as_json(change: &ChangeBody) -> serde_json::Result<String> {
    let table = serde_json::to_string(&change.table)?;
    let key = serde_json::to_string(&change.key)?;
    Ok(match (change.op, &change.etag, &change.value) {
        (ChangeKind::Put, Some(etag), Some(value)) => {
            format!(r#"{{"op":"put","table":{table},"key":{key},"etag":"{etag}","value":{value}}}"#)
        }
        (ChangeKind::Put | ChangeKind::Delete, _, _) => {
            format!(r#"{{"op":"delete","table":{table},"key":{key}}}"#)
        }
    })
}

/// One line for each document: `3/5:1042  2026-…  put  place/JP/40/x  {…}`.
fn for_people(line: &ChangeLine) -> String {
    let scn = line.scn.map(|scn| scn.to_string()).unwrap_or_default();
    let time = line.time.as_deref().unwrap_or_default();
    let mut text = String::new();
    for change in &line.changes {
        let verb = match change.op {
            ChangeKind::Put => "put   ",
            ChangeKind::Delete => "delete",
        };
        let key = spelled(&change.key);
        let value = change.value.as_ref().map(|value| shortened(value.get())).unwrap_or_default();
        text.push_str(&format!("{scn:12} {time}  {verb}  {}/{key}  {value}", change.table));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado changes geo                                everything that is still in the log
  cortado changes geo --partition 3 --since 5:1042   go on behind a transaction that was seen
  cortado changes geo --follow --output json         a feed for a program, one transaction a line

Transactions of one partition come in the order in which they were committed; between
partitions there is no order. The SCN of the last line that was dealt with is where the
next reader begins.";
