//! The door in front of connections that are no sockets.

use super::*;
use crate::connection::tests::{CLIENT, api};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

type Arrival = io::Result<(DuplexStream, SocketAddr)>;

/// Connections and failures as a test sends them.
struct Scripted(Mutex<Receiver<Arrival>>);

impl Listener for Scripted {
    type Stream = DuplexStream;

    async fn next(&self) -> Arrival {
        match self.0.lock().await.recv().await {
            Some(arrival) => arrival,
            None => std::future::pending().await,
        }
    }

    fn try_send(_: &DuplexStream, _: &[u8]) {}
}

/// A door, and the ways to knock on it and to close it.
struct Doorway {
    api: Arc<Api>,
    arrivals: Sender<Arrival>,
    close: watch::Sender<bool>,
    accepting: JoinHandle<OpenConnections>,
}

impl Doorway {
    fn new(connections_max: usize) -> Doorway {
        let (close, closing) = watch::channel(false);
        let limits = Limits { connections_max, ..Limits::default() };
        let api = Arc::new(api(limits, closing.clone()));
        let (arrivals, receiver) = channel(16);
        let door = Door::new(Arc::clone(&api));
        let accepting = tokio::spawn(door.accept(Scripted(Mutex::new(receiver)), closing));
        Doorway { api, arrivals, close, accepting }
    }

    async fn arrives(&self, arrival: Arrival) {
        self.arrivals.send(arrival).await.expect("the door is there");
    }

    async fn connect(&self) -> DuplexStream {
        let (client, stream) = duplex(4 << 10);
        self.arrives(Ok((stream, CLIENT))).await;
        client
    }

    /// What the server shows of itself.
    fn shows(&self, line: &str) -> bool {
        self.api.registry().encode().lines().any(|shown| shown == line)
    }

    async fn end(self) {
        self.close.send(true).expect("the door is there");
        let open = self.accepting.await.expect("no panic");
        assert_eq!(open.end_by(Instant::now() + Duration::from_secs(60)).await, 0);
    }
}

/// The status of the answer to one request, on a connection that goes on.
async fn ask(client: &mut DuplexStream) -> Option<String> {
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") || answer.ends_with(b"\r\n") {
        if client.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&answer[9..12]).into_owned())
}

#[tokio::test]
async fn connections_are_accepted_again_when_there_are_descriptors() {
    const EMFILE: i32 = 24;
    let door = Doorway::new(10);
    let mut idle = door.connect().await;
    assert_eq!(ask(&mut idle).await.as_deref(), Some("200"));
    for _ in 0..3 {
        door.arrives(Err(io::Error::from_raw_os_error(EMFILE))).await;
    }
    door.arrives(Err(io::ErrorKind::ConnectionAborted.into())).await;
    let mut client = door.connect().await;
    assert_eq!(ask(&mut client).await.as_deref(), Some("200"));
    assert!(door.shows("cortado_http_accepts_failed_total 3"));
    assert_eq!(idle.read(&mut [0]).await.expect("a stream in memory"), 0, "it gave its place away");
    door.end().await;
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let door = Doorway::new(1);
    let mut first = door.connect().await;
    assert_eq!(ask(&mut first).await.as_deref(), Some("200"));
    let mut second = door.connect().await;
    assert_eq!(ask(&mut second).await.as_deref(), Some("200"));
    assert_eq!(first.read(&mut [0]).await.expect("a stream in memory"), 0);
    assert!(door.shows("cortado_http_connections_total 2"));
    assert!(door.shows("cortado_http_connections_refused_total 0"));
    door.end().await;
}

#[tokio::test]
async fn a_connection_that_has_had_its_last_word_makes_room() {
    let door = Doorway::new(1);
    let mut broken = door.connect().await;
    broken.write_all(b"GET / HTTP/1.1\nHost: localhost\n\n").await.expect("a stream in memory");
    let mut answer = Vec::new();
    broken.read_to_end(&mut answer).await.expect("a last word");
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
    // It goes on sending what is read and dropped, until somebody needs its place.
    let sending = tokio::spawn(async move {
        while broken.write_all(&[b'x'; 64]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let mut client = door.connect().await;
    assert_eq!(ask(&mut client).await.as_deref(), Some("200"));
    sending.await.expect("it is cut");
    door.end().await;
}

#[tokio::test]
async fn a_busy_connection_keeps_its_place() {
    let door = Doorway::new(1);
    let mut busy = door.connect().await;
    let head = b"PUT /admin/v1/databases/x HTTP/1.1\r\nHost: localhost\r\n\
        Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    busy.write_all(head).await.expect("a stream in memory");
    let mut word = [0; 25];
    busy.read_exact(&mut word).await.expect("the word to go on");
    let mut refused = door.connect().await;
    assert_eq!(refused.read(&mut [0]).await.expect("a stream in memory"), 0);
    assert!(door.shows("cortado_http_connections_refused_total 1"));
    busy.write_all(b"{}").await.expect("it is still there");
    busy.read_exact(&mut word).await.expect("an answer");
    drop(busy);
    door.end().await;
}
