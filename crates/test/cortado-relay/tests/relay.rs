//! The relay does what it is told, and nothing else.

use cortado_relay::{Cut, Direction, Relay, TcpFaults, TcpRelay, UdpFaults, UdpRelay};
use std::future::Future;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// What takes longer than this will never come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3_600);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes soon")
}

/// Both ends of a connection through a relay.
struct Connected {
    relay: TcpRelay,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

async fn connected() -> Connected {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let target = listener.local_addr().expect("bound");
    let relay = TcpRelay::start(target).await.expect("a free port");
    let (client, server) = connect(&relay, &listener).await;
    Connected { relay, listener, client, server }
}

async fn connect(relay: &TcpRelay, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = soon(TcpStream::connect(relay.address())).await.expect("the relay listens");
    (client, soon(listener.accept()).await.expect("it is carried on").0)
}

async fn carries(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.expect("sent");
    expect(to, bytes).await;
}

async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    soon(stream.read_exact(&mut got)).await.expect("it comes");
    assert_eq!(got, bytes);
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn bytes_go_both_ways_and_are_counted() {
    let Connected { relay, mut client, mut server, .. } = connected().await;
    let long: Vec<u8> = (0..=250).cycle().take(300_000).collect();
    carries(&mut client, &mut server, b"question").await;
    let sent = long.clone();
    let writing = async {
        server.write_all(&sent).await.expect("sent");
        server.shutdown().await.expect("ended");
    };
    let mut got = Vec::new();
    let (_, read) = soon(async { tokio::join!(writing, client.read_to_end(&mut got)) }).await;
    assert_eq!((read.expect("it ends"), got), (long.len(), long.clone()));
    assert_eq!(relay.carried(Direction::In), 8);
    assert_eq!(relay.carried(Direction::Out), long.len() as u64);
    carries(&mut client, &mut server, b"the other way goes on").await;
    drop((client, server));
    until(|| relay.open() == 0).await;
}

#[tokio::test]
async fn what_is_late_comes_when_it_is_no_longer() {
    let Connected { relay, mut client, mut server, .. } = connected().await;
    relay.set(Direction::In, TcpFaults { delay: FOREVER, ..TcpFaults::default() });
    client.write_all(b"late").await.expect("sent");
    carries(&mut server, &mut client, b"the other way is not").await;
    assert_eq!(relay.carried(Direction::In), 0);
    relay.heal();
    expect(&mut server, b"late").await;
}

#[tokio::test]
async fn a_direction_stands_still_and_goes_on() {
    let Connected { relay, mut client, mut server, .. } = connected().await;
    relay.set(Direction::Out, TcpFaults { stall: true, ..TcpFaults::default() });
    server.write_all(b"held").await.expect("sent");
    server.shutdown().await.expect("ended");
    carries(&mut client, &mut server, b"the other way is not").await;
    assert_eq!(relay.carried(Direction::Out), 0);
    relay.heal();
    let mut got = Vec::new();
    soon(client.read_to_end(&mut got)).await.expect("it ends");
    assert_eq!(got, b"held");
}

#[tokio::test]
async fn a_slow_wire_loses_nothing() {
    let Connected { relay, mut client, mut server, .. } = connected().await;
    let slow = TcpFaults { bytes_per_second: Some(100_000), ..TcpFaults::default() };
    relay.set(Direction::In, slow);
    let bytes: Vec<u8> = (0..=250).cycle().take(30_000).collect();
    let sent = bytes.clone();
    let writing = async { client.write_all(&sent).await.expect("sent") };
    let ((), ()) = tokio::join!(writing, expect(&mut server, &bytes));
}

#[tokio::test]
async fn a_reset_is_heard_on_both_sides() {
    let Connected { relay, mut client, mut server, listener } = connected().await;
    carries(&mut client, &mut server, b"before").await;
    relay.cut(Cut::Reset);
    for stream in [&mut client, &mut server] {
        let error = soon(stream.read_u8()).await.expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let (mut client, mut server) = connect(&relay, &listener).await;
    carries(&mut client, &mut server, b"a new one is taken").await;
}

#[tokio::test]
async fn a_connection_is_reset_in_the_middle_of_what_is_said() {
    let Connected { relay, mut client, mut server, .. } = connected().await;
    relay.set(Direction::In, TcpFaults { reset_at: Some(3), ..TcpFaults::default() });
    client.write_all(b"question").await.expect("sent");
    let mut got = Vec::new();
    let error = soon(server.read_to_end(&mut got)).await.expect_err("it is cut");
    assert_eq!((error.kind(), &got[..]), (ErrorKind::ConnectionReset, &b"que"[..]));
}

#[tokio::test]
async fn a_close_is_an_end_and_half_of_one_leaves_the_other_half() {
    let Connected { relay, mut client, mut server, listener } = connected().await;
    relay.cut(Cut::Close);
    for stream in [&mut client, &mut server] {
        let error = soon(stream.read_u8()).await.expect_err("it has ended");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
    let (mut client, mut server) = connect(&relay, &listener).await;
    carries(&mut client, &mut server, b"it is open").await;
    relay.cut(Cut::HalfClose(Direction::In));
    let error = soon(server.read_u8()).await.expect_err("it has ended");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    carries(&mut server, &mut client, b"the other way goes on").await;
}

#[tokio::test]
async fn connections_are_refused_and_taken_again() {
    let Connected { relay, listener, .. } = connected().await;
    relay.refuse(true);
    let mut refused = soon(TcpStream::connect(relay.address())).await.expect("it listens");
    assert!(soon(refused.read_u8()).await.is_err(), "and says nothing");
    relay.heal();
    let (mut client, mut server) = connect(&relay, &listener).await;
    carries(&mut client, &mut server, b"again").await;
    assert_eq!(relay.accepted(), 2);
    drop(listener);
    let mut gone = soon(TcpStream::connect(relay.address())).await.expect("it listens");
    assert!(soon(gone.read_u8()).await.is_err(), "what is behind it does not");
}

/// Sends numbered datagrams until one has come, and says which.
async fn sends_until_heard(from: &UdpSocket, to: &UdpSocket, prefix: &str) -> String {
    let mut buffer = [0; 64];
    let heard = async {
        loop {
            from.send(prefix.as_bytes()).await.expect("sent");
            let came = timeout(Duration::from_millis(20), to.recv_from(&mut buffer)).await;
            if let Ok(Ok((length, _))) = came {
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
        }
    };
    soon(heard).await
}

struct Datagrams {
    relay: UdpRelay,
    target: UdpSocket,
    sender: UdpSocket,
}

async fn datagrams() -> Datagrams {
    let target = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a free port");
    let relay = UdpRelay::start(target.local_addr().expect("bound")).await.expect("a free port");
    let sender = another(&relay).await;
    Datagrams { relay, target, sender }
}

async fn another(relay: &UdpRelay) -> UdpSocket {
    let sender = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a free port");
    sender.connect(relay.address()).await.expect("an address");
    sender
}

#[tokio::test]
async fn datagrams_go_there_and_answers_come_back() {
    let Datagrams { relay, target, sender } = datagrams().await;
    sender.send(b"question").await.expect("sent");
    let mut buffer = [0; 64];
    let (length, from) = soon(target.recv_from(&mut buffer)).await.expect("it comes");
    assert_eq!(&buffer[..length], b"question");
    target.send_to(b"answer", from).await.expect("sent");
    let length = soon(sender.recv(&mut buffer)).await.expect("it comes");
    assert_eq!(&buffer[..length], b"answer");
    assert_eq!((relay.carried(Direction::In), relay.carried(Direction::Out)), (1, 1));
}

#[tokio::test]
async fn one_way_is_cut_for_one_sender_and_not_for_another() {
    let Datagrams { relay, target, sender } = datagrams().await;
    let other = another(&relay).await;
    let own = sender.local_addr().expect("bound");
    relay.set_from(own, Some(UdpFaults::CUT));
    sender.send(b"lost").await.expect("sent");
    assert_eq!(sends_until_heard(&other, &target, "heard").await, "heard");
    relay.set_from(own, None);
    // Those that the other has sent too often come first.
    soon(async { while sends_until_heard(&sender, &target, "again").await != "again" {} }).await;
}

#[tokio::test]
async fn datagrams_are_lost_and_doubled() {
    let Datagrams { relay, target, sender } = datagrams().await;
    relay.set(Direction::In, UdpFaults { duplication: 1.0, ..UdpFaults::default() });
    sender.send(b"twice").await.expect("sent");
    let mut buffer = [0; 64];
    for _ in 0..2 {
        let length = soon(target.recv(&mut buffer)).await.expect("it comes");
        assert_eq!(&buffer[..length], b"twice");
    }
    relay.set(Direction::In, UdpFaults { loss: 0.5, ..UdpFaults::default() });
    sends_until_heard(&sender, &target, "now and then").await;
}

#[tokio::test]
async fn a_late_datagram_is_lost_with_its_way() {
    let Datagrams { relay, target, sender } = datagrams().await;
    let late = Duration::from_millis(50);
    relay.set(Direction::In, UdpFaults { delay: late, ..UdpFaults::default() });
    sender.send(b"late").await.expect("sent");
    let mut buffer = [0; 64];
    let length = soon(target.recv(&mut buffer)).await.expect("it comes");
    assert_eq!(&buffer[..length], b"late");
    relay.set(Direction::In, UdpFaults::CUT);
    sender.send(b"lost").await.expect("sent");
    relay.heal();
}

#[tokio::test]
async fn both_kinds_share_a_port_and_move_together() {
    let first = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let second = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let relay = Relay::start(first.local_addr().expect("bound")).await.expect("a free port");
    assert_eq!(relay.tcp.address(), relay.udp.address());
    let (mut client, mut server) = connect(&relay.tcp, &first).await;
    relay.retarget(second.local_addr().expect("bound"));
    carries(&mut client, &mut server, b"the old one stays").await;
    let (mut client, mut server) = connect(&relay.tcp, &second).await;
    carries(&mut client, &mut server, b"the new one moves").await;
}
