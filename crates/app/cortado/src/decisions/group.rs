//! Decisions that are one to an operator: of one node, for one reason, about many partitions.
//!
//! Start reading at [`Group::takes`].

use crate::output::counted;
use cortado_wire::EventAnswer;
use std::collections::BTreeSet;

/// What is decided about the next partition later than this is another decision.
const TOGETHER_S: u64 = 10;
/// Partitions that are named one by one.
const NAMED_MAX: usize = 8;

/// At least one decision, in the order in which they were told.
#[derive(Debug)]
pub(super) struct Group {
    events: Vec<EventAnswer>,
    place: u64,
}

impl Group {
    /// * `place`: where in the journal its first one stands.
    pub(super) fn of(event: EventAnswer, place: u64) -> Group {
        Group { events: vec![event], place }
    }

    /// Where in the journal its first one stands.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The one that stands for all.
    pub(super) fn first(&self) -> &EventAnswer {
        &self.events[0]
    }

    /// Whether `event` is one more of the same. Partitions are taken over within a moment; what is
    /// measured of each differs by milliseconds.
    pub(super) fn takes(&self, event: &EventAnswer) -> bool {
        let first = self.first();
        let same = (&first.node, &first.kind) == (&event.node, &event.kind)
            && without_numbers(&first.what).eq(without_numbers(&event.what));
        same && first.partition.is_some()
            && event.partition.is_some()
            && is_together(&first.time, &event.time)
    }

    /// Whether `event` says again of a node what was said of it before, at whatever time.
    pub(super) fn takes_of_node(&self, event: &EventAnswer) -> bool {
        let first = self.first();
        first.node == event.node && without_numbers(&first.what).eq(without_numbers(&event.what))
    }

    pub(super) fn add(&mut self, event: EventAnswer) {
        self.events.push(event);
    }

    pub(super) fn with(mut self, event: EventAnswer) -> Group {
        self.add(event);
        self
    }

    /// A line about a node: the last time, and how often it was so.
    pub(super) fn of_node(&self) -> String {
        let last = self.events.last().unwrap_or_else(|| self.first());
        let EventAnswer { time, node, what, .. } = last;
        let names_itself = what.starts_with(node.as_str());
        let named = if names_itself { String::new() } else { format!("{node}: ") };
        let often = match self.events.len() {
            1 => String::new(),
            times => format!(" ({times} times since {})", self.first().time),
        };
        format!("{time}  {named}{what}{often}")
    }

    /// Behind which a reader goes on.
    pub(super) fn last_id(&self) -> &str {
        self.events.last().map_or("", |event| &event.id)
    }

    /// What it concerns, with what sets it apart from what follows.
    pub(super) fn about(&self) -> String {
        let names: Vec<String> = self.first_of_each().into_iter().filter_map(place_of).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] if self.events.len() > 1 => format!("{one}  ({} times) ", self.events.len()),
            [one] => format!("{one}  "),
            many if many.len() <= NAMED_MAX => format!("{}  ", many.join(" ")),
            many => {
                let named = many[..NAMED_MAX].join(" ");
                let partitions = counted(many.len() as u64, "partition");
                format!("{partitions} ({named} …)  ")
            }
        }
    }

    /// The first decision about each partition.
    fn first_of_each(&self) -> Vec<&EventAnswer> {
        let mut met = BTreeSet::new();
        self.events.iter().filter(|event| met.insert(place_of(event))).collect()
    }

    pub(super) fn by_hand(&self) -> String {
        self.command(|event| &event.by_hand)
    }

    pub(super) fn undo(&self) -> String {
        self.command(|event| &event.undo)
    }

    /// What all say alike; where each names its own partition, one line for all.
    fn command(&self, text: impl Fn(&EventAnswer) -> &String) -> String {
        let first = text(self.first());
        // Of one partition, what undoes the first decision undoes those after it.
        let each = self.first_of_each();
        let mut others = each.into_iter().skip(1);
        if others.clone().all(|event| text(event) == first) {
            return first.clone();
        }
        let of_any = |event: &EventAnswer| match place_of(event) {
            Some(place) => text(event).replace(&place, "DATABASE/PARTITION"),
            None => text(event).clone(),
        };
        let for_all = of_any(self.first());
        if others.all(|event| of_any(event) == for_all) {
            format!("{for_all}, for each")
        } else {
            "another one for some of them: --output json shows each".to_owned()
        }
    }
}

/// `geo/3`, or `geo`.
fn place_of(event: &EventAnswer) -> Option<String> {
    let database = event.database.as_ref()?;
    Some(match event.partition {
        Some(partition) => format!("{database}/{partition}"),
        None => database.clone(),
    })
}

/// The words of a text that are no numbers.
fn without_numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '(']).filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether two moments of one day, as RFC 3339 spells them, are close.
fn is_together(one: &str, other: &str) -> bool {
    let seconds = |time: &str| {
        let (day, clock) = time.split_once('T')?;
        let mut parts = clock.get(..8)?.split(':').map(str::parse::<u64>);
        let mut next = || parts.next()?.ok();
        Some((day.to_owned(), (next()? * 60 + next()?) * 60 + next()?))
    };
    match (seconds(one), seconds(other)) {
        (Some((day, one)), Some((other_day, other))) => {
            day == other_day && one.abs_diff(other) <= TOGETHER_S
        }
        (None, _) | (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(partition: u32, silent_ms: u32, second: u32) -> EventAnswer {
        EventAnswer {
            id: format!("id{partition}"),
            time: format!("2026-11-30T10:00:{second:02}.123Z"),
            node: "n2".to_owned(),
            kind: "claim".to_owned(),
            database: Some("geo".to_owned()),
            partition: Some(partition),
            what: format!("claim: leader n1 silent for {silent_ms} ms (limit 1000 ms)"),
            evidence: Vec::new(),
            by_hand: format!("cortado handoff geo/{partition} --to n2"),
            undo: "cortado node drain n2".to_owned(),
        }
    }

    #[test]
    fn what_differs_by_partition_is_not_told_of_all() {
        let mut group = Group::of(claim(0, 1_000, 0), 1);
        group.add(claim(1, 1_000, 0));
        assert_eq!(group.by_hand(), "cortado handoff DATABASE/PARTITION --to n2, for each");
        let by_hand = "cortado handoff geo/2 --to n3".to_owned();
        group.add(EventAnswer { by_hand, ..claim(2, 1_000, 0) });
        assert!(group.by_hand().contains("--output json"), "{}", group.by_hand());
        assert_eq!(group.undo(), "cortado node drain n2");
    }

    #[test]
    fn one_failover_of_many_partitions_is_one_group() {
        let mut group = Group::of(claim(0, 1_000, 0), 1);
        for partition in 1..20 {
            let next = claim(partition, 1_000 + partition, partition / 2);
            assert!(group.takes(&next), "{partition}");
            group.add(next);
        }
        assert_eq!(
            group.about(),
            "20 partitions (geo/0 geo/1 geo/2 geo/3 geo/4 geo/5 geo/6 geo/7 …)  "
        );
        assert_eq!(group.by_hand(), "cortado handoff DATABASE/PARTITION --to n2, for each");
        assert_eq!((group.undo().as_str(), group.last_id()), ("cortado node drain n2", "id19"));
        // Another node, another reason, another time.
        let other = |change: fn(&mut EventAnswer)| {
            let mut event = claim(20, 1_000, 3);
            change(&mut event);
            event
        };
        assert!(group.takes(&other(|_| ())));
        assert!(!group.takes(&other(|event| event.node = "n3".to_owned())));
        assert!(!group.takes(&other(|event| event.what = event.what.replace("n1", "n4"))));
        assert!(!group.takes(&other(|event| event.partition = None)));
        assert!(!group.takes(&claim(20, 1_000, 11)));
        assert!(!group.takes(&other(|event| event.time = "2026-12-01T10:00:00Z".to_owned())));
    }

    #[test]
    fn what_is_decided_again_names_its_partition_once() {
        let mut group = Group::of(claim(3, 1_000, 0), 1);
        let undo = "cortado handoff geo/3 --to n2".to_owned();
        group.add(EventAnswer { undo, ..claim(3, 1_000, 1) });
        assert_eq!(group.about(), "geo/3  (2 times) ");
        assert_eq!(group.undo(), "cortado node drain n2");
        group.add(claim(4, 1_000, 2));
        assert_eq!(group.about(), "geo/3 geo/4  ");
        assert_eq!(group.undo(), "cortado node drain n2");
        let undo = "cortado handoff geo/5 --to n3".to_owned();
        group.add(EventAnswer { undo, ..claim(5, 1_000, 3) });
        assert!(group.undo().contains("--output json"), "{}", group.undo());
    }

    #[test]
    fn one_decision_is_told_as_it_is() {
        let group = Group::of(claim(3, 1_000, 0), 1);
        assert_eq!(group.about(), "geo/3  ");
        assert_eq!(group.by_hand(), "cortado handoff geo/3 --to n2");
    }
}
