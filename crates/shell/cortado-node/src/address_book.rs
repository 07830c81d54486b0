//! Where the other nodes are, as `_cluster` says.
//!
//! Start reading at [`keep_address_book`].

use crate::replica_host::ReplicaHost;
use cortado_gateway::{Catalog, NodeFacts};
use cortado_model::Scn;
use cortado_peer::{PeerPlace, PeerWhereabouts};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The book is looked at when the catalog has moved, and now and then.
const LOOK: Duration = Duration::from_secs(60);

/// Tells the network where the members are, until the node ends.
pub(crate) async fn keep_address_book(host: Arc<ReplicaHost>, place: Arc<dyn PeerPlace>) {
    let mut told = Scn::ZERO;
    loop {
        let has_moved = |catalog: &Catalog| catalog.scn() > told;
        let look_again = Instant::now() + LOOK;
        if host.cluster.catalog.wait_for(look_again, has_moved).await {
            let catalog = host.cluster.catalog.newest();
            told = catalog.scn();
            place.know(&whereabouts(&catalog));
        }
    }
}

fn whereabouts(catalog: &Catalog) -> Vec<PeerWhereabouts> {
    let is_told = |facts: &&NodeFacts| !facts.removed && !facts.description.peer_address.is_empty();
    let whereabouts = |facts: &NodeFacts| PeerWhereabouts {
        node: facts.node,
        incarnation: facts.incarnation,
        name: Some(facts.name()),
        addresses: vec![facts.description.peer_address.clone()],
    };
    catalog.nodes().filter(is_told).map(whereabouts).collect()
}
