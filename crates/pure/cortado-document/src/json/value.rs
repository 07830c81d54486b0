//! A JSON value in memory, exact: numbers as they are written, compared by their decimal value.
//!
//! A value stays where it is once it is read, so that its address tells it from any other.
//! Start reading at [`Json`].

use super::string::{string_bytes, unescape};
use crate::budget::{Budget, TooExpensive};
use crate::decimal::{Decimal, compare_numbers};
use std::borrow::Cow;
use std::cmp::Ordering;

/// One JSON value. Equality is that of JSON Schema and JSON patch: numbers by value, objects
/// without order.
#[derive(Clone, Debug)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The members of a JSON object.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    /// In the order of the text.
    members: Vec<Member<'a>>,
    /// Places in `members`, by name.
    by_name: Vec<u32>,
}

/// One member of an object.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    /// A string; a value like any other, since a schema may judge names too.
    pub(crate) name: Json<'a>,
    pub(crate) value: Json<'a>,
}

impl<'a> Json<'a> {
    /// Reads text that has passed [`check_json`](super::check_json).
    ///
    /// Total: `None` for other text, or for a wrong reading of it; nesting is bounded by
    /// [`DEPTH_MAX`].
    pub(crate) fn read(text: &'a str) -> Option<Json<'a>> {
        let mut reader = Reader { rest: text, depth: 0 };
        let value = reader.value()?;
        reader.skip_whitespace();
        reader.rest.is_empty().then_some(value)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_string(&self) -> bool {
        self.as_str().is_some()
    }

    pub(crate) fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The member `name`, if this is an object that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.as_object()?.get(name)
    }

    /// A copy that rests on no text.
    pub(crate) fn to_owned(&self) -> Json<'static> {
        match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(*value),
            Json::Number(text) => Json::Number(Cow::Owned(text.clone().into_owned())),
            Json::String(text) => Json::String(Cow::Owned(text.clone().into_owned())),
            Json::Array(items) => Json::Array(items.iter().map(Json::to_owned).collect()),
            Json::Object(object) => {
                let copy = |Member { name, value }: &Member<'_>| Member {
                    name: name.to_owned(),
                    value: value.to_owned(),
                };
                let members = object.members.iter().map(copy).collect();
                Json::Object(Object { members, by_name: object.by_name.clone() })
            }
        }
    }

    /// Orders any two values: first by kind, then by content.
    ///
    /// # Errors
    /// The comparison would cost more than is left. It costs no more than the smaller one is long.
    pub(crate) fn compare(
        &self,
        other: &Json<'_>,
        budget: &mut Budget,
    ) -> Result<Ordering, TooExpensive> {
        budget.charge(1)?;
        Ok(match (self, other) {
            (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
            (Json::Number(a), Json::Number(b)) => {
                budget.charge(NUMBER_STEPS + a.len().max(b.len()) / 16)?;
                compare_numbers(a, b)
            }
            (Json::String(a), Json::String(b)) => {
                budget.charge_bytes(a.len().min(b.len()))?;
                a.cmp(b)
            }
            (Json::Array(a), Json::Array(b)) => {
                // The shorter one first: what differs in length need not be looked into.
                let mut order = a.len().cmp(&b.len());
                for (a, b) in a.iter().zip(b) {
                    if order.is_ne() {
                        break;
                    }
                    order = a.compare(b, budget)?;
                }
                order
            }
            (Json::Object(a), Json::Object(b)) => {
                let mut order = a.len().cmp(&b.len());
                for (a, b) in a.sorted().zip(b.sorted()) {
                    if order.is_ne() {
                        break;
                    }
                    order = a.name.compare(&b.name, budget)?;
                    if order.is_eq() {
                        order = a.value.compare(&b.value, budget)?;
                    }
                }
                order
            }
            (a, b) => a.kind().cmp(&b.kind()),
        })
    }

    /// Whether both are the same value.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub(crate) fn equals(
        &self,
        other: &Json<'_>,
        budget: &mut Budget,
    ) -> Result<bool, TooExpensive> {
        Ok(self.compare(other, budget)?.is_eq())
    }

    /// Bytes that equal values have in common, and no others.
    ///
    /// # Errors
    /// To write them would cost more than is left.
    pub(crate) fn canonical(&self, budget: &mut Budget) -> Result<Vec<u8>, TooExpensive> {
        let mut bytes = Vec::new();
        self.write_canonical(&mut bytes, budget)?;
        Ok(bytes)
    }

    fn write_canonical(&self, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), TooExpensive> {
        budget.charge(1)?;
        // A document has less than 4 GiB.
        let count = |count: usize| (count as u32).to_be_bytes();
        out.push(self.kind());
        match self {
            Json::Null => {}
            Json::Bool(value) => out.push(u8::from(*value)),
            Json::Number(text) => {
                budget.charge(NUMBER_STEPS + text.len() / 16)?;
                Decimal::read(text).write_canonical(out);
            }
            Json::String(text) => {
                budget.charge_bytes(text.len())?;
                out.extend(count(text.len()));
                out.extend_from_slice(text.as_bytes());
            }
            Json::Array(items) => {
                out.extend(count(items.len()));
                for item in items {
                    item.write_canonical(out, budget)?;
                }
            }
            Json::Object(object) => {
                out.extend(count(object.len()));
                for member in object.sorted() {
                    member.name.write_canonical(out, budget)?;
                    member.value.write_canonical(out, budget)?;
                }
            }
        }
        Ok(())
    }

    /// Values and pieces of 16 bytes of text: what it costs to copy or compare this.
    pub(crate) fn weight(&self) -> usize {
        1 + match self {
            Json::Null | Json::Bool(_) => 0,
            Json::Number(text) => NUMBER_STEPS + text.len() / 16,
            Json::String(text) => text.len() / 16,
            Json::Array(items) => items.iter().map(Json::weight).sum(),
            Json::Object(object) => {
                let members = object.members.iter();
                members.map(|member| member.name.weight() + member.value.weight()).sum()
            }
        }
    }

    /// The first of the [`canonical`](Self::canonical) bytes.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::Bool(_) => 1,
            Json::Number(_) => 2,
            Json::String(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }
}

impl Ord for Json<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let unlimited = &mut Budget::new(u64::MAX);
        self.compare(other, unlimited).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Json<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Json<'_> {}

impl<'a> Object<'a> {
    fn new(members: Vec<Member<'a>>) -> Object<'a> {
        // A text of 4 GiB would be needed for more members.
        let mut by_name: Vec<u32> = (0..members.len() as u32).collect();
        by_name.sort_by(|a, b| members[*a as usize].name().cmp(members[*b as usize].name()));
        Object { members, by_name }
    }

    /// In the order of the text.
    pub(crate) fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The value of the member `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let found = self.by_name.binary_search_by(|at| self.members[*at as usize].name().cmp(name));
        found.ok().map(|place| &self.members[self.by_name[place] as usize].value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// By name.
    fn sorted(&self) -> impl Iterator<Item = &Member<'a>> {
        self.by_name.iter().map(|at| &self.members[*at as usize])
    }
}

impl Member<'_> {
    pub(crate) fn name(&self) -> &str {
        self.name.as_str().unwrap_or_default()
    }
}

/// What it costs to read a number's digits, more or less.
const NUMBER_STEPS: usize = 4;
/// Nesting that is read: a little more than any limits allow.
const DEPTH_MAX: usize = 128;

/// Reads values from the beginning of a text.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Option<Json<'a>> {
        match self.peek()? {
            b'{' => self.nested(Reader::object),
            b'[' => self.nested(Reader::array),
            b'"' => self.string().map(Json::String),
            b'n' => self.literal("null", Json::Null),
            b't' => self.literal("true", Json::Bool(true)),
            b'f' => self.literal("false", Json::Bool(false)),
            _ => {
                let in_number = |b: u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let end = self.rest.bytes().position(|b| !in_number(b));
                let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                (!number.is_empty()).then(|| Json::Number(number.into()))
            }
        }
    }

    fn nested(&mut self, read: impl Fn(&mut Self) -> Option<Json<'a>>) -> Option<Json<'a>> {
        self.depth += 1;
        let value = if self.depth <= DEPTH_MAX { read(self) } else { None };
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Option<Json<'a>> {
        let mut items = Vec::new();
        self.list(b']', |this| {
            items.push(this.value()?);
            Some(())
        })?;
        Some(Json::Array(items))
    }

    fn object(&mut self) -> Option<Json<'a>> {
        let mut members = Vec::new();
        self.list(b'}', |this| {
            let name = this.string()?;
            this.take(b':')?;
            members.push(Member { name: Json::String(name), value: this.value()? });
            Some(())
        })?;
        Some(Json::Object(Object::new(members)))
    }

    /// Takes the opening bracket, elements with commas between them, and the bracket `close`.
    fn list(&mut self, close: u8, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.rest = &self.rest[1..];
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            self.peek()?;
            element(self)?;
            if self.take(b',').is_none() {
                return self.take(close);
            }
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let (string, rest) = self.rest.split_at_checked(string_bytes(self.rest.as_bytes()))?;
        let raw = string.strip_prefix('"')?.strip_suffix('"')?;
        self.rest = rest;
        Some(if raw.contains('\\') { unescape(raw).into() } else { raw.into() })
    }

    fn literal(&mut self, literal: &str, value: Json<'a>) -> Option<Json<'a>> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(value)
    }

    /// Takes white space and then `byte`, if that follows.
    fn take(&mut self, byte: u8) -> Option<()> {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.rest = &self.rest[1..];
            self.skip_whitespace();
        }
        is_next.then_some(())
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.skip_whitespace();
        self.rest.bytes().next()
    }

    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Json<'_> {
        Json::read(text).expect("JSON")
    }

    #[test]
    fn values_are_equal_by_meaning() {
        let same = |a: &str, b: &str| assert_eq!(read(a), read(b));
        same("1.0", "1");
        same("1e2", "100");
        same("-0", "0.0");
        same(r#"{"a":1,"b":[1,2.50]}"#, r#" { "b" : [ 1.0 , 2.5 ] , "a" : 1e0 } "#);
        same(r#""\u0041""#, r#""A""#);
        let differ = |a: &str, b: &str| assert_ne!(read(a), read(b));
        differ("35.686975000000003", "35.686975000000004");
        differ("18446744073709551616", "18446744073709551617");
        differ("1", r#""1""#);
        differ("0", "false");
        differ("[1,2]", "[2,1]");
        differ(r#"{"a":1}"#, r#"{"b":1}"#);
        differ("null", "false");
    }

    #[test]
    fn members_are_found_by_name() {
        let value = read(r#"{"b":1,"a":{"\u00e9":[]},"":null}"#);
        assert_eq!(value.get("a").and_then(|a| a.get("é")), Some(&Json::Array(Vec::new())));
        assert_eq!(value.get(""), Some(&Json::Null));
        assert_eq!(value.get("c"), None);
        let order: Vec<_> =
            value.as_object().expect("one").members().iter().map(Member::name).collect();
        assert_eq!(order, ["b", "a", ""]);
    }

    #[test]
    fn what_is_no_json_is_nothing() {
        for text in
            ["", "{", "[", "[1", "[1,", "{\"a\"", "{\"a\":", "nul", "\"a", "é", "{1:2}", "1 2"]
        {
            assert_eq!(Json::read(text), None, "{text}");
        }
        assert_eq!(Json::read(&"[".repeat(1_000_000)), None);
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in r#"[ {}\[\]",:0-9.eE+\-\\u00dntfalsré]{0,20}"#) {
            let _ = Json::read(&text);
        }

        #[test]
        fn the_order_is_one(
            texts in prop::collection::vec(
                r#"[0-2]|"[ab]?"|\[[0-2],[0-2]\]|\{"a":[0-2]\}|null"#, 3
            )
        ) {
            let values: Vec<_> = texts.iter().map(|text| read(text)).collect();
            let [a, b, c] = [&values[0], &values[1], &values[2]];
            prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
            prop_assert!(!(a <= b && b <= c) || a <= c);
        }
    }
}
