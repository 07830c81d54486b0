//! Whether a document satisfies the rules of its schema: each subschema is judged at most once at
//! each place of the document, in a number of steps that is bounded.
//!
//! A subschema to which several ways lead is remembered with its judgement; to all others only one
//! way leads, so that they are judged once whenever the schema around them is. Start reading at
//! [`Evaluation::is_valid`].

mod evaluated;
mod violations;

pub use violations::Violation;

use super::assertion::{Assertion, Bound};
use super::pattern::Matchers;
use super::rules::{Contains, Items, Keyword, Properties, Rules, SchemaNumber};
use super::scopes::{ScopeNumber, Scopes};
use crate::budget::{Budget, TooExpensive, rounds};
use crate::decimal::Decimal;
use crate::json::{Json, Object};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// One evaluation of one document.
pub(super) struct Evaluation<'s> {
    rules: &'s Rules,
    budget: Budget,
    matchers: Matchers<'s>,
    scopes: Scopes,
    /// By the address of the place. The document stays where it is.
    judged: BTreeMap<(SchemaNumber, ScopeNumber, *const ()), bool>,
    /// Subschemas inside one another.
    depth: usize,
}

/// Subschemas that are judged inside one another at most: a place is 64 levels deep at most, and at
/// each of them a schema may name another one.
const DEPTH_MAX: usize = 500;
/// What it costs to remember a judgement, and to find it again.
const MEMORY_STEPS: usize = 8;

type Judged<T> = Result<T, TooExpensive>;

impl<'s> Evaluation<'s> {
    pub(super) fn new(rules: &'s Rules, budget: Budget) -> Evaluation<'s> {
        Evaluation {
            rules,
            budget,
            matchers: Matchers::new(&rules.patterns),
            scopes: Scopes::new(),
            judged: BTreeMap::new(),
            depth: 0,
        }
    }

    /// The steps that are left.
    pub(super) fn budget(&self) -> Budget {
        self.budget
    }

    /// Whether `at` satisfies a subschema.
    ///
    /// # Errors
    /// More steps than there are, or subschemas nested too deeply. The evaluation is over then.
    pub(super) fn is_valid(
        &mut self,
        schema: SchemaNumber,
        scope: ScopeNumber,
        at: &Json<'_>,
    ) -> Judged<bool> {
        self.budget.charge(1)?;
        let rules = self.rules;
        let subschema = &rules.schemas[schema];
        let scope = self.enter(schema, scope)?;
        let place = (schema, scope, std::ptr::from_ref(at).cast());
        if subschema.is_shared {
            self.budget.charge(MEMORY_STEPS)?;
            if let Some(judged) = self.judged.get(&place) {
                return Ok(*judged);
            }
        }
        self.descend()?;
        let mut is_valid = true;
        for keyword in &subschema.keywords {
            if !self.holds(keyword, schema, scope, at)? {
                is_valid = false;
                break;
            }
        }
        self.depth -= 1;
        if subschema.is_shared {
            self.judged.insert(place, is_valid);
        }
        Ok(is_valid)
    }

    /// The scope inside a subschema.
    fn enter(&mut self, schema: SchemaNumber, scope: ScopeNumber) -> Judged<ScopeNumber> {
        let resource = self.rules.schemas[schema].resource;
        match self.rules.dynamic_anchors.get(resource) {
            Some(anchors) => self.scopes.enter(scope, resource, anchors, &mut self.budget),
            None => Ok(scope),
        }
    }

    fn descend(&mut self) -> Judged<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(TooExpensive) } else { Ok(()) }
    }

    /// Whether `at` satisfies one keyword of `schema`.
    fn holds(
        &mut self,
        keyword: &'s Keyword,
        schema: SchemaNumber,
        scope: ScopeNumber,
        at: &Json<'_>,
    ) -> Judged<bool> {
        self.budget.charge(1)?;
        match keyword {
            Keyword::Assertion(assertion) => self.is_so(assertion, at),
            Keyword::PropertyNames(names) => self.names(*names, scope, at),
            Keyword::Properties(properties) => self.properties(properties, scope, at),
            Keyword::Items(list) => self.items(list, scope, at),
            Keyword::Contains(contains) => self.contains(contains, scope, at),
            Keyword::DependentSchemas(dependent) => self.dependent(dependent, scope, at),
            Keyword::Not(schema) => Ok(!self.is_valid(*schema, scope, at)?),
            Keyword::If { condition, then, otherwise } => {
                let branch = if self.is_valid(*condition, scope, at)? { then } else { otherwise };
                branch.map_or(Ok(true), |branch| self.is_valid(branch, scope, at))
            }
            Keyword::AllOf(list) => {
                Ok(self.valid_ones(list, scope, at, Stop::AtInvalid)? == list.len())
            }
            Keyword::AnyOf(list) => Ok(self.valid_ones(list, scope, at, Stop::AtValid(1))? == 1),
            Keyword::OneOf(list) => Ok(self.valid_ones(list, scope, at, Stop::AtValid(2))? == 1),
            Keyword::Reference(to) => self.is_valid(*to, scope, at),
            Keyword::DynamicReference { anchor, otherwise } => {
                let to = self.scopes.bound(scope, *anchor).unwrap_or(*otherwise);
                self.is_valid(to, scope, at)
            }
            Keyword::UnevaluatedItems(rest) => {
                let Json::Array(items) = at else { return Ok(true) };
                self.unevaluated(*rest, schema, scope, at, items.iter())
            }
            Keyword::UnevaluatedProperties(rest) => {
                let Json::Object(object) = at else { return Ok(true) };
                let values = object.members().iter().map(|member| &member.value);
                self.unevaluated(*rest, schema, scope, at, values)
            }
        }
    }

    /// Whether a value itself is as an assertion wants it.
    fn is_so(&mut self, assertion: &'s Assertion, at: &Json<'_>) -> Judged<bool> {
        match (assertion, at) {
            (Assertion::False, _) => Ok(false),
            (Assertion::Type(types), _) => {
                self.budget.charge(length(at) / 16)?;
                Ok(types.accept(at))
            }
            (Assertion::Const(value), _) => at.equals(value, &mut self.budget),
            (Assertion::Enum(values), _) => self.is_one_of(values, at),
            (Assertion::Minimum(bound), Json::Number(text)) => {
                self.is_beyond(bound, text, Ordering::Greater)
            }
            (Assertion::Maximum(bound), Json::Number(text)) => {
                self.is_beyond(bound, text, Ordering::Less)
            }
            (Assertion::MultipleOf { divisor }, Json::Number(text)) => {
                self.budget.charge_bytes(text.len())?;
                Decimal::read(text).is_multiple_of(divisor, &mut self.budget)
            }
            (Assertion::MinLength(limit), Json::String(text)) => {
                Ok(self.characters(text)? >= *limit)
            }
            (Assertion::MaxLength(limit), Json::String(text)) => {
                Ok(self.characters(text)? <= *limit)
            }
            (Assertion::Format(format), Json::String(text)) => {
                self.budget.charge_bytes(2 * text.len())?;
                Ok(format.fits(text))
            }
            (Assertion::Pattern(pattern), Json::String(text)) => {
                self.matchers.is_match(*pattern, text, &mut self.budget)
            }
            (Assertion::MinItems(limit), Json::Array(items)) => Ok(items.len() as u64 >= *limit),
            (Assertion::MaxItems(limit), Json::Array(items)) => Ok(items.len() as u64 <= *limit),
            (Assertion::UniqueItems, Json::Array(items)) => self.are_unique(items),
            (Assertion::MinProperties(limit), Json::Object(object)) => {
                Ok(object.len() as u64 >= *limit)
            }
            (Assertion::MaxProperties(limit), Json::Object(object)) => {
                Ok(object.len() as u64 <= *limit)
            }
            (Assertion::Required(names), Json::Object(object)) => self.has_all(names, object),
            (Assertion::DependentRequired(dependent), Json::Object(object)) => {
                self.has_dependent(dependent, object)
            }
            // They want nothing of values of another type.
            (_, _) => Ok(true),
        }
    }

    fn names(&mut self, names: SchemaNumber, scope: ScopeNumber, at: &Json<'_>) -> Judged<bool> {
        for member in at.as_object().map_or(&[][..], Object::members) {
            if !self.is_valid(names, scope, &member.name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn dependent(
        &mut self,
        dependent: &[(String, SchemaNumber)],
        scope: ScopeNumber,
        at: &Json<'_>,
    ) -> Judged<bool> {
        let Json::Object(object) = at else { return Ok(true) };
        for (name, schema) in dependent {
            if self.has(object, name)? && !self.is_valid(*schema, scope, at)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn contains(&mut self, contains: &Contains, scope: ScopeNumber, at: &Json<'_>) -> Judged<bool> {
        let Json::Array(items) = at else { return Ok(true) };
        let mut count = 0;
        for item in items {
            count += u64::from(self.is_valid(contains.schema, scope, item)?);
            if count > contains.at_most {
                return Ok(false);
            }
        }
        Ok(count >= contains.at_least)
    }

    /// Whether a number lies on the side `wanted` of a bound, or on the bound if that counts.
    fn is_beyond(&mut self, bound: &Bound, text: &str, wanted: Ordering) -> Judged<bool> {
        self.budget.charge_bytes(text.len())?;
        let order = Decimal::read(text).cmp(&bound.limit);
        Ok(order == wanted || (order.is_eq() && !bound.is_exclusive))
    }

    fn characters(&mut self, text: &str) -> Judged<u64> {
        self.budget.charge_bytes(text.len())?;
        Ok(text.chars().count() as u64)
    }

    /// Whether an object has the member `name`.
    fn has(&mut self, object: &Object<'_>, name: &str) -> Judged<bool> {
        self.budget.charge(rounds(object.len()) * (1 + name.len() / 64))?;
        Ok(object.has(name))
    }

    fn has_all(&mut self, names: &[String], object: &Object<'_>) -> Judged<bool> {
        for name in names {
            if !self.has(object, name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_dependent(
        &mut self,
        dependent: &[(String, Vec<String>)],
        object: &Object<'_>,
    ) -> Judged<bool> {
        for (name, names) in dependent {
            if self.has(object, name)? && !self.has_all(names, object)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_one_of(&mut self, values: &[Vec<u8>], at: &Json<'_>) -> Judged<bool> {
        let rounds = rounds(values.len());
        self.budget.charge(rounds)?;
        // What is long is mostly of another kind than the values of an enumeration.
        let kind = [at.kind()];
        let first = values.partition_point(|value| value[..] < kind[..]);
        if values.get(first).is_none_or(|value| !value.starts_with(&kind)) {
            return Ok(false);
        }
        let sought = at.canonical(&mut self.budget)?;
        self.budget.charge(rounds * (1 + sought.len() / 64))?;
        Ok(values.binary_search(&sought).is_ok())
    }

    fn are_unique(&mut self, items: &[Json<'_>]) -> Judged<bool> {
        let mut bytes = 0;
        let mut sorted = Vec::with_capacity(items.len());
        for item in items {
            let canonical = item.canonical(&mut self.budget)?;
            bytes += canonical.len();
            sorted.push(canonical);
        }
        self.budget.charge(rounds(items.len()) * (items.len() + bytes / 64))?;
        sorted.sort_unstable();
        Ok(sorted.windows(2).all(|pair| pair[0] != pair[1]))
    }

    fn properties(
        &mut self,
        properties: &Properties,
        scope: ScopeNumber,
        at: &Json<'_>,
    ) -> Judged<bool> {
        let Json::Object(object) = at else { return Ok(true) };
        for member in object.members() {
            let named = self.named(properties, member.name())?;
            let mut is_additional = named.is_none();
            if let Some(schema) = named
                && !self.is_valid(schema, scope, &member.value)?
            {
                return Ok(false);
            }
            for (pattern, schema) in &properties.matching {
                if self.matchers.is_match(*pattern, member.name(), &mut self.budget)? {
                    is_additional = false;
                    if !self.is_valid(*schema, scope, &member.value)? {
                        return Ok(false);
                    }
                }
            }
            if let Some(schema) = properties.additional.filter(|_| is_additional)
                && !self.is_valid(schema, scope, &member.value)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What `properties` says of the member `name`.
    fn named(&mut self, properties: &Properties, name: &str) -> Judged<Option<SchemaNumber>> {
        self.budget.charge(rounds(properties.named.len()) * (1 + name.len() / 64))?;
        Ok(properties.named.get(name).copied())
    }

    fn items(&mut self, list: &Items, scope: ScopeNumber, at: &Json<'_>) -> Judged<bool> {
        let Json::Array(items) = at else { return Ok(true) };
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = list.first.get(index).copied().or(list.rest) else { break };
            if !self.is_valid(schema, scope, item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many of some subschemas accept a value, as far as that matters.
    fn valid_ones(
        &mut self,
        list: &[SchemaNumber],
        scope: ScopeNumber,
        at: &Json<'_>,
        stop: Stop,
    ) -> Judged<usize> {
        let mut count = 0;
        for schema in list {
            let is_valid = self.is_valid(*schema, scope, at)?;
            count += usize::from(is_valid);
            match stop {
                Stop::AtInvalid if !is_valid => break,
                Stop::AtValid(enough) if count == enough => break,
                Stop::AtInvalid | Stop::AtValid(_) => {}
            }
        }
        Ok(count)
    }
}

/// When a count of valid subschemas need not go on.
#[derive(Clone, Copy)]
enum Stop {
    AtInvalid,
    AtValid(usize),
}

/// Bytes of a number.
fn length(at: &Json<'_>) -> usize {
    match at {
        Json::Number(text) => text.len(),
        _ => 0,
    }
}
