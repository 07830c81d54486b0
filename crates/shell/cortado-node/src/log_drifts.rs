//! How the settings of logs differ from what they should be.
//!
//! Start reading at [`LogDrifts::note`].

use cortado_log::{Drift, LogSpec};
use cortado_model::DatabaseId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tracing::{error, info, warn};

/// By database.
#[derive(Debug, Default)]
pub(crate) struct LogDrifts {
    found: Mutex<BTreeMap<DatabaseId, Vec<Drift>>>,
    /// Of what keeps the beats, which concerns no database.
    beats: Mutex<Vec<Drift>>,
}

impl LogDrifts {
    /// Takes over what was found of a database's log.
    pub(crate) fn note(&self, spec: &LogSpec, drift: &[Drift]) {
        let mut found = self.found.lock();
        let former = found.get(&spec.database).map_or(&[][..], Vec::as_slice);
        if former == drift {
            return;
        }
        let database = spec.name.as_str();
        if drift.is_empty() {
            found.remove(&spec.database);
            info!(database, "the settings of the log are well again: writes go on");
            return;
        }
        let drift_told = told(drift);
        error!(database, drift = drift_told, "settings of the log differ: writes are refused");
        found.insert(spec.database, drift.to_vec());
    }

    /// Takes over what was found of the streams of beats.
    pub(crate) fn note_beats(&self, drift: Vec<Drift>) {
        let mut found = self.beats.lock();
        if *found == drift {
            return;
        }
        if drift.is_empty() {
            info!("the settings of the beats' topic are well again");
        } else {
            let drift = told(&drift);
            warn!(drift, "settings of the beats' topic differ: failovers may take longer");
        }
        *found = drift;
    }

    /// Whether a setting of a database's log differs.
    pub(crate) fn concerns(&self, database: DatabaseId) -> bool {
        self.found.lock().contains_key(&database)
    }

    /// All that differs, in words; `name` says what a database is called.
    pub(crate) fn in_words(&self, name: impl Fn(DatabaseId) -> String) -> Option<String> {
        let found = self.found.lock();
        let of = |(database, drift): (&DatabaseId, &Vec<Drift>)| {
            format!("the log of {} takes no writes: {}", name(*database), told(drift))
        };
        let mut words: Vec<String> = found.iter().map(of).collect();
        let beats = self.beats.lock();
        words.extend((!beats.is_empty()).then(|| format!("beats: {}", told(&beats))));
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Databases and their settings that differ.
    pub(crate) fn settings(&self) -> Vec<(DatabaseId, String)> {
        let found = self.found.lock();
        let of = |(database, drift): (&DatabaseId, &Vec<Drift>)| {
            let database = *database;
            drift.iter().map(move |drift| (database, drift.setting.clone())).collect::<Vec<_>>()
        };
        found.iter().flat_map(of).collect()
    }

    /// Forgets the databases that are not there any more.
    pub(crate) fn keep(&self, databases: &[LogSpec]) {
        let is_there = |id: &DatabaseId| databases.iter().any(|spec| spec.database == *id);
        self.found.lock().retain(|database, _| is_there(database));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.lock().is_empty() && self.beats.lock().is_empty()
    }
}

/// In words.
pub(crate) fn told(drift: &[Drift]) -> String {
    let one =
        |Drift { setting, found, wanted }: &Drift| format!("{setting} is {found}, not {wanted}");
    drift.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::PartitionUuid;

    fn spec(number: u32) -> LogSpec {
        let (database, uuid) = (DatabaseId(number), PartitionUuid(1));
        LogSpec { database, name: format!("d{number}"), uuid, partitions: 1 }
    }

    fn drift() -> Vec<Drift> {
        let text = str::to_owned;
        let (setting, found, wanted) = (text("retention.ms"), text("60000"), text("-1"));
        vec![Drift { setting, found, wanted }]
    }

    #[test]
    fn what_differs_concerns_its_database_until_it_is_mended_or_dropped() {
        let drifts = LogDrifts::default();
        let name = |DatabaseId(id)| format!("d{id}");
        drifts.note(&spec(1), &drift());
        drifts.note(&spec(2), &drift());
        drifts.note(&spec(3), &[]);
        let concerned = [1, 2, 3].map(|id| drifts.concerns(DatabaseId(id)));
        assert_eq!(concerned, [true, true, false]);
        let words = drifts.in_words(name).unwrap();
        assert!(words.starts_with("the log of d1 takes no writes: retention.ms is 60000, not -1"));
        drifts.note(&spec(1), &[]);
        drifts.keep(&[spec(1), spec(3)]);
        assert_eq!((drifts.settings(), drifts.in_words(name)), (Vec::new(), None));
    }

    #[test]
    fn what_differs_of_the_beats_is_told_and_concerns_no_database() {
        let drifts = LogDrifts::default();
        let name = |DatabaseId(id)| format!("d{id}");
        drifts.note_beats(drift());
        assert!(!drifts.is_empty() && drifts.settings().is_empty());
        let words = drifts.in_words(name);
        assert_eq!(words.as_deref(), Some("beats: retention.ms is 60000, not -1"));
        drifts.note_beats(Vec::new());
        assert!(drifts.is_empty() && drifts.in_words(name).is_none());
    }
}
