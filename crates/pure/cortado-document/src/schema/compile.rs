//! From the text of a schema to its rules. What is no schema is refused with its place.
//!
//! No recursion: a queue holds the subschemas that are named and not yet read, each once, so that
//! chains of references cost no stack. Start reading at [`compile`].

mod values;

use super::assertion::{Assertion, Bound};
use super::draft::Draft;
use super::format::Format;
use super::index::{Index, ResourceNumber};
use super::recursion;
use super::rules::{
    AnchorNumber, Contains, Items, Keyword, Properties, Rules, SchemaNumber, Subschema,
};
use super::schema_error::SchemaError;
use crate::budget::{Budget, rounds};
use crate::json::{Json, Object};
use std::collections::{BTreeMap, VecDeque};

/// Steps that reading a schema may take.
const STEPS_MAX: u64 = 4_000_000;

/// Compiles a schema.
///
/// # Errors
/// See [`SchemaError`].
pub(super) fn compile(root: &Json<'_>) -> Result<Rules, SchemaError> {
    let mut budget = Budget::new(STEPS_MAX);
    let index = Index::of(root, &mut budget)?;
    let mut compiler = Compiler {
        index,
        budget,
        numbers: BTreeMap::new(),
        queue: VecDeque::new(),
        sources: Vec::new(),
        anchors: BTreeMap::new(),
        rules: Rules {
            schemas: Vec::new(),
            patterns: Default::default(),
            dynamic_anchors: Vec::new(),
        },
    };
    compiler.number(root, 0)?;
    compiler.work_off()?;
    compiler.bind_anchors()?;
    if let Some(endless) = recursion::find(&compiler.rules, &mut compiler.budget)? {
        let path = compiler.index.path_of(compiler.sources[endless]);
        return Err(SchemaError::Endless { path });
    }
    let Compiler { mut rules, .. } = compiler;
    remember_branches(&mut rules);
    Ok(rules)
}

struct Compiler<'a> {
    index: Index<'a>,
    budget: Budget,
    numbers: BTreeMap<*const Json<'a>, SchemaNumber>,
    /// Subschemas that have a number and are not read yet.
    queue: VecDeque<SchemaNumber>,
    /// Of each subschema its JSON.
    sources: Vec<&'a Json<'a>>,
    anchors: BTreeMap<&'a str, AnchorNumber>,
    rules: Rules,
}

type Read<T> = Result<T, SchemaError>;

/// The name that `$recursiveRef` is bound by: no anchor is called so.
const RECURSIVE: &str = "#";

impl<'a> Compiler<'a> {
    /// The number of a subschema; one that is named again is shared from then on.
    fn number(&mut self, schema: &'a Json<'a>, around: ResourceNumber) -> Read<SchemaNumber> {
        if let Some(number) = self.numbers.get(&std::ptr::from_ref(schema)) {
            self.rules.schemas[*number].is_shared = true;
            return Ok(*number);
        }
        self.budget.charge(4)?;
        let resource = self.index.home(schema, around, &mut self.budget)?;
        let number = self.rules.schemas.len();
        self.rules.schemas.push(Subschema { keywords: Vec::new(), resource, is_shared: false });
        self.numbers.insert(schema, number);
        self.sources.push(schema);
        self.queue.push_back(number);
        Ok(number)
    }

    fn work_off(&mut self) -> Read<()> {
        while let Some(number) = self.queue.pop_front() {
            let resource = self.rules.schemas[number].resource;
            let keywords = match self.sources[number] {
                Json::Bool(true) => Vec::new(),
                Json::Bool(false) => vec![Keyword::Assertion(Assertion::False)],
                Json::Object(keywords) => self.keywords(keywords, resource)?,
                other => {
                    return Err(self.invalid(other, "must be a schema: an object or a boolean"));
                }
            };
            self.rules.schemas[number].keywords = keywords;
        }
        Ok(())
    }

    /// What a subschema demands, the cheap keywords first.
    fn keywords(&mut self, schema: &'a Object<'a>, resource: ResourceNumber) -> Read<Vec<Keyword>> {
        let draft = self.index.resources[resource].draft;
        let of = Source { schema, resource, draft };
        self.definitions(of)?;
        let mut found = Vec::new();
        if let Some(reference) = schema.get("$ref") {
            found.push(self.reference(reference, resource)?);
            if draft.reference_stands_alone() {
                return Ok(found);
            }
        }
        self.check_annotations(schema)?;
        let mut assertions = Vec::new();
        self.numbers_and_sizes(of, &mut assertions)?;
        self.values(of, &mut assertions)?;
        self.required(of, &mut assertions)?;
        found.extend(assertions.into_iter().map(Keyword::Assertion));
        self.members(of, &mut found)?;
        self.items(of, &mut found)?;
        self.branches(of, &mut found)?;
        self.dynamic_references(of, &mut found)?;
        self.unevaluated(of, &mut found)?;
        found.sort_by_key(rank);
        Ok(found)
    }

    /// Reads what no keyword applies: references may lead to it later, so it must be schemas.
    fn definitions(&mut self, of: Source<'a>) -> Read<()> {
        let names: &[_] =
            if of.draft >= Draft::V2019 { &["$defs", "definitions"] } else { &["definitions"] };
        for name in names {
            if let Some(definitions) = of.schema.get(name) {
                for member in self.object(definitions)?.members() {
                    if !self.numbers.contains_key(&std::ptr::from_ref(&member.value)) {
                        self.number(&member.value, of.resource)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_annotations(&self, schema: &'a Object<'a>) -> Read<()> {
        for name in ["title", "description", "$comment"] {
            schema.get(name).map(|value| self.text(value)).transpose()?;
        }
        for name in ["readOnly", "writeOnly", "deprecated"] {
            schema.get(name).map(|value| self.boolean(value)).transpose()?;
        }
        Ok(())
    }

    fn numbers_and_sizes(&mut self, of: Source<'a>, found: &mut Vec<Assertion>) -> Read<()> {
        for (name, exclusive, bound) in [
            ("minimum", "exclusiveMinimum", Assertion::Minimum as fn(Bound) -> Assertion),
            ("maximum", "exclusiveMaximum", Assertion::Maximum),
        ] {
            let beside = of.schema.get(exclusive);
            let is_flag = of.draft == Draft::V4;
            if let Some(flag) = beside.filter(|_| is_flag) {
                self.boolean(flag)?;
            }
            if let Some(value) = of.schema.get(name) {
                let flag = beside.filter(|_| is_flag);
                let is_exclusive = flag.map(|flag| self.boolean(flag)).transpose()? == Some(true);
                found.push(bound(self.bound(value, is_exclusive)?));
            }
            if let Some(value) = beside.filter(|_| !is_flag) {
                found.push(bound(self.bound(value, true)?));
            }
        }
        if let Some(value) = of.schema.get("multipleOf") {
            let divisor = self.decimal(value)?.0;
            if !divisor.is_positive() {
                return Err(self.invalid(value, "must be greater than 0"));
            }
            found.push(Assertion::MultipleOf { divisor });
        }
        for (name, keyword) in [
            ("minLength", Assertion::MinLength as fn(u64) -> Assertion),
            ("maxLength", Assertion::MaxLength),
            ("minItems", Assertion::MinItems),
            ("maxItems", Assertion::MaxItems),
            ("minProperties", Assertion::MinProperties),
            ("maxProperties", Assertion::MaxProperties),
        ] {
            if let Some(value) = of.schema.get(name) {
                found.push(keyword(self.count(value)?));
            }
        }
        Ok(())
    }

    fn values(&mut self, of: Source<'a>, found: &mut Vec<Assertion>) -> Read<()> {
        let Source { schema, draft, .. } = of;
        if let Some(value) = schema.get("type") {
            found.push(Assertion::Type(self.types(value)?));
        }
        if let Some(value) = schema.get("enum") {
            let values = self.array(value)?;
            self.budget.charge(values.len() * rounds(values.len()))?;
            let values = values.iter().map(|value| value.canonical(&mut self.budget));
            let mut values: Vec<_> = values.collect::<Result<_, _>>()?;
            values.sort_unstable();
            found.push(Assertion::Enum(values));
        }
        if let Some(value) = schema.get("const").filter(|_| draft >= Draft::V6) {
            self.budget.charge(value.weight())?;
            found.push(Assertion::Const(value.to_owned()));
        }
        if let Some(value) = schema.get("format") {
            found.extend(Format::named(self.text(value)?).map(Assertion::Format));
        }
        if let Some(value) = schema.get("pattern") {
            let pattern = self.text(value)?;
            found.push(Assertion::Pattern(self.pattern(pattern, value)?));
        }
        if let Some(value) = schema.get("uniqueItems")
            && self.boolean(value)?
        {
            found.push(Assertion::UniqueItems);
        }
        Ok(())
    }

    fn required(&mut self, of: Source<'a>, found: &mut Vec<Assertion>) -> Read<()> {
        let Source { schema, draft, .. } = of;
        if let Some(value) = schema.get("required") {
            found.push(Assertion::Required(self.names(value)?));
        }
        if let Some(value) = schema.get("dependentRequired").filter(|_| draft >= Draft::V2019) {
            let mut dependent = Vec::new();
            for member in self.object(value)?.members() {
                dependent.push((member.name().to_owned(), self.names(&member.value)?));
            }
            found.push(Assertion::DependentRequired(dependent));
        }
        Ok(())
    }

    fn members(&mut self, of: Source<'a>, found: &mut Vec<Keyword>) -> Read<()> {
        let Source { schema, draft, resource } = of;
        if let Some(value) = schema.get("propertyNames").filter(|_| draft >= Draft::V6) {
            found.push(Keyword::PropertyNames(self.number(value, resource)?));
        }
        let mut properties = Properties::default();
        if let Some(value) = schema.get("properties") {
            properties.named = self.named(value, resource)?.into_iter().collect();
        }
        if let Some(value) = schema.get("patternProperties") {
            for member in self.object(value)?.members() {
                let pattern = self.pattern(member.name(), &member.name)?;
                properties.matching.push((pattern, self.number(&member.value, resource)?));
            }
        }
        if let Some(value) = schema.get("additionalProperties") {
            properties.additional = Some(self.number(value, resource)?);
        }
        let Properties { named, matching, additional } = &properties;
        if !named.is_empty() || !matching.is_empty() || additional.is_some() {
            found.push(Keyword::Properties(properties));
        }
        Ok(())
    }

    fn items(&mut self, of: Source<'a>, found: &mut Vec<Keyword>) -> Read<()> {
        let Source { schema, draft, resource } = of;
        let by_place = draft >= Draft::V2020;
        let (first, rest) = match schema.get("items") {
            items if by_place => (schema.get("prefixItems"), items),
            Some(list @ Json::Array(_)) => (Some(list), schema.get("additionalItems")),
            items => (None, items),
        };
        if first.is_some() || rest.is_some() {
            let first = first.map(|list| self.list(list, resource)).transpose()?;
            let rest = rest.map(|rest| self.number(rest, resource)).transpose()?;
            found.push(Keyword::Items(Items { first: first.unwrap_or_default(), rest }));
        }
        if let Some(value) = schema.get("contains").filter(|_| draft >= Draft::V6) {
            let contains = self.number(value, resource)?;
            let mut bounds = [1, u64::MAX];
            for (bound, name) in bounds.iter_mut().zip(["minContains", "maxContains"]) {
                if let Some(value) = schema.get(name).filter(|_| draft >= Draft::V2019) {
                    *bound = self.count(value)?;
                }
            }
            let [at_least, at_most] = bounds;
            let evaluates = draft >= Draft::V2020;
            found.push(Keyword::Contains(Contains {
                schema: contains,
                at_least,
                at_most,
                evaluates,
            }));
        }
        Ok(())
    }

    fn branches(&mut self, of: Source<'a>, found: &mut Vec<Keyword>) -> Read<()> {
        let Source { schema, draft, resource } = of;
        for (name, keyword) in [
            ("allOf", Keyword::AllOf as fn(Vec<SchemaNumber>) -> Keyword),
            ("anyOf", Keyword::AnyOf),
            ("oneOf", Keyword::OneOf),
        ] {
            if let Some(value) = schema.get(name) {
                let list = self.list(value, resource)?;
                if list.is_empty() {
                    return Err(self.invalid(value, "must have at least one schema"));
                }
                found.push(keyword(list));
            }
        }
        if let Some(value) = schema.get("not") {
            found.push(Keyword::Not(self.number(value, resource)?));
        }
        if let Some(condition) = schema.get("if").filter(|_| draft >= Draft::V7) {
            let condition = self.number(condition, resource)?;
            let mut branch = |name| -> Read<_> {
                schema.get(name).map(|branch| self.number(branch, resource)).transpose()
            };
            let (then, otherwise) = (branch("then")?, branch("else")?);
            found.push(Keyword::If { condition, then, otherwise });
        }
        if let Some(value) = schema.get("dependentSchemas").filter(|_| draft >= Draft::V2019) {
            found.push(Keyword::DependentSchemas(self.named(value, resource)?));
        }
        if let Some(value) = schema.get("dependencies") {
            let (mut names, mut schemas) = (Vec::new(), Vec::new());
            for member in self.object(value)?.members() {
                let name = member.name().to_owned();
                match &member.value {
                    list @ Json::Array(_) => names.push((name, self.names(list)?)),
                    schema => schemas.push((name, self.number(schema, resource)?)),
                }
            }
            found.push(Keyword::Assertion(Assertion::DependentRequired(names)));
            found.push(Keyword::DependentSchemas(schemas));
        }
        Ok(())
    }

    fn reference(&mut self, value: &'a Json<'a>, resource: ResourceNumber) -> Read<Keyword> {
        let reference = self.text(value)?;
        let target = self.index.resolve(resource, reference, &mut self.budget)?;
        let target = target.ok_or_else(|| self.nowhere(value))?;
        Ok(Keyword::Reference(self.number(target.schema, target.resource)?))
    }

    fn dynamic_references(&mut self, of: Source<'a>, found: &mut Vec<Keyword>) -> Read<()> {
        let Source { schema, draft, resource } = of;
        if let Some(value) = schema.get("$dynamicRef").filter(|_| draft >= Draft::V2020) {
            let reference = self.text(value)?;
            let target = self.index.resolve(resource, reference, &mut self.budget)?;
            let target = target.ok_or_else(|| self.nowhere(value))?;
            let otherwise = self.number(target.schema, target.resource)?;
            found.push(match target.dynamic_anchor {
                Some(name) => {
                    let anchor = self.anchor(name);
                    Keyword::DynamicReference { anchor, otherwise }
                }
                None => Keyword::Reference(otherwise),
            });
        }
        if let Some(value) = schema.get("$recursiveRef").filter(|_| draft == Draft::V2019) {
            if self.text(value)? != "#" {
                return Err(self.nowhere(value));
            }
            let root = self.index.resources[resource].root;
            let otherwise = self.number(root, resource)?;
            found.push(if is_recursive(root) {
                let anchor = self.anchor(RECURSIVE);
                Keyword::DynamicReference { anchor, otherwise }
            } else {
                Keyword::Reference(otherwise)
            });
        }
        Ok(())
    }

    fn anchor(&mut self, name: &'a str) -> AnchorNumber {
        let next = self.anchors.len();
        *self.anchors.entry(name).or_insert(next)
    }

    fn unevaluated(&mut self, of: Source<'a>, found: &mut Vec<Keyword>) -> Read<()> {
        if of.draft < Draft::V2019 {
            return Ok(());
        }
        if let Some(value) = of.schema.get("unevaluatedItems") {
            found.push(Keyword::UnevaluatedItems(self.number(value, of.resource)?));
        }
        if let Some(value) = of.schema.get("unevaluatedProperties") {
            found.push(Keyword::UnevaluatedProperties(self.number(value, of.resource)?));
        }
        Ok(())
    }

    /// Notes where dynamic references may lead. What they lead to has to be read as well.
    fn bind_anchors(&mut self) -> Read<()> {
        let mut bound = 0;
        while bound != self.anchors.len() {
            bound = self.anchors.len();
            self.budget.charge(self.index.anchors_count())?;
            let mut targets = vec![Vec::new(); self.index.resources.len()];
            let named: Vec<_> = self.index.dynamic_anchors().collect();
            for (resource, name, schema) in named {
                if let Some(anchor) = self.anchors.get(name).copied() {
                    targets[resource].push((anchor, self.number(schema, resource)?));
                }
            }
            if let Some(anchor) = self.anchors.get(RECURSIVE).copied() {
                for (resource, targets) in targets.iter_mut().enumerate() {
                    let root = self.index.resources[resource].root;
                    if is_recursive(root) {
                        targets.push((anchor, self.number(root, resource)?));
                    }
                }
            }
            self.rules.dynamic_anchors = targets;
            self.work_off()?;
        }
        Ok(())
    }
}

/// One subschema while it is read.
#[derive(Clone, Copy)]
struct Source<'a> {
    schema: &'a Object<'a>,
    resource: ResourceNumber,
    draft: Draft,
}

fn is_recursive(resource: &Json<'_>) -> bool {
    matches!(resource.get("$recursiveAnchor"), Some(Json::Bool(true)))
}

/// In which order keywords are evaluated: what one look decides, then members and items, then
/// whole schemas, and at last what must know what the others have evaluated.
fn rank(keyword: &Keyword) -> u8 {
    match keyword {
        Keyword::Properties(_)
        | Keyword::PropertyNames(_)
        | Keyword::Items(_)
        | Keyword::Contains(_)
        | Keyword::Assertion(Assertion::UniqueItems) => 1,
        Keyword::Not(_)
        | Keyword::If { .. }
        | Keyword::AllOf(_)
        | Keyword::AnyOf(_)
        | Keyword::OneOf(_)
        | Keyword::DependentSchemas(_)
        | Keyword::Reference(_)
        | Keyword::DynamicReference { .. } => 2,
        Keyword::UnevaluatedItems(_) | Keyword::UnevaluatedProperties(_) => 3,
        Keyword::Assertion(_) => 0,
    }
}

/// What was evaluated is asked of branches that have been judged already: these are remembered.
fn remember_branches(rules: &mut Rules) {
    let is_unevaluated = |keyword: &Keyword| {
        matches!(keyword, Keyword::UnevaluatedItems(_) | Keyword::UnevaluatedProperties(_))
    };
    if !rules.schemas.iter().any(|schema| schema.keywords.iter().any(is_unevaluated)) {
        return;
    }
    let mut branches = Vec::new();
    for keyword in rules.schemas.iter().flat_map(|schema| &schema.keywords) {
        match keyword {
            Keyword::AnyOf(list) | Keyword::OneOf(list) => branches.extend(list),
            Keyword::If { condition, .. } => branches.push(*condition),
            Keyword::Contains(contains) => branches.push(contains.schema),
            _ => {}
        }
    }
    for branch in branches {
        rules.schemas[branch].is_shared = true;
    }
}
