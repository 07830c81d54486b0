//! Power cut at every boundary: what was acknowledged is there, in order, and nothing else is.

use super::*;
use crate::segment::segment_number;
use std::collections::BTreeMap;

/// One thing that the log is asked for, in the order of the queue.
#[derive(Clone, Debug)]
enum Step {
    Record(u32, Bytes),
    Trim(u32, u64),
    Remove(u32),
}

/// What readers see of each partition: its first offset and its records.
type Seen = BTreeMap<u32, (u64, Vec<Bytes>)>;

const PARTITIONS: u32 = 4;

/// Requests that are queued together; each is some steps.
fn workload(rounds: u64) -> Vec<Vec<Vec<Step>>> {
    let mut numbers = 0_u64..;
    let mut records = |partition: u32, lengths: &[usize]| -> Vec<Step> {
        let step =
            |length: &usize| Step::Record(partition, record(numbers.next().unwrap(), *length));
        lengths.iter().map(step).collect()
    };
    let mut asked = Vec::new();
    for round in 0..rounds {
        asked.push(vec![
            records(0, &[10, 700, 0]),
            records(1, &[(round as usize * 37) % 600]),
            records(0, &[90]),
        ]);
        asked.push(vec![records(2, &[500])]);
        if round % 4 == 3 {
            asked.push(vec![
                vec![Step::Trim(0, 4 * round)],
                records(1, &[33, 33]),
                vec![Step::Trim(2, round)],
            ]);
        }
        if round % 6 == 5 {
            asked.push(vec![vec![Step::Remove(1)], records(1, &[20])]);
            asked.push(vec![records(3, &[9_000]), vec![Step::Trim(3, 100)]]);
        }
    }
    asked
}

/// What readers may see after 0, 1, 2, … steps.
fn histories(rounds: &[Vec<Vec<Step>>]) -> Vec<Seen> {
    let mut seen: Seen = (0..PARTITIONS).map(|number| (number, (0, Vec::new()))).collect();
    let mut histories = vec![seen.clone()];
    for step in rounds.iter().flatten().flatten() {
        match step {
            Step::Record(partition, record) => {
                seen.get_mut(partition).unwrap().1.push(record.clone());
            }
            Step::Trim(partition, below) => {
                let (first, records) = seen.get_mut(partition).unwrap();
                let gone = below.min(&(*first + records.len() as u64)).saturating_sub(*first);
                records.drain(..gone as usize);
                *first += gone;
            }
            Step::Remove(partition) => {
                seen.insert(*partition, (0, Vec::new()));
            }
        }
        histories.push(seen.clone());
    }
    histories
}

/// Asks for everything, until something fails; answers how many steps were acknowledged.
fn run(log: &EmbeddedLog, rounds: &[Vec<Vec<Step>>]) -> usize {
    let mut acknowledged = 0;
    for round in rounds {
        let pending: Vec<Pending<bool>> = round.iter().map(|request| ask(log, request)).collect();
        for (request, done) in round.iter().zip(wait_all(pending)) {
            if !done {
                return acknowledged;
            }
            acknowledged += request.len();
        }
    }
    acknowledged
}

/// Hands one request over; the answer is whether it was acknowledged.
fn ask(log: &EmbeddedLog, request: &[Step]) -> Pending<bool> {
    match request {
        [Step::Trim(number, below)] => {
            let answer = log.trim(partition(*number), LogOffset(*below));
            Box::pin(async move { answer.await.is_ok() })
        }
        [Step::Remove(number)] => {
            let answer = log.remove(partition(*number));
            Box::pin(async move { answer.await.is_ok() })
        }
        steps => {
            let mut to = None;
            let mut records = Vec::new();
            for step in steps {
                let Step::Record(number, record) = step else { panic!("{step:?} stands alone") };
                to = Some(partition(*number));
                records.push(record.clone());
            }
            let answer = log.append(to.unwrap(), records);
            Box::pin(async move { answer.await.is_ok() })
        }
    }
}

fn see(log: &EmbeddedLog) -> Seen {
    let one = |number: u32| {
        let first = log.first(partition(number));
        let entries = read_all(log, partition(number));
        assert_eq!(log.end(partition(number)), first.plus(entries.len() as u64));
        (number, (first.0, entries.into_iter().map(|entry| entry.record).collect()))
    };
    (0..PARTITIONS).map(one).collect()
}

/// Opens what is left and finds one of `histories`, not older than the last acknowledged step.
#[track_caller]
fn check_found(disk: &Disk, histories: &[Seen], acknowledged: usize, what: &str) -> Seen {
    let log = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let seen = see(&log);
    assert!(
        histories[acknowledged..].contains(&seen),
        "{what}: {acknowledged} steps were acknowledged, found {seen:?}"
    );
    // The log goes on where it stands.
    let offset = block_on(log.append(partition(2), vec![record(0, 5)])).unwrap();
    assert_eq!(offset.0, seen[&2].0 + seen[&2].1.len() as u64, "{what}");
    seen
}

/// Cuts the power at every boundary of the workload on a copy of `base`.
fn check_every_boundary(base: &Disk) {
    let rounds = workload(24);
    let histories = histories(&rounds);
    let disk = base.copy();
    let first = segments(&disk).pop().map_or(0, |name| segment_number(&name).unwrap());
    let log = open(&disk).unwrap();
    assert_eq!(run(&log, &rounds), histories.len() - 1);
    drop(log);
    let boundaries = disk.steps();
    let left = segments(&disk);
    let last = segment_number(left.last().unwrap()).unwrap();
    assert!(last > left.len() as u64 && left.len() > 1, "the workload must roll and delete");
    let recycled = |name: &String| {
        let in_this_run =
            |name: &&String| segment_number(name).is_some_and(|number| number > first);
        disk.names_of(name).iter().filter(in_this_run).count() >= 3
    };
    assert!(disk.image().keys().any(recycled), "the workload must recycle a file twice");
    for boundary in 0..=boundaries {
        let disk = base.copy();
        disk.cut_at(boundary);
        let acknowledged = open(&disk).map_or(0, |log| run(&log, &rounds));
        for choice in 0..6 {
            // A different mixture at every boundary.
            let choice = if choice < 2 { choice } else { boundary * 10 + choice };
            let what = format!("cut at {boundary}, choice {choice}");
            check_found(&disk.after_cut(choice), &histories, acknowledged, &what);
        }
    }
}

#[test]
fn a_power_cut_at_any_boundary_loses_no_acknowledged_record() {
    check_every_boundary(&Disk::default());
}

#[test]
fn a_power_cut_at_any_boundary_of_a_recycled_log_loses_no_acknowledged_record() {
    check_every_boundary(&recycled_disk());
}

/// Cuts the power on a copy of `base`, and again while what is left is opened.
fn check_second_cut(base: &Disk) {
    let rounds = workload(14);
    let histories = histories(&rounds);
    for boundary in (0..400).step_by(7) {
        let disk = base.copy();
        disk.cut_at(boundary);
        let acknowledged = open(&disk).map_or(0, |log| run(&log, &rounds));
        let left = disk.after_cut(boundary + 2);
        for second in 0..8 {
            let again = left.copy();
            again.cut_at(second);
            let seen = open(&again).ok().map(|log| see(&log));
            let what = format!("cut at {boundary}, then at {second}");
            let found = check_found(&again.after_cut(second), &histories, acknowledged, &what);
            // Whatever the first recovery has shown must be there after the second.
            if let Some(seen) = seen {
                assert_eq!(found, seen, "{what}");
            }
        }
    }
}

#[test]
fn a_second_power_cut_during_recovery_loses_nothing_more() {
    check_second_cut(&Disk::default());
    check_second_cut(&recycled_disk());
}

#[test]
fn a_process_that_dies_between_write_and_sync_leaves_nothing_in_doubt() {
    let disk = Disk::default();
    let log = open(&disk).unwrap();
    fill(&log, 0, 3);
    // The write is the next boundary, or the one after the seal; the sync follows it.
    disk.cut_at(2);
    assert!(append(&log, 0, 3).is_err() || append(&log, 0, 4).is_err());
    drop(log);
    disk.restore_power();
    let log = open(&disk).unwrap();
    let shown = log.end(partition(0)).0;
    expect(&log, 0, 0, shown);
    // What the new process has shown is durable, although the old one never synced it.
    let after = disk.after_cut(0);
    expect(&open(&after).unwrap(), 0, 0, shown);
}

/// Leaves the active segment, however full it is, so that an append that follows is one group.
fn begin_segment(log: &EmbeddedLog, disk: &Disk) {
    fill(log, 9, 1);
    let left = wait_for_seal(disk);
    while wait_for_seal(disk) == left {
        fill(log, 9, 1);
    }
}

/// Two torn writes at the same place: what is found is all of the second one, or none of either.
#[test]
fn nothing_of_a_torn_write_comes_back() {
    let torn_twice = |disk: &Disk, choice: u64| {
        let log = open(disk).unwrap();
        begin_segment(&log, disk);
        fill(&log, 0, 3);
        wait_for_seal(disk);
        disk.cut_at(0);
        let records = (3..20).map(|offset| record(offset, 100)).collect();
        assert!(block_on(log.append(partition(0), records)).is_err());
        drop(log);
        let disk = disk.after_cut(choice);
        let log = open(&disk).unwrap();
        if log.end(partition(0)) != LogOffset(3) {
            return false;
        }
        // As long as the first, and alike but for the numbers.
        let records: Vec<Bytes> = (43..60).map(|number| record(number, 100)).collect();
        disk.cut_at(0);
        assert!(block_on(log.append(partition(0), records.clone())).is_err());
        drop(log);
        let disk = disk.after_cut(choice + 100);
        let log = open(&disk).unwrap();
        let found = read_all(&log, partition(0));
        assert!(found.len() == 3 || found.len() == 20, "{choice}: {} records", found.len());
        let found = found.into_iter().skip(3).map(|entry| entry.record);
        assert!(found.zip(records).all(|(found, wrote)| found == wrote), "{choice}");
        true
    };
    for base in [Disk::default(), recycled_disk()] {
        let torn = (2..40).filter(|choice| torn_twice(&base.copy(), *choice)).count();
        assert!(torn > 10, "{torn} writes were torn");
    }
}

/// A process dies before the name of the segment it has prepared is durable; the next one uses it.
#[test]
fn a_segment_that_is_used_has_a_durable_name() {
    // Large enough for the second segment to be used before the third is prepared.
    let segment_bytes = 2 * SEGMENT_BYTES;
    for boundary in 50..90 {
        let disk = Disk::default();
        disk.cut_at(boundary);
        if let Ok(log) = open_with(&disk, segment_bytes) {
            while append(&log, 0, log.end(partition(0)).0).is_ok() {}
        }
        disk.restore_power();
        let log = open_with(&disk, segment_bytes).unwrap();
        while segment_in_use(&disk) < 2 {
            fill(&log, 0, 1);
        }
        let end = log.end(partition(0)).0;
        expect(&open(&disk.after_cut(0)).unwrap(), 0, 0, end);
    }
}

fn segment_in_use(disk: &Disk) -> u64 {
    scan_directory(disk, Access::Read).unwrap().active().map_or(0, |active| active.segment.number)
}
