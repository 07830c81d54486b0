//! How a node registers in `_cluster`. Start reading at [`register`].
//! Source: docs/protocols/failover.md, "Registration"; `cortado-cluster` decides which life may.

use crate::life_standing::standing;
use crate::replica_host::ReplicaHost;
use cortado_cluster::{LifeRefusal, LifeStanding, NodeLife};
use cortado_gateway::{
    EventKind, Gateway, NameTaken, NodeDescription, NodeFacts, RegistrationError,
};
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
///
/// * `peer_address`: where the others reach it; empty if they need not be told.
pub(crate) async fn register(host: Arc<ReplicaHost>, gateway: Gateway, peer_address: String) {
    let facts = facts_of(&host, peer_address);
    let (node, incarnation) = (host.node(), host.me().incarnation);
    loop {
        match try_to_register(host.me(), &facts, &gateway).await {
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
    facts: &NodeFacts,
    gateway: &Gateway,
) -> Result<LifeStanding, RegistrationError> {
    let deadline = Instant::now() + TIMEOUT;
    let registered = gateway.registered(me.node, deadline).await?;
    let standing = standing(registered.as_ref().map(|(facts, _)| facts), me);
    if standing != LifeStanding::Unregistered {
        return Ok(standing);
    }
    let level = gateway.level_in_force(deadline).await?;
    let (needed, own) = (level.0, facts.reads_level());
    if needed > own {
        return Ok(LifeStanding::Refused(LifeRefusal::TooOld { needed, own }));
    }
    let name = match free_name(facts, gateway, deadline).await? {
        FreeName::HeldBy(other) => return Ok(crate::life_standing::standing(Some(&other), me)),
        FreeName::Own => None,
        FreeName::Free(taken) => Some(taken),
    };
    let done = gateway.register(facts, registered.as_ref(), level, name, deadline).await?;
    Ok(if done { LifeStanding::Registered } else { LifeStanding::Unregistered })
}

/// Whether a node may have its name.
enum FreeName {
    /// It has it, or is called after its id, which no other node has.
    Own,
    /// It may take it.
    Free(NameTaken),
    /// This one has it.
    HeldBy(NodeFacts),
}

async fn free_name(
    facts: &NodeFacts,
    gateway: &Gateway,
    deadline: Instant,
) -> Result<FreeName, RegistrationError> {
    if facts.description.name.is_empty() {
        return Ok(FreeName::Own);
    }
    let held = gateway.holder_of(&facts.description.name, deadline).await?;
    let Some((holder, etag)) = held else { return Ok(FreeName::Free(NameTaken { from: None })) };
    if holder == facts.node {
        return Ok(FreeName::Own);
    }
    Ok(match gateway.registered(holder, deadline).await? {
        Some((other, _)) if !other.removed => FreeName::HeldBy(other),
        Some(_) | None => FreeName::Free(NameTaken { from: Some(etag) }),
    })
}

fn facts_of(host: &ReplicaHost, peer_address: String) -> NodeFacts {
    let NodeLife { node, incarnation, directory, nonce } = *host.me();
    let (replaced, removed, address) = (false, false, host.settings.address.clone());
    let description = NodeDescription { peer_address, ..host.settings.description.clone() };
    NodeFacts { node, incarnation, directory, nonce, replaced, removed, address, description }
}
