//! The database of the demonstration and its tables.

pub(super) const DATABASE: &str = "geo";
/// The table of real places.
pub(super) const PLACES: &str = "place";
/// The table that the workload writes: one document for each place that is visited.
pub(super) const VISITS: &str = "visit";
pub(super) const PARTITIONS: u32 = 16;
