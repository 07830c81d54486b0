//! From milliseconds to the calendar; UTC only.
//!
//! Start reading at [`Calendar::of`].

use cortado_model::WallMillis;

/// A moment in the Gregorian calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) year: u64,
    /// 1 to 12.
    pub(crate) month: u64,
    /// 1 to 31.
    pub(crate) day: u64,
    /// 0 is Sunday.
    pub(crate) weekday: u64,
    /// Milliseconds since midnight.
    pub(crate) time_ms: u64,
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
    pub(crate) fn of(time: WallMillis) -> Calendar {
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
