//! The reckoning: every write of the load against what the database holds and has ever done.
//!
//! Reads the whole history of every partition as a change stream, and every document as it is now.
//! Start reading at [`Audit::of`].

use super::ledger::Ledger;
use super::schema::{DATABASE, VISITS};
use super::stage::{Colour, Stage};
use super::workload::{Fate, History, Visits, Write};
use crate::failure::Failure;
use crate::output::thousands;
use cortado_client::{Client, Follow};
use cortado_model::Scn;
use std::collections::BTreeMap;
use std::io;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Audit {
    acknowledged: u64,
    /// Acknowledged and applied exactly once.
    found: u64,
    /// Acknowledged and nowhere.
    lost: u64,
    /// Applied more than once.
    duplicated: u64,
    /// Refused with "definitely not done", and applied nevertheless.
    undead: u64,
    /// Perhaps done, as far as the client knew; either is right.
    open: u64,
    /// Documents whose value now is not that of their last change.
    wrong_values: u64,
    reads: u64,
    wrong_reads: u64,
    failed_reads: u64,
}

/// Numbers that were written to a document, in the order in which they were committed.
type Applied = BTreeMap<Vec<String>, Vec<u64>>;

impl Audit {
    /// Reads everything back.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(super) async fn of(
        client: &Client,
        ledger: &Ledger,
        history: &History,
    ) -> Result<Audit, Failure> {
        let mut applied = Applied::new();
        // The ledger has one entry for each partition.
        for partition in 0..ledger.registers.len() as u32 {
            read_changes(client, partition, &mut applied).await?;
        }
        let mut audit = Audit {
            reads: history.reads,
            wrong_reads: history.wrong_reads,
            failed_reads: history.failed_reads,
            ..Audit::default()
        };
        for write in &history.writes {
            let key = &ledger.registers[write.partition as usize][write.register].key;
            audit.judge(write, applied.get(key).map_or(&[], Vec::as_slice));
        }
        audit.compare_values(client, &applied).await?;
        Ok(audit)
    }

    fn judge(&mut self, write: &Write, applied: &[u64]) {
        let times = applied.iter().filter(|number| **number == write.number).count();
        if times > 1 {
            self.duplicated += 1;
        }
        match write.fate {
            Fate::Acknowledged { .. } => {
                self.acknowledged += 1;
                match times {
                    0 => self.lost += 1,
                    1 => self.found += 1,
                    _ => {}
                }
            }
            Fate::Refused if times > 0 => self.undead += 1,
            Fate::Refused => {}
            Fate::Open => self.open += 1,
        }
    }

    /// Every document now must hold what was written to it last.
    async fn compare_values(&mut self, client: &Client, applied: &Applied) -> Result<(), Failure> {
        let mut left = applied.clone();
        let mut pages = client.database(DATABASE).table(VISITS).scan(1_000);
        while let Some(page) = pages.next().await? {
            for entry in page.documents {
                let now: Visits = serde_json::from_str(entry.value.get()).map_err(Failure::new)?;
                let numbers = left.remove(&entry.key).unwrap_or_default();
                let is_in_order = numbers.is_sorted();
                if numbers.last() != Some(&now.visits) || !is_in_order {
                    self.wrong_values += 1;
                }
            }
        }
        self.wrong_values += left.len() as u64;
        Ok(())
    }

    /// Whether nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        let Audit { lost, duplicated, undead, wrong_values, wrong_reads, .. } = self;
        let wrong = [lost, duplicated, undead, wrong_values, wrong_reads];
        self.acknowledged > 0 && self.reads > 0 && wrong.iter().all(|count| **count == 0)
    }

    /// Prints it.
    pub(super) fn report(&self, stage: &Stage) -> io::Result<()> {
        let plain = |name: &str, count: u64| format!("  {name:<34}{:>10}", thousands(count));
        let must_be_zero = |name: &str, count: u64| {
            let colour = if count == 0 { Colour::Good } else { Colour::Bad };
            stage.line(&stage.paint(colour, &plain(name, count)))
        };
        stage.line(&plain("acknowledged writes", self.acknowledged))?;
        stage.line(&plain("found, applied exactly once", self.found))?;
        must_be_zero("lost", self.lost)?;
        must_be_zero("duplicated", self.duplicated)?;
        must_be_zero("refused, yet applied", self.undead)?;
        must_be_zero("documents with a wrong value", self.wrong_values)?;
        stage.line(&plain("writes whose outcome stayed open", self.open))?;
        stage.line(&plain("strong reads checked", self.reads))?;
        must_be_zero("wrong strong reads", self.wrong_reads)?;
        stage.line(&plain("reads not served in time", self.failed_reads))?;
        let (colour, verdict) = if self.is_clean() {
            (Colour::Good, "nothing is lost, nothing happened twice")
        } else {
            (Colour::Bad, "the promise is broken")
        };
        stage.line(&format!("\n{}", stage.paint(colour, verdict)))
    }
}

async fn read_changes(
    client: &Client,
    partition: u32,
    applied: &mut Applied,
) -> Result<(), Failure> {
    let database = client.database(DATABASE);
    let mut changes = database.changes(partition, Scn::ZERO, Follow::UntilCaughtUp);
    while let Some(line) = changes.next().await? {
        for change in line.changes.into_iter().filter(|change| change.table == VISITS) {
            let value = change.value.ok_or_else(|| Failure::new("the load deletes nothing"))?;
            let visits: Visits = serde_json::from_str(value.get()).map_err(Failure::new)?;
            applied.entry(change.key).or_default().push(visits.visits);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[track_caller]
    fn check(fate: Fate, applied: &[u64], want: Audit) {
        let mut audit = Audit::default();
        audit.judge(&Write { partition: 0, register: 0, number: 7, fate }, applied);
        assert_eq!(audit, want);
    }

    #[test]
    fn every_write_is_judged() {
        let done = Fate::Acknowledged { at: Instant::now() };
        let zero = Audit::default;
        check(done, &[6, 7, 8], Audit { acknowledged: 1, found: 1, ..zero() });
        check(done, &[6, 8], Audit { acknowledged: 1, lost: 1, ..zero() });
        check(done, &[7, 7], Audit { acknowledged: 1, duplicated: 1, ..zero() });
        check(Fate::Refused, &[], zero());
        check(Fate::Refused, &[7], Audit { undead: 1, ..zero() });
        check(Fate::Open, &[7], Audit { open: 1, ..zero() });
        check(Fate::Open, &[], Audit { open: 1, ..zero() });
    }

    #[test]
    fn an_audit_of_nothing_is_not_clean() {
        assert!(!Audit::default().is_clean());
        let good = Audit { acknowledged: 1, found: 1, reads: 1, ..Audit::default() };
        assert!(good.is_clean());
        assert!(!Audit { wrong_reads: 1, ..good }.is_clean());
    }
}
