//! JSON types as schemas name them, and sets of these.

use crate::decimal::Decimal;
use crate::json::Json;

/// A set of JSON types, with `integer` as a part of `number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

const NAMES: [(Types, &str); 7] = [
    (Types::ARRAY, "array"),
    (Types::BOOLEAN, "boolean"),
    (Types::INTEGER, "integer"),
    (Types::NULL, "null"),
    (Types::NUMBER, "number"),
    (Types::OBJECT, "object"),
    (Types::STRING, "string"),
];

impl Types {
    pub(crate) const NONE: Types = Types(0);
    pub(crate) const OBJECT: Types = Types(1);
    pub(crate) const ARRAY: Types = Types(2);
    pub(crate) const STRING: Types = Types(4);
    const INTEGER: Types = Types(8);
    const FRACTION: Types = Types(16);
    /// All numbers, integers or not.
    pub(crate) const NUMBER: Types = Types(8 | 16);
    const BOOLEAN: Types = Types(32);
    const NULL: Types = Types(64);
    pub(crate) const ALL: Types = Types(127);

    /// The set of the type that schemas call `name`.
    pub(crate) fn named(name: &str) -> Option<Types> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(types, _)| *types)
    }

    /// The narrowest set that has `value`; 1.0 is an integer.
    pub(crate) fn of(value: &Json<'_>) -> Types {
        match value {
            Json::Null => Types::NULL,
            Json::Bool(_) => Types::BOOLEAN,
            Json::Number(text) if is_integer(text) => Types::INTEGER,
            Json::Number(_) => Types::FRACTION,
            Json::String(_) => Types::STRING,
            Json::Array(_) => Types::ARRAY,
            Json::Object(_) => Types::OBJECT,
        }
    }

    /// Whether `value` is of one of the types.
    pub(crate) fn accept(self, value: &Json<'_>) -> bool {
        // Most schemas do not ask which kind of number it is, and that takes longest to tell.
        let any_number = matches!(value, Json::Number(_)) && Types::NUMBER.is_within(self);
        any_number || Types::of(value).is_within(self)
    }

    /// The fewest names that make up the set: no `integer` beside `number`.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let is_told = |types: Types| types == Types::INTEGER && Types::NUMBER.is_within(self);
        let named = NAMES.iter().filter(|(types, _)| types.is_within(self) && !is_told(*types));
        named.map(|(_, name)| *name).collect()
    }

    pub(crate) fn and(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub(crate) fn is_within(self, other: Types) -> bool {
        self.0 & !other.0 == 0
    }
}

fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E']) || Decimal::read(number).is_integer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_an_integer_or_not() {
        let named = |name| Types::named(name).expect("a type");
        let integer = named("integer");
        for (text, is_integer) in [("1", true), ("1.0", true), ("1e2", true), ("1.5", false)] {
            let number = Json::Number(text.into());
            assert!(named("number").accept(&number), "{text}");
            assert_eq!(integer.accept(&number), is_integer, "{text}");
        }
        assert!(integer.is_within(named("number")));
        assert_eq!(Types::named("float"), None);
    }

    #[test]
    fn a_set_has_no_name_twice() {
        let set = |names: &[&str]| {
            names.iter().filter_map(|n| Types::named(n)).fold(Types::NONE, Types::or)
        };
        assert_eq!(set(&["null", "integer"]).names(), ["integer", "null"]);
        assert_eq!(set(&["integer", "number"]).names(), ["number"]);
        assert_eq!(Types::NONE.names(), [""; 0]);
    }
}
