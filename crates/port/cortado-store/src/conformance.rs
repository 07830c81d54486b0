//! The suite that every store passes. For tests only: it panics where a promise is broken.
//!
//! Start reading at [`Subject`]; [`conformance!`](crate::conformance!) makes one test of each case.

mod batches;
mod beside;
mod calls;
mod crashes;
mod finds;
mod histories;
mod samples;
mod scans;
mod snapshots;
mod tables;

pub use batches::*;
pub use beside::*;
pub use calls::*;
pub use crashes::*;
pub use finds::*;
pub use histories::*;
pub use scans::*;
pub use snapshots::*;
pub use tables::*;

use crate::Store;

/// A store under test, and the ways to lose it.
pub trait Subject {
    /// The open store, empty at first.
    fn store(&self) -> &dyn Store;

    /// Closes the store and opens it again. Nothing is lost.
    fn reopen(&mut self);

    /// Opens what a crash at this moment might leave; the store itself goes on.
    ///
    /// `None` if this implementation cannot tell.
    fn after_crash(&self) -> Option<Box<dyn Store>>;
}

/// Makes one test of each case of the suite: `conformance!(MySubject::new())`.
#[macro_export]
macro_rules! conformance {
    ($new:expr) => {
        $crate::conformance! { $new;
            an_unknown_partition_is_empty,
            a_batch_shows_whole,
            within_a_batch_the_later_change_wins,
            later_batches_overwrite,
            views_do_not_change,
            partitions_do_not_see_each_other,
            tables_do_not_see_each_other,
            big_documents_come_back_whole,
            traits_hold,
            batches_of_many_partitions_show_with_their_call,
            a_call_without_batches_changes_nothing,
            a_refused_call_shows_none_of_its_batches,
            a_partition_comes_once_in_a_call,
            a_find_answers_in_the_order_asked,
            a_find_with_a_name_tells_what_is_remembered,
            a_find_is_of_one_state,
            a_scan_walks_a_prefix_both_ways,
            pages_join_without_gap_or_overlap,
            a_scan_is_lazy_and_repeatable,
            a_range_keeps_both_of_its_bounds,
            entries_of_any_space_are_kept,
            a_range_of_entries_keeps_both_of_its_bounds,
            a_later_change_of_an_entry_wins,
            answers_are_remembered,
            an_answer_belongs_to_a_resource_and_an_operation,
            an_answer_has_a_time_to_live_of_its_own,
            the_bytes_of_answers_are_counted,
            forgetting_is_bounded_and_oldest_first,
            a_key_that_came_again_outlives_its_first_time,
            bookmarks_are_found_from_above,
            bookmarks_are_trimmed,
            a_removed_partition_is_empty,
            an_installed_snapshot_is_the_partition,
            a_broken_install_leaves_no_checkpoint,
            a_snapshot_out_of_order_is_refused,
            an_installation_goes_on_where_it_broke_off,
            an_installation_of_another_snapshot_begins_anew,
            a_reopened_store_has_everything,
            a_crash_leaves_a_prefix_of_each_partition,
            a_random_history_matches_a_model,
        }
    };
    ($new:expr; $($case:ident,)+) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$case(&mut $new);
            }
        )+
    };
}
