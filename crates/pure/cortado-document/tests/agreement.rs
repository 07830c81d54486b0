//! Schemas judge as another implementation judges, in every draft.

use cortado_document::{Document, Schema, SchemaError, SchemaText, ValidationBudget};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Over few names and small values, so that schemas and documents have to do with each other.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1..4_i64).prop_map(Value::from),
        Just(json!(1.5)),
        Just(json!(2.0)),
        "[abü]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from), object(inner)]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "ü"]).prop_map(str::to_owned)
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), inner, 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn any_document() -> impl Strategy<Value = Value> {
    object(any_value())
}

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["^a", "b$", r"^\w*$", "[^b]", "a{2}", r"\bü", "(a|b)+", ".", r"\S"])
        .prop_map(str::to_owned)
}

fn scalar_keyword() -> impl Strategy<Value = Value> {
    let types = || {
        prop::sample::select(vec![
            "object", "array", "string", "integer", "number", "null", "boolean",
        ])
    };
    let sizes = prop::sample::select(vec![
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ]);
    let bounds =
        prop::sample::select(vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]);
    prop_oneof![
        4 => types().prop_map(|t| json!({"type":t})),
        1 => prop::collection::btree_set(types(), 1..3).prop_map(|t| json!({"type":t})),
        2 => (sizes, 0..3_u32).prop_map(|(keyword, n)| json!({keyword:n})),
        2 => (bounds, -1..3_i64).prop_map(|(keyword, n)| json!({keyword:n})),
        1 => (1..3_i64).prop_map(|n| json!({"multipleOf":n})),
        1 => prop::collection::vec(any_value(), 1..3).prop_map(|v| json!({"enum":v})),
        1 => any_value().prop_map(|v| json!({"const":v})),
        2 => prop::collection::btree_set(name(), 1..3).prop_map(|r| json!({"required":r})),
        1 => (name(), name()).prop_map(|(a, b)| json!({"dependentRequired":{a:[b]}})),
        1 => Just(json!({"uniqueItems":true})),
        2 => pattern().prop_map(|p| json!({"pattern":p})),
        2 => prop::sample::select(vec![
            "#", "#/$defs/one", "#/definitions/two", "#named", "inner", "inner#/$defs/x",
            "inner#named",
        ]).prop_map(|to| json!({"$ref":to})),
    ]
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![1 => any::<bool>().prop_map(Value::from), 8 => scalar_keyword()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let one = prop::sample::select(vec![
            "not",
            "items",
            "contains",
            "additionalProperties",
            "propertyNames",
            "if",
            "then",
            "else",
            "unevaluatedProperties",
            "unevaluatedItems",
            "additionalItems",
        ]);
        let list = prop::sample::select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]);
        let parts = prop::collection::vec(inner.clone(), 2..5);
        let map = |key| prop::collection::btree_map(key, inner.clone(), 1..3);
        prop_oneof![
            4 => (one, inner.clone()).prop_map(|(keyword, schema)| json!({keyword:schema})),
            3 => (list, prop::collection::vec(inner.clone(), 1..3)).prop_map(|(k, s)| json!({k:s})),
            3 => map(name().boxed()).prop_map(|p| json!({"properties":p})),
            1 => map(pattern().boxed()).prop_map(|p| json!({"patternProperties":p})),
            1 => map(name().boxed()).prop_map(|p| json!({"dependentSchemas":p})),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| json!({"if":a,"then":b,"else":c})),
            1 => (inner.clone(), 0..3_u32, 0..3_u32)
                .prop_map(|(s, from, to)| {
                    json!({"contains":s,"minContains":from,"maxContains":to})
                }),
            1 => Just(json!({"$dynamicRef":"#node"})),
            1 => Just(json!({"$recursiveRef":"#"})),
            6 => parts.prop_map(|parts| parts.into_iter().fold(json!({}), merged)),
        ]
    })
}

/// All keywords of both; a schema that is only true or false counts for nothing.
fn merged(mut all: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// A schema with what its references may lead to.
fn whole(schema: Value, draft: &str, definitions: [Value; 3]) -> Value {
    let [one, two, inner] = definitions;
    let id = if draft.contains("-04/") { "id" } else { "$id" };
    let is_new = draft.contains("20");
    let is_2019 = draft.contains("2019");
    let recursive = if is_2019 { json!({"$recursiveAnchor":true}) } else { json!({}) };
    let base = json!({
        "$schema":draft,
        id:"https://example.com/root",
        "$defs":{"one":one},
        "definitions":{"two":two,"inner":merged(json!({
            id:"inner","$defs":{"x":{"type":"string"}}
        }), if is_new { merged(json!({"$defs":{
            "x":{"type":"string"},"y":{"$anchor":"named","type":"array"},
            "z":{"$dynamicAnchor":"node","type":"object"}
        }}), merged(recursive.clone(), inner)) } else { inner })},
    });
    let named = if is_new {
        json!({"$defs":{"one":base["$defs"]["one"],"named":{"$anchor":"named","type":"object"},
            "node":{"$dynamicAnchor":"node","maxProperties":2}}})
    } else {
        let named = json!({"named":{id:"#named","type":"object"}});
        json!({"definitions":merged(base["definitions"].clone(), named)})
    };
    merged(merged(merged(schema, base), named), recursive)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1_500)
    })]

    #[test]
    fn documents_are_judged_as_by_another_implementation(
        schema in any_schema(),
        definitions in [any_schema(), any_schema(), any_schema()],
        draft in prop::sample::select(DRAFTS.to_vec()),
        documents in prop::collection::vec(any_document(), 8)
    ) {
        prop_assume!(schema.is_object());
        let schema = whole(schema, draft, definitions);
        let text = SchemaText::parse(schema.to_string().as_bytes()).expect("JSON");
        let ours = Schema::compile(&text);
        let theirs = jsonschema::options().offline().should_validate_formats(false).build(&schema);
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            // There the one is followed for ever, and the other is looked for when it is used.
            (Err(SchemaError::Endless { .. } | SchemaError::Reference { .. }), _) => return Ok(()),
            // Nothing is refused that is accepted there, but for mistakes in `$defs` of drafts that
            // do not know them; the other way round it is, here and there.
            (ours, theirs) => {
                let ours = ours.err();
                let is_odd = !draft.contains("/draft/");
                prop_assert!(ours.is_none() || theirs.is_err() || is_odd, "{:?} {}", ours, schema);
                return Ok(());
            }
        };
        // In draft 4 alone 2.0 is no integer there.
        let is_old = draft.contains("-04/");
        let is_odd = |document: &Value| is_old && document.to_string().contains("2.0");
        for document in documents.into_iter().filter(|document| !is_odd(document)) {
            let stored = Document::from_stored(document.to_string().into());
            let got = ours.validate(&stored, &mut ValidationBudget::full()).is_ok();
            let want = theirs.is_valid(&document);
            prop_assert_eq!(got, want, "{} by {}", document, schema);
        }
    }
}
