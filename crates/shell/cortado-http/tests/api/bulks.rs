//! Many writes, each for itself.

use crate::world::{Reply, World};
use serde_json::{Value, json};

async fn bulk(world: &World, operations: Value) -> Reply {
    let body = json!({ "operations": operations }).to_string();
    world.post("/v1/music:bulk", &body).await
}

/// The results of a bulk that was taken.
#[track_caller]
fn results(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["results"].as_array().expect("an array").clone()
}

fn all<'a>(results: &'a [Value], member: &str) -> Vec<&'a Value> {
    results.iter().map(|result| &result[member]).collect()
}

fn put(fan: &str, value: Value) -> Value {
    json!({ "op": "put", "table": "fan", "key": [fan], "value": value })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_has_a_result_of_its_own() {
    let world = World::start().await;
    let old = world.put("/v1/music/album/Cher/Old", r#"{"n":1}"#).await;
    let operations = json!([
        put("a", json!({ "n": 1 })),
        { "op": "put", "table": "album", "key": ["Cher", "Old"], "value": {}, "if_match": "00" },
        { "op": "merge", "table": "album", "key": ["Cher", "Old"], "value": { "m": 2 } },
        { "op": "delete", "table": "fan", "key": ["nobody"] },
        { "op": "merge", "table": "fan", "key": ["nobody"], "value": {} },
        { "op": "put", "table": "none", "key": ["b"], "value": {} },
        { "op": "put", "table": "fan", "key": [""], "value": {} },
        { "op": "put", "table": "fan", "key": ["c"], "value": [] },
        { "op": "put", "table": "fan", "key": ["d"], "value": {}, "if_none_match": "*" },
    ]);
    let reply = bulk(&world, operations).await;
    let results = results(&reply);
    assert_eq!(all(&results, "status"), [201, 412, 200, 404, 404, 404, 400, 422, 201]);
    let codes = ["condition_failed", "no_such_document", "no_such_table", "empty_key_part"];
    let failed = [1, 4, 5, 6].map(|at: usize| results[at].clone());
    assert_eq!(all(&failed, "code"), codes);
    assert_eq!(all(&failed, "outcome"), ["none"; 4]);
    assert_eq!(results[7]["code"], "not_an_object");
    assert_eq!(text(&results[1], "etag"), old.etag(), "the state that it has met");
    assert_eq!(results[2]["key"], json!(["Cher", "Old"]));
    // Nothing to delete is no failure.
    assert!(results[3].get("code").is_none() && results[3]["scn"].is_string());
    let read = world.get("/v1/music/album/Cher/Old").await;
    assert_eq!(read.text(), r#"{"n":1,"m":2}"#);
    assert_eq!(read.etag(), text(&results[2], "etag"));
    assert_eq!(read.header("cortado-scn"), Some(text(&results[2], "scn")));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    // The session covers every partition that was written.
    let session = reply.header("cortado-session").expect("a session");
    for fan in ["a", "d"] {
        let head = format!(
            "GET /v1/music/fan/{fan}\nCortado-Consistency: session\nCortado-Session: {session}"
        );
        assert_eq!(world.ask(&head, "").await.status, 200);
    }
    world.end().await;
}

fn text<'a>(result: &'a Value, member: &str) -> &'a str {
    result[member].as_str().unwrap_or_else(|| panic!("no {member} in {result}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_document_takes_its_operations_in_order() {
    let world = World::start().await;
    let operations = json!([
        put("a", json!({ "n": 1 })),
        { "op": "merge", "table": "fan", "key": ["a"], "value": { "m": 2 } },
        { "op": "delete", "table": "fan", "key": ["a"] },
        { "op": "put", "table": "fan", "key": ["a"], "value": { "n": 3 }, "if_none_match": "*" },
        { "op": "put", "table": "fan", "key": ["a"], "value": { "n": 4 }, "if_none_match": "*" },
    ]);
    let results = results(&bulk(&world, operations).await);
    assert_eq!(all(&results, "status"), [201, 200, 204, 201, 412]);
    assert_ne!(text(&results[0], "etag"), text(&results[1], "etag"), "each state has its own");
    assert_eq!(world.get("/v1/music/fan/a").await.text(), r#"{"n":3}"#);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_operations_of_every_partition_are_done() {
    let world = World::start().await;
    let many = |count: usize| (0..count).map(|n| put(&format!("f{n}"), json!({ "n": n })));
    let done = results(&bulk(&world, many(1_000).collect()).await);
    assert!(all(&done, "status").iter().all(|status| **status == 201));
    let partitions: std::collections::BTreeSet<_> =
        done.iter().map(|result| text(result, "scn").split('/').next().unwrap()).collect();
    assert_eq!(partitions.len(), 4);
    // What goes together stands in one record.
    let records: std::collections::BTreeSet<_> = done.iter().map(|it| text(it, "scn")).collect();
    assert_eq!(records.len(), 4);
    assert_eq!(world.get("/v1/music/fan/f999").await.text(), r#"{"n":999}"#);
    bulk(&world, many(1_001).collect()).await.not_done(413, "too_many_operations");
    world.end().await;
}

const NDJSON: &str = "POST /v1/music:bulk\nContent-Type: application/x-ndjson";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_operations() {
    let world = World::start().await;
    let lines = "{\"op\":\"put\",\"table\":\"fan\",\"key\":[\"a\"],\"value\":{ \"n\": 1.50 }}\r\n\n\
                 {\"op\":\"put\",\"table\":\"fan\",\"key\":[\"b\"],\"value\":{\"n\":1e999}}\n\
                 {\"op\":\"delete\",\"table\":\"fan\",\"key\":[\"c\"]}";
    let results = results(&world.ask(NDJSON, lines).await);
    assert_eq!(all(&results, "status"), [201, 422, 404]);
    assert_eq!(results[1]["code"], "unacceptable_json");
    assert_eq!(world.get("/v1/music/fan/a").await.text(), r#"{"n":1.50}"#);
    let half = "{\"op\":\"delete\",\"table\":\"fan\",\"key\":[\"a\"]}\n{\"op\":\"delete\",";
    let refused = world.ask(NDJSON, half).await;
    refused.not_done(400, "malformed_json");
    assert_eq!(refused.json()["operation"], 1);
    assert_eq!(refused.json()["offset"], half.len(), "in the body, not in the line");
    let detail = text(&refused.json(), "detail").to_owned();
    assert!(detail.ends_with(&format!(" at byte {}", half.len())), "{detail}");
    assert_eq!(world.get("/v1/music/fan/a").await.status, 200, "nothing of it was done");
    world.ask(NDJSON, "\n \n").await.not_done(422, "empty_transaction");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_bulk_does_nothing() {
    let world = World::start().await;
    let check = async |operation: Value, status: u16, code: &str| {
        let reply = bulk(&world, json!([put("a", json!({})), operation])).await;
        reply.not_done(status, code);
        assert_eq!(reply.json()["operation"], 1, "{reply:?}");
        world.get("/v1/music/fan/a").await.refused(404, "no_such_document");
    };
    let of = |op: &str| json!({ "op": op, "table": "fan", "key": ["b"], "if_match": "*" });
    check(of("check"), 422, "bad_body").await;
    check(of("drop"), 422, "bad_body").await;
    check(of("put"), 422, "bad_body").await;
    check(json!(["put"]), 422, "bad_body").await;
    check(json!({ "op": "delete", "table": "fan", "key": ["b", "c"] }), 422, "wrong_key_arity")
        .await;
    check(json!({ "op": "delete", "table": "fan", "key": ["b"], "x": 1 }), 422, "bad_body").await;
    check(
        json!({ "op": "delete", "table": "fan", "key": ["b"], "if_match": "\"x\"" }),
        400,
        "bad_etag",
    )
    .await;
    let doubled =
        r#"{"operations":[{"op":"put","table":"fan","key":["a"],"value":{"n":1,"n":2}}]}"#;
    let post = async |head: &str, body: &str| {
        world.ask(&format!("POST /v1/music:bulk\n{head}"), body).await
    };
    let json_type = "Content-Type: application/json";
    let refused = post(json_type, doubled).await;
    refused.not_done(400, "malformed_json");
    assert_eq!(refused.json()["operation"], 0);
    bulk(&world, json!([])).await.not_done(422, "empty_transaction");
    post(json_type, r#"{"operations":[]"#).await.not_done(400, "malformed_json");
    post(json_type, "[]").await.not_done(422, "not_an_object");
    post(json_type, r#"{"operation":[]}"#).await.not_done(422, "bad_body");
    post("", "{}").await.not_done(415, "unsupported_media_type");
    let one = json!({ "operations": [put("a", json!({}))] }).to_string();
    post(&format!("{json_type}\nIf-None-Match: *"), &one).await.not_done(400, "bad_header");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_bulk_does_only_what_is_not_remembered() {
    let world = World::start().await;
    world.put("/v1/music/fan/c", "{}").await;
    let head = "POST /v1/music:bulk\nContent-Type: application/json\nIdempotency-Key: b1";
    let create = json!({ "op": "put", "table": "fan", "key": ["c"], "value": {},
        "if_none_match": "*" });
    let delete = json!({ "op": "delete", "table": "fan", "key": ["d"] });
    let body = |first: Value| json!({ "operations": [first, create, delete] }).to_string();
    let first = results(&world.ask(head, &body(put("a", json!({ "n": 1 })))).await);
    assert_eq!(all(&first, "status"), [201, 412, 404]);
    world.put("/v1/music/fan/a", r#"{"n":5}"#).await;
    world.put("/v1/music/fan/d", r#"{"n":6}"#).await;
    world.ask("DELETE /v1/music/fan/c", "").await;
    let again = results(&world.ask(head, &body(put("a", json!({ "n": 1 })))).await);
    assert_eq!(all(&again, "status"), [201, 201, 404]);
    assert_eq!((&again[0]["etag"], &again[0]["scn"]), (&first[0]["etag"], &first[0]["scn"]));
    let repeated = [json!(true), Value::Null, json!(true)];
    assert_eq!(all(&again, "repeated"), repeated.iter().collect::<Vec<_>>());
    assert_eq!(world.get("/v1/music/fan/a").await.text(), r#"{"n":5}"#);
    assert_eq!(world.get("/v1/music/fan/d").await.text(), r#"{"n":6}"#, "not deleted again");
    // Another operation in its place is another request; so is one that is not of a bulk.
    let other = results(&world.ask(head, &body(put("a", json!({ "n": 2 })))).await);
    assert_eq!(other[0]["code"], "idempotency_key_reused");
    let alone = "PUT /v1/music/fan/a\nContent-Type: application/json\nIdempotency-Key: b1";
    world.ask(alone, "{}").await.not_done(422, "idempotency_key_reused");
    world.end().await;
}
