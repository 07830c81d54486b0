//! Real servers on loopback that count what they accept and answer.
//!
//! Time is virtual where it matters; everything else waits for conditions.

mod loopback {
    pub(crate) mod remote;
    pub(crate) mod server;
}

use cortado_aperture::service::{Balance, Clock};
use cortado_aperture::{
    APERTURE_DEFAULT, Coordinate, DeterministicAperture, Nanos, Pace, Settings, Subsetter,
};
use futures_core::Stream;
use loopback::remote::Remote;
use loopback::server::{Server, reach};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tower::discover::Change;
use tower::{Service, ServiceExt};

type Found = Result<Change<SocketAddr, Remote>, Infallible>;

/// Discovery by a channel.
struct Discovery(mpsc::UnboundedReceiver<Found>);

impl Stream for Discovery {
    type Item = Found;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Found>> {
        self.0.poll_recv(cx)
    }
}

/// A client, what it is told, and the time that it sees.
struct Client {
    balance: Balance<Discovery, ()>,
    discovery: mpsc::UnboundedSender<Found>,
    millis: Arc<AtomicU64>,
}

impl Client {
    fn new(subsetter: impl Subsetter + 'static, coordinate: Option<Coordinate>) -> Client {
        let (discovery, found) = mpsc::unbounded_channel();
        let millis = Arc::new(AtomicU64::new(1));
        let clock = Arc::clone(&millis);
        let clock = Clock::custom(move || Nanos(clock.load(Ordering::Relaxed) * 1_000_000));
        let pace = Pace { settle: Duration::ZERO, glide: Duration::ZERO };
        let mut builder = Balance::<Discovery, ()>::builder("loopback").pace(pace);
        if let Some(coordinate) = coordinate {
            builder = builder.coordinate(coordinate);
        }
        let builder = builder.subsetter(subsetter).clock(clock).seed(42);
        let balance = builder.build(Discovery(found));
        Client { balance, discovery, millis }
    }

    fn peer(id: u32, peers: u32) -> Client {
        let coordinate = Coordinate::new(id, peers).expect("below the count");
        Client::new(DeterministicAperture::new(APERTURE_DEFAULT), Some(coordinate))
    }

    fn find(&self, server: &Server) {
        let remote = Remote::new(server.address());
        let change = Change::Insert(server.address(), remote);
        self.discovery.send(Ok(change)).expect("the balance lives");
    }

    fn lose(&self, address: SocketAddr) {
        self.discovery.send(Ok(Change::Remove(address))).expect("the balance lives");
    }

    async fn request(&mut self) -> Result<SocketAddr, tower::BoxError> {
        self.balance.ready().await?.call(()).await
    }

    /// Drives the client until it has connected to everyone that it wants.
    async fn connect(&mut self) {
        reach(|| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            self.millis.fetch_add(50, Ordering::Relaxed);
            let _ = Service::<()>::poll_ready(&mut self.balance, &mut cx);
            let report = self.balance.report();
            !self.balance.shares().is_empty() && report.opening + report.waiting == 0
        })
        .await;
    }
}

async fn servers(count: usize) -> Vec<Server> {
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(Server::start().await);
    }
    servers
}

fn accepted(servers: &[Server]) -> Vec<u64> {
    servers.iter().map(Server::accepted).collect()
}

/// 12 clients on 24 servers go round 6 times: every server has 6 connections, no client has a 13th.
#[tokio::test]
async fn connections_tile_the_servers() {
    let servers = servers(24).await;
    let mut clients: Vec<_> = (0..12).map(|id| Client::peer(id, 12)).collect();
    for client in &mut clients {
        servers.iter().for_each(|server| client.find(server));
        client.connect().await;
        assert_eq!(client.balance.report().aperture, 12);
        for _ in 0..100 {
            client.request().await.expect("an answer");
        }
    }
    assert_eq!(accepted(&servers), [6; 24]);
    let answered: u64 = servers.iter().map(Server::answered).sum();
    assert_eq!(answered, 1_200);
}

/// One more server: what is accepted is what the subsets say, and little.
#[tokio::test]
async fn one_more_server_opens_few_connections() {
    let mut servers = servers(40).await;
    let mut clients: Vec<_> = (0..20).map(|id| Client::peer(id, 20)).collect();
    for client in &mut clients {
        servers.iter().for_each(|server| client.find(server));
        client.connect().await;
    }
    let before: u64 = accepted(&servers).iter().sum();
    let had: Vec<_> = clients.iter().map(|client| client.balance.shares()).collect();
    assert_eq!(before, had.iter().map(|shares| shares.len() as u64).sum::<u64>());

    servers.push(Server::start().await);
    let mut opened = 0;
    for (client, had) in clients.iter_mut().zip(had) {
        client.find(servers.last().expect("41 servers"));
        client.connect().await;
        let is_new = |key: &SocketAddr| had.iter().all(|(old, _)| old != key);
        let has = client.balance.shares();
        opened += has.iter().filter(|(key, _)| is_new(key)).count() as u64;
        client.request().await.expect("an answer");
    }
    let after: u64 = accepted(&servers).iter().sum();
    assert_eq!(after - before, opened);
    assert!(opened * 100 < before * 15, "{opened} of {before} opened anew");
}

/// Servers come and go, one announced at a time: no request notices.
#[tokio::test]
async fn a_rolling_restart_fails_no_request() {
    let mut servers = servers(15).await;
    let mut client = Client::peer(1, 3);
    servers.iter().for_each(|server| client.find(server));
    client.connect().await;
    for _ in 0..15 {
        let next = Server::start().await;
        client.find(&next);
        let old = servers.remove(0);
        servers.push(next);
        client.lose(old.address());
        for _ in 0..20 {
            client.millis.fetch_add(10, Ordering::Relaxed);
            client.request().await.expect("an answer");
        }
        // Told, and asked no more.
        let asked = old.answered();
        client.request().await.expect("an answer");
        assert_eq!(old.answered(), asked);
    }
}

/// A server that dies without a word costs a few errors and is left alone; back again, it is
/// tried with one request and used.
#[tokio::test]
async fn a_dead_server_is_left_and_found_again() {
    let mut servers = servers(4).await;
    let mut client = Client::new(DeterministicAperture::default(), None);
    servers.iter().for_each(|server| client.find(server));
    client.connect().await;
    let address = servers.remove(0).stop().await;
    let mut errors = 0;
    for _ in 0..400 {
        errors += u32::from(client.request().await.is_err());
    }
    assert!(errors <= 5, "{errors} errors");
    assert_eq!(client.balance.report().alive, 3);

    let revived = Server::start_at(address).await;
    client.millis.fetch_add(5_000, Ordering::Relaxed);
    for _ in 0..100 {
        client.request().await.expect("an answer");
    }
    assert_eq!(client.balance.report().alive, 4);
    assert!(revived.answered() > 5, "{} answers", revived.answered());
}

/// Connections are opened two at a time, also by many servers at once.
#[tokio::test]
async fn at_most_two_connect_at_once() {
    let servers = servers(30).await;
    let mut client = Client::new(DeterministicAperture::default(), None);
    servers.iter().for_each(|server| client.find(server));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut most = 0;
    reach(|| {
        let _ = Service::<()>::poll_ready(&mut client.balance, &mut cx);
        let report = client.balance.report();
        most = most.max(report.opening);
        report.aperture == 30 && report.opening + report.waiting == 0
    })
    .await;
    assert_eq!(most, 2);
    assert_eq!(accepted(&servers), [1; 30]);
}

/// Without endpoints a request waits; when there will never be any, it is told.
#[tokio::test]
async fn no_endpoints_is_waited_for_or_an_error() {
    let server = Server::start().await;
    let mut client = Client::new(DeterministicAperture::default(), None);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Service::<()>::poll_ready(&mut client.balance, &mut cx).is_pending());
    let mut waiting = client.balance.clone();
    let waiting = tokio::spawn(async move { waiting.ready().await?.call(()).await });
    tokio::task::yield_now().await;
    client.find(&server);
    let answer = waiting.await.expect("no panic").expect("an answer");
    assert_eq!(answer, server.address());

    client.lose(server.address());
    let Client { mut balance, discovery, .. } = client;
    drop(discovery);
    let error = balance.ready().await.map(|_| ()).expect_err("no endpoint is left");
    assert_eq!(error.to_string(), "no endpoints, and discovery has ended");
}

/// The background task does what callers do otherwise, and ends with the last handle.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_task_drives() {
    let servers = servers(5).await;
    let client = Client::new(DeterministicAperture::default(), None);
    let task = client.balance.spawn();
    servers.iter().for_each(|server| client.find(server));
    reach(|| accepted(&servers) == [1; 5]).await;
    let mut balance = client.balance.clone();
    balance.ready().await.expect("endpoints").call(()).await.expect("an answer");
    drop((client, balance));
    task.await.expect("no panic");
}

#[test]
fn settings_reach_the_balancer() {
    let bad = Settings { accrual: Some(bad_accrual()), ..Settings::default() };
    assert!(Balance::<Discovery, ()>::builder("loopback").settings(bad).is_err());
}

fn bad_accrual() -> cortado_aperture::Accrual {
    cortado_aperture::Accrual { failure_streak: 0, ..Default::default() }
}
