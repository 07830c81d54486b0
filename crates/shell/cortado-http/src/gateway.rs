//! The gateway of `cortado-gateway` as the services behind the API.
//!
//! Passes every request on as it is. Start reading at [`Services`].

use crate::services::{BatchItem, BoxFuture, ChangeFeed, NodeControl, OwnHealth, Services};
use cortado_document::TableDefinition;
use cortado_gateway::{
    AdminError, BulkRequest, Catalog, ChangeOrder, ChangePlan, ChangeReader, ChangeStatus, Changes,
    ChangesError, Database, DatabaseSpec, DecisionEvent, Declared, DocumentPage, EventsError,
    Gateway, JournalPosition, ListRequest, NotReady, ReadError, ReadOptions, ReplicaHistory,
    ScanPage, ScanRequest, Served, Status, StoredDocument, Table, UpgradeStatus, WriteError,
    WriteReceipt, WriteRequest,
};
use cortado_model::{DocumentKey, NodeId, PartitionId, Scn, TableId};
use cortado_node::{ChangeId, ChangeState, MoveLimits, NodeError, Nodes};
use std::sync::Arc;
use tokio::time::Instant;

impl Services for Gateway {
    fn catalog(&self) -> Arc<Catalog> {
        Gateway::catalog(self)
    }

    fn confirmed_catalog(
        &self,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Arc<Catalog>, AdminError>> {
        Box::pin(Gateway::confirmed_catalog(self, deadline))
    }

    fn get<'a>(
        &'a self,
        database: &'a Database,
        table: &'a Table,
        key: &'a DocumentKey,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<Served<Option<StoredDocument>>, ReadError>> {
        Box::pin(Gateway::get(self, database, table, key, read))
    }

    fn batch_get<'a>(
        &'a self,
        database: &'a Database,
        keys: &'a [(TableId, DocumentKey)],
        at_least: &'a (dyn Fn(u32) -> Option<Scn> + Send + Sync),
        bytes_max: usize,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Vec<BatchItem>> {
        Box::pin(Gateway::batch_get(self, database, keys, at_least, bytes_max, read))
    }

    fn list<'a>(
        &'a self,
        database: &'a Database,
        table: &'a Table,
        list: &'a ListRequest,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<Served<DocumentPage>, ReadError>> {
        Box::pin(Gateway::list(self, database, table, list, read))
    }

    fn scan<'a>(
        &'a self,
        database: &'a Database,
        table: &'a Table,
        scan: &'a ScanRequest,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<ScanPage, ReadError>> {
        Box::pin(Gateway::scan(self, database, table, scan, read))
    }

    fn write<'a>(
        &'a self,
        database: &'a Arc<Database>,
        request: WriteRequest,
    ) -> BoxFuture<'a, Result<WriteReceipt, WriteError>> {
        Box::pin(Gateway::write(self, database, request))
    }

    fn bulk<'a>(
        &'a self,
        database: &'a Arc<Database>,
        request: BulkRequest,
    ) -> BoxFuture<'a, Vec<Result<WriteReceipt, WriteError>>> {
        Box::pin(Gateway::bulk(self, database, request))
    }

    fn changes<'a>(
        &'a self,
        database: &'a Database,
        partition: u32,
        since: Scn,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Box<dyn ChangeFeed>, ChangesError>> {
        Box::pin(async move {
            let reader = Gateway::changes(self, database, partition, since, deadline).await?;
            Ok(Box::new(reader) as Box<dyn ChangeFeed>)
        })
    }

    fn dropped<'a>(&'a self, database: &'a Database) -> BoxFuture<'a, ()> {
        Box::pin(Gateway::dropped(self, database))
    }

    fn create_database<'a>(
        &'a self,
        name: &'a str,
        spec: DatabaseSpec,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Declared<Arc<Database>>, AdminError>> {
        Box::pin(Gateway::create_database(self, name, spec, deadline))
    }

    fn drop_database<'a>(
        &'a self,
        name: &'a str,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(Gateway::drop_database(self, name, deadline))
    }

    fn put_table<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        definition: TableDefinition,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Declared<Arc<Table>>, AdminError>> {
        Box::pin(Gateway::put_table(self, database, table, definition, deadline))
    }

    fn drop_table<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(Gateway::drop_table(self, database, table, deadline))
    }

    fn hand_off<'a>(
        &'a self,
        database: &'a Database,
        partition: u32,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(Gateway::hand_off(self, database, partition, to, deadline))
    }

    fn histories(&self, partition: PartitionId) -> BoxFuture<'_, Vec<ReplicaHistory>> {
        Box::pin(Gateway::histories(self, partition))
    }

    fn resolve(
        &self,
        partition: PartitionId,
        keep: NodeId,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(Gateway::resolve(self, partition, keep, deadline))
    }

    fn rebalance<'a>(
        &'a self,
        database: Option<&'a Database>,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        Box::pin(Gateway::rebalance(self, database, deadline))
    }

    fn drain_node(&self, node: NodeId, deadline: Instant) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(Gateway::drain_node(self, node, deadline))
    }

    fn resume_node(
        &self,
        node: NodeId,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(Gateway::resume_node(self, node, deadline))
    }

    fn order_change<'a>(
        &'a self,
        order: &'a ChangeOrder,
        begins: bool,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<ChangePlan, AdminError>> {
        match begins {
            true => Box::pin(Gateway::begin_change(self, order, deadline)),
            false => Box::pin(Gateway::plan_change(self, order, deadline)),
        }
    }

    fn set_change_state(
        &self,
        id: ChangeId,
        state: ChangeState,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>> {
        let done = Gateway::set_change_state(self, id, state, deadline);
        Box::pin(async move { done.await.map(drop) })
    }

    fn throttle_change<'a>(
        &'a self,
        id: ChangeId,
        throttle: &'a (dyn Fn(&mut MoveLimits) + Send + Sync),
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>> {
        let done = Gateway::throttle_change(self, id, throttle, deadline);
        Box::pin(async move { done.await.map(drop) })
    }

    fn changes_status(&self) -> BoxFuture<'_, Vec<ChangeStatus>> {
        Box::pin(Gateway::changes_status(self))
    }

    fn events<'a>(
        &'a self,
        after: Option<&'a JournalPosition>,
        limit: usize,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Vec<DecisionEvent>, EventsError>> {
        Box::pin(Gateway::events(self, after, limit, deadline))
    }

    fn replace_node(
        &self,
        node: NodeId,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>> {
        Box::pin(Gateway::replace_node(self, node, deadline))
    }

    fn upgrade(
        &self,
        finish: bool,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<UpgradeStatus, AdminError>> {
        if finish {
            return Box::pin(Gateway::finish_upgrade(self, deadline));
        }
        Box::pin(async { Ok(Gateway::upgrade_status(self).await) })
    }

    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(Gateway::status(self))
    }

    fn ready(&self) -> BoxFuture<'_, Result<Vec<String>, NotReady>> {
        Box::pin(Gateway::ready(self))
    }
}

impl OwnHealth for Nodes {
    fn ready(&self) -> Result<Vec<String>, NotReady> {
        Nodes::ready(self)
    }

    fn warnings(&self) -> Vec<String> {
        Nodes::warnings(self)
    }
}

impl NodeControl for Nodes {
    fn kill(&self, node: NodeId) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(Nodes::kill(self, node))
    }

    fn start(&self, node: NodeId) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(Nodes::start(self, node))
    }
}

impl ChangeFeed for ChangeReader {
    fn next(&mut self, wait_until: Instant) -> BoxFuture<'_, Result<Changes, ChangesError>> {
        Box::pin(ChangeReader::next(self, wait_until))
    }
}
