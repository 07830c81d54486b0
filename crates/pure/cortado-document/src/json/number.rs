//! Whether a number survives in a 64-bit integer or a double as it was written.

/// Whether `token` is kept exactly.
///
/// * `token`: a number in JSON syntax, at most 400 bytes.
///
/// True for every integer of an `i64` or `u64`, and for every number whose nearest double, written
/// with the fewest digits that identify it, has the same significant digits and magnitude.
pub(super) fn is_exact(token: &str) -> bool {
    // At most 15 digits and a point, as most numbers: see `survives_any_double`.
    if token.len() <= 16 && !token.contains(['e', 'E']) {
        return true;
    }
    if token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok() {
        return true;
    }
    let Some(written) = Decimal::read(token) else {
        return false;
    };
    if written.survives_any_double() {
        return true;
    }
    let Ok(nearest) = token.parse::<f64>() else {
        return false;
    };
    // A double may lie halfway between two shortest spellings, and writers choose differently:
    // this one and the one below are the two choices.
    let spelled = |text: String| Decimal::read(&text) == Some(written);
    nearest.is_finite()
        && (spelled(format!("{nearest:e}"))
            || spelled(serde_json::Value::from(nearest).to_string()))
}

/// `digits × 10^exponent`, without sign; `digits` is no multiple of 10 unless it is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Decimal {
    digits: u64,
    exponent: i64,
}

/// The most digits that the shortest spelling of a double has.
const SHORTEST_DIGITS_MAX: u32 = 17;

impl Decimal {
    /// Reads a number in JSON syntax; `None` if it has more than 17 significant digits.
    fn read(token: &str) -> Option<Decimal> {
        let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let mut digits = 0_u64;
        let mut count = 0;
        let mut zeros = 0;
        let mut fraction_digits = None;
        for byte in mantissa.bytes() {
            match byte {
                b'.' => fraction_digits = Some(0_i64),
                b'0'..=b'9' => {
                    fraction_digits = fraction_digits.map(|digits| digits + 1);
                    if byte == b'0' {
                        // Significant only if another digit follows, and one went before.
                        zeros += u32::from(count > 0);
                        continue;
                    }
                    count += zeros + 1;
                    if count > SHORTEST_DIGITS_MAX {
                        return None;
                    }
                    digits = digits * 10_u64.pow(zeros + 1) + u64::from(byte - b'0');
                    zeros = 0;
                }
                // The sign.
                _ => {}
            }
        }
        if digits == 0 {
            return Some(Decimal { digits, exponent: 0 });
        }
        let exponent = saturating_integer(exponent);
        let shift = i64::from(zeros) - fraction_digits.unwrap_or(0);
        Some(Decimal { digits, exponent: exponent.saturating_add(shift) })
    }

    /// Every decimal of up to 15 digits well inside the range of normal doubles identifies its
    /// nearest double, and is that double's shortest spelling.
    fn survives_any_double(self) -> bool {
        self.digits < 1_000_000_000_000_000 && (-290..=290).contains(&self.exponent)
    }
}

/// Reads a decimal integer with an optional sign; beyond 64 bits, the bound.
fn saturating_integer(text: &str) -> i64 {
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}
