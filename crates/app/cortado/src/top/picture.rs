//! What `cortado top` shows: sections that share the lines of the terminal.
//!
//! Start reading at [`Picture::of`].

use super::seen::Seen;
use crate::output::{Columns, counted, thousands};
use crate::status::screen::Size;
use crate::status::{lag_ms_of, line_of, or_dash, render_troubles, state_of};
use crate::trouble::is_well;
use cortado_wire::{ClusterAnswer, NodeAnswer, PartitionAnswer};
use std::cmp::Reverse;

/// Lines of text.
#[derive(Debug)]
pub(super) struct Picture {
    lines: Vec<String>,
}

/// Lines of each section where there is no terminal.
const LINES_OF_TEXT: usize = 20;
/// What each section has at least, its titles among it.
const LINES_MIN: usize = 3;

impl Picture {
    /// Draws what was seen.
    ///
    /// * `size`: of the terminal, all of whose lines are used and no more.
    pub(super) fn of(seen: &Seen, size: Option<Size>) -> Picture {
        let mut lines = vec![head(seen)];
        let Some((cluster, _)) = &seen.cluster else { return Picture { lines } };
        lines.extend(cluster.warnings.iter().map(|warning| format!("warning: {warning}")));
        let sections = [
            render_troubles(cluster),
            render_nodes(seen, cluster),
            render_databases(seen, cluster),
            render_partitions(seen, cluster),
            render_decisions(seen),
        ];
        let sections: Vec<Vec<String>> = sections
            .iter()
            .filter(|section| !section.is_empty())
            .map(|section| section.lines().map(str::to_owned).collect())
            .collect();
        let wanted: Vec<usize> = sections.iter().map(Vec::len).collect();
        let given = match size {
            // The cursor stands below the last line, and an empty one above each section.
            Some((height, _)) => {
                share_out(height.saturating_sub(lines.len() + sections.len() + 1), &wanted)
            }
            None => wanted.iter().map(|lines| (*lines).min(LINES_OF_TEXT)).collect(),
        };
        for (section, given) in sections.into_iter().zip(given) {
            if given == 0 {
                continue;
            }
            lines.push(String::new());
            lines.extend(cut(section, given));
        }
        Picture { lines }
    }

    /// All lines, each ended.
    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// As many lines of a section as it is given; the last one says how many are missing.
fn cut(mut section: Vec<String>, given: usize) -> Vec<String> {
    if section.len() > given {
        let more = section.len() - given + 1;
        section.truncate(given - 1);
        section.push(format!("… {more} more"));
    }
    section
}

/// Shares `lines` out: each section gets what it wants, or what is fair; what one leaves goes to
/// the others.
fn share_out(lines: usize, wanted: &[usize]) -> Vec<usize> {
    let mut given: Vec<usize> = wanted.iter().map(|wanted| (*wanted).min(LINES_MIN)).collect();
    let mut left = lines.saturating_sub(given.iter().sum());
    while left > 0 {
        let before = left;
        for (given, wanted) in given.iter_mut().zip(wanted) {
            if *given < *wanted && left > 0 {
                *given += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    // A terminal that is too small shows the first sections.
    let mut room = lines;
    for given in &mut given {
        *given = (*given).min(room);
        room -= *given;
    }
    given
}

fn head(seen: &Seen) -> String {
    let lost = seen.lost.as_ref().map(|(since, why)| {
        format!(
            "no server answers for {} s ({why}); what follows is old",
            since.elapsed().as_secs()
        )
    });
    let Some((cluster, _)) = &seen.cluster else {
        return lost.unwrap_or_else(|| "waiting for a server".to_owned());
    };
    let alive = cluster.nodes.iter().filter(|node| node.alive).count();
    let partitions: usize = cluster.databases.iter().map(|it| it.partitions.len()).sum();
    let rate: f64 = seen.rates.by_database().values().sum();
    let rate =
        if seen.rates.are_known() { format!(", {} tx/s", whole(rate)) } else { String::new() };
    format!(
        "cortado {}: {}; {alive} of {} alive, {}, {}{rate}",
        cluster.version,
        lost.unwrap_or_else(|| state_of(cluster)),
        counted(cluster.nodes.len() as u64, "node"),
        counted(cluster.databases.len() as u64, "database"),
        counted(partitions as u64, "partition"),
    )
}

fn partitions_of(cluster: &ClusterAnswer) -> impl Iterator<Item = (&str, &PartitionAnswer)> {
    cluster.databases.iter().flat_map(|database| {
        database.partitions.iter().map(|partition| (database.name.as_str(), partition))
    })
}

/// The nodes, those that are not well first, with what they lead.
fn render_nodes(seen: &Seen, cluster: &ClusterAnswer) -> String {
    let mut columns =
        Columns::new(&["node", "state", "leads", "replicas", "tx/s", "lag_ms", "address"]);
    let mut nodes: Vec<&NodeAnswer> = cluster.nodes.iter().collect();
    nodes.sort_by_key(|node| (node.alive && node.sick.is_none(), !node.drained));
    for node in nodes {
        let led = partitions_of(cluster).filter(|(_, it)| it.leader.as_ref() == Some(&node.node));
        let rates = led.filter_map(|(database, it)| seen.rates.of(database, it.partition));
        let rate = rates.reduce(|sum, rate| sum + rate);
        let replicas = partitions_of(cluster).flat_map(|(_, it)| &it.replicas);
        let lag = replicas.filter(|it| it.node == node.node).filter_map(|it| it.lag_ms).max();
        columns.add(vec![
            node.node.clone(),
            state_of_node(node).to_owned(),
            node.leaderships.to_string(),
            node.replicas.to_string(),
            or_dash(rate.map(whole)),
            or_dash(lag),
            node.address.clone(),
        ]);
    }
    columns.render()
}

/// In a word: the section above has the reasons.
fn state_of_node(node: &NodeAnswer) -> &'static str {
    match (node.alive, &node.sick, node.drained) {
        (false, _, _) => "dead",
        (true, Some(_), _) => "sick",
        (true, None, true) => "drained",
        (true, None, false) => "alive",
    }
}

/// The databases, the busiest first.
fn render_databases(seen: &Seen, cluster: &ClusterAnswer) -> String {
    let mut columns = Columns::new(&["database", "partitions", "led", "tx/s", "lag_ms"]);
    let rates = seen.rates.by_database();
    let rate_of = |name: &str| rates.get(name).copied();
    let mut databases: Vec<_> = cluster.databases.iter().collect();
    databases.sort_by_key(|database| Reverse(rate_of(&database.name).map_or(0, milli)));
    for database in databases {
        let led = database.partitions.iter().filter(|partition| partition.leader.is_some());
        let lag = database.partitions.iter().filter_map(lag_ms_of).max();
        columns.add(vec![
            database.name.clone(),
            database.partitions.len().to_string(),
            led.count().to_string(),
            or_dash(rate_of(&database.name).map(whole)),
            or_dash(lag),
        ]);
    }
    columns.render()
}

/// The partitions: those that are not well, then by lag and rate.
fn render_partitions(seen: &Seen, cluster: &ClusterAnswer) -> String {
    let mut columns = Columns::new(&[
        "partition",
        "leader",
        "tx/s",
        "generation",
        "applied",
        "lag_records",
        "lag_ms",
        "replicas",
    ]);
    let mut partitions: Vec<_> = partitions_of(cluster).collect();
    partitions.sort_by_key(|(database, partition)| {
        let rate = seen.rates.of(database, partition.partition).map_or(0, milli);
        let is_led = partition.leader.is_some();
        (is_led, is_well(partition, &cluster.nodes), Reverse((lag_ms_of(partition), rate)))
    });
    for (database, partition) in partitions {
        let rate = seen.rates.of(database, partition.partition).map(whole);
        let mut cells = line_of(database, partition);
        cells.insert(2, or_dash(rate));
        columns.add(cells);
    }
    columns.render()
}

fn render_decisions(seen: &Seen) -> String {
    let mut text = String::new();
    for line in seen.decisions.lines() {
        if text.is_empty() {
            text.push_str("LATEST DECISIONS (cortado explain says why)\n");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A rate without its fraction.
fn whole(rate: f64) -> String {
    // Rates are not negative, and far below what 64 bits hold.
    thousands(rate.round() as u64)
}

/// A rate in thousandths, for an order.
fn milli(rate: f64) -> u64 {
    (rate * 1_000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_share_the_lines() {
        assert_eq!(share_out(100, &[5, 40, 2]), [5, 40, 2]);
        assert_eq!(share_out(20, &[5, 40, 2]), [5, 13, 2]);
        assert_eq!(share_out(7, &[5, 40, 2]), [3, 3, 1]);
        assert_eq!(share_out(2, &[5, 40, 2]), [2, 0, 0]);
        assert_eq!(share_out(0, &[5]), [0]);
    }

    #[test]
    fn what_is_cut_says_how_much_is_missing() {
        let section = || ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(cut(section(), 3), ["a", "b", "c"]);
        assert_eq!(cut(section(), 2), ["a", "… 2 more"]);
        assert_eq!(cut(section(), 1), ["… 3 more"]);
    }

    #[test]
    fn what_is_lost_is_told_in_the_head() {
        let mut seen = Seen::default();
        assert_eq!(Picture::of(&seen, None).text(), "waiting for a server\n");
        seen.lose("connection refused");
        let text = Picture::of(&seen, Some((10, 80))).text();
        assert!(text.starts_with("no server answers for 0 s (connection refused)"), "{text}");
    }
}
