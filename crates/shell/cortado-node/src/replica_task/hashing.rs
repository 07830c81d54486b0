//! Hashing a replica's state, beside its driver.
//!
//! Start reading at [`hash`].

use crate::replica_host::ReplicaHost;
use cortado_driver::Hashed;
use cortado_model::{PartitionId, WallMillis};
use cortado_store::{Digested, StoreError, View, digest};

/// Hashes what `view` shows and makes it durable; `None` if the node goes away meanwhile.
///
/// * `time`: log time of the state; what expired before it does not count.
/// * `known`: what it hashes to, if that is known.
pub(super) fn hash(
    host: &ReplicaHost,
    partition: PartitionId,
    view: Box<dyn View>,
    time: WallMillis,
    known: Option<Hashed>,
) -> Result<Option<Hashed>, StoreError> {
    let hashed = match known {
        Some(hashed) => hashed,
        None => hash_all(host, partition, view.as_ref(), time)?,
    };
    drop(view);
    if host.tasks.is_ending() {
        return Ok(None);
    }
    host.store.sync()?;
    Ok(Some(hashed))
}

fn hash_all(
    host: &ReplicaHost,
    partition: PartitionId,
    view: &dyn View,
    time: WallMillis,
) -> Result<Hashed, StoreError> {
    let entries = view.entries(None).take_while(|_| !host.tasks.is_ending());
    let Digested { digest, first_expiry, bytes } = digest(entries, time)?;
    if !host.tasks.is_ending() {
        host.effort.set_state_bytes(partition, bytes);
    }
    Ok(Hashed { digest, first_expiry })
}
