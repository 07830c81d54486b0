//! Declarations: databases and tables come, change and go by writes to `_cluster`.
//!
//! Each is one transaction under conditions, tried again when a concurrent one was faster. It has
//! 1,000 operations at most: what may need more is done in parts, or leaves the rest to the
//! controller. Start reading at [`Gateway::declare`].

use super::admin_error::{AdminError, InvalidDeclaration, Obstacle, Uncertainty, not_done};
use super::read::Wanted;
use super::{Consistency, Gateway, IdempotencyKey, ReadOptions, WriteError, WriteRequest};
use crate::catalog::Catalog;
use crate::cluster_log::{DATABASES, key};
use crate::decisions::Manual;
use crate::events::EventKind;
use crate::randomness::random_u128;
use bytes::Bytes;
use cortado_document::{Condition, Document, DocumentAction, Operation};
use cortado_model::limits::{DOCUMENT_BYTES_MAX, IDEMPOTENCY_TTL_MS_MAX};
use cortado_model::{DocumentKey, Etag, NodeId, PartitionId, TableId};
use std::sync::Arc;
use tokio::time::Instant;

/// What became of a declaration.
#[derive(Clone, Debug)]
pub enum Declared<T> {
    /// It is new, and can be used at once.
    Created(T),
    /// It was so already.
    Existing(T),
    /// It has changed.
    Changed(T),
}

impl Gateway {
    /// Writes a declaration; answers the catalog that shows it. `None`: the state that it was made
    /// for is gone; make it again.
    pub(crate) async fn declare(
        &self,
        operations: Vec<Operation>,
        deadline: Instant,
    ) -> Result<Option<Arc<Catalog>>, AdminError> {
        for operation in &operations {
            if let DocumentAction::Put { value } = &operation.action
                && value.as_bytes().len() > DOCUMENT_BYTES_MAX
            {
                return Err(InvalidDeclaration::TooLarge { bytes_max: DOCUMENT_BYTES_MAX }.into());
            }
        }
        let key = Bytes::copy_from_slice(&random_u128().to_le_bytes());
        let ttl_ms = IDEMPOTENCY_TTL_MS_MAX;
        let idempotency = Some(IdempotencyKey { key, fingerprint: 0, ttl_ms });
        let request = WriteRequest { operations, idempotency, deadline };
        match self.publish(PartitionId::CLUSTER, request).await {
            Ok(written) => match self.cluster().catalog.reaching(written.scn, deadline).await {
                Some(catalog) => Ok(Some(catalog)),
                None => Err(AdminError::Unknown(Uncertainty::NotVisible)),
            },
            Err(WriteError::Refused { .. }) => Ok(None),
            Err(WriteError::Unknown { why }) => Err(AdminError::Unknown(why.into())),
            Err(WriteError::TooLarge { bytes, bytes_max }) => {
                Err(InvalidDeclaration::RecordTooLarge { bytes, bytes_max }.into())
            }
            Err(
                error @ (WriteError::Malformed(_)
                | WriteError::KeyReused
                | WriteError::NotDone { .. }
                | WriteError::DeadlineBefore
                | WriteError::NoSuchDatabase),
            ) => Err(not_done(error)),
        }
    }

    /// The catalog, when it shows everything that was declared before this call.
    pub(crate) async fn newest_catalog(
        &self,
        deadline: Instant,
    ) -> Result<Arc<Catalog>, AdminError> {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let seen = self.read(PartitionId::CLUSTER, &read, Wanted::position()).await;
        let seen = seen.map_err(not_done)?;
        let catalog = self.cluster().catalog.reaching(seen.applied, deadline).await;
        catalog.ok_or_else(|| not_done(Obstacle::Behind))
    }

    /// The key and the etag of a database's document. To be read before the catalog: then a write
    /// under this etag is refused if the database was changed since.
    pub(super) async fn current(
        &self,
        database: &str,
        deadline: Instant,
    ) -> Result<(DocumentKey, Etag), AdminError> {
        let place = key(&[database]);
        let etag = self.etag_of(DATABASES, &place, deadline).await?;
        Ok((place, etag.ok_or(AdminError::NoSuchDatabase)?))
    }

    pub(crate) async fn etag_of(
        &self,
        table: TableId,
        key: &DocumentKey,
        deadline: Instant,
    ) -> Result<Option<Etag>, AdminError> {
        let read = ReadOptions { consistency: Consistency::Strong, at_least: None, deadline };
        let found = self.get_in(PartitionId::CLUSTER, table, key, &read).await;
        let found = found.map_err(not_done)?;
        Ok(found.value.map(|document| document.head.etag))
    }

    /// Tells the journal of something that was done through `_cluster`.
    pub(super) fn explain_as_controller(&self, kind: EventKind, what: String) {
        self.parts().decisions.explain_of(self.controller(), kind, what);
    }

    /// Tells the journal what an operator has ordered, and how to undo it.
    pub(super) fn explain_order(
        &self,
        kind: EventKind,
        partition: Option<PartitionId>,
        what: String,
        manual: Manual,
    ) {
        self.parts().decisions.explain_order(self.controller(), kind, partition, what, manual);
    }

    /// The node that leads `_cluster`, as far as is known here.
    fn controller(&self) -> Option<NodeId> {
        self.cluster().routes.route(PartitionId::CLUSTER).leader().node
    }

    pub(super) fn explain(&self, what: String) {
        self.explain_as_controller(EventKind::Declaration, what);
    }
}

pub(crate) fn put(
    table: TableId,
    key: DocumentKey,
    value: Document,
    condition: Condition,
) -> Operation {
    operation(table, key, DocumentAction::Put { value }, condition)
}

pub(crate) fn operation(
    table: TableId,
    key: DocumentKey,
    action: DocumentAction,
    condition: Condition,
) -> Operation {
    Operation { table, key, action, condition }
}

#[cfg(test)]
mod tests;
