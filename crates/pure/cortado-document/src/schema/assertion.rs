//! The keywords of a schema that look at a value alone and apply no schemas to it.
//!
//! Decides nothing. Start reading at [`Assertion`].

use super::format::Format;
use super::pattern::PatternNumber;
use crate::decimal::Decimal;
use crate::json::Json;
use crate::types::Types;

/// What a value itself must be. Counts saturate at 2^64 - 1.
pub(super) enum Assertion {
    /// No value is accepted.
    False,
    Type(Types),
    Minimum(Bound),
    Maximum(Bound),
    MultipleOf {
        divisor: Decimal,
    },
    MinLength(u64),
    MaxLength(u64),
    MinItems(u64),
    MaxItems(u64),
    MinProperties(u64),
    MaxProperties(u64),
    Required(Vec<String>),
    DependentRequired(Vec<(String, Vec<String>)>),
    Const(Json<'static>),
    /// The canonical bytes of the values, in ascending order.
    Enum(Vec<Vec<u8>>),
    Format(Format),
    Pattern(PatternNumber),
    UniqueItems,
}

/// A bound of numbers.
pub(super) struct Bound {
    pub(super) limit: Decimal,
    /// As it is written in the schema.
    pub(super) text: String,
    pub(super) is_exclusive: bool,
}

impl Assertion {
    /// What a value that is refused must do, from the schema's side only.
    pub(super) fn explain(&self) -> String {
        match self {
            Assertion::False => "must be absent".to_owned(),
            Assertion::Type(types) => format!("must be of type {}", types.names().join(" or ")),
            Assertion::Minimum(bound) if bound.is_exclusive => {
                format!("must be greater than {}", bound.text)
            }
            Assertion::Minimum(bound) => format!("must be at least {}", bound.text),
            Assertion::Maximum(bound) if bound.is_exclusive => {
                format!("must be less than {}", bound.text)
            }
            Assertion::Maximum(bound) => format!("must be at most {}", bound.text),
            Assertion::MinLength(limit) => format!("must have at least {limit} characters"),
            Assertion::MaxLength(limit) => format!("must have at most {limit} characters"),
            Assertion::MinItems(limit) => format!("must have at least {limit} items"),
            Assertion::MaxItems(limit) => format!("must have at most {limit} items"),
            Assertion::MinProperties(limit) => format!("must have at least {limit} members"),
            Assertion::MaxProperties(limit) => format!("must have at most {limit} members"),
            Assertion::Const(_) => "must be the constant of the schema".to_owned(),
            Assertion::Enum(_) => "must be one of the values of the schema".to_owned(),
            Assertion::Format(format) => format!("must be in the format {:?}", format.name()),
            Assertion::Pattern(_) => "must match the pattern of the schema".to_owned(),
            Assertion::UniqueItems => "must have no equal items".to_owned(),
            other => unsatisfied(other.name()),
        }
    }

    /// The name in a schema.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Assertion::False => "false",
            Assertion::Type(_) => "type",
            Assertion::Minimum(_) => "minimum",
            Assertion::Maximum(_) => "maximum",
            Assertion::MultipleOf { .. } => "multipleOf",
            Assertion::MinLength(_) => "minLength",
            Assertion::MaxLength(_) => "maxLength",
            Assertion::MinItems(_) => "minItems",
            Assertion::MaxItems(_) => "maxItems",
            Assertion::MinProperties(_) => "minProperties",
            Assertion::MaxProperties(_) => "maxProperties",
            Assertion::Required(_) => "required",
            Assertion::DependentRequired(_) => "dependentRequired",
            Assertion::Const(_) => "const",
            Assertion::Enum(_) => "enum",
            Assertion::Format(_) => "format",
            Assertion::Pattern(_) => "pattern",
            Assertion::UniqueItems => "uniqueItems",
        }
    }
}

/// What is said of a keyword that has no better words.
pub(super) fn unsatisfied(keyword: &str) -> String {
    format!("must satisfy the keyword {keyword:?} of the schema")
}
