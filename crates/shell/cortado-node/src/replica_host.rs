//! What a node's replicas stand on: its log, its store, its clock, and the way to its peers.
//!
//! Holds, and decides nothing. Start reading at [`ReplicaHost`].

use crate::changed_replicas::ChangedReplicas;
use crate::clock::Clock;
use crate::copies::Copies;
use crate::effort::Effort;
use crate::health::Health;
use crate::life_standing::standing;
use crate::local_routes::LocalRoutes;
use crate::log_time::LogTime;
use crate::metrics::NodeMetrics;
use crate::request_reach::RequestReach;
use crate::settings::Settings;
use crate::store_factory::StoreFactory;
use crate::tasks::{Life, Tasks};
use cortado_cluster::{Eligibility, LifeRefusal, LifeStanding, NodeLife};
use cortado_driver::FoldedLeadership;
use cortado_gateway::{Catalog, Decisions, KnownCluster, NotReady};
use cortado_lanes::StoreLanes;
use cortado_log::{Beats, Log};
use cortado_model::{Millis, NodeId, PartitionId};
use cortado_peer::{Gossip, PeerProgress, Peers, ReplicaProgress};
use cortado_store::Store;
use std::sync::{Arc, OnceLock};

/// One life of a node, as its replicas see it.
pub(crate) struct ReplicaHost {
    pub(crate) life: Life,
    pub(crate) duty: Duty,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) beats: Arc<dyn Beats>,
    /// For tasks that may block, and for what the store does inline.
    pub(crate) store: Arc<dyn Store>,
    /// Where it comes from, and where snapshots for it arrive.
    pub(crate) stores: Arc<dyn StoreFactory>,
    /// Its threads.
    pub(crate) lanes: Arc<StoreLanes>,
    pub(crate) clock: Clock,
    /// What records and leases go by.
    pub(crate) log_time: LogTime,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) health: Health,
    pub(crate) effort: Effort,
    pub(crate) copies: Copies,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) cluster: Arc<KnownCluster>,
    pub(crate) routes: LocalRoutes,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) progress: PeerProgress,
    /// What this life hears of others, once it goes among them; never where nodes do not gossip.
    pub(crate) gossip: OnceLock<Arc<dyn Gossip>>,
    /// Which nodes its requests reach.
    pub(crate) reach: Arc<RequestReach>,
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
    /// Whether neither this node has room nor, as they tell, any other with a replica of a
    /// partition.
    pub(crate) fn none_has_room(&self, told: &[(NodeId, ReplicaProgress)]) -> bool {
        self.health.room.is_missing() && told.iter().all(|(_, told)| !told.has_room)
    }

    pub(crate) fn me(&self) -> &NodeLife {
        &self.life.me
    }

    pub(crate) fn node(&self) -> NodeId {
        self.life.me.node
    }

    /// What people call this node.
    pub(crate) fn name(&self) -> String {
        self.settings.name_of(self.node())
    }

    /// How this life stands to what it has folded of `_cluster`.
    pub(crate) fn standing(&self) -> LifeStanding {
        self.standing_in(&self.cluster.catalog.newest())
    }

    /// How this life stands to what `catalog` says of the node, and of its name.
    pub(crate) fn standing_in(&self, catalog: &Catalog) -> LifeStanding {
        let (needed, own) = (catalog.feature_level(), u32::from(self.settings.feature_level()));
        if needed > own {
            return LifeStanding::Refused(LifeRefusal::TooOld { needed, own });
        }
        let registered = catalog.node(self.node());
        let holder = catalog.node_named(&self.name());
        standing(registered.or(holder.filter(|holder| !holder.removed)), self.me())
    }

    /// Whether this life has registered, and its replicas serve or follow.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn check_ready(&self) -> Result<(), NotReady> {
        let catalog = self.cluster.catalog.newest();
        if self.standing_in(&catalog) != LifeStanding::Registered {
            return Err(NotReady::Unregistered);
        }
        let placed = catalog.placements().filter(|(_, nodes)| nodes.contains(&self.node()));
        let is_idle = |partition: &PartitionId| {
            let replica = self.routes.route(*partition).replica();
            !replica.is_some_and(|replica| replica.role().is_readable())
        };
        let own = placed.map(|(partition, _)| partition).chain([PartitionId::CLUSTER]);
        match own.filter(is_idle).count() {
            0 => Ok(()),
            replicas => Err(NotReady::ReplicasNotReady { replicas }),
        }
    }

    /// Whether this node may claim `partition`, for whatever reason.
    ///
    /// * `shown`: who leads now.
    pub(crate) fn may_claim(&self, partition: PartitionId, shown: &FoldedLeadership) -> bool {
        let node = Eligibility {
            is_member: self.duty == Duty::Member && !self.health.is_leaving(),
            standing: self.standing(),
            gives_way: self.gives_way_until(shown).is_some(),
        };
        node.may_claim(partition)
    }

    /// Until when this node leaves a leadership alone for a newer life of its own.
    ///
    /// * `shown`: who leads now.
    pub(crate) fn gives_way_until(&self, shown: &FoldedLeadership) -> Option<Millis> {
        let until = self.me().gives_way_until(shown.leader, shown.since);
        until.filter(|until| self.clock.steady() < *until)
    }

    /// One more replica waits for the store to have room, or one less. That concerns all of them,
    /// and most have no other reason to tell.
    pub(crate) fn show_waiting(&self, waits: bool) {
        if self.health.room.show_waiting(waits) {
            self.routes.replicas().iter().for_each(|replica| replica.show_room());
        }
    }

    /// Room is getting short, or no longer.
    pub(crate) fn show_low(&self, low: bool) {
        if self.health.room.show_low(low) {
            self.routes.replicas().iter().for_each(|replica| replica.show_room());
        }
    }

    /// How many replicas `partition` should have.
    pub(crate) fn replica_count(&self, partition: PartitionId) -> usize {
        match self.cluster.placed(partition).len() {
            // Not in the catalog yet: there may be another replica to compare with.
            0 => 2,
            placed => placed,
        }
    }
}
