//! Clients that take their time over a head: cut off at the documented limit, all of them at once.
//!
//! A body may take three times as long; with a shorter limit, the tests of `cortado-http` show that
//! it is not waited for either.

use super::World;
use crate::harness::http::read_answer;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Sends `bytes` one after another, slowly, until told to stop.
fn dribble(stream: &TcpStream, bytes: &'static [u8]) -> std::sync::mpsc::Sender<()> {
    let mut stream = stream.try_clone().unwrap();
    let (stop, stopped): (_, Receiver<()>) = channel();
    thread::spawn(move || {
        for byte in bytes {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            match stopped.recv_timeout(Duration::from_millis(500)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    stop
}

fn timed_out(mut connection: BufReader<TcpStream>) {
    let answer = read_answer(&mut connection, false).unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &"request_timeout".into()));
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest);
    assert!(rest.is_empty(), "nothing follows");
}

#[test]
fn slow_clients_are_cut_off() {
    const HEAD: &[u8] =
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyy";
    let world = World::start();
    let before = world.state();
    thread::scope(|scope| {
        scope.spawn(|| timed_out(world.connect()));
        scope.spawn(|| {
            let connection = world.connect();
            let _stop = dribble(connection.get_ref(), HEAD);
            timed_out(connection);
        });
    });
    assert_eq!(world.state(), before);
    world.end();
}
