//! How this node and its replicas are.

use super::NodeService;
use cortado_model::DatabaseId;
use cortado_peer::{NodeReport, ReplicaReport};

impl NodeService {
    /// What is wrong with the node, or with the logs of its databases.
    fn sick(&self) -> Option<String> {
        let catalog = self.host.cluster.catalog.newest();
        let name = |id| match catalog.database_by_id(id) {
            Some(database) => database.name.clone(),
            None => "_cluster".to_owned(),
        };
        let health = &self.host.health;
        health.sickness().or_else(|| health.drifts.in_words(name))
    }

    /// Tells how the node is, and its replicas: all of them, or those of one database.
    pub(crate) fn answer_report(&self, database: Option<DatabaseId>) -> NodeReport {
        let now = self.host.clock.steady();
        let wanted = |of: DatabaseId| database.is_none_or(|database| database == of);
        let replicas = self.host.routes.replicas().into_iter();
        let replicas = replicas.filter(|replica| wanted(replica.partition.database));
        let report = |replica: std::sync::Arc<crate::replica_handle::ReplicaHandle>| {
            let known = replica.known_end();
            let end = self.host.log.local_end(replica.partition).unwrap_or(known).max(known);
            let (progress, behind_ms) = (replica.progress(), replica.behind_ms(now));
            let (unverified, feature_level) = (replica.is_unverified(), replica.feature_level());
            ReplicaReport { progress, end, behind_ms, unverified, feature_level }
        };
        NodeReport {
            incarnation: self.host.me().incarnation,
            address: self.host.settings.address.clone(),
            sick: self.sick(),
            fit: self.host.health.is_fit(),
            replicas: replicas.map(report).collect(),
        }
    }
}
