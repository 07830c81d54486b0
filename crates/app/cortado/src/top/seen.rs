//! What has been seen of a cluster, look after look.
//!
//! Start reading at [`Seen::look`].

use super::rates::Rates;
use crate::decisions::Latest;
use crate::failure::Failure;
use cortado_client::Client;
use cortado_wire::ClusterAnswer;
use serde_json::json;
use std::time::Instant;

/// Decisions that are kept: as many as a large terminal shows.
const DECISIONS: usize = 20;

/// What has been seen, and when.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) cluster: Option<(ClusterAnswer, Instant)>,
    pub(super) rates: Rates,
    pub(super) decisions: Latest,
    /// Since when no server answers, and what the last attempt met.
    pub(super) lost: Option<(Instant, String)>,
}

impl Seen {
    /// Looks once more.
    ///
    /// # Errors
    /// No server answered; what was seen before stays.
    pub(super) async fn look(&mut self, client: &Client) -> Result<(), Failure> {
        let cluster = client.cluster().await?;
        let now = Instant::now();
        self.rates.add(&cluster, now);
        self.cluster = Some((cluster, now));
        self.lost = None;
        Ok(())
    }

    /// Reads what was decided since the last look. Those that cannot be read now are read later:
    /// the journal may have no leader while the rest is seen well.
    pub(super) async fn read_decisions(&mut self, client: &Client) {
        let _ = self.decisions.refresh(client, DECISIONS).await;
    }

    /// No server answered.
    pub(super) fn lose(&mut self, why: &str) {
        let since = self.lost.take().map_or_else(Instant::now, |(since, _)| since);
        self.lost = Some((since, why.to_owned()));
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        json!({
            "cluster": self.cluster.as_ref().map(|(cluster, _)| cluster),
            "transactions_per_second": self.rates.by_database(),
            "decisions": self.decisions.lines().collect::<Vec<_>>(),
        })
    }
}
