//! Reading the journal: its partitions as one list, from any position on.
//!
//! Start reading at [`Gateway::events`].

use super::document::EntryDocument;
use super::{ENTRIES, JournalPosition, entry_key, number_of, stream_of};
use crate::catalog::Database;
use crate::events::DecisionEvent;
use crate::gateway::{Consistency, Gateway, ReadError, ReadOptions, whole_table};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the leader of a partition is looked for before any replica may answer.
const LEADER_PATIENCE: Duration = Duration::from_secs(1);
/// How old what is shown may then be. The journal tells of a failover before its own is over, and
/// a reader that goes on from there misses nothing.
const LAG_MAX_MS: u64 = 1_000;

/// Why the journal was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// No replica could serve it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The position belongs to the journal of another cluster.
    #[error("the position belongs to the journal of a different cluster")]
    OtherJournal,
}

impl Gateway {
    /// What was decided and done, behind `after`.
    ///
    /// In the order of the decisions, as far as that is known: what was written late comes late.
    /// Entries that were removed meanwhile are passed over.
    ///
    /// * `after`: the id of an event; `None` from the oldest that is kept.
    /// * `limit`: events at most.
    ///
    /// # Errors
    /// See [`EventsError`].
    pub async fn events(
        &self,
        after: Option<&JournalPosition>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<DecisionEvent>, EventsError> {
        let catalog = self.catalog();
        // What was decided so far waits to be written.
        let Some(journal) = catalog.journal() else { return Ok(Vec::new()) };
        let beginning = JournalPosition::beginning(journal.uuid, journal.partitions);
        let after = after.cloned().unwrap_or(beginning);
        if !after.is_of(journal.uuid, journal.partitions) {
            return Err(EventsError::OtherJournal);
        }
        let mut asked = JoinSet::new();
        for (partition, read) in after.read() {
            let (gateway, journal) = (self.clone(), Arc::clone(journal));
            asked.spawn(async move {
                (partition, gateway.entries(&journal, partition, read, limit, deadline).await)
            });
        }
        let mut streams = BTreeMap::new();
        for (partition, entries) in asked.join_all().await {
            streams.insert(partition, entries?);
        }
        Ok(merged(streams.into_values().collect(), after, limit))
    }

    /// Some entries of one partition behind the one with the number `after`.
    async fn entries(
        &self,
        journal: &Database,
        partition: u32,
        after: u64,
        limit: usize,
        deadline: Instant,
    ) -> Result<Stream, ReadError> {
        let after = entry_key(&stream_of(partition, journal.partitions), after);
        let range = whole_table(ENTRIES, Some(&after));
        let partition = journal.partition_id(partition);
        let patience = deadline.min(Instant::now() + LEADER_PATIENCE);
        let strong =
            ReadOptions { consistency: Consistency::Strong, at_least: None, deadline: patience };
        let page = match self.page(partition, range.clone(), limit, &strong).await {
            Err(ReadError::Unserved { .. } | ReadError::StandsStill { .. }) => {
                let consistency = Consistency::Bounded { max_lag_ms: LAG_MAX_MS };
                let bounded = ReadOptions { consistency, deadline, ..strong };
                self.page(partition, range, limit, &bounded).await?
            }
            served => served?,
        };
        let mut stream = Stream::new();
        for (key, document) in page.value.documents {
            let Some(number) = number_of(&key) else { continue };
            let entry = EntryDocument::read(&document.json());
            stream.push_back((number, entry.map_err(ReadError::Store)?));
        }
        Ok(stream)
    }
}

/// Entries of one partition with their numbers, in order.
type Stream = VecDeque<(u64, EntryDocument)>;

/// The first entries of all partitions: always the one that was decided first among those that
/// stand in front.
///
/// * `position`: behind which the `streams` begin, one for each partition.
fn merged(
    mut streams: Vec<Stream>,
    mut position: JournalPosition,
    limit: usize,
) -> Vec<DecisionEvent> {
    let mut events = Vec::new();
    while events.len() < limit {
        let in_front = (0..).zip(&mut streams).filter(|(_, stream)| !stream.is_empty());
        let first = in_front.min_by_key(|(_, stream)| stream.front().map(|(_, e)| e.time_ms));
        let Some((partition, stream)) = first else { break };
        let Some((number, entry)) = stream.pop_front() else { break };
        position.pass(partition, number);
        events.push(entry.event(position.to_string()));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::super::document::VERSION;
    use super::*;
    use crate::events::EventKind;
    use cortado_model::PartitionUuid;

    /// The times that are told behind `position`, and the last id, of streams that hold entries of
    /// these times.
    #[track_caller]
    fn check(streams: &[&[u64]], position: &str, limit: usize, want: &[u64], id: &str) {
        let position = JournalPosition::parse(position).expect("a position");
        let entry = |time_ms: u64| EntryDocument {
            version: VERSION,
            time_ms,
            node: 1,
            kind: EventKind::Trim,
            database: None,
            partition: None,
            what: String::new(),
            evidence: Vec::new(),
            by_hand: String::new(),
            undo: String::new(),
        };
        let behind = |(times, (_, read)): (&&[u64], (u32, u64))| {
            let numbered = (1..).zip(times.iter().map(|time| entry(*time)));
            numbered.filter(|(number, _)| *number > read).collect()
        };
        let streams = streams.iter().zip(position.read()).map(behind).collect();
        let told = merged(streams, position, limit);
        let times: Vec<u64> = told.iter().map(|event| event.time.0).collect();
        assert_eq!(times, want);
        assert_eq!(
            told.last().map(|event| event.id.as_str()),
            Some(id).filter(|id| !id.is_empty())
        );
    }

    #[test]
    fn the_oldest_in_front_comes_first() {
        let start = JournalPosition::beginning(PartitionUuid(1), 2).to_string();
        check(&[&[1, 4], &[2, 3]], &start, 9, &[1, 2, 3, 4], "00000001-2.2");
        check(&[&[1, 4], &[2, 3]], &start, 2, &[1, 2], "00000001-1.1");
        check(&[&[1, 4], &[2, 3]], "00000001-1.1", 2, &[3, 4], "00000001-2.2");
        // Of one millisecond: in the order of partitions.
        check(&[&[1], &[1]], &start, 1, &[1], "00000001-1.0");
        check(&[&[], &[]], &start, 9, &[], "");
    }

    #[test]
    fn what_was_written_late_is_told_late_and_not_missed() {
        check(&[&[1, 9], &[2]], "00000001-2.1", 9, &[], "");
        check(&[&[1, 9, 3], &[2, 4]], "00000001-2.1", 9, &[3, 4], "00000001-3.2");
        // Before its predecessor it is never told, whatever its time.
        check(&[&[5, 3], &[4]], "00000001-0.0", 9, &[4, 5, 3], "00000001-2.1");
    }
}
