//! The death of a node: who led what, who claims it, and how long writes waited.
//!
//! Sees what any client sees: the routes under `/admin/v1`. Start reading at [`Failover::begin`].

use super::schema::DATABASE;
use super::stage::{Colour, Stage};
use super::workload::{Fate, History};
use crate::failure::Failure;
use cortado_client::Client;
use cortado_wire::{EventAnswer, PartitionAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// A node that was killed.
pub(super) struct Failover {
    node: String,
    killed: Instant,
    /// The same moment by the wall clock, in milliseconds of its day.
    killed_wall_ms: u64,
    /// The partitions that it led, with their generations then.
    led: BTreeMap<u32, u32>,
    /// Where the journal ended before.
    last_event: Option<String>,
}

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);
/// How long all partitions may take to be served again, and the node to be back.
const FAILOVER_MAX_MS: u64 = 180_000;
const REVIVAL_MAX: Duration = Duration::from_secs(180);
/// How long after a decision it is on record, if the machine is not very busy.
const RECORD_MAX_MS: u64 = 250;
/// A replica this close to the end of its logs, which grow all the time, has caught up.
const CAUGHT_UP_RECORDS: u64 = 100;

impl Failover {
    /// Kills the node that leads the most partitions, by `kill`.
    pub(super) async fn begin(
        client: &Client,
        stage: &Stage,
        kill: impl AsyncFnOnce(&str) -> Result<(), Failure>,
    ) -> Result<Failover, Failure> {
        let partitions = client.partitions(DATABASE).await?.partitions;
        let mut by_leader: BTreeMap<String, BTreeMap<u32, u32>> = BTreeMap::new();
        for partition in partitions {
            let PartitionAnswer { partition, leader, generation, .. } = partition;
            if let Some((leader, generation)) = leader.zip(generation) {
                by_leader.entry(leader).or_default().insert(partition, generation);
            }
        }
        stage.title("Leaders before")?;
        for (node, led) in &by_leader {
            stage.fact(&format!("{node} leads partitions {}", listed(led.keys())))?;
        }
        let most = by_leader.into_iter().max_by_key(|(_, led)| led.len());
        let (node, led) = most.ok_or_else(|| Failure::new("no partition has a leader"))?;
        let last_event = newest_event(client).await?;
        let (killed, killed_wall_ms) = (Instant::now(), wall_ms_now());
        kill(&node).await?;
        let text = format!("{node} is killed without a shutdown; it led {} partitions", led.len());
        stage.title("Failover")?;
        stage.fact(&stage.paint(Colour::Bad, &text))?;
        Ok(Failover { node, killed, killed_wall_ms, led, last_event })
    }

    /// Shows what happens until every partition is served again.
    pub(super) async fn watch(&self, client: &Client, stage: &Stage) -> Result<(), Failure> {
        let mut seen = Seen::default();
        let mut unserved: BTreeSet<u32> = self.led.keys().copied().collect();
        let mut unclaimed = unserved.len();
        let mut after = self.last_event.clone();
        // A decision is on record a moment after it was made: its partition may be served by then.
        while !unserved.is_empty()
            || (unclaimed > 0 && seen.last_ms + RECORD_MAX_MS > self.now_ms())
        {
            if self.now_ms() > FAILOVER_MAX_MS {
                return Err(self.not_served(&unserved));
            }
            let page = client.events(after.as_deref()).await?;
            after = page.next.or(after);
            for event in page.events.iter().filter(|event| is_claim(event)) {
                unclaimed = unclaimed.saturating_sub(1);
                self.note_claim(event, &mut seen);
            }
            for partition in client.partitions(DATABASE).await?.partitions {
                if let Some(leader) = self.heir(&partition, &unserved) {
                    unserved.remove(&partition.partition);
                    let PartitionAnswer { partition, generation, .. } = partition;
                    let generation = generation.unwrap_or_default();
                    let text = format!(
                        "partition {partition} is led by {leader}, generation {generation}"
                    );
                    seen.note(self.now_ms(), stage.paint(Colour::Good, &text));
                    seen.heirs.entry(leader).or_default().push(partition);
                }
            }
            seen.tell_before(self.now_ms().saturating_sub(RECORD_MAX_MS), stage)?;
            sleep(LOOK).await;
        }
        seen.tell_before(u64::MAX, stage)?;
        for (node, partitions) in &seen.heirs {
            let (count, list) = (partitions.len(), listed(partitions.iter()));
            stage.fact(&format!("{node} has taken over {count}: partitions {list}"))?;
        }
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        // Half a billion years from now it would saturate.
        u64::try_from(self.killed.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn not_served(&self, unserved: &BTreeSet<u32>) -> Failure {
        let (list, node) = (listed(unserved.iter()), &self.node);
        Failure::new(format!(
            "partitions {list} are not served {FAILOVER_MAX_MS} ms after the death of {node}"
        ))
    }

    /// A claim, with the time at which it was decided; the first one says why.
    fn note_claim(&self, event: &EventAnswer, seen: &mut Seen) {
        let decided = wall_ms_of_day(&event.time).map(|ms| ms.saturating_sub(self.killed_wall_ms));
        let at_ms = decided.unwrap_or_else(|| self.now_ms());
        if !seen.has_detected {
            seen.has_detected = true;
            seen.note(at_ms, format!("{} takes {} for dead, because", event.node, self.node));
            for evidence in &event.evidence {
                seen.note(at_ms, format!("  {evidence}"));
            }
        }
        let partition = event.partition.unwrap_or_default();
        seen.note(at_ms, format!("{} claims partition {partition}", event.node));
    }

    /// The new leader of a partition that had none so far.
    fn heir(&self, partition: &PartitionAnswer, unserved: &BTreeSet<u32>) -> Option<String> {
        let before = self.led.get(&partition.partition)?;
        let is_new =
            unserved.contains(&partition.partition) && partition.generation > Some(*before);
        partition.leader.clone().filter(|leader| is_new && *leader != self.node)
    }

    /// Starts the node again, by `start`, waits until it has caught up, and hands its partitions
    /// back to it.
    pub(super) async fn revive(
        &self,
        client: &Client,
        stage: &Stage,
        start: impl AsyncFnOnce(&str) -> Result<(), Failure>,
    ) -> Result<Instant, Failure> {
        stage.title("Revival, and a planned handoff of what it led")?;
        let begun = Instant::now();
        start(&self.node).await?;
        let lag_records = loop {
            let partitions = client.partitions(DATABASE).await?.partitions;
            let mut lags = partitions.iter().map(|partition| self.lag_of(partition));
            let lag_records = lags.try_fold(0, |sum, lag| Some(sum + lag?));
            if lag_records.is_some_and(|lag| lag < CAUGHT_UP_RECORDS)
                || begun.elapsed() > REVIVAL_MAX
            {
                break lag_records;
            }
            sleep(LOOK).await;
        };
        let seconds = begun.elapsed().as_secs_f64();
        let state = match lag_records {
            Some(_) => format!("follows all partitions again after {seconds:.1} s"),
            None => format!("does not follow all partitions after {seconds:.1} s"),
        };
        stage.fact(&format!("{}, a new incarnation, {state}", self.node))?;
        let mut longest = Duration::ZERO;
        for partition in self.led.keys() {
            let begun = Instant::now();
            client.hand_off(DATABASE, *partition, Some(&self.node)).await?;
            longest = longest.max(begun.elapsed());
        }
        stage.fact(&format!(
            "{} leads its {} partitions again, the slowest handoff took {} ms",
            self.node,
            self.led.len(),
            longest.as_millis()
        ))?;
        Ok(begun)
    }

    /// How far the replica on the node is behind; `None` if none runs there.
    fn lag_of(&self, partition: &PartitionAnswer) -> Option<u64> {
        let mut replicas = partition.replicas.iter();
        let replica = replicas.find(|replica| replica.node == self.node)?;
        replica.lag_records.filter(|_| replica.role != "offline")
    }

    /// Says for how long writes waited in each partition that the node led, and in the others.
    ///
    /// * `revived`: where the failover ends and the planned handoffs begin.
    /// * `until`: where those end, if something else was done afterwards.
    pub(super) fn report_gaps(
        &self,
        history: &History,
        revived: Instant,
        until: Option<Instant>,
        stage: &Stage,
    ) -> io::Result<()> {
        stage.title("Write gap: the longest wait between two acknowledgements of a partition")?;
        let (failed_over, others): (Vec<_>, Vec<_>) = gaps(history, self.killed, Some(revived))
            .into_iter()
            .partition(|(partition, _)| self.led.contains_key(partition));
        let handed_back = gaps(history, revived, until);
        let handed_back = handed_back.into_iter().filter(|(p, _)| self.led.contains_key(p));
        tell_gaps(&format!("failover, led by {}", self.node), failed_over, stage)?;
        tell_gaps("failover, led by others", others, stage)?;
        tell_gaps("planned handoff back", handed_back, stage)
    }
}

/// For each partition, the longest pause that ended after `from` and began before `to`.
pub(super) fn gaps(
    history: &History,
    from: Instant,
    to: Option<Instant>,
) -> BTreeMap<u32, Duration> {
    let mut times: BTreeMap<u32, Vec<Instant>> = BTreeMap::new();
    for write in &history.writes {
        if let Fate::Acknowledged { at } = write.fate {
            times.entry(write.partition).or_default().push(at);
        }
    }
    let is_inside = |pair: &&[Instant]| pair[1] >= from && to.is_none_or(|to| pair[0] < to);
    let longest = |times: Vec<Instant>| {
        // The times of one writer are in order already.
        let pairs = times.windows(2).filter(is_inside);
        pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    };
    times.into_iter().map(|(partition, times)| (partition, longest(times))).collect()
}

pub(super) fn tell_gaps(
    name: &str,
    gaps: impl IntoIterator<Item = (u32, Duration)>,
    stage: &Stage,
) -> io::Result<()> {
    let mut gaps_ms: Vec<u128> = gaps.into_iter().map(|(_, gap)| gap.as_millis()).collect();
    gaps_ms.sort_unstable();
    match (gaps_ms.get(gaps_ms.len() / 2), gaps_ms.last()) {
        (Some(p50), Some(max)) => {
            let count = gaps_ms.len();
            stage.fact(&format!("{name:<24}{count:>3} partitions: p50 {p50} ms, max {max} ms"))
        }
        (None, _) | (_, None) => Ok(()),
    }
}

/// What was seen of a failover, told in the order in which it happened.
#[derive(Debug, Default)]
struct Seen {
    /// By time since the death, in milliseconds.
    facts: BTreeMap<u64, Vec<String>>,
    /// When the last fact was noted.
    last_ms: u64,
    has_detected: bool,
    /// Who leads what now.
    heirs: BTreeMap<String, Vec<u32>>,
}

impl Seen {
    fn note(&mut self, at_ms: u64, text: String) {
        self.facts.entry(at_ms).or_default().push(text);
        self.last_ms = self.last_ms.max(at_ms);
    }

    /// Tells everything that happened before `before_ms`.
    fn tell_before(&mut self, before_ms: u64, stage: &Stage) -> io::Result<()> {
        let later = self.facts.split_off(&before_ms);
        for (at_ms, texts) in std::mem::replace(&mut self.facts, later) {
            texts.iter().try_for_each(|text| stage.line(&format!("  +{at_ms:5} ms  {text}")))?;
        }
        Ok(())
    }
}

/// Milliseconds of the day in UTC, now.
fn wall_ms_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default() % MS_OF_DAY
}

const MS_OF_DAY: u64 = 24 * 60 * 60 * 1_000;

/// Milliseconds of the day of a time such as `2026-11-23T10:00:00.123Z`.
fn wall_ms_of_day(text: &str) -> Option<u64> {
    let time = text.split('T').nth(1)?.strip_suffix('Z')?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut seconds = 0;
    for part in whole.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    // Exactly three digits, as the server writes them.
    Some(seconds * 1_000 + fraction.get(..3).unwrap_or("0").parse::<u64>().ok()?)
}

fn is_claim(event: &EventAnswer) -> bool {
    event.kind == "claim" && event.database.as_deref() == Some(DATABASE)
}

/// Where the journal ends.
async fn newest_event(client: &Client) -> Result<Option<String>, Failure> {
    let mut after = None;
    loop {
        let page = client.events(after.as_deref()).await?;
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            Some(_) | None => return Ok(after),
        }
    }
}

/// Numbers with spaces between.
fn listed<'a>(numbers: impl Iterator<Item = &'a u32>) -> String {
    numbers.map(u32::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::workload::Write;

    #[test]
    fn times_of_the_day_are_read() {
        assert_eq!(wall_ms_of_day("2026-11-23T10:00:00.123Z"), Some(36_000_123));
        assert_eq!(wall_ms_of_day("2026-11-23T00:00:01Z"), Some(1_000));
        assert_eq!(wall_ms_of_day("yesterday"), None);
    }

    #[test]
    fn a_gap_spans_the_death() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let write = |ms| {
            let fate = Fate::Acknowledged { at: at(ms) };
            Write { partition: 3, register: 0, number: ms, fate }
        };
        let writes = [0, 500, 510, 1_510, 1_520, 4_000].map(write).to_vec();
        let history = History { writes, reads: 0, wrong_reads: 0, failed_reads: 0 };
        let gap = |from, to| gaps(&history, at(from), to)[&3];
        assert_eq!(gap(600, Some(at(1_600))), Duration::from_millis(2_480));
        assert_eq!(gap(600, Some(at(1_515))), Duration::from_millis(1_000));
        assert_eq!(gap(1_520, None), Duration::from_millis(2_480));
    }
}
