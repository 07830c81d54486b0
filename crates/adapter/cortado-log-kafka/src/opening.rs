//! What must be so before a log or beats can be used.

use crate::cluster_admin::ClusterAdmin;
use crate::open_error::KafkaOpenError;
use crate::settings::KafkaSettings;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The brokers that live: at least as many as an append needs. One that is down keeps no node from
/// starting; where a topic is made, there must be one for each replica.
pub(crate) async fn require_brokers(
    admin: &ClusterAdmin,
    settings: &KafkaSettings,
) -> Result<Vec<i32>, KafkaOpenError> {
    let until = Instant::now() + settings.call_timeout;
    let brokers = loop {
        let brokers = admin.brokers().await.map_err(|source| KafkaOpenError::Unreachable {
            bootstrap_servers: settings.bootstrap_servers.clone(),
            source,
        })?;
        // A broker that has just started knows of none, not even of itself.
        if !brokers.is_empty() || Instant::now() > until {
            break brokers;
        }
        sleep(LOOK_EVERY).await;
    };
    demand(&brokers, settings.min_insync_replicas)?;
    Ok(brokers)
}

/// # Errors
/// These are fewer brokers than `wanted`.
pub(crate) fn demand(brokers: &[i32], wanted: u16) -> Result<(), KafkaOpenError> {
    let (brokers, wanted) = (brokers.len(), usize::from(wanted));
    if brokers < wanted { Err(KafkaOpenError::TooFewBrokers { brokers, wanted }) } else { Ok(()) }
}

/// The longest session that any broker has with the controllers.
///
/// # Errors
/// A broker cannot be asked, or does not tell.
pub(crate) async fn longest_session(admin: &ClusterAdmin) -> io::Result<Duration> {
    let mut longest = Duration::ZERO;
    for broker in admin.brokers().await? {
        let told = admin.broker_setting(broker, SESSION_TIMEOUT).await?;
        let told = told.and_then(|told| told.parse().ok()).map(Duration::from_millis);
        let untold = || io::Error::other(format!("broker {broker} tells no {SESSION_TIMEOUT}"));
        longest = longest.max(told.ok_or_else(untold)?);
    }
    Ok(longest)
}

const SESSION_TIMEOUT: &str = "broker.session.timeout.ms";
