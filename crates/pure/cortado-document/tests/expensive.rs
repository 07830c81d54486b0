//! Schemas and documents that are small and would cost a lot: each is judged, or refused, within a
//! bounded number of steps.

use cortado_document::{
    Document, Incompatible, InvalidDocument, Schema, SchemaError, SchemaText, ValidationBudget,
    compatible,
};
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Invalid,
    TooExpensive,
}

fn text(schema: &Value) -> SchemaText {
    SchemaText::parse(schema.to_string().as_bytes()).expect("JSON")
}

fn compile(schema: &Value) -> Schema {
    Schema::compile(&text(schema)).expect("a schema")
}

fn judge(schema: &Value, document: &str) -> Verdict {
    let document = Document::from_stored(document.to_owned().into());
    match compile(schema).validate(&document, &mut ValidationBudget::full()) {
        Ok(()) => Verdict::Valid,
        Err(InvalidDocument::Violations(_)) => Verdict::Invalid,
        Err(InvalidDocument::TooExpensive) => Verdict::TooExpensive,
    }
}

#[track_caller]
fn check(name: &str, schema: &Value, document: &str, want: Verdict) {
    assert_eq!(judge(schema, document), want, "{name}");
}

/// Letters a and b without a period.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if state >> 63 == 0 { 'a' } else { 'b' }
    };
    (0..length).map(letter).collect()
}

/// `d` arrays inside one another around a string.
fn nested(depth: usize) -> String {
    format!("{{\"a\":{}\"x\"{}}}", "[".repeat(depth), "]".repeat(depth))
}

/// Definitions `d0` to `d{count}`; the schema asks for the last of the member `a`.
fn chain(count: usize, first: Value, next: impl Fn(Value) -> Value) -> Value {
    let mut definitions = Map::new();
    definitions.insert("d0".to_owned(), first);
    for i in 0..count {
        let before = json!({"$ref":format!("#/$defs/d{i}")});
        definitions.insert(format!("d{}", i + 1), next(before));
    }
    json!({"properties":{"a":{"$ref":format!("#/$defs/d{count}")}},"$defs":definitions})
}

/// Two ways at each step: 2^count ways in all.
fn forks(keyword: &str, count: usize) -> Value {
    chain(count, json!({"type":"string"}), |before| json!({keyword:[before, before]}))
}

#[test]
fn a_subschema_is_judged_once_at_each_place() {
    let recursive = json!({
        "type":"object",
        "properties":{"a":{"$ref":"#/$defs/n"}},
        "$defs":{"n":{"anyOf":[
            {"type":"array","items":{"$ref":"#/$defs/n"}},
            {"type":"array","items":{"$ref":"#/$defs/n"},"maxItems":99}
        ]}}
    });
    for depth in [16, 18, 20, 22, 62] {
        check("nested arrays", &recursive, &nested(depth), Verdict::Invalid);
    }
    for (keyword, string, number) in [
        ("anyOf", Verdict::Valid, Verdict::Invalid),
        ("allOf", Verdict::Valid, Verdict::Invalid),
        // Both alternatives are the same.
        ("oneOf", Verdict::Invalid, Verdict::Invalid),
    ] {
        for count in [22, 28, 150] {
            check(keyword, &forks(keyword, count), r#"{"a":"x"}"#, string);
            check(keyword, &forks(keyword, count), r#"{"a":1}"#, number);
        }
    }
}

#[test]
fn every_keyword_that_applies_schemas_is_counted() {
    let two =
        |keyword: &'static str| move |before: Value| json!({keyword:{"x":before},"allOf":[before]});
    let cases: [(&str, Value); 8] = [
        ("not", chain(60, json!({"type":"string"}), |b| json!({"not":{"not":b},"anyOf":[b, b]}))),
        ("if", chain(60, json!({"type":"string"}), |b| json!({"if":b,"then":b,"else":b}))),
        ("dependentSchemas", chain(60, json!({"type":"object"}), two("dependentSchemas"))),
        ("properties", chain(60, json!({"type":"object"}), two("properties"))),
        (
            "items",
            chain(60, json!({"type":"string"}), |b| json!({"items":b,"contains":b,"anyOf":[b, b]})),
        ),
        (
            "propertyNames",
            chain(60, json!({"type":"string"}), |b| json!({"propertyNames":b,"oneOf":[b, false]})),
        ),
        (
            "patternProperties",
            chain(
                60,
                json!({}),
                |b| json!({"patternProperties":{"x":b},"additionalProperties":b,"allOf":[b]}),
            ),
        ),
        (
            "unevaluatedProperties",
            chain(
                60,
                json!({"properties":{"x":true}}),
                |b| json!({"anyOf":[b, b],"unevaluatedProperties":b}),
            ),
        ),
    ];
    for (name, schema) in &cases {
        for document in
            [r#"{"a":1}"#, r#"{"a":"x"}"#, r#"{"a":[1,2,3]}"#, r#"{"a":{"x":{"x":1},"y":2}}"#]
        {
            assert_ne!(judge(schema, document), Verdict::TooExpensive, "{name} {document}");
        }
    }
    let dynamic = json!({
        "$ref":"#/$defs/n",
        "$defs":{"n":{
            "$dynamicAnchor":"n",
            "anyOf":[
                {"type":"object","additionalProperties":{"$dynamicRef":"#n"}},
                {"type":"array","items":{"$dynamicRef":"#n"},"maxItems":9},
                {"type":"array","items":{"$dynamicRef":"#n"}}
            ]
        }}
    });
    check("dynamicRef", &dynamic, &nested(62), Verdict::Invalid);
    let recursive = json!({
        "$schema":"https://json-schema.org/draft/2019-09/schema",
        "$recursiveAnchor":true,
        "anyOf":[
            {"type":"object","additionalProperties":{"$recursiveRef":"#"}},
            {"type":"array","items":{"$recursiveRef":"#"},"maxItems":9},
            {"type":"array","items":{"$recursiveRef":"#"}}
        ]
    });
    check("recursiveRef", &recursive, &nested(62), Verdict::Invalid);
}

/// Names cost nothing where there are no members: a loop over them that is not counted took
/// minutes.
#[test]
fn names_are_not_looked_for_in_what_is_no_object() {
    let names: Vec<String> = (0..10_000).map(|i| format!("m{i}")).collect();
    let dependent: Map<String, Value> = names.iter().map(|n| (n.clone(), json!({}))).collect();
    let document = format!("{{\"a\":[{}1]}}", "1,".repeat(200_000));
    for rules in [json!({"dependentSchemas":dependent}), json!({"required":names})] {
        let schema = json!({"properties":{"a":{"items":rules}}});
        check("items that are no objects", &schema, &document, Verdict::Valid);
        let unevaluated = json!({"allOf":[rules],"unevaluatedItems":true});
        let schema = json!({"properties":{"a":{"items":unevaluated}}});
        check("and what is evaluated of them", &schema, "{\"a\":[[1],[2]]}", Verdict::Valid);
        let schema = json!({"properties":{"a":{"items":{"allOf":[rules,{"minimum":1}]}}}});
        let last = document.replace("1]", "0]");
        check("and what is wrong with them", &schema, &last, Verdict::Invalid);
    }
}

#[test]
fn what_takes_too_many_steps_is_refused() {
    let many = |count: usize, make: &dyn Fn(usize) -> String| -> String {
        (0..count).map(make).collect::<Vec<_>>().join(",")
    };
    let wide = format!("{{{}}}", many(10_000, &|i| format!("\"member{i}\":{{}}")));
    let patterns: Map<String, Value> =
        (0..2_000).map(|i| (format!("x{i}$"), json!({"type":"string"}))).collect();
    let schema = json!({"patternProperties":patterns});
    check("wide and many patterns", &schema, &wide, Verdict::TooExpensive);
    let branches: Vec<Value> = (0..5_000).map(|i| json!({"required":[format!("r{i}")]})).collect();
    let schema = json!({"additionalProperties":{"not":{"anyOf":branches}}});
    check("wide and many branches", &schema, &wide, Verdict::TooExpensive);
    let values: Vec<Value> = (0..20_000).map(|i| json!({"v":i,"w":[i]})).collect();
    let items = format!("{{\"a\":[{}]}}", many(40_000, &|i| format!("{{\"w\":[{i}],\"v\":0}}")));
    let schema = json!({"properties":{"a":{"items":{"not":{"enum":values}}}}});
    check("large enum", &schema, &items, Verdict::Invalid);
    let long = format!("{{\"a\":\"{}\"}}", noise(800_000));
    let schema = json!({"properties":{"a":{"pattern":"(a|b)*a(a|b){900}c"}}});
    check("pattern with many states", &schema, &long, Verdict::TooExpensive);
    let deep = chain(9_000, json!({"type":"string"}), |before| json!({"allOf":[before]}));
    check("long chain", &deep, r#"{"a":1}"#, Verdict::TooExpensive);
    let numbers = format!("{{\"a\":[{}]}}", many(2_500, &|i| "7".repeat(300) + &"0".repeat(i % 9)));
    let divisor = format!(
        "{{\"properties\":{{\"a\":{{\"items\":{{\"multipleOf\":{}}}}}}}}}",
        "7".repeat(300)
    );
    let schema =
        Schema::compile(&SchemaText::parse(divisor.as_bytes()).expect("JSON")).expect("one");
    let document = Document::from_stored(numbers.into());
    let judged = schema.validate(&document, &mut ValidationBudget::full());
    assert_eq!(judged, Err(InvalidDocument::TooExpensive), "division of long numbers");
}

#[test]
fn large_documents_of_everyday_schemas_are_validated() {
    let unique = format!(
        "{{\"a\":[{}]}}",
        (0..100_000).map(|i| i.to_string()).collect::<Vec<_>>().join(",")
    );
    check(
        "100,000 unique items",
        &json!({"properties":{"a":{"uniqueItems":true}}}),
        &unique,
        Verdict::Valid,
    );
    let repeated = unique.replace("99999]", "5]");
    check(
        "100,000 items, two equal",
        &json!({"properties":{"a":{"uniqueItems":true}}}),
        &repeated,
        Verdict::Invalid,
    );
    let properties: Map<String, Value> = (0..500)
        .map(|i| {
            (format!("member{i}"), json!({"type":"string","maxLength":20,"pattern":"^[a-z]+$"}))
        })
        .collect();
    let schema = json!({"type":"object","properties":properties,"additionalProperties":false});
    let members: Vec<String> = (0..500).map(|i| format!("\"member{i}\":\"value\"")).collect();
    check("500 members", &schema, &format!("{{{}}}", members.join(",")), Verdict::Valid);
    let items = |make: &dyn Fn(usize) -> String| {
        format!("{{\"a\":[{}]}}", (0..60_000).map(make).collect::<Vec<_>>().join(","))
    };
    let either =
        json!({"properties":{"a":{"items":{"anyOf":[{"type":"string"},{"type":"number"}]}}}});
    check("60,000 items of two types", &either, &items(&|i| format!("{i}.5")), Verdict::Valid);
    check("GeoJSON of 1 MiB", &geojson(), &features(45_000), Verdict::Valid);
    let wrong = features(45_000).replace("[1.500000,1.2500000]", "[1.500000,\"x\"]");
    check("GeoJSON of 1 MiB, with a mistake", &geojson(), &wrong, Verdict::Invalid);
}

/// As the one that is published: a choice of nine types, of which seven are geometries.
fn geojson() -> Value {
    let position = json!({"type":"array","minItems":2,"items":{"type":"number"}});
    let list = |of: Value| json!({"type":"array","items":of});
    let bbox = json!({"type":"array","minItems":4,"items":{"type":"number"}});
    let typed = |name: &str, coordinates: Value| {
        json!({
            "type":"object","required":["type","coordinates"],
            "properties":{
                "type":{"type":"string","enum":[name]},"coordinates":coordinates,"bbox":bbox
            }
        })
    };
    let ring = json!({"type":"array","minItems":4,"items":position});
    let geometries = vec![
        typed("Point", position.clone()),
        typed("LineString", json!({"type":"array","minItems":2,"items":position})),
        typed("Polygon", list(ring.clone())),
        typed("MultiPoint", list(position.clone())),
        typed("MultiLineString", list(list(position.clone()))),
        typed("MultiPolygon", list(list(ring))),
    ];
    let mut geometry = vec![json!({"type":"null"})];
    geometry.extend(geometries.clone());
    let feature = json!({
        "type":"object","required":["type","properties","geometry"],
        "properties":{
            "type":{"type":"string","enum":["Feature"]},
            "id":{"oneOf":[{"type":"number"},{"type":"string"}]},
            "properties":{"oneOf":[{"type":"null"},{"type":"object"}]},
            "geometry":{"oneOf":geometry},"bbox":bbox
        }
    });
    let collection = json!({
        "type":"object","required":["type","features"],
        "properties":{
            "type":{"type":"string","enum":["FeatureCollection"]},
            "features":{"type":"array","items":feature},"bbox":bbox
        }
    });
    let mut all = geometries;
    all.extend([feature, collection]);
    json!({"$schema":"http://json-schema.org/draft-07/schema#","oneOf":all})
}

/// One multipolygon whose ring has so many positions, and some points.
fn features(positions: usize) -> String {
    let ring: Vec<String> =
        (0..positions).map(|i| format!("[{}.500000,1.2500000]", 1 + i % 90)).collect();
    let polygon = format!(
        concat!(
            r#"{{"type":"Feature","id":1,"properties":{{}},"#,
            r#""geometry":{{"type":"MultiPolygon","coordinates":[[[{}]]]}}}}"#
        ),
        ring.join(",")
    );
    let point =
        r#"{"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[1,2]}}"#;
    format!("{{\"type\":\"FeatureCollection\",\"features\":[{polygon},{point}]}}")
}

#[test]
fn a_schema_that_is_expensive_to_compile_is_refused() {
    let refused = |name: &str, schema: Value| {
        let error = Schema::compile(&text(&schema)).err();
        assert_eq!(error, Some(SchemaError::TooExpensive), "{name}");
    };
    let patterns = |make: &dyn Fn(usize) -> String, count: usize| -> Value {
        let patterns: Vec<Value> = (0..count).map(|i| json!({"pattern":make(i)})).collect();
        json!({"allOf":patterns})
    };
    refused("many large patterns", patterns(&|i| format!("(a{{900}}){{9}}{i}"), 3_000));
    refused("a long pattern of classes", patterns(&|_| r"\s".repeat(200_000), 1));
    refused("many classes", patterns(&|i| format!("{}{i}", r"\cA".repeat(1_000)), 100));
    let base = "x".repeat(300_000);
    let references: Vec<Value> = (0..10_000).map(|_| json!({"$ref":"s"})).collect();
    let long = json!({"$id":format!("https://e.com/{base}/s"),"anyOf":references});
    refused("references against a long URI", long);
    let anchors: Vec<Value> = (0..6_000)
        .map(|i| json!({"$id":format!("r{i}"),"$dynamicAnchor":"n","items":{"$dynamicRef":"#n"}}))
        .collect();
    let mut schema = json!({"$defs":anchors});
    schema["anyOf"] = (0..2_000).map(|_| json!({"not":{"$dynamicRef":"r0#n"}})).collect();
    let defs: Map<String, Value> =
        anchors.into_iter().enumerate().map(|(i, s)| (i.to_string(), s)).collect();
    schema["$defs"] = Value::Object(defs);
    refused("many dynamic anchors", schema);
}

#[test]
fn schemas_that_are_expensive_to_compare_are_refused() {
    let compare = |old: &Value, new: &Value| compatible(Some(&text(old)), Some(&text(new)));
    let longer = |schema: &Value| {
        let mut schema = schema.clone();
        schema["$defs"]["d0"]["minLength"] = json!(0);
        schema
    };
    for keyword in ["anyOf", "allOf", "oneOf"] {
        let schema = forks(keyword, 40);
        let result = compare(&schema, &longer(&schema));
        let is_refused = match result {
            Err(Incompatible::TooExpensive) => keyword != "oneOf",
            // What `oneOf` has become cannot be shown anyway.
            Err(Incompatible::Reasons(_)) => keyword == "oneOf",
            Ok(()) => false,
        };
        assert!(is_refused, "{keyword}");
    }
    let recursive = |most: u32| {
        json!({"$defs":{"d0":{"anyOf":[
        {"type":"array","items":{"$ref":"#/$defs/d0"}},
        {"type":"array","items":{"$ref":"#/$defs/d0"},"maxItems":most}
    ]}},"$ref":"#/$defs/d0"})
    };
    assert_eq!(compare(&recursive(9), &recursive(99)), Ok(()));
    let large = |extra: u32| {
        let values: Vec<Value> = (0..50_000).map(|i| json!(i + extra)).collect();
        json!({"enum":values})
    };
    assert!(compare(&large(0), &large(1)).is_err());
    let nots = |extra: u32| {
        let deep = (0..50).fold(
            json!({"enum":(0..20_000).collect::<Vec<u32>>()}),
            |inner, _| json!({"not":inner,"anyOf":[true]}),
        );
        json!({"allOf":[deep],"maximum":extra})
    };
    assert_eq!(compare(&nots(1), &nots(2)), Ok(()));
    // What is long is looked at again wherever a reference leads to it.
    let everywhere = |schema: &Value| {
        let member = |i: u32| (format!("m{i}"), json!({"$ref":"#/$defs/d"}));
        let members: Map<String, Value> = (0..5_000).map(member).collect();
        json!({"properties":members,"$defs":{"d":schema}})
    };
    let (object, number) = (json!({"type":"object"}), json!({"type":"number"}));
    let names = json!({"type":vec!["number"; 50_000]});
    let either = json!({"oneOf":[large(0),object]});
    for (old, new) in [(&large(0), &number), (&names, &number), (&object, &either)] {
        let compared = compare(&everywhere(old), &everywhere(new));
        assert_eq!(compared, Err(Incompatible::TooExpensive));
    }
    assert_eq!(compare(&everywhere(&json!({"enum":[1]})), &everywhere(&number)), Ok(()));
}
