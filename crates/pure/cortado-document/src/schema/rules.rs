//! A compiled schema: what each subschema demands, as the evaluation wants it.
//!
//! Decides nothing. Start reading at [`Keyword`].

use super::assertion::{Assertion, unsatisfied};
use super::pattern::{PatternNumber, Patterns};
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

/// One demand. Members and items are those of the value judged.
pub(super) enum Keyword {
    Assertion(Assertion),
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
            Keyword::Assertion(assertion) => assertion.explain(),
            Keyword::Contains(contains) if contains.at_most == u64::MAX => {
                format!("must have at least {} items of the schema's contains", contains.at_least)
            }
            Keyword::Contains(Contains { at_least, at_most, .. }) => {
                format!("must have {at_least} to {at_most} items of the schema's contains")
            }
            other => unsatisfied(other.name()),
        }
    }

    /// The name in a schema.
    fn name(&self) -> &'static str {
        match self {
            Keyword::Assertion(assertion) => assertion.name(),
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
            Keyword::Assertion(_)
            | Keyword::PropertyNames(_)
            | Keyword::Properties(_)
            | Keyword::Items(_)
            | Keyword::Contains(_)
            | Keyword::UnevaluatedItems(_)
            | Keyword::UnevaluatedProperties(_) => Vec::new(),
        }
    }
}
