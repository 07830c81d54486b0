//! The same API over HTTP/2 without TLS, as clients with prior knowledge speak it.

use crate::world::World;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

type Sender = SendRequest<Full<Bytes>>;

async fn connect(world: &World) -> Sender {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(
    sender: &mut Sender,
    method: Method,
    uri: &str,
    body: &str,
) -> (StatusCode, HeaderMap, Bytes) {
    sender.ready().await.unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_written_and_read() {
    let world = World::start().await;
    let mut sender = connect(&world).await;
    let uri = "http://localhost/v1/music/fan/a%2Fb";
    let (status, ..) = ask(&mut sender, Method::PUT, uri, r#"{"n":1}"#).await;
    assert_eq!(status, 201);
    let (status, headers, body) = ask(&mut sender, Method::GET, uri, "").await;
    assert_eq!((status, body.as_ref()), (StatusCode::OK, br#"{"n":1}"#.as_slice()));
    assert!(headers.contains_key("etag"));
    let (status, headers, body) = ask(&mut sender, Method::HEAD, uri, "").await;
    assert_eq!((status.as_u16(), body.len()), (200, 0));
    assert_eq!(headers["content-length"], "7");
    let (status, ..) = ask(&mut sender, Method::GET, "http://evil.example/healthz", "").await;
    assert_eq!(status, 421);
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1_000_000));
    let (status, ..) = ask(&mut sender, Method::PUT, uri, &large).await;
    assert_eq!(status, 200);
    let (_, _, body) = ask(&mut sender, Method::GET, uri, "").await;
    assert_eq!(body, large.as_bytes());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_a_connection() {
    let world = World::start().await;
    let sender = connect(&world).await;
    let asks = (0..200).map(|n| {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            let uri = format!("http://localhost/v1/music/fan/f{n}");
            let written = ask(&mut sender, Method::PUT, &uri, &format!("{{\"n\":{n}}}")).await;
            let read = ask(&mut sender, Method::GET, &uri, "").await;
            (written.0.as_u16(), read.2)
        })
    });
    for (n, asked) in asks.collect::<Vec<_>>().into_iter().enumerate() {
        let (status, body) = asked.await.unwrap();
        assert_eq!((status, body.as_ref()), (201, format!("{{\"n\":{n}}}").as_bytes()));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_server() {
    let world = World::start().await;
    let mut sender = connect(&world).await;
    sender.ready().await.unwrap();
    let request = Request::get("http://localhost/v1/music:changes?partition=0&wait=60000");
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let reading = tokio::spawn(async move { answer.into_body().collect().await.is_ok() });
    world.end().await;
    assert!(reading.await.unwrap(), "whole, not cut");
}
