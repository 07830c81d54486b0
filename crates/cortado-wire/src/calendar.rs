//! Moments as people and HTTP read them; UTC only.
//!
//! Start reading at [`Calendar::of`].

use cortado_model::WallMillis;

/// A moment in the Gregorian calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Calendar {
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
    /// 0 is Sunday.
    weekday: u64,
    /// Milliseconds since midnight.
    time_ms: u64,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Years repeat after 400 of them.
const CYCLE_DAYS: u64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;
/// The last moment with a year of four digits: 9999-12-31T23:59:59.999Z.
const LAST_MS: u64 = 253_402_300_799_999;

impl Calendar {
    /// The calendar day of a moment; moments after the year 9999 become its last one.
    ///
    /// Counts years from March, so that a leap day is the last of its year and months before it
    /// have the same lengths every year: 153 days in every five of them.
    fn of(time: WallMillis) -> Calendar {
        let time_ms = time.0.min(LAST_MS);
        let days = time_ms / DAY_MS;
        let shifted = days + DAYS_BEFORE_1970;
        let (cycle, day) = (shifted / CYCLE_DAYS, shifted % CYCLE_DAYS);
        let leap_days = day / 1_460 - day / 36_524 + day / (CYCLE_DAYS - 1);
        let year_of_cycle = (day - leap_days) / 365;
        let year_days = 365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100;
        let day_of_year = day - year_days;
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Calendar {
            year: 400 * cycle + year_of_cycle + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4) % 7,
            time_ms: time_ms % DAY_MS,
        }
    }

    fn clock(self) -> [u64; 3] {
        let seconds = self.time_ms / 1_000;
        [seconds / 3_600, seconds / 60 % 60, seconds % 60]
    }
}

/// `2026-11-23T10:00:00.123Z` (RFC 3339).
pub fn rfc3339(time: WallMillis) -> String {
    let moment = Calendar::of(time);
    let mut out = String::with_capacity(24);
    push_digits(moment.year, 4, &mut out);
    for part in [moment.month, moment.day] {
        out.push('-');
        push_digits(part, 2, &mut out);
    }
    push_clock('T', moment, &mut out);
    out.push('.');
    push_digits(moment.time_ms % 1_000, 3, &mut out);
    out.push('Z');
    out
}

/// `Mon, 23 Nov 2026 10:00:00 GMT` (RFC 9110, section 5.6.7).
pub fn http_date(time: WallMillis) -> String {
    const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let moment = Calendar::of(time);
    let mut out = String::with_capacity(29);
    // Both indices are within bounds: a remainder of 7, and a month of 1 to 12.
    out.push_str(WEEKDAYS[moment.weekday as usize]);
    out.push_str(", ");
    push_digits(moment.day, 2, &mut out);
    out.push(' ');
    out.push_str(MONTHS[moment.month as usize - 1]);
    out.push(' ');
    push_digits(moment.year, 4, &mut out);
    push_clock(' ', moment, &mut out);
    out.push_str(" GMT");
    out
}

fn push_clock(before: char, moment: Calendar, out: &mut String) {
    for (part, before) in moment.clock().into_iter().zip([before, ':', ':']) {
        out.push(before);
        push_digits(part, 2, out);
    }
}

fn push_digits(number: u64, digits: u32, out: &mut String) {
    for digit in (0..digits).rev() {
        // A remainder of 10 is one digit.
        out.push(char::from(b'0' + (number / 10_u64.pow(digit) % 10) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(time_ms: u64, rfc3339_want: &str, http_want: &str) {
        assert_eq!(rfc3339(WallMillis(time_ms)), rfc3339_want);
        assert_eq!(http_date(WallMillis(time_ms)), http_want);
    }

    #[test]
    fn moments_are_written_as_the_standards_say() {
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
    fn every_day_follows_the_one_before() {
        let mut before = Calendar::of(WallMillis(0));
        // 400 years and a bit: every leap rule once.
        for day in 1..150_000 {
            let now = Calendar::of(WallMillis(day * DAY_MS));
            assert_eq!(now.weekday, (before.weekday + 1) % 7);
            let same_month = (now.year, now.month) == (before.year, before.month);
            assert!(if same_month { now.day == before.day + 1 } else { now.day == 1 }, "{now:?}");
            before = now;
        }
        assert_eq!((before.year, before.month, before.day), (2380, 9, 7));
    }
}
