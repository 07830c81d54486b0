//! The file of everything that an import refused: NDJSON, a refusal a line.
//!
//! `{"position":7,"line":9,"reason":"…","value":{…}}`; where there is no JSON, `text` stands for
//! `value`. Start reading at [`Rejects::create`].

use crate::export_lines::on_one_line;
use crate::failure::Failure;
use cortado_document::{JsonError, JsonLimits, Unacceptable, check_json};
use serde_json::value::RawValue;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A document that was not stored, and will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Which value of the file, from 1.
    pub(crate) position: u64,
    /// Its line, from 1.
    pub(crate) line: u64,
    /// Why.
    pub(crate) reason: String,
    /// The document, or what stands in its place; absent if it is too long to be kept.
    pub(crate) text: Option<Vec<u8>>,
}

/// An open file of refusals.
#[derive(Debug)]
pub(crate) struct Rejects {
    path: PathBuf,
    out: BufWriter<File>,
    /// Why it does not hold all of them.
    failed: Option<io::Error>,
}

impl Rejects {
    /// Empties the file, or goes on in it where an import goes on.
    ///
    /// * `source`: the file that is imported, if it is one, which this must not be.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn create(
        path: &Path,
        source: Option<&Metadata>,
        goes_on: bool,
    ) -> Result<Rejects, Failure> {
        let unwritable =
            |error| Failure::usage(format!("{} cannot be written: {error}", path.display()));
        if let (Ok(one), Some(other)) = (path.metadata(), source)
            && (one.dev(), one.ino()) == (other.dev(), other.ino())
        {
            return Err(Failure::usage("--rejects names the file that is imported")
                .next("name another file"));
        }
        let mut options = OpenOptions::new();
        options.create(true).append(goes_on).write(true).truncate(!goes_on);
        let file = options.open(path).map_err(unwritable)?;
        Ok(Rejects { path: path.to_owned(), out: BufWriter::new(file), failed: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. A failure is told by [`finish`](Self::finish): the import goes on.
    pub(crate) fn write(&mut self, refused: &Refused) {
        if self.failed.is_none()
            && let Err(error) = writeln!(self.out, "{}", line_of(refused))
        {
            self.failed = Some(error);
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It does not hold all refusals.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.failed.take().map_or_else(|| self.out.flush(), Err);
        flushed.map_err(|error| {
            let path = self.path.display();
            Failure::new(format!("{path} does not hold all refusals: {error}"))
        })
    }
}

fn line_of(refused: &Refused) -> String {
    let Refused { position, line, reason, text } = refused;
    let reason = serde_json::Value::from(reason.as_str());
    let mut shown = format!("{{\"position\":{position},\"line\":{line},\"reason\":{reason}");
    match text.as_deref().map(|text| (text, value_of(text))) {
        Some((_, Some(value))) => {
            shown.push_str(&format!(",\"value\":{}", on_one_line(value)));
        }
        Some((text, None)) => {
            let text = serde_json::Value::from(String::from_utf8_lossy(text));
            shown.push_str(&format!(",\"text\":{text}"));
        }
        None => {}
    }
    shown.push('}');
    shown
}

/// The value that `text` is, if every reader takes it for the same: a lone surrogate would make
/// the whole line unreadable, of repeated members each reader keeps another, and many make the
/// largest double of what is larger.
fn value_of(text: &[u8]) -> Option<&RawValue> {
    let is_read_alike = match check_json(text, &JsonLimits::BODY) {
        Err(JsonError::Malformed { .. }) => false,
        Err(JsonError::Unacceptable { why, .. }) => {
            !matches!(why, Unacceptable::NumberOutOfRange | Unacceptable::NumberTooLong)
        }
        Ok(_) | Err(JsonError::TooLarge { .. }) => true,
    };
    if is_read_alike { serde_json::from_slice(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: Option<&str>, want: &str) {
        let text = text.map(|text| text.as_bytes().to_vec());
        let refused = Refused { position: 7, line: 9, reason: "a \"b\"".to_owned(), text };
        let line = line_of(&refused);
        assert_eq!(line, format!(r#"{{"position":7,"line":9,"reason":"a \"b\""{want}}}"#));
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
    }

    #[test]
    fn a_refusal_is_one_line_of_json() {
        check(Some("{\"n\":\n 1.50}"), ",\"value\":{\"n\":  1.50}");
        check(Some("{\"n\":\n"), ",\"text\":\"{\\\"n\\\":\\n\"");
        check(Some(r#"{"n":"\ud800"}"#), r#","text":"{\"n\":\"\\ud800\"}""#);
        check(Some(r#"{"n":1,"n":2}"#), r#","text":"{\"n\":1,\"n\":2}""#);
        check(Some(r#"{"n":1e400}"#), r#","text":"{\"n\":1e400}""#);
        check(Some(r#"{"n\u0000":1}"#), r#","value":{"n\u0000":1}"#);
        check(None, "");
    }
}
