//! What must be true of every document that the workload writes.
//!
//! A document holds a number that its only writer counts up, so that it is a register whose reads
//! can be judged at once. Start reading at [`Register`].

use super::schema::{DATABASE, PARTITIONS, PLACES};
use crate::failure::Failure;
use cortado_client::Client;
use std::sync::atomic::{AtomicU64, Ordering};

/// The documents of the workload, by partition.
#[derive(Debug)]
pub(super) struct Ledger {
    /// `registers[partition]`: those of one writer.
    pub(super) registers: Vec<Vec<Register>>,
}

/// One document.
#[derive(Debug)]
pub(super) struct Register {
    pub(super) key: Vec<String>,
    /// The highest number whose write was begun.
    begun: AtomicU64,
    /// The highest number whose write was acknowledged.
    acknowledged: AtomicU64,
    /// The highest number that any read has answered.
    read: AtomicU64,
}

/// Documents that the workload writes in each partition.
const REGISTERS: usize = 16;

impl Ledger {
    /// Chooses places in every partition.
    ///
    /// # Errors
    /// The places cannot be read, or do not reach every partition.
    pub(super) async fn of_places(client: &Client) -> Result<Ledger, Failure> {
        let mut registers: Vec<Vec<Register>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
        let mut pages = client.database(DATABASE).table(PLACES).scan(1_000);
        while let Some(page) = pages.next().await? {
            for entry in page.documents {
                let partition = registers.get_mut(entry.scn.partition as usize);
                let partition = partition.ok_or_else(|| Failure::new("a partition too many"))?;
                if partition.len() < REGISTERS {
                    partition.push(Register::new(entry.key));
                }
            }
        }
        match registers.iter().position(Vec::is_empty) {
            Some(partition) => Err(Failure::new(format!("no place lies in partition {partition}"))),
            None => Ok(Ledger { registers }),
        }
    }
}

impl Register {
    fn new(key: Vec<String>) -> Register {
        let zero = || AtomicU64::new(0);
        Register { key, begun: zero(), acknowledged: zero(), read: zero() }
    }

    /// The writer begins to write the next number.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The server has acknowledged `number`.
    pub(super) fn acknowledge(&self, number: u64) {
        self.acknowledged.fetch_max(number, Ordering::SeqCst);
    }

    /// The least that a strong read may answer that begins now.
    pub(super) fn floor(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst).max(self.read.load(Ordering::SeqCst))
    }

    /// Judges a read that ends now; `floor` is from when it began.
    ///
    /// Right: nothing older than what was acknowledged or read before it began, and nothing newer
    /// than what was under way before it ended.
    pub(super) fn judge(&self, floor: u64, answer: u64) -> bool {
        let ceiling = self.begun.load(Ordering::SeqCst);
        self.read.fetch_max(answer, Ordering::SeqCst);
        (floor..=ceiling).contains(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_answers_the_last_write_or_one_under_way() {
        let register = Register::new(Vec::new());
        assert!(register.judge(register.floor(), 0));
        assert_eq!(register.begin(), 1);
        assert!(register.judge(register.floor(), 0), "1 is not acknowledged");
        assert!(register.judge(register.floor(), 1), "1 is under way");
        let floor = register.floor();
        assert!(!register.judge(floor, 0), "1 was read before");
        register.acknowledge(1);
        assert!(register.judge(register.floor(), 1));
        assert!(!register.judge(register.floor(), 2), "2 was never begun");
    }
}
