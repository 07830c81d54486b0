//! A page as the log tells it, in the words of the fold.
//!
//! Start reading at [`page_from`].

use cortado_log::LogPage;
use cortado_model::LogOffset;
use cortado_replica::RecordPage;

/// What the log answered when it was read from `from` on.
pub fn page_from(from: LogOffset, page: LogPage) -> RecordPage {
    let entries = page.entries.into_iter().map(|entry| (entry.offset, entry.record)).collect();
    RecordPage { from, entries, next: page.next }
}
