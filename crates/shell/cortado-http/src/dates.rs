//! The two dates of an answer: when it was given, and when what it shows was changed.
//!
//! Alone reads the wall clock, for others too. Start reading at [`date`].

use crate::answer::short_header;
use cortado_model::WallMillis;
use cortado_wire::ShortText;
use http::HeaderValue;
use std::time::{SystemTime, UNIX_EPOCH};

/// `Date`, now. Not left to hyper, whose own stands still until a clock that ran ahead and was set
/// right has caught up.
pub(crate) fn date() -> HeaderValue {
    short_header(ShortText::of_http_date(wall()))
}

/// `Last-Modified` of what was written at `time`, in log time.
///
/// That may be ahead of the wall clock; RFC 9110, section 8.8.2.1, allows no date in the future.
pub(crate) fn last_modified(time: WallMillis) -> HeaderValue {
    short_header(ShortText::of_http_date(time.min(wall())))
}

/// What the wall clock shows. Before 1970 it is 1970.
pub(crate) fn wall() -> WallMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_was_changed_in_the_future() {
        let tomorrow = WallMillis(wall().0 + 86_400_000);
        let shown = last_modified(tomorrow);
        let shown = httpdate::parse_http_date(shown.to_str().unwrap()).unwrap();
        assert!(shown <= SystemTime::now(), "{shown:?}");
        let long_ago = last_modified(WallMillis(784_111_777_000));
        assert_eq!(long_ago, "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
