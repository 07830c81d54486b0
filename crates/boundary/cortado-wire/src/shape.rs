//! Reading the bodies of requests: objects as objects, and errors that repeat nothing.
//!
//! Start reading at [`read_object`].

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Reads a request's body.
///
/// * `json`: has passed the strict check of JSON; serde alone lets repeated members pass.
///
/// # Errors
/// What was expected, without a word of what was sent.
pub fn read_object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, String> {
    let read = serde_json::from_slice::<Object<T>>(json);
    read.map(|Object(body)| body).map_err(|error| explain(&error))
}

/// Says what is wrong with a body, without repeating what was sent.
///
/// serde's messages repeat the offending input in front of what was expected; only what stands
/// behind it, and the place, is ours to tell.
fn explain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = match message.split(' ').next() {
        Some("missing") => return message,
        Some("unknown") => "unknown member or value",
        Some(_) | None => "wrong type",
    };
    match message.rsplit_once(", expected ") {
        // A word of serde's, where JSON has another one.
        Some((_, expected)) => {
            format!("{what}; expected {}", expected.replacen("a sequence", "an array", 1))
        }
        None => format!("{what} at line {} column {}", error.line(), error.column()),
    }
}

/// A struct that is written as an object. Derived code alone would take an array as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// For `deserialize_with`: an array of objects.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(object)| object).collect())
}

/// For `deserialize_with`: an object of objects.
pub(crate) fn objects_by_name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let objects = BTreeMap::<String, Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|(name, Object(object))| (name, object)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBody, DatabaseBody, TransactionBody};

    #[track_caller]
    fn check<'de, T: Deserialize<'de>>(body: &'de str, want: Result<(), &str>) {
        let got = read_object::<T>(body.as_bytes()).map(|_| ());
        assert!(!got.as_ref().is_err_and(|message| message.contains("SECRET")), "{got:?}");
        assert_eq!(got, want.map_err(str::to_owned), "{body}");
    }

    #[test]
    fn a_transaction_of_another_shape_is_explained_without_repeating_it() {
        let check = check::<TransactionBody<'_>>;
        check(r#"{"operations":[{"op":"check","table":"t","key":[]}]}"#, Ok(()));
        check("{}", Err("missing field `operations` at line 1 column 2"));
        check(
            r#"{"SECRET, expected x":1}"#,
            Err("unknown member or value; expected `operations` at line 1 column 21"),
        );
        check(
            r#"{"operations":"SECRET"}"#,
            Err("wrong type; expected an array at line 1 column 22"),
        );
        check(
            r#"{"operations":[{"op":"SECRET"}]}"#,
            Err("unknown member or value; expected one of `put`, `merge`, `delete`, `check` \
                 at line 1 column 29"),
        );
        check(
            r#"{"operations":[{"op":"put","table":"t","key":[7]}]}"#,
            Err("wrong type; expected a string at line 1 column 47"),
        );
        check(
            r#"{"operations":[["put","t",["a"]]]}"#,
            Err("wrong type; expected an object at line 1 column 15"),
        );
    }

    #[test]
    fn a_batch_of_another_shape_is_explained() {
        check::<BatchBody<'_>>(r#"{"keys":[{"table":"t","key":["a"]}]}"#, Ok(()));
        check::<BatchBody<'_>>("[[]]", Err("wrong type; expected an object at line 1 column 0"));
    }

    #[test]
    fn a_database_of_another_shape_is_explained() {
        let check = check::<DatabaseBody>;
        check("{}", Ok(()));
        check(r#"{"partitions":16,"replication":3,"owner":"team"}"#, Ok(()));
        check(r#"{"tables":{"place":{"key":["country"],"schema":{}}}}"#, Ok(()));
        check(
            r#"{"partition":16}"#,
            Err("unknown member or value; expected one of `partitions`, `replication`, \
                 `owner`, `tables`, `slo` at line 1 column 12"),
        );
        check(r#"{"partitions":-1}"#, Err("wrong type; expected u32 at line 1 column 16"));
        check(r#"{"tables":{"place":{}}}"#, Err("missing field `key` at line 1 column 21"));
    }
}
