//! The reading side of an import: values become documents with keys, or refusals.
//!
//! Runs on a thread of its own. Start reading at [`Feed::run`].

use super::csv_records::{CsvRecords, HeaderError};
use super::declarations::{Declaration, Declarations, begins_export};
use super::documents::{Documents, FormError};
use super::keying::{Document, Fill, KeyFrom, Keying, Keys};
use super::lane::Item;
use super::piece::{Piece, Torn};
use super::rejects::Refused;
use super::source::Source;
use super::tally::Tally;
use super::values::CutError;
use crate::failure::Failure;
use crate::place::Scope;
use cortado_client::Client;
use serde_json::{Map, Value};

/// What is known before the first byte is read.
pub(super) struct Feed {
    keying: Keying,
    /// The table's schema, for cells.
    schema: Option<Value>,
    /// What an export declares, where a whole database is imported.
    declarations: Option<Declarations>,
    skip: u64,
}

/// What a value of the file is.
enum Meaning {
    Document(Document),
    Declaration,
    Refused(Torn),
}

impl Feed {
    /// Asks the server what the target is.
    ///
    /// * `key_from`, `fill`: where the parts of its key come from.
    /// * `skip`: so many values of the file are dealt with already.
    ///
    /// # Errors
    /// There is no such table, or an option does not fit its key.
    pub(super) async fn prepare(
        client: &Client,
        target: &Scope,
        (key_from, fill): (&[KeyFrom], &[Fill]),
        skip: u64,
    ) -> Result<Feed, Failure> {
        let Some(table) = &target.table else {
            if !fill.is_empty() || !key_from.is_empty() {
                return Err(Failure::usage(
                    "lines of an export have complete keys: --fill and --key-from do not apply",
                )
                .next("name the table as DB/TABLE if the file is no export"));
            }
            let declarations = Some(Declarations::find(client, &target.database).await?);
            return Ok(Feed { keying: Keying::Exported, schema: None, declarations, skip });
        };
        let declared = client.table_declaration(&target.database, table).await?;
        let keys = Keys::new(&declared.key, key_from, fill).map_err(Failure::usage)?;
        let keying = Keying::Members { table: table.as_str().into(), keys };
        // Of its numbers nothing is asked.
        let schema = declared.schema.map(|schema| serde_json::from_str(schema.as_str()));
        let schema = schema.transpose().map_err(Failure::new)?;
        Ok(Feed { keying, schema, declarations: None, skip })
    }

    /// Cuts the input into values and hands each document on.
    ///
    /// `put` waits while too much is under way, and answers false when nothing more is wanted.
    ///
    /// # Errors
    /// The rest of the file cannot be read, or must not be stored.
    pub(super) fn run(
        mut self,
        source: Source,
        tally: &Tally,
        put: impl Fn(Item) -> bool,
    ) -> Result<(), Failure> {
        let unreadable = |error| unreadable(error, tally);
        let mut documents = Documents::begin(source, self.schema.as_ref()).map_err(unreadable)?;
        if let Documents::CsvRecords(records) = &documents {
            self.check_columns(records)?;
        }
        while let Some(piece) = documents.next().map_err(unreadable)? {
            let Piece { position, line, bytes, text } = piece;
            if position == 1 {
                let first = text.as_deref().unwrap_or_default();
                self.note_export(first)?;
                self.require_export(first)?;
            }
            if position <= self.skip {
                tally.pass_over(bytes);
                continue;
            }
            match self.meaning_of(text)? {
                Meaning::Document(document) => {
                    if !put(Item::new(position, line, bytes, document)) {
                        return Ok(());
                    }
                }
                Meaning::Declaration => tally.pass(position, bytes),
                Meaning::Refused(Torn { reason, text }) => {
                    tally.refuse(&Refused { position, line, reason, text }, bytes);
                }
            }
        }
        Ok(())
    }

    /// An export may be meant for a table of another name.
    fn note_export(&mut self, first: &[u8]) -> Result<(), Failure> {
        if let Keying::Members { table, keys } = &self.keying
            && (begins_export(first)? || self.keying.is_exported_alone(first))
        {
            let (table, parts) = (table.clone(), keys.parts().len());
            self.keying = Keying::ExportedInto { table, parts, from: None };
        }
        Ok(())
    }

    /// Of a file for a whole database, what begins with another object than an export does has
    /// nothing to offer, and need not be refused value by value.
    fn require_export(&self, first: &[u8]) -> Result<(), Failure> {
        let is_other = |first: Map<String, Value>| {
            !first.contains_key("table") && !first.contains_key("export")
        };
        if self.declarations.is_some() && serde_json::from_slice(first).is_ok_and(is_other) {
            return Err(Failure::new(
                "the file is no export: its first value has neither the member table nor export",
            )
            .next("name the table of its documents as DB/TABLE"));
        }
        Ok(())
    }

    fn meaning_of(&mut self, text: Result<Vec<u8>, Torn>) -> Result<Meaning, Failure> {
        let text = match text {
            Ok(text) => text,
            Err(torn) => return Ok(Meaning::Refused(torn)),
        };
        match self.keying.document(text) {
            Ok(document) => {
                if let Some(declarations) = &self.declarations {
                    declarations.require_database()?;
                }
                Ok(Meaning::Document(document))
            }
            Err((_, text)) if self.declares(&text)? => Ok(Meaning::Declaration),
            Err((reason, text)) => Ok(Meaning::Refused(Torn { reason, text: Some(text) })),
        }
    }

    fn declares(&mut self, text: &[u8]) -> Result<bool, Failure> {
        match (&mut self.keying, &mut self.declarations) {
            (Keying::Exported, Some(declarations)) => declarations.take(text),
            (Keying::ExportedInto { parts, from, .. }, _) => {
                let declared = Declaration::parse(text)?;
                if let Some(Declaration::Table(line)) = &declared {
                    // The target exists, and keeps its own declaration.
                    fits(from.as_deref(), &line.table, *parts, line.declaration.key.len())?;
                    *from = Some(line.table.clone());
                }
                Ok(declared.is_some())
            }
            (Keying::Exported | Keying::Members { .. }, _) => Ok(false),
        }
    }

    /// Without its columns no record has a key; and what is no CSV at all is found out here.
    fn check_columns(&self, records: &CsvRecords) -> Result<(), Failure> {
        let Keying::Members { keys, .. } = &self.keying else {
            return Err(Failure::new("the file is no export: it is not JSON")
                .next("name the table of its records as DB/TABLE"));
        };
        let is_missing = |member: &str| !records.has_column(member);
        for part in keys.parts() {
            if part.fill.is_none() && is_missing(&part.member) {
                let (part, member) = (&part.part, &part.member);
                return Err(Failure::new(format!(
                    "the file is not JSON, which begins with {{ or [, and as CSV its header has no \
                     column {member}, but {}",
                    records.columns_shown()
                ))
                .next(format!(
                    "--key-from {part}=COLUMN takes the key's part from another column, --fill \
                     {part}=VALUE gives all records the same"
                )));
            }
        }
        Ok(())
    }
}

/// Whether an exported table can go into the one that was named.
fn fits(before: Option<&str>, table: &str, parts: usize, wants: usize) -> Result<(), Failure> {
    if before.is_some_and(|before| before != table) {
        return Err(Failure::new("the export holds several tables")
            .next("import it into a database: `cortado import DB FILE`"));
    }
    if parts != wants {
        return Err(Failure::new(format!(
            "the key of the exported table {table} has {wants} parts, that of the target {parts}"
        ))
        .next("import it into a table with as many"));
    }
    Ok(())
}

/// What to do about a file, or the rest of it, that holds no documents.
fn unreadable(error: FormError, tally: &Tally) -> Failure {
    let failure = Failure::new(&error);
    match error {
        FormError::Read(error)
        | FormError::Cut(CutError::Read(error))
        | FormError::Header(HeaderError::Read(error))
            if error.is_damage() =>
        {
            tally.doubt();
            failure.next(
                "the file is damaged, perhaps long before that line, and what was stored from it \
                 may be wrong: get it anew; `gzip -t FILE` tests it",
            )
        }
        FormError::Cut(_) | FormError::Read(_) => failure.next("correct the file from there on"),
        FormError::Header(_) => failure.next(
            "a JSON array of objects, JSON objects one after the other, or CSV or TSV with a \
             header is needed",
        ),
        FormError::Unreadable(_) | FormError::Foreign(..) => failure,
    }
}
