//! What the API asks of whatever stands behind it: a node, or anything else that knows where the
//! replicas are.
//!
//! Knows no HTTP: requests and answers are those of `cortado-gateway`. Start reading at
//! [`Services`].

use cortado_document::TableDefinition;
use cortado_gateway::{
    AdminError, BulkRequest, Catalog, ChangeOrder, ChangePlan, ChangeStatus, Changes, ChangesError,
    Database, DatabaseSpec, DecisionEvent, Declared, DocumentPage, EventsError, JournalPosition,
    ListRequest, NotReady, ReadError, ReadOptions, ReplicaHistory, ScanPage, ScanRequest, Served,
    Status, StoredDocument, Table, UpgradeStatus, WriteError, WriteReceipt, WriteRequest,
};
use cortado_model::{DocumentKey, NodeId, PartitionId, Scn, TableId};
use cortado_node::{ChangeId, ChangeState, MoveLimits, NodeError};
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::Instant;

/// An answer to come.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One document of a batch; `None` if it was not read.
pub(crate) type BatchItem = Option<Result<Served<Option<StoredDocument>>, ReadError>>;

/// Serves documents and administers the cluster for the handlers of the API.
///
/// Databases and tables come from [`catalog`](Self::catalog). Dropping a [`BoxFuture`] ends the
/// wait; a write that has begun may still take effect.
pub trait Services: Send + Sync {
    /// The newest state of the cluster that is known here, every declaration that was answered
    /// here included.
    fn catalog(&self) -> Arc<Catalog>;

    /// The state of the cluster with every declaration that was answered anywhere before.
    fn confirmed_catalog(
        &self,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Arc<Catalog>, AdminError>>;

    /// Reads a document.
    fn get<'a>(
        &'a self,
        database: &'a Database,
        table: &'a Table,
        key: &'a DocumentKey,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<Served<Option<StoredDocument>>, ReadError>>;

    /// Reads many documents: one result for each key, in the same order; `None` for those that were
    /// not read, since the others reach `bytes_max` without them.
    ///
    /// * `at_least`: what the client has seen of a partition.
    fn batch_get<'a>(
        &'a self,
        database: &'a Database,
        keys: &'a [(TableId, DocumentKey)],
        at_least: &'a (dyn Fn(u32) -> Option<Scn> + Send + Sync),
        bytes_max: usize,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Vec<BatchItem>>;

    /// Reads a page of a collection, all at one SCN.
    fn list<'a>(
        &'a self,
        database: &'a Database,
        table: &'a Table,
        list: &'a ListRequest,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<Served<DocumentPage>, ReadError>>;

    /// Reads a page of a whole table, partition after partition.
    fn scan<'a>(
        &'a self,
        database: &'a Database,
        table: &'a Table,
        scan: &'a ScanRequest,
        read: &'a ReadOptions,
    ) -> BoxFuture<'a, Result<ScanPage, ReadError>>;

    /// Carries out all operations of a request, or none.
    fn write<'a>(
        &'a self,
        database: &'a Arc<Database>,
        request: WriteRequest,
    ) -> BoxFuture<'a, Result<WriteReceipt, WriteError>>;

    /// Carries out each operation of a request for itself: one result for each, in their order.
    fn bulk<'a>(
        &'a self,
        database: &'a Arc<Database>,
        request: BulkRequest,
    ) -> BoxFuture<'a, Vec<Result<WriteReceipt, WriteError>>>;

    /// Opens the changes of a partition after `since`; [`Scn::ZERO`] is from the beginning.
    fn changes<'a>(
        &'a self,
        database: &'a Database,
        partition: u32,
        since: Scn,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Box<dyn ChangeFeed>, ChangesError>>;

    /// Waits until `database` is no longer declared.
    fn dropped<'a>(&'a self, database: &'a Database) -> BoxFuture<'a, ()>;

    /// Creates a database, or finds that it is so already.
    fn create_database<'a>(
        &'a self,
        name: &'a str,
        spec: DatabaseSpec,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Declared<Arc<Database>>, AdminError>>;

    /// Drops a database and everything in it.
    fn drop_database<'a>(
        &'a self,
        name: &'a str,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>>;

    /// Creates a table, or gives it a wider schema.
    fn put_table<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        definition: TableDefinition,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Declared<Arc<Table>>, AdminError>>;

    /// Drops a table and its documents.
    fn drop_table<'a>(
        &'a self,
        database: &'a str,
        table: &'a str,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>>;

    /// Gives the leadership of a partition to another replica, where it stays; to any one without
    /// `to`.
    fn hand_off<'a>(
        &'a self,
        database: &'a Database,
        partition: u32,
        to: Option<NodeId>,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>>;

    /// What each replica of a partition has.
    fn histories(&self, partition: PartitionId) -> BoxFuture<'_, Vec<ReplicaHistory>>;

    /// Lets the history of one replica go on.
    fn resolve(
        &self,
        partition: PartitionId,
        keep: NodeId,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>>;

    /// Lets leaderships go to the nodes that the placements prefer: of one database, or all.
    fn rebalance<'a>(
        &'a self,
        database: Option<&'a Database>,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>>;

    /// Lets a node lead nothing that another one can.
    fn drain_node(&self, node: NodeId, deadline: Instant) -> BoxFuture<'_, Result<(), AdminError>>;

    /// Ends the drain of a node.
    fn resume_node(&self, node: NodeId, deadline: Instant)
    -> BoxFuture<'_, Result<(), AdminError>>;

    /// What a change of where replicas live would move; `begins`: lets it begin, too.
    fn order_change<'a>(
        &'a self,
        order: &'a ChangeOrder,
        begins: bool,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<ChangePlan, AdminError>>;

    /// Pauses, resumes or cancels a change.
    fn set_change_state(
        &self,
        id: ChangeId,
        state: ChangeState,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>>;

    /// Lets a change go on faster, or slower.
    fn throttle_change<'a>(
        &'a self,
        id: ChangeId,
        throttle: &'a (dyn Fn(&mut MoveLimits) + Send + Sync),
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), AdminError>>;

    /// The changes that are not over, and how far each is.
    fn changes_status(&self) -> BoxFuture<'_, Vec<ChangeStatus>>;

    /// Reads the journal behind the event `after`.
    fn events<'a>(
        &'a self,
        after: Option<&'a JournalPosition>,
        limit: usize,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Vec<DecisionEvent>, EventsError>>;

    /// Lets another data directory take over a node's name.
    fn replace_node(
        &self,
        node: NodeId,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<(), AdminError>>;

    /// Which feature level is used, and what holds a newer one up.
    ///
    /// * `finish`: use the newest one that every node reads.
    fn upgrade(
        &self,
        finish: bool,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<UpgradeStatus, AdminError>>;

    /// Nodes, partitions and replicas as they are now.
    fn status(&self) -> BoxFuture<'_, Status>;

    /// Whether every partition is served, and what is wrong with nodes all the same.
    ///
    /// # Errors
    /// What is missing.
    fn ready(&self) -> BoxFuture<'_, Result<Vec<String>, NotReady>>;
}

/// Ends and starts the nodes of this process, for development mode.
pub trait NodeControl: Send + Sync {
    /// Ends a node without a shutdown.
    fn kill(&self, node: NodeId) -> BoxFuture<'_, Result<(), NodeError>>;

    /// Starts a killed node again.
    fn start(&self, node: NodeId) -> BoxFuture<'_, Result<(), NodeError>>;
}

/// What a server is given of the nodes of its process: see `Options`.
pub(crate) type NodesHere = (Option<Arc<dyn NodeControl>>, Option<Arc<dyn OwnHealth>>);

/// How the process itself is, where it is one node of many.
pub trait OwnHealth: Send + Sync {
    /// Whether it serves what it should; what is wrong all the same.
    ///
    /// # Errors
    /// What is missing.
    fn ready(&self) -> Result<Vec<String>, NotReady>;

    /// What the operator has allowed and should not forget.
    fn warnings(&self) -> Vec<String>;
}

/// The committed transactions of a partition, in order.
pub trait ChangeFeed: Send {
    /// The next transactions; waits for one until `wait_until`, which may be in the past.
    ///
    /// Dropping the future loses nothing.
    fn next(&mut self, wait_until: Instant) -> BoxFuture<'_, Result<Changes, ChangesError>>;
}
