//! What must be so before a log or beats can be used.

use crate::cluster_admin::ClusterAdmin;
use crate::open_error::KafkaOpenError;
use crate::settings::KafkaSettings;

/// Looks whether there are enough brokers for the replicas that are demanded.
pub(crate) async fn require_brokers(
    admin: &ClusterAdmin,
    settings: &KafkaSettings,
) -> Result<Vec<i32>, KafkaOpenError> {
    let brokers = admin.brokers().await.map_err(|source| KafkaOpenError::Unreachable {
        bootstrap_servers: settings.bootstrap_servers.clone(),
        source,
    })?;
    let wanted = usize::from(settings.replication_factor);
    if brokers.len() < wanted {
        return Err(KafkaOpenError::TooFewBrokers { brokers: brokers.len(), wanted });
    }
    Ok(brokers)
}
