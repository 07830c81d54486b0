//! What a node's replicas stand on: its log, its store, its clock, and the way to its peers.
//!
//! Holds, and decides nothing. Start reading at [`ReplicaHost`].

use crate::catalog::Catalog;
use crate::changed_replicas::ChangedReplicas;
use crate::clock::Clock;
use crate::decisions::Decisions;
use crate::effort::Effort;
use crate::folded_catalog::FoldedCatalog;
use crate::health::Health;
use crate::life_standing::standing;
use crate::log_time::LogTime;
use crate::metrics::NodeMetrics;
use crate::routes::Routes;
use crate::settings::Settings;
use crate::tasks::{Life, Tasks};
use cortado_cluster::{LifeStanding, NodeLife};
use cortado_driver::Leadership;
use cortado_lanes::StoreLanes;
use cortado_log::{Beats, Log};
use cortado_model::{Millis, NodeId, PartitionId};
use cortado_peer::{PeerProgress, Peers};
use cortado_store::Store;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One life of a node, as its replicas see it.
pub(crate) struct ReplicaHost {
    pub(crate) life: Life,
    pub(crate) duty: Duty,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) beats: Arc<dyn Beats>,
    /// For who may block, and for what the store does inline.
    pub(crate) store: Arc<dyn Store>,
    /// Its threads.
    pub(crate) lanes: Arc<StoreLanes>,
    pub(crate) clock: Clock,
    /// What records and leases go by.
    pub(crate) log_time: LogTime,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) health: Health,
    pub(crate) effort: Effort,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) catalog: FoldedCatalog,
    pub(crate) routes: Routes,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) progress: PeerProgress,
    pub(crate) decisions: Decisions,
    /// The replicas that show something new.
    pub(crate) changed: Arc<ChangedReplicas>,
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It holds replicas that count, and may lead.
    Member,
    /// It follows `_cluster` to know where requests go, and counts nowhere.
    Router,
}

impl ReplicaHost {
    pub(crate) fn me(&self) -> &NodeLife {
        &self.life.me
    }

    pub(crate) fn node(&self) -> NodeId {
        self.life.me.node
    }

    /// How this life stands to what it has folded of `_cluster`.
    pub(crate) fn standing(&self) -> LifeStanding {
        self.standing_in(&self.catalog.newest())
    }

    /// How this life stands to what `catalog` says of the node.
    pub(crate) fn standing_in(&self, catalog: &Catalog) -> LifeStanding {
        standing(catalog.nodes.get(&self.node()), self.me())
    }

    /// Until when this node leaves a leadership alone for a newer life of its own.
    ///
    /// * `shown`: who leads now.
    pub(crate) fn gives_way_until(&self, shown: &Leadership) -> Option<Millis> {
        let until = self.me().gives_way_until(shown.leader, shown.since);
        until.filter(|until| self.clock.steady() < *until)
    }

    /// The nodes that `partition` is placed on, in order of rank.
    pub(crate) fn placed(&self, partition: PartitionId) -> Vec<NodeId> {
        let catalog = self.catalog.newest();
        if partition != PartitionId::CLUSTER {
            let database = catalog.database_by_id(partition.database);
            let placed = database.map(|database| database.placement(partition.number).to_vec());
            return placed.unwrap_or_default();
        }
        // The members, and this node, whose accepted claim is its registration.
        let mut nodes: BTreeSet<NodeId> = catalog.members().collect();
        if nodes.is_empty() {
            // A new cluster: these are about to register.
            nodes.extend(self.settings.nodes());
        }
        if self.duty == Duty::Member {
            nodes.insert(self.node());
        }
        nodes.into_iter().collect()
    }

    /// How many replicas `partition` should have.
    pub(crate) fn replica_count(&self, partition: PartitionId) -> usize {
        match self.placed(partition).len() {
            // A partition that the catalog does not know yet is compared by nobody alone.
            0 => 2,
            placed => placed,
        }
    }
}
