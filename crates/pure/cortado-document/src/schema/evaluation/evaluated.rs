//! Which members and items a schema has evaluated, for `unevaluatedProperties` and
//! `unevaluatedItems`.
//!
//! Asked when all other keywords of the schema hold. Start reading at [`Marks`].

use super::{Evaluation, Judged};
use crate::budget::Budget;
use crate::json::{Json, Object};
use crate::schema::rules::{Keyword, Properties, SchemaNumber};
use crate::schema::scopes::ScopeNumber;
use std::collections::BTreeSet;

/// Marks that are set in one step.
const MARKS_A_STEP: usize = 256;

/// The members or items of one value that some schemas have evaluated.
struct Marks {
    /// By their place in the text.
    marked: Vec<bool>,
    /// Schemas that were asked already: they would mark the same again.
    asked: BTreeSet<(SchemaNumber, ScopeNumber)>,
}

/// What a schema that marks is to the one whose unevaluated rest is sought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marking {
    /// That one itself, which asks before it has judged the rest.
    Asking,
    /// One that it applies to the same value, and which has judged its own rest.
    Applied,
}

impl Marks {
    fn all(&mut self, budget: &mut Budget) -> Judged<()> {
        budget.charge(self.marked.len() / MARKS_A_STEP)?;
        self.marked.fill(true);
        Ok(())
    }
}

impl Evaluation<'_> {
    /// Whether all of `values`, the members or items of `at`, that `schema` has not evaluated
    /// satisfy `rest`.
    pub(super) fn unevaluated<'v, 'd: 'v>(
        &mut self,
        rest: SchemaNumber,
        schema: SchemaNumber,
        scope: ScopeNumber,
        at: &Json<'_>,
        values: impl ExactSizeIterator<Item = &'v Json<'d>>,
    ) -> Judged<bool> {
        let evaluated = self.evaluated(schema, scope, at, values.len())?;
        for (value, is_evaluated) in values.zip(evaluated) {
            if !is_evaluated && !self.is_valid(rest, scope, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn evaluated(
        &mut self,
        schema: SchemaNumber,
        scope: ScopeNumber,
        at: &Json<'_>,
        count: usize,
    ) -> Judged<Vec<bool>> {
        self.budget.charge(1 + count / 16)?;
        let mut marks = Marks { marked: vec![false; count], asked: BTreeSet::new() };
        self.mark(schema, scope, at, &mut marks, Marking::Asking)?;
        Ok(marks.marked)
    }

    /// Marks what a schema that accepts `at` has evaluated.
    fn mark(
        &mut self,
        schema: SchemaNumber,
        scope: ScopeNumber,
        at: &Json<'_>,
        marks: &mut Marks,
        role: Marking,
    ) -> Judged<()> {
        self.budget.charge(1)?;
        let scope = self.enter(schema, scope)?;
        if !marks.asked.insert((schema, scope)) {
            return Ok(());
        }
        self.descend()?;
        let rules = self.rules;
        for keyword in &rules.schemas[schema].keywords {
            self.mark_by(keyword, scope, at, marks, role)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn mark_by(
        &mut self,
        keyword: &Keyword,
        scope: ScopeNumber,
        at: &Json<'_>,
        marks: &mut Marks,
        role: Marking,
    ) -> Judged<()> {
        match (keyword, at) {
            (Keyword::Properties(properties), Json::Object(object)) => {
                self.mark_members(properties, object, marks)?;
            }
            (Keyword::UnevaluatedProperties(_), Json::Object(_)) if role == Marking::Applied => {
                marks.all(&mut self.budget)?;
            }
            (Keyword::Items(items), Json::Array(_)) => match items.rest {
                Some(_) => marks.all(&mut self.budget)?,
                None => {
                    let first = items.first.len().min(marks.marked.len());
                    self.budget.charge(first / MARKS_A_STEP)?;
                    marks.marked[..first].fill(true);
                }
            },
            (Keyword::Contains(contains), Json::Array(items)) if contains.evaluates => {
                for (index, item) in items.iter().enumerate() {
                    marks.marked[index] |= self.is_valid(contains.schema, scope, item)?;
                }
            }
            (Keyword::UnevaluatedItems(_), Json::Array(_)) if role == Marking::Applied => {
                marks.all(&mut self.budget)?;
            }
            (Keyword::AllOf(list), _) => {
                for schema in list {
                    self.mark(*schema, scope, at, marks, Marking::Applied)?;
                }
            }
            (Keyword::AnyOf(list) | Keyword::OneOf(list), _) => {
                for schema in list {
                    if self.is_valid(*schema, scope, at)? {
                        self.mark(*schema, scope, at, marks, Marking::Applied)?;
                    }
                }
            }
            (Keyword::If { condition, then, otherwise }, _) => {
                let holds = self.is_valid(*condition, scope, at)?;
                let condition = holds.then_some(*condition);
                let branch = if holds { then } else { otherwise };
                for schema in [condition, *branch].into_iter().flatten() {
                    self.mark(schema, scope, at, marks, Marking::Applied)?;
                }
            }
            (Keyword::DependentSchemas(dependent), Json::Object(object)) => {
                for (name, schema) in dependent {
                    if self.has(object, name)? {
                        self.mark(*schema, scope, at, marks, Marking::Applied)?;
                    }
                }
            }
            (Keyword::Reference(to), _) => self.mark(*to, scope, at, marks, Marking::Applied)?,
            (Keyword::DynamicReference { anchor, otherwise }, _) => {
                let to = self.scopes.bound(scope, *anchor).unwrap_or(*otherwise);
                self.mark(to, scope, at, marks, Marking::Applied)?;
            }
            // They evaluate no members and no items, or not those of this kind of value.
            (_, _) => {}
        }
        Ok(())
    }

    fn mark_members(
        &mut self,
        properties: &Properties,
        object: &Object<'_>,
        marks: &mut Marks,
    ) -> Judged<()> {
        if properties.additional.is_some() {
            return marks.all(&mut self.budget);
        }
        for (index, member) in object.members().iter().enumerate() {
            let mut is_marked = self.named(properties, member.name())?.is_some();
            for (pattern, _) in &properties.matching {
                is_marked = is_marked
                    || self.matchers.is_match(*pattern, member.name(), &mut self.budget)?;
            }
            marks.marked[index] |= is_marked;
        }
        Ok(())
    }
}
