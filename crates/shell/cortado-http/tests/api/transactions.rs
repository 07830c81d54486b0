//! Many writes, all or none.

use crate::world::{Reply, World};
use serde_json::{Value, json};

async fn transact(world: &World, operations: Value) -> Reply {
    let body = json!({ "operations": operations }).to_string();
    world.post("/v1/music:transact", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_operations_are_done_with_one_result_each() {
    let world = World::start().await;
    world.put("/v1/music/album/Cher/Old", r#"{"n":1}"#).await;
    let reply = transact(
        &world,
        json!([
            { "op": "put", "table": "album", "key": ["Cher", "New"], "value": { "n": 2 } },
            { "op": "put", "table": "fan", "key": ["Cher"], "value": {} },
            { "op": "merge", "table": "album", "key": ["Cher", "Old"], "value": { "m": 3 } },
            { "op": "delete", "table": "album", "key": ["Cher", "None"] },
            { "op": "check", "table": "album", "key": ["Cher", "Gone"], "if_none_match": "*" },
        ]),
    )
    .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["scn"].as_str(), reply.header("cortado-scn"));
    let results = body["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, [201, 201, 200, 404, 200]);
    assert_eq!(results[0]["key"], json!(["Cher", "New"]));
    assert!(results[0]["etag"].is_string() && results[3].get("etag").is_none());
    let read = world.get("/v1/music/album/Cher/Old").await;
    assert_eq!(read.text(), r#"{"n":1,"m":3}"#);
    assert_eq!(read.etag(), results[2]["etag"].as_str().unwrap());
    assert_eq!(read.header("cortado-scn"), reply.header("cortado-scn"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refused_operation_undoes_all() {
    let world = World::start().await;
    let put = json!({ "op": "put", "table": "album", "key": ["Cher", "A"], "value": {} });
    let second = |operation: Value| transact(&world, json!([put, operation]));
    let check = async |operation: Value, status: u16, code: &str| {
        let reply = second(operation).await;
        reply.not_done(status, code);
        assert_eq!(reply.json()["operation"], 1, "{reply:?}");
        world.get("/v1/music/album/Cher/A").await.refused(404, "no_such_document");
    };
    let b = json!(["Cher", "B"]);
    check(
        json!({ "op": "check", "table": "album", "key": b, "if_match": "*" }),
        412,
        "condition_failed",
    )
    .await;
    check(
        json!({ "op": "put", "table": "album", "key": b, "value": {}, "if_match": "00" }),
        412,
        "condition_failed",
    )
    .await;
    check(
        json!({ "op": "merge", "table": "album", "key": b, "value": {} }),
        404,
        "no_such_document",
    )
    .await;
    check(json!({ "op": "check", "table": "album", "key": b }), 422, "nothing_to_check").await;
    check(
        json!({ "op": "put", "table": "album", "key": ["Abba", "B"], "value": {} }),
        422,
        "cross_resource",
    )
    .await;
    check(json!({ "op": "delete", "table": "album", "key": ["Cher", "A"] }), 422, "repeated_key")
        .await;
    check(json!({ "op": "delete", "table": "album", "key": ["Cher"] }), 422, "wrong_key_arity")
        .await;
    check(json!({ "op": "delete", "table": "none", "key": ["Cher"] }), 404, "no_such_table").await;
    check(json!({ "op": "delete", "table": "album", "key": ["Cher", ""] }), 400, "empty_key_part")
        .await;
    check(json!({ "op": "delete", "table": "album", "key": ["Cher", "\u{0}"] }), 400, "bad_key")
        .await;
    check(json!({ "op": "put", "table": "album", "key": b }), 422, "bad_body").await;
    check(json!({ "op": "delete", "table": "album", "key": b, "value": {} }), 422, "bad_body")
        .await;
    check(json!({ "op": "put", "table": "album", "key": b, "value": [] }), 422, "not_an_object")
        .await;
    check(
        json!({ "op": "put", "table": "album", "key": b, "value": {}, "if_match": "\"x\"" }),
        400,
        "bad_etag",
    )
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_transactions_are_refused() {
    let world = World::start().await;
    transact(&world, json!([])).await.not_done(422, "empty_transaction");
    transact(&world, json!([{ "op": "put" }])).await.not_done(422, "bad_body");
    transact(&world, json!([{ "op": "drop", "table": "fan", "key": ["a"] }]))
        .await
        .not_done(422, "bad_body");
    transact(&world, json!([["put", "fan", ["a"]]])).await.not_done(422, "bad_body");
    let operation =
        |n: usize| json!({ "op": "delete", "table": "album", "key": ["a", n.to_string()] });
    let many: Vec<Value> = (0..1_001).map(operation).collect();
    transact(&world, json!(many)).await.not_done(413, "too_many_operations");
    let most: Vec<Value> = (0..1_000)
        .map(|n| json!({ "op": "put", "table": "album", "key": ["a", n.to_string()], "value": {} }))
        .collect();
    let reply = transact(&world, json!(most)).await;
    assert_eq!(reply.status, 200, "{:?}", reply.status);
    let post = async |head: &str, body: &str| {
        world.ask(&format!("POST /v1/music:transact\n{head}"), body).await
    };
    let json_type = "Content-Type: application/json";
    post(json_type, "").await.not_done(400, "missing_body");
    post("", "{}").await.not_done(415, "unsupported_media_type");
    post(json_type, "[]").await.not_done(422, "not_an_object");
    post(json_type, r#"{"operations":[]"#).await.not_done(400, "malformed_json");
    post(&format!("{json_type}\nIf-Match: *"), r#"{"operations":[]}"#)
        .await
        .not_done(400, "bad_header");
    world.ask("GET /v1/music:transact", "").await.refused(405, "method_not_allowed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_repeats_under_its_key() {
    let world = World::start().await;
    let body = r#"{"operations":[{"op":"put","table":"fan","key":["a"],"value":{"n":1}},
        {"op":"delete","table":"album","key":["a","b"]}]}"#;
    let head = "POST /v1/music:transact\nContent-Type: application/json\nIdempotency-Key: t1";
    let first = world.ask(head, body).await;
    let again = world.ask(head, body).await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("cortado-repeated"), Some("true"));
    world.ask(head, &body.replace('1', "2")).await.not_done(422, "idempotency_key_reused");
    world.end().await;
}
