//! Newer feature levels: which nodes read them, and when they are used.
//!
//! Start reading at [`Gateway::finish_upgrade`]. Source: docs/protocols/replication.md, "Feature
//! levels"; the rule is `cortado-cluster`'s.

use super::admin_error::{AdminError, not_done};
use super::declaration::{operation, put};
use super::{Consistency, Gateway, ReadOptions, RegistrationError};
use crate::catalog::{Catalog, FIRST_LEVEL};
use crate::cluster_log::{NODES, node_key, read, write};
use crate::conditions::{if_absent, if_still};
use crate::decisions::Manual;
use crate::events::EventKind;
use crate::feature_level::{FEATURE_LEVELS, FeatureLevelDocument, feature_level_key};
use crate::status::{UpgradeNode, UpgradeStatus};
use cortado_cluster::Gate;
use cortado_document::{DocumentAction, Operation};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_model::{Etag, NodeId, PartitionId};
use cortado_peer::NodeReport;
use std::collections::BTreeMap;
use tokio::time::Instant;
use tracing::info;

impl Gateway {
    /// Which feature level is in use, which node reads which, and what holds a newer one up.
    pub async fn upgrade_status(&self) -> UpgradeStatus {
        let catalog = self.catalog();
        upgrade_status(&catalog, &self.reports(None).await.told)
    }

    /// Lets leaders use the newest feature level that every node reads. From then on, a node that
    /// does not read it is refused. Answers how the cluster stands afterwards.
    ///
    /// # Errors
    /// See [`AdminError`]; a node that does not read it holds it up, whether it runs or not.
    pub async fn finish_upgrade(&self, deadline: Instant) -> Result<UpgradeStatus, AdminError> {
        loop {
            // Before the nodes: one that comes later, and may read less, changes it.
            let (_, before) = self.level_in_force(deadline).await.map_err(not_done)?;
            let catalog = self.newest_catalog(deadline).await?;
            let level = match catalog.gate() {
                Gate::Open => return Ok(self.upgrade_status().await),
                Gate::Held { level, by } => return Err(held(&catalog, level, &by)),
                Gate::Ready { level } => level,
            };
            let condition = before.map_or_else(if_absent, if_still);
            let document = write(&FeatureLevelDocument::new(level));
            let mut operations =
                vec![put(FEATURE_LEVELS, feature_level_key(), document, condition)];
            let Some(nodes) = self.unchanged(&catalog, level, deadline).await? else { continue };
            operations.extend(nodes);
            if self.declare(operations, deadline).await?.is_some() {
                info!(level, "feature level raised");
                let what = format!("feature level {level} is used: no older build can join");
                let manual = Manual::Texts {
                    by_hand: "cortado cluster upgrade --finish".to_owned(),
                    undo: "cannot be undone: what is written from now on needs it".to_owned(),
                };
                self.explain_order(EventKind::Declaration, None, what, manual);
                return Ok(self.upgrade_status().await);
            }
        }
    }

    /// The feature level that is in use, and the document that says so; the first without one.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub async fn level_in_force(
        &self,
        deadline: Instant,
    ) -> Result<(u32, Option<Etag>), RegistrationError> {
        let strong = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let place = feature_level_key();
        let found = self.get_in(PartitionId::CLUSTER, FEATURE_LEVELS, &place, &strong).await?;
        let Some(found) = found.value else {
            return Ok((FIRST_LEVEL, None));
        };
        let document: FeatureLevelDocument = read(&found.json())?;
        Ok((document.level, Some(found.head.etag)))
    }

    /// Checks that every member is registered as it is now; `None` if one reads less by now.
    ///
    /// Of as many as one write takes. A registration that reads less writes the level anew, too, so
    /// that the condition on that holds for the others.
    async fn unchanged(
        &self,
        catalog: &Catalog,
        level: u32,
        deadline: Instant,
    ) -> Result<Option<Vec<Operation>>, AdminError> {
        let mut checks = Vec::new();
        for node in catalog.members() {
            let found = self.registered(node, deadline).await.map_err(not_done)?;
            let Some((facts, etag)) = found else { return Ok(None) };
            if !facts.removed && facts.reads_level() < level {
                return Ok(None);
            }
            let as_it_is = if_still(etag);
            checks.push(operation(NODES, node_key(node), DocumentAction::Check, as_it_is));
        }
        // The level is written in the same one.
        checks.truncate(OPERATIONS_MAX - 1);
        Ok(Some(checks))
    }
}

fn held(catalog: &Catalog, level: u32, by: &[NodeId]) -> AdminError {
    let names: Vec<String> = by.iter().map(|node| catalog.name_of(*node)).collect();
    let names = names.join(", ");
    let why = format!(
        "feature level {level} is not read by {names}: upgrade these nodes, or remove those that \
         do not come back with `cortado node remove`"
    );
    AdminError::NotPlanned { why }
}

fn upgrade_status(catalog: &Catalog, told: &BTreeMap<NodeId, NodeReport>) -> UpgradeStatus {
    let members = catalog.nodes().filter(|facts| !facts.removed);
    let nodes = members.map(|facts| UpgradeNode {
        node: facts.node,
        alive: told.contains_key(&facts.node),
        build: facts.description.build.clone(),
        feature_level: facts.reads_level(),
    });
    let (feature_level, gate, nodes) = (catalog.feature_level(), catalog.gate(), nodes.collect());
    let used = levels_used(told);
    let uses = |partition: &PartitionId| used.get(partition) >= Some(&feature_level);
    let all = catalog
        .databases()
        .flat_map(|database| (0..database.partitions).map(|number| database.partition_id(number)));
    let all: Vec<PartitionId> = std::iter::once(PartitionId::CLUSTER).chain(all).collect();
    let to_follow = all.iter().filter(|partition| !uses(partition)).count();
    UpgradeStatus { feature_level, gate, nodes, partitions: all.len(), to_follow }
}

/// The highest level that some replica of each partition has found in its log.
fn levels_used(told: &BTreeMap<NodeId, NodeReport>) -> BTreeMap<PartitionId, u32> {
    let mut used = BTreeMap::new();
    for replica in told.values().flat_map(|report| &report.replicas) {
        let level: &mut u32 = used.entry(replica.progress.partition).or_default();
        *level = replica.feature_level.max(*level);
    }
    used
}

#[cfg(test)]
mod tests;
