//! Keys in the query, as generated clients spell them, and in the path.

use crate::world::World;
use serde_json::json;

const JSON: &str = "Content-Type: application/json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_has_two_spellings() {
    let world = World::start().await;
    let by_query = "/v1/music/album:document?key=Cher&key=a%2Fb+c";
    let by_path = "/v1/music/album/Cher/a%2Fb%20c";
    world.get(by_query).await.refused(404, "no_such_document");
    let created = world.put(by_query, r#"{"n":1}"#).await;
    assert_eq!((created.status, &created.json()["key"]), (201, &json!(["Cher", "a/b c"])));
    let read = world.get(by_path).await;
    assert_eq!((read.text().as_str(), read.etag()), (r#"{"n":1}"#, created.etag()));
    assert_eq!(world.put(by_path, r#"{"n":2}"#).await.status, 200);
    assert_eq!(world.get(by_query).await.text(), r#"{"n":2}"#);
    assert_eq!(world.ask(&format!("HEAD {by_query}"), "").await.status, 200);
    let patch = format!("PATCH {by_query}\nContent-Type: application/merge-patch+json");
    assert_eq!(world.ask(&patch, r#"{"m":1}"#).await.status, 200);
    assert_eq!(world.get(by_path).await.text(), r#"{"n":2,"m":1}"#);
    assert_eq!(world.ask(&format!("DELETE {by_query}"), "").await.status, 204);
    world.get(by_path).await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_may_change_its_spelling() {
    let world = World::start().await;
    let put = async |path: &str| {
        world.ask(&format!("PUT {path}\n{JSON}\nIdempotency-Key: once"), "{}").await
    };
    let first = put("/v1/music/album/Cher/Believe").await;
    let again = put("/v1/music/album:document?key=Cher&key=Believe").await;
    assert_eq!((again.status, again.etag()), (201, first.etag()));
    assert_eq!(again.header("cortado-repeated"), Some("true"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_has_two_spellings() {
    let world = World::start().await;
    for song in ["a", "b", "c"] {
        let path = format!("/v1/music/song/Cher/Be%2Flieve/{song}");
        assert_eq!(world.put(&path, "{}").await.status, 201);
    }
    let by_query = "/v1/music/song:collection?prefix=Cher&prefix=Be%2Flieve";
    let all = world.get(by_query).await;
    assert_eq!(
        (all.status, all.text()),
        (200, world.get("/v1/music/song/Cher/Be%2Flieve").await.text())
    );
    let page = world.get(&format!("{by_query}&limit=2&order=desc")).await.json();
    let keys: Vec<_> = page["documents"].as_array().unwrap().iter().map(|d| &d["key"][2]).collect();
    assert_eq!(keys, ["c", "b"]);
    // A cursor belongs to the collection, not to the spelling.
    let next = page["next"].as_str().unwrap();
    let path = format!("/v1/music/song/Cher/Be%2Flieve?order=desc&cursor={next}");
    let rest = world.get(&path).await.json();
    assert_eq!(rest["documents"].as_array().map(Vec::len), Some(1));
    let resource = world.get("/v1/music/song:collection?prefix=Cher").await.json();
    assert_eq!(resource["documents"].as_array().map(Vec::len), Some(3));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slash_inside_a_part_stays_there_in_the_path_too() {
    let world = World::start().await;
    // One part: a collection, though its text looks like a whole key.
    assert_eq!(world.get("/v1/music/album/Cher%2FBelieve").await.json(), json!({"documents": []}));
    // The same as a document is an error, not an empty list.
    let one = world.get("/v1/music/album:document?key=Cher%2FBelieve").await;
    one.refused(422, "wrong_key_arity");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_query_is_whole_or_refused() {
    let world = World::start().await;
    let get = async |path: &str| world.get(&format!("/v1/music/{path}")).await;
    get("album:document").await.refused(400, "bad_parameter");
    get("album:document?limit=1").await.refused(400, "bad_parameter");
    get("album:document?key=a&key=b&limit=1").await.refused(400, "unknown_parameter");
    get("album:document?prefix=a").await.refused(400, "bad_parameter");
    get("album:document?key=a").await.refused(422, "wrong_key_arity");
    get("album:document?key=a&key=b&key=c").await.refused(422, "wrong_key_arity");
    get("album:document?key=a&key=").await.refused(400, "empty_key_part");
    get("album:document?key=a&key=..").await.refused(400, "bad_key");
    get("album:document?key=a&key=%zz").await.refused(400, "bad_parameter");
    get("album:collection").await.refused(400, "bad_parameter");
    get("album:collection?prefix=a&prefix=b").await.refused(422, "wrong_key_arity");
    get("album:collection?prefix=").await.refused(400, "empty_key_part");
    get("fan:collection?prefix=a").await.refused(422, "wrong_key_arity");
    get("album/a?key=b").await.refused(400, "unknown_parameter");
    get("none:document?key=a").await.refused(404, "no_such_table");
    get("album:nothing?key=a").await.refused(400, "bad_name");
    let write = world.put("/v1/music/album:document?key=a", "{}").await;
    write.not_done(422, "wrong_key_arity");
    for (path, allow) in [
        ("album:document?key=a&key=b", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
        ("album:collection?prefix=a", "GET, HEAD, POST, OPTIONS"),
        ("song:collection?prefix=a", "GET, HEAD, OPTIONS"),
    ] {
        let options = world.ask(&format!("OPTIONS /v1/music/{path}"), "").await;
        assert_eq!((options.status, options.header("allow")), (204, Some(allow)), "{path}");
    }
    world.end().await;
}
