//! How the brokers are set, as far as it decides how long a failure lasts.
//!
//! Start reading at [`survey`].
//! Source: docs/operations/kafka.md, "What is demanded of the cluster".

use crate::cluster_admin::ClusterAdmin;
use crate::settings::KafkaSettings;
use std::collections::BTreeMap;
use std::io;

/// The settings that are looked at.
const SETTINGS: [&str; 3] =
    ["broker.session.timeout.ms", "broker.heartbeat.interval.ms", "auto.create.topics.enable"];
/// A session that is longer holds up every partition of a dead broker for that long.
const SESSION_MS_MAX: u64 = 3_000;
/// A shorter one takes a busy broker for dead.
const SESSION_MS_MIN: u64 = 1_500;

/// A broker and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedBroker {
    /// Its id.
    pub id: i32,
    /// Those that matter, as far as it tells them.
    pub settings: BTreeMap<String, String>,
}

impl SurveyedBroker {
    /// How long the death of this broker goes unnoticed; `None` if it does not tell.
    pub fn session_timeout_ms(&self) -> Option<u64> {
        self.settings.get("broker.session.timeout.ms")?.parse().ok()
    }

    /// What should be set otherwise, and why: one sentence for each.
    pub fn advice(&self) -> Vec<String> {
        let id = self.id;
        let mut advice = Vec::new();
        match self.session_timeout_ms() {
            Some(ms) if ms > SESSION_MS_MAX => advice.push(format!(
                "broker {id}: broker.session.timeout.ms is {ms}; set it between {SESSION_MS_MIN} \
                 and {SESSION_MS_MAX}, and broker.heartbeat.interval.ms to a fifth of that: the \
                 death of any broker holds up all partitions that it keeps for so long"
            )),
            Some(ms) if ms < SESSION_MS_MIN => advice.push(format!(
                "broker {id}: broker.session.timeout.ms is {ms}; set it to {SESSION_MS_MIN} or \
                 more, or a busy broker is taken for dead"
            )),
            Some(_) => {}
            None => advice.push(format!(
                "broker {id} does not tell broker.session.timeout.ms: see that it is \
                 between {SESSION_MS_MIN} and {SESSION_MS_MAX}"
            )),
        }
        if self.settings.get("auto.create.topics.enable").is_some_and(|value| value == "true") {
            advice.push(format!(
                "broker {id}: set auto.create.topics.enable to false, so that no other client \
                 makes a topic by asking for it"
            ));
        }
        advice
    }
}

/// All brokers, in ascending order.
pub(crate) async fn survey(settings: KafkaSettings) -> io::Result<Vec<SurveyedBroker>> {
    let admin = ClusterAdmin::new(settings).map_err(io::Error::other)?;
    let mut found = Vec::new();
    for id in admin.brokers().await? {
        let mut told = BTreeMap::new();
        for name in SETTINGS {
            let value = admin.broker_setting(id, name).await?;
            told.extend(value.map(|value| (name.to_owned(), value)));
        }
        found.push(SurveyedBroker { id, settings: told });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(settings: &[(&str, &str)], want: &[&str]) {
        let pairs = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let advice = SurveyedBroker { id: 1, settings: pairs.collect() }.advice();
        assert_eq!(advice.len(), want.len(), "{advice:?}");
        for (said, want) in advice.iter().zip(want) {
            assert!(said.contains(want), "{said}");
        }
    }

    #[test]
    fn what_makes_failures_last_is_named() {
        let session = "broker.session.timeout.ms";
        check(&[(session, "2000")], &[]);
        check(&[(session, "9000")], &["is 9000; set it between 1500 and 3000"]);
        check(&[(session, "100")], &["is 100; set it to 1500 or more"]);
        check(&[], &["does not tell"]);
        let made = ("auto.create.topics.enable", "true");
        check(&[(session, "2000"), made], &["set auto.create.topics.enable to false"]);
    }
}
