//! The nodes themselves: their registrations, and orders about them.
//!
//! Start reading at [`Gateway::register`] and [`Gateway::replace_node`].

use super::admin_error::{AdminError, Obstacle, not_done};
use super::declaration::{operation, put};
use super::{Consistency, Gateway, ReadError, ReadOptions, WriteError, WriteRequest};
use crate::catalog::NodeFacts;
use crate::cluster_log::{CatalogError, NODES, NodeDocument, node_key, read, write};
use crate::conditions::{if_absent, if_still};
use crate::events::EventKind;
use crate::feature_level::{FEATURE_LEVELS, FeatureLevelDocument, feature_level_key};
use crate::node_names::{NAMES, NodeNameDocument, name_key};
use cortado_document::{DocumentAction, Operation};
use cortado_model::{DatabaseId, Etag, NodeId, PartitionId};
use tokio::time::Instant;
use tracing::info;

/// Why a registration was not read or not written. Try again.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// No replica could serve it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is registered cannot be understood.
    #[error(transparent)]
    Stored(#[from] CatalogError),
    /// It was not written, or perhaps; if it was, the next look finds it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<RegistrationError> for Obstacle {
    fn from(error: RegistrationError) -> Obstacle {
        match error {
            RegistrationError::Read(error) => error.into(),
            RegistrationError::Stored(error) => error.into(),
            RegistrationError::Write(error) => error.into(),
        }
    }
}

/// With its registration a node takes its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameTaken {
    /// The document of a former holder, which is no member any more; `None`: nobody held it.
    pub from: Option<Etag>,
}

impl Gateway {
    /// What is registered under the name of `node` now, and in which document; `None` if nothing
    /// ever was.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub async fn registered(
        &self,
        node: NodeId,
        deadline: Instant,
    ) -> Result<Option<(NodeFacts, Etag)>, RegistrationError> {
        let strong = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let found = self.get_in(PartitionId::CLUSTER, NODES, &node_key(node), &strong).await?;
        let Some(found) = found.value else { return Ok(None) };
        let facts = read::<NodeDocument>(&found.json())?.facts(node)?;
        Ok(Some((facts, found.head.etag)))
    }

    /// Which node holds a name now, and in which document; `None` if none ever did.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub async fn holder_of(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<(NodeId, Etag)>, RegistrationError> {
        let strong = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let found = self.get_in(PartitionId::CLUSTER, NAMES, &name_key(name), &strong).await?;
        let Some(found) = found.value else { return Ok(None) };
        let holder = NodeId(read::<NodeNameDocument>(&found.json())?.node);
        Ok(Some((holder, found.head.etag)))
    }

    /// Registers a node. `false`: something else is registered by now; look again.
    ///
    /// * `before`: what this one replaces, and its document.
    /// * `level`: the feature level that is in use, which the node reads, as
    ///   [`level_in_force`](Self::level_in_force) has read it.
    /// * `name`: takes the name of the node, too: the document that says who held it until now.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub async fn register(
        &self,
        facts: &NodeFacts,
        before: Option<&(NodeFacts, Etag)>,
        level: (u32, Option<Etag>),
        name: Option<NameTaken>,
        deadline: Instant,
    ) -> Result<bool, RegistrationError> {
        let mut operations = vec![
            registration(facts, before.map(|(_, etag)| *etag)),
            level_as_read(facts, before.map(|(before, _)| before), level),
        ];
        operations.extend(name.map(|NameTaken { from }| {
            let condition = from.map_or_else(if_absent, if_still);
            let holder = write(&NodeNameDocument::of(facts.node));
            put(NAMES, name_key(&facts.description.name), holder, condition)
        }));
        let request = WriteRequest { operations, idempotency: None, deadline };
        match self.publish(PartitionId::CLUSTER, request).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets another data directory, or an older copy of the same one, register as `node`: the next
    /// one that does takes the name over. The node must not run.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn replace_node(&self, node: NodeId, deadline: Instant) -> Result<(), AdminError> {
        if self.runs(node, deadline).await {
            return Err(AdminError::NodeRuns);
        }
        loop {
            let found = self.registered(node, deadline).await.map_err(not_done)?;
            let (mut facts, etag) = found.ok_or(AdminError::NotRegistered)?;
            if facts.replaced {
                return Ok(());
            }
            facts.replaced = true;
            let replacement = vec![registration(&facts, Some(etag))];
            if self.declare(replacement, deadline).await?.is_some() {
                let incarnation = facts.incarnation;
                info!(%node, %incarnation, "another data directory may take the node's name");
                let what = format!("another data directory may take over {node}");
                self.explain_as_controller(EventKind::NodeReplaced, what);
                return Ok(());
            }
        }
    }

    /// Whether a node of that name answers.
    async fn runs(&self, node: NodeId, deadline: Instant) -> bool {
        let Some(target) = self.target(node) else { return false };
        target.report(Some(DatabaseId::CLUSTER), deadline).await.is_ok()
    }
}

/// The write of a registration, refused if it is no longer as it was `before`.
fn registration(facts: &NodeFacts, before: Option<Etag>) -> Operation {
    let condition = before.map_or_else(if_absent, if_still);
    put(NODES, node_key(facts.node), write(&NodeDocument::of(facts)), condition)
}

/// Whether a write of `_cluster` tells the next life of a registered node, and nothing else.
///
/// It may be written while a setting of the log differs: nobody was promised anything by it, and
/// without it no node that starts again leads anything.
pub fn is_next_life(operations: &[Operation]) -> bool {
    let [life, level] = operations else { return false };
    let is_known = life.table == NODES && life.condition.if_match.is_some();
    let is_put = matches!(life.action, DocumentAction::Put { .. });
    let is_as_read = level.table == FEATURE_LEVELS && level.action == DocumentAction::Check;
    is_known && is_put && is_as_read
}

/// What a registration rests on: the level that is in use, as it was read.
///
/// * `before`: how the node was registered until now. One that may read less than it did, or was
///   not there or removed, writes the document anew.
fn level_as_read(
    facts: &NodeFacts,
    before: Option<&NodeFacts>,
    (level, etag): (u32, Option<Etag>),
) -> Operation {
    let condition = etag.map_or_else(if_absent, if_still);
    let reads_less =
        before.is_none_or(|before| before.removed || facts.reads_level() < before.reads_level());
    if reads_less || etag.is_none() {
        let document = write(&FeatureLevelDocument::new(level));
        return put(FEATURE_LEVELS, feature_level_key(), document, condition);
    }
    operation(FEATURE_LEVELS, feature_level_key(), DocumentAction::Check, condition)
}
