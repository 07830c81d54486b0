//! The real data of the demonstration: some thousand places of the world.
//!
//! Source: sample/ATTRIBUTION.md. Start reading at [`load`].

use super::ledger::Ledger;
use super::schema::{DATABASE, PARTITIONS, PLACES, VISITS};
use super::stage::Stage;
use crate::failure::Failure;
use crate::output::counted;
use cortado_client::{Client, WriteOptions};
use cortado_wire::{DatabaseBody, OperationBody, OperationKind, TableBody};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SAMPLE: &str = include_str!("../../sample/places.ndjson");
/// Names of the key's parts, in both tables.
const KEY: [&str; 3] = ["country", "admin1", "name"];
/// Operations of one transaction.
const GROUP: usize = 200;
/// Countries that are loaded at once.
const AT_ONCE: usize = 8;
/// How long the partitions may take to be led.
const LEADERS_MAX: Duration = Duration::from_secs(20);

/// One line of the sample.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    country: Cow<'a, str>,
    #[serde(borrow)]
    admin1: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Makes the database, fills it, says so, and waits for its leaders; what is in it.
pub(super) async fn prepare(client: &Client, stage: &Stage) -> Result<Arc<Ledger>, Failure> {
    declare(client).await?;
    let (documents, seconds) = load(client).await?;
    stage.fact(&format!(
        "{} of real data stored in {seconds:.1} s (GeoNames, CC BY 4.0)",
        counted(documents, "document")
    ))?;
    let ledger = Arc::new(Ledger::of_places(client).await?);
    await_leaders(client).await?;
    Ok(ledger)
}

/// Declares the database and its two tables.
async fn declare(client: &Client) -> Result<(), Failure> {
    let body = DatabaseBody { partitions: Some(PARTITIONS), ..DatabaseBody::default() };
    client.create_database(DATABASE, &body).await?;
    for table in [PLACES, VISITS] {
        let key = KEY.map(str::to_owned).to_vec();
        let body = TableBody { key, ..TableBody::default() };
        client.create_table(DATABASE, table, &body).await?;
    }
    Ok(())
}

/// Stores the sample; answers how many documents, and in how many seconds.
async fn load(client: &Client) -> Result<(u64, f64), Failure> {
    let begun = Instant::now();
    let mut loading = JoinSet::new();
    let mut documents = 0;
    // The sample is in the order of countries, which are the resources.
    for group in groups()? {
        documents += group.len() as u64;
        while loading.len() >= AT_ONCE {
            loading.join_next().await.expect("not empty").expect("loading does not panic")?;
        }
        loading.spawn(store(client.clone(), group));
    }
    while let Some(stored) = loading.join_next().await {
        stored.expect("loading does not panic")?;
    }
    Ok((documents, begun.elapsed().as_secs_f64()))
}

/// Neighbours of one country, at most [`GROUP`] of them together.
fn groups() -> Result<Vec<Vec<(Place<'static>, &'static RawValue)>>, Failure> {
    let mut groups: Vec<Vec<(Place<'static>, &'static RawValue)>> = Vec::new();
    for line in SAMPLE.lines() {
        let place: Place<'static> = serde_json::from_str(line).map_err(Failure::new)?;
        let value: &'static RawValue = serde_json::from_str(line).map_err(Failure::new)?;
        let last = groups
            .last_mut()
            .filter(|group| group.len() < GROUP && group[0].0.country == place.country);
        match last {
            Some(group) => group.push((place, value)),
            None => groups.push(vec![(place, value)]),
        }
    }
    Ok(groups)
}

async fn store(
    client: Client,
    group: Vec<(Place<'static>, &'static RawValue)>,
) -> Result<(), Failure> {
    let operations = group.into_iter().map(|(place, value)| OperationBody {
        op: OperationKind::Put,
        table: Cow::Borrowed(PLACES),
        key: vec![place.country, place.admin1, place.name],
        value: Some(value),
        if_match: None,
        if_none_match: None,
    });
    let key = format!("sample-{:016x}", fastrand::u64(..));
    let write = WriteOptions { idempotency_key: Some(&key), ..WriteOptions::default() };
    client.database(DATABASE).transact(operations.collect(), &write).await?;
    Ok(())
}

/// Waits until every partition is led by the node that should lead it.
async fn await_leaders(client: &Client) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let partitions = client.partitions(DATABASE).await?.partitions;
        let is_settled = partitions
            .iter()
            .all(|partition| partition.leader.is_some() && partition.leader == partition.preferred);
        // Where the leaders are is for the eye: the audit does not need it.
        if is_settled || begun.elapsed() > LEADERS_MAX {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_sample_has_no_document_twice() {
        let mut keys = BTreeSet::new();
        for (place, _) in groups().expect("the sample is JSON").into_iter().flatten() {
            let parts = [place.country, place.admin1, place.name];
            assert!(parts.iter().all(|part| !part.is_empty()), "{parts:?}");
            assert!(keys.insert(parts.clone()), "{parts:?}");
        }
        assert_eq!(keys.len(), SAMPLE.lines().count());
        assert!(keys.len() > 3_000);
    }
}
