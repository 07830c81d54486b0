//! How many files a server may hold open, and how they are shared out: the log and the stores
//! first.
//!
//! A log or a store that finds none left fails; a client takes the place of an idle one, or is told
//! to come back: so clients get what the others leave. Start reading at [`Descriptors::share_out`].
//! Source: docs/operations/disk.md, "File descriptors".

use crate::failure::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Who may have how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// All of them.
    pub(crate) limit: u64,
    /// Tables that each store holds open.
    pub(crate) store_tables_max: usize,
    /// Connections of clients at a time.
    pub(crate) connections_max: usize,
}

/// The runtime, the listener, the standard streams, snapshots on their way, and who looks into
/// folders.
const PROCESS: u64 = 48;
/// Of one store, beside its tables: its log, its lock, its folders, and tables that are being
/// written.
const STORE: u64 = 12;
/// A store that reopens its tables all the time is slow, but works.
const STORE_TABLES_MIN: u64 = 16;
/// More would not be read often enough to be of use.
const STORE_TABLES_MAX: u64 = 512;
/// With fewer a server is of no use.
const CONNECTIONS_MIN: u64 = 16;
/// Enough for any machine; what has no limit gets this one.
const LIMIT_MAX: u64 = 1 << 20;

impl Descriptors {
    /// Shares out `limit` descriptors.
    ///
    /// * `nodes`: each has a store.
    /// * `log_files`: as many as the log will need.
    /// * `connections_max`: no more than these, however many there are.
    ///
    /// # Errors
    /// They are too few for the log and the stores.
    pub(crate) fn share_out(
        limit: u64,
        nodes: u32,
        log_files: u64,
        connections_max: usize,
    ) -> Result<Descriptors, Failure> {
        let stores = u64::from(nodes);
        let reserve = PROCESS + log_files + stores * (STORE + STORE_TABLES_MIN);
        let needed = reserve + CONNECTIONS_MIN;
        let Some(spare) = limit.checked_sub(needed) else {
            let who = match nodes {
                1 => "one node and its log".to_owned(),
                nodes => format!("{nodes} nodes and their log"),
            };
            return Err(Failure::new(format!(
                "this process may open {limit} files, but {who} need {needed}"
            ))
            .next(format!("raise the limit: `ulimit -n {}`", needed.next_multiple_of(1_024)))
            .next("in a systemd unit: LimitNOFILE=65536"));
        };
        // Half of what is left, so that clients always have the other half.
        let tables = (STORE_TABLES_MIN + spare / 2 / stores).min(STORE_TABLES_MAX);
        let left = limit - (reserve + stores * (tables - STORE_TABLES_MIN));
        Ok(Descriptors {
            limit,
            store_tables_max: tables as usize,
            connections_max: (left as usize).min(connections_max),
        })
    }
}

/// Raises the limit of this process as far as it may; answers what it is.
pub(crate) fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(LIMIT_MAX);
    let was = current.unwrap_or(LIMIT_MAX);
    if was >= wanted {
        return was.min(LIMIT_MAX);
    }
    // Some systems have a lower limit than they tell.
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted.min(LIMIT_MAX),
        Err(_) => was,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: u64, nodes: u32, want: Option<(usize, usize)>) {
        let shared = Descriptors::share_out(limit, nodes, 48, 4_096).ok();
        let got = shared.map(|shared| (shared.store_tables_max, shared.connections_max));
        assert_eq!(got, want, "{limit} for {nodes}");
        if let Some((tables, connections)) = got {
            let stores = u64::from(nodes) * (STORE + tables as u64);
            assert!(PROCESS + 48 + stores + connections as u64 <= limit);
        }
    }

    #[test]
    fn the_log_and_the_stores_come_first() {
        check(195, 3, None);
        check(196, 3, Some((16, 16)));
        check(256, 3, Some((26, 46)));
        check(1_024, 3, Some((154, 430)));
        check(1_024, 9, Some((52, 352)));
        check(1 << 20, 3, Some((512, 4_096)));
        check(140, 1, Some((16, 16)));
    }

    #[test]
    fn too_few_are_refused_with_what_to_do() {
        let refused = Descriptors::share_out(64, 3, 48, 4_096).expect_err("too few");
        let text = format!("{refused:?}");
        assert!(text.contains("may open 64 files") && text.contains("ulimit -n 1024"), "{text}");
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let raised = raise_limit();
        let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(LIMIT_MAX);
        assert_eq!(raised, allowed.min(LIMIT_MAX));
    }
}
