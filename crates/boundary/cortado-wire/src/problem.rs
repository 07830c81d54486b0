//! The body of every error: `application/problem+json` (RFC 9457).
//!
//! Never repeats what a client sent, never tells internals. Start reading at [`Problem`].

use crate::Code;
use serde::{Deserialize, Serialize};

/// What happened, why, and what is known about the effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The code as a URI.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// One line, the same for every problem of this code.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// The code; [`Code::parse`] knows those of this version.
    pub code: String,
    /// What happened this time, and what to do next.
    pub detail: String,
    /// Finds the request in the server's log.
    pub request_id: String,
    /// Writes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The operation of a transaction, or the key of a batch, that is to blame; from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<usize>,
    /// The byte of the body, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// The current state of the document whose condition failed; without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// What the schema or the declaration demands, where there is more than one reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl Problem {
    /// A problem of one code; everything else is to be filled in.
    pub fn new(code: Code, status: u16, detail: String) -> Problem {
        Problem {
            type_uri: code.type_uri().to_owned(),
            title: code.title().to_owned(),
            status,
            code: code.name().to_owned(),
            detail,
            ..Problem::default()
        }
    }
}

/// What a caller knows about the effect of a write that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Definitely not done, now or later.
    None,
    /// Perhaps done. The same request with the same idempotency key finds out.
    Unknown,
}

/// One of several reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Where: a JSON pointer into the document or the schema.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is demanded there.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_written_as_the_standard_says() {
        let mut problem = Problem::new(Code::CrossResource, 422, "two resources".to_owned());
        problem.request_id = "r1".to_owned();
        problem.outcome = Some(Outcome::None);
        problem.operation = Some(3);
        let text = serde_json::to_string(&problem).unwrap();
        let want = concat!(
            r#"{"type":"urn:cortado:problem:cross_resource","#,
            r#""title":"A transaction spans several resources","status":422,"#,
            r#""code":"cross_resource","detail":"two resources","request_id":"r1","#,
            r#""outcome":"none","operation":3}"#
        );
        assert_eq!(text, want);
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }
}
