//! A body on the command line: the text itself, `@FILE`, or `-` for standard input.
//!
//! Start reading at [`BodyArgument`].

use crate::failure::Failure;
use bytes::Bytes;
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;

/// Where a body comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyArgument {
    /// The argument itself.
    Text(String),
    /// A file.
    File(PathBuf),
    /// Standard input, to its end.
    Standard,
}

impl FromStr for BodyArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<BodyArgument, Infallible> {
        Ok(match (text, text.strip_prefix('@')) {
            ("-", _) => BodyArgument::Standard,
            (_, Some(path)) => BodyArgument::File(path.into()),
            (_, None) => BodyArgument::Text(text.to_owned()),
        })
    }
}

impl BodyArgument {
    /// Reads it whole.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than any body that a server takes.
    pub(crate) fn read(&self) -> Result<Bytes, Failure> {
        match self {
            BodyArgument::Text(text) => Ok(text.clone().into()),
            BodyArgument::File(path) => {
                let file = fs::File::open(path).map_err(|error| {
                    Failure::usage(format!("{} cannot be read: {error}", path.display()))
                })?;
                bounded(file, &path.display().to_string())
            }
            BodyArgument::Standard => bounded(io::stdin().lock(), "standard input"),
        }
    }
}

fn bounded(from: impl Read, name: &str) -> Result<Bytes, Failure> {
    let max = cortado_model::limits::BODY_BYTES_MAX;
    let mut bytes = Vec::new();
    let read = from.take(max as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
    if bytes.len() > max {
        return Err(Failure::usage(format!(
            "{name} is too large: a body is limited to {max} bytes"
        ))
        .next("`cortado import` takes any number of documents"));
    }
    Ok(bytes.into())
}
