//! The journal of a cluster that began with fewer nodes than it wants gets replicas on those that
//! have joined since.
//!
//! What is declared here is carried out like any placement that differs from a replica set. Start
//! reading at [`Gateway::grow_journal`]. Source: docs/protocols/moves.md, "The journal".

use super::NODES_WANTED;
use crate::catalog::{Catalog, Database, JOURNAL, NodeFacts};
use crate::cluster_log::{DATABASES, DatabaseDocument, key, write};
use crate::conditions::if_still;
use crate::gateway::{AdminError, Gateway, put};
use cortado_cluster::{Placed, Placement, PlacementNode, completed};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// What the write may take.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Gateway {
    /// Declares more replicas of the journal, if there are too few for the nodes that there are;
    /// answers whether it has. Not while replicas are moved: what is planned rests on how many
    /// there are.
    ///
    /// # Errors
    /// `_cluster` cannot be written, or what became of that is not known; nothing is lost by trying
    /// again.
    pub(crate) async fn grow_journal(&self, catalog: &Catalog) -> Result<bool, AdminError> {
        let Some(database) = catalog.journal().filter(|_| catalog.changes().next().is_none())
        else {
            return Ok(false);
        };
        let Some(grown) = grown(catalog, database) else { return Ok(false) };
        let replication = grown.replication;
        let condition = if_still(database.written.etag);
        let operation = put(DATABASES, key(&[JOURNAL]), write(&grown), condition);
        let declared = self.declare(vec![operation], Instant::now() + TIMEOUT).await?;
        if declared.is_some() {
            info!(replication, "the journal gets more replicas");
        }
        Ok(declared.is_some())
    }
}

/// The journal's document with as many replicas as there should be, if it has fewer.
fn grown(catalog: &Catalog, database: &Database) -> Option<DatabaseDocument> {
    database.log?;
    let holds = |node| database.placements.iter().any(|nodes| nodes.contains(&node));
    // One that is drained is about to be stopped, or to leave.
    let usable = catalog.members().filter(|node| holds(*node) || !catalog.is_drained(*node));
    let nodes: Vec<PlacementNode> =
        usable.filter_map(|node| catalog.node(node)).map(NodeFacts::placed).collect();
    let wanted = nodes.len().min(NODES_WANTED);
    if database.placements.iter().all(|nodes| nodes.len() >= wanted) {
        return None;
    }
    let replication = database.replication.max(wanted as u32);
    let placed = |nodes: &Vec<_>| {
        let placement = Placement::new(nodes.clone())?;
        Some(Placed { placement, replication })
    };
    let current: Option<Vec<Placed>> = database.placements.iter().map(placed).collect();
    let placements = completed(&current?, &nodes, &BTreeMap::new());
    let mut document = DatabaseDocument::of(database, database.next_table.0);
    document.replication = replication;
    let numbers = |placement: &Placement| placement.nodes().iter().map(|node| node.0).collect();
    document.placements = placements.iter().map(numbers).collect();
    Some(document)
}
