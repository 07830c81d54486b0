//! Schemas: what documents they refuse, and which schemas are refused themselves.

use super::*;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Compiles `schema` and lists the places of `document` that it refuses.
#[track_caller]
fn check(schema: &Value, document: Value, want: &[(&str, &str)]) {
    let violations = violations(&schema.to_string(), &document.to_string());
    let got: Vec<_> = violations.iter().map(|v| (v.path.as_str(), v.why.as_str())).collect();
    assert_eq!(got, want);
}

/// What a document breaks, both given as text.
#[track_caller]
fn violations(schema: &str, document: &str) -> Vec<Violation> {
    let schema = compile(schema).expect("a schema");
    let document = Document::parse(Bytes::from(document.to_owned())).expect("a document");
    match schema.validate(&document, &mut ValidationBudget::full()) {
        Ok(()) => Vec::new(),
        Err(InvalidDocument::Violations(violations)) => violations,
        Err(InvalidDocument::TooExpensive) => panic!("too expensive"),
    }
}

fn compile(schema: &str) -> Result<Schema, SchemaError> {
    Schema::compile(&SchemaText::parse(schema.as_bytes()).expect("JSON"))
}

#[track_caller]
fn check_refused(schema: Value, want: fn(&SchemaError) -> bool) {
    let error = compile(&schema.to_string()).expect_err("no schema");
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
    let compiled = compile(&schema.to_string()).expect("a schema");
    let members: Vec<_> = (0..5_000).map(|i| (format!("{i:0300}"), json!("sesame"))).collect();
    let document = Value::Object(members.into_iter().collect());
    let document = Document::from_stored(Bytes::from(document.to_string()));
    let invalid = compiled.validate(&document, &mut ValidationBudget::full());
    let Err(InvalidDocument::Violations(violations)) = invalid else { panic!("strings") };
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
    for unknown in ["https://example.com/mine", "http://json-schema.org/draft-03/schema#"] {
        check_refused(json!({"properties":{"a":{"$id":"a","$schema":unknown}}}), |error| {
            let told = error.to_string();
            told.contains("\"/properties/a/$schema\"")
                && told.contains("2020-12, 2019-09, 7, 6 or 4")
        });
    }
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
    ] {
        let defs = json!({"a":{}});
        check_refused(json!({"$ref":reference,"$defs":defs}), remote);
        check_refused(
            json!({"properties":{"a":{"items":{"$ref":reference}}},"$defs":defs}),
            remote,
        );
        check_refused(json!({"$dynamicRef":reference,"$defs":defs}), remote);
    }
    let hidden = json!({"$ref":"#/x/y","x":{"y":{"$ref":"http://example.com"}}});
    check_refused(hidden, remote);
}

#[test]
fn a_name_in_an_answer_is_cut() {
    let schema = json!({"required":["é".repeat(30_000)]});
    let want = format!("must have the member {:?}", "é".repeat(128));
    check(&schema, json!({}), &[("", &want)]);
}

#[test]
fn a_pointer_that_is_badly_spelled_leads_nowhere() {
    let names = ["a/b~", "a~2b", "%", "%zz", "\u{1}", "a b"];
    let mut definitions: Map<_, _> =
        names.map(|name| (name.to_owned(), json!({}))).into_iter().collect();
    definitions.insert("l".to_owned(), json!({"allOf":[{}]}));
    let schema = |reference: &str| json!({"$ref":reference,"$defs":definitions});
    for reference in ["#/$defs/a~1b~0", "#/$defs/%25", "#/$defs/a%20b", "#/$defs/l/allOf/0"] {
        check(&schema(reference), json!({}), &[]);
    }
    let nowhere = |error: &SchemaError| matches!(error, SchemaError::Reference { .. });
    for reference in [
        "#/$defs/a~1b~",
        "#/$defs/a~2b",
        "#/$defs/l/allOf/+0",
        "#/$defs/l/allOf/00",
        "#/$defs/%",
        "#/$defs/%2",
        "#/$defs/%+1",
        "#/$defs/%zz",
        "#/$defs/%ff",
    ] {
        check_refused(schema(reference), nowhere);
    }
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
fn references_within_a_schema_are_followed_whatever_they_are_called() {
    let refuses = |schema: Value| {
        check(&schema, json!({"a":"x"}), &[]);
        let violations = violations(&schema.to_string(), r#"{"a":{"a":1}}"#);
        assert_eq!(violations.len(), 1, "{schema}");
    };
    let a =
        |reference: &str| json!({"properties":{"a":{"$ref":reference}},"type":["object","string"]});
    let with = |reference: &str, more: Value| {
        let mut schema = a(reference);
        schema.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        schema
    };
    // To the schema itself, by every name that it has.
    refuses(a(""));
    refuses(a("#"));
    refuses(with("s", json!({"$id":"https://e.com/s"})));
    refuses(with("/s", json!({"$id":"https://e.com/s"})));
    refuses(with("https://e.com/x/../s#", json!({"$id":"https://e.com/s"})));
    refuses(with("urn:example:s", json!({"$id":"urn:example:s"})));
    // To a schema inside.
    let text = json!({"type":["string","object"],"maxProperties":0});
    let named = |mut schema: Value, keyword: &str, name: &str| {
        schema[keyword] = json!(name);
        schema
    };
    refuses(with("#/$defs/%74", json!({"$defs":{"t":text}})));
    refuses(with("https://e.com/s#/$defs/t", json!({"$id":"https://e.com/s","$defs":{"t":text}})));
    refuses(with("#t", json!({"$defs":{"t":named(text.clone(), "$anchor", "t")}})));
    refuses(with(
        "s#t",
        json!({"$id":"https://e.com/s","$defs":{"t":named(text.clone(), "$anchor", "t")}}),
    ));
    refuses(with("t", json!({"$defs":{"t":named(text.clone(), "$id", "t")}})));
    refuses(with(
        "https://other.com/t",
        json!({"$defs":{"t":named(text.clone(), "$id", "https://other.com/t")}}),
    ));
    // A reference inside a schema with a URI of its own begins there.
    let inner = json!({
        "$id":"inner/t","$ref":"u",
        "$defs":{"u":{"$id":"u","$ref":"#/$defs/v","$defs":{"v":text}}}
    });
    refuses(with("inner/t", json!({"$id":"https://e.com/s","$defs":{"t":inner}})));
    let old = json!({
        "$schema":"http://json-schema.org/draft-07/schema#",
        "definitions":{"t":named(text.clone(), "$id", "#t")}
    });
    refuses(with("#t", old));
}

#[test]
fn names_that_cannot_be_told_apart_are_refused() {
    let invalid = |error: &SchemaError| matches!(error, SchemaError::Invalid { .. });
    check_refused(json!({"$defs":{"a":{"$id":"x"},"b":{"$id":"x"}}}), invalid);
    check_refused(json!({"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}}), invalid);
    check_refused(json!({"$id":1}), invalid);
    check_refused(json!({"$id":"http://[x"}), invalid);
    check_refused(json!({"$id":"https://e.com/s#x"}), invalid);
    let remote = |error: &SchemaError| {
        *error == SchemaError::Reference { path: "/properties/a/$ref".to_owned() }
    };
    check_refused(json!({"$id":"https://e.com/s","properties":{"a":{"$ref":"t"}}}), remote);
    check_refused(json!({"$id":"https://e.com/s","properties":{"a":{"$ref":"s#/x"}}}), remote);
}

#[test]
fn what_patterns_cannot_do_is_said_with_its_place() {
    let why = |schema: Value| match compile(&schema.to_string()) {
        Err(SchemaError::Invalid { path, why }) => format!("{path}: {why}"),
        other => panic!("{schema}: {other:?}"),
    };
    for pattern in ["^(?!x)", "(?=a)b", "(?<=a)b", "a(?<!b)"] {
        let told = why(json!({"properties":{"a":{"pattern":pattern}}}));
        assert!(told.starts_with("/properties/a/pattern: look-around"), "{told}");
        let told = why(json!({"patternProperties":{pattern:{}}}));
        assert!(told.contains("look-around"), "{told}");
    }
    let told = why(json!({"pattern":r"(a)\1"}));
    assert!(told.starts_with("/pattern: back-references"), "{told}");
    let told = why(json!({"pattern":r"é\é(?<y>a)\k<y>"}));
    assert!(told.starts_with("/pattern: back-references, such as \\k<name>"), "{told}");
    check(&json!({"properties":{"a":{"pattern":r"^(?<y>a)\\k<y>$"}}}), json!({"a":r"a\k<y>"}), &[]);
    assert_eq!(why(json!({"pattern":"("})), "/pattern: must be a regular expression (ECMA 262)");
}

#[test]
fn formats_are_asserted_or_annotations() {
    let schema = json!({"additionalProperties":{"format":"date-time"}});
    check(&schema, json!({"a":"2026-11-30T10:00:00Z","b":7}), &[]);
    check(&schema, json!({"a":"yesterday"}), &[("/a", "must be in the format \"date-time\"")]);
    let draft7 = json!({
        "$schema":"http://json-schema.org/draft-07/schema#",
        "properties":{"a":{"format":"ipv4"}}
    });
    check(&draft7, json!({"a":"1.2.3"}), &[("/a", "must be in the format \"ipv4\"")]);
    check(&json!({"properties":{"a":{"format":"hostname"}}}), json!({"a":"-"}), &[]);
}

#[test]
fn numbers_are_judged_to_the_last_digit() {
    #[track_caller]
    fn judged(schema: &str, number: &str, want: bool) {
        let schema = format!("{{\"properties\":{{\"a\":{schema}}}}}");
        let is_valid = violations(&schema, &format!("{{\"a\":{number}}}")).is_empty();
        assert_eq!(is_valid, want, "{number} by {schema}");
    }
    judged(r#"{"minimum":35.686975000000003}"#, "35.686975000000002", false);
    judged(r#"{"minimum":35.686975000000003}"#, "35.6869750000000030", true);
    judged(r#"{"exclusiveMaximum":18446744073709551617}"#, "18446744073709551616", true);
    judged(r#"{"exclusiveMaximum":18446744073709551617}"#, "18446744073709551617.0", false);
    judged(r#"{"multipleOf":0.01}"#, "1234567890123456789012345.67", true);
    judged(r#"{"multipleOf":0.01}"#, "1234567890123456789012345.678", false);
    judged(r#"{"const":1.0}"#, "1", true);
    judged(r#"{"const":0}"#, "-0.0", true);
    judged(r#"{"const":9007199254740993}"#, "9007199254740992", false);
    judged(r#"{"enum":[1e2,18446744073709551616]}"#, "100", true);
    judged(r#"{"enum":[1e2,18446744073709551616]}"#, "18446744073709551616.0", true);
    judged(r#"{"enum":[1e2,18446744073709551616]}"#, "18446744073709551617", false);
    judged(r#"{"uniqueItems":true}"#, "[18446744073709551616,18446744073709551617,1,10]", true);
    judged(r#"{"uniqueItems":true}"#, r#"[{"x":1,"y":[2]},{"y":[2.0],"x":1e0}]"#, false);
    judged(r#"{"type":"integer"}"#, "1.0", true);
    judged(r#"{"type":"integer"}"#, "1e300", true);
    judged(r#"{"type":"integer"}"#, "18446744073709551616.5", false);
    judged(r#"{"maxLength":3.0}"#, r#""abc""#, true);
}

#[test]
fn a_stored_schema_that_is_refused_takes_no_documents() {
    let schema = Schema::closed(SchemaError::TooExpensive);
    let document = Document::parse(Bytes::from_static(b"{}")).expect("a document");
    let invalid = schema.validate(&document, &mut ValidationBudget::full());
    let Err(InvalidDocument::Violations(violations)) = invalid else { panic!("{invalid:?}") };
    assert!(violations[0].why.contains("takes no documents"), "{violations:?}");
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
