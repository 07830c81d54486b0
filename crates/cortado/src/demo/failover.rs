//! The death of a node: who led what, who claims it, and how long writes waited.
//!
//! Sees what any client sees: the routes under `/admin/v1`. Start reading at [`Failover::begin`].

use super::stage::{Colour, Stage};
use super::workload::{Fate, History};
use super::{DATABASE, PARTITIONS};
use crate::failure::Failure;
use cortado_client::Client;
use cortado_wire::{EventAnswer, PartitionAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A node that was killed.
pub(super) struct Failover {
    node: String,
    killed: Instant,
    /// The partitions that it led, with their generations then.
    led: BTreeMap<u32, u32>,
    /// Where the decision log ended before.
    last_event: Option<String>,
}

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);
/// How long all partitions may take to be served again, and the node to be back.
const FAILOVER_MAX: Duration = Duration::from_secs(15);
const REVIVAL_MAX: Duration = Duration::from_secs(10);

impl Failover {
    /// Kills the node that leads the most partitions.
    pub(super) async fn begin(client: &Client, stage: &Stage) -> Result<Failover, Failure> {
        let partitions = client.partitions(DATABASE).await?.partitions;
        let mut by_leader: BTreeMap<String, BTreeMap<u32, u32>> = BTreeMap::new();
        for partition in partitions {
            let PartitionAnswer { partition, leader, generation, .. } = partition;
            if let Some(leader) = leader {
                by_leader.entry(leader).or_default().insert(partition, generation);
            }
        }
        stage.title("Leaders before")?;
        for (node, led) in &by_leader {
            stage.fact(&format!("{node} leads partitions {}", listed(led.keys())))?;
        }
        let most = by_leader.into_iter().max_by_key(|(_, led)| led.len());
        let (node, led) = most.ok_or_else(|| Failure::new("nobody leads any partition"))?;
        let last_event = newest_event(client).await?;
        let killed = Instant::now();
        client.kill_node(&node).await?;
        let text = format!("{node} is killed without a goodbye; it led {} partitions", led.len());
        stage.title("Failover")?;
        stage.fact(&stage.paint(Colour::Bad, &text))?;
        Ok(Failover { node, killed, led, last_event })
    }

    /// Shows what happens until every partition is served again.
    pub(super) async fn watch(&self, client: &Client, stage: &Stage) -> Result<(), Failure> {
        let mut unserved: BTreeSet<u32> = self.led.keys().copied().collect();
        let mut after = self.last_event.clone();
        let mut has_detected = false;
        let mut heirs: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        while !unserved.is_empty() {
            if self.killed.elapsed() > FAILOVER_MAX {
                return Err(Failure::new(format!(
                    "partitions {} are not served {} s after the death of {}",
                    listed(unserved.iter()),
                    FAILOVER_MAX.as_secs(),
                    self.node
                )));
            }
            let page = client.events(after.as_deref()).await?;
            after = page.next.or(after);
            for event in page.events.iter().filter(|event| is_claim(event)) {
                if !has_detected {
                    has_detected = true;
                    self.tell_detection(event, stage)?;
                }
                self.tell(stage, &format!("{}: {}", event.node, event.what))?;
            }
            for partition in client.partitions(DATABASE).await?.partitions {
                if let Some(leader) = self.heir(&partition, &unserved) {
                    unserved.remove(&partition.partition);
                    let text = format!(
                        "partition {} is led by {leader}, generation {}",
                        partition.partition, partition.generation
                    );
                    self.tell(stage, &stage.paint(Colour::Good, &text))?;
                    heirs.entry(leader).or_default().push(partition.partition);
                }
            }
            sleep(LOOK).await;
        }
        for (node, partitions) in &heirs {
            let (count, list) = (partitions.len(), listed(partitions.iter()));
            stage.fact(&format!("{node} has taken over {count}: partitions {list}"))?;
        }
        Ok(())
    }

    /// The new leader of a partition that had none so far.
    fn heir(&self, partition: &PartitionAnswer, unserved: &BTreeSet<u32>) -> Option<String> {
        let before = self.led.get(&partition.partition)?;
        let is_new = unserved.contains(&partition.partition) && partition.generation > *before;
        partition.leader.clone().filter(|leader| is_new && *leader != self.node)
    }

    fn tell_detection(&self, event: &EventAnswer, stage: &Stage) -> io::Result<()> {
        let evidence = event.evidence.join("; ");
        self.tell(stage, &format!("{} is taken for dead: {evidence}", self.node))
    }

    /// A fact with the time since the death.
    fn tell(&self, stage: &Stage, text: &str) -> io::Result<()> {
        stage.fact(&format!("+{:4} ms  {text}", self.killed.elapsed().as_millis()))
    }

    /// Starts the node again, and waits until it has caught up.
    pub(super) async fn revive(&self, client: &Client, stage: &Stage) -> Result<(), Failure> {
        stage.title("Revival")?;
        let begun = Instant::now();
        client.start_node(&self.node).await?;
        stage.fact(&format!("{} is started again, as a new incarnation", self.node))?;
        while begun.elapsed() < REVIVAL_MAX {
            let partitions = client.partitions(DATABASE).await?.partitions;
            let leads = partitions.iter().filter(|p| p.leader.as_ref() == Some(&self.node)).count();
            if leads >= self.led.len() {
                let text = "has caught up, and its leaderships are handed back to it";
                return Ok(stage.fact(&format!("{} {text}", self.node))?);
            }
            sleep(LOOK).await;
        }
        Ok(stage.fact(&format!("{} follows; it was not given all leaderships yet", self.node))?)
    }

    /// Says for how long writes waited in each partition that the node led, and in the others.
    pub(super) fn report_gaps(&self, history: &History, stage: &Stage) -> io::Result<()> {
        stage.title("Write gap: the longest time between two acknowledgements of a partition")?;
        let gaps = self.gaps(history);
        let (led, others): (Vec<_>, Vec<_>) =
            gaps.into_iter().partition(|(partition, _)| self.led.contains_key(partition));
        for (name, gaps) in [("led by the dead node", led), ("led by others", others)] {
            let mut gaps_ms: Vec<u128> = gaps.iter().map(|(_, gap)| gap.as_millis()).collect();
            gaps_ms.sort_unstable();
            if let (Some(p50), Some(max)) = (gaps_ms.get(gaps_ms.len() / 2), gaps_ms.last()) {
                let count = gaps_ms.len();
                stage.fact(&format!("{name} ({count}): p50 {p50} ms, max {max} ms"))?;
            }
        }
        Ok(())
    }

    /// For each partition, the longest pause that ended after the death.
    fn gaps(&self, history: &History) -> BTreeMap<u32, Duration> {
        let mut times: BTreeMap<u32, Vec<Instant>> =
            (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
        for write in &history.writes {
            if let Fate::Acknowledged { at } = write.fate {
                times.entry(write.partition).or_default().push(at);
            }
        }
        let longest = |times: Vec<Instant>| {
            let pairs = times.windows(2).filter(|pair| pair[1] >= self.killed);
            pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
        };
        // The times of one writer are in order already.
        times.into_iter().map(|(partition, times)| (partition, longest(times))).collect()
    }
}

fn is_claim(event: &EventAnswer) -> bool {
    event.kind == "claim" && event.database.as_deref() == Some(DATABASE)
}

/// Where the decision log ends.
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
