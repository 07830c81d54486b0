//! Parameters, conditions, keys of repetition, batches, transactions, declarations.

use super::{World, bare, with};
use serde_json::{Value, json};

#[test]
fn names_and_places_that_do_not_exist_are_told() {
    let world = World::start();
    for name in ["_admin", "CON", "Bad", "a-b", "1a", "%2e%2e", "", &"x".repeat(300)] {
        world.check(with(&format!("PUT /v1/{name}/t/x"), "{}"), 400, "bad_name");
        world.check(with(&format!("PUT /v1/bad/{name}/x"), "{}"), 400, "bad_name");
        world.check(with(&format!("PUT /admin/v1/databases/{name}"), "{}"), 400, "bad_name");
    }
    world.check(with("PUT /v1/none/t/x", "{}"), 404, "no_such_database");
    world.check(with("PUT /v1/bad/none/x", "{}"), 404, "no_such_table");
    world.check(bare("GET /v1/bad/t/none", ""), 404, "no_such_document");
    world.check(bare("DELETE /v1/bad/t/none", ""), 404, "no_such_document");
    world.check(bare("GET /v1/bad", ""), 404, "no_such_route");
    world.check(bare("GET /console/../etc/passwd", ""), 404, "no_such_route");
    world.check(bare("GET /admin/v2/nodes", ""), 404, "no_such_route");
    world.end();
}

#[test]
fn parameters_and_headers_are_never_ignored() {
    let world = World::start();
    let list = |query: &str, code: &str| {
        world.check(bare(&format!("GET /v1/bad/pair/kept?{query}"), ""), 400, code);
    };
    for limit in ["-1", "0", "1001", "abc", "1e9", "", "%2B1", "99999999999999999999"] {
        list(&format!("limit={limit}"), "bad_parameter");
    }
    list("limit=1&limit=1", "bad_parameter");
    list("order=sideways", "bad_parameter");
    list("limits=1", "unknown_parameter");
    list("access_token=x", "unknown_parameter");
    list("%zz=1", "bad_parameter");
    for query in ["$where", "a:{\"$ne\":\"\"}", "%7B%22$function%22:1%7D"] {
        list(&format!("query={}", query.replace('"', "%22")), "not_supported");
    }
    for cursor in ["", "x", "AAAA", "AQAAAAAAAAAAAAAA", "..%2f..", &"A".repeat(5_000)] {
        list(&format!("cursor={cursor}"), "bad_cursor");
    }
    let header = |line: &str, code: &str| {
        world.check(bare("GET /v1/bad/t/kept", line), 400, code);
    };
    for value in ["0", "-1", "abc", "1.5", ""] {
        header(&format!("Cortado-Deadline-Ms: {value}"), "bad_header");
    }
    header("Cortado-Consistency: best", "bad_header");
    header("Cortado-Consistency: bounded", "bad_header");
    header("Cortado-Max-Lag-Ms: 5", "bad_header");
    header("Cortado-Nonsense: 1", "bad_header");
    header("Cortado-Session: garbage", "bad_session");
    header(&format!("Cortado-Session: {}", "A".repeat(30_000)), "bad_session");
    header("Cortado-Ttl: 5", "not_supported");
    header("Authorization: Bearer eyJhbGciOiJub25lIn0.e30.", "not_supported");
    header("If-Unmodified-Since: Fri, 01 Jan 1999 00:00:00 GMT", "not_supported");
    world.end();
}

#[test]
fn conditions_and_repetitions_are_judged() {
    let world = World::start();
    let put = |headers: &str, status, code| {
        let request = with("PUT /v1/bad/t/kept", "{\"n\":2}");
        let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
        world.check(
            request.replacen("Content-Type", &format!("{headers}Content-Type"), 1),
            status,
            code,
        );
    };
    for tag in ["x", "\"x", "x\"", "\"a b\"", "*, \"x\"", "", ",", "W/", "\"a\" \"b\""] {
        put(&format!("If-Match: {tag}"), 400, "bad_etag");
        put(&format!("If-None-Match: {tag}"), 400, "bad_etag");
    }
    put("If-Match: \"0000000000000000\"", 412, "condition_failed");
    put("If-Match: W/\"x\"", 412, "condition_failed");
    put("If-None-Match: *", 412, "condition_failed");
    put("If-Match: *\nIf-None-Match: *", 412, "condition_failed");
    for key in ["", &"x".repeat(1_024), "a b", "schl\u{fc}ssel"] {
        put(&format!("Idempotency-Key: {key}"), 400, "bad_header");
    }
    put("Idempotency-Key: a\nIdempotency-Key: b", 400, "bad_header");

    let mut http = world.server.http();
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    let first = http.expect("PUT", "/v1/bad/t/once", &headers, b"{\"n\":1}");
    let again = http.expect("PUT", "/v1/bad/t/once", &headers, b"{\"n\":1}");
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    let keyed = with("PUT /v1/bad/t/once", "{\"n\":2}");
    let keyed = keyed.replacen("Content-Type", "Idempotency-Key: once\r\nContent-Type", 1);
    world.check(keyed, 422, "idempotency_key_reused");
    for ttl in ["0", "86401", "-1", "soon", ""] {
        put(&format!("Idempotency-Key: once\nCortado-Idempotency-Ttl: {ttl}"), 400, "bad_header");
    }
    put("Cortado-Idempotency-Ttl: 60", 400, "bad_header");

    // An etag from before a deletion names nothing any more.
    let etag = first.header("etag").unwrap().to_owned();
    http.delete("/v1/bad/t/once");
    assert_eq!(http.put("/v1/bad/t/once", &json!({ "n": 1 })).status, 201);
    let request = with("PUT /v1/bad/t/once", "{}");
    let request = request.replacen("Content-Type", &format!("If-Match: {etag}\r\nContent-Type"), 1);
    world.check(request, 412, "condition_failed");
    world.end();
}

#[test]
fn transactions_are_whole_or_nothing() {
    let world = World::start();
    let transact = |body: &str, status, code| {
        world.check(with("POST /v1/bad:transact", body), status, code);
    };
    let operations = |operations: Value| json!({ "operations": operations }).to_string();
    let good = json!({ "op": "put", "table": "t", "key": ["new"], "value": {} });
    let mixed = |bad: Value| operations(json!([good, bad]));
    transact("[]", 422, "not_an_object");
    transact("{}", 422, "bad_body");
    transact("{\"operations\":{}}", 422, "bad_body");
    transact("{\"operations\":[],\"operations\":[]}", 400, "malformed_json");
    transact(&operations(json!([])), 422, "empty_transaction");
    transact(&operations(json!(vec![good.clone(); 1_001])), 413, "too_many_operations");
    transact(&operations(json!([good, good])), 422, "repeated_key");
    transact(&mixed(json!({ "op": "eval", "table": "t", "key": ["new"] })), 422, "bad_body");
    transact(&mixed(json!({ "op": "delete", "table": "t", "key": "new" })), 422, "bad_body");
    transact(
        &mixed(json!({ "op": "delete", "table": "t", "key": ["a"], "role": 1 })),
        422,
        "bad_body",
    );
    transact(
        &mixed(json!({ "op": "put", "table": "t", "key": ["other"], "value": {} })),
        422,
        "cross_resource",
    );
    transact(
        &mixed(json!({ "op": "check", "table": "pair", "key": ["new", "b"] })),
        422,
        "nothing_to_check",
    );
    transact(
        &mixed(json!({ "op": "check", "table": "pair", "key": ["new", "b"], "if_match": "*" })),
        412,
        "condition_failed",
    );
    transact(
        &mixed(json!({ "op": "merge", "table": "pair", "key": ["new", "b"], "value": {} })),
        404,
        "no_such_document",
    );
    transact(
        &mixed(json!({ "op": "put", "table": "pair", "key": ["new", ".."], "value": {} })),
        400,
        "bad_key",
    );
    transact(
        &mixed(json!({ "op": "put", "table": "pair", "key": ["new"], "value": {} })),
        422,
        "wrong_key_arity",
    );
    transact(
        &mixed(json!({ "op": "put", "table": "pair", "key": ["new", "b"], "value": 1 })),
        422,
        "not_an_object",
    );
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let large: Value = serde_json::from_str(&large).unwrap();
    transact(
        &mixed(json!({ "op": "put", "table": "pair", "key": ["new", "b"], "value": large })),
        413,
        "document_too_large",
    );
    transact(&"{\"operations\":".repeat(100_000), 400, "malformed_json");
    world.end();
}

#[test]
fn batches_of_reads_are_checked_before_anything_is_read() {
    let world = World::start();
    let batch = |body: &str, status, code| {
        world.check(with("POST /v1/bad:batchGet", body), status, code);
    };
    batch("{\"keys\":[]}", 422, "empty_batch");
    batch("{\"keys\":[[]]}", 422, "bad_body");
    batch("{\"keys\":[{\"table\":\"t\",\"key\":[\"a\",\"b\"]}]}", 422, "wrong_key_arity");
    let keys = vec![json!({ "table": "t", "key": ["a"] }); 1_001];
    batch(&json!({ "keys": keys }).to_string(), 413, "too_many_operations");
    world.end();
}

#[test]
fn declarations_orders_and_streams_are_checked() {
    let world = World::start();
    let put = |path: &str, body: &str, status, code| {
        world.check(with(&format!("PUT /admin/v1/databases/{path}"), body), status, code);
    };
    put("new", "{", 400, "malformed_json");
    put("new", "[]", 422, "not_an_object");
    put("new", "{\"partitons\":1}", 422, "bad_body");
    put("new", "{\"role\":\"admin\"}", 422, "bad_body");
    put("new", "{\"partitions\":0}", 422, "bad_declaration");
    put("new", "{\"partitions\":4294967296}", 422, "bad_body");
    put("new", "{\"replication\":99}", 422, "bad_declaration");
    put("new", "{\"slo\":{}}", 422, "member_not_supported");
    put("bad", "{\"partitions\":3}", 409, "already_exists");
    let table = |body: &str, status, code| put("bad/tables/new", body, status, code);
    table("{}", 422, "bad_body");
    table("{\"key\":[]}", 422, "bad_declaration");
    table("{\"key\":[\"a\",\"a\"]}", 422, "bad_declaration");
    table("{\"key\":[\"../etc\"]}", 422, "bad_declaration");
    table("{\"key\":[\"a\"],\"indexes\":[{\"field\":\"x\"}]}", 422, "member_not_supported");
    for reference in
        ["http://169.254.169.254/x", "file:///etc/passwd", "http://localhost/x", "other.json"]
    {
        let body = json!({ "key": ["a"], "schema": { "$ref": reference } });
        table(&body.to_string(), 422, "bad_declaration");
    }
    table("{\"key\":[\"a\"],\"schema\":{\"type\":\"nonsense\"}}", 422, "bad_declaration");
    table("{\"key\":[\"a\"],\"schema\":{\"$ref\":\"#\"}}", 422, "bad_declaration");
    put("bad/tables/t", "{\"key\":[\"other\"]}", 409, "already_exists");
    let post = |path: &str, status, code| {
        world.check(bare(&format!("POST /admin/v1/{path}"), ""), status, code);
    };
    post("databases/bad/partitions/99:handoff", 404, "no_such_partition");
    post("databases/bad/partitions/-1:handoff", 404, "no_such_partition");
    post("databases/none/partitions/0:handoff", 404, "no_such_database");
    post("nodes/n99:kill", 404, "no_such_node");
    post("nodes/..%2fn1:kill", 404, "no_such_node");
    post("nodes/n1:start", 409, "conflict");
    let changes = |query: &str, status, code| {
        world.check(bare(&format!("GET /v1/bad:changes?{query}"), ""), status, code);
    };
    changes("", 400, "bad_parameter");
    changes("partition=-1", 400, "bad_parameter");
    changes("partition=16", 404, "no_such_partition");
    changes("partition=0&since=x", 400, "bad_since");
    changes("partition=0&since=1/1:1", 400, "bad_since");
    changes("partition=0&since=8388607:1099511627775", 400, "bad_since");
    changes("partition=0&wait=99999999", 400, "bad_parameter");
    world.end();
}

#[test]
fn a_schema_that_takes_too_many_steps_stops_nobody() {
    let world = World::start();
    let mut http = world.server.http();
    let branch = |most: u32| {
        json!({
            "type": "array", "items": { "$ref": "#/$defs/n" }, "maxItems": most,
        })
    };
    let nested = json!({ "key": ["id"], "schema": {
        "type": "object", "properties": { "a": { "$ref": "#/$defs/n" } },
        "$defs": { "n": { "anyOf": [branch(100), branch(99)] } },
    }});
    assert_eq!(http.put("/admin/v1/databases/bad/tables/nested", &nested).status, 201);
    let deep = format!("{{\"a\":{}\"x\"{}}}", "[".repeat(62), "]".repeat(62));
    world.check(with("PUT /v1/bad/nested/x", &deep), 422, "schema_violated");
    let items: serde_json::Map<String, Value> =
        (0..2_000).map(|n| (format!("x{n}$"), json!({ "type": "string" }))).collect();
    let wide = json!({ "key": ["id"], "schema": { "patternProperties": items } });
    assert_eq!(http.put("/admin/v1/databases/bad/tables/wide", &wide).status, 201);
    let fields: Vec<String> = (0..10_000).map(|n| format!("\"field{n}\":1")).collect();
    let document = format!("{{{}}}", fields.join(","));
    world.check(with("PUT /v1/bad/wide/x", &document), 422, "schema_too_expensive");
    let patterns: Vec<Value> =
        (0..2_000).map(|n| json!({ "pattern": format!("(a{{900}}){{9}}{n}") })).collect();
    let large = json!({ "key": ["id"], "schema": { "allOf": patterns } }).to_string();
    let create = with("PUT /admin/v1/databases/bad/tables/large", &large);
    world.check(create, 422, "schema_too_expensive");
    world.end();
}

#[test]
fn a_schema_is_kept_as_it_is_written() {
    let world = World::start();
    let mut http = world.server.http();
    let schema = r#"{"properties":{"v":{"maximum":35.686975000000003,"minimum":1.0}}}"#;
    let body = format!("{{\"key\":[\"id\"],\"schema\":{schema}}}");
    let path = "/admin/v1/databases/bad/tables/exact";
    let mut put = |body: &str| {
        let json = [("content-type", "application/json")];
        let status = http.expect("PUT", path, &json, body.as_bytes()).status;
        (status, String::from_utf8(http.get(path).body).unwrap())
    };
    let (status, declared) = put(&body);
    assert!(status == 201 && declared.contains(schema), "{declared}");
    // The same value, written otherwise, is the same declaration.
    let again = body.replace("1.0", "1").replace(",\"minimum", " , \"minimum");
    let (status, declared) = put(&again);
    assert!(status == 200 && declared.contains("\"schema_version\":1"), "{declared}");
    world.check(with("PUT /v1/bad/exact/x", r#"{"v":35.686975000000004}"#), 422, "schema_violated");
    world.keep("/v1/bad/exact/x", r#"{"v":35.6869750000000030}"#);
    world.end();
}

#[test]
fn a_schema_pattern_takes_linear_time() {
    let world = World::start();
    let mut http = world.server.http();
    let schema = json!({ "key": ["id"], "schema": {
        "type": "object", "properties": { "x": { "type": "string", "pattern": "^(a+)+$" } },
    }});
    assert_eq!(http.put("/admin/v1/databases/bad/tables/slow", &schema).status, 201);
    let evil = json!({ "x": format!("{}!", "a".repeat(500_000)) }).to_string();
    world.check(with("PUT /v1/bad/slow/x", &evil), 422, "schema_violated");
    world.end();
}
