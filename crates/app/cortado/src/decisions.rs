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
/// Lines about how nodes were, each for one kind of change of one node: enough for all that may
/// happen to three of them.
const OF_NODES_MAX: usize = 30;

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
    let mut found = Found::new(form, arguments.last);
    let mut after = arguments.after.clone();
    block_on(find(&client, about.as_ref(), &mut after, &mut found))?;
    let mut out = stdout();
    match form {
        Form::Json => {
            for event in found.in_order() {
                writeln!(out, "{}", serde_json::to_string(event).map_err(Failure::new)?)?;
            }
        }
        Form::Table => write!(out, "{}", report(&found))?,
    }
    if found.groups.is_empty() {
        tell("the journal has no such decision");
    }
    Ok(Exit::Done)
}

/// The decisions, and below them how nodes were.
fn report(found: &Found) -> String {
    let mut text: String =
        found.groups.iter().map(|group| format!("{}\n", for_people(group))).collect();
    let beyond = found.of_nodes.len().saturating_sub(OF_NODES_MAX);
    if !found.of_nodes.is_empty() {
        text.push_str("How nodes were, each kind of change by its last time:\n");
    }
    for group in found.of_nodes.iter().skip(beyond) {
        text.push_str(&format!("    {}\n", group.of_node()));
    }
    if beyond > 0 {
        text.push_str(&format!("    {beyond} more: `cortado explain --last 1000` has them\n"));
    }
    text
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
        let mut found = Found { groups, ..Found::new(Form::Table, last) };
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
#[derive(Debug)]
struct Found {
    form: Form,
    last: usize,
    groups: VecDeque<Group>,
    /// How nodes were, for who asks about a partition. Apart, and with as much room: what many
    /// nodes tell of themselves hides no decision.
    of_nodes: VecDeque<Group>,
    /// How many entries were met.
    met: u64,
}

impl Found {
    fn new(form: Form, last: usize) -> Found {
        Found { form, last, groups: VecDeque::new(), of_nodes: VecDeque::new(), met: 0 }
    }

    fn add(&mut self, event: EventAnswer, weight: Weight) {
        self.met += 1;
        let (groups, is_same): (_, fn(&Group, &EventAnswer) -> bool) = match weight {
            Weight::Decision => (&mut self.groups, Group::takes),
            Weight::Background => (&mut self.of_nodes, Group::takes_of_node),
        };
        let of_group = match self.form {
            Form::Json => None,
            Form::Table => groups.iter().rposition(|group| is_same(group, &event)),
        };
        match (of_group, weight) {
            (Some(index), Weight::Decision) => groups[index].add(event),
            // The last time counts: it goes behind what was told since.
            (Some(index), Weight::Background) => {
                let group = groups.remove(index);
                groups.extend(group.map(|group| group.with(event)));
            }
            (None, _) => groups.push_back(Group::of(event, self.met)),
        }
        if groups.len() > self.last {
            groups.pop_front();
        }
    }

    /// Each as it stands in the journal, so that a reader can go on behind the last one.
    fn in_order(&self) -> Vec<&EventAnswer> {
        let mut all: Vec<_> = self.groups.iter().chain(&self.of_nodes).collect();
        all.sort_by_key(|group| group.place());
        all.into_iter().map(Group::first).collect()
    }
}

/// What an entry of the journal is for who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// What was asked for.
    Decision,
    /// How a whole node was, while a partition is asked about.
    Background,
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
        for event in page.events {
            let weight = about.map_or(Some(Weight::Decision), |about| about.weight_of(&event));
            if let Some(weight) = weight {
                found.add(event, weight);
            }
        }
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

    /// What an entry is for who asks about this; nothing if it is about something else. A
    /// partition is concerned by what was decided about its database, too.
    fn weight_of(&self, event: &EventAnswer) -> Option<Weight> {
        let Some(database) = &event.database else {
            let is_background = self.partition.is_some() && event.kind == HEALTH;
            return is_background.then_some(Weight::Background);
        };
        let of_all = self.partition.is_none() || event.partition.is_none();
        let concerns = *database == self.database && (of_all || event.partition == self.partition);
        concerns.then_some(Weight::Decision)
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
reason is shown once; --output json has each. How nodes were does not count for --last: it
comes below, the last time of each kind of change.";

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(partition: u32) -> EventAnswer {
        EventAnswer {
            id: partition.to_string(),
            time: "2026-11-30T10:00:00.123Z".to_owned(),
            node: "n1".to_owned(),
            kind: "claim".to_owned(),
            database: Some("geo".to_owned()),
            partition: Some(partition),
            what: "claimed".to_owned(),
            evidence: vec!["silence".to_owned()],
            by_hand: "handoff".to_owned(),
            undo: "back".to_owned(),
        }
    }

    fn health(node: &str, what: &str, hour: u32) -> EventAnswer {
        EventAnswer {
            id: format!("{node}{hour}"),
            time: format!("2026-11-30T{hour:02}:00:00.123Z"),
            node: node.to_owned(),
            kind: HEALTH.to_owned(),
            database: None,
            partition: None,
            what: what.to_owned(),
            evidence: Vec::new(),
            ..claim(0)
        }
    }

    #[test]
    fn subjects_are_databases_and_partitions() {
        let event = claim(3);
        let subject = |text| Subject::parse(text).expect("a subject");
        let decides = |text, event: &_| subject(text).weight_of(event) == Some(Weight::Decision);
        assert!(decides("geo", &event) && decides("geo/3", &event));
        assert!(!decides("geo/4", &event) && !decides("other", &event));
        let of_all = EventAnswer { partition: None, ..event.clone() };
        assert!(decides("geo/4", &of_all) && !decides("other/4", &of_all));
        let of_node = health("n1", "n1 is healthy again", 9);
        assert_eq!(subject("geo/4").weight_of(&of_node), Some(Weight::Background));
        assert_eq!(subject("geo").weight_of(&of_node), None);
        let other = EventAnswer { kind: "node_started".to_owned(), ..of_node };
        assert_eq!(subject("geo/4").weight_of(&other), None);
        assert!(Subject::parse("geo/x").is_err());
        let text = for_people(&Group::of(event, 1));
        assert!(text.contains("n1  geo/3  claimed\n    because  silence\n"), "{text}");
    }

    /// The entries of a journal as they are met, when asked about `geo/3`.
    fn met(form: Form, last: usize, events: Vec<EventAnswer>) -> Found {
        let (subject, mut found) = (Subject::parse("geo/3").unwrap(), Found::new(form, last));
        for event in events {
            let weight = subject.weight_of(&event).unwrap();
            found.add(event, weight);
        }
        found
    }

    #[test]
    fn how_nodes_were_hides_no_decision() {
        let mut events = vec![health("n2", "n2 is unhealthy: 400 ms late", 1), claim(3)];
        for hour in 2..20 {
            events.push(health("n1", "n1 is unhealthy: 300 ms late", hour));
            events.push(health("n1", "n1 is healthy again", hour));
        }
        events.push(health("n2", "n2 is unhealthy: 700 ms late", 20));
        let text = report(&met(Form::Table, 3, events.clone()));
        assert!(text.starts_with("2026-11-30T10:00:00.123Z  n1  geo/3  claimed\n"), "{text}");
        let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("How ")).collect();
        let want = [
            "    2026-11-30T19:00:00.123Z  n1 is unhealthy: 300 ms late (18 times since \
             2026-11-30T02:00:00.123Z)",
            "    2026-11-30T19:00:00.123Z  n1 is healthy again (18 times since \
             2026-11-30T02:00:00.123Z)",
            "    2026-11-30T20:00:00.123Z  n2 is unhealthy: 700 ms late (2 times since \
             2026-11-30T01:00:00.123Z)",
        ];
        assert_eq!(lines[1..], want);
        // A program gets them in the journal's order, as many of each.
        let found = met(Form::Json, 2, events);
        let ids: Vec<_> = found.in_order().into_iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["3", "n119", "n220"]);
    }

    #[test]
    fn a_crowd_of_nodes_is_told_by_the_last() {
        let events = (0..40).map(|hour| health(&format!("n{hour}"), "healthy", hour)).collect();
        let text = report(&met(Form::Table, 60, events));
        assert_eq!(text.lines().count(), 1 + OF_NODES_MAX + 1, "{text}");
        assert!(text.contains("n39: healthy\n") && text.ends_with("has them\n"), "{text}");
    }
}
