//! Etags, positions and moments as text, without allocating.
//!
//! Answers carry several of these each. Start reading at [`ShortText`].

use crate::Position;
use crate::calendar::Calendar;
use cortado_model::{Etag, WallMillis};

/// Up to 64 bytes of ASCII.
#[derive(Clone, Copy, Debug)]
pub struct ShortText {
    bytes: [u8; 64],
    length: usize,
}

impl Default for ShortText {
    fn default() -> ShortText {
        ShortText { bytes: [0; 64], length: 0 }
    }
}

impl ShortText {
    /// `3/5:1042`: at most 10, 7 and 13 digits.
    pub fn of_position(position: Position) -> ShortText {
        let mut text = ShortText::default();
        text.number(u64::from(position.partition));
        text.push(b'/');
        text.number(u64::from(position.scn.generation.0));
        text.push(b':');
        text.number(position.scn.sequence.0);
        text
    }

    /// An etag with quotes, as headers and JSON alike spell it.
    pub fn of_etag_quoted(etag: Etag) -> ShortText {
        let mut text = ShortText::default();
        text.push(b'"');
        text.hex(etag.0, 16);
        text.push(b'"');
        text
    }

    /// `2026-11-23T10:00:00.123Z` (RFC 3339).
    pub fn of_rfc3339(time: WallMillis) -> ShortText {
        let moment = Calendar::of(time);
        let mut text = ShortText::default();
        text.digits(moment.year, 4);
        for part in [moment.month, moment.day] {
            text.push(b'-');
            text.digits(part, 2);
        }
        text.clock(b'T', moment);
        text.push(b'.');
        text.digits(moment.time_ms % 1_000, 3);
        text.push(b'Z');
        text
    }

    /// `Mon, 23 Nov 2026 10:00:00 GMT` (RFC 9110, section 5.6.7).
    pub fn of_http_date(time: WallMillis) -> ShortText {
        const WEEKDAYS: [&[u8; 5]; 7] =
            [b"Sun, ", b"Mon, ", b"Tue, ", b"Wed, ", b"Thu, ", b"Fri, ", b"Sat, "];
        const MONTHS: [&[u8; 5]; 12] = [
            b" Jan ", b" Feb ", b" Mar ", b" Apr ", b" May ", b" Jun ", b" Jul ", b" Aug ",
            b" Sep ", b" Oct ", b" Nov ", b" Dec ",
        ];
        let moment = Calendar::of(time);
        let mut text = ShortText::default();
        // Both indices are within bounds: a remainder of 7, and a month of 1 to 12.
        text.push_all(WEEKDAYS[moment.weekday as usize]);
        text.digits(moment.day, 2);
        text.push_all(MONTHS[moment.month as usize - 1]);
        text.digits(moment.year, 4);
        text.clock(b' ', moment);
        text.push_all(b" GMT");
        text
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever pushed.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Appends a number.
    pub(crate) fn number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            // A remainder of 10 is one digit; 2^64 has 20 of them.
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push_all(&digits[at..]);
    }

    /// Appends the last `count` hexadecimal digits of a number.
    pub(crate) fn hex(&mut self, number: u64, count: usize) {
        let end = self.length + count;
        let mut rest = number;
        for place in self.bytes[self.length..end].iter_mut().rev() {
            // Four bits index sixteen digits.
            *place = b"0123456789abcdef"[(rest & 0xf) as usize];
            rest >>= 4;
        }
        self.length = end;
    }

    /// Appends the last `count` decimal digits of a number.
    fn digits(&mut self, number: u64, count: usize) {
        let end = self.length + count;
        let mut rest = number;
        for place in self.bytes[self.length..end].iter_mut().rev() {
            // A remainder of 10 is one digit.
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.length = end;
    }

    fn clock(&mut self, before: u8, moment: Calendar) {
        let seconds = moment.time_ms / 1_000;
        let parts = [seconds / 3_600, seconds / 60 % 60, seconds % 60];
        for (part, before) in parts.into_iter().zip([before, b':', b':']) {
            self.push(before);
            self.digits(part, 2);
        }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn push_all(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_model::{Generation, Scn, Sequence};

    #[track_caller]
    fn check_moment(time_ms: u64, rfc3339: &str, http_date: &str) {
        assert_eq!(ShortText::of_rfc3339(WallMillis(time_ms)).as_str(), rfc3339);
        assert_eq!(ShortText::of_http_date(WallMillis(time_ms)).as_str(), http_date);
    }

    #[test]
    fn moments_are_written_as_the_standards_say() {
        let check = check_moment;
        check(0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777_000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_400_001, "2000-02-29T00:00:00.001Z", "Tue, 29 Feb 2000 00:00:00 GMT");
        check(951_868_799_999, "2000-02-29T23:59:59.999Z", "Tue, 29 Feb 2000 23:59:59 GMT");
        check(1_709_251_200_000, "2024-03-01T00:00:00.000Z", "Fri, 01 Mar 2024 00:00:00 GMT");
        check(1_735_689_599_999, "2024-12-31T23:59:59.999Z", "Tue, 31 Dec 2024 23:59:59 GMT");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT");
        check(u64::MAX, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn the_longest_position_fits() {
        let scn = Scn::new(Generation(u32::MAX), Sequence(u64::MAX));
        let text = ShortText::of_position(Position { partition: u32::MAX, scn });
        assert_eq!(text.as_str(), "4294967295/4294967295:18446744073709551615");
    }

    #[test]
    fn an_etag_stands_in_quotes() {
        let text = ShortText::of_etag_quoted(Etag(0xa1b2));
        assert_eq!(text.as_str(), "\"000000000000a1b2\"");
    }
}
