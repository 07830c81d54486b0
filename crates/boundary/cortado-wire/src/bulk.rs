//! Bodies of bulks: many operations, each for itself.
//!
//! Start reading at [`BulkBody`].

use crate::{OperationBody, Outcome, Position, Reason};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Body of `POST /v1/{database}:bulk`, as JSON.
///
/// An operation is an [`OperationBody`], kept as it was sent: its text tells it from others under
/// the same idempotency key. As NDJSON each line is one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkBody<'a> {
    /// 1 to 1,000, of any resources.
    #[serde(borrow)]
    pub operations: Vec<&'a RawValue>,
}

/// Answer to a bulk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkAnswer {
    /// One for each operation, in the order asked for.
    pub results: Vec<BulkResult>,
}

/// What became of one operation of a bulk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkResult {
    /// As if it had come alone: 201 created, 200 replaced or patched, 204 removed, 404 nothing to
    /// remove; or that of an error.
    pub status: u16,
    /// The key.
    pub key: Vec<String>,
    /// Names the document's new state, if it has one; or the one that does not meet the condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The transaction, if it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scn: Option<Position>,
    /// It had been done before, under its idempotency key: this is the first answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repeated: bool,
    /// Why it was not done.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<BulkFailure>,
}

/// Why an operation of a bulk was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkFailure {
    /// As in a [`Problem`](crate::Problem).
    pub code: String,
    /// What happened this time, and what to do next.
    pub detail: String,
    /// Of this operation alone.
    pub outcome: Outcome,
    /// What the schema demands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Writes the body of a bulk as JSON: the values may have lines of their own.
///
/// # Errors
/// Never for what a client can spell; serde's otherwise.
pub fn write_bulk<'a, 'b: 'a>(
    operations: impl Iterator<Item = &'a OperationBody<'b>>,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a, 'b> {
        operations: Vec<&'a OperationBody<'b>>,
    }
    serde_json::to_vec(&Body { operations: operations.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OperationKind, read_object};
    use cortado_model::{Generation, Scn, Sequence};

    #[test]
    fn a_result_says_what_became_of_its_operation() {
        let scn = Scn::new(Generation(5), Sequence(7));
        let done = BulkResult {
            status: 201,
            key: vec!["a".to_owned()],
            etag: Some("e1".to_owned()),
            scn: Some(Position { partition: 3, scn }),
            ..BulkResult::default()
        };
        let failure = BulkFailure {
            code: "condition_failed".to_owned(),
            detail: "why".to_owned(),
            outcome: Outcome::None,
            reasons: Vec::new(),
        };
        let refused = BulkResult { status: 412, key: Vec::new(), ..BulkResult::default() };
        let refused = BulkResult { failure: Some(failure), ..refused };
        let answer = BulkAnswer { results: vec![done, refused] };
        let text = serde_json::to_string(&answer).unwrap();
        let want = concat!(
            r#"{"results":[{"status":201,"key":["a"],"etag":"e1","scn":"3/5:7"},"#,
            r#"{"status":412,"key":[],"code":"condition_failed","detail":"why","outcome":"none"}]}"#
        );
        assert_eq!(text, want);
        assert_eq!(serde_json::from_str::<BulkAnswer>(&text).unwrap(), answer);
    }

    #[test]
    fn a_bulk_is_written_as_its_values_are() {
        let value = RawValue::from_string("{\n\"a\": 1}".to_owned()).unwrap();
        let put = OperationBody {
            op: OperationKind::Put,
            table: "t".into(),
            key: vec!["a".into()],
            value: Some(&value),
            if_match: None,
            if_none_match: Some("*".into()),
        };
        let text = write_bulk([put].iter()).unwrap();
        let value = value.get();
        let want = format!(
            r#"{{"op":"put","table":"t","key":["a"],"value":{value},"if_none_match":"*"}}"#
        );
        assert_eq!(text, format!(r#"{{"operations":[{want}]}}"#).into_bytes());
        let body = format!(r#"{{"operations":[ {want} ]}}"#);
        let body: BulkBody<'_> = read_object(body.as_bytes()).unwrap();
        assert_eq!(body.operations[0].get(), want, "as it was sent");
        assert!(read_object::<BulkBody<'_>>(br#"{"operations":[],"else":1}"#).is_err());
    }
}
