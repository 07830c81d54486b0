//! Documents under keys that the server makes.

use crate::world::{Reply, World};
use serde_json::Value;

async fn post(world: &World, path: &str, headers: &str, body: &str) -> Reply {
    world.ask(&format!("POST {path}\nContent-Type: application/json\n{headers}"), body).await
}

/// The last part of the key of what was created.
#[track_caller]
fn made(created: &Reply) -> String {
    assert_eq!(created.status, 201, "{created:?}");
    let key = created.json()["key"].as_array().unwrap().clone();
    let made = key.last().and_then(Value::as_str).unwrap().to_owned();
    let dashes: Vec<usize> = made.match_indices('-').map(|(at, _)| at).collect();
    assert_eq!((made.len(), dashes), (36, vec![8, 13, 18, 23]), "{made}");
    assert_eq!(made.as_bytes()[14], b'7', "{made}");
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_to_a_collection_makes_the_last_part_of_the_key() {
    let world = World::start().await;
    let first = post(&world, "/v1/music/song/Cher/a%2Fb", "", r#"{"n":1}"#).await;
    let location = first.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/v1/music/song/Cher/a%2Fb/{}", made(&first)));
    let read = world.get(&location).await;
    assert_eq!((read.text().as_str(), read.etag()), (r#"{"n":1}"#, first.etag()));
    let by_query = "/v1/music/song:collection?prefix=Cher&prefix=a%2Fb";
    let second = post(&world, by_query, "", r#"{"n":2}"#).await;
    assert!(made(&first) < made(&second), "in the order of creation");
    let page = world.get("/v1/music/song/Cher/a%2Fb").await.json();
    assert_eq!(page["documents"].as_array().map(Vec::len), Some(2));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_post_answers_with_the_same_key() {
    let world = World::start().await;
    let path = "/v1/music/album/Cher";
    let first = post(&world, path, "Idempotency-Key: k1", "{}").await;
    let again = post(&world, path, "Idempotency-Key: k1", "{}").await;
    assert_eq!((made(&again), again.etag()), (made(&first), first.etag()));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("cortado-repeated"), Some("true"));
    let reused = post(&world, path, "Idempotency-Key: k1", r#"{"n":1}"#).await;
    reused.not_done(422, "idempotency_key_reused");
    let other = post(&world, path, "Idempotency-Key: k2", "{}").await;
    assert_ne!(made(&other), made(&first));
    let elsewhere = post(&world, "/v1/music/album/Adele", "Idempotency-Key: k1", "{}").await;
    assert_ne!(made(&elsewhere), made(&first));
    // Deleted meanwhile: the answer stays, the document does not come back.
    let location = first.header("location").unwrap();
    assert_eq!(world.ask(&format!("DELETE {location}"), "").await.status, 204);
    let again = post(&world, path, "Idempotency-Key: k1", "{}").await;
    assert_eq!(made(&again), made(&first));
    world.get(location).await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_post_answers_with_the_same_key_after_a_failover() {
    let world = World::start().await;
    let path = "/v1/music/album/Cher";
    let first = post(&world, path, "Idempotency-Key: k1", "{}").await;
    let leader = world.get(first.header("location").unwrap()).await;
    let leader = leader.header("cortado-served-by").unwrap().to_owned();
    let killed = world.ask(&format!("POST /admin/v1/nodes/{leader}:kill"), "").await;
    assert_eq!(killed.status, 204);
    let deadline = "Idempotency-Key: k1\nCortado-Deadline-Ms: 60000";
    let again = post(&world, path, deadline, "{}").await;
    assert_eq!((made(&again), again.etag()), (made(&first), first.etag()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_creates_only_where_one_part_is_missing() {
    let world = World::start().await;
    let refused = async |path: &str, status, code: &str| {
        post(&world, path, "", "{}").await.not_done(status, code);
    };
    refused("/v1/music/fan", 405, "method_not_allowed").await;
    refused("/v1/music/fan/Ann", 405, "method_not_allowed").await;
    refused("/v1/music/song/Cher", 405, "method_not_allowed").await;
    refused("/v1/music/song/Cher/Believe/x", 405, "method_not_allowed").await;
    refused("/v1/music/album/", 400, "empty_key_part").await;
    let long = "x".repeat(500);
    refused(&format!("/v1/music/song/{long}/{long}"), 400, "bad_key").await;
    let path = "/v1/music/album/Cher";
    post(&world, path, "", "[]").await.not_done(422, "not_an_object");
    post(&world, path, "If-Match: *", "{}").await.not_done(412, "condition_failed");
    post(&world, path, "", "").await.not_done(400, "missing_body");
    assert_eq!(world.get(path).await.json(), serde_json::json!({"documents": []}));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_of_plain_json_is_a_merge_patch() {
    let world = World::start().await;
    assert_eq!(world.put("/v1/music/fan/Ann", r#"{"a":1,"b":2}"#).await.status, 201);
    let patch = "PATCH /v1/music/fan/Ann\nContent-Type: application/json";
    assert_eq!(world.ask(patch, r#"{"a":null,"c":3}"#).await.status, 200);
    assert_eq!(world.get("/v1/music/fan/Ann").await.text(), r#"{"b":2,"c":3}"#);
    world.end().await;
}
