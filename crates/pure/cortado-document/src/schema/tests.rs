//! Schemas: what documents they refuse, and which schemas are refused themselves.

use super::*;
use bytes::Bytes;
use serde_json::json;

/// Compiles `schema` and lists the places of `document` that it refuses.
#[track_caller]
fn check(schema: &Value, document: Value, want: &[(&str, &str)]) {
    let schema = Schema::compile(schema).expect("a schema");
    let document = Document::parse(Bytes::from(document.to_string())).expect("a document");
    let violations = schema.validate(&document).err().unwrap_or_default();
    let got: Vec<_> = violations.iter().map(|v| (v.path.as_str(), v.why.as_str())).collect();
    assert_eq!(got, want);
}

#[track_caller]
fn check_refused(schema: Value, want: fn(&SchemaError) -> bool) {
    let error = Schema::compile(&schema).expect_err("no schema");
    assert!(want(&error), "{error:?}");
}

#[test]
fn documents_are_checked() {
    let schema = json!({
        "type":"object",
        "required":["name"],
        "properties":{
            "name":{"type":"string","minLength":1,"maxLength":5},
            "age":{"type":["integer","null"],"minimum":0,"maximum":150},
            "tags":{"type":"array","items":{"$ref":"#/$defs/tag"},"uniqueItems":true},
            "kind":{"enum":["a","b"]}
        },
        "additionalProperties":false,
        "$defs":{"tag":{"type":"string","pattern":"^[a-z]+$"}}
    });
    check(&schema, json!({"name":"x","age":null,"tags":["a","b"],"kind":"a"}), &[]);
    check(&schema, json!({"name":"x","age":150.0}), &[]);
    check(&schema, json!({}), &[("", "must have the member \"name\"")]);
    check(
        &schema,
        json!({"name":"","age":-1,"tags":["a","B"],"kind":"secret"}),
        &[
            ("/name", "must have at least 1 characters"),
            ("/age", "must be at least 0"),
            ("/tags/1", "must match the pattern of the schema"),
            ("/kind", "must be one of the values of the schema"),
        ],
    );
    check(
        &schema,
        json!({"name":1,"secret":1}),
        &[
            ("/name", "must be of type string"),
            ("", "must have no other members than the schema names"),
        ],
    );
}

#[test]
fn violations_are_few_and_never_show_values() {
    let schema = json!({"additionalProperties":{"type":"integer"}});
    let compiled = Schema::compile(&schema).expect("a schema");
    let members: Vec<_> = (0..5_000).map(|i| (format!("{i:0300}"), json!("sesame"))).collect();
    let document = Value::Object(members.into_iter().collect());
    let document = Document::from_stored(Bytes::from(document.to_string()));
    let violations = compiled.validate(&document).expect_err("strings");
    assert_eq!(violations.len(), 20);
    assert!(violations.iter().all(|v| v.path.len() <= 256 && !v.why.contains("sesame")));
}

#[test]
fn schemas_may_refer_to_themselves() {
    let tree = json!({"type":"object","properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}}});
    check(&tree, json!({"left":{"left":{"right":{}}}}), &[]);
    check(
        &tree,
        json!({"left":{"left":{"right":1}}}),
        &[("/left/left/right", "must be of type object")],
    );
    let anchored = json!({"$ref":"#node","$defs":{"n":{"$anchor":"node","required":["a"]}}});
    check(&anchored, json!({}), &[("", "must have the member \"a\"")]);
    // A member or a constant may be called like a keyword.
    let odd = json!({"properties":{"$ref":{"const":{"$ref":"http://example.com"}}}});
    check(&odd, json!({"$ref":{"$ref":"http://example.com"}}), &[]);
}

#[test]
fn older_drafts_are_understood_when_named() {
    let schema = |draft: &str| {
        json!({
            "$schema":draft,
            "items":[{"type":"integer"}],
            "properties":{"a":{"$ref":"#/definitions/a"}},
            "definitions":{"a":{"type":"string"}}
        })
    };
    check(&schema("http://json-schema.org/draft-07/schema#"), json!({"a":"x"}), &[]);
    check_refused(json!({"$schema":"https://example.com/mine"}), |error| {
        matches!(error, SchemaError::Reference { .. })
    });
}

#[test]
fn references_never_leave_the_schema() {
    let remote = |error: &SchemaError| matches!(error, SchemaError::Reference { .. });
    for reference in [
        "http://example.com/schema",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///etc/passwd",
        "other.json",
        "other.json#/a",
        "#/$defs/missing",
        "#missing",
        "#/$defs/%61",
    ] {
        let defs = json!({"a":{}});
        check_refused(json!({"$ref":reference,"$defs":defs}), remote);
        check_refused(
            json!({"properties":{"a":{"items":{"$ref":reference}}},"$defs":defs}),
            remote,
        );
        check_refused(json!({"$dynamicRef":reference,"$defs":defs}), remote);
    }
    check_refused(json!({"$defs":{"a":{"$id":"https://example.com/a"}}}), remote);
    let hidden = json!({"$ref":"#/x/y","x":{"y":{"$ref":"http://example.com"}}});
    check_refused(hidden, remote);
}

#[test]
fn endless_references_are_refused() {
    let endless = |error: &SchemaError| matches!(error, SchemaError::Endless { .. });
    check_refused(json!({"$ref":"#"}), endless);
    check_refused(json!({"allOf":[{"$ref":"#"}]}), endless);
    check_refused(json!({"not":{"if":{"$ref":"#"}}}), endless);
    check_refused(json!({"dependentSchemas":{"a":{"$ref":"#"}}}), endless);
    check_refused(
        json!({
            "properties":{"x":{"$ref":"#/$defs/a"}},
            "$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"oneOf":[{"$ref":"#/$defs/a"}]}}
        }),
        endless,
    );
    check_refused(json!({"$defs":{"a":{"$anchor":"a","$ref":"#a"}}}), endless);
    check_refused(json!({"$dynamicAnchor":"a","allOf":[{"$dynamicRef":"#a"}]}), endless);
}

#[test]
fn what_is_no_schema_is_refused() {
    let invalid = |error: &SchemaError| matches!(error, SchemaError::Invalid { .. });
    check_refused(json!({"type":"strin"}), invalid);
    check_refused(json!({"type":1}), invalid);
    check_refused(json!({"required":"a"}), invalid);
    check_refused(json!({"minimum":"1"}), invalid);
    check_refused(json!({"properties":[]}), invalid);
    check_refused(json!({"pattern":"("}), invalid);
    check_refused(json!([]), invalid);
    check_refused(json!("string"), invalid);
    // Look-around could take exponential time, and so could a huge repetition take space.
    check_refused(json!({"pattern":"(?=a)b"}), invalid);
    check_refused(json!({"pattern":"(a{1000}){1000}"}), invalid);
}

#[test]
fn a_schema_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Schema>();
}
