//! What every implementation of the port must do, as one suite that its tests run.
//!
//! The suite knows only the port: it waits for answers, never for time. Start reading at [`run`];
//! [`run_beats`] is the suite of the streams beside the logs.

mod beats;
mod case;
mod following;
mod giving_up;
mod lifecycle;
mod mischief;
mod naming;
mod order;
mod trimming;

pub use beats::{BeatMischief, FreshBeats, run_beats};
pub use case::{Mischief, Provoke, block_on};

use crate::Log;
use case::{Case, spec};
use naming::Naming;
use std::sync::Arc;

/// The implementation under test.
pub struct Subject<'a> {
    /// Makes a log that holds nothing. Called once for every rule.
    pub fresh: &'a mut dyn FnMut() -> Fresh,
    /// Closes a log and opens what it left behind, as a new process would; `None` if nothing
    /// survives. It gets the only handle that the suite holds.
    pub reopen: Option<Reopen<'a>>,
}

/// A log that holds nothing.
pub struct Fresh {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Lets something go wrong with it.
    pub provoke: Provoke,
}

/// Closes a log and opens it again.
pub type Reopen<'a> = &'a mut dyn FnMut(Arc<dyn Log>) -> Arc<dyn Log>;

/// Runs every rule on a log of its own.
///
/// # Panics
/// When a rule is broken; standard error names it.
pub fn run(mut subject: Subject<'_>) {
    for (name, rule) in RULES {
        let _naming = Naming(name);
        let Fresh { log, provoke } = (subject.fresh)();
        let case = Case { name, log: log.as_ref(), provoke: &provoke };
        case.create();
        rule(&case);
    }
    if let Some(reopen) = &mut subject.reopen {
        for (name, prepare, inspect) in SURVIVALS {
            let _naming = Naming(name);
            let Fresh { log, provoke } = (subject.fresh)();
            let case = Case { name, log: log.as_ref(), provoke: &provoke };
            case.create();
            prepare(&case);
            let log = reopen(log);
            // What every process does before it uses a log.
            let verified = block_on(log.verify(&spec()));
            assert!(verified.is_ok(), "{name}: {verified:?}");
            inspect(&Case { name, log: log.as_ref(), provoke: &provoke });
        }
    }
}

type Rule = fn(&Case<'_>);

/// What an open log does.
const RULES: &[(&str, Rule)] = &[
    ("a log exists from its creation on", lifecycle::a_log_exists_from_its_creation_on),
    ("creating twice is creating once", lifecycle::creating_twice_is_creating_once),
    ("another number of partitions is refused", lifecycle::other_partitions_are_refused),
    ("a removed log is gone, and no other", lifecycle::a_removed_log_is_gone),
    ("outcomes name the place", order::outcomes_name_the_place),
    ("every record has one outcome", order::every_record_has_one_outcome),
    ("log order is the order of sending", order::log_order_is_the_order_of_sending),
    ("a dropped producer drops no record", order::a_dropped_producer_drops_no_record),
    ("partitions do not mix", order::partitions_do_not_mix),
    ("threads append at the same time", order::threads_append_at_the_same_time),
    ("a read stops at its limit", order::a_read_stops_at_its_limit),
    ("a read at the end is empty", order::a_read_at_the_end_is_empty),
    ("an empty record is a record", order::an_empty_record_is_a_record),
    ("the largest record fits", order::the_largest_record_fits),
    ("a too large record is refused", order::a_too_large_record_is_refused),
    ("an extent is fresh", following::an_extent_is_fresh),
    ("a follower sees every record", following::a_follower_sees_every_record),
    ("a follower begins where it is told", following::a_follower_begins_where_it_is_told),
    ("a known end is durable", following::a_known_end_is_durable),
    ("a follower at the end is woken", following::a_follower_at_the_end_is_woken),
    ("giving up answers everything", giving_up::giving_up_answers_everything),
    ("late copies land behind", giving_up::late_copies_land_behind),
    ("trimmed records are gone by name", trimming::trimmed_records_are_named),
    ("trimming keeps what it must", trimming::trimming_keeps_what_it_must),
    ("trimming everything keeps the end", trimming::trimming_everything_keeps_the_end),
    ("another log is not trimmed", trimming::another_log_is_not_trimmed),
    ("success may have no position", mischief::success_may_have_no_position),
    ("a gap is passed over", mischief::a_gap_is_passed_over),
    ("a hole is no gap", mischief::a_hole_is_no_gap),
    ("a truncated log says so", mischief::a_truncated_log_says_so),
    ("a replaced log says so", mischief::a_replaced_log_says_so),
];

/// What survives closing and opening: prepared on one log, inspected on the next.
const SURVIVALS: &[(&str, Rule, Rule)] = &[
    ("records survive", order::fill_partitions, order::find_partitions),
    ("an end survives the trim of everything", trimming::trim_everything, trimming::find_end),
    ("a removal survives", lifecycle::remove_one, lifecycle::find_removed),
];
