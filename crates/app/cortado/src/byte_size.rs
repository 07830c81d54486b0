//! Sizes as people write them: `512MiB`, `2GiB`.
//!
//! Start reading at [`parse`].

/// The bytes of a size.
///
/// # Errors
/// It is no number with one of the units.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = match text[digits.len()..].trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        unit => return Err(format!("unknown unit {unit:?}: expected KiB, MiB, GiB or TiB")),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number such as 2GiB".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, want) in [
            ("2GiB", Some(2 << 30)),
            ("512 MiB", Some(512 << 20)),
            ("1024", Some(1_024)),
            ("7B", Some(7)),
            ("1TiB", Some(1 << 40)),
            ("2GB", None),
            ("GiB", None),
            ("", None),
            ("-1GiB", None),
            ("99999999TiB", None),
            ("1.5GiB", None),
        ] {
            assert_eq!(parse(text).ok(), want, "{text}");
        }
    }
}
