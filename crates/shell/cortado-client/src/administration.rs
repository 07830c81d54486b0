//! Databases, tables, partitions, nodes, and the journal.
//!
//! Declarations are repeated freely: the same again changes nothing. Start reading at
//! [`Client::create_database`].

use crate::batches::{json_of, parsed};
use crate::client::{Call, Client};
use crate::failure::ClientError;
use crate::path::encoded;
use crate::retry::Repeat;
use cortado_wire::{
    ClusterAnswer, DatabaseAnswer, DatabaseBody, DatabasesAnswer, EventsAnswer, HandoffBody,
    MoveLimitsBody, MoveOrderBody, MovePlanAnswer, MovesAnswer, NodesAnswer, PartitionAnswer,
    PartitionsAnswer, ResolveAnswer, ResolveBody, TableAnswer, TableBody, TablesAnswer,
    UpgradeAnswer, media,
};
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Events of one answer: as many as a server gives.
const EVENTS_MAX: usize = 1_000;

impl Client {
    /// Declares a database; answers whether it is new.
    ///
    /// # Errors
    /// It exists with another declaration, or the declaration breaks a rule.
    pub async fn create_database(
        &self,
        name: &str,
        declaration: &DatabaseBody,
    ) -> Result<(bool, DatabaseAnswer), ClientError> {
        self.declare(database_path(name, ""), declaration).await
    }

    /// All databases.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn databases(&self) -> Result<DatabasesAnswer, ClientError> {
        self.read(format!("{ROOT}/databases")).await
    }

    /// One database, with its tables.
    ///
    /// # Errors
    /// There is no database of that name.
    pub async fn database_declaration(&self, name: &str) -> Result<DatabaseAnswer, ClientError> {
        self.read(database_path(name, "")).await
    }

    /// Drops a database with all of its documents.
    ///
    /// # Errors
    /// There is no database of that name.
    pub async fn drop_database(&self, name: &str) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, database_path(name, ""), Repeat::Harmless);
        self.send(&call).await.map(drop)
    }

    /// Declares a table; answers whether it is new.
    ///
    /// # Errors
    /// It exists with another key, the new schema cannot read what the old one wrote, or the
    /// declaration breaks a rule.
    pub async fn create_table(
        &self,
        database: &str,
        table: &str,
        declaration: &TableBody,
    ) -> Result<(bool, TableAnswer), ClientError> {
        self.declare(table_path(database, table), declaration).await
    }

    /// One table.
    ///
    /// # Errors
    /// There is no such database or table.
    pub async fn table_declaration(
        &self,
        database: &str,
        table: &str,
    ) -> Result<TableAnswer, ClientError> {
        self.read(table_path(database, table)).await
    }

    /// The tables of a database, by name.
    ///
    /// # Errors
    /// There is no database of that name.
    pub async fn tables(&self, database: &str) -> Result<TablesAnswer, ClientError> {
        self.read(database_path(database, "/tables")).await
    }

    /// Drops a table with all of its documents.
    ///
    /// # Errors
    /// There is no such database or table.
    pub async fn drop_table(&self, database: &str, table: &str) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, table_path(database, table), Repeat::Harmless);
        self.send(&call).await.map(drop)
    }

    /// The partitions of a database: leaders, replicas, positions.
    ///
    /// # Errors
    /// There is no database of that name.
    pub async fn partitions(&self, database: &str) -> Result<PartitionsAnswer, ClientError> {
        self.read(database_path(database, "/partitions")).await
    }

    /// Hands the leadership of a partition over, to `to` or to the best other replica.
    ///
    /// Answers how the partition stands afterwards; `None` if its database was dropped meanwhile.
    ///
    /// # Errors
    /// There is no such partition or node, or the node cannot lead it.
    pub async fn hand_off(
        &self,
        database: &str,
        partition: u32,
        to: Option<&str>,
    ) -> Result<Option<PartitionAnswer>, ClientError> {
        let path = database_path(database, &format!("/partitions/{partition}:handoff"));
        // Without a successor named, a second handoff would move the leadership on.
        let repeat = if to.is_some() { Repeat::Harmless } else { Repeat::Risky };
        let body = json_of(&HandoffBody { to: to.map(str::to_owned) })?;
        let call = Call::new(Method::POST, path, repeat).body(media::JSON, body);
        let answer = self.send(&call).await?;
        (!answer.body.is_empty()).then(|| parsed(&answer.body)).transpose()
    }

    /// What each replica of a partition has; with `keep`, and unless `dry_run`, the history of that
    /// node goes on.
    ///
    /// # Errors
    /// There is no such partition or node, it tells no history, or not all is done in time.
    pub async fn resolve_partition(
        &self,
        database: &str,
        partition: u32,
        keep: Option<&str>,
        dry_run: bool,
    ) -> Result<ResolveAnswer, ClientError> {
        let path = database_path(database, &format!("/partitions/{partition}:resolve"));
        let body = json_of(&ResolveBody { keep: keep.map(str::to_owned), dry_run })?;
        let call = Call::new(Method::POST, path, Repeat::Harmless).body(media::JSON, body);
        parsed(&self.send(&call).await?.body)
    }

    /// Undoes handoffs, of one database or of all: leaderships go to the preferred nodes.
    ///
    /// # Errors
    /// There is no database of that name.
    pub async fn rebalance(&self, database: Option<&str>) -> Result<(), ClientError> {
        let path = match database {
            Some(database) => database_path(database, ":rebalance"),
            None => format!("{ROOT}/cluster:rebalance"),
        };
        self.send(&Call::new(Method::POST, path, Repeat::Harmless)).await.map(drop)
    }

    /// Lets a node hand over all that it leads, and lead nothing that another one can.
    ///
    /// # Errors
    /// There is no such node, or no other one is left to lead.
    pub async fn drain_node(&self, node: &str) -> Result<(), ClientError> {
        self.declare_node(node, "drain").await
    }

    /// Ends the drain of a node.
    ///
    /// # Errors
    /// There is no such node.
    pub async fn resume_node(&self, node: &str) -> Result<(), ClientError> {
        self.declare_node(node, "resume").await
    }

    /// The nodes.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn nodes(&self) -> Result<NodesAnswer, ClientError> {
        self.read(format!("{ROOT}/nodes")).await
    }

    /// Which node reads which feature level, and what holds a newer one up.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn upgrade(&self) -> Result<UpgradeAnswer, ClientError> {
        self.read(format!("{ROOT}/upgrade")).await
    }

    /// Lets the newest feature level be used that every node reads.
    ///
    /// # Errors
    /// A node does not read it.
    pub async fn finish_upgrade(&self) -> Result<UpgradeAnswer, ClientError> {
        let call = Call::new(Method::POST, format!("{ROOT}/upgrade:finish"), Repeat::Harmless);
        parsed(&self.send(&call).await?.body)
    }

    /// Kills a node without a shutdown. Development servers only.
    ///
    /// # Errors
    /// There is no such node, it does not run, or the server is no development server.
    pub async fn kill_node(&self, node: &str) -> Result<(), ClientError> {
        self.command_node(node, "kill").await
    }

    /// Starts a node that was killed. Development servers only.
    ///
    /// # Errors
    /// There is no such node, it runs already, or the server is no development server.
    pub async fn start_node(&self, node: &str) -> Result<(), ClientError> {
        self.command_node(node, "start").await
    }

    /// Lets another data directory take over the name of a node that has ended.
    ///
    /// # Errors
    /// There is no such node, or it runs.
    pub async fn replace_node(&self, node: &str) -> Result<(), ClientError> {
        self.declare_node(node, "replace").await
    }

    /// Plans a change of where replicas live, and lets it begin unless `order` only asks.
    ///
    /// # Errors
    /// It cannot be, another one is under way, or the order breaks a rule.
    pub async fn order_moves(&self, order: &MoveOrderBody) -> Result<MovePlanAnswer, ClientError> {
        // Begun twice, the second one is refused: it would hide that the first one was done.
        let repeat = if order.dry_run { Repeat::Harmless } else { Repeat::Risky };
        let call = Call::new(Method::POST, format!("{ROOT}/moves"), repeat);
        let call = call.body(media::JSON, json_of(order)?);
        parsed(&self.send(&call).await?.body)
    }

    /// The changes that are not over, and how far each is.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn moves(&self) -> Result<MovesAnswer, ClientError> {
        self.read(format!("{ROOT}/moves")).await
    }

    /// Lets a change rest where it is.
    ///
    /// # Errors
    /// There is no such change, or it is over.
    pub async fn pause_moves(&self, change: u64) -> Result<(), ClientError> {
        self.declare_change(change, "pause").await
    }

    /// Lets a change go on that was paused.
    ///
    /// # Errors
    /// There is no such change, or it is over or cancelled.
    pub async fn resume_moves(&self, change: u64) -> Result<(), ClientError> {
        self.declare_change(change, "resume").await
    }

    /// Begins nothing more of a change, and ends what was begun where that is nearest.
    ///
    /// # Errors
    /// There is no such change, or it is over.
    pub async fn cancel_moves(&self, change: u64) -> Result<(), ClientError> {
        self.declare_change(change, "cancel").await
    }

    /// Lets a change go on faster, or slower.
    ///
    /// # Errors
    /// There is no such change, or it is over.
    pub async fn throttle_moves(
        &self,
        change: u64,
        limits: &MoveLimitsBody,
    ) -> Result<(), ClientError> {
        let path = format!("{ROOT}/moves/{change}:throttle");
        let call = Call::new(Method::POST, path, Repeat::Harmless);
        self.send(&call.body(media::JSON, json_of(limits)?)).await.map(drop)
    }

    /// Everything about the cluster in one picture.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn cluster(&self) -> Result<ClusterAnswer, ClientError> {
        self.read(format!("{ROOT}/cluster")).await
    }

    /// A part of the journal, oldest first, behind the event with the id `after`.
    ///
    /// # Errors
    /// No answer came in time.
    pub async fn events(&self, after: Option<&str>) -> Result<EventsAnswer, ClientError> {
        let after = after.map(|id| format!("&after={}", encoded(id))).unwrap_or_default();
        self.read(format!("{ROOT}/events?limit={EVENTS_MAX}{after}")).await
    }

    /// A command that does nothing the second time.
    async fn declare_node(&self, node: &str, command: &str) -> Result<(), ClientError> {
        let path = format!("{ROOT}/nodes/{}:{command}", encoded(node));
        self.send(&Call::new(Method::POST, path, Repeat::Harmless)).await.map(drop)
    }

    async fn declare_change(&self, change: u64, command: &str) -> Result<(), ClientError> {
        let path = format!("{ROOT}/moves/{change}:{command}");
        self.send(&Call::new(Method::POST, path, Repeat::Harmless)).await.map(drop)
    }

    async fn command_node(&self, node: &str, command: &str) -> Result<(), ClientError> {
        let path = format!("{ROOT}/nodes/{}:{command}", encoded(node));
        self.send(&Call::new(Method::POST, path, Repeat::Risky)).await.map(drop)
    }

    async fn read<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        parsed(&self.send(&Call::get(path)).await?.body)
    }

    async fn declare<T: DeserializeOwned>(
        &self,
        path: String,
        declaration: &impl Serialize,
    ) -> Result<(bool, T), ClientError> {
        let body = json_of(declaration)?;
        let call = Call::new(Method::PUT, path, Repeat::Harmless).body(media::JSON, body);
        let answer = self.send(&call).await?;
        Ok((answer.status.as_u16() == 201, parsed(&answer.body)?))
    }
}

const ROOT: &str = "/admin/v1";

fn database_path(name: &str, rest: &str) -> String {
    format!("{ROOT}/databases/{}{rest}", encoded(name))
}

fn table_path(database: &str, table: &str) -> String {
    database_path(database, &format!("/tables/{}", encoded(table)))
}
