//! The comparison: each keyword of the new schema must follow from what the old one demands.

use super::bounds;
use super::keywords::{Keywords, applies_to, each, each_named, get, member, named, names, prefix};
use super::lists;
use super::reason::{Incompatible, Reason, Why};
use super::reference::{
    DEFINITIONS, allowed_types, declared_types, has_no_reference, is_reference,
    leads_to_definitions, refers_only_to_definitions,
};
use crate::budget::Budget;
use crate::json::Json;
use crate::path::{Path, cut};
use crate::schema::draft::Draft;
use crate::schema::format::Format;
use crate::schema::index::Index;
use crate::types::Types;
use std::collections::BTreeSet;

/// Walks the new schema next to the old one.
pub(super) struct Comparison<'a> {
    old: Index<'a>,
    new: Index<'a>,
    /// Whether both have the same definitions, and these refer to nothing but one another.
    definitions_are_same: bool,
    /// Pairs of (old schema, what a reference of the new one leads to) taken for compatible while
    /// they are being compared: recursive schemas would never end otherwise. Addresses tell
    /// schemas apart.
    assumed: BTreeSet<(*const Json<'a>, *const Json<'a>)>,
    /// Once it is spent, the answer will be that it was, whatever else is found.
    budget: Budget,
    depth: usize,
}

/// An old schema as a conjunction: itself, what it refers to, and its `allOf`.
struct Old<'a> {
    whole: &'a Json<'a>,
    parts: Vec<&'a Keywords<'a>>,
    types: Types,
}

/// Reasons that one answer lists at most.
const REASONS_MAX: usize = 20;
/// Steps before giving up; hand-written schemas need some thousand.
const STEPS_MAX: u64 = 1_000_000;
/// What it costs to look at one keyword, and at one part of an old schema.
const IMPLIED_STEPS: usize = 8;
const PART_STEPS: usize = 16;
/// Comparisons inside one another before giving up.
const DEPTH_MAX: usize = 200;
/// References and `allOf` inside one another that are taken into account.
const CONJUNCTS_DEPTH_MAX: usize = 16;

/// Keywords that never refuse a document by themselves.
const HARMLESS: [&str; 17] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "$anchor",
    "$vocabulary",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    // They only say how to read `contains` and `then`, which look at them.
    "minContains",
    "maxContains",
    "if",
];

impl<'a> Comparison<'a> {
    /// Compares two schemas that differ.
    ///
    /// # Errors
    /// See [`Incompatible`].
    pub(super) fn between(old: &'a Json<'a>, new: &'a Json<'a>) -> Result<(), Incompatible> {
        let mut budget = Budget::new(STEPS_MAX);
        let not_comparable = |keyword: &str| {
            let why = Why::NotComparable { keyword: keyword.to_owned() };
            Incompatible::Reasons(vec![reason(&Path::Root, why)])
        };
        let indexes = (Index::of(old, &mut budget), Index::of(new, &mut budget));
        let (Ok(old_index), Ok(new_index)) = indexes else {
            if budget.is_spent() {
                return Err(Incompatible::TooExpensive);
            }
            return Err(not_comparable("$schema"));
        };
        // In other drafts the same keywords mean other things.
        let is_newest = |index: &Index<'_>| index.resources.iter().all(|r| r.draft == Draft::V2020);
        if !is_newest(&old_index) || !is_newest(&new_index) {
            return Err(not_comparable("$schema"));
        }
        let mut comparison = Comparison {
            definitions_are_same: have_same_definitions(&old_index, &new_index, old, new),
            old: old_index,
            new: new_index,
            assumed: BTreeSet::new(),
            budget,
            depth: 0,
        };
        let mut reasons = comparison.covers(old, new, &Path::Root);
        if comparison.budget.is_spent() {
            return Err(Incompatible::TooExpensive);
        }
        reasons.truncate(REASONS_MAX);
        if reasons.is_empty() { Ok(()) } else { Err(Incompatible::Reasons(reasons)) }
    }

    /// Takes steps; false if there are none left.
    fn charge(&mut self, steps: usize) -> bool {
        self.budget.charge(steps).is_ok()
    }

    /// Whether two values are the same; false if it would cost too much to know.
    fn same(&mut self, a: &Json<'_>, b: &Json<'_>) -> bool {
        a.equals(b, &mut self.budget).unwrap_or(false)
    }

    /// Why `new` may refuse a value that `old` accepts; empty if it cannot.
    fn covers(&mut self, old: &'a Json<'a>, new: &'a Json<'a>, path: &Path<'_>) -> Vec<Reason> {
        let old = self.conjunction(old);
        if old.types == Types::NONE || matches!(new, Json::Bool(true)) {
            return Vec::new();
        }
        let Json::Object(keywords) = new else {
            return vec![reason(path, Why::Added { keyword: "false".to_owned() })];
        };
        let mut reasons = Vec::new();
        for keyword in names(keywords).filter(|keyword| !HARMLESS.contains(keyword)) {
            reasons.extend(self.implied(&old, keywords, keyword, path));
            if reasons.len() > REASONS_MAX {
                break;
            }
        }
        reasons
    }

    /// Why one keyword of `new` may refuse a value that `old` accepts.
    fn implied(
        &mut self,
        old: &Old<'a>,
        new: &'a Keywords<'a>,
        keyword: &'a str,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        let is_over = !self.charge(IMPLIED_STEPS + old.parts.len()) || self.depth == DEPTH_MAX;
        if is_over || old.types.and(applies_to(keyword)) == Types::NONE {
            if is_over {
                // Given up: the answer will say so whatever stands here.
                self.budget.spend();
            }
            return Vec::new();
        }
        self.depth += 1;
        let path = path.member(keyword);
        let mut reasons = self.keyword(old, new, keyword, &path);
        if !reasons.is_empty() && self.alternatives_imply(old, new, keyword, &path) {
            reasons.clear();
        }
        self.depth -= 1;
        reasons
    }

    /// Whether every branch of one of the old schema's alternatives implies `keyword`.
    fn alternatives_imply(
        &mut self,
        old: &Old<'a>,
        new: &'a Keywords<'a>,
        keyword: &'a str,
        path: &Path<'_>,
    ) -> bool {
        if !self.charge(old.parts.len()) {
            return false;
        }
        let parts = old.parts.clone();
        let lists = parts.iter().flat_map(|part| [part.get("anyOf"), part.get("oneOf")]);
        lists.flatten().filter_map(Json::as_array).any(|branches| {
            branches.iter().all(|branch| {
                let mut branch = self.conjunction(branch);
                branch.types = branch.types.and(old.types);
                branch.types == Types::NONE || self.implied(&branch, new, keyword, path).is_empty()
            })
        })
    }

    fn keyword(
        &mut self,
        old: &Old<'a>,
        new: &'a Keywords<'a>,
        keyword: &'a str,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        let Some(value) = new.get(keyword) else { return Vec::new() };
        match keyword {
            "type" => {
                let types = declared_types(value, &mut self.budget);
                self.verdict(old.types.is_within(types), old, keyword, path)
            }
            "enum" | "const" => {
                let mut parts = old.parts.iter();
                let within =
                    parts.any(|part| lists::is_within(part, keyword, value, &mut self.budget));
                self.verdict(within, old, keyword, path)
            }
            "required" => self.required(old, value, path),
            "uniqueItems" => {
                let holds = matches!(value, Json::Bool(false)) || self.has(old, keyword, value);
                self.verdict(holds, old, keyword, path)
            }
            "dependentRequired" => {
                let holds = old
                    .parts
                    .iter()
                    .any(|part| lists::depends(part.get(keyword), value, &mut self.budget));
                self.verdict(holds, old, keyword, path)
            }
            "properties" => self.properties(old, value, path),
            "patternProperties" => self.pattern_properties(old, value, path),
            "additionalProperties" => {
                self.best(old, |this, part| this.additional_properties(part, new, value, path))
            }
            "propertyNames" => {
                self.best(old, |this, part| this.covers(get(part, "propertyNames"), value, path))
            }
            "prefixItems" => self.prefix_items(old, value, path),
            "items" => self.best(old, |this, part| this.items(part, new, value, path)),
            "contains" => self.unchanged(old, new, &[keyword, "minContains", "maxContains"], path),
            "then" | "else" => self.unchanged(old, new, &[keyword, "if"], path),
            "$ref" => self.reference(old, value, path),
            // Where it leads depends on the way that led here.
            "$dynamicRef" => self.certain(false, keyword, path),
            "allOf" => each(value, path, |schema, path| self.covers(old.whole, schema, path)),
            "anyOf" | "oneOf" => self.alternatives(old, keyword, value, path),
            "unevaluatedProperties" | "unevaluatedItems" => {
                // What is evaluated depends on everything else in the same schema.
                let same = old.parts.iter().any(|part| self.are_same(part, new));
                self.certain(same || matches!(value, Json::Bool(true)), keyword, path)
            }
            // An annotation refuses nothing.
            "format" if value.as_str().is_some_and(|name| Format::named(name).is_none()) => {
                Vec::new()
            }
            _ => match self.bound(None, keyword, value) {
                Some(without) => {
                    let implied = without
                        || old
                            .parts
                            .iter()
                            .any(|part| self.bound(Some(part), keyword, value) == Some(true));
                    self.verdict(implied, old, keyword, path)
                }
                None => self.unchanged(old, new, &[keyword], path),
            },
        }
    }

    fn required(&mut self, old: &Old<'a>, new: &'a Json<'a>, path: &Path<'_>) -> Vec<Reason> {
        let added = lists::newly_required(&old.parts, new, &mut self.budget);
        let why = |member: &str| Why::NewlyRequired { member: cut(member).to_owned() };
        let added = added.into_iter().take(REASONS_MAX);
        added.map(|member| reason(path, why(member))).collect()
    }

    /// Whether a bound follows from those of a part; `None` if `keyword` is no bound.
    fn bound(
        &mut self,
        part: Option<&Keywords<'_>>,
        keyword: &str,
        new: &Json<'_>,
    ) -> Option<bool> {
        bounds::implied(part, keyword, new, &mut self.budget).unwrap_or(Some(false))
    }

    /// Whether two schemas are the same, and mean the same.
    fn are_same(&mut self, old: &Keywords<'a>, new: &Keywords<'a>) -> bool {
        old.len() == new.len()
            && new.members().iter().all(|member| {
                let had = old.get(member.name());
                had.is_some_and(|had| self.same(had, &member.value))
                    && if is_reference(member.name()) {
                        let to = member.value.as_str();
                        self.definitions_are_same && to.is_some_and(leads_to_definitions)
                    } else {
                        self.means_the_same(&member.value)
                    }
            })
    }

    /// Whether the same keyword text means the same in both schemas: it has no references, or only
    /// ones into definitions that are the same in both.
    fn means_the_same(&mut self, text: &Json<'_>) -> bool {
        self.charge(text.weight())
            && (has_no_reference(text)
                || (self.definitions_are_same && refers_only_to_definitions(text)))
    }

    /// The reasons of the part of `old` that has the fewest.
    fn best(
        &mut self,
        old: &Old<'a>,
        mut compare: impl FnMut(&mut Self, Option<&'a Keywords<'a>>) -> Vec<Reason>,
    ) -> Vec<Reason> {
        let mut best: Option<Vec<Reason>> = None;
        for part in &old.parts {
            let reasons = compare(self, Some(*part));
            // Of equally many, those that say more than that this part says nothing.
            let vague = |best: &Vec<Reason>| best.iter().any(|r| r.why == Why::MemberWasOpen);
            let better = |best: &Vec<Reason>| {
                reasons.len() < best.len() || (reasons.len() == best.len() && vague(best))
            };
            if best.as_ref().is_none_or(better) {
                best = Some(reasons);
            }
        }
        best.unwrap_or_else(|| compare(self, None))
    }

    fn properties(&mut self, old: &Old<'a>, value: &'a Json<'a>, path: &Path<'_>) -> Vec<Reason> {
        each_named(value, path, |name, schema, path| {
            self.best(old, |this, part| {
                let old_member = member(part, name);
                let reasons = this.covers(old_member, schema, path);
                if matches!(old_member, Json::Bool(true)) && !reasons.is_empty() {
                    return vec![reason(path, Why::MemberWasOpen)];
                }
                reasons
            })
        })
    }

    fn pattern_properties(
        &mut self,
        old: &Old<'a>,
        value: &'a Json<'a>,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        each_named(value, path, |pattern, schema, path| {
            self.best(old, |this, part| {
                let patterns = part.and_then(|part| part.get("patternProperties"));
                match patterns.and_then(|patterns| patterns.get(pattern)) {
                    Some(old) => this.covers(old, schema, path),
                    // Any member might match.
                    None => this.all_members(part, |_, _| true, schema, path),
                }
            })
        })
    }

    fn additional_properties(
        &mut self,
        old: Option<&'a Keywords<'a>>,
        new: &'a Keywords<'a>,
        schema: &'a Json<'a>,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        // What the new schema names itself is not additional.
        let additional = |keyword: &str, name: &str| {
            new.get(keyword).and_then(Json::as_object).is_none_or(|new| !new.has(name))
        };
        self.all_members(old, additional, schema, path)
    }

    /// Why `schema` may refuse a member of an object: additional ones, and the named ones for
    /// which `concerned` holds.
    fn all_members(
        &mut self,
        old: Option<&'a Keywords<'a>>,
        concerned: impl Fn(&str, &str) -> bool,
        schema: &'a Json<'a>,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        let mut reasons = self.covers(get(old, "additionalProperties"), schema, path);
        for keyword in ["properties", "patternProperties"] {
            for (_, old) in named(old, keyword).filter(|(name, _)| concerned(keyword, name)) {
                reasons.extend(self.covers(old, schema, path));
            }
        }
        reasons
    }

    fn prefix_items(&mut self, old: &Old<'a>, value: &'a Json<'a>, path: &Path<'_>) -> Vec<Reason> {
        let mut index = 0;
        each(value, path, |schema, path| {
            let reasons = self.best(old, |this, part| {
                let old_items = prefix(part);
                this.covers(old_items.get(index).unwrap_or(get(part, "items")), schema, path)
            });
            index += 1;
            reasons
        })
    }

    fn items(
        &mut self,
        old: Option<&'a Keywords<'a>>,
        new: &'a Keywords<'a>,
        schema: &'a Json<'a>,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        let mut reasons = self.covers(get(old, "items"), schema, path);
        for item in prefix(old).iter().skip(prefix(Some(new)).len()) {
            reasons.extend(self.covers(item, schema, path));
        }
        reasons
    }

    fn reference(&mut self, old: &Old<'a>, value: &'a Json<'a>, path: &Path<'_>) -> Vec<Reason> {
        let Some(target) = follow(&self.new, value, &mut self.budget) else {
            return self.certain(false, "$ref", path);
        };
        let old_target = std::ptr::from_ref(self.behind_reference(old.whole));
        let pair = (old_target, std::ptr::from_ref(target));
        if !self.assumed.insert(pair) {
            return Vec::new();
        }
        let reasons = self.covers(old.whole, target, path);
        self.assumed.remove(&pair);
        reasons
    }

    /// The schema that an old one stands for, if it is nothing but a reference to it.
    fn behind_reference(&mut self, mut old: &'a Json<'a>) -> &'a Json<'a> {
        for _ in 0..CONJUNCTS_DEPTH_MAX {
            let Some(keywords) = old.as_object() else { break };
            let bare = |name: &str| name == "$ref" || HARMLESS.contains(&name);
            let Some(reference) = keywords.get("$ref") else { break };
            match follow(&self.old, reference, &mut self.budget) {
                Some(target) if names(keywords).all(bare) => old = target,
                Some(_) | None => break,
            }
        }
        old
    }

    /// `anyOf`: one branch must cover the old schema. `oneOf`: and no other may accept any of it.
    fn alternatives(
        &mut self,
        old: &Old<'a>,
        keyword: &str,
        value: &'a Json<'a>,
        path: &Path<'_>,
    ) -> Vec<Reason> {
        let branches = value.as_array().unwrap_or_default();
        self.charge(branches.len());
        let overlaps: Vec<bool> = branches
            .iter()
            .map(|branch| keyword == "oneOf" && self.may_accept_any_of(old, branch))
            .collect();
        let count = overlaps.iter().filter(|overlaps| **overlaps).count();
        let found = branches.iter().zip(overlaps).any(|(branch, overlaps)| {
            let alone = count == usize::from(overlaps);
            alone && self.covers_within(old, branch)
        });
        let same = found || (self.has(old, keyword, value) && self.means_the_same(value));
        self.certain(same, keyword, path)
    }

    /// Whether a branch may accept a value that `old` accepts, as far as the types tell.
    fn may_accept_any_of(&mut self, old: &Old<'a>, branch: &Json<'_>) -> bool {
        let types = match branch {
            Json::Object(keywords) => allowed_types(keywords, &mut self.budget),
            Json::Bool(false) => Types::NONE,
            _ => Types::ALL,
        };
        types.and(old.types) != Types::NONE
    }

    /// As [`covers`](Self::covers), for values of the types that `old` is known to be limited to.
    fn covers_within(&mut self, old: &Old<'a>, new: &'a Json<'a>) -> bool {
        match new {
            Json::Object(keywords) => names(keywords).all(|keyword| {
                HARMLESS.contains(&keyword)
                    || self.implied(old, keywords, keyword, &Path::Root).is_empty()
            }),
            other => matches!(other, Json::Bool(true)),
        }
    }

    /// The keywords `names` must be as they were, all of them in one part.
    fn unchanged(
        &mut self,
        old: &Old<'a>,
        new: &'a Keywords<'a>,
        names: &[&str],
        path: &Path<'_>,
    ) -> Vec<Reason> {
        let same = old.parts.iter().any(|part| {
            names.iter().all(|name| match (part.get(name), new.get(name)) {
                (Some(old), Some(new)) => self.same(old, new),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            })
        });
        let mut new = names.iter().filter_map(|name| new.get(name));
        let unchanged = same && new.all(|value| self.means_the_same(value));
        self.certain(unchanged, names[0], path)
    }

    /// Whether a part of `old` has this very keyword.
    fn has(&mut self, old: &Old<'_>, keyword: &str, value: &Json<'_>) -> bool {
        let had = old.parts.iter().filter_map(|part| part.get(keyword));
        had.into_iter().any(|had| self.same(had, value))
    }

    fn certain(&self, certain: bool, keyword: &str, path: &Path<'_>) -> Vec<Reason> {
        let why = Why::NotComparable { keyword: cut(keyword).to_owned() };
        if certain { Vec::new() } else { vec![reason(path, why)] }
    }

    fn verdict(&self, holds: bool, old: &Old<'a>, keyword: &str, path: &Path<'_>) -> Vec<Reason> {
        if holds {
            return Vec::new();
        }
        let had = old.parts.iter().any(|part| part.has(keyword));
        let keyword = cut(keyword).to_owned();
        let why = if had { Why::Narrowed { keyword } } else { Why::Added { keyword } };
        vec![reason(path, why)]
    }

    fn conjunction(&mut self, whole: &'a Json<'a>) -> Old<'a> {
        let mut old = Old { whole, parts: Vec::new(), types: Types::ALL };
        // What several ways lead to counts once.
        let mut collected: BTreeSet<*const Json<'_>> = BTreeSet::new();
        let mut next = vec![whole];
        for _ in 0..CONJUNCTS_DEPTH_MAX {
            // Leaving parts out only makes the old schema look more tolerant than it is.
            for schema in std::mem::take(&mut next) {
                if self.charge(PART_STEPS) && collected.insert(schema) {
                    self.collect(schema, &mut old, &mut next);
                }
            }
        }
        old
    }

    /// Adds one part, and what it consists of to `next`.
    fn collect(&mut self, schema: &'a Json<'a>, old: &mut Old<'a>, next: &mut Vec<&'a Json<'a>>) {
        let Json::Object(keywords) = schema else {
            let nothing = matches!(schema, Json::Bool(false));
            old.types = if nothing { Types::NONE } else { old.types };
            return;
        };
        old.parts.push(keywords);
        old.types = old.types.and(allowed_types(keywords, &mut self.budget));
        let reference = keywords.get("$ref");
        next.extend(reference.and_then(|to| follow(&self.old, to, &mut self.budget)));
        let all = keywords.get("allOf").and_then(Json::as_array);
        next.extend(all.into_iter().flatten());
    }
}

/// What a reference leads to; `None` as well if it would cost too much to know.
fn follow<'a>(
    index: &Index<'a>,
    reference: &'a Json<'a>,
    budget: &mut Budget,
) -> Option<&'a Json<'a>> {
    index.follow(reference, budget).ok().flatten()
}

/// Whether both schemas have the same definitions, which refer to nothing but one another.
///
/// References are compared by their text: a schema inside that is its own resource would give that
/// another meaning.
fn have_same_definitions(
    old_index: &Index<'_>,
    new_index: &Index<'_>,
    old: &Json<'_>,
    new: &Json<'_>,
) -> bool {
    let alone = old_index.resources.len() == 1 && new_index.resources.len() == 1;
    alone
        && DEFINITIONS.iter().all(|name| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => old == new && refers_only_to_definitions(new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        })
}

fn reason(path: &Path<'_>, why: Why) -> Reason {
    Reason { path: path.to_text(), why }
}
