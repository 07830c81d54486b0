//! Which partition a resource lives in.
//!
//! A stored format: every document written so far stands where this function put it, so its
//! answers never change. Source: docs/formats/key.md, "Partition".

use xxhash_rust::xxh3::xxh3_64;

/// The partition of all documents whose first key part is `resource`.
///
/// * `partitions`: how many the database has, at least 1; fixed when it is created.
///
/// Hashes the UTF-8 bytes with XXH3-64 (seed 0) and scales the hash onto the count by
/// multiplication, which uses the high bits and needs no division.
pub fn partition_of(resource: &str, partitions: u32) -> u32 {
    let hash = xxh3_64(resource.as_bytes());
    let scaled = (u128::from(hash) * u128::from(partitions)) >> 64;
    // hash < 2^64, so scaled < partitions, which is a u32.
    scaled as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resource: &str, want_of_16: u32, want_of_1000: u32) {
        assert_eq!(partition_of(resource, 1), 0);
        assert_eq!(partition_of(resource, 16), want_of_16, "{resource} of 16");
        assert_eq!(partition_of(resource, 1_000), want_of_1000, "{resource} of 1000");
    }

    /// Golden values. If one of these fails, stored documents can no longer be found.
    #[test]
    fn a_resource_never_changes_its_partition() {
        check("JP", 4, 290);
        check("US", 1, 66);
        check("日本", 2, 172);
        check("user-1", 7, 486);
        check("a", 14, 901);
    }

    /// The published hashes of both inputs start with 0x2D06 and 0x78AF.
    #[test]
    fn the_hash_is_xxh3() {
        assert_eq!(partition_of("", 1 << 16), 0x2D06);
        assert_eq!(partition_of("abc", 1 << 16), 0x78AF);
    }

    #[test]
    fn resources_spread_over_all_partitions() {
        let mut counts = [0_u32; 16];
        for i in 0..16_000 {
            counts[partition_of(&format!("user-{i}"), 16) as usize] += 1;
        }
        // Binomial with mean 1000 and deviation 31: six deviations on either side.
        assert!(counts.iter().all(|count| (814..=1_186).contains(count)), "{counts:?}");
    }
}
