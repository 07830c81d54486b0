//! Random work on the embedded log and on the in-memory one: both say the same.

use super::*;
use cortado_log::memory::{MemoryLog, Receipt};
use cortado_log::{Appended, LogSpec};
use cortado_model::{LogId, PartitionUuid};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Work {
    Append {
        number: u32,
        lengths: Vec<usize>,
    },
    Trim {
        number: u32,
        back: u64,
    },
    Remove {
        number: u32,
    },
    Read {
        number: u32,
        back: u64,
        bytes_max: usize,
    },
    Reopen,
    /// The process dies, and with it nothing, since the system keeps what was written.
    Crash,
}

fn work() -> impl Strategy<Value = Work> {
    let number = 0..6_u32;
    prop_oneof![
        20 => (number.clone(), vec(0..400_usize, 1..5))
            .prop_map(|(number, lengths)| Work::Append { number, lengths }),
        4 => (number.clone(), 0..12_u64).prop_map(|(number, back)| Work::Trim { number, back }),
        1 => number.clone().prop_map(|number| Work::Remove { number }),
        12 => (number, 0..80_u64, 0..3_000_usize)
            .prop_map(|(number, back, bytes_max)| Work::Read { number, back, bytes_max }),
        1 => Just(Work::Reopen),
        1 => Just(Work::Crash),
    ]
}

/// A partition of a database of its own: removing it removes no other.
fn alone(number: u32) -> PartitionId {
    PartitionId { database: DatabaseId(number), number: 0 }
}

fn spec(number: u32) -> LogSpec {
    let database = DatabaseId(number);
    LogSpec { database, name: String::new(), uuid: PartitionUuid(0), partitions: 1 }
}

/// The real log beside its model.
struct Pair {
    disk: Disk,
    log: Option<EmbeddedLog>,
    model: MemoryLog,
    numbers: u64,
}

impl Pair {
    fn new() -> Pair {
        let (disk, mut model) = (Disk::default(), MemoryLog::new());
        for number in 0..6 {
            model.create_now(&spec(number)).unwrap();
        }
        Pair { log: Some(small_cache(&disk)), disk, model, numbers: 0 }
    }

    fn log(&self) -> &EmbeddedLog {
        self.log.as_ref().unwrap()
    }

    fn step(&mut self, work: Work) {
        match work {
            Work::Append { number, lengths } => {
                let records: Vec<Bytes> = lengths
                    .into_iter()
                    .map(|length| {
                        self.numbers += 1;
                        record(self.numbers, length)
                    })
                    .collect();
                let got = block_on(self.log().append(alone(number), records.clone()));
                let want = self.model.append_now(alone(number), records);
                let Receipt::Answered(Appended::From(want)) = want else {
                    panic!("no fault was injected")
                };
                assert_eq!(got.unwrap(), want);
            }
            Work::Trim { number, back } => {
                let below = self.back(number, back);
                block_on(self.log().trim(alone(number), below)).unwrap();
                let log: LogId = self.model.create_now(&spec(number)).unwrap();
                self.model.trim_now(alone(number), log, below).unwrap();
            }
            Work::Remove { number } => {
                block_on(self.log().remove(alone(number))).unwrap();
                self.model.remove_now(alone(number).database);
                self.model.create_now(&spec(number)).unwrap();
            }
            Work::Read { number, back, bytes_max } => self.read(number, back, bytes_max),
            Work::Reopen => {
                self.log = None;
                self.log = Some(small_cache(&self.disk));
                self.compare();
            }
            Work::Crash => {
                let disk = self.disk.after_cut(0);
                self.log = None;
                self.disk = disk;
                self.log = Some(small_cache(&self.disk));
                self.compare();
            }
        }
    }

    fn back(&self, number: u32, back: u64) -> LogOffset {
        LogOffset(self.model.end(alone(number)).0.saturating_sub(back))
    }

    fn read(&mut self, number: u32, back: u64, bytes_max: usize) {
        let from = self.back(number, back);
        let got = block_on(self.log().read(alone(number), from, bytes_max));
        let want = self.model.read_now(alone(number), at(from), bytes_max);
        let want = want.map(|page| page.entries);
        // Errors have no equality; their texts name the first offset.
        let text = |answer: Result<_, cortado_log::LogReadError>| answer.map_err(|e| e.to_string());
        assert_eq!(text(got), text(want));
    }

    fn compare(&mut self) {
        for number in 0..6 {
            let id = alone(number);
            assert_eq!(self.log().end(id), self.model.end(id));
            assert_eq!(self.log().first(id), self.model.first(id));
            let want = self.model.read_now(id, at(self.model.first(id)), usize::MAX).unwrap();
            assert_eq!(read_all(self.log(), id), want.entries);
        }
    }
}

/// A log that remembers 2,000 bytes, so that most reads go to the files.
fn small_cache(disk: &Disk) -> EmbeddedLog {
    let settings = Settings {
        segment_bytes: SEGMENT_BYTES,
        cache_bytes_max: 2_000,
        ..Settings::new("the test's disk")
    };
    EmbeddedLog::open_in(Arc::new(disk.clone()), &settings, LogUuid(7)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// 40 cases of 250 to 300 steps: more than 10,000 in all.
    #[test]
    fn ten_thousand_random_steps_agree_with_the_model(steps in vec(work(), 250..300)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
        }
        pair.compare();
    }
}
