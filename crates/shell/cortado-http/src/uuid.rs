//! UUIDs of version 7 (RFC 9562, section 5.7): a time, then bits that make it unique.
//!
//! Start reading at [`version_7`].

/// The UUID of a moment, in its canonical text of 36 characters.
///
/// * `ms`: milliseconds since the beginning of 1970, of which 48 bits stand in it.
/// * `bits`: 74 of them stand in it.
pub(crate) fn version_7(ms: u64, bits: u128) -> String {
    let first = (ms & 0xffff_ffff_ffff) << 16 | 0x7000 | (bits as u64 & 0xfff);
    let second = 1 << 63 | ((bits >> 12) as u64) >> 2;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        first >> 32,
        first >> 16 & 0xffff,
        first & 0xffff,
        second >> 48,
        second & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_version_and_variant_stand_where_the_standard_says() {
        // The example of RFC 9562, appendix A.6.
        let bits = 0x18c4_dc0c_0c07_398f_u128 << 2 << 12 | 0xcc3;
        assert_eq!(version_7(0x017f_22e2_79b0, bits), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(version_7(u64::MAX, u128::MAX), "ffffffff-ffff-7fff-bfff-ffffffffffff");
        assert_eq!(version_7(0, 0), "00000000-0000-7000-8000-000000000000");
    }

    #[test]
    fn later_ones_sort_behind() {
        assert!(version_7(1_000, u128::MAX) < version_7(1_001, 0));
    }
}
