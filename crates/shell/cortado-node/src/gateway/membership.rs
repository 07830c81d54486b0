//! Orders about the nodes themselves.
//!
//! Start reading at [`Gateway::replace_node`].

use super::admin_error::{AdminError, not_done};
use super::{Consistency, Gateway, ReadOptions};
use crate::cluster_log::{NODES, NodeDocument, node_key, read, write};
use crate::conditions::if_still;
use crate::events::EventKind;
use cortado_document::{Action, Operation};
use cortado_model::{DatabaseId, NodeId, PartitionId};
use tokio::time::Instant;
use tracing::info;

impl Gateway {
    /// Lets another data directory, or an older copy of the same one, register as `node`: the next
    /// one that does takes the name over. The node must not run.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn replace_node(&self, node: NodeId, deadline: Instant) -> Result<(), AdminError> {
        if self.runs(node, deadline).await {
            return Err(AdminError::NodeRuns);
        }
        let (place, consistency) = (node_key(node), Consistency::Strong);
        loop {
            let strong = ReadOptions { consistency, at_least: None, deadline };
            let found = self.get_in(PartitionId::CLUSTER, NODES, &place, &strong).await;
            let found = found.map_err(|error| not_done(&error.to_string()))?.value;
            let found = found.ok_or(AdminError::NotRegistered)?;
            let document = read::<NodeDocument>(&found.json());
            let mut document = document.map_err(|error| not_done(&error.to_string()))?;
            if document.replaced {
                return Ok(());
            }
            document.replaced = true;
            let (key, action) = (place.clone(), Action::Put { value: write(&document) });
            let condition = if_still(found.head.etag);
            let operation = Operation { table: NODES, key, action, condition };
            if self.declare(vec![operation], deadline).await? {
                let incarnation = document.incarnation;
                info!(%node, incarnation, "another data directory may take the node's name");
                let what = format!("another data directory may take over {node}");
                self.explain_as_controller(EventKind::NodeReplaced, what);
                return Ok(());
            }
        }
    }

    /// Whether a node of that name answers.
    async fn runs(&self, node: NodeId, deadline: Instant) -> bool {
        let Some(target) = self.target(node) else { return false };
        target.as_peer().report(Some(DatabaseId::CLUSTER), deadline).await.is_ok()
    }
}
