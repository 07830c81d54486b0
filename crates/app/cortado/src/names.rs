//! What a shell completes from the server: names of databases, tables, partitions and nodes.
//!
//! Says nothing where there is no server: whoever presses Tab waits for an answer. Start reading at
//! [`databases`].

use crate::server_arguments::{block_on, url_default};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use cortado_client::{Client, ClientError, Timeouts};
use std::env;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// For a name, longer than this is too long.
const PATIENCE: Duration = Duration::from_secs(1);

/// `DB`
pub(crate) fn databases() -> ArgValueCompleter {
    completer(|client, _| block_on(async { Ok(names_of_databases(&client).await?) }).ok())
}

/// `DB/TABLE`
pub(crate) fn tables() -> ArgValueCompleter {
    completer(|client, current| below_database(&client, current, ""))
}

/// `DB/TABLE/KEY…`: what stands before the key.
pub(crate) fn documents() -> ArgValueCompleter {
    completer(|client, current| below_database(&client, current, "/"))
}

/// `DB/NUMBER`
pub(crate) fn partitions() -> ArgValueCompleter {
    completer(|client, current| {
        let Some((database, _)) = current.split_once('/') else { return scopes(&client) };
        let declared = block_on(async { Ok(client.database_declaration(database).await?) }).ok()?;
        let partitions = 0..declared.partitions;
        Some(partitions.map(|partition| format!("{database}/{partition}")).collect())
    })
}

/// Nodes.
pub(crate) fn nodes() -> ArgValueCompleter {
    completer(|client, _| {
        let answer = block_on(async { Ok(client.nodes().await?) }).ok()?;
        Some(answer.nodes.into_iter().map(|node| node.node).collect())
    })
}

fn below_database(client: &Client, current: &str, end: &str) -> Option<Vec<String>> {
    let Some((database, _)) = current.split_once('/') else { return scopes(client) };
    let answer = block_on(async { Ok(client.tables(database).await?) }).ok()?;
    let tables = answer.tables.into_iter();
    Some(tables.map(|table| format!("{database}/{}{end}", table.name)).collect())
}

/// The databases, as what is below them begins.
fn scopes(client: &Client) -> Option<Vec<String>> {
    let names = block_on(async { Ok(names_of_databases(client).await?) }).ok()?;
    Some(names.into_iter().map(|name| name + "/").collect())
}

async fn names_of_databases(client: &Client) -> Result<Vec<String>, ClientError> {
    let answer = client.databases().await?;
    Ok(answer.databases.into_iter().map(|database| database.name).collect())
}

fn completer(
    names: impl Fn(Client, &str) -> Option<Vec<String>> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let found = current.to_str().zip(client()).and_then(|(current, client)| {
            let mut names = names(client, current)?;
            names.retain(|name| name.starts_with(current));
            Some(names)
        });
        found.unwrap_or_default().into_iter().map(CompletionCandidate::new).collect::<Vec<_>>()
    })
}

/// A client of the server that the words name that are being completed.
fn client() -> Option<Client> {
    let words: Vec<OsString> = env::args_os().collect();
    let url = url_among(&words).unwrap_or(url_default()).to_str()?;
    let client = Client::new(url.parse().ok()?).with_refused_max(Duration::ZERO);
    Some(client.with_timeouts(Timeouts { whole: PATIENCE, attempt: PATIENCE }))
}

/// The value of the last `--url` that has one.
fn url_among(words: &[OsString]) -> Option<&OsStr> {
    let values =
        words.iter().enumerate().rev().filter_map(|(place, word)| match word.to_str()? {
            "--url" => words.get(place + 1).map(OsString::as_os_str),
            word => word.strip_prefix("--url=").map(OsStr::new),
        });
    values.into_iter().find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_the_one_that_the_words_name() {
        let url = |words: &str| {
            let words: Vec<_> = words.split(' ').map(OsString::from).collect();
            url_among(&words).map(OsStr::to_os_string)
        };
        assert_eq!(url("cortado -- cortado get --url http://a:1 geo"), Some("http://a:1".into()));
        assert_eq!(url("cortado -- cortado --url=http://b:1 get"), Some("http://b:1".into()));
        assert_eq!(url("cortado -- cortado get geo --url"), None);
        assert_eq!(url("cortado -- cortado get geo"), None);
    }
}
