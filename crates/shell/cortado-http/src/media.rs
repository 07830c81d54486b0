//! Media types: which one a client sends, and which ones it accepts.
//!
//! Start reading at [`accepted`].

/// How much a client likes `media_type`, in thousandths; 0 is not at all.
///
/// * `accept`: the value of `Accept`, several lines joined by commas.
///
/// The most specific range that covers the type decides (RFC 9110, section 12.5.1).
pub(crate) fn accepted(accept: &[u8], media_type: &str) -> u16 {
    let Ok(accept) = std::str::from_utf8(accept) else { return 0 };
    let ranges = accept.split(',').filter_map(|range| range_of(range, media_type));
    ranges.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality)
}

/// How specifically one range covers `media_type`, and how much it is liked.
fn range_of(range: &str, media_type: &str) -> Option<(u8, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?;
    let (kind, _) = media_type.split_once('/')?;
    let specificity = match name.split_once('/')? {
        ("*", "*") => 0,
        (wanted, "*") if wanted.eq_ignore_ascii_case(kind) => 1,
        (_, _) if name.eq_ignore_ascii_case(media_type) => 2,
        (_, _) => return None,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    Some((specificity, quality.map_or(1_000, thousandths)))
}

/// `0.5` as 500; an invalid quality counts as absent.
fn thousandths(text: &str) -> u16 {
    match text.split_once('.').unwrap_or((text, "")) {
        ("0", digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{digits:0<3}").parse().unwrap_or(0)
        }
        _ => 1_000,
    }
}

/// Which of `known` a `Content-Type` names; `None` for another type, or another charset than UTF-8.
pub(crate) fn content_type<'k>(value: &[u8], known: &[(&'k str, &str)]) -> Option<&'k str> {
    let value = std::str::from_utf8(value).ok()?;
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next()?;
    let (media_type, _) = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let charset = value.trim().trim_matches('"');
        let utf8 = ["utf-8", "utf8"].iter().any(|known| charset.eq_ignore_ascii_case(known));
        // White space around the = is no good syntax, but what is meant is clear.
        if name.trim().eq_ignore_ascii_case("charset") && !utf8 {
            return None;
        }
    }
    Some(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, want: u16) {
        assert_eq!(accepted(accept.as_bytes(), "application/json"), want, "{accept}");
    }

    #[test]
    fn the_most_specific_range_decides() {
        check("*/*", 1_000);
        check("application/json", 1_000);
        check("Application/JSON; charset=utf-8", 1_000);
        check("application/*;q=0.5", 500);
        check("text/html, application/xhtml+xml, */*;q=0.8", 800);
        check("*/*, application/json;q=0", 0);
        check("application/json;q=0.25;x=y, */*;q=1.0", 250);
        check("image/png", 0);
        check("application/jsonp", 0);
        check("text/*", 0);
        check("", 0);
        check("json", 0);
    }

    #[test]
    fn a_content_type_is_known_or_not() {
        let known = [("application/json", ""), ("application/merge-patch+json", "")];
        let of = |value: &str| content_type(value.as_bytes(), &known);
        assert_eq!(of("application/json"), Some("application/json"));
        assert_eq!(of("APPLICATION/json;charset=UTF-8"), Some("application/json"));
        assert_eq!(of("application/json; charset=\"utf-8\""), Some("application/json"));
        assert_eq!(of("application/merge-patch+json"), Some("application/merge-patch+json"));
        for value in ["", "text/plain", "application/json; charset=latin1", "application/json, x/y"]
        {
            assert_eq!(of(value), None, "{value}");
        }
        assert_eq!(of("application/json; charset = latin1"), None);
        assert_eq!(of("application/json; charset = UTF-8"), Some("application/json"));
    }
}
