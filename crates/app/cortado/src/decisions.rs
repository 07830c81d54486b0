//! `cortado explain`: the journal, in sentences.
//!
//! Start reading at [`run`].

mod group;

use crate::failure::{Exit, Failure};
use crate::output::tell;
use crate::server_arguments::{Form, OutputArguments, ServerArguments, block_on};
use crate::terminal::stdout;
use clap::Args;
use cortado_client::Client;
use cortado_wire::EventAnswer;
use group::Group;
use std::collections::VecDeque;
use std::io::Write;

/// The kind of what nodes tell of how they are.
const HEALTH: &str = "health";

/// What `cortado explain` is told.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Only decisions about DB, or DB/PARTITION
    about: Option<String>,
    /// Only the last N decisions; as a table, what was decided about many partitions counts once
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
    let form = arguments.output.form_of_report();
    let mut found = Found { form, last: arguments.last, groups: VecDeque::new() };
    let mut after = arguments.after.clone();
    block_on(find(&client, about.as_ref(), &mut after, &mut found))?;
    let mut out = stdout();
    for group in &found.groups {
        match form {
            Form::Json => {
                let event = serde_json::to_string(group.first()).map_err(Failure::new)?;
                writeln!(out, "{event}")?;
            }
            Form::Table => writeln!(out, "{}", for_people(group))?,
        }
    }
    if found.groups.is_empty() {
        tell("the journal has no such decision");
    }
    Ok(Exit::Done)
}

/// The last decisions of a cluster, a line for each, for who looks again and again.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    groups: VecDeque<Group>,
    after: Option<String>,
}

impl Latest {
    /// Reads what is new; keeps the last `last` decisions.
    pub(crate) async fn refresh(&mut self, client: &Client, last: usize) -> Result<(), Failure> {
        let groups = std::mem::take(&mut self.groups);
        let mut found = Found { form: Form::Table, last, groups };
        let read = find(client, None, &mut self.after, &mut found).await;
        self.groups = found.groups;
        read
    }

    /// The newest first: when, who, about which partitions, and what.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.groups.iter().rev().map(|group| {
            let EventAnswer { time, node, what, .. } = group.first();
            let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock);
            let clock = clock.get(..8).unwrap_or(clock);
            format!("{clock}  {node}  {}{what}", group.about())
        })
    }
}

/// The last decisions; together what belongs together, unless a program reads them.
struct Found {
    form: Form,
    last: usize,
    groups: VecDeque<Group>,
}

impl Found {
    fn add(&mut self, event: EventAnswer) {
        let mut groups = self.groups.iter_mut().rev();
        let of_group = match self.form {
            Form::Json => None,
            Form::Table => groups.find(|group| group.takes(&event)),
        };
        match of_group {
            Some(group) => group.add(event),
            None => self.groups.push_back(Group::of(event)),
        }
        if self.groups.len() > self.last {
            self.groups.pop_front();
        }
    }
}

/// The last decisions that are asked for.
async fn find(
    client: &Client,
    about: Option<&Subject>,
    after: &mut Option<String>,
    found: &mut Found,
) -> Result<(), Failure> {
    loop {
        let page = client.events(after.as_deref()).await?;
        let is_wanted = |event: &EventAnswer| about.is_none_or(|about| about.concerns(event));
        page.events.into_iter().filter(is_wanted).for_each(|event| found.add(event));
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => *after = Some(next),
            Some(_) | None => return Ok(()),
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

    /// A partition is concerned by what was decided about its database, too, and by how nodes are.
    fn concerns(&self, event: &EventAnswer) -> bool {
        let Some(database) = &event.database else {
            return self.partition.is_some() && event.kind == HEALTH;
        };
        let of_all = self.partition.is_none() || event.partition.is_none();
        *database == self.database && (of_all || event.partition == self.partition)
    }
}

fn for_people(group: &Group) -> String {
    let EventAnswer { time, node, what, evidence, .. } = group.first();
    let (by_hand, undo) = (group.by_hand(), group.undo());
    let about = group.about();
    let id = group.last_id();
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
  cortado explain geo/3          what happened to partition 3, or did not, and how nodes were
  cortado explain --after ID --output json

The journal has every decision that the server made by itself: the evidence, how a person
would do the same, and how to undo it. What one node decided about many partitions for one
reason is shown once; --output json has each.";

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
        let of_all = EventAnswer { partition: None, ..event.clone() };
        let subject = |text| Subject::parse(text).expect("a subject");
        assert!(subject("geo/4").concerns(&of_all) && !subject("other/4").concerns(&of_all));
        let of_node = EventAnswer { database: None, kind: HEALTH.to_owned(), ..of_all.clone() };
        assert!(subject("geo/4").concerns(&of_node) && !subject("geo").concerns(&of_node));
        let other = EventAnswer { kind: "node_started".to_owned(), ..of_node };
        assert!(!subject("geo/4").concerns(&other));
        assert!(Subject::parse("geo/x").is_err());
        let text = for_people(&Group::of(event));
        assert!(text.contains("n1  geo/3  claimed\n    because  silence\n"), "{text}");
    }
}
