//! How a node registers in `_cluster`. Start reading at [`register`].
//! Source: docs/protocols/failover.md, "Registration"; who may is said in `cortado-cluster`.

use crate::cluster_log::{NODES, NodeDocument, node_key, read, write};
use crate::conditions::{if_absent, if_still};
use crate::events::EventKind;
use crate::gateway::{Consistency, Gateway, ReadError, ReadOptions, WriteError, WriteRequest};
use crate::life_standing::standing;
use crate::replica_host::ReplicaHost;
use cortado_cluster::{LifeStanding, NodeLife};
use cortado_document::{Action, Operation};
use cortado_model::{PartitionId, with_causes};
use cortado_store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Between two tries to register.
const RETRY: Duration = Duration::from_millis(500);
/// A registration that was not written in this time is tried again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a registration was not written. Try again.
#[derive(Debug, thiserror::Error)]
enum RegisterError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Stored(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Tells the cluster that this node lives, and where; ends the node if it may not.
pub(crate) async fn register(host: Arc<ReplicaHost>, gateway: Gateway) {
    let (node, incarnation) = (host.node(), host.me().incarnation);
    loop {
        match try_to_register(host.me(), &host.settings.address, &gateway).await {
            Ok(LifeStanding::Registered) => {
                let what = format!("node {node} started, incarnation {incarnation}");
                host.decisions.explain(EventKind::NodeStarted, None, what, Vec::new());
                return;
            }
            Ok(LifeStanding::Refused(refusal)) => {
                return host.life.report(refusal.to_string(), refusal.next_life());
            }
            // Another life was faster: look again.
            Ok(LifeStanding::Unregistered) => {}
            Err(error) => {
                warn!(%node, error = with_causes(&error), "node not registered");
                sleep(RETRY).await;
            }
        }
    }
}

/// Registers if the node may; answers how it stands then.
async fn try_to_register(
    me: &NodeLife,
    address: &str,
    gateway: &Gateway,
) -> Result<LifeStanding, RegisterError> {
    let (key, deadline) = (node_key(me.node), Instant::now() + TIMEOUT);
    let strong = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
    let found = gateway.get_in(PartitionId::CLUSTER, NODES, &key, &strong).await?.value;
    let registered = match &found {
        Some(found) => Some(read::<NodeDocument>(&found.json())?.facts(me.node)?),
        None => None,
    };
    let standing = standing(registered.as_ref(), me);
    if standing != LifeStanding::Unregistered {
        return Ok(standing);
    }
    let value = write(&NodeDocument::new(me, address));
    // Whoever changes it meanwhile makes this write void.
    let condition = found.map_or_else(if_absent, |found| if_still(found.head.etag));
    let operations =
        vec![Operation { table: NODES, key, action: Action::Put { value }, condition }];
    let request = WriteRequest { operations, idempotency: None, deadline };
    match gateway.publish(PartitionId::CLUSTER, request).await {
        Ok(_) => Ok(LifeStanding::Registered),
        Err(WriteError::Refused { .. }) => Ok(LifeStanding::Unregistered),
        // If it was done after all, the next look finds it.
        Err(error) => Err(error.into()),
    }
}
