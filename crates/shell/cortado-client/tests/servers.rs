//! A client of several servers, some of which are dead, slow, ending, or come back.
//!
//! Start reading at [`Server`].

#![allow(clippy::unwrap_used, reason = "the lint sees no test in a function")]

use cortado_client::{
    Client, ClientError, ClientOptions, Code, Consistency, Coordinate, Follow, Outcome,
    ReadOptions, ServerAddresses, Session, Table, Timeouts, WriteOptions,
};
use cortado_model::Scn;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with a status, header lines (each ended by `\r\n`) and a body.
    Answer(u16, &'static str, &'static str),
    /// Answers with the beginning of a body, and closes.
    Torn(&'static str),
    /// Closes the connection instead of answering.
    Break,
    /// Answers as `FOUND` when the server is told to, or sees that the client has given up.
    Hold,
}

const FOUND: Act =
    Act::Answer(200, "etag: \"a1\"\r\ncortado-scn: 0/1:1\r\ncortado-session: s1\r\n", "{}");
const WRITTEN: Act = Act::Answer(
    201,
    "etag: \"a1\"\r\ncortado-scn: 3/5:7\r\ncortado-session: s1\r\n",
    r#"{"key":["a"],"etag":"a1","scn":"3/5:7"}"#,
);
const ENDING: Act = Act::Answer(
    503,
    "retry-after: 1\r\n",
    r#"{"type":"t","title":"t","status":503,"code":"shutting_down","detail":"d","request_id":"r",
        "outcome":"none"}"#,
);
/// Longer than a call may take: the last attempt.
const NO_LEADER: Act = Act::Answer(
    503,
    "retry-after: 1000\r\n",
    r#"{"type":"t","title":"t","status":503,"code":"unavailable","detail":"no leader",
        "request_id":"r","outcome":"none"}"#,
);
const WRONG_HOST: Act = Act::Answer(
    421,
    "",
    r#"{"type":"t","title":"t","status":421,"code":"wrong_host","detail":"another name",
        "request_id":"r","outcome":"none"}"#,
);

/// A server that answers each request as it likes, on an address that is its own also while it is
/// down.
struct Server {
    address: SocketAddr,
    act: Arc<dyn Fn(&str) -> Act + Send + Sync>,
    seen: Arc<Mutex<Vec<String>>>,
    /// The requests that are held, or were until the client gave up.
    held: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
    /// How often it was asked whether it lives.
    probes: Arc<AtomicUsize>,
    release: watch::Sender<bool>,
    running: Option<JoinHandle<()>>,
    _holder: TcpSocket,
}

impl Server {
    /// Refuses connections.
    fn down(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Server {
        let holder = socket("127.0.0.1:0".parse().unwrap());
        Server {
            address: holder.local_addr().unwrap(),
            act: Arc::new(act),
            seen: Arc::default(),
            held: Arc::default(),
            given_up: Arc::default(),
            probes: Arc::default(),
            release: watch::Sender::new(false),
            running: None,
            _holder: holder,
        }
    }

    fn up(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Server {
        let mut server = Server::down(act);
        server.start();
        server
    }

    fn start(&mut self) {
        let listener = socket(self.address).listen(64).unwrap();
        let connection = Connection {
            act: Arc::clone(&self.act),
            seen: Arc::clone(&self.seen),
            held: Arc::clone(&self.held),
            given_up: Arc::clone(&self.given_up),
            probes: Arc::clone(&self.probes),
            released: self.release.subscribe(),
        };
        self.running = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection.clone().serve(stream));
            }
        }));
    }

    /// Dies: listener and connections are closed.
    async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.abort();
        let _ = running.await;
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Of an address that others of these may have, too.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

#[derive(Clone)]
struct Connection {
    act: Arc<dyn Fn(&str) -> Act + Send + Sync>,
    seen: Arc<Mutex<Vec<String>>>,
    held: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
    probes: Arc<AtomicUsize>,
    released: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(mut self, mut stream: TcpStream) {
        while let Some(request) = read_request(&mut stream).await {
            let act = (self.act)(&request);
            if request.starts_with("GET /healthz ") {
                self.probes.fetch_add(1, Ordering::SeqCst);
            } else {
                self.seen.lock().unwrap().push(request);
            }
            let act = match act {
                Act::Hold if self.held(&mut stream).await => FOUND,
                act => act,
            };
            let text = match act {
                Act::Answer(status, headers, body) => {
                    let length = body.len();
                    format!(
                        "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}"
                    )
                }
                Act::Torn(body) => {
                    format!("HTTP/1.1 200 x\r\ncontent-length: 1000000\r\n\r\n{body}")
                }
                Act::Break | Act::Hold => return,
            };
            let is_sent = stream.write_all(text.as_bytes()).await.is_ok();
            if !is_sent || matches!(act, Act::Torn(_)) {
                return;
            }
        }
    }

    /// Whether the answer is wanted when it may be given.
    async fn held(&mut self, stream: &mut TcpStream) -> bool {
        self.held.fetch_add(1, Ordering::SeqCst);
        let mut byte = [0];
        tokio::select! {
            _ = stream.read(&mut byte) => {
                self.given_up.fetch_add(1, Ordering::SeqCst);
                false
            }
            released = self.released.wait_for(|released| *released) => released.is_ok(),
        }
    }
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

/// Nothing here waits that long unless it fails.
const WHOLE: Timeouts =
    Timeouts { whole: Duration::from_secs(300), attempt: Duration::from_secs(200) };

fn addresses(servers: &[&Server]) -> ServerAddresses {
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    urls.join(",").parse().unwrap()
}

fn client(servers: &[&Server]) -> Client {
    client_with(servers, &ClientOptions::default())
}

fn client_with(servers: &[&Server], options: &ClientOptions) -> Client {
    Client::with_options(addresses(servers), options).with_timeouts(WHOLE)
}

fn places(client: &Client) -> Table {
    client.database("geo").table("place")
}

async fn read(client: &Client, key: &str) {
    let found = places(client).get(&[key], &ReadOptions::default()).await;
    assert!(found.unwrap().is_some());
}

/// The same where time stands still: who waits for a server that hangs would wait for ever.
async fn read_at_once(client: &Client, key: &'static str) {
    let client = client.clone();
    let reading = tokio::spawn(async move { read(&client, key).await });
    until(|| reading.is_finished()).await;
    reading.await.unwrap();
}

async fn put(client: &Client) -> Result<(), ClientError> {
    places(client).put(&["a"], "{}", &WriteOptions::default()).await.map(drop)
}

/// Waits until `is_so`, while the other tasks go on.
async fn until(is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it never comes to it");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_spread_evenly_over_servers() {
    let servers: Vec<Server> = (0..3).map(|_| Server::up(|_| FOUND)).collect();
    let client = client(&servers.iter().collect::<Vec<_>>());
    for _ in 0..300 {
        read(&client, "a").await;
    }
    // 100 each, and a standard deviation of 8.
    assert!(servers.iter().all(|server| server.count() > 50));
    assert_eq!(servers.iter().map(Server::count).sum::<usize>(), 300);
}

#[tokio::test]
async fn a_server_that_cannot_be_connected_to_costs_no_attempt() {
    let (dead, live) = (Server::down(|_| FOUND), Server::up(|_| NO_LEADER));
    let mut told_of_both = 0;
    for _ in 0..30 {
        let error = put(&client(&[&dead, &live])).await.unwrap_err();
        assert!(matches!(error, ClientError::Unavailable { attempts: 1, .. }), "{error:?}");
        assert_eq!((error.code(), error.outcome()), (Some(Code::Unavailable), Outcome::None));
        let text = error.to_string();
        assert!(text.contains(&format!("{} answered: no leader", live.url())), "{text}");
        let is_of_both = text.contains(&format!("\n  - cannot connect to {}", dead.url()));
        told_of_both += usize::from(is_of_both);
    }
    // Each of them begins at the one or the other.
    assert!((1..30).contains(&told_of_both));
    assert_eq!(live.count(), 30);
}

/// Would wait for five minutes if one of them counted as a server that comes back.
#[tokio::test]
async fn an_error_names_every_server_that_was_tried() {
    let (first, second) = (Server::down(|_| FOUND), Server::down(|_| FOUND));
    let client = client(&[&first, &second]).with_refused_max(Duration::from_millis(1));
    let error = put(&client).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error:?}");
    let text = error.to_string();
    for server in [&first, &second] {
        let tried = format!("cannot connect to {}", server.url());
        assert_eq!(text.matches(&tried).count(), 1, "{text}");
    }
    assert_eq!(text.matches("refused").count(), 2, "{text}");
}

#[tokio::test]
async fn a_slow_server_gets_less_and_reads_are_not_hedged_unasked() {
    let (slow, fast) = (Server::up(|_| Act::Hold), Server::up(|_| FOUND));
    let client = client(&[&slow, &fast]);
    let mut reads = Vec::new();
    for number in 0..200 {
        let client = client.clone();
        let reading = tokio::spawn(async move {
            let eventual = Consistency::Eventual;
            let options = ReadOptions { consistency: eventual, ..ReadOptions::default() };
            let key = format!("k{number}.");
            places(&client).get(&[key], &options).await
        });
        let held = slow.held.load(Ordering::SeqCst);
        until(|| reading.is_finished() || slow.held.load(Ordering::SeqCst) > held).await;
        reads.push(reading);
    }
    // It has one from the start; then only what no other server is drawn for.
    assert!((1..40).contains(&slow.count()), "{}", slow.count());
    assert_eq!(slow.count() + fast.count(), 200);
    slow.release.send_replace(true);
    for reading in reads {
        assert!(reading.await.unwrap().unwrap().is_some());
    }
    assert_eq!(slow.count() + fast.count(), 200);
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let (mut dying, other) = (Server::up(|_| FOUND), Server::up(|_| FOUND));
    let client = client(&[&dying, &other]);
    let mut reads = 0;
    while dying.count() < 10 || other.count() < 10 {
        read(&client, "a").await;
        reads += 1;
        assert!(reads < 1_000);
    }
    dying.stop().await;
    for _ in 0..100 {
        read(&client, "a").await;
    }
    let before = dying.count();
    dying.start();
    let back = async {
        while dying.count() < before + 10 {
            read(&client, "a").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), back).await.expect("it is used again");
}

/// Time stands still but for what the test says; see below.
#[tokio::test(start_paused = true)]
async fn nobody_waits_to_see_whether_a_server_still_hangs() {
    let (_working, is_over) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || is_over.recv());
    let (hanging, other) = (Server::up(|_| Act::Hold), Server::up(|_| FOUND));
    let client = client(&[&hanging, &other]);
    let held = |more| {
        let held = hanging.held.load(Ordering::SeqCst);
        move |hanging: &Server| hanging.held.load(Ordering::SeqCst) == held + more
    };
    let (is_held, mut reading) = (held(1), None);
    while !is_held(&hanging) {
        let client = client.clone();
        let begun = tokio::spawn(async move { read(&client, "a").await });
        until(|| begun.is_finished() || is_held(&hanging)).await;
        reading = Some(begun);
    }
    let reading = reading.unwrap();
    // It answers too late, and another one is asked.
    tokio::time::advance(WHOLE.attempt + Duration::from_secs(1)).await;
    until(|| hanging.given_up.load(Ordering::SeqCst) == 1).await;
    let mut advanced_ms = 0;
    while !reading.is_finished() {
        advanced_ms += 1;
        assert!(advanced_ms < 100_000, "no other one is asked");
        tokio::time::advance(Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }
    reading.await.unwrap();
    // When its pause is over it is asked, and hangs again.
    tokio::time::advance(Duration::from_secs(1)).await;
    let (before, is_asked) = (hanging.count(), held(1));
    let mut reads = 0;
    while !is_asked(&hanging) {
        read_at_once(&client, "b").await;
        reads += 1;
        assert!(reads < 10_000, "it is not asked");
    }
    for _ in 0..50 {
        read_at_once(&client, "b").await;
    }
    assert_eq!((hanging.count(), hanging.probes.load(Ordering::SeqCst)), (before, 1));
    hanging.release.send_replace(true);
    while hanging.count() == before {
        read_at_once(&client, "c").await;
    }
}

/// While none can be reached all are tried in each attempt, so that the first that is back is
/// found.
#[tokio::test]
async fn the_first_of_many_that_is_back_is_found() {
    let mut servers: Vec<Server> = (0..8).map(|_| Server::down(|_| WRITTEN)).collect();
    let client = client(&servers.iter().collect::<Vec<_>>());
    assert!(put(&client.with_refused_max(Duration::from_millis(1))).await.is_err());
    servers[5].start();
    for _ in 0..50 {
        put(&client).await.unwrap();
    }
    assert_eq!(servers[5].count(), 50);
}

#[tokio::test]
async fn a_server_that_is_ending_is_left_at_once() {
    for act in [ENDING, WRONG_HOST] {
        let (ending, other) = (Server::up(move |_| act), Server::up(|_| WRITTEN));
        let client = client(&[&ending, &other]);
        for _ in 0..200 {
            put(&client).await.unwrap();
        }
        assert_eq!(other.count(), 200);
        // Each pause is longer than the one before.
        assert!(ending.count() < 50, "{}", ending.count());
    }
}

#[tokio::test]
async fn a_host_that_no_server_knows_is_refused_and_named() {
    let (first, second) = (Server::up(|_| WRONG_HOST), Server::up(|_| WRONG_HOST));
    let error = put(&client(&[&first, &second])).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&first.url()) || text.contains(&second.url()), "{text}");
}

#[tokio::test]
async fn a_write_that_a_dying_server_may_have_done_goes_to_another_only_under_a_key() {
    for (write, want) in [
        (WriteOptions::default(), [1, 0]),
        (WriteOptions { idempotency_key: Some("k"), ..WriteOptions::default() }, [1, 1]),
        (WriteOptions { may_repeat: true, ..WriteOptions::default() }, [1, 1]),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        // Whichever is asked first dies of it.
        let act = move |_: &str| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Act::Break,
            _ => WRITTEN,
        };
        let (first, second) = (Server::up(act.clone()), Server::up(act));
        let result = places(&client(&[&first, &second])).put(&["a"], "{}", &write).await;
        let mut counts = [first.count(), second.count()];
        counts.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(counts, want, "{write:?}");
        match result {
            Ok(_) => assert_eq!(want, [1, 1]),
            Err(error) => {
                assert!(matches!(error, ClientError::Unknown { attempts: 1, .. }), "{error:?}");
                assert!(error.to_string().contains("connection to http://"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_belongs_to_the_client_and_not_to_a_server() {
    let servers = [Server::up(|_| FOUND), Server::up(|_| FOUND)];
    let client = client(&[&servers[0], &servers[1]]);
    let session = Session::new();
    let options = ReadOptions { consistency: Consistency::Session, session: Some(&session) };
    let mut reads = 0;
    while servers.iter().any(|server| server.count() < 5) {
        places(&client).get(&["a"], &options).await.unwrap();
        reads += 1;
        assert!(reads < 1_000);
    }
    let seen: Vec<String> = servers.iter().flat_map(Server::seen).collect();
    let with_token = seen.iter().filter(|request| request.contains("cortado-session: s1\r\n"));
    assert_eq!(with_token.count(), reads - 1);
}

#[tokio::test]
async fn a_broken_change_stream_goes_on_at_another_server() {
    const ONE: &str = concat!(r#"{"partition":2,"scn":"2/1:1","changes":[]}"#, "\n", r#"{"par"#);
    const TWO: &str = concat!(r#"{"partition":2,"scn":"2/1:2","changes":[]}"#, "\n");
    for _ in 0..10 {
        let act = |request: &str| match request.contains("since=0%3A0 ") {
            true => Act::Torn(ONE),
            false => Act::Answer(200, "", TWO),
        };
        let (first, second) = (Server::up(act), Server::up(act));
        let client = client(&[&first, &second]);
        let mut changes = client.database("geo").changes(2, Scn::ZERO, Follow::UntilCaughtUp);
        let mut scns = Vec::new();
        while let Some(line) = changes.next().await.unwrap() {
            scns.extend(line.scn.map(|position| position.to_string()));
        }
        assert_eq!(scns, ["2/1:1", "2/1:2"]);
        let seen = [first.seen(), second.seen()];
        assert!(seen.iter().all(|seen| seen.len() == 1), "{seen:?}");
        assert!(seen.concat().iter().any(|seen| seen.contains("since=1%3A1 ")), "{seen:?}");
    }
}

#[tokio::test]
async fn clients_with_coordinates_load_all_servers_alike() {
    let servers: Vec<Server> = (0..24).map(|_| Server::up(|_| FOUND)).collect();
    let all: Vec<&Server> = servers.iter().collect();
    for id in 0..2 {
        let coordinate = Some(Coordinate::new(id, 2).unwrap());
        let options = ClientOptions { coordinate, ..ClientOptions::default() };
        let client = client_with(&all, &options);
        for _ in 0..400 {
            read(&client, &format!("client{id}")).await;
        }
    }
    // Twelve servers for each, none for both, and about as many requests for every one.
    for server in &servers {
        let of =
            |id: usize| server.seen().iter().filter(|r| r.contains(&format!("t{id} "))).count();
        let (first, second) = (of(0), of(1));
        assert!(first == 0 || second == 0, "{first} and {second}");
        assert!((5..150).contains(&(first + second)), "{first} and {second}");
    }
}

#[tokio::test]
async fn without_coordinates_each_client_uses_twelve_servers_of_its_own() {
    let servers: Vec<Server> = (0..30).map(|_| Server::up(|_| FOUND)).collect();
    let all: Vec<&Server> = servers.iter().collect();
    let mut used = BTreeSet::new();
    for id in 0..4 {
        let client = client(&all);
        for _ in 0..400 {
            read(&client, &format!("client{id}")).await;
        }
        let asked = |server: &Server| server.seen().iter().any(|r| r.contains(&format!("t{id} ")));
        let asked: Vec<usize> = (0..30).filter(|place| asked(&servers[*place])).collect();
        assert_eq!(asked.len(), 12);
        used.insert(asked);
    }
    assert!(used.len() > 1, "all use the same");
}

/// Time stands still but for what the test says: it would jump ahead while all wait for a socket,
/// were there not a thread at work.
#[tokio::test(start_paused = true)]
async fn a_slow_read_that_any_replica_may_serve_is_hedged_within_a_budget() {
    let (_working, is_over) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || is_over.recv());
    // Who is asked first for something slow does not answer.
    let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let act = move |request: &str| {
        let line = request.lines().next().unwrap();
        let is_first = line.contains("/slow") && asked.lock().unwrap().insert(line.to_owned());
        if is_first { Act::Hold } else { FOUND }
    };
    let servers = [Server::up(act.clone()), Server::up(act)];
    let sum = |count: fn(&Server) -> &AtomicUsize| -> usize {
        servers.iter().map(|server| count(server).load(Ordering::SeqCst)).sum()
    };
    let (held, given_up) = (|| sum(|server| &server.held), || sum(|server| &server.given_up));
    let seen =
        |key: &str| servers.iter().flat_map(Server::seen).filter(|r| r.contains(key)).count();
    let options = ClientOptions { hedge_reads: true, ..ClientOptions::default() };
    let client = client_with(&[&servers[0], &servers[1]], &options);
    let begin = |key: &'static str, consistency: Consistency| {
        let client = client.clone();
        let options = ReadOptions { consistency, ..ReadOptions::default() };
        tokio::spawn(async move { places(&client).get(&[key], &options).await })
    };
    for _ in 0..200 {
        begin("a", Consistency::Eventual).await.unwrap().unwrap();
    }

    // A strong read waits for its answer.
    let reading = begin("slow-strong", Consistency::Strong);
    until(|| held() == 1).await;
    tokio::time::advance(Duration::from_millis(50)).await;
    begin("a", Consistency::Eventual).await.unwrap().unwrap();
    assert_eq!(seen("/slow-strong "), 1);
    servers.iter().for_each(|server| _ = server.release.send_replace(true));
    assert!(reading.await.unwrap().unwrap().is_some());
    servers.iter().for_each(|server| _ = server.release.send_replace(false));

    let bounded = Consistency::Bounded { max_lag_ms: 1_000 };
    let keys = ["slow-0", "slow-1", "slow-2", "slow-3", "slow-4"];
    for (number, key) in keys.into_iter().enumerate() {
        let reading = begin(key, if number % 2 == 0 { bounded } else { Consistency::Eventual });
        until(|| held() == number + 2).await;
        assert!(!reading.is_finished());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(reading.await.unwrap().unwrap().is_some());
        // The slower request is given up.
        until(|| given_up() == number + 1).await;
        assert_eq!(seen(key), 2);
    }
    // Five running are all that 200 reads pay for.
    let reading = begin("slow-5", bounded);
    until(|| held() == 7).await;
    tokio::time::advance(Duration::from_millis(50)).await;
    begin("a", Consistency::Eventual).await.unwrap().unwrap();
    assert_eq!(seen("slow-5"), 1);
    servers.iter().for_each(|server| _ = server.release.send_replace(true));
    assert!(reading.await.unwrap().unwrap().is_some());
}
