//! One HTTP/1.1 connection, written by hand so that a test sees exactly what was answered.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

/// A kept-alive connection that is opened again when it has ended.
pub struct Http {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Http {
    pub fn new(address: SocketAddr) -> Http {
        Http { address, connection: None }
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.expect("GET", target, &[], b"")
    }

    pub fn delete(&mut self, target: &str) -> Answer {
        self.expect("DELETE", target, &[], b"")
    }

    pub fn put(&mut self, target: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.expect("PUT", target, &json, body.to_string().as_bytes())
    }

    pub fn post(&mut self, target: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.expect("POST", target, &json, body.to_string().as_bytes())
    }

    /// As [`send`](Self::send), where an answer must come.
    #[track_caller]
    pub fn expect(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        match self.send(method, target, headers, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {target}: {error}"),
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The connection ended: whether the request was carried out is unknown.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let answer = self.exchange(method, target, headers, body);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    fn exchange(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        if self.connection.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(super::BOUND))?;
            self.connection = Some(BufReader::new(stream));
        }
        let connection = self.connection.as_mut().expect("just opened");
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() {
            request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        connection.get_mut().write_all(&request)?;
        let answer = read_answer(connection, method == "HEAD")?;
        if answer.header("connection") == Some("close") {
            self.connection = None;
        }
        Ok(answer)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in {} {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }
}

/// Reads one answer off a connection.
pub fn read_answer(connection: &mut impl BufRead, head: bool) -> io::Result<Answer> {
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.get(9..12).and_then(|code| code.parse().ok()).ok_or_else(ended)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(ended());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if head || status == 204 || status == 304 {
        return Ok(answer);
    }
    if answer.header("transfer-encoding").is_some() {
        answer.body = read_chunks(connection)?;
    } else if let Some(length) = answer.header("content-length") {
        let length = length.parse().map_err(|_| ended())?;
        answer.body = vec![0; length];
        connection.read_exact(&mut answer.body)?;
    } else {
        connection.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

fn read_chunks(connection: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16)
            .map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let mut chunk = vec![0; length + 2];
        connection.read_exact(&mut chunk)?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
