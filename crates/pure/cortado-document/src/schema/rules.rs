//! A compiled schema: what each subschema demands, as the evaluation wants it.
//!
//! Decides nothing. Start reading at [`Keyword`].

use super::format::Format;
use super::pattern::{PatternNumber, Patterns};
use crate::decimal::Decimal;
use crate::json::Json;
use std::collections::BTreeMap;

/// Counts the subschemas of a schema; 0 is the schema itself.
pub(super) type SchemaNumber = usize;
/// Counts the names of dynamic anchors.
pub(super) type AnchorNumber = usize;

/// All subschemas of a schema.
pub(super) struct Rules {
    pub(super) schemas: Vec<Subschema>,
    pub(super) patterns: Patterns,
    /// Of each resource its dynamic anchors; none at all if no reference is dynamic.
    pub(super) dynamic_anchors: Vec<Vec<(AnchorNumber, SchemaNumber)>>,
}

/// One subschema.
pub(super) struct Subschema {
    /// All must hold; the cheap ones first.
    pub(super) keywords: Vec<Keyword>,
    /// Counts the schemas with a URI of their own.
    pub(super) resource: usize,
    /// Whether several ways may lead to it at one place of a document. What it says there is
    /// remembered then.
    pub(super) is_shared: bool,
}

/// One demand. Counts saturate at 2^64 - 1; members and items are those of the value judged.
pub(super) enum Keyword {
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
    PropertyNames(SchemaNumber),
    Properties(Properties),
    Items(Items),
    Contains(Contains),
    DependentSchemas(Vec<(String, SchemaNumber)>),
    Not(SchemaNumber),
    If {
        condition: SchemaNumber,
        then: Option<SchemaNumber>,
        otherwise: Option<SchemaNumber>,
    },
    AllOf(Vec<SchemaNumber>),
    AnyOf(Vec<SchemaNumber>),
    OneOf(Vec<SchemaNumber>),
    Reference(SchemaNumber),
    /// To the outermost schema on the way here that has the anchor; there is always one.
    DynamicReference {
        anchor: AnchorNumber,
        otherwise: SchemaNumber,
    },
    UnevaluatedItems(SchemaNumber),
    UnevaluatedProperties(SchemaNumber),
}

/// A bound of numbers.
pub(super) struct Bound {
    pub(super) limit: Decimal,
    /// As it is written in the schema.
    pub(super) text: String,
    pub(super) is_exclusive: bool,
}

/// `properties`, `patternProperties` and `additionalProperties` together.
#[derive(Default)]
pub(super) struct Properties {
    pub(super) named: BTreeMap<String, SchemaNumber>,
    pub(super) matching: Vec<(PatternNumber, SchemaNumber)>,
    pub(super) additional: Option<SchemaNumber>,
}

/// `prefixItems` and `items`, or `items` and `additionalItems` of older drafts.
pub(super) struct Items {
    pub(super) first: Vec<SchemaNumber>,
    pub(super) rest: Option<SchemaNumber>,
}

/// `contains` with its counts.
pub(super) struct Contains {
    pub(super) schema: SchemaNumber,
    pub(super) at_least: u64,
    pub(super) at_most: u64,
    /// Whether an item that it accepts counts as evaluated.
    pub(super) evaluates: bool,
}

impl Keyword {
    /// What a value that is refused must do, from the schema's side only.
    pub(super) fn explain(&self) -> String {
        match self {
            Keyword::False => "must be absent".to_owned(),
            Keyword::Type(types) => format!("must be of type {}", types.names().join(" or ")),
            Keyword::Minimum(bound) if bound.is_exclusive => {
                format!("must be greater than {}", bound.text)
            }
            Keyword::Minimum(bound) => format!("must be at least {}", bound.text),
            Keyword::Maximum(bound) if bound.is_exclusive => {
                format!("must be less than {}", bound.text)
            }
            Keyword::Maximum(bound) => format!("must be at most {}", bound.text),
            Keyword::MinLength(limit) => format!("must have at least {limit} characters"),
            Keyword::MaxLength(limit) => format!("must have at most {limit} characters"),
            Keyword::MinItems(limit) => format!("must have at least {limit} items"),
            Keyword::MaxItems(limit) => format!("must have at most {limit} items"),
            Keyword::MinProperties(limit) => format!("must have at least {limit} members"),
            Keyword::MaxProperties(limit) => format!("must have at most {limit} members"),
            Keyword::Const(_) => "must be the constant of the schema".to_owned(),
            Keyword::Enum(_) => "must be one of the values of the schema".to_owned(),
            Keyword::Format(format) => format!("must be in the format {:?}", format.name()),
            Keyword::Pattern(_) => "must match the pattern of the schema".to_owned(),
            Keyword::UniqueItems => "must have no equal items".to_owned(),
            Keyword::Contains(contains) if contains.at_most == u64::MAX => {
                format!("must have at least {} items of the schema's contains", contains.at_least)
            }
            Keyword::Contains(Contains { at_least, at_most, .. }) => {
                format!("must have {at_least} to {at_most} items of the schema's contains")
            }
            other => format!("must satisfy the keyword {:?} of the schema", other.name()),
        }
    }

    /// The name in a schema.
    fn name(&self) -> &'static str {
        match self {
            Keyword::False => "false",
            Keyword::Type(_) => "type",
            Keyword::Minimum(_) => "minimum",
            Keyword::Maximum(_) => "maximum",
            Keyword::MultipleOf { .. } => "multipleOf",
            Keyword::MinLength(_) => "minLength",
            Keyword::MaxLength(_) => "maxLength",
            Keyword::MinItems(_) => "minItems",
            Keyword::MaxItems(_) => "maxItems",
            Keyword::MinProperties(_) => "minProperties",
            Keyword::MaxProperties(_) => "maxProperties",
            Keyword::Required(_) => "required",
            Keyword::DependentRequired(_) => "dependentRequired",
            Keyword::Const(_) => "const",
            Keyword::Enum(_) => "enum",
            Keyword::Format(_) => "format",
            Keyword::Pattern(_) => "pattern",
            Keyword::UniqueItems => "uniqueItems",
            Keyword::PropertyNames(_) => "propertyNames",
            Keyword::Properties(_) => "properties",
            Keyword::Items(_) => "items",
            Keyword::Contains(_) => "contains",
            Keyword::DependentSchemas(_) => "dependentSchemas",
            Keyword::Not(_) => "not",
            Keyword::If { .. } => "if",
            Keyword::AllOf(_) => "allOf",
            Keyword::AnyOf(_) => "anyOf",
            Keyword::OneOf(_) => "oneOf",
            Keyword::Reference(_) => "$ref",
            Keyword::DynamicReference { .. } => "$dynamicRef",
            Keyword::UnevaluatedItems(_) => "unevaluatedItems",
            Keyword::UnevaluatedProperties(_) => "unevaluatedProperties",
        }
    }

    /// The subschemas that judge the same value, wherever dynamic references may lead.
    pub(super) fn in_place(&self, anchored: &[Vec<SchemaNumber>]) -> Vec<SchemaNumber> {
        match self {
            Keyword::DependentSchemas(list) => list.iter().map(|(_, schema)| *schema).collect(),
            Keyword::Not(schema) | Keyword::Reference(schema) => vec![*schema],
            Keyword::If { condition, then, otherwise } => {
                [Some(*condition), *then, *otherwise].into_iter().flatten().collect()
            }
            Keyword::AllOf(list) | Keyword::AnyOf(list) | Keyword::OneOf(list) => list.clone(),
            Keyword::DynamicReference { anchor, otherwise } => {
                let targets = anchored.get(*anchor).into_iter().flatten();
                targets.copied().chain([*otherwise]).collect()
            }
            Keyword::False
            | Keyword::Type(_)
            | Keyword::Minimum(_)
            | Keyword::Maximum(_)
            | Keyword::MultipleOf { .. }
            | Keyword::MinLength(_)
            | Keyword::MaxLength(_)
            | Keyword::MinItems(_)
            | Keyword::MaxItems(_)
            | Keyword::MinProperties(_)
            | Keyword::MaxProperties(_)
            | Keyword::Required(_)
            | Keyword::DependentRequired(_)
            | Keyword::Const(_)
            | Keyword::Enum(_)
            | Keyword::Format(_)
            | Keyword::Pattern(_)
            | Keyword::UniqueItems
            | Keyword::PropertyNames(_)
            | Keyword::Properties(_)
            | Keyword::Items(_)
            | Keyword::Contains(_)
            | Keyword::UnevaluatedItems(_)
            | Keyword::UnevaluatedProperties(_) => Vec::new(),
        }
    }
}

/// A set of JSON types.
#[derive(Clone, Copy, Default)]
pub(super) struct Types(u8);

const ARRAY: u8 = 1;
const BOOLEAN: u8 = 2;
const INTEGER: u8 = 4;
const NULL: u8 = 8;
const NUMBER: u8 = 16;
const OBJECT: u8 = 32;
const STRING: u8 = 64;
const NAMES: [(u8, &str); 7] = [
    (ARRAY, "array"),
    (BOOLEAN, "boolean"),
    (INTEGER, "integer"),
    (NULL, "null"),
    (NUMBER, "number"),
    (OBJECT, "object"),
    (STRING, "string"),
];

impl Types {
    /// The set of one type.
    pub(super) fn named(name: &str) -> Option<Types> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| Types(*bit))
    }

    pub(super) fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// Whether `value` is of one of the types; 1.0 is an integer.
    pub(super) fn accept(self, value: &Json<'_>) -> bool {
        let has = |bit| self.0 & bit != 0;
        match value {
            Json::Null => has(NULL),
            Json::Bool(_) => has(BOOLEAN),
            Json::Number(text) => has(NUMBER) || (has(INTEGER) && is_integer(text)),
            Json::String(_) => has(STRING),
            Json::Array(_) => has(ARRAY),
            Json::Object(_) => has(OBJECT),
        }
    }

    fn names(self) -> Vec<&'static str> {
        let named = NAMES.iter().filter(|(bit, _)| self.0 & bit != 0);
        named.map(|(_, name)| *name).collect()
    }
}

fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E']) || Decimal::read(number).is_integer()
}
