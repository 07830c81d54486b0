//! Where operators want leaderships: pins, drained nodes, and the way back to the placement.
//!
//! Declares what is wanted, in one record of `_cluster` for each command; the watches of the nodes
//! carry it out. To forget the pins of more than 1,000 databases takes a record for each thousand.
//! Start reading at [`Gateway::drain_node`] and [`Gateway::rebalance`].
//! Source: docs/protocols/failover.md, "Pins and drains".

use super::Gateway;
use super::admin_error::AdminError;
use super::declaration::{operation, put};
use crate::catalog::Database;
use crate::cluster_log::{DATABASES, node_key, write};
use crate::conditions::{if_absent, if_still};
use crate::decisions::Manual;
use crate::events::EventKind;
use crate::pins::{DRAINS, DrainDocument, PINS, PinsDocument, pins_key};
use cortado_cluster::Command;
use cortado_document::{Condition, DocumentAction};
use cortado_model::limits::OPERATIONS_MAX;
use cortado_model::{DatabaseId, NodeId, PartitionId};
use tokio::time::Instant;
use tracing::info;

/// What becomes of a pin.
#[derive(Clone, Copy, Debug)]
pub(super) enum PinChange {
    /// It is placed on this node.
    Place(NodeId),
    /// It is as `before` again, if it is still on `from`: another operator may have moved it.
    TakeBack { from: NodeId, before: Option<NodeId> },
}

impl PinChange {
    /// The pin afterwards.
    fn applied_to(self, pin: Option<NodeId>) -> Option<NodeId> {
        match self {
            PinChange::Place(to) => Some(to),
            PinChange::TakeBack { from, before } if pin == Some(from) => before,
            PinChange::TakeBack { .. } => pin,
        }
    }
}

impl Gateway {
    /// Changes where the leadership of a partition is placed for as long as no operator says
    /// otherwise; answers where it was placed before.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub(super) async fn set_pin(
        &self,
        database: &Database,
        partition: PartitionId,
        change: PinChange,
        deadline: Instant,
    ) -> Result<Option<NodeId>, AdminError> {
        loop {
            let (place, etag) = self.current(&database.name, deadline).await?;
            let known = self.etag_of(PINS, &pins_key(database.id), deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            if catalog.database_by_id(database.id).is_none() {
                return Err(AdminError::NoSuchDatabase);
            }
            let mut pins = catalog.pins.get(&database.id).cloned().unwrap_or_default();
            let before = pins.get(&partition.number).copied();
            let to = change.applied_to(before);
            if before == to {
                return Ok(before);
            }
            match to {
                Some(to) => pins.insert(partition.number, to),
                None => pins.remove(&partition.number),
            };
            let action = if pins.is_empty() {
                DocumentAction::Delete
            } else {
                DocumentAction::Put { value: write(&PinsDocument::of(&pins)) }
            };
            let condition = known.map_or_else(if_absent, if_still);
            // A database that is dropped meanwhile leaves no pins behind.
            let still_there = operation(DATABASES, place, DocumentAction::Check, if_still(etag));
            let pinned = operation(PINS, pins_key(database.id), action, condition);
            if self.declare(vec![still_there, pinned], deadline).await?.is_some() {
                return Ok(before);
            }
        }
    }

    /// Lets a node hand over all that it leads, and lead nothing that another one can until it is
    /// [resumed](Self::resume_node). Answers when that is declared, not when it is done.
    ///
    /// # Errors
    /// See [`AdminError`]; no node would be left to lead.
    pub async fn drain_node(&self, node: NodeId, deadline: Instant) -> Result<(), AdminError> {
        loop {
            let known = self.etag_of(DRAINS, &node_key(node), deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            if !catalog.members().any(|member| member == node) {
                return Err(AdminError::NotRegistered);
            }
            if known.is_some() {
                return Ok(());
            }
            let running = self.reports(Some(DatabaseId::CLUSTER)).await.told.into_keys();
            let could = |other: &NodeId| {
                *other != node
                    && !catalog.is_drained(*other)
                    && catalog.members().any(|member| member == *other)
            };
            let other = running.into_iter().find(could).ok_or(AdminError::LastNode)?;
            // Of two drains side by side, one finds that the other node is not left to lead.
            let left = operation(DRAINS, node_key(other), DocumentAction::Check, if_absent());
            let drain = put(DRAINS, node_key(node), write(&DrainDocument::new()), if_absent());
            if self.declare(vec![left, drain], deadline).await?.is_some() {
                info!(%node, "node drained");
                let (drain, resume) = (Command::Drain { node }, Command::Resume { node });
                let manual = Manual::Commands(drain, Some(resume));
                let what = format!("{node} is drained: it hands over what it leads");
                self.explain_order(EventKind::Declaration, None, what, manual);
                return Ok(());
            }
        }
    }

    /// Ends the drain of a node. It gets its leaderships back one after the other.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn resume_node(&self, node: NodeId, deadline: Instant) -> Result<(), AdminError> {
        loop {
            let known = self.etag_of(DRAINS, &node_key(node), deadline).await?;
            let catalog = self.newest_catalog(deadline).await?;
            if catalog.node(node).is_none() {
                return Err(AdminError::NotRegistered);
            }
            let Some(etag) = known else { return Ok(()) };
            let (key, condition) = (node_key(node), if_still(etag));
            let resumed = operation(DRAINS, key, DocumentAction::Delete, condition);
            if self.declare(vec![resumed], deadline).await?.is_some() {
                info!(%node, "node resumed");
                let (drain, resume) = (Command::Drain { node }, Command::Resume { node });
                let manual = Manual::Commands(resume, Some(drain));
                let what = format!("{node} is resumed: its leaderships come back");
                self.explain_order(EventKind::Declaration, None, what, manual);
                return Ok(());
            }
        }
    }

    /// Forgets where operators have placed leaderships, of one database or of all: they go to the
    /// leaders that the placements prefer, one after the other.
    ///
    /// # Errors
    /// See [`AdminError`]. On `Unknown` the pins of some databases may be gone and others not;
    /// repeated, it goes on with those.
    pub async fn rebalance(
        &self,
        database: Option<&Database>,
        deadline: Instant,
    ) -> Result<(), AdminError> {
        let catalog = self.newest_catalog(deadline).await?;
        let wanted = |id: &&DatabaseId| database.is_none_or(|database| database.id == **id);
        // What is pinned meanwhile by another command is asked for later than this, and may go too.
        let pinned: Vec<DatabaseId> = catalog.pins.keys().filter(wanted).copied().collect();
        let mut unpinned = 0;
        let mut outcome = Ok(());
        for part in pinned.chunks(OPERATIONS_MAX) {
            outcome = self.unpin(part, deadline).await;
            if outcome.is_err() {
                break;
            }
            unpinned += part.len();
        }
        if unpinned == 0 {
            return outcome;
        }
        let name = database.map(|database| database.name.as_str());
        let (databases, of_databases) = (unpinned, pinned.len());
        info!(database = name, databases, of_databases, "leaderships no longer pinned");
        let argument = name.map(|name| format!(" {name}")).unwrap_or_default();
        let manual = Manual::Texts {
            by_hand: format!("cortado rebalance{argument}"),
            undo: "cortado handoff DATABASE/PARTITION --to NODE, for each that was pinned"
                .to_owned(),
        };
        let of = match name {
            Some(name) => format!(" of {name}"),
            None if unpinned < pinned.len() => {
                format!(" of {unpinned} of {} databases", pinned.len())
            }
            None => String::new(),
        };
        let what = format!("leaderships{of} are no longer pinned: they go to the preferred nodes");
        self.explain_order(EventKind::Declaration, None, what, manual);
        outcome.map_err(AdminError::behind_a_declaration)
    }

    /// Forgets all pins of these databases, as many as one transaction takes.
    async fn unpin(&self, databases: &[DatabaseId], deadline: Instant) -> Result<(), AdminError> {
        let unpinned = |id: &DatabaseId| {
            operation(PINS, pins_key(*id), DocumentAction::Delete, Condition::default())
        };
        let operations: Vec<_> = databases.iter().map(unpinned).collect();
        while self.declare(operations.clone(), deadline).await?.is_none() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
