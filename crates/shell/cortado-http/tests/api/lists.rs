//! Collections, whole tables, batches.

use crate::world::{Reply, World};
use cortado_model::{Generation, Scn, Sequence};
use serde_json::{Value, json};

const SONGS: usize = 25;

/// Fills `song/Cher/a` with 25 songs, and a few beside it that must not show.
async fn filled() -> World {
    let world = World::start().await;
    let mut client = world.connect().await;
    for n in 0..SONGS {
        let head = format!("PUT /v1/music/song/Cher/a/s{n:02}\nContent-Type: application/json");
        assert_eq!(client.ask(&head, &format!("{{\"n\":{n}}}")).await.status, 201);
    }
    for path in ["song/Cher/b/s", "song/Cherry/a/s", "album/Cher/a", "song/Che/a/s"] {
        let head = format!("PUT /v1/music/{path}\nContent-Type: application/json");
        assert_eq!(client.ask(&head, "{}").await.status, 201);
    }
    world
}

/// The last key parts of all pages together.
async fn walk(world: &World, path: &str, parameters: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let reply = world.get(&format!("{path}?{parameters}{cursor}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.header("cortado-session").is_some());
        let page = reply.json();
        for document in page["documents"].as_array().unwrap() {
            assert!(document["etag"].is_string() && document["scn"].is_string(), "{document}");
            let key = document["key"].as_array().unwrap();
            names.push(key.last().unwrap().as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_is_walked_in_both_orders() {
    let world = filled().await;
    let ascending: Vec<String> = (0..SONGS).map(|n| format!("s{n:02}")).collect();
    let descending: Vec<String> = ascending.iter().rev().cloned().collect();
    for limit in [1, 7, 24, 25, 26, 1_000] {
        let path = "/v1/music/song/Cher/a";
        assert_eq!(walk(&world, path, &format!("limit={limit}")).await, ascending);
        let order = format!("limit={limit}&order=asc");
        assert_eq!(walk(&world, path, &order).await, ascending);
        let order = format!("limit={limit}&order=desc");
        assert_eq!(walk(&world, path, &order).await, descending);
    }
    assert_eq!(walk(&world, "/v1/music/song/Cher", "").await.len(), SONGS + 1);
    let empty = world.get("/v1/music/song/Absent").await;
    assert_eq!(empty.text(), "{\"documents\":[]}\n");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_walked_whole() {
    let world = filled().await;
    for limit in [1, 3, 1_000] {
        let mut names = walk(&world, "/v1/music/song", &format!("limit={limit}")).await;
        names.sort();
        assert_eq!(names.len(), SONGS + 3, "limit {limit}");
    }
    let all = world.get(&format!("/v1/music/song?limit={}", SONGS + 3)).await.json();
    let count = all["documents"].as_array().map(Vec::len);
    assert_eq!((count, all.get("next")), (Some(SONGS + 3), None), "a full page may be the last");
    world.get("/v1/music/song?order=desc").await.refused(400, "unknown_parameter");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_belongs_to_its_list() {
    let world = filled().await;
    let page = world.get("/v1/music/song/Cher/a?limit=5").await.json();
    let cursor = page["next"].as_str().unwrap();
    let at = async |path: &str| world.get(&format!("{path}cursor={cursor}")).await;
    assert_eq!(at("/v1/music/song/Cher/a?").await.status, 200);
    assert_eq!(at("/v1/music/song/Cher/a?limit=2&").await.status, 200);
    at("/v1/music/song/Cher/a?order=desc&").await.refused(400, "bad_cursor");
    at("/v1/music/song/Cher/b?").await.refused(400, "bad_cursor");
    at("/v1/music/song/Cher?").await.refused(400, "bad_cursor");
    at("/v1/music/song?").await.refused(400, "bad_cursor");
    at("/v1/music/album/Cher?").await.refused(400, "bad_cursor");
    let get =
        async |parameters: &str| world.get(&format!("/v1/music/song/Cher/a?{parameters}")).await;
    for forged in ["", "x", "AAAAAAAAAAAAAAAA", "%20", &cursor[1..], &cursor[..cursor.len() - 1]] {
        get(&format!("cursor={forged}")).await.refused(400, "bad_cursor");
    }
    for limit in ["0", "1001", "-1", "abc", "1e9", "", "%2B5"] {
        get(&format!("limit={limit}")).await.refused(400, "bad_parameter");
    }
    get("limit=5&limit=5").await.refused(400, "bad_parameter");
    get("order=up").await.refused(400, "bad_parameter");
    world.end().await;
}

fn statuses(reply: &Reply) -> Vec<(u64, Value)> {
    let body = reply.json();
    let results = body["results"].as_array().unwrap();
    results.iter().map(|r| (r["status"].as_u64().unwrap(), r["value"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_answers_each_key_in_the_order_asked() {
    let world = filled().await;
    let body = json!({ "keys": [
        { "table": "song", "key": ["Cher", "a", "s03"] },
        { "table": "song", "key": ["Cher", "a", "none"] },
        { "table": "none", "key": ["x"] },
        { "table": "album", "key": ["Cher", "a"] },
        { "table": "song", "key": ["Cher", "a", "s03"] },
    ]});
    let reply = world.post("/v1/music:batchGet", &body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let (none, three) = (Value::Null, json!({ "n": 3 }));
    let want = vec![
        (200, three.clone()),
        (404, none.clone()),
        (404, none),
        (200, json!({})),
        (200, three),
    ];
    assert_eq!(statuses(&reply), want);
    let results = &reply.json()["results"];
    assert_eq!(results[0]["key"], body["keys"][0]["key"]);
    assert_eq!(results[1]["code"], "no_such_document");
    assert_eq!(results[2]["code"], "no_such_table");
    assert!(results[0]["scn"].is_string() && results[0]["etag"].is_string());
    assert!(reply.header("cortado-served-by").is_some_and(|node| node.starts_with('n')));
    assert!(reply.header("cortado-role").is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_waits_for_what_its_session_has_seen() {
    let world = filled().await;
    let keys = json!({ "keys": [{ "table": "song", "key": ["Cher", "a", "s03"] }] }).to_string();
    let ask = async |session: &str| {
        let head = "POST /v1/music:batchGet\nContent-Type: application/json\n\
                    Cortado-Consistency: session";
        world.ask(&format!("{head}\nCortado-Session: {session}"), &keys).await
    };
    let written = world.put("/v1/music/song/Cher/a/s03", r#"{"n":4}"#).await;
    let token = written.header("cortado-session").unwrap();
    let read = ask(token).await;
    assert_eq!(statuses(&read), [(200, json!({ "n": 4 }))]);
    // No replica can have applied this; but it is of other partitions.
    let ahead = Scn::new(Generation(1_000), Sequence(1));
    let mut session = cortado_wire::SessionToken::parse(token.as_bytes()).unwrap();
    let (own, others): (Vec<_>, Vec<_>) = (0..4).partition(|of| session.seen(*of).is_some());
    others.into_iter().for_each(|partition| session.observe(partition, ahead));
    assert_eq!(statuses(&ask(&session.encode()).await), [(200, json!({ "n": 4 }))]);
    // A reader that did not wait would find the document.
    own.into_iter().for_each(|partition| session.observe(partition, ahead));
    let later = format!("{}\nCortado-Deadline-Ms: 100", session.encode());
    assert_eq!(statuses(&ask(&later).await), [(504, Value::Null)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_another_shape_is_refused() {
    let world = World::start().await;
    let post = async |body: &str| world.post("/v1/music:batchGet", body).await;
    post("{}").await.refused(422, "bad_body");
    post("[]").await.refused(422, "not_an_object");
    post(r#"{"keys":[]}"#).await.refused(422, "empty_batch");
    post(r#"{"keys":[{"table":"fan","key":["a"],"x":1}]}"#).await.refused(422, "bad_body");
    let arity =
        post(r#"{"keys":[{"table":"fan","key":["a"]},{"table":"fan","key":["a","b"]}]}"#).await;
    arity.refused(422, "wrong_key_arity");
    assert_eq!(arity.json()["operation"], 1);
    post(r#"{"keys":[{"table":"fan","key":[]}]}"#).await.refused(422, "wrong_key_arity");
    post(r#"{"keys":[{"table":"fan","key":[""]}]}"#).await.refused(400, "empty_key_part");
    post(r#"{"keys":[{"table":"fan","key":["."]}]}"#).await.refused(400, "bad_key");
    post(r#"{"keys":[{"table":"fan","key":["a"]}],"keys":[]}"#)
        .await
        .refused(400, "malformed_json");
    let key = r#"{"table":"fan","key":["a"]}"#;
    let many = format!("{{\"keys\":[{}]}}", vec![key; 1_001].join(","));
    post(&many).await.refused(413, "too_many_operations");
    let most = format!("{{\"keys\":[{}]}}", vec![key; 1_000].join(","));
    assert_eq!(statuses(&post(&most).await).len(), 1_000);
    world.end().await;
}
