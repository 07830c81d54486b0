//! How a node registers in `_cluster`. Start reading at [`register`].
//! Source: docs/protocols/failover.md, "Registration"; `cortado-cluster` decides which life may.

use crate::life_standing::standing;
use crate::replica_host::ReplicaHost;
use cortado_cluster::{Capacity, LifeStanding, NodeLife};
use cortado_gateway::{EventKind, Gateway, NodeFacts, RegistrationError};
use cortado_model::with_causes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Between two tries to register.
const RETRY: Duration = Duration::from_millis(500);
/// A registration that was not written in this time is tried again.
const TIMEOUT: Duration = Duration::from_secs(10);

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
                warn!(%node, %incarnation, error = with_causes(&error), "registration failed");
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
) -> Result<LifeStanding, RegistrationError> {
    let deadline = Instant::now() + TIMEOUT;
    let registered = gateway.registered(me.node, deadline).await?;
    let standing = standing(registered.as_ref().map(|(facts, _)| facts), me);
    if standing != LifeStanding::Unregistered {
        return Ok(standing);
    }
    let before = registered.map(|(_, etag)| etag);
    let done = gateway.register(&facts_of(me, address), before, deadline).await?;
    Ok(if done { LifeStanding::Registered } else { LifeStanding::Unregistered })
}

fn facts_of(me: &NodeLife, address: &str) -> NodeFacts {
    let NodeLife { node, incarnation, directory, nonce } = *me;
    let (replaced, removed, address) = (false, false, address.to_owned());
    // No setting says where a node stands, or what it can carry.
    let (zone, capacity) = (None, Capacity::DEFAULT);
    NodeFacts { node, incarnation, directory, nonce, replaced, removed, address, zone, capacity }
}
