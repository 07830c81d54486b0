//! Numbers by their exact decimal value, however they are written.
//!
//! Start reading at [`compare_numbers`]. Source: docs/api.md, "Numbers".

use crate::budget::{Budget, TooExpensive};
use std::cmp::Ordering;

/// Orders two numbers in JSON syntax by value: 1.0 is 1, and -0 is 0.
pub(crate) fn compare_numbers(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let is_plain = |token: &str| token.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain(a) && is_plain(b) {
        // Without leading zeros, as JSON has it.
        return a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    }
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (_, _) => Decimal::read(a).cmp(&Decimal::read(b)),
    }
}

/// `0.d₁d₂d₃… × 10^magnitude`. Equal values are equal structs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// Never of zero.
    negative: bool,
    /// 0 to 9 each, neither the first nor the last 0; none for zero.
    digits: Vec<u8>,
    /// 0 for zero.
    magnitude: i64,
}

/// Powers of ten that a division goes through: more than numbers within the range of doubles need,
/// since a number has at most 400 digits and an exponent of about ±700.
const SHIFT_MAX: i64 = 2_048;

impl Decimal {
    /// Reads a number in JSON syntax. An exponent beyond 64 bits is taken for the bound.
    pub(crate) fn read(token: &str) -> Decimal {
        let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let whole = mantissa.split('.').next().unwrap_or_default();
        let whole_digits = whole.trim_start_matches('-').len();
        let written = mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0');
        let mut digits: Vec<u8> = written.collect();
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        digits.truncate(digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1));
        if digits.is_empty() {
            return Decimal { negative: false, digits, magnitude: 0 };
        }
        // Bounds of what was written: less than 2^32 each.
        let point = whole_digits as i64 - zeros as i64;
        let magnitude = saturating_integer(exponent).saturating_add(point);
        Decimal { negative: mantissa.starts_with('-'), digits, magnitude }
    }

    /// Appends bytes that equal numbers have in common, and no others; none of them begins another.
    pub(crate) fn write_canonical(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.negative));
        out.extend(self.magnitude.to_be_bytes());
        out.extend_from_slice(&self.digits);
        out.push(u8::MAX);
    }

    /// Whether there is no fraction; 1.0 and 1e2 have none.
    pub(crate) fn is_integer(&self) -> bool {
        self.magnitude >= self.digits.len() as i64 || self.digits.is_empty()
    }

    pub(crate) fn is_positive(&self) -> bool {
        !self.negative && !self.digits.is_empty()
    }

    /// The value if it is an integer from 0 on; `u64::MAX` if it is a larger one.
    pub(crate) fn as_count(&self) -> Option<u64> {
        if self.negative || !self.is_integer() {
            return None;
        }
        let zeros = self.magnitude - self.digits.len() as i64;
        if self.magnitude > 20 {
            return Some(u64::MAX);
        }
        let digits = self.digits.iter().copied().chain((0..zeros).map(|_| 0));
        let value = digits
            .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit)));
        Some(value)
    }

    /// Whether this is a whole multiple of `divisor`, which is not zero.
    ///
    /// # Errors
    /// The division would cost more than is left.
    pub(crate) fn is_multiple_of(
        &self,
        divisor: &Decimal,
        budget: &mut Budget,
    ) -> Result<bool, TooExpensive> {
        if self.digits.is_empty() {
            return Ok(true);
        }
        // Both as integers times a power of ten; this one ends in no zero, so that what is lacking
        // in powers of ten is lacking.
        let last_digit = |number: &Decimal| number.magnitude - number.digits.len() as i64;
        let zeros = last_digit(self) - last_digit(divisor);
        if !(0..=SHIFT_MAX).contains(&zeros) {
            return Ok(false);
        }
        let dividend = self.digits.iter().copied().chain((0..zeros).map(|_| 0));
        let length = self.digits.len() + zeros as usize;
        budget.charge(1 + length / 4)?;
        if divisor.digits.len() <= 18 {
            let divisor = divisor.digits.iter().fold(0, |n, digit| n * 10 + u64::from(*digit));
            // Below 10^18, ten of them fit into 64 bits.
            let remainder =
                dividend.fold(0, |rest, digit| (rest * 10 + u64::from(digit)) % divisor);
            return Ok(remainder == 0);
        }
        budget.charge(length * divisor.digits.len() / 4)?;
        Ok(long_remainder_is_zero(dividend, &divisor.digits))
    }
}

/// Long division, digit by digit, as on paper.
fn long_remainder_is_zero(dividend: impl Iterator<Item = u8>, divisor: &[u8]) -> bool {
    let width = divisor.len() + 1;
    // The remainder so far, less than the divisor, with a digit of room in front.
    let mut rest = vec![0_u8; width];
    for digit in dividend {
        rest.rotate_left(1);
        rest[width - 1] = digit;
        while rest[0] > 0 || rest[1..] >= *divisor {
            let mut borrowed = 0;
            for (place, taken) in (1..width).rev().zip(divisor.iter().rev()) {
                let difference = 10 + rest[place] - taken - borrowed;
                borrowed = u8::from(difference < 10);
                rest[place] = difference % 10;
            }
            rest[0] -= borrowed;
        }
    }
    rest.iter().all(|digit| *digit == 0)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        // Zero lies between the signs; among others the magnitude decides, then the digits.
        let sign = |n: &Decimal| match (n.digits.is_empty(), n.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let size = self.magnitude.cmp(&other.magnitude);
            let size = size.then_with(|| self.digits.cmp(&other.digits));
            if self.negative { size.reverse() } else { size }
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads a decimal integer with an optional sign; beyond 64 bits, the bound.
fn saturating_integer(text: &str) -> i64 {
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(a: &str, b: &str, want: Ordering) {
        assert_eq!(compare_numbers(a, b), want, "{a} {b}");
        assert_eq!(compare_numbers(b, a), want.reverse(), "{b} {a}");
    }

    #[test]
    fn numbers_compare_by_value_and_to_the_last_digit() {
        check("1", "1.0", Ordering::Equal);
        check("-0", "0.0e7", Ordering::Equal);
        check("120e-1", "12", Ordering::Equal);
        check("0.00012e5", "1.2e1", Ordering::Equal);
        check("35.686975000000003", "35.686975000000004", Ordering::Less);
        check("18446744073709551616", "18446744073709551617", Ordering::Less);
        check("-18446744073709551616", "-18446744073709551617", Ordering::Greater);
        check("9007199254740993.0", "9007199254740992", Ordering::Greater);
        check("1e308", "9e307", Ordering::Greater);
        check("-1e-300", "0", Ordering::Less);
        check("5", "12", Ordering::Less);
        check("-5", "3", Ordering::Less);
    }

    #[track_caller]
    fn multiple(number: &str, divisor: &str, want: bool) {
        let mut budget = Budget::new(1_000_000);
        let (number, divisor) = (Decimal::read(number), Decimal::read(divisor));
        assert_eq!(number.is_multiple_of(&divisor, &mut budget), Ok(want));
    }

    #[test]
    fn multiples_are_exact() {
        multiple("0.3", "0.1", true);
        multiple("1.1", "0.1", true);
        multiple("0.35", "0.1", false);
        multiple("-9", "3", true);
        multiple("0", "7", true);
        multiple("1e300", "7", false);
        multiple("7e300", "7", true);
        multiple("1e-300", "1", false);
        multiple("18446744073709551617", "2", false);
        multiple("36893488147419103234", "18446744073709551617", true);
        multiple("36893488147419103235", "18446744073709551617", false);
    }

    #[test]
    fn counts_are_integers_however_written() {
        let count = |token| Decimal::read(token).as_count();
        assert_eq!(count("3.0"), Some(3));
        assert_eq!(count("1e2"), Some(100));
        assert_eq!(count("18446744073709551615"), Some(u64::MAX));
        assert_eq!(count("1e300"), Some(u64::MAX));
        assert_eq!(count("0"), Some(0));
        assert_eq!(count("-1"), None);
        assert_eq!(count("1.5"), None);
    }

    proptest! {
        #[test]
        fn small_numbers_compare_as_integers(a in any::<i64>(), b in any::<i32>(), zeros in 0..9) {
            let scaled = format!("{b}{}e-{zeros}", "0".repeat(zeros as usize));
            prop_assert_eq!(compare_numbers(&a.to_string(), &scaled), a.cmp(&i64::from(b)));
        }

        #[test]
        fn long_division_agrees_with_128_bits(n in any::<u128>(), d in 1_u128..) {
            let mut budget = Budget::new(1_000_000);
            let (number, divisor) = (Decimal::read(&n.to_string()), Decimal::read(&d.to_string()));
            prop_assert_eq!(number.is_multiple_of(&divisor, &mut budget), Ok(n % d == 0));
            let digits = |n: u128| n.to_string().bytes().map(|b| b - b'0').collect::<Vec<_>>();
            let long = long_remainder_is_zero(digits(n).into_iter(), &digits(d));
            prop_assert_eq!(long, n % d == 0);
        }
    }
}
