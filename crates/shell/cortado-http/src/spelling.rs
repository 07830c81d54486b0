//! The two spellings of a key: in the path, and in the query as generated clients write it.
//!
//! Start reading at [`Spelling`].

use cortado_wire::openapi::Parameter;

/// Where the parts of a key stand, if there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// In the path: their number says whether they name a document or a collection.
    Path,
    /// In the query parameter `key`, repeated: they name a document.
    Document,
    /// In the query parameter `prefix`, repeated: they name a collection.
    Collection,
}

impl Spelling {
    /// The query parameter that holds them.
    pub(crate) fn parameter(self) -> Option<&'static str> {
        match self {
            Spelling::Path => None,
            Spelling::Document => Some("key"),
            Spelling::Collection => Some("prefix"),
        }
    }

    /// By the parameter that a route declares.
    pub(crate) fn of(key: Option<Parameter>) -> Spelling {
        match key {
            None => Spelling::Path,
            Some(key) if Spelling::Document.parameter() == Some(key.name) => Spelling::Document,
            Some(_) => Spelling::Collection,
        }
    }
}
