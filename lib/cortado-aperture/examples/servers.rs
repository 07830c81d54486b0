//! Real servers that come and go, and the share of the requests that each gets.
//!
//! `cargo run -p cortado-aperture --example servers`
//!
//! Twenty HTTP servers on loopback, ten clients with an aperture of twelve each. Every two seconds
//! something happens; the table shows what each server has answered since.

use cortado_aperture::service::Balance;
use cortado_aperture::{APERTURE_DEFAULT, Coordinate, DeterministicAperture};
use futures_core::Stream;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tower::discover::Change;
use tower::{BoxError, Service, ServiceExt};

const CLIENTS: u32 = 10;
const SERVERS: usize = 20;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut servers = Vec::new();
    for number in 0..SERVERS {
        servers.push(Server::start(number).await?);
    }
    let mut discoveries = Vec::new();
    for id in 0..CLIENTS {
        let (discovery, found) = mpsc::unbounded_channel();
        servers.iter().for_each(|server| tell(&discovery, server.found()));
        tokio::spawn(run(Coordinate::new(id, CLIENTS)?, Discovery(found)));
        discoveries.push(discovery);
    }
    let tell_all = |change: &dyn Fn() -> Change<SocketAddr, Remote>| {
        discoveries.iter().for_each(|discovery| tell(discovery, change()));
    };

    show(&servers, "20 servers, 10 clients, an aperture of 12 each").await;
    let newcomer = Server::start(SERVERS).await?;
    tell_all(&|| newcomer.found());
    servers.push(newcomer);
    show(&servers, "server 20 has come").await;
    let leaver = servers.remove(3);
    tell_all(&|| Change::Remove(leaver.address));
    show(&servers, "server 3 has gone").await;
    for server in &mut servers[8..12] {
        server.die();
    }
    show(&servers, "four servers have died, unannounced").await;
    Ok(())
}

fn tell(discovery: &mpsc::UnboundedSender<Found>, change: Change<SocketAddr, Remote>) {
    // A client that is gone needs no news.
    drop(discovery.send(Ok(change)));
}

/// One client: sixteen requests under way at any time.
async fn run(coordinate: Coordinate, discovery: Discovery) -> Result<(), BoxError> {
    let balance = Balance::<Discovery, Request<Empty<Bytes>>>::builder("example")
        .subsetter(DeterministicAperture::new(APERTURE_DEFAULT))
        .coordinate(coordinate)
        .build(discovery);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let mut balance = balance.clone();
        tasks.spawn(async move {
            loop {
                let request = Request::get("/").body(Empty::new()).expect("a request");
                // Failures are counted by the balancer; a real client would look at them too.
                let answer = balance.ready().await?.call(request).await;
                let _ = answer;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    tasks.join_next().await.unwrap_or(Ok(Ok(())))?
}

/// Two seconds later: what each server has answered.
async fn show(servers: &[Server], what: &str) {
    // The first half second belongs to the change itself.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before: Vec<u64> = servers.iter().map(Server::answered).collect();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let counts = servers.iter().zip(before).map(|(server, before)| server.answered() - before);
    let counts: Vec<u64> = counts.collect();
    let total = counts.iter().sum::<u64>().max(1);
    println!("\n{what}: {total} answers");
    for (server, count) in servers.iter().zip(counts) {
        let percent = count as f64 * 100.0 / total as f64;
        let bar = "#".repeat((percent * 6.0) as usize);
        let connections = server.accepted.load(Ordering::Relaxed);
        println!("  {:>2}  {percent:>5.2} %  {connections:>3} connections  {bar}", server.number);
    }
}

struct Server {
    number: usize,
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(number: usize) -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (accepted, answered) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&accepted), Arc::clone(&answered)));
        Ok(Server { number, address, accepted, answered, task })
    }

    fn found(&self) -> Change<SocketAddr, Remote> {
        Change::Insert(self.address, Remote::new(self.address))
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn die(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, accepted: Arc<AtomicU64>, answered: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let answered = Arc::clone(&answered);
        let service = service_fn(move |_: Request<Incoming>| {
            answered.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// hyper's own client, which keeps its connections, bound to one server.
#[derive(Clone)]
struct Remote {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: SocketAddr,
}

impl Remote {
    fn new(address: SocketAddr) -> Remote {
        Remote { client: Client::builder(TokioExecutor::new()).build_http(), address }
    }
}

impl Service<Request<Empty<Bytes>>> for Remote {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Empty<Bytes>>) -> Self::Future {
        let remote = self.clone();
        Box::pin(async move {
            *request.uri_mut() = format!("http://{}/", remote.address).parse()?;
            Ok(remote.client.request(request).await?)
        })
    }
}

/// Discovery by a channel: what a registry would be.
struct Discovery(mpsc::UnboundedReceiver<Found>);

type Found = Result<Change<SocketAddr, Remote>, Infallible>;

impl Stream for Discovery {
    type Item = Found;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}
