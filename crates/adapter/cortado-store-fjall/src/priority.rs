//! What waits when the processors are busy: flushing and compacting, not requests.
//!
//! Start reading at [`give_way`].

/// Lets the calling thread, and the threads that it starts, give way to others.
///
/// A flush or a compaction is long, and no request waits for it. Three stores, replicas of the same
/// partitions, do it at the same time, and on two cores requests would wait for their turns.
pub(crate) fn give_way() {
    // Elsewhere, it would be the whole process.
    #[cfg(target_os = "linux")]
    // Where that is forbidden, all threads are alike.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// A ninth of the weight of others: they get most of the processors when they want them. With less,
/// a store under full load would not keep up with what it has to flush.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::NICENESS;
    use crate::{FjallStore, Settings};
    use std::fs;

    /// The name and the niceness of a thread of this process, unless it has just ended.
    fn thread(directory: &std::path::Path) -> Option<(String, i32)> {
        let stat = fs::read_to_string(directory.join("stat")).ok()?;
        // `number (name) state …`, where a name may hold anything.
        let (head, rest) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        Some((name.to_owned(), rest.split_whitespace().nth(16)?.parse().ok()?))
    }

    #[test]
    fn the_engines_threads_give_way() {
        let directory = tempfile::tempdir().unwrap();
        let _store = FjallStore::open(&Settings::new(directory.path())).unwrap();
        let threads = fs::read_dir("/proc/self/task").unwrap();
        let all: Vec<_> = threads.filter_map(|found| thread(&found.unwrap().path())).collect();
        let of_engine: Vec<_> = all.iter().filter(|(name, _)| name.starts_with("fjall")).collect();
        assert!(!of_engine.is_empty(), "{all:?}");
        assert!(of_engine.iter().all(|(_, niceness)| *niceness == NICENESS), "{all:?}");
        let own = thread(std::path::Path::new("/proc/thread-self")).unwrap();
        assert_eq!(own.1, 0, "the thread that opens a store goes on as before");
    }
}
