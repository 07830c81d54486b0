//! A client connection that costs as little as one can: prepared requests, answers skipped over.
//!
//! Understands exactly what the measured servers send: HTTP/1.1 with `Content-Length`.

use anyhow::{Context, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A thousand results of a bulk are a tenth of this. A power of two, as all lengths of the buffer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A kept-alive connection with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; 16 << 10], filled: 0 })
    }

    /// Sends a whole request and waits for its whole answer; returns the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        let (status, length) = self.answer(request).await?;
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
        Ok(status)
    }

    /// The same for an answer whose text counts: with its head.
    pub(crate) async fn text(&mut self, request: &[u8]) -> anyhow::Result<String> {
        let (_, length) = self.answer(request).await?;
        let text = String::from_utf8(self.buffer[..length].to_vec())?;
        self.buffer.copy_within(length..self.filled, 0);
        self.filled -= length;
        Ok(text)
    }

    /// Status and length of the answer, which stands in the buffer then.
    async fn answer(&mut self, request: &[u8]) -> anyhow::Result<(u16, usize)> {
        self.stream.write_all(request).await?;
        loop {
            if let Some(answer) = whole_answer(&self.buffer[..self.filled])? {
                return Ok(answer);
            }
            if self.filled == ANSWER_BYTES_MAX {
                bail!("an answer is longer than {ANSWER_BYTES_MAX} bytes");
            }
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            self.filled += read;
        }
    }
}

/// Status and length of the answer at the start of `bytes`, once all of it is there.
fn whole_answer(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..head]).context("an answer's head is not text")?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).context("no status")?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = head + 4 + length.unwrap_or(0);
    Ok((bytes.len() >= whole).then_some((status, whole)))
}

/// A prepared request with `body`; the method and target are the caller's.
pub(crate) fn request(method: &str, target: &str, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    if let Some(body) = body {
        text.push_str("Content-Type: application/json\r\n");
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    } else {
        text.push_str("\r\n");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::whole_answer;

    #[track_caller]
    fn check(bytes: &str, want: Option<(u16, usize)>) {
        assert_eq!(whole_answer(bytes.as_bytes()).expect("well formed"), want);
    }

    #[test]
    fn an_answer_ends_with_its_body() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", Some((200, 40)));
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", None);
        check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, 27)));
        check("HTTP/1.1 200 OK\r\nconte", None);
    }
}
