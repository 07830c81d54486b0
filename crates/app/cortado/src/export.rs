//! `cortado export`: a table or a database as NDJSON lines.
//!
//! A file appears whole or not at all. Start reading at [`run`].

use crate::failure::{Exit, Failure};
use crate::output::{counted, tell};
use crate::place::Scope;
use crate::server_arguments::{ServerArguments, block_on};
use clap::Args;
use cortado_client::{Client, Table};
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What `cortado export` is told.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// DB, or DB/TABLE
    scope: Scope,
    /// The file, replaced at the end and only if all went well; - for standard output
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArguments,
}

/// Writes every document as a line `{"table","key","value"}`.
pub(crate) fn run(arguments: &ExportArguments) -> Result<Exit, Failure> {
    let ExportArguments { scope, file, server } = arguments;
    let client = server.client();
    block_on(async {
        let documents = if file.as_path() == Path::new("-") {
            let mut out = BufWriter::new(io::stdout().lock());
            let documents = write_scope(&client, scope, &mut out).await?;
            out.flush()?;
            documents
        } else {
            replace(&client, scope, file).await?
        };
        tell(&format!("exported {}", counted(documents, "document")));
        Ok(Exit::Done)
    })
}

/// Writes beside `path`, then takes its place.
async fn replace(client: &Client, scope: &Scope, path: &Path) -> Result<u64, Failure> {
    let unwritable =
        |error: io::Error| Failure::new(format!("{} cannot be written: {error}", path.display()));
    // Of a bare file name, the parent is the empty path.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // As any new file: the umask takes its part away.
    let permissions = Permissions::from_mode(0o666);
    let beside: NamedTempFile = tempfile::Builder::new()
        .prefix(".cortado-export-")
        .permissions(permissions)
        .tempfile_in(folder)
        .map_err(unwritable)?;
    let mut out = BufWriter::new(beside);
    let documents = tokio::select! {
        written = write_scope(client, scope, &mut out) => written?,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::new(format!("interrupted; {} is as it was", path.display())));
        }
    };
    let beside = out.into_inner().map_err(|error| unwritable(error.into_error()))?;
    beside.as_file().sync_all().map_err(unwritable)?;
    beside.persist(path).map_err(|error| unwritable(error.error))?;
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(unwritable)?;
    Ok(documents)
}

async fn write_scope(client: &Client, scope: &Scope, out: &mut impl Write) -> Result<u64, Failure> {
    let declared = client.database_declaration(&scope.database).await?;
    let database = client.database(&scope.database);
    if let Some(table) = &scope.table {
        // Its absence is told by the first page.
        return write_table(&database.table(table), out).await;
    }
    let mut documents = 0;
    for table in declared.tables.keys() {
        documents += write_table(&database.table(table), out).await?;
    }
    Ok(documents)
}

/// Documents of one request.
const PAGE_DOCUMENTS: usize = 1_000;

async fn write_table(table: &Table, out: &mut impl Write) -> Result<u64, Failure> {
    let name = serde_json::to_string(table.name()).map_err(Failure::new)?;
    let mut pages = table.scan(PAGE_DOCUMENTS);
    let mut documents = 0;
    while let Some(page) = pages.next().await? {
        for entry in &page.documents {
            let key = serde_json::to_string(&entry.key).map_err(Failure::new)?;
            writeln!(
                out,
                r#"{{"table":{name},"key":{key},"value":{}}}"#,
                on_one_line(&entry.value)
            )?;
            documents += 1;
        }
    }
    Ok(documents)
}

/// A document as stored, which is JSON without line ends; one that came in with them loses them.
fn on_one_line(value: &serde_json::value::RawValue) -> String {
    // Inside strings, JSON has no line ends: those that are there stand between tokens.
    value.get().replace(['\n', '\r'], " ")
}

/// Shown below the options.
pub(crate) const HELP: &str = "\
Examples:
  cortado export geo/place places.ndjson
  cortado export geo | gzip > geo.ndjson.gz
  cortado import geo places.ndjson          the way back

Each page is one strong read; pages follow each other while writes go on, so that the
whole is not the state of one moment.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_takes_one_line_and_says_the_same() {
        let text = "{\"a\":\n 1.0,\r\n\"b\":\"x\\ny\"\r}";
        let value: &serde_json::value::RawValue = serde_json::from_str(text).expect("JSON");
        let line = on_one_line(value);
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(!line.contains('\r'), "{line:?}");
        let parsed = |text| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(parsed(&line), parsed(text));
    }
}
