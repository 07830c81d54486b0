//! Query parameters: those that the route declares, each at most once.
//!
//! Start reading at [`Query::parse`].

use crate::failure::Failure;
use cortado_wire::openapi::Parameter;
use cortado_wire::{Code, percent_decode};
use std::borrow::Cow;

/// The parameters of a request, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    values: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads `query` for a route that knows the parameters `known`.
    ///
    /// * `repeated`: a parameter that [`Query::all`] reads.
    ///
    /// # Errors
    /// An unknown or repeated parameter, or one that cannot be decoded.
    pub(crate) fn parse(
        query: Option<&'a str>,
        known: &'static [Parameter],
        repeated: Option<&'static str>,
    ) -> Result<Query<'a>, Failure> {
        let mut values: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for pair in pairs(query) {
            let (name, value) = pair?;
            if repeated == Some(&*name) {
                continue;
            }
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                return Err(unknown(&name, known, repeated));
            };
            if values.iter().any(|(seen, _)| *seen == parameter.name) {
                let detail = format!("duplicate query parameter {}", parameter.name);
                return Err(Failure::new(Code::BadParameter, detail));
            }
            values.push((parameter.name, value));
        }
        Ok(Query { values })
    }

    /// All values of the parameter `name`, in the order in which they stand.
    ///
    /// # Errors
    /// The query cannot be decoded.
    pub(crate) fn all(query: Option<&'a str>, name: &str) -> Result<Vec<Cow<'a, str>>, Failure> {
        let mut values = Vec::new();
        for pair in pairs(query) {
            let (found, value) = pair?;
            if found == name {
                values.push(value);
            }
        }
        Ok(values)
    }

    /// The value of a parameter, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// The value of a parameter as a number between two bounds.
    ///
    /// # Errors
    /// It is no such number; digits only.
    pub(crate) fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let detail = format!("the parameter {name} must be a number from {min} to {max}");
                Err(Failure::new(Code::BadParameter, detail))
            }
        }
    }
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Names and values, decoded.
fn pairs(query: Option<&str>) -> impl Iterator<Item = Result<Pair<'_>, Failure>> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

fn unknown(name: &str, known: &[Parameter], repeated: Option<&str>) -> Failure {
    if name == "query" {
        let detail = "queries are not supported in this version; list a collection instead";
        return Failure::new(Code::NotSupported, detail);
    }
    let names = repeated.into_iter().chain(known.iter().map(|parameter| parameter.name));
    let names: Vec<&str> = names.collect();
    let detail = match names.as_slice() {
        [] => "this route does not take query parameters".to_owned(),
        names => format!("this route takes the query parameters {}", names.join(", ")),
    };
    Failure::new(Code::UnknownParameter, detail)
}

fn decode(text: &str) -> Result<Cow<'_, str>, Failure> {
    let bad = || Failure::new(Code::BadParameter, "malformed query string");
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad());
    }
    if !text.contains('+') {
        return percent_decode(text).ok_or_else(bad);
    }
    // As forms encode a space.
    let spaced = text.replace('+', " ");
    percent_decode(&spaced).map(|text| Cow::Owned(text.into_owned())).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Parameter] = &[
        Parameter { name: "limit", about: "", required: false, schema: "Limit" },
        Parameter { name: "since", about: "", required: false, schema: "Since" },
    ];

    #[track_caller]
    fn check(query: &str, name: &str, want: Result<Option<&str>, Code>) {
        let parsed = Query::parse(Some(query), KNOWN, None);
        let got = parsed.as_ref().map(|query| query.get(name)).map_err(|failure| failure.code());
        assert_eq!(got, want, "{query}");
    }

    #[test]
    fn parameters_are_read_or_refused() {
        check("", "limit", Ok(None));
        check("&", "limit", Ok(None));
        check("limit=5", "limit", Ok(Some("5")));
        check("limit", "limit", Ok(Some("")));
        check("since=3%2F5%3A1&limit=1", "since", Ok(Some("3/5:1")));
        check("since=a+b", "since", Ok(Some("a b")));
        check("l%69mit=5", "limit", Ok(Some("5")));
        check("limit=1&limit=2", "limit", Err(Code::BadParameter));
        check("limit=%zz", "limit", Err(Code::BadParameter));
        check("x=1", "limit", Err(Code::UnknownParameter));
        check("Limit=1", "limit", Err(Code::UnknownParameter));
        check("query=a:b", "limit", Err(Code::NotSupported));
    }

    #[test]
    fn a_repeated_parameter_keeps_its_order() {
        let query = "key=a%2Fb&limit=5&key=&key=c+d&k%65y=a";
        let all = Query::all(Some(query), "key").expect("well-formed");
        assert_eq!(all, ["a/b", "", "c d", "a"]);
        assert!(Query::all(None, "key").expect("nothing").is_empty());
        let parsed = Query::parse(Some(query), KNOWN, Some("key")).expect("well-formed");
        assert_eq!(parsed.get("limit"), Some("5"));
        let code = |repeated| Query::parse(Some(query), KNOWN, repeated).err().map(|f| f.code());
        assert_eq!((code(None), code(Some("key"))), (Some(Code::UnknownParameter), None));
    }

    #[test]
    fn a_number_is_digits_within_bounds() {
        let number = |query| {
            let query: Query<'_> = Query::parse(Some(query), KNOWN, None).expect("well-formed");
            query.number("limit", 1, 1_000).map_err(|failure| failure.code())
        };
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("limit=1"), Ok(Some(1)));
        assert_eq!(number("limit=1000"), Ok(Some(1_000)));
        for query in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=%2B1",
            "limit=1e3",
            "limit=abc",
            "limit=",
            "limit=99999999999999999999",
        ] {
            assert_eq!(number(query), Err(Code::BadParameter), "{query}");
        }
    }
}
