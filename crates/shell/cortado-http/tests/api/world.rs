//! A server to talk to, and the few words in which the stories are told.
//!
//! Start reading at [`World::start`] and [`World::ask`].

use cortado_http::{Limits, Options, Server};
use cortado_log::memory::{SharedMemoryBeats, SharedMemoryLog};
use cortado_metrics::Registry;
use cortado_model::NodeId;
use cortado_node::{Cluster, Components, Founding, MemoryDirectories, RawSettings, StoreFactory};
use cortado_store::{MemoryStore, Store, StoreError};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, interval, timeout};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of three nodes and its server.
pub(crate) struct World {
    pub(crate) log: SharedMemoryLog,
    pub(crate) cluster: Cluster,
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

/// Every node begins with nothing.
struct FreshStores;

impl StoreFactory for FreshStores {
    fn open(&self, _: NodeId) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(MemoryStore::new()))
    }
}

impl World {
    /// A server with the usual limits and the database `music`: `album` with the key
    /// `artist/album`, `song` with `artist/album/song`, and `fan` with `fan`.
    pub(crate) async fn start() -> World {
        World::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> World {
        let log = SharedMemoryLog::new();
        let metrics = Arc::new(Registry::default());
        let stores = Arc::new(FreshStores);
        let directories = Arc::new(MemoryDirectories::default());
        let components = Components {
            log: Arc::new(log.clone()),
            beats: Arc::new(SharedMemoryBeats::default()),
            network: Arc::new(cortado_peer::MemoryNetwork::default()),
            stores,
            directories,
            metrics: Arc::clone(&metrics),
            warnings: Vec::new(),
            founding: Founding::Create,
            belongs_to: None,
        };
        let settings = RawSettings::default().validate().unwrap();
        let cluster = Cluster::start(settings, components).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { limits, dev: Some(cluster.nodes()), ..Options::default() };
        let server = Server::start(listener, cluster.gateway(), metrics, options).unwrap();
        let address = server.address();
        let world = World { log, cluster, server, address };
        let body = r#"{"partitions":4,"tables":{"album":{"key":["artist","album"]},
            "song":{"key":["artist","album","song"]},"fan":{"key":["fan"]}}}"#;
        let created = world.put("/admin/v1/databases/music", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        world
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A connection that takes hardly anything before it is read from.
    pub(crate) async fn connect_narrow(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, unread: Vec::new() }
    }

    /// One request on a connection of its own.
    ///
    /// * `head`: method, path and further header lines, such as `GET /v1/a/b\nIf-Match: *`.
    pub(crate) async fn ask(&self, head: &str, body: &str) -> Reply {
        let mut client = self.connect().await;
        client.ask(head, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "").await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Reply {
        self.ask(&format!("PUT {path}\nContent-Type: application/json"), body).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.ask(&format!("POST {path}\nContent-Type: application/json"), body).await
    }

    /// The first thousand events, once one of that kind is among them.
    pub(crate) async fn events_with(&self, kind: &str) -> Value {
        let give_up_at = Instant::now() + PATIENCE;
        let mut look_again = interval(Duration::from_millis(5));
        loop {
            let events = self.get("/admin/v1/events?limit=1000").await.json();
            if events["events"].as_array().unwrap().iter().any(|event| event["kind"] == kind) {
                return events;
            }
            assert!(Instant::now() < give_up_at, "no {kind} in {events}");
            look_again.tick().await;
        }
    }

    /// Ends everything in good order.
    pub(crate) async fn end(self) {
        self.server.shutdown(PATIENCE).await;
        self.cluster.shutdown().await;
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, unread: Vec::new() }
    }

    pub(crate) async fn ask(&mut self, head: &str, body: &str) -> Reply {
        let is_head = head.starts_with("HEAD ");
        self.send(&request(head, body)).await;
        self.reply(is_head).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Says that nothing more will come.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next answer, whole.
    pub(crate) async fn reply(&mut self, is_head: bool) -> Reply {
        let mut reply = self.head().await;
        let chunked = reply.header("transfer-encoding") == Some("chunked");
        let length: usize = reply.header("content-length").map_or(0, |text| text.parse().unwrap());
        if is_head || reply.status == 304 || reply.status == 204 {
            return reply;
        }
        if chunked {
            while let Some(chunk) = self.chunk().await {
                reply.body.extend(chunk);
            }
        } else {
            while self.unread.len() < length {
                assert!(self.fill().await > 0, "the body ended early: {reply:?}");
            }
            reply.body = self.unread.drain(..length).collect();
        }
        reply
    }

    /// The head of the next answer.
    pub(crate) async fn head(&mut self) -> Reply {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at;
            }
            let so_far = self.unread.len();
            assert!(self.fill().await > 0, "no answer; {so_far} bytes");
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Reply { status, headers: headers.collect(), body: Vec::new() }
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().await;
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        while self.unread.len() < size + 2 {
            assert!(self.fill().await > 0, "the chunk ended early");
        }
        let chunk = self.unread.drain(..size + 2).take(size).collect();
        (size > 0).then_some(chunk)
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..at + 2).collect();
                return String::from_utf8(line).unwrap();
            }
            assert!(self.fill().await > 0, "the line ended early");
        }
    }

    /// The next bytes, so many of them.
    pub(crate) async fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.try_take(bytes).await.expect("the connection ended early")
    }

    /// The same; `None` if the server closes the connection before.
    pub(crate) async fn try_take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.unread.len() < bytes {
            if self.fill().await == 0 {
                return None;
            }
        }
        Some(self.unread.drain(..bytes).collect())
    }

    /// Reads a chunked body up to the end of the connection: whether it came whole.
    pub(crate) async fn ends_whole(&mut self) -> bool {
        self.ends().await;
        self.unread.ends_with(b"0\r\n\r\n")
    }

    /// Waits until the server closes the connection, whatever it says before.
    pub(crate) async fn ends(&mut self) {
        while self.fill().await > 0 {}
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.fill().await == 0
    }

    /// The status of an answer, if one has come already.
    pub(crate) async fn try_reply(&mut self) -> Option<u16> {
        let _ = self.stream.try_read_buf(&mut self.unread);
        match find(&self.unread, b"\r\n\r\n") {
            Some(_) => Some(self.head().await.status),
            None => None,
        }
    }

    async fn fill(&mut self) -> usize {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        read.expect("the server is silent").unwrap_or(0)
    }
}

/// A request of HTTP/1.1 with the length of its body.
pub(crate) fn request(head: &str, body: &str) -> Vec<u8> {
    let (line, rest) = head.split_once('\n').unwrap_or((head, ""));
    let mut text = format!("{line} HTTP/1.1\r\n");
    if !rest.lines().any(|line| line.to_ascii_lowercase().starts_with("host:")) {
        text.push_str("Host: localhost\r\n");
    }
    for header in rest.lines() {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// The head of a `PUT` of a document, with some further header lines that say how its body comes.
pub(crate) fn put_head(headers: &str) -> String {
    format!(
        "PUT /v1/music/fan/x HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\n{headers}\r\n\r\n"
    )
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The stable code of an error, after checking that the problem is a whole one.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        let id = self.header("cortado-request-id").expect("a request id");
        assert_eq!(problem["request_id"], id);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        let retry = self.status == 503 || self.status == 429;
        assert!(!retry || self.header("retry-after").is_some(), "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Checks an error: status, code, and for writes what became of it.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }

    /// Checks an error of a write that has definitely not been done.
    #[track_caller]
    pub(crate) fn not_done(&self, status: u16, code: &str) {
        self.refused(status, code);
        assert_eq!(self.json()["outcome"], "none");
    }

    pub(crate) fn etag(&self) -> String {
        self.header("etag").expect("an etag").trim_matches('"').to_owned()
    }
}
