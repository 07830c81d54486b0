//! Which numbers are kept.

/// Whether `token` is a number within the range of doubles: finite, and not rounded to 0 unless it
/// is 0. Such a number is kept as it is written, with every digit.
///
/// * `token`: a number in JSON syntax, at most 400 bytes.
pub(super) fn is_in_range(token: &str) -> bool {
    // Without an exponent and with so few digits it is far from both ends.
    if token.len() <= 300 && !token.contains(['e', 'E']) {
        return true;
    }
    token
        .parse::<f64>()
        .is_ok_and(|nearest| nearest.is_finite() && (nearest != 0.0 || is_zero(token)))
}

fn is_zero(token: &str) -> bool {
    let mantissa = token.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'0'))
}
