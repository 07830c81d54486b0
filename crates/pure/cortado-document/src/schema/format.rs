//! The formats that are asserted. All others are annotations. Source: docs/api.md, "Schemas".

use email_address::{EmailAddress, Options};
use fluent_uri::Uri;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A format that strings are checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Date,
    DateTime,
    Time,
    Email,
    Uri,
    Uuid,
    Ipv4,
    Ipv6,
}

impl Format {
    /// Reads the name; `None` for a format that is an annotation.
    pub(crate) fn named(name: &str) -> Option<Format> {
        Some(match name {
            "date" => Format::Date,
            "date-time" => Format::DateTime,
            "time" => Format::Time,
            "email" => Format::Email,
            "uri" => Format::Uri,
            "uuid" => Format::Uuid,
            "ipv4" => Format::Ipv4,
            "ipv6" => Format::Ipv6,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Date => "date",
            Format::DateTime => "date-time",
            Format::Time => "time",
            Format::Email => "email",
            Format::Uri => "uri",
            Format::Uuid => "uuid",
            Format::Ipv4 => "ipv4",
            Format::Ipv6 => "ipv6",
        }
    }

    /// Whether `text` is in this format. Takes time linear in the text.
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Format::Date => is_date(text),
            Format::DateTime => is_date_time(text),
            Format::Time => is_time(text),
            Format::Email => is_email(text),
            Format::Uri => Uri::parse(text).is_ok(),
            Format::Uuid => is_uuid(text),
            Format::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Format::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        }
    }
}

/// RFC 5321, `Mailbox`: an address alone, without the name of whose it is.
fn is_email(text: &str) -> bool {
    let options = Options::default().without_display_text();
    EmailAddress::parse_with_options(text, options).is_ok_and(|address| {
        let domain = address.domain();
        let literal = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        literal.is_none_or(|literal| match literal.strip_prefix("IPv6:") {
            // No other kind has been registered.
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        })
    })
}

/// RFC 3339, `full-date`.
fn is_date(text: &str) -> bool {
    let [year, month, day] = match text.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => [number(year, 4), number(month, 2), number(day, 2)],
        _ => return false,
    };
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// RFC 3339, `date-time`.
fn is_date_time(text: &str) -> bool {
    text.split_once(['T', 't']).is_some_and(|(date, time)| is_date(date) && is_time(time))
}

/// RFC 3339, `full-time`. A leap second is the last one of a day in UTC.
fn is_time(text: &str) -> bool {
    let parts = (text.get(..8), text.get(8..));
    let (Some(clock), Some(rest)) = parts else { return false };
    let [hour, minute, second] = match clock.split(':').collect::<Vec<_>>()[..] {
        [hour, minute, second] => [number(hour, 2), number(minute, 2), number(second, 2)],
        _ => return false,
    };
    let (Some(hour), Some(minute), Some(second)) = (hour, minute, second) else { return false };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    let Some(offset) = offset_minutes(offset) else { return false };
    let in_utc = (i64::from(hour * 60 + minute) - offset).rem_euclid(24 * 60);
    let is_last_minute = in_utc == 24 * 60 - 1;
    hour <= 23 && minute <= 59 && (second <= 59 || (second == 60 && is_last_minute))
}

/// Minutes east of UTC.
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * i64::from(hours * 60 + minutes))
}

/// RFC 9562, 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    lengths.eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Exactly `digits` decimal digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, fits: &[&str], fails: &[&str]) {
        let format = Format::named(format).expect("it is asserted");
        for text in fits {
            assert!(format.fits(text), "{text} is no {format:?}");
        }
        for text in fails {
            assert!(!format.fits(text), "{text} is a {format:?}");
        }
    }

    #[test]
    fn dates_and_times_follow_their_standard() {
        check(
            "date",
            &["2026-02-28", "2024-02-29", "2000-02-29"],
            &[
                "2026-02-29",
                "1900-02-29",
                "2026-13-01",
                "2026-00-10",
                "26-01-01",
                "2026-1-01",
                "2026-04-31",
                "2026-04-30T",
                "2026-04-30-",
                "۲۰۲۶-04-30",
            ],
        );
        check(
            "time",
            &["23:59:59Z", "00:00:00.123456789+05:30", "23:59:60z", "01:29:60+01:30"],
            &[
                "24:00:00Z",
                "12:00:00",
                "12:00Z",
                "22:59:60Z",
                "12:00:00.Z",
                "12:00:00+24:00",
                "12:00:00+0100",
                "1:00:00Z",
                "12:00:00 Z",
                "é2:00:00Z",
            ],
        );
        check(
            "date-time",
            &["2026-11-30T10:00:00Z", "1985-04-12t23:20:50.52z", "1998-12-31T23:59:60Z"],
            &["2026-11-30 10:00:00Z", "2026-11-30T10:00:00", "2026-11-31T10:00:00Z", "T", ""],
        );
    }

    #[test]
    fn addresses_and_names_follow_their_standards() {
        check(
            "email",
            &[
                "joe.bloggs@example.com",
                "te~st@example.com",
                "a+b@example.co.uk",
                "\"joe bloggs\"@example.com",
                "a@[127.0.0.1]",
                "a@[IPv6:::1]",
            ],
            &[
                "2962",
                "Ann <ann@example.com>",
                "<ann@example.com>",
                "a@[127.0.0.256]",
                "a@[IPv6:12345::]",
                "a@[::1]",
                "a@[x]",
                "@example.com",
                "a@",
                ".a@example.com",
                "a..b@example.com",
                "a b@example.com",
            ],
        );
        check(
            "uri",
            &["http://foo.bar/?baz=qux#quux", "urn:oasis:names", "mailto:a@b.c", "tel:+1-816"],
            &[
                "//foo.bar/",
                "/abc",
                "\\\\WINDOWS",
                "abc",
                "http:// shouldfail.com",
                "http://a/\u{e9}",
            ],
        );
        check(
            "uuid",
            &["2EB8AA08-AA98-11EA-B4AA-73B441D16380", "98d80576-482e-427f-8434-7f86890ab222"],
            &[
                "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
                "2eb8aa08aa9811eab4aa73b441d16380",
                "2eb8aa08-aa98-11ea-b4ga-73b441d16380",
            ],
        );
        check("ipv4", &["192.168.0.1", "0.0.0.0"], &["256.1.1.1", "1.1.1", "01.1.1.1", "1.1.1.1 "]);
        check(
            "ipv6",
            &["::1", "::ffff:1.2.3.4"],
            &["1::2::3", "fe80::1%eth0", "12345::", "::1/64"],
        );
    }

    #[test]
    fn other_formats_are_annotations() {
        for name in ["hostname", "idn-email", "regex", "int32", "uri-reference", "duration", ""] {
            assert_eq!(Format::named(name), None);
        }
    }
}
