//! What a topic must be like, and how one that is there differs.
//!
//! Pure. Start reading at [`TopicDemands::drift`].

use crate::settings::KafkaSettings;
use cortado_kafka_ffi::DescribedTopic;
use cortado_log::{Drift, RECORD_BYTES_MAX};
use std::collections::BTreeMap;

/// Bytes of a batch of one record beside it: its headers, and those of the batch.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// Bytes of a batch of one record of the largest length.
pub(crate) const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX + HEADERS_BYTES_MAX;
/// A topic that takes less holds not every document that the API promises to take.
const BATCH_BYTES_MIN: usize = (2 << 20) + HEADERS_BYTES_MAX;

/// The settings with which a topic is made and that are demanded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicDemands {
    replication_factor: usize,
    demands: Vec<(&'static str, Demand)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Demand {
    Is(String),
    AtLeast(u64),
    /// It is made with the one, and what is there must have the other or more.
    Made {
        with: u64,
        least: u64,
    },
}

impl TopicDemands {
    /// Of a topic that holds logs: nothing is ever lost or rewritten.
    pub(crate) fn of_logs(settings: &KafkaSettings) -> TopicDemands {
        let mut demands = TopicDemands::safe(settings);
        demands.demands.extend([
            ("retention.ms", Demand::Is("-1".to_owned())),
            ("retention.bytes", Demand::Is("-1".to_owned())),
            (
                RECORD_LENGTH,
                Demand::Made { with: BATCH_BYTES_MAX as u64, least: BATCH_BYTES_MIN as u64 },
            ),
        ]);
        demands
    }

    /// Of the topic of beats: worth nothing a minute later.
    pub(crate) fn of_beats(settings: &KafkaSettings) -> TopicDemands {
        let mut demands = TopicDemands::safe(settings);
        let minute = || Demand::Is("60000".to_owned());
        demands.demands.extend([("retention.ms", minute()), ("segment.ms", minute())]);
        demands
    }

    fn safe(settings: &KafkaSettings) -> TopicDemands {
        let is = |value: &str| Demand::Is(value.to_owned());
        TopicDemands {
            replication_factor: usize::from(settings.replication_factor),
            demands: vec![
                // Fewer would acknowledge what one more death can lose.
                ("min.insync.replicas", Demand::AtLeast(u64::from(settings.min_insync_replicas))),
                ("unclean.leader.election.enable", is("false")),
                ("cleanup.policy", is("delete")),
                ("message.timestamp.type", is("CreateTime")),
                ("compression.type", is("producer")),
            ],
        }
    }

    /// What a topic is made with.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.demands.iter().map(|(name, demand)| (*name, demand.value()))
    }

    /// In how many replicas.
    pub(crate) fn replication_factor(&self) -> usize {
        self.replication_factor
    }

    /// How a topic differs: a setting that is not told differs, too.
    ///
    /// * `told`: the value of a setting, if the cluster tells it.
    pub(crate) fn drift(
        &self,
        topic: &DescribedTopic,
        told: impl Fn(&str) -> Option<String>,
    ) -> Vec<Drift> {
        let settings = self.demands.iter().filter_map(|(name, demand)| {
            let found = told(name);
            (!demand.is_met(found.as_deref())).then(|| Drift {
                setting: (*name).to_owned(),
                found: found.unwrap_or_else(|| "not told".to_owned()),
                wanted: demand.to_string(),
            })
        });
        let wanted = self.replication_factor;
        let thin = topic.partitions.iter().filter(|each| each.replicas.len() < wanted);
        let replicas = thin.map(|partition| Drift {
            setting: format!("replicas of partition {}", partition.number),
            found: format!("{} {:?}", partition.replicas.len(), partition.replicas),
            wanted: format!("at least {wanted}"),
        });
        settings.chain(replicas).collect()
    }
}

impl Demand {
    fn value(&self) -> String {
        match self {
            Demand::Is(value) => value.clone(),
            Demand::AtLeast(number) | Demand::Made { with: number, .. } => number.to_string(),
        }
    }

    fn is_met(&self, found: Option<&str>) -> bool {
        match (self, found) {
            (Demand::Is(value), Some(found)) => value == found,
            (Demand::AtLeast(number) | Demand::Made { least: number, .. }, Some(found)) => {
                found.parse().is_ok_and(|n: u64| n >= *number)
            }
            (Demand::Is(_) | Demand::AtLeast(_) | Demand::Made { .. }, None) => false,
        }
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Demand::Is(value) => f.write_str(value),
            Demand::AtLeast(number) | Demand::Made { least: number, .. } => {
                write!(f, "at least {number}")
            }
        }
    }
}

/// Bytes of one record at most in a topic with these settings.
pub(crate) fn record_bytes_max(told: &BTreeMap<String, String>) -> usize {
    let batch = told.get(RECORD_LENGTH).and_then(|told| told.parse::<usize>().ok());
    let batch = batch.unwrap_or(BATCH_BYTES_MAX).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX);
    batch - HEADERS_BYTES_MAX
}

const RECORD_LENGTH: &str = "max.message.bytes";

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_kafka_ffi::DescribedPartition;

    fn topic(replicas: &[&[i32]]) -> DescribedTopic {
        let partition = |(number, replicas): (usize, &&[i32])| DescribedPartition {
            number: number as i32,
            broker_leader: None,
            replicas: replicas.to_vec(),
            in_sync: replicas.to_vec(),
        };
        let partitions = replicas.iter().enumerate().map(partition).collect();
        DescribedTopic { name: "t".to_owned(), id: 1, partitions }
    }

    /// The names of what differs where everything is as it is made, but for `change`.
    #[track_caller]
    fn check(change: (&str, Option<&str>), replicas: &[&[i32]], want: &[&str]) {
        let demands = TopicDemands::of_logs(&KafkaSettings::new("b"));
        let told = |name: &str| {
            if name == change.0 {
                return change.1.map(str::to_owned);
            }
            demands.settings().find(|(made, _)| *made == name).map(|(_, value)| value)
        };
        let drift = demands.drift(&topic(replicas), told);
        let found: Vec<_> = drift.iter().map(|drift| drift.setting.as_str()).collect();
        assert_eq!(found, want, "{change:?}");
    }

    const WELL: &[&[i32]] = &[&[1, 2, 3], &[2, 3, 1]];

    #[test]
    fn a_topic_that_is_as_it_was_made_does_not_differ() {
        check(("", None), WELL, &[]);
    }

    #[test]
    fn every_setting_that_is_changed_or_missing_is_named() {
        let demands = TopicDemands::of_logs(&KafkaSettings::new("b"));
        for (name, _) in demands.settings() {
            check((name, None), WELL, &[name]);
            check((name, Some("compact")), WELL, &[name]);
        }
        check(("min.insync.replicas", Some("1")), WELL, &["min.insync.replicas"]);
        check(("min.insync.replicas", Some("3")), WELL, &[]);
        check(("max.message.bytes", Some("1048588")), WELL, &["max.message.bytes"]);
        check(("max.message.bytes", Some("33554432")), WELL, &[]);
        check(("max.message.bytes", Some("4194304")), WELL, &[]);
    }

    #[test]
    fn a_topic_that_takes_less_bounds_the_records() {
        let check = |told: &[&str], want| {
            let told = told.iter().map(|told| (RECORD_LENGTH.to_owned(), (*told).to_owned()));
            assert_eq!(record_bytes_max(&told.collect()), want);
        };
        check(&["16842752"], RECORD_BYTES_MAX);
        check(&["33554432"], RECORD_BYTES_MAX);
        check(&["4259840"], 4 << 20);
        // Less is drift: nothing is written until it is mended.
        check(&["1048588"], 2 << 20);
        check(&[], RECORD_BYTES_MAX);
    }

    #[test]
    fn a_partition_with_fewer_replicas_is_named() {
        check(("", None), &[&[1, 2, 3], &[2, 3]], &["replicas of partition 1"]);
        check(("", None), &[&[1, 2, 3, 4]], &[]);
    }
}
