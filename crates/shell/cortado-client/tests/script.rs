//! The client against a server that follows a script, broken connections included.
//!
//! Start reading at [`serve`].

#![allow(clippy::unwrap_used, reason = "the lint sees no test in a function")]

use cortado_client::{
    BulkOptions, BulkWritten, Client, ClientError, Condition, Follow, Order, Outcome, ReadOptions,
    Session, Timeouts, WriteOptions,
};
use cortado_model::Scn;
use cortado_wire::{Code, OperationBody, OperationKind};
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What the server does with one request.
enum Act {
    /// Answers with a status, header lines (each ended by `\r\n`) and a body.
    Answer(u16, &'static str, &'static str),
    /// Answers with a body that is longer than what is sent, and closes.
    Torn(&'static str),
    /// Answers with a body of a length that is not known, and closes without its end.
    Cut(&'static str),
    /// Closes the connection instead of answering.
    Break,
}

const WRITTEN: Act = Act::Answer(
    201,
    "etag: \"a1\"\r\ncortado-scn: 3/5:7\r\ncortado-session: s1\r\n",
    r#"{"key":["a"],"etag":"a1","scn":"3/5:7"}"#,
);
const NO_LEADER: Act = Act::Answer(
    503,
    "content-type: application/problem+json\r\n",
    r#"{"type":"t","title":"t","status":503,"code":"unavailable","detail":"d","request_id":"r",
        "outcome":"none"}"#,
);
const OPEN: Act = Act::Answer(
    503,
    "",
    r#"{"type":"t","title":"t","status":503,"code":"outcome_unknown","detail":"d",
        "request_id":"r","outcome":"unknown"}"#,
);
const UNMET: Act = Act::Answer(
    412,
    "",
    r#"{"type":"t","title":"t","status":412,"code":"condition_failed","detail":"d",
        "request_id":"r","outcome":"none"}"#,
);

/// Follows `script`, request by request; answers a client and the requests that were seen.
async fn serve(script: Vec<Act>) -> (Client, JoinHandle<Vec<String>>) {
    let (holder, address) = refusing("127.0.0.1:0");
    let listener = refusing(&address.to_string()).0.listen(16).unwrap();
    // As long as the tests run: no other one gets the port when the script is over.
    Box::leak(Box::new(holder));
    let client = client_of(address);
    let timeouts = Timeouts { whole: Duration::from_secs(20), attempt: Duration::from_secs(10) };
    (client.with_timeouts(timeouts), tokio::spawn(follow(listener, script)))
}

async fn follow(listener: TcpListener, script: Vec<Act>) -> Vec<String> {
    let mut seen = Vec::new();
    let mut script = script.into_iter().peekable();
    while script.peek().is_some() {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Some(request) = read_request(&mut stream).await {
            seen.push(request);
            let Some(act) = script.next() else { break };
            if !perform(act, &mut stream).await || script.peek().is_none() {
                break;
            }
        }
    }
    seen
}

fn client_of(address: SocketAddr) -> Client {
    Client::new(format!("http://{address}").parse().unwrap())
}

/// A socket that keeps `address` and does not listen: connections are refused, and the port is
/// nobody else's.
fn refusing(address: &str) -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Answers whether the connection goes on.
async fn perform(act: Act, stream: &mut TcpStream) -> bool {
    let (text, goes_on) = match act {
        Act::Answer(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n");
            (head + body, true)
        }
        Act::Torn(body) => {
            (format!("HTTP/1.1 200 x\r\ncontent-length: 1000000\r\n\r\n{body}"), false)
        }
        Act::Cut(body) => {
            let head = "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("{:x}\r\n{body}\r\n", body.len());
            (if body.is_empty() { head.to_owned() } else { head.to_owned() + &chunk }, false)
        }
        Act::Break => (String::new(), false),
    };
    stream.write_all(text.as_bytes()).await.unwrap();
    goes_on
}

/// Head and body of the next request; `None` when the client has closed.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
}

const KEYED: WriteOptions<'_> =
    WriteOptions { idempotency_key: Some("k1"), may_repeat: false, condition: None, session: None };

fn removals(names: &[&'static str]) -> Vec<OperationBody<'static>> {
    let removal = |name: &&'static str| OperationBody {
        op: OperationKind::Delete,
        table: "t".into(),
        key: vec![(*name).into()],
        value: None,
        if_match: None,
        if_none_match: None,
    };
    names.iter().map(removal).collect()
}

/// One was done, one was not for the moment, and one perhaps.
const PARTLY: Act = Act::Answer(
    200,
    "",
    r#"{"results":[{"status":204,"key":["a"],"scn":"0/1:2"},
        {"status":503,"key":["b"],"code":"unavailable","detail":"d","outcome":"none"},
        {"status":503,"key":["c"],"code":"outcome_unknown","detail":"d","outcome":"unknown"}]}"#,
);

#[tokio::test]
async fn what_a_bulk_did_not_do_for_the_moment_is_asked_for_again() {
    let rest = r#"{"results":[{"status":204,"key":["b"],"scn":"0/1:3"}]}"#;
    let (client, server) = serve(vec![PARTLY, Act::Answer(200, "", rest)]).await;
    let operations = removals(&["a", "b", "c"]);
    let database = client.database("d");
    let results = database.bulk(&operations, &BulkOptions::default()).await.unwrap();
    let [Ok(first), Ok(second), Err(open)] = &results[..] else { panic!("{results:?}") };
    assert_eq!((first.status, second.status), (204, 204));
    // It may have been done: only its caller can say.
    assert!(matches!(open, ClientError::Unknown { attempts: 2, .. }), "{open:?}");
    assert_eq!(open.code(), Some(Code::OutcomeUnknown));
    let seen = server.await.unwrap();
    let lines = |request: &str| request.matches(r#"{"op":"delete""#).count();
    assert_eq!(seen.iter().map(|request| lines(request)).collect::<Vec<_>>(), [3, 1]);
}

#[tokio::test]
async fn a_bulk_that_may_be_repeated_is_repeated_when_its_outcome_is_open() {
    let rest = r#"{"results":[{"status":204,"key":["b"],"scn":"0/1:3"},
        {"status":404,"key":["c"],"scn":"0/1:3"}]}"#;
    let script = vec![Act::Break, PARTLY, Act::Answer(200, "", rest)];
    let (client, server) = serve(script).await;
    let operations = removals(&["a", "b", "c"]);
    let options = BulkOptions { may_repeat: true, ..BulkOptions::default() };
    let results = client.database("d").bulk(&operations, &options).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(server.await.unwrap().len(), 3);

    let (client, _) = serve(vec![Act::Break]).await;
    let error = client.database("d").bulk(&operations, &BulkOptions::default()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn a_bulk_under_a_key_comes_again_whole() {
    let all = r#"{"results":[{"status":204,"key":["a"],"scn":"0/1:2","repeated":true},
        {"status":204,"key":["b"],"scn":"0/1:3"},{"status":404,"key":["c"],"scn":"0/1:3"}]}"#;
    let (client, server) = serve(vec![PARTLY, Act::Answer(200, "", all)]).await;
    let operations = removals(&["a", "b", "c"]);
    let options = BulkOptions { idempotency_key: Some("k"), ..BulkOptions::default() };
    let results = client.database("d").bulk(&operations, &options).await.unwrap();
    let is_repeated = results[0].as_ref().is_ok_and(|first| first.repeated);
    assert!(!is_repeated, "it was done by this call");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let seen = server.await.unwrap();
    assert_eq!(seen[0].split("\r\n\r\n").nth(1), seen[1].split("\r\n\r\n").nth(1));
}

/// What a bulk of `a`, `b` and `c` comes to: statuses of what was done, and outcomes of the rest.
async fn bulk_of(script: Vec<Act>, options: BulkOptions<'_>) -> Vec<Result<u16, Outcome>> {
    let (client, _server) = serve(script).await;
    let results = client.database("d").bulk(&removals(&["a", "b", "c"]), &options).await.unwrap();
    let told = |result: Result<BulkWritten, ClientError>| match result {
        Ok(written) => Ok(written.status),
        Err(error) => Err(error.outcome()),
    };
    results.into_iter().map(told).collect()
}

const KEYED_BULK: BulkOptions<'_> =
    BulkOptions { idempotency_key: Some("k"), may_repeat: false, session: None };
const HARMLESS_BULK: BulkOptions<'_> =
    BulkOptions { idempotency_key: None, may_repeat: true, session: None };

#[tokio::test]
async fn what_a_bulk_did_stays_done_and_what_it_left_open_stays_open() {
    const NONE: [&str; 2] = [
        r#"{"results":[
            {"status":503,"key":["b"],"code":"unavailable","detail":"d","outcome":"none"},
            {"status":503,"key":["c"],"code":"unavailable","detail":"d","outcome":"none"}]}"#,
        r#"{"results":[
            {"status":503,"key":["a"],"code":"unavailable","detail":"d","outcome":"none"},
            {"status":503,"key":["b"],"code":"unavailable","detail":"d","outcome":"none"},
            {"status":503,"key":["c"],"code":"unavailable","detail":"d","outcome":"none"}]}"#,
    ];
    let want = [Ok(204), Err(Outcome::None), Err(Outcome::Unknown)];
    for (options, none) in [(HARMLESS_BULK, NONE[0]), (KEYED_BULK, NONE[1])] {
        // The last one is of the whole request, and ends the call.
        let script = vec![PARTLY, Act::Answer(200, "", none), UNMET];
        assert_eq!(bulk_of(script, options).await, want, "{options:?}");
    }
}

#[tokio::test]
async fn a_refusal_settles_what_a_bulk_left_open_only_under_a_key() {
    let unmet = |from: usize| {
        const ALL: [&str; 2] = [
            r#"{"results":[
                {"status":412,"key":["b"],"code":"condition_failed","detail":"","outcome":"none"},
                {"status":412,"key":["c"],"code":"condition_failed","detail":"","outcome":"none"}
            ]}"#,
            r#"{"results":[
                {"status":412,"key":["a"],"code":"condition_failed","detail":"","outcome":"none"},
                {"status":412,"key":["b"],"code":"condition_failed","detail":"","outcome":"none"},
                {"status":412,"key":["c"],"code":"condition_failed","detail":"","outcome":"none"}
            ]}"#,
        ];
        Act::Answer(200, "", ALL[from])
    };
    let (none, open) = (Err(Outcome::None), Err(Outcome::Unknown));
    let told = bulk_of(vec![PARTLY, unmet(0)], HARMLESS_BULK).await;
    assert_eq!(told, [Ok(204), none, open]);
    assert_eq!(bulk_of(vec![PARTLY, unmet(1)], KEYED_BULK).await, [Ok(204), none, none]);
    // The same where the attempt before had no answer at all.
    assert_eq!(bulk_of(vec![Act::Break, unmet(1)], HARMLESS_BULK).await, [open; 3]);
    assert_eq!(bulk_of(vec![Act::Break, unmet(1)], KEYED_BULK).await, [none; 3]);
}

#[tokio::test]
async fn a_reason_that_is_not_understood_is_no_success() {
    const LATER: &str = r#"{"results":[
        {"status":204,"key":["a"],"scn":"0/1:2"},{"status":404,"key":["b"],"scn":"0/1:2"},
        {"status":409,"key":["c"],"code":"of_later","detail":"d","outcome":"perhaps"}]}"#;
    let (client, _server) = serve(vec![Act::Answer(200, "", LATER)]).await;
    let operations = removals(&["a", "b", "c"]);
    let results = client.database("d").bulk(&operations, &BulkOptions::default()).await.unwrap();
    assert!(matches!(&results[..], [Ok(_), Ok(_), Err(ClientError::BadAnswer { .. })]));
}

#[tokio::test]
async fn what_was_not_done_is_repeated() {
    let (client, seen) = serve(vec![NO_LEADER, NO_LEADER, WRITTEN]).await;
    let table = client.database("geo").table("place");
    let written = table.put(&["JP", "a/b"], "{}", &WriteOptions::default()).await.unwrap();
    assert_eq!((written.is_new, written.etag.as_str()), (true, "a1"));
    assert_eq!(written.scn.to_string(), "3/5:7");
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen[2].starts_with("PUT /v1/geo/place/JP/a%2Fb HTTP/1.1\r\n"), "{}", seen[2]);
    assert!(seen[2].contains("cortado-deadline-ms: "), "{}", seen[2]);
}

#[tokio::test]
async fn an_open_outcome_is_repeated_only_with_a_key() {
    for act in [Act::Break, OPEN, Act::Torn("{")] {
        let (client, seen) = serve(vec![act]).await;
        let table = client.database("geo").table("place");
        let error = table.put(&["a"], "{}", &WriteOptions::default()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unknown { attempts: 1, .. }), "{error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(seen.await.unwrap().len(), 1);
    }
    let (client, seen) = serve(vec![Act::Break, OPEN, Act::Torn("{"), WRITTEN]).await;
    client.database("geo").table("place").put(&["a"], "{}", &KEYED).await.unwrap();
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|request| request.contains("idempotency-key: k1\r\n")), "{seen:?}");
}

#[tokio::test]
async fn an_open_outcome_that_may_be_repeated_needs_no_key() {
    let (client, seen) = serve(vec![Act::Break, OPEN, WRITTEN]).await;
    let write = WriteOptions { may_repeat: true, ..WriteOptions::default() };
    client.database("geo").table("place").put(&["a"], "{}", &write).await.unwrap();
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| !request.contains("idempotency")), "{seen:?}");
}

#[tokio::test]
async fn a_last_word_is_not_repeated() {
    let (client, seen) = serve(vec![Act::Break, UNMET]).await;
    let write = WriteOptions { condition: Some(Condition::Etag("e0")), ..KEYED };
    let table = client.database("geo").table("place");
    let error = table.delete(&["a"], &write).await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Some(Code::ConditionFailed), Outcome::None));
    let seen = seen.await.unwrap();
    assert!(seen[1].contains("if-match: \"e0\"\r\n"), "{}", seen[1]);
}

#[tokio::test]
async fn a_refusal_that_may_be_the_work_of_an_attempt_before_proves_nothing() {
    // The first attempt may have brought about what the second one meets.
    let (client, _seen) = serve(vec![Act::Break, UNMET]).await;
    let condition = Some(Condition::Absent);
    let write = WriteOptions { may_repeat: true, condition, ..WriteOptions::default() };
    let error = client.database("geo").table("place").put(&["a"], "{}", &write).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { attempts: 2, .. }), "{error:?}");
    assert_eq!(error.code(), Some(Code::ConditionFailed));
    let gone = Act::Answer(
        404,
        "",
        r#"{"type":"t","title":"t","status":404,"code":"no_such_table","detail":"d",
            "request_id":"r","outcome":"none"}"#,
    );
    let (client, _seen) = serve(vec![Act::Break, gone]).await;
    let error = client.drop_table("geo", "place").await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Some(Code::NoSuchTable), Outcome::Unknown));

    // A full disk is told before a key is looked up.
    let full = Act::Answer(
        507,
        "",
        r#"{"type":"t","title":"t","status":507,"code":"storage_full","detail":"d",
            "request_id":"r","outcome":"none"}"#,
    );
    let (client, _seen) = serve(vec![Act::Break, full]).await;
    let error = client.database("geo").table("place").put(&["a"], "{}", &KEYED).await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Some(Code::StorageFull), Outcome::Unknown));

    // Nothing was open before: it is a refusal.
    let (client, _seen) = serve(vec![NO_LEADER, UNMET]).await;
    let error = client.database("geo").table("place").put(&["a"], "{}", &write).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn reads_are_repeated_and_never_leave_an_outcome_open() {
    let found = Act::Answer(200, "etag: \"a1\"\r\ncortado-scn: 0/1:1\r\n", r#"{"n":1.50}"#);
    let (client, seen) = serve(vec![Act::Break, Act::Torn("{"), found]).await;
    let table = client.database("geo").table("place");
    let found = table.get(&["a"], &ReadOptions::default()).await.unwrap().unwrap();
    assert_eq!(found.value, r#"{"n":1.50}"#);
    assert_eq!(seen.await.unwrap().len(), 3);

    let (client, _) = serve(vec![Act::Break]).await;
    let timeouts =
        Timeouts { whole: Duration::from_millis(200), attempt: Duration::from_millis(200) };
    let table = client.with_timeouts(timeouts).database("geo").table("place");
    let error = table.get(&["a"], &ReadOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::None);
}

#[tokio::test]
async fn a_session_carries_what_was_seen() {
    let found = Act::Answer(200, "etag: \"a1\"\r\ncortado-scn: 0/1:1\r\n", "{}");
    let (client, seen) = serve(vec![WRITTEN, found]).await;
    let table = client.database("geo").table("place");
    let session = Session::new();
    let write = WriteOptions { session: Some(&session), ..WriteOptions::default() };
    table.put(&["a"], "{}", &write).await.unwrap();
    assert_eq!(session.token().as_deref(), Some("s1"));
    let read =
        ReadOptions { consistency: cortado_client::Consistency::Session, session: Some(&session) };
    table.get(&["a"], &read).await.unwrap();
    let seen = seen.await.unwrap();
    assert!(seen[1].contains("cortado-session: s1\r\n"), "{}", seen[1]);
    assert!(seen[1].contains("cortado-consistency: session\r\n"), "{}", seen[1]);
}

#[tokio::test]
async fn pages_follow_the_cursor_to_the_last() {
    let first = Act::Answer(200, "", r#"{"documents":[],"next":"c+1"}"#);
    let last = Act::Answer(200, "", r#"{"documents":[]}"#);
    let (client, seen) = serve(vec![first, NO_LEADER, last]).await;
    let table = client.database("geo").table("place");
    let mut pages = table.list(&["JP", "40"], Order::Descending, 50);
    assert!(pages.next().await.unwrap().is_some());
    assert_eq!(pages.cursor(), Some("c+1"));
    assert!(pages.next().await.unwrap().is_some());
    assert!(pages.next().await.unwrap().is_none());
    let seen = seen.await.unwrap();
    assert!(seen[0].starts_with("GET /v1/geo/place/JP/40?limit=50&order=desc HTTP"), "{}", seen[0]);
    assert!(seen[2].contains("&cursor=c%2B1 HTTP"), "{}", seen[2]);
}

#[tokio::test]
async fn a_change_stream_goes_on_behind_its_last_line() {
    const ONE: &str = concat!(
        r#"{"partition":2,"scn":"2/1:1","time":"t","changes":[]}"#,
        "\n",
        r#"{"partition":2,"scn":"2/1:2","ti"#
    );
    const TWO: &str = concat!(
        r#"{"partition":2,"heartbeat":true,"applied":"2/1:1"}"#,
        "\n",
        r#"{"partition":2,"scn":"2/1:2","time":"t","changes":[]}"#,
        "\n"
    );
    let (client, seen) = serve(vec![Act::Torn(ONE), Act::Answer(200, "", TWO)]).await;
    let mut changes = client.database("geo").changes(2, Scn::ZERO, Follow::UntilCaughtUp);
    let mut scns = Vec::new();
    while let Some(line) = changes.next().await.unwrap() {
        scns.extend(line.scn.map(|position| position.to_string()));
    }
    assert_eq!(scns, ["2/1:1", "2/1:2"]);
    let seen = seen.await.unwrap();
    assert!(seen[0].contains("partition=2&since=0%3A0 HTTP"), "{}", seen[0]);
    assert!(seen[1].contains("partition=2&since=1%3A1 HTTP"), "{}", seen[1]);
}

#[tokio::test]
async fn without_a_server_nothing_is_done() {
    let (_refusing, address) = refusing("127.0.0.1:0");
    let timeouts =
        Timeouts { whole: Duration::from_millis(150), attempt: Duration::from_millis(150) };
    let client = client_of(address).with_timeouts(timeouts);
    let table = client.database("geo").table("place");
    let error = table.put(&["a"], "{}", &WriteOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    let mut cause = error.source().unwrap();
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let refused = cause.downcast_ref().map(std::io::Error::kind);
    assert_eq!(refused, Some(ErrorKind::ConnectionRefused), "{error:?}");
    assert_eq!(error.code(), None);
}

/// Would wait for an hour if it took the server for one that comes back.
#[tokio::test]
async fn a_server_that_was_never_there_is_given_up_soon() {
    let (whole, attempt) = (Duration::from_secs(3600), Duration::from_secs(10));
    let gone = |client: Client| {
        let timeouts = Timeouts { whole, attempt };
        client.with_timeouts(timeouts).with_refused_max(Duration::from_millis(1))
    };
    let (_refusing, address) = refusing("127.0.0.1:0");
    let error = gone(client_of(address)).databases().await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");

    // One that has answered is waited for: it may be starting again.
    static RETRIED: Notify = Notify::const_new();
    let (_refusing, address) = refusing("127.0.0.1:0");
    let listen = || refusing(&address.to_string()).0.listen(16).unwrap();
    let client = gone(client_of(address)).on_retry(|_| RETRIED.notify_one());
    let table = client.database("geo").table("place");
    let (write, read) = (WriteOptions::default(), ReadOptions::default());
    let (written, _) =
        tokio::join!(table.put(&["a"], "{}", &write), follow(listen(), vec![WRITTEN]));
    written.unwrap();
    let reading = table.get(&["a"], &read);
    tokio::pin!(reading);
    tokio::select! {
        ended = &mut reading => panic!("given up: {ended:?}"),
        () = RETRIED.notified() => {}
    }
    let found = Act::Answer(200, "etag: \"a1\"\r\ncortado-scn: 0/1:1\r\n", "{}");
    let (found, _) = tokio::join!(reading, follow(listen(), vec![found]));
    assert_eq!(found.unwrap().unwrap().value, "{}");
}

#[tokio::test]
async fn an_open_outcome_stays_open_when_no_later_attempt_gets_through() {
    // Longer than the whole call may take: there is no third attempt.
    let busy = Act::Answer(
        503,
        "retry-after: 1000\r\n",
        r#"{"type":"t","title":"t","status":503,"code":"overloaded","detail":"d",
            "request_id":"r","outcome":"none"}"#,
    );
    let (client, seen) = serve(vec![OPEN, busy]).await;
    let error = client.database("geo").table("place").put(&["a"], "{}", &KEYED).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { attempts: 2, .. }), "{error:?}");
    assert_eq!((error.code(), error.status()), (Some(Code::Overloaded), Some(503)));
    assert_eq!(seen.await.unwrap().len(), 2);
}

#[tokio::test]
async fn no_answer_in_time_is_an_open_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (whole, attempt) = (Duration::from_secs(3), Duration::from_secs(1));
    let client = Client::new(address.parse().unwrap()).with_timeouts(Timeouts { whole, attempt });
    let _held = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let table = client.database("geo").table("place");
    let error = table.put(&["a"], "{}", &WriteOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error:?}");
}

#[tokio::test]
async fn every_attempt_carries_the_session_and_a_delete_is_noted() {
    let deleted = Act::Answer(204, "cortado-session: s2\r\n", "");
    let (client, seen) = serve(vec![WRITTEN, NO_LEADER, deleted, WRITTEN]).await;
    let table = client.database("geo").table("place");
    let session = Session::default();
    let write = WriteOptions { session: Some(&session), ..WriteOptions::default() };
    table.put(&["a"], "{}", &write).await.unwrap();
    assert!(table.delete(&["a"], &write).await.unwrap());
    table.put(&["a"], "{}", &write).await.unwrap();
    let seen = seen.await.unwrap();
    assert_eq!(seen.len(), 4);
    for (request, token) in seen.iter().skip(1).zip(["s1", "s1", "s2"]) {
        assert!(request.contains(&format!("cortado-session: {token}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn streams_that_break_off_are_no_end_and_a_failure_in_the_end() {
    const ONE: &str = "{\"partition\":2,\"scn\":\"2/1:1\",\"changes\":[]}\n";
    let cut = (0..1_000).map(|_| Act::Cut("\n"));
    let (client, _seen) = serve([Act::Cut(ONE)].into_iter().chain(cut).collect()).await;
    let short = Duration::from_secs(2);
    let client = client.with_timeouts(Timeouts { whole: short, attempt: short });
    let mut changes = client.database("geo").changes(2, Scn::ZERO, Follow::UntilCaughtUp);
    let line = changes.next().await.unwrap().expect("a line before the first break");
    assert_eq!(line.scn.unwrap().to_string(), "2/1:1");
    let failed = changes.next().await.expect_err("what was not told is not the end");
    assert!(matches!(failed, ClientError::Unavailable { .. }), "{failed}");
}
