//! Evolution: tables of changes, and a search for documents that prove an answer wrong.

use super::*;
use crate::{Document, Schema, ValidationBudget};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

fn text(schema: &Value) -> SchemaText {
    SchemaText::parse(schema.to_string().as_bytes()).expect("JSON")
}

fn compatible_values(old: Option<&Value>, new: Option<&Value>) -> Result<(), Incompatible> {
    compatible(old.map(text).as_ref(), new.map(text).as_ref())
}

fn reasons(old: &Value, new: &Value) -> Vec<Reason> {
    match compatible_values(Some(old), Some(new)) {
        Ok(()) => Vec::new(),
        Err(Incompatible::Reasons(reasons)) => reasons,
        Err(Incompatible::TooExpensive) => panic!("too expensive: {old} to {new}"),
    }
}

/// Compares two schemas; the reasons as text.
#[track_caller]
fn check(old: Value, new: Value, want: &[&str]) {
    let got = reasons(&old, &new);
    let got: Vec<_> = got.iter().map(Reason::to_string).collect();
    assert_eq!(got, want);
}

/// Both directions: from `narrow` to `wide` is compatible, back it is not.
#[track_caller]
fn widens(narrow: Value, wide: Value) {
    check(narrow.clone(), wide.clone(), &[]);
    assert!(compatible_values(Some(&wide), Some(&narrow)).is_err(), "{wide} to {narrow}");
}

#[test]
fn no_schema_accepts_everything() {
    let schema = json!({"type":"object","required":["a"]});
    assert_eq!(compatible_values(None, None), Ok(()));
    assert_eq!(compatible_values(Some(&schema), None), Ok(()));
    assert!(compatible_values(None, Some(&schema)).is_err());
    assert_eq!(compatible_values(None, Some(&json!({"title":"anything"}))), Ok(()));
    check(json!(false), schema.clone(), &[]);
    check(schema.clone(), json!(true), &[]);
    check(schema, json!(false), &["/: false is new and forbids something"]);
}

#[test]
fn a_name_in_a_reason_is_cut() {
    let (name, cut) = ("é".repeat(30_000), "é".repeat(128));
    check(
        json!({}),
        json!({"required":[name]}),
        &[&format!("/required: requires {cut:?}, which documents may lack")],
    );
    let want =
        Reason { path: format!("/{}", "é".repeat(127)), why: Why::NotComparable { keyword: cut } };
    assert_eq!(reasons(&json!({}), &json!({name:1})), [want]);
}

#[test]
fn keywords_may_become_wider() {
    widens(json!({"type":"integer"}), json!({"type":"number"}));
    widens(json!({"type":"string"}), json!({"type":["string","null"]}));
    widens(json!({"enum":["a"]}), json!({"enum":["a","b"]}));
    widens(json!({"const":"a"}), json!({"enum":["a","b"]}));
    widens(json!({"enum":["a","b"]}), json!({"type":"string"}));
    widens(json!({"required":["a","b"]}), json!({"required":["a"]}));
    widens(json!({"minimum":5}), json!({"minimum":4}));
    widens(json!({"exclusiveMinimum":4}), json!({"minimum":4}));
    widens(json!({"minimum":4.5}), json!({"exclusiveMinimum":4}));
    widens(json!({"maximum":5}), json!({"exclusiveMaximum":6}));
    widens(json!({"exclusiveMaximum":5}), json!({"maximum":5}));
    widens(json!({"maxLength":5}), json!({"maxLength":6}));
    widens(json!({"minItems":1}), json!({"minItems":0}));
    widens(json!({"multipleOf":6}), json!({"multipleOf":3}));
    widens(json!({"uniqueItems":true}), json!({"uniqueItems":false}));
    widens(json!({"pattern":"^a"}), json!({}));
    widens(json!({"items":{"type":"integer"}}), json!({"items":{"type":"number"}}));
    widens(
        json!({"prefixItems":[{"const":1},{"const":2}],"items":{"const":3}}),
        json!({"prefixItems":[{"const":1}],"items":{"enum":[2,3]}}),
    );
    widens(json!({"dependentRequired":{"a":["b","c"]}}), json!({"dependentRequired":{"a":["b"]}}));
    widens(json!({"propertyNames":{"maxLength":3}}), json!({"propertyNames":{"maxLength":4}}));
    widens(json!({"anyOf":[{"type":"string"}]}), json!({"type":["string","null"]}));
    widens(
        json!({"oneOf":[{"type":"string"},{"type":"null"}]}),
        json!({"oneOf":[{"type":"string"},{"type":"null"},{"type":"boolean"}]}),
    );
    widens(json!({"type":"string"}), json!({"anyOf":[{"type":"null"},{"type":"string"}]}));
    widens(json!({"allOf":[{"required":["a"]},{"required":["b"]}]}), json!({"required":["a"]}));
}

/// What is refused, whatever else both schemas say.
#[track_caller]
fn narrows(old: Value, new: Value) {
    assert!(compatible_values(Some(&old), Some(&new)).is_err(), "{old} to {new}");
}

#[test]
fn bounds_of_numbers_count_whether_they_are_exclusive() {
    // From what accepts less to what accepts more: 5 is accepted by the second of each pair only.
    for (at_least, above) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        // Further inside, and further outside.
        let (inside, outside) = if at_least == "minimum" { (6.0, 4.0) } else { (4.0, 6.0) };
        widens(json!({above:5}), json!({at_least:5}));
        widens(json!({above:5.0}), json!({at_least:5}));
        for keyword in [at_least, above] {
            check(json!({keyword:5}), json!({keyword:5.0}), &[]);
            widens(json!({keyword:5}), json!({}));
            for other in [at_least, above] {
                widens(json!({keyword:inside}), json!({other:5}));
                widens(json!({keyword:5}), json!({other:outside}));
            }
        }
        narrows(json!({at_least:5}), json!({above:5}));
        narrows(json!({at_least:5.0}), json!({above:5}));
        // The one says nothing about the other.
        let opposite = if at_least == "minimum" { "maximum" } else { "minimum" };
        narrows(json!({at_least:5}), json!({opposite:5}));
        narrows(json!({above:5}), json!({opposite:5}));
    }
}

#[test]
fn bounds_of_lengths_and_counts_are_inclusive() {
    for (at_least, at_most) in
        [("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")]
    {
        widens(json!({at_least:5}), json!({at_least:4}));
        widens(json!({at_most:5}), json!({at_most:6}));
        for keyword in [at_least, at_most] {
            check(json!({keyword:5}), json!({keyword:5}), &[]);
            widens(json!({keyword:5}), json!({}));
        }
        narrows(json!({at_least:5}), json!({at_most:5}));
        narrows(json!({at_most:5}), json!({at_least:5}));
        // Nothing is shorter than nothing.
        check(json!({}), json!({at_least:0}), &[]);
        narrows(json!({}), json!({at_most:0}));
    }
    // A bound of one kind says nothing about another kind.
    narrows(json!({"minLength":5}), json!({"minItems":5}));
    narrows(json!({"maxItems":5}), json!({"maxProperties":5}));
    narrows(json!({"maximum":5}), json!({"maxLength":5}));
}

#[test]
fn multiples_of_multiples_are_multiples() {
    widens(json!({"multipleOf":6}), json!({"multipleOf":2}));
    widens(json!({"multipleOf":0.5}), json!({}));
    check(json!({"multipleOf":0.5}), json!({"multipleOf":0.5}), &[]);
    for (old, new) in [(6, 4), (2, 6), (1, 2)] {
        narrows(json!({"multipleOf":old}), json!({"multipleOf":new}));
    }
}

#[test]
fn members_may_be_added_where_the_old_schema_was_closed() {
    let old = json!({"properties":{"a":{"type":"string"}},"additionalProperties":false});
    let wider = json!({
        "properties":{"a":{"type":"string"},"b":{"type":"integer"}},"additionalProperties":false
    });
    widens(old.clone(), wider);
    widens(old.clone(), json!({"properties":{"a":{"type":"string"},"b":{"type":"integer"}}}));
    check(
        old,
        json!({"properties":{},"additionalProperties":false}),
        &["/additionalProperties: false is new and forbids something"],
    );
}

#[test]
fn members_of_open_objects_may_have_any_value_already() {
    check(
        json!({"properties":{"a":{}}}),
        json!({"properties":{"a":{},"b":{"type":"string"}}}),
        &["/properties/b: documents may have this member already, with any value, \
           since the old schema allows additional members"],
    );
    check(json!({"properties":{"a":{}}}), json!({"properties":{"a":{},"b":{"title":"B"}}}), &[]);
    check(
        json!({"additionalProperties":{"type":"integer"}}),
        json!({"properties":{"b":{"type":"number"}}}),
        &[],
    );
    let pattern =
        json!({"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false});
    assert!(
        compatible_values(Some(&pattern), Some(&json!({"properties":{"xb":{"type":"null"}}})))
            .is_err()
    );
}

#[test]
fn every_reason_is_named_with_its_place() {
    check(
        json!({"type":"object","properties":{"a":{"type":"string"},"l":{"items":{"maximum":9}}}}),
        json!({
            "type":"object","required":["a"],"minProperties":1,"$comment":"free",
            "properties":{"a":{"type":"integer","format":"email"},"l":{"items":{"maximum":8}}}
        }),
        &[
            "/required: requires \"a\", which documents may lack",
            "/minProperties: minProperties is new and forbids something",
            "/properties/a/type: type allows less than before",
            "/properties/a/format: the change of format cannot be shown compatible",
            "/properties/l/items/maximum: maximum allows less than before",
        ],
    );
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let refused = |old: Value, new: Value| {
        assert!(compatible_values(Some(&old), Some(&new)).is_err(), "{old} to {new}");
        check(new.clone(), new, &[]);
    };
    refused(json!({"pattern":"^a"}), json!({"pattern":"^[ab]"}));
    refused(json!({"not":{"const":1}}), json!({"not":{"const":2}}));
    refused(json!({"if":{},"then":{}}), json!({"if":{},"then":false}));
    refused(json!({"x-mine":1}), json!({"x-mine":2}));
    refused(json!({"contains":{"const":1}}), json!({"contains":{"const":1},"minContains":2}));
    refused(json!({"unevaluatedProperties":false}), json!({"unevaluatedProperties":false,"a":1}));
    refused(json!({"oneOf":[{"minimum":5}]}), json!({"oneOf":[{"minimum":5},{"minimum":3}]}));
    let draft7 = "http://json-schema.org/draft-07/schema#";
    refused(json!({}), json!({"$schema":draft7,"type":"object"}));
    refused(json!({"$schema":draft7}), json!({"$schema":draft7,"maximum":1}));
    // The texts are equal, but not what they refer to.
    refused(
        json!({"not":{"$ref":"#/$defs/a"},"$defs":{"a":{"const":1}}}),
        json!({"not":{"$ref":"#/$defs/a"},"$defs":{"a":{"enum":[1,2]}}}),
    );
}

#[test]
fn references_are_followed() {
    let tree = |value: Value| {
        json!({"$ref":"#/$defs/node","$defs":{"node":{
            "type":"object","properties":{"value":value,"next":{"$ref":"#/$defs/node"}}
        }}})
    };
    widens(tree(json!({"type":"integer"})), tree(json!({"type":"number"})));
    check(
        tree(json!({"type":"string"})),
        tree(json!({"type":"integer"})),
        &["/$ref/properties/value/type: type allows less than before"],
    );
    let inline = json!({
        "type":"object","properties":{"value":{"type":"integer"}},"additionalProperties":false
    });
    check(inline, tree(json!({"type":"integer"})), &[]);
}

#[test]
fn bounds_are_compared_to_the_last_digit() {
    let compare = |old: &str, new: &str| {
        let text = |schema: &str| SchemaText::parse(schema.as_bytes()).expect("JSON");
        compatible(Some(&text(old)), Some(&text(new))).is_ok()
    };
    let (lower, higher) =
        (r#"{"minimum":18446744073709551616}"#, r#"{"minimum":18446744073709551617}"#);
    assert!(compare(higher, lower) && !compare(lower, higher));
    assert!(compare(r#"{"multipleOf":0.06}"#, r#"{"multipleOf":0.02}"#));
    assert!(!compare(r#"{"multipleOf":0.02}"#, r#"{"multipleOf":0.06}"#));
    assert!(compare(r#"{"enum":[1.0]}"#, r#"{"enum":[1],"type":"integer"}"#));
    let (old, new) = (r#"{"const":9007199254740993}"#, r#"{"enum":[9007199254740992]}"#);
    assert!(!compare(old, new));
}

#[test]
fn a_reference_means_what_it_means_where_it_stands() {
    // Inside `inner`, `#/$defs/v` is another schema than outside.
    let schema = |inside: Value| {
        json!({
            "$id":"https://e.com/s","$ref":"inner",
            "$defs":{"i":{"$id":"inner","$ref":"#/$defs/v","$defs":{"v":inside}},"v":{"const":1}}
        })
    };
    let (narrow, wide) = (json!({"type":"integer"}), json!({"type":"number"}));
    widens(schema(narrow.clone()), schema(wide.clone()));
    let not = |inside: &Value| {
        json!({
            "not":{"$ref":"inner"},
            "$defs":{"i":{"$id":"inner","$ref":"#/$defs/v","$defs":{"v":inside}}}
        })
    };
    narrows(not(&narrow), not(&wide));
    // An annotation may come and go.
    check(json!({"format":"int32"}), json!({"format":"int64"}), &[]);
    let unevaluated = |title: &str| {
        json!({"title":title,"allOf":[{
            "$ref":"#/$defs/a","unevaluatedProperties":false
        }],"$defs":{"a":{"properties":{"b":true}}}})
    };
    check(unevaluated("one"), unevaluated("two"), &[]);
}

#[test]
fn hostile_schemas_come_to_an_end() {
    // Every level refers twice to the next one.
    let level = |i: usize, bound: u32| {
        let next = json!({"$ref":format!("#/$defs/l{}", i + 1)});
        (format!("l{i}"), json!({"anyOf":[next, next],"maximum":bound}))
    };
    let schema = |bound| {
        let mut defs: serde_json::Map<_, _> = (0..40).map(|i| level(i, bound)).collect();
        defs.insert("l40".to_owned(), json!({"minimum":bound}));
        json!({"$ref":"#/$defs/l0","$defs":defs})
    };
    assert!(compatible_values(Some(&schema(1)), Some(&schema(2))).is_err());
    let endless = json!({"anyOf":[{"$ref":"#"}]});
    assert!(compatible_values(Some(&endless), Some(&json!({"type":"object"}))).is_err());
}

/// Schemas over few names and small numbers, so that two of them often have to do with each other.
fn any_schema() -> impl Strategy<Value = Value> {
    let name = || prop_oneof!["a", "b", "xa"];
    let types = prop_oneof!["object", "array", "string", "integer", "number", "null"];
    let leaf = prop_oneof![
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        types.clone().prop_map(|t| json!({"type":t})),
        prop::collection::btree_set(types, 1..3).prop_map(|t| json!({"type":t})),
        (bound(), 0..4_i64).prop_map(|(keyword, n)| json!({keyword:n})),
        prop::collection::btree_set(0..4_i64, 1..3).prop_map(|v| json!({"enum":v})),
        (0..3_i64).prop_map(|v| json!({"const":v})),
        prop::collection::btree_set(name(), 1..3).prop_map(|r| json!({"required":r})),
        Just(json!({"uniqueItems":true})),
        Just(json!({"pattern":"^a"})),
        Just(json!({"$ref":"#/$defs/d"})),
    ];
    leaf.prop_recursive(3, 16, 3, move |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3);
        let pattern = prop::sample::select(vec!["^x".to_owned(), "a$".to_owned()]);
        let map =
            |name: BoxedStrategy<String>| prop::collection::btree_map(name, inner.clone(), 1..3);
        let three = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            3 => map(name().boxed()).prop_map(|p| json!({"properties":p})),
            1 => map(pattern.boxed()).prop_map(|p| json!({"patternProperties":p})),
            2 => inner.clone().prop_map(|s| json!({"additionalProperties":s})),
            1 => inner.clone().prop_map(|s| json!({"items":s})),
            1 => list.clone().prop_map(|s| json!({"prefixItems":s})),
            1 => inner.clone().prop_map(|s| json!({"contains":s})),
            1 => inner.clone().prop_map(|s| json!({"not":s})),
            1 => inner.clone().prop_map(|s| json!({"propertyNames":s})),
            3 => (alternatives(), list).prop_map(|(keyword, s)| json!({keyword:s})),
            // Several keywords in one schema.
            4 => three.prop_map(|(a, b, c)| merged([a, b, c])),
        ]
    })
}

fn bound() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxItems",
        "minProperties",
        "maxProperties",
    ])
}

fn alternatives() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["allOf", "anyOf", "oneOf"])
}

fn merged(schemas: [Value; 3]) -> Value {
    let objects = schemas.into_iter().filter_map(|schema| match schema {
        Value::Object(keywords) => Some(keywords),
        _ => None,
    });
    Value::Object(objects.flatten().collect())
}

/// A change of a schema: most of it stays, so that some changes are compatible.
fn any_change() -> impl Strategy<Value = (Value, Value)> {
    let whole = (any_schema(), any_schema());
    let member = (any_schema(), any_schema(), any_schema()).prop_map(|(same, a, b)| {
        let with = |s: Value| json!({"properties":{"a":same,"b":s},"additionalProperties":same});
        (with(a), with(b))
    });
    let dropped = (any_schema(), any_schema())
        .prop_map(|(kept, gone)| (merged([kept.clone(), gone, json!({})]), kept));
    prop_oneof![whole, member, dropped]
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        (-1..5_i64).prop_map(Value::from),
        Just(json!(1.5)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(2, 8, 3, |inner| {
        let name = prop_oneof!["a", "b", "xa"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let name = prop_oneof!["a", "b", "xa"];
    prop::collection::btree_map(name, value, 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// If a change is called compatible, no document that the old schema accepts is refused.
    #[test]
    fn compatible_is_a_promise(
        (old, new) in any_change(), old_def in any_schema(), new_def in any_schema(),
        documents in prop::collection::vec(any_document(), 12)
    ) {
        let with = |schema: &Value, def: &Value| match schema {
            Value::Object(keywords) => {
                let mut keywords = keywords.clone();
                keywords.insert("$defs".to_owned(), json!({"d":def}));
                Value::Object(keywords)
            }
            other => other.clone(),
        };
        let (old, new) = (with(&old, &old_def), with(&new, &new_def));
        let promised = compatible_values(Some(&old), Some(&new)).is_ok();
        let compile = |schema: &Value| Schema::compile(&text(schema));
        let compiled = (compile(&old), compile(&new));
        if let (Ok(old_schema), Ok(new_schema)) = compiled && promised {
            for document in documents {
                let value = Document::from_stored(Bytes::from(document.to_string()));
                let accepts = |schema: &Schema| {
                    schema.validate(&value, &mut ValidationBudget::full()).is_ok()
                };
                if accepts(&old_schema) {
                    prop_assert!(accepts(&new_schema), "{} by {}", document, new);
                }
            }
        }
    }

    #[test]
    fn a_schema_is_compatible_with_itself(schema in any_schema()) {
        prop_assert_eq!(compatible_values(Some(&schema), Some(&schema)), Ok(()));
        // Also when an annotation makes it another text.
        let mut titled = merged([schema.clone(), json!({"title":"T"}), json!({})]);
        if schema == json!(false) {
            titled = schema.clone();
        }
        let defs = json!({"$defs":{"d":{"type":"string"}}});
        let old = merged([schema, defs.clone(), json!({})]);
        let new = merged([titled, defs, json!({})]);
        prop_assert_eq!(compatible_values(Some(&old), Some(&new)), Ok(()));
    }
}
