//! Brokers for a test, or the reason why it cannot have any.

use crate::brokers::{BrokerSettings, KafkaBrokers, Lifetime};
use crate::cache;
use crate::error::BrokersError;
use std::env;

/// Starts brokers that are quick to see a death and end with this process; `None` where there is
/// no Java or no Maven, and the test cannot be run.
///
/// # Panics
/// They do not start; or there is no Java or no Maven, and `CI=true` says that all tests must run.
pub fn brokers_for_test(brokers: u32, clients: u32) -> Option<KafkaBrokers> {
    let must_run = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    let folder = cache::folder().map(|cache| {
        let number = fastrand::u32(..);
        cache.join("tests").join(format!("kafka-{}-{number:08x}", std::process::id()))
    });
    let lifetime = Lifetime::OfThisProcess;
    let settings =
        folder.map(|folder| BrokerSettings { folder, brokers, tuned: true, clients, lifetime });
    match settings.and_then(|settings| KafkaBrokers::start(&settings)) {
        Ok(brokers) => Some(brokers),
        Err(error @ (BrokersError::NotInstalled { .. } | BrokersError::NotFetched { .. }))
            if !must_run =>
        {
            eprintln!("skipped: there are no Kafka brokers here: {error}");
            None
        }
        Err(error) => panic!("brokers for a test: {error}"),
    }
}
