//! What the operating system tells about this process, under the names that Prometheus' own
//! libraries use, so that common dashboards find them.
//!
//! Where the system cannot tell, the family is left out. Start reading at [`ProcessFacts`].

use crate::samples::{Samples, Source};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::time::Duration;

/// CPU, memory, descriptors and threads of this process: the families `process_*`.
#[derive(Clone, Copy, Debug)]
pub struct ProcessFacts;

impl Source for ProcessFacts {
    fn collect(&self, samples: &mut Samples<'_>) {
        let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(stat) = Stat::parse(&text) {
            let help = "User and system CPU time spent";
            samples.counter("process_cpu_seconds_total", help, ticks(stat.cpu_ticks));
            let resident_bytes = stat.resident_pages * page_size() as u64;
            samples.gauge("process_resident_memory_bytes", "Resident memory", resident_bytes);
            let virtual_bytes = stat.virtual_bytes;
            samples.gauge("process_virtual_memory_bytes", "Virtual memory", virtual_bytes);
            samples.gauge("process_threads", "Threads of the operating system", stat.threads);
            if let Some(booted) = boot_time() {
                let help = "Start of the process, since 1970-01-01 UTC";
                let started = booted + ticks(stat.start_ticks);
                samples.gauge("process_start_time_seconds", help, started);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them reads this folder.
            let open_fds = open.count().saturating_sub(1);
            samples.gauge("process_open_fds", "Open file descriptors", open_fds);
        }
        if let Some(max_fds) = getrlimit(Resource::Nofile).current {
            samples.gauge("process_max_fds", "File descriptors that may be open", max_fds);
        }
    }
}

/// A process in the words of `/proc/PID/stat`; source: proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    /// Since the system was started.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The second field, the program's name, stands in parentheses and may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The manual counts from 1, and what is left begins with the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the system was started, since 1970.
fn boot_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Duration::from_secs(line.trim().parse().ok()?))
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;
    use std::fs::File;

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_no_field() {
        let text = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 12 0 900 4096 3 1 1";
        let want = Stat {
            cpu_ticks: 200,
            threads: 12,
            start_ticks: 900,
            virtual_bytes: 4_096,
            resident_pages: 3,
        };
        assert_eq!(Stat::parse(text), Some(want));
        assert_eq!(Stat::parse("7 (cut off) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[track_caller]
    fn value(name: &str) -> f64 {
        let registry = Registry::default();
        registry.collect(ProcessFacts);
        let text = registry.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in\n{text}")).parse().unwrap()
    }

    #[test]
    fn this_process_is_measured() {
        assert!(value("process_resident_memory_bytes") > 4096.0);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_threads") >= 1.0);
        // Each look spends some.
        while value("process_cpu_seconds_total") == 0.0 {}
        let open: Vec<File> = (0..64).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        assert!(value("process_open_fds") >= open.len() as f64);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        // The system notes its start to the second.
        assert!((1.6e9..now + 1.0).contains(&value("process_start_time_seconds")));
    }
}
