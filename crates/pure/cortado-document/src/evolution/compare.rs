//! The comparison: each keyword of the new schema must follow from what the old one demands.

use super::bounds;
use super::reason::{Reason, Why};
use super::reference::{DRAFT, Types, draft, means_the_same, resolve};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Walks the new schema next to the old one.
pub(super) struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    /// Pairs of (old schema, reference of the new one) taken for compatible while they are being
    /// compared: recursive schemas would never end otherwise. Addresses tell old schemas apart.
    assumed: BTreeSet<(*const Value, &'a str)>,
    steps: usize,
    depth: usize,
}

type Keywords = Map<String, Value>;

/// An old schema as a conjunction: itself, what it refers to, and its `allOf`.
struct Old<'a> {
    whole: &'a Value,
    parts: Vec<&'a Keywords>,
    types: Types,
}

/// Reasons that one answer lists at most.
const REASONS_MAX: usize = 20;
/// Comparisons before giving up; hand-written schemas need some hundred.
const STEPS_MAX: usize = 20_000;
/// Comparisons inside one another before giving up.
const DEPTH_MAX: usize = 200;
/// References and `allOf` inside one another that are taken into account.
const CONJUNCTS_DEPTH_MAX: usize = 16;

/// What a missing keyword demands.
static ANYTHING: Value = Value::Bool(true);

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
    pub(super) fn new(old_root: &'a Value, new_root: &'a Value) -> Comparison<'a> {
        Comparison { old_root, new_root, assumed: BTreeSet::new(), steps: 0, depth: 0 }
    }

    /// Why the new schema may refuse what the old one accepts.
    pub(super) fn reasons(mut self) -> Vec<Reason> {
        let not_comparable =
            |keyword: &str| vec![reason("", Why::NotComparable { keyword: keyword.to_owned() })];
        if draft(self.old_root) != DRAFT || draft(self.new_root) != DRAFT {
            return not_comparable("$schema");
        }
        let mut reasons = self.covers(self.old_root, self.new_root, "");
        if self.steps > STEPS_MAX {
            return not_comparable("$ref");
        }
        reasons.truncate(REASONS_MAX);
        reasons
    }

    /// Why `new` may refuse a value that `old` accepts; empty if it cannot.
    fn covers(&mut self, old: &'a Value, new: &'a Value, path: &str) -> Vec<Reason> {
        let old = self.conjunction(old);
        if old.types == Types::NONE || *new == Value::Bool(true) {
            return Vec::new();
        }
        let Value::Object(keywords) = new else {
            return vec![reason(path, Why::Added { keyword: "false".to_owned() })];
        };
        let mut reasons = Vec::new();
        for keyword in keywords.keys().filter(|keyword| !HARMLESS.contains(&keyword.as_str())) {
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
        new: &'a Keywords,
        keyword: &'a str,
        path: &str,
    ) -> Vec<Reason> {
        self.steps += 1;
        if self.depth == DEPTH_MAX {
            self.steps = STEPS_MAX;
        }
        if self.steps >= STEPS_MAX || old.types.and(applies_to(keyword)) == Types::NONE {
            // Given up: the answer will say so whatever stands here.
            self.steps += usize::from(self.steps == STEPS_MAX);
            return Vec::new();
        }
        self.depth += 1;
        let path = format!("{path}/{}", escape(keyword));
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
        new: &'a Keywords,
        keyword: &'a str,
        path: &str,
    ) -> bool {
        let parts = old.parts.clone();
        let lists = parts.iter().flat_map(|part| [part.get("anyOf"), part.get("oneOf")]);
        lists.flatten().filter_map(Value::as_array).any(|branches| {
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
        new: &'a Keywords,
        keyword: &'a str,
        path: &str,
    ) -> Vec<Reason> {
        let value = &new[keyword];
        match keyword {
            "type" => self.verdict(old.types.is_within(Types::named(value)), old, keyword, path),
            "enum" | "const" => {
                let within = old.parts.iter().any(|part| is_within(part, keyword, value));
                self.verdict(within, old, keyword, path)
            }
            "required" => required(old, value, path),
            "uniqueItems" => {
                let holds = *value == Value::Bool(false) || old.has(keyword, value);
                self.verdict(holds, old, keyword, path)
            }
            "dependentRequired" => {
                let holds = old.parts.iter().any(|part| depends(part.get(keyword), value));
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
                let whole = Value::Object(new.clone());
                let same = old.parts.contains(&new)
                    && means_the_same(&whole, self.old_root, self.new_root);
                self.certain(same || *value == Value::Bool(true), keyword, path)
            }
            _ => {
                let bound = |part: &&Keywords| bounds::implied(part, keyword, value);
                match bounds::implied(&Map::new(), keyword, value) {
                    Some(without) => {
                        let implied = without || old.parts.iter().filter_map(bound).any(|b| b);
                        self.verdict(implied, old, keyword, path)
                    }
                    None => self.unchanged(old, new, &[keyword], path),
                }
            }
        }
    }

    /// The reasons of the part of `old` that has the fewest.
    fn best(
        &mut self,
        old: &Old<'a>,
        mut compare: impl FnMut(&mut Self, Option<&'a Keywords>) -> Vec<Reason>,
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

    fn properties(&mut self, old: &Old<'a>, value: &'a Value, path: &str) -> Vec<Reason> {
        each_named(value, path, |name, schema, path| {
            self.best(old, |this, part| {
                let old_member = member(part, name);
                let reasons = this.covers(old_member, schema, path);
                if *old_member == ANYTHING && !reasons.is_empty() {
                    return vec![reason(path, Why::MemberWasOpen)];
                }
                reasons
            })
        })
    }

    fn pattern_properties(&mut self, old: &Old<'a>, value: &'a Value, path: &str) -> Vec<Reason> {
        each_named(value, path, |pattern, schema, path| {
            self.best(old, |this, part| {
                let same = named(part, "patternProperties").find(|(name, _)| *name == pattern);
                match same {
                    Some((_, old)) => this.covers(old, schema, path),
                    // Any member might match.
                    None => this.all_members(part, |_, _| true, schema, path),
                }
            })
        })
    }

    fn additional_properties(
        &mut self,
        old: Option<&'a Keywords>,
        new: &'a Keywords,
        schema: &'a Value,
        path: &str,
    ) -> Vec<Reason> {
        // What the new schema names itself is not additional.
        let additional = |keyword: &str, name: &str| {
            new.get(keyword).and_then(Value::as_object).is_none_or(|new| !new.contains_key(name))
        };
        self.all_members(old, additional, schema, path)
    }

    /// Why `schema` may refuse a member of an object: additional ones, and the named ones for
    /// which `concerned` holds.
    fn all_members(
        &mut self,
        old: Option<&'a Keywords>,
        concerned: impl Fn(&str, &str) -> bool,
        schema: &'a Value,
        path: &str,
    ) -> Vec<Reason> {
        let mut reasons = self.covers(get(old, "additionalProperties"), schema, path);
        for keyword in ["properties", "patternProperties"] {
            for (_, old) in named(old, keyword).filter(|(name, _)| concerned(keyword, name)) {
                reasons.extend(self.covers(old, schema, path));
            }
        }
        reasons
    }

    fn prefix_items(&mut self, old: &Old<'a>, value: &'a Value, path: &str) -> Vec<Reason> {
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
        old: Option<&'a Keywords>,
        new: &'a Keywords,
        schema: &'a Value,
        path: &str,
    ) -> Vec<Reason> {
        let mut reasons = self.covers(get(old, "items"), schema, path);
        for item in prefix(old).iter().skip(prefix(Some(new)).len()) {
            reasons.extend(self.covers(item, schema, path));
        }
        reasons
    }

    fn reference(&mut self, old: &Old<'a>, value: &'a Value, path: &str) -> Vec<Reason> {
        let reference = value.as_str().unwrap_or_default();
        let Some(target) = resolve(self.new_root, reference) else {
            return self.certain(false, "$ref", path);
        };
        let pair = (std::ptr::from_ref(self.behind_reference(old.whole)), reference);
        if !self.assumed.insert(pair) {
            return Vec::new();
        }
        let reasons = self.covers(old.whole, target, path);
        self.assumed.remove(&pair);
        reasons
    }

    /// The schema that an old one stands for, if it is nothing but a reference to it.
    fn behind_reference(&self, mut old: &'a Value) -> &'a Value {
        for _ in 0..CONJUNCTS_DEPTH_MAX {
            let Some(keywords) = old.as_object() else {
                break;
            };
            let bare = |k: &String| k == "$ref" || HARMLESS.contains(&k.as_str());
            let reference = keywords.get("$ref").and_then(Value::as_str);
            match reference.and_then(|reference| resolve(self.old_root, reference)) {
                Some(target) if keywords.keys().all(bare) => old = target,
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
        value: &'a Value,
        path: &str,
    ) -> Vec<Reason> {
        let branches = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let disjoint = |branch: &Value| {
            let types = branch.as_object().map_or(Types::ALL, Types::allowed_by);
            types.and(old.types) == Types::NONE || *branch == Value::Bool(false)
        };
        let found = branches.iter().enumerate().any(|(i, branch)| {
            let mut others = branches.iter().enumerate().filter(|(j, _)| *j != i);
            let alone = keyword == "anyOf" || others.all(|(_, other)| disjoint(other));
            alone && self.covers_within(old, branch)
        });
        let same = old.has(keyword, value) && means_the_same(value, self.old_root, self.new_root);
        self.certain(found || same, keyword, path)
    }

    /// As [`covers`](Self::covers), for values of the types that `old` is known to be limited to.
    fn covers_within(&mut self, old: &Old<'a>, new: &'a Value) -> bool {
        match new {
            Value::Object(keywords) => keywords.keys().all(|keyword| {
                HARMLESS.contains(&keyword.as_str())
                    || self.implied(old, keywords, keyword, "").is_empty()
            }),
            other => *other == Value::Bool(true),
        }
    }

    /// The keywords `names` must be as they were, all of them in one part.
    fn unchanged(
        &self,
        old: &Old<'a>,
        new: &'a Keywords,
        names: &[&str],
        path: &str,
    ) -> Vec<Reason> {
        let same = |part: &&Keywords| names.iter().all(|name| part.get(*name) == new.get(*name));
        let means_same = |name: &&str| {
            let value = new.get(*name).unwrap_or(&ANYTHING);
            means_the_same(value, self.old_root, self.new_root)
        };
        let unchanged = old.parts.iter().any(same) && names.iter().all(means_same);
        self.certain(unchanged, names[0], path)
    }

    fn certain(&self, certain: bool, keyword: &str, path: &str) -> Vec<Reason> {
        let why = Why::NotComparable { keyword: keyword.to_owned() };
        if certain { Vec::new() } else { vec![reason(path, why)] }
    }

    fn verdict(&self, holds: bool, old: &Old<'a>, keyword: &str, path: &str) -> Vec<Reason> {
        if holds {
            return Vec::new();
        }
        let had = old.parts.iter().any(|part| part.contains_key(keyword));
        let keyword = keyword.to_owned();
        let why = if had { Why::Narrowed { keyword } } else { Why::Added { keyword } };
        vec![reason(path, why)]
    }

    fn conjunction(&self, whole: &'a Value) -> Old<'a> {
        let mut old = Old { whole, parts: Vec::new(), types: Types::ALL };
        self.collect(whole, &mut old, 0);
        old
    }

    fn collect(&self, schema: &'a Value, old: &mut Old<'a>, depth: usize) {
        let Value::Object(keywords) = schema else {
            let nothing = *schema == Value::Bool(false);
            old.types = if nothing { Types::NONE } else { old.types };
            return;
        };
        old.parts.push(keywords);
        old.types = old.types.and(Types::allowed_by(keywords));
        if depth == CONJUNCTS_DEPTH_MAX {
            // Leaving parts out only makes the old schema look more tolerant than it is.
            return;
        }
        let reference = keywords.get("$ref").and_then(Value::as_str);
        if let Some(target) = reference.and_then(|reference| resolve(self.old_root, reference)) {
            self.collect(target, old, depth + 1);
        }
        let all = keywords.get("allOf").and_then(Value::as_array);
        for schema in all.into_iter().flatten() {
            self.collect(schema, old, depth + 1);
        }
    }
}

impl Old<'_> {
    fn has(&self, keyword: &str, value: &Value) -> bool {
        self.parts.iter().any(|part| part.get(keyword) == Some(value))
    }
}

/// The types of values that a keyword can refuse; every type for those not listed.
fn applies_to(keyword: &str) -> Types {
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            Types::NUMBER
        }
        "minLength" | "maxLength" | "pattern" => Types::STRING,
        "minItems" | "maxItems" | "uniqueItems" | "items" | "prefixItems" | "contains"
        | "unevaluatedItems" => Types::ARRAY,
        "required"
        | "properties"
        | "patternProperties"
        | "additionalProperties"
        | "propertyNames"
        | "minProperties"
        | "maxProperties"
        | "dependentRequired"
        | "dependentSchemas"
        | "unevaluatedProperties" => Types::OBJECT,
        _ => Types::ALL,
    }
}

/// Whether `enum` or `const` of `old` leaves only values that the new one allows.
fn is_within(old: &Keywords, keyword: &str, new: &Value) -> bool {
    let one = std::slice::from_ref(new);
    let allowed = if keyword == "enum" { new.as_array().map_or(one, Vec::as_slice) } else { one };
    let constant = old.get("const");
    let values = old.get("enum").and_then(Value::as_array);
    let Some(had) = values.map(Vec::as_slice).or(constant.map(std::slice::from_ref)) else {
        return false;
    };
    let possible = had.iter().filter(|value| constant.is_none_or(|constant| constant == *value));
    possible.into_iter().all(|value| allowed.contains(value))
}

fn required(old: &Old<'_>, new: &Value, path: &str) -> Vec<Reason> {
    let lists = |part: &&Keywords| part.get("required").and_then(Value::as_array).cloned();
    let had: Vec<Value> = old.parts.iter().filter_map(lists).flatten().collect();
    let new = new.as_array().map(Vec::as_slice).unwrap_or_default();
    let added = new.iter().filter(|member| !had.contains(member));
    let why = |member: &Value| Why::NewlyRequired {
        member: member.as_str().unwrap_or_default().to_owned(),
    };
    added.map(|member| reason(path, why(member))).collect()
}

/// Whether each list of `new` is part of the list of the same name of `old`.
fn depends(old: Option<&Value>, new: &Value) -> bool {
    let list = |of: Option<&Value>, name: &str| -> Vec<Value> {
        of.and_then(|of| of.get(name)).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let names = new.as_object().into_iter().flat_map(Map::keys);
    names.into_iter().all(|name| {
        let had = list(old, name);
        list(Some(new), name).iter().all(|member| had.contains(member))
    })
}

/// What `old` demands of the member `name`, or something weaker.
fn member<'a>(old: Option<&'a Keywords>, name: &str) -> &'a Value {
    if let Some((_, schema)) = named(old, "properties").find(|(n, _)| *n == name) {
        return schema;
    }
    // It may match a pattern, and then it is not additional.
    let may_match = named(old, "patternProperties").next().is_some();
    if may_match { &ANYTHING } else { get(old, "additionalProperties") }
}

fn get<'a>(keywords: Option<&'a Keywords>, keyword: &str) -> &'a Value {
    keywords.and_then(|keywords| keywords.get(keyword)).unwrap_or(&ANYTHING)
}

fn named<'a>(
    keywords: Option<&'a Keywords>,
    keyword: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let map = keywords.and_then(|keywords| keywords.get(keyword)).and_then(Value::as_object);
    map.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema))
}

fn prefix(keywords: Option<&Keywords>) -> &[Value] {
    let items = keywords.and_then(|k| k.get("prefixItems")).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

fn each<'a>(
    list: &'a Value,
    path: &str,
    mut compare: impl FnMut(&'a Value, &str) -> Vec<Reason>,
) -> Vec<Reason> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let reasons = list.iter().enumerate().flat_map(|(i, s)| compare(s, &format!("{path}/{i}")));
    reasons.collect()
}

fn each_named<'a>(
    map: &'a Value,
    path: &str,
    mut compare: impl FnMut(&'a str, &'a Value, &str) -> Vec<Reason>,
) -> Vec<Reason> {
    let map = map.as_object().into_iter().flatten();
    let reasons = map.flat_map(|(n, s)| compare(n, s, &format!("{path}/{}", escape(n))));
    reasons.collect()
}

fn reason(path: &str, why: Why) -> Reason {
    Reason { path: path.to_owned(), why }
}

/// A member's name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
