//! Conditions, idempotency keys, consistency and sessions.

use crate::world::{Reply, World};

const PATH: &str = "/v1/music/album/Cher/Believe";

/// Sends a write under some header lines.
async fn put(world: &World, headers: &str, body: &str) -> Reply {
    world.ask(&format!("PUT {PATH}\nContent-Type: application/json\n{headers}"), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_happen_only_under_their_conditions() {
    let world = World::start().await;
    put(&world, "If-Match: *", "{}").await.not_done(412, "condition_failed");
    let created = put(&world, "If-None-Match: *", "{}").await;
    assert_eq!(created.status, 201);
    put(&world, "If-None-Match: *", "{}").await.not_done(412, "condition_failed");
    let etag = created.etag();
    put(&world, &format!("If-Match: W/\"{etag}\""), "{}").await.not_done(412, "condition_failed");
    put(&world, &format!("If-None-Match: \"{etag}\""), "{}")
        .await
        .not_done(412, "condition_failed");
    let both = format!("If-Match: \"{etag}\"\nIf-None-Match: *");
    put(&world, &both, "{}").await.not_done(412, "condition_failed");
    let replaced = put(&world, &format!("If-Match: \"other\", \"{etag}\""), "{}").await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    put(&world, &format!("If-Match: \"{etag}\""), "{}").await.not_done(412, "condition_failed");
    for malformed in [&etag, "\"a", "a b", "*, \"a\"", "W/*"] {
        put(&world, &format!("If-Match: {malformed}"), "{}").await.not_done(400, "bad_etag");
    }
    let delete = |tag: String| world.ask_owned(format!("DELETE {PATH}\nIf-Match: \"{tag}\""));
    delete(etag).await.not_done(412, "condition_failed");
    assert_eq!(delete(replaced.etag()).await.status, 204);
    delete(replaced.etag()).await.not_done(412, "condition_failed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_condition_names_itself_and_the_current_state() {
    let world = World::start().await;
    let check = |reply: &Reply, condition: &str, current: Option<&str>| {
        reply.refused(412, "condition_failed");
        let problem = reply.json();
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(condition), "{detail}");
        assert_eq!(problem["etag"].as_str(), current, "{problem}");
        let header = reply.header("etag").map(|tag| tag.trim_matches('"').to_owned());
        let is_of_one = problem.get("operation").is_none();
        assert_eq!(header.as_deref(), current.filter(|_| is_of_one), "{reply:?}");
    };
    check(&put(&world, "If-Match: *", "{}").await, "If-Match", None);
    let etag = put(&world, "", "{}").await.etag();
    check(&put(&world, "If-Match: \"old\"", "{}").await, "If-Match", Some(&etag));
    check(&put(&world, "If-None-Match: *", "{}").await, "If-None-Match", Some(&etag));
    let get = world.ask(&format!("GET {PATH}\nIf-Match: \"old\""), "").await;
    check(&get, "If-Match", Some(&etag));
    let delete = world.ask(&format!("DELETE {PATH}\nIf-Match: \"old\""), "").await;
    check(&delete, "If-Match", Some(&etag));
    let transact = async |condition: &str| {
        let operation =
            format!(r#"{{"op":"check","table":"album","key":["Cher","Believe"],{condition}}}"#);
        world.post("/v1/music:transact", &format!(r#"{{"operations":[{operation}]}}"#)).await
    };
    check(&transact(r#""if_match":"old""#).await, "If-Match", Some(&etag));
    check(&transact(r#""if_none_match":"*""#).await, "If-None-Match", Some(&etag));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmet_condition_wins_over_a_body_that_says_nothing_new() {
    let world = World::start().await;
    let merge = format!("PATCH {PATH}\nContent-Type: application/merge-patch+json");
    world.ask(&format!("{merge}\nIf-Match: *"), "{}").await.not_done(412, "condition_failed");
    put(&world, "", "{}").await;
    let stale = format!("{merge}\nIf-Match: \"0000000000000000\"");
    world.ask(&stale, "{}").await.not_done(412, "condition_failed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_spared_what_the_client_has() {
    let world = World::start().await;
    let created = put(&world, "", r#"{"year":1998}"#).await;
    let (etag, date) = (created.etag(), created.header("last-modified").unwrap().to_owned());
    let get = async |headers: &str| world.ask(&format!("GET {PATH}\n{headers}"), "").await;
    for headers in [
        format!("If-None-Match: \"{etag}\""),
        format!("If-None-Match: W/\"{etag}\", \"x\""),
        "If-None-Match: *".to_owned(),
        format!("If-Modified-Since: {date}"),
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT".to_owned(),
    ] {
        let reply = get(&headers).await;
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{headers}");
        assert_eq!(reply.etag(), etag);
        assert!(reply.header("cortado-session").is_some());
    }
    for headers in [
        "If-None-Match: \"x\"".to_owned(),
        format!("If-Match: \"{etag}\""),
        "If-Modified-Since: Fri, 01 Jan 1999 00:00:00 GMT".to_owned(),
        "If-Modified-Since: garbage".to_owned(),
        // The entity tag decides alone where both are given.
        format!("If-None-Match: \"x\"\nIf-Modified-Since: {date}"),
        "Range: bytes=0-1".to_owned(),
    ] {
        assert_eq!(get(&headers).await.status, 200, "{headers}");
    }
    get("If-Match: \"x\"").await.refused(412, "condition_failed");
    get("If-None-Match: x").await.refused(400, "bad_etag");
    get("If-Unmodified-Since: Fri, 01 Jan 1999 00:00:00 GMT").await.refused(400, "not_supported");
    world.ask("GET /v1/music/album/no/ne\nIf-Match: *", "").await.refused(404, "no_such_document");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_repeats_the_first_answer() {
    let world = World::start().await;
    let first = put(&world, "Idempotency-Key: k1", r#"{"n":1}"#).await;
    assert_eq!((first.status, first.header("cortado-repeated")), (201, None));
    put(&world, "", r#"{"n":2}"#).await;
    let again = put(&world, "Idempotency-Key: k1", r#"{"n":1}"#).await;
    assert_eq!((again.status, again.body.clone()), (201, first.body.clone()));
    assert_eq!(again.etag(), first.etag());
    assert_eq!(again.header("cortado-scn"), first.header("cortado-scn"));
    assert_eq!(again.header("cortado-repeated"), Some("true"));
    assert_eq!(world.get(PATH).await.text(), r#"{"n":2}"#, "nothing was done again");

    let reused = "idempotency_key_reused";
    put(&world, "Idempotency-Key: k1", r#"{"n":3}"#).await.not_done(422, reused);
    put(&world, "Idempotency-Key: k1\nIf-Match: *", r#"{"n":1}"#).await.not_done(422, reused);
    let other = "PUT /v1/music/album/Cher/Other\nContent-Type: application/json";
    let other = world.ask(&format!("{other}\nIdempotency-Key: k1"), r#"{"n":1}"#).await;
    other.not_done(422, reused);
    let table =
        world.put("/admin/v1/databases/music/tables/single", r#"{"key":["artist","title"]}"#);
    assert_eq!(table.await.status, 201);
    let single = "PUT /v1/music/single/Cher/Believe\nContent-Type: application/json";
    let single = world.ask(&format!("{single}\nIdempotency-Key: k1"), r#"{"n":1}"#).await;
    single.not_done(422, reused);
    // A key belongs to its resource; for another one it is another key.
    let elsewhere = "PUT /v1/music/album/Adele/21\nContent-Type: application/json";
    let elsewhere = world.ask(&format!("{elsewhere}\nIdempotency-Key: k1"), r#"{"n":1}"#).await;
    assert_eq!((elsewhere.status, elsewhere.header("cortado-repeated")), (201, None));

    // A refused write is not remembered; looked up before conditions.
    put(&world, "Idempotency-Key: k2\nIf-None-Match: *", "{}")
        .await
        .not_done(412, "condition_failed");
    let delete = format!("DELETE {PATH}\nIdempotency-Key: k3");
    assert_eq!(world.ask(&delete, "").await.status, 204);
    assert_eq!(world.ask(&delete, "").await.status, 204, "the first answer again");
    // The 404 of a delete too: its repetition must not delete what was written since.
    let delete = format!("DELETE {PATH}\nIdempotency-Key: k5");
    let missing = world.ask(&delete, "").await;
    assert_eq!((missing.status, missing.header("cortado-repeated")), (404, None));
    put(&world, "", "{}").await;
    let again = world.ask(&delete, "").await;
    assert_eq!((again.status, again.header("cortado-repeated")), (404, Some("true")));
    assert_eq!(world.ask(&format!("DELETE {PATH}"), "").await.status, 204, "it was there");
    let later = put(&world, "Idempotency-Key: k2\nIf-None-Match: *", "{}").await;
    assert_eq!(later.status, 201);
    let later = put(&world, "Idempotency-Key: k2\nIf-None-Match: *", "{}").await;
    assert_eq!(later.status, 201, "the condition is not judged again");
    for bad in ["", "a b", "é", &"x".repeat(256)] {
        put(&world, &format!("Idempotency-Key: {bad}"), "{}").await.not_done(400, "bad_header");
    }
    for bad in ["0", "86401", "soon"] {
        let head = format!("Idempotency-Key: k4\nCortado-Idempotency-Ttl: {bad}");
        put(&world, &head, "{}").await.not_done(400, "bad_header");
    }
    let head = "Idempotency-Key: k4\nCortado-Idempotency-Ttl: 86400";
    assert_eq!(put(&world, head, "{}").await.status, 200);
    assert_eq!(put(&world, head, "{}").await.header("cortado-repeated"), Some("true"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_in_flight_many_times_writes_once() {
    let world = World::start().await;
    let head = format!("PUT {PATH}\nContent-Type: application/json\nIdempotency-Key: once");
    let asks = (0..16).map(|_| {
        let (address, head) = (world.address, head.clone());
        tokio::spawn(async move {
            let mut client = crate::world::Client::connect(address).await;
            client.ask(&head, r#"{"n":1}"#).await
        })
    });
    let mut answers = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        let reply = ask.await.unwrap();
        answers.push((reply.status, reply.etag(), reply.body));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 201);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_level_of_consistency_reads_what_a_session_wrote() {
    let world = World::start().await;
    let written = put(&world, "", r#"{"n":1}"#).await;
    let token = written.header("cortado-session").unwrap();
    let levels = ["strong", "strict", "session", "bounded\nCortado-Max-Lag-Ms: 60000"];
    for path in [PATH, "/v1/music/album/Cher", "/v1/music/album"] {
        for level in levels {
            let head =
                format!("GET {path}\nCortado-Consistency: {level}\nCortado-Session: {token}");
            let read = world.ask(&head, "").await;
            assert!(read.header("cortado-session").is_some());
            if level.starts_with("bounded") {
                assert!([200, 404].contains(&read.status), "{head} {read:?}");
            } else {
                assert_eq!(read.status, 200, "{head} {read:?}");
                assert!(read.text().contains(r#"{"n":1}"#), "{head} {read:?}");
            }
        }
    }
    let eventual = format!("GET {PATH}\nCortado-Consistency: eventual");
    assert!([200, 404].contains(&world.ask(&eventual, "").await.status));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_token_is_cumulative_and_bound_to_its_database() {
    let world = World::start().await;
    let mut token = String::new();
    let mut client = world.connect().await;
    for n in 0..20 {
        let session = if n == 0 { String::new() } else { format!("\nCortado-Session: {token}") };
        let head = format!("PUT /v1/music/fan/f{n}\nContent-Type: application/json{session}");
        let reply = client.ask(&head, "{}").await;
        assert_eq!(reply.status, 201);
        token = reply.header("cortado-session").unwrap().to_owned();
    }
    let session = cortado_wire::SessionToken::parse(token.as_bytes()).unwrap();
    assert!((0..4).all(|partition| session.seen(partition).is_some()), "all 4 partitions");
    // A refusal carries a token too, even to a client that has none yet.
    for head in [
        "PUT /v1/music/fan/f0\nIf-None-Match: *\nContent-Type: application/json",
        "PATCH /v1/music/fan/none\nContent-Type: application/merge-patch+json",
        "PUT /v1/music/none/f0\nContent-Type: application/json",
        "GET /v1/music/album/f0?limit=0",
    ] {
        let refused = world.ask(head, if head.starts_with("GET") { "" } else { "{}" }).await;
        assert!((400..500).contains(&refused.status), "{refused:?}");
        assert!(refused.header("cortado-session").is_some(), "{head} {refused:?}");
    }
    let missing = format!("GET /v1/music/fan/none\nCortado-Session: {token}");
    let missing = client.ask(&missing, "").await;
    assert!(missing.header("cortado-session").unwrap().len() >= token.len());
    let refused = format!(
        "PUT /v1/music/fan/f0\nIf-None-Match: *\nContent-Type: application/json\n\
         Cortado-Session: {token}"
    );
    let refused = client.ask(&refused, "{}").await;
    assert_eq!((refused.status, refused.header("cortado-session")), (412, Some(token.as_str())));

    world.put("/admin/v1/databases/other", r#"{"tables":{"t":{"key":["id"]}}}"#).await;
    let other = format!("GET /v1/other/t/a\nCortado-Session: {token}");
    world.ask(&other, "").await.refused(400, "bad_session");
    world.ask(&format!("GET {PATH}\nCortado-Session: x"), "").await.refused(400, "bad_session");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_understood_or_is_not_there_yet_is_refused() {
    let world = World::start().await;
    let get = async |headers: &str| world.ask(&format!("GET {PATH}\n{headers}"), "").await;
    get("Cortado-Consistency: best").await.refused(400, "bad_header");
    get("Cortado-Consistency: bounded").await.refused(400, "bad_header");
    get("Cortado-Deadline-Ms: 0").await.refused(400, "bad_header");
    get("Cortado-Deadline-Ms: -5").await.refused(400, "bad_header");
    get("Cortado-Consistancy: strong").await.refused(400, "bad_header");
    get("Authorization: Bearer x").await.refused(400, "not_supported");
    get("Accept: image/png").await.refused(406, "not_acceptable");
    assert_eq!(get("Cortado-Deadline-Ms: 315360000000").await.status, 404);
    put(&world, "Cortado-Ttl: 60", "{}").await.not_done(400, "not_supported");
    put(&world, "Cortado-Expires: 1", "{}").await.not_done(400, "not_supported");
    put(&world, "Cortado-Consistency: best", "{}").await.not_done(400, "bad_header");
    for head in [
        "GET /v1/music/album/Cher",
        "GET /v1/music/album",
        "GET /v1/music:changes?partition=0",
        "POST /v1/music:batchGet\nContent-Type: application/json",
        "POST /v1/music:transact\nContent-Type: application/json",
        "GET /admin/v1/databases/music",
        "PUT /admin/v1/databases/music",
        "GET /admin/v1/nodes",
        "GET /healthz",
        "GET /metrics",
    ] {
        let ask = async |line: &str| world.ask(&format!("{head}\n{line}"), "").await;
        ask("Cortado-Consistency: best").await.refused(400, "bad_header");
        ask("Cortado-Max-Lag-Ms: 5").await.refused(400, "bad_header");
        ask("Cortado-Deadline-Ms: 0").await.refused(400, "bad_header");
        ask("Cortado-Session: x").await.refused(400, "bad_session");
        ask("If-Match: x").await.refused(400, "bad_etag");
        ask("If-None-Match: \"x").await.refused(400, "bad_etag");
    }
    for path in [PATH, "/v1/music/album/Cher", "/v1/music/album"] {
        world.get(&format!("{path}?query=year:1998")).await.refused(400, "not_supported");
        world.get(&format!("{path}?token=x")).await.refused(400, "unknown_parameter");
    }
    world.get(&format!("{PATH}?limit=1")).await.refused(400, "unknown_parameter");
    world.get(PATH).await.refused(404, "no_such_document");
    world.end().await;
}

impl World {
    async fn ask_owned(&self, head: String) -> Reply {
        self.ask(&head, "").await
    }
}
