//! Only a registered member claims, and only if it does not give way to a newer life of its own.

use crate::kernel::violation::Violation;
use bytes::Bytes;
use cortado_model::PartitionUuid;
use cortado_replica::{Body, decode};
use std::fmt::Display;

/// A node appends `records` to the log of `partition`.
///
/// # Errors
/// One of them is a claim, and the node may not.
pub fn check(
    who: impl Display,
    may_claim: bool,
    records: &[Bytes],
    partition: PartitionUuid,
) -> Result<(), Violation> {
    let is_claim = |bytes: &&Bytes| {
        decode(bytes, partition).is_ok_and(|record| matches!(record.body, Body::Claim(_)))
    };
    let claim = records.iter().filter(|_| !may_claim).find(is_claim);
    match claim {
        Some(_) => Err(Violation::new("eligible", format!("{who} claims, and may not"))),
        None => Ok(()),
    }
}
