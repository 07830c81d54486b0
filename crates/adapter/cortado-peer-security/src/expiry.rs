//! Until when certificates are valid.
//!
//! Reads one field of a certificate that was verified before, so that a connection need not
//! outlive what it was proven with. Start reading at [`CertificateExpiry::of_chain`].
//! Source: RFC 5280, sections 4.1 and 4.1.2.5.

use rustls::pki_types::CertificateDer;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// Between two looks at the wall clock, which may be set meanwhile.
const LOOK: Duration = Duration::from_secs(30);

/// The moment from which on some certificate is not valid any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateExpiry(SystemTime);

impl CertificateExpiry {
    /// The earliest end of a chain; `None` if no certificate in it says one.
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Option<CertificateExpiry> {
        chain.iter().filter_map(|one| not_after(one)).min().map(CertificateExpiry)
    }

    /// Seconds from now until then; negative if it has passed.
    pub fn seconds_left(self) -> i64 {
        let whole = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        match self.0.duration_since(SystemTime::now()) {
            Ok(left) => whole(left),
            Err(past) => -whole(past.duration()),
        }
    }

    /// Seconds from 1970 until then.
    pub fn unix_seconds(self) -> u64 {
        self.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// Waits until then, by the wall clock.
    pub async fn passes(self) {
        while let Ok(left) = self.0.duration_since(SystemTime::now()) {
            sleep(left.min(LOOK) + Duration::from_millis(1)).await;
        }
    }
}

/// A tag of DER, and what it holds.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (whole, _) = element(certificate)?;
    let (signed, _) = element(inside(&whole, SEQUENCE)?)?;
    let mut fields = inside(&signed, SEQUENCE)?;
    let (first, behind) = element(fields)?;
    if first.tag == EXPLICIT_VERSION {
        fields = behind;
    }
    let (serial, fields) = element(fields)?;
    inside(&serial, INTEGER)?;
    let (_algorithm, fields) = element(fields)?;
    let (_issuer, fields) = element(fields)?;
    let (validity, _) = element(fields)?;
    let (_not_before, behind) = element(inside(&validity, SEQUENCE)?)?;
    let (not_after, _) = element(behind)?;
    let text = std::str::from_utf8(not_after.content).ok()?;
    let seconds = match not_after.tag {
        // Source: RFC 5280, section 4.1.2.5.1: a year below 50 is one of this century.
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            seconds_of(if year < 50 { 2000 + year } else { 1900 + year }, rest)?
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            seconds_of(year.parse().ok()?, rest)?
        }
        _ => return None,
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn inside<'a>(element: &Element<'a>, tag: u8) -> Option<&'a [u8]> {
    (element.tag == tag).then_some(element.content)
}

/// The first element of `bytes`, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let digits = usize::from(first & 0x7f);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(digits)?;
        let length = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, rest))
}

/// Seconds since 1970 of `MMDDHHMMSSZ` in a year.
fn seconds_of(year: u64, rest: &str) -> Option<u64> {
    let digits = rest.strip_suffix('Z')?;
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits[2 * at..2 * at + 2].parse::<u64>().ok();
    let (month, day) = (part(0)?, part(1)?);
    let (hour, minute, second) = (part(2)?, part(3)?, part(4)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    // Days of the civil calendar, counted from March on.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn moments_of_the_calendar_are_seconds() {
        let check = |year, rest, want| assert_eq!(seconds_of(year, rest), want, "{year} {rest}");
        check(1970, "0101000000Z", Some(0));
        check(2000, "0229120000Z", Some(951_825_600));
        check(2026, "1201063500Z", Some(1_796_106_900));
        check(9999, "1231235959Z", Some(253_402_300_799));
        for rest in ["0101000000", "1301000000Z", "0100000000Z", "01010000Z", "0101-00000Z"] {
            check(2026, rest, None);
        }
    }

    #[test]
    fn the_earliest_end_of_a_chain_counts() {
        let ending = |year| {
            let mut params = CertificateParams::new(vec!["a".to_owned()]).expect("a name");
            params.not_after = date_time_ymd(year, 3, 4);
            let key = KeyPair::generate().expect("a key");
            params.self_signed(&key).expect("signed").der().clone()
        };
        let expiry = |chain: &[CertificateDer<'_>]| {
            CertificateExpiry::of_chain(chain).map(CertificateExpiry::unix_seconds)
        };
        let (early, late) = (ending(2031), ending(2077));
        assert_eq!(expiry(std::slice::from_ref(&late)), Some(3_382_041_600), "a generalized time");
        assert_eq!(expiry(&[late, early]), Some(1_930_348_800), "a UTC time");
        assert_eq!(expiry(&[]), None);
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        let mut params = CertificateParams::new(vec!["a".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(2031, 3, 4);
        let key = KeyPair::generate().expect("a key");
        let whole = params.self_signed(&key).expect("signed").der().to_vec();
        for length in 0..whole.len().min(120) {
            assert_eq!(not_after(&whole[..length]), None, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn what_has_passed_is_not_waited_for() {
        let past = CertificateExpiry(UNIX_EPOCH);
        past.passes().await;
        assert!(past.seconds_left() < 0);
        let coming = CertificateExpiry(SystemTime::now() + Duration::from_secs(3_600));
        assert!((3_500..=3_600).contains(&coming.seconds_left()));
    }
}
