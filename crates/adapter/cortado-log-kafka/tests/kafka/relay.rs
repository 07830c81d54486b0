//! A relay in front of a broker, whose connections can be cut.

use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Listens where a broker says that it does, and passes everything on to where it does.
pub(crate) struct Relay {
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    pub(crate) fn start(listen: u16, connect: u16) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", listen)).unwrap();
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let known = Arc::clone(&connections);
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(broker) = TcpStream::connect(("127.0.0.1", connect)) else { continue };
                let _ = (client.set_nodelay(true), broker.set_nodelay(true));
                pass_on(&client, &broker);
                pass_on(&broker, &client);
                known.lock().extend([client, broker]);
            }
        });
        Relay { connections }
    }

    /// Cuts all connections, whatever is on its way; answers how many there were.
    pub(crate) fn cut(&self) -> usize {
        let connections = std::mem::take(&mut *self.connections.lock());
        for connection in &connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        connections.len() / 2
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
