//! `cortado explain`: the journal, in sentences.
//!
//! Start reading at [`run`].

use crate::failure::{Exit, Failure};
use crate::output::tell;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use clap::Args;
use cortado_client::Client;
use cortado_wire::EventAnswer;
use std::collections::VecDeque;
use std::io::{self, Write};

/// What `cortado explain` is told.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Only decisions about DB, or DB/PARTITION
    about: Option<String>,
    /// Only the last N decisions
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,
    /// Only decisions after the one with this id
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Prints decisions, the oldest first.
pub(crate) fn run(arguments: &ExplainArguments) -> Result<Exit, Failure> {
    let about = arguments.about.as_deref().map(Subject::parse).transpose()?;
    let client = arguments.server.client();
    let events = block_on(find(&client, about.as_ref(), arguments))?;
    let form = arguments.output.form();
    let mut out = io::stdout().lock();
    for event in &events {
        match form {
            Form::Json => {
                writeln!(out, "{}", serde_json::to_string(event).map_err(Failure::new)?)?;
            }
            Form::Table => writeln!(out, "{}", for_people(event))?,
        }
    }
    if events.is_empty() {
        tell("the journal has no such decision");
    }
    Ok(Exit::Done)
}

/// The last decisions that are asked for.
async fn find(
    client: &Client,
    about: Option<&Subject>,
    arguments: &ExplainArguments,
) -> Result<VecDeque<EventAnswer>, Failure> {
    let mut found = VecDeque::new();
    let mut after = arguments.after.clone();
    loop {
        let page = client.events(after.as_deref()).await?;
        let is_wanted = |event: &EventAnswer| about.is_none_or(|about| about.concerns(event));
        for event in page.events.into_iter().filter(is_wanted) {
            found.push_back(event);
            if found.len() > arguments.last {
                found.pop_front();
            }
        }
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            Some(_) | None => return Ok(found),
        }
    }
}

/// A database or one of its partitions.
#[derive(Debug, PartialEq, Eq)]
struct Subject {
    database: String,
    partition: Option<u32>,
}

impl Subject {
    fn parse(text: &str) -> Result<Subject, Failure> {
        let Some((database, number)) = text.split_once('/') else {
            return Ok(Subject { database: text.to_owned(), partition: None });
        };
        let partition = number.parse().map_err(|_| {
            Failure::usage(format!(
                "invalid argument {text:?}: expected DB or DB/PARTITION, such as geo/3"
            ))
        })?;
        Ok(Subject { database: database.to_owned(), partition: Some(partition) })
    }

    fn concerns(&self, event: &EventAnswer) -> bool {
        event.database.as_ref() == Some(&self.database)
            && (self.partition.is_none() || event.partition == self.partition)
    }
}

fn for_people(event: &EventAnswer) -> String {
    let EventAnswer { id, time, node, what, evidence, by_hand, undo, .. } = event;
    let about = match (&event.database, event.partition) {
        (Some(database), Some(partition)) => format!("{database}/{partition}  "),
        (Some(database), None) => format!("{database}  "),
        (None, _) => String::new(),
    };
    let mut text = format!("{time}  {node}  {about}{what}\n");
    for fact in evidence {
        text.push_str(&format!("    because  {fact}\n"));
    }
    text.push_str(&format!("    by hand  {by_hand}\n    undo     {undo}\n    id       {id}\n"));
    text
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado explain                the last 20 decisions
  cortado explain geo/3          what happened to partition 3
  cortado explain --after ID --output json

The journal has every decision that the server made by itself: the evidence, how a person
would do the same, and how to undo it.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_databases_and_partitions() {
        let event = EventAnswer {
            id: "1".to_owned(),
            time: String::new(),
            node: "n1".to_owned(),
            kind: "claim".to_owned(),
            database: Some("geo".to_owned()),
            partition: Some(3),
            what: "claimed".to_owned(),
            evidence: vec!["silence".to_owned()],
            by_hand: "handoff".to_owned(),
            undo: "back".to_owned(),
        };
        let concerns = |text| Subject::parse(text).expect("a subject").concerns(&event);
        assert!(concerns("geo") && concerns("geo/3"));
        assert!(!concerns("geo/4") && !concerns("other"));
        assert!(Subject::parse("geo/x").is_err());
        let text = for_people(&event);
        assert!(text.contains("n1  geo/3  claimed\n    because  silence\n"), "{text}");
    }
}
